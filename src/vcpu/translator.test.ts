import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import type { JitFigures } from '../control/figures.ts';
import { BLOCK_HASH_OFFSET, RAM_BASE } from '../layout/map.ts';
import { ATTENTION_COMPILED, BLOCK, BLOCK_DEAD, blockHash, VCPU } from '../layout/vcpu.ts';
import { bareMachine, run, type BareMachine } from './testing/bare-machine.ts';
import { ManualCompiler } from './testing/manual-compiler.ts';

const CORE = readFileSync('build/core.wasm');
const INTERPRETER = readFileSync('build/interpreter.wasm');
const RAX = 0;
const RCX = 1;
const RDX = 2;
const RBX = 3;
const CODE = 0x10000;
// 1: add eax, 1; dec ecx; jnz 1b; out 80h, al
const LOOP = '83c001 ffc9 75f9 e680';

let compiler: ManualCompiler;
let machine: BareMachine;

beforeEach(() => {
  compiler = new ManualCompiler();
  machine = bareMachine(CORE, INTERPRETER, true, { compiler });
});

/** Runs the loop so often that it is reported, and waits until its page is with the compiler. */
function loop(code: string, times: bigint): void {
  run(machine, { code, registers: { [RAX]: 0n, [RCX]: times } });
}

function runOften(times: number, code: string): void {
  for (let i = 0; i < times; i++) run(machine, { code });
}

/** As the core does with a single block whose tail in the next page has changed. */
function kill(address: number): void {
  const { u32 } = machine.views;
  const first = u32[(machine.vcpu.cpu + BLOCK_HASH_OFFSET + blockHash(address) * 4) >>> 2]!;
  expect(u32[(first + BLOCK.at.address) >>> 2]).toBe(address);
  u32[(first + BLOCK.at.mode) >>> 2] = BLOCK_DEAD;
}

function jit(): JitFigures {
  return machine.vcpu.figures.jit;
}

function translatedInstructions(): bigint {
  return machine.views.data.getBigUint64(machine.vcpu.cpu + VCPU.at.countRegionInstructions, true);
}

describe('while the compiler works', () => {
  it('the guest goes on interpreted', () => {
    loop(LOOP, 2_000_000n);
    expect(machine.register(RAX)).toBe(2_000_000n);
    expect([compiler.jobs.length, jit().queue, translatedInstructions()]).toEqual([1, 1, 0n]);
  });

  it('the compiler has a copy: code that changes does not change under it', () => {
    loop(LOOP, 2_000_000n);
    machine.views.u8.fill(0, RAM_BASE + CODE, RAM_BASE + CODE + 16);
    expect([...compiler.jobs[0]!.pages[0]!.bytes.subarray(0, 3)]).toEqual([0x83, 0xc0, 0x01]);
  });
});

describe('whoever looks from another thread', () => {
  it('sees which region runs, and none while the interpreter does', () => {
    const seen: number[] = [];
    machine = bareMachine(CORE, INTERPRETER, true, {
      compiler,
      portWrite: () => seen.push(machine.views.u32[(machine.vcpu.cpu + VCPU.at.region) >>> 2]! >>> 8),
    });
    // nop; out 80h, al: hot as it is run again and again, and in the compiler's hands when a loop behind it has run.
    runOften(1100, '90 e680');
    run(machine, { at: CODE + 0x800, code: LOOP, registers: { [RCX]: 2_000_000n } });
    compiler.answer();
    run(machine, { code: '90 e680' });
    run(machine, { at: CODE + 0x800, code: LOOP, registers: { [RCX]: 1n } });
    expect(new Set(seen.slice(0, 1101))).toEqual(new Set([0]));
    expect(seen.slice(1101)).toEqual([1, 0]);
    expect(machine.vcpu.regions).toMatchObject([{ slot: 1, page: CODE }]);
  });
});

describe('an answer', () => {
  it('is installed when the guest runs on', () => {
    loop(LOOP, 2_000_000n);
    compiler.answer();
    loop(LOOP, 2_000_000n);
    expect(machine.register(RAX)).toBe(2_000_000n);
    expect(Number(translatedInstructions())).toBeGreaterThan(5_900_000);
    expect(jit()).toMatchObject({ regions: 1, modules: 1, liveModules: 1, dropped: 0, queue: 0 });
  });

  it('is dropped if the code was written meanwhile', () => {
    loop(LOOP, 2_000_000n);
    machine.vcpu.core.invalidateCode(machine.vcpu.cpu, CODE, 16);
    compiler.answer();
    // add eax, 3
    loop(LOOP.replace('83c001', '83c003'), 100n);
    expect(machine.register(RAX)).toBe(300n);
    expect(jit()).toMatchObject({ regions: 0, dropped: 1, queue: 0 });
  });

  it('is dropped if one of its blocks died meanwhile, and the others are asked for again', () => {
    // test al, al; jnz +1; nop; dec ecx; jnz back: two blocks that are asked for together.
    const code = '84c0750190ffc975f7 e680';
    loop(code, 2_000_000n);
    const [request] = compiler.jobs[0]!.pages;
    expect(request!.leaders.length).toBeGreaterThan(1);
    kill(CODE + request!.leaders[1]!);
    compiler.answer();
    loop(code, 2_000_000n);
    expect(jit()).toMatchObject({ regions: 0, dropped: 1 });
    compiler.answer();
    loop(code, 100n);
    expect(jit()).toMatchObject({ regions: 1, dropped: 1, queue: 0 });
  });

  it('is dropped if the machine was reset meanwhile', () => {
    loop(LOOP, 2_000_000n);
    const after = bareMachine(CORE, INTERPRETER, true, { compiler });
    compiler.answer();
    run(after, { code: LOOP, registers: { [RAX]: 0n, [RCX]: 100n } });
    expect(after.register(RAX)).toBe(100n);
    expect(after.vcpu.figures.jit).toMatchObject({ regions: 0, dropped: 1 });
  });

  it('is dropped if all blocks were forgotten meanwhile', () => {
    loop(LOOP, 2_000_000n);
    machine.vcpu.reset(16 << 20);
    compiler.answer();
    machine.vcpu.step();
    machine.vcpu.leave('port');
    machine.vcpu.run();
    expect(jit()).toMatchObject({ regions: 0, liveModules: 0, dropped: 1, queue: 0 });
  });

  it('does not end a guest whose page was asked for again', () => {
    loop(LOOP, 2_000_000n);
    machine.vcpu.core.invalidateCode(machine.vcpu.cpu, CODE, 16);
    compiler.answer();
    loop(LOOP, 2_000_000n);
    compiler.answer();
    loop(LOOP, 2_000_000n);
    expect(machine.register(RAX)).toBe(2_000_000n);
    expect(jit()).toMatchObject({ regions: 1, dropped: 1 });
  });
});

it('gives the thread one turn of its event loop when the compile worker has answered', () => {
  const attention = (machine.vcpu.cpu + VCPU.at.attention) >>> 2;
  machine.views.u32[attention] = ATTENTION_COMPILED;
  expect(run(machine, { code: LOOP, registers: { [RAX]: 0n, [RCX]: 5n } })).toEqual({ kind: 'compiled' });
  expect(machine.vcpu.run()).toEqual({ kind: 'asked', what: 'port' });
  expect([machine.register(RAX), jit().turns]).toEqual([5n, 1]);
});

it('makes a block an entry of the next region if the interpreter goes on entering it', () => {
  // 10000: test al, al; jnz 10005; nop; dec ecx; jnz 10000; ret. With AL = 0 the NOP always follows the JNZ.
  machine.views.u8.set(Buffer.from('84c0750190ffc975f7c3', 'hex'), RAM_BASE + CODE);
  // call 10000; out 80h, al
  run(machine, { at: 0x11000, code: 'e8fbefffff e680', registers: { [RAX]: 0n, [RCX]: 500_000n } });
  compiler.answer();
  // 12000: mov ecx, 1; call 10004; dec ebx; jnz 12000; out 80h, al
  const callInside = {
    at: 0x12000,
    code: 'b901000000 e8fadfffff ffcb 75f2 e680',
    registers: { [RBX]: 5000n },
  };
  run(machine, callInside);
  // Enough turns of the run loop for the batch to have waited its time.
  run(machine, { ...callInside, registers: { [RBX]: 500_000n } });
  const asked = compiler.jobs[0]!.pages.map(({ leaders, wanted }) => ({ leaders, wanted }));
  expect(asked).toContainEqual({ leaders: [0, 4, 9], wanted: [4] });
  compiler.answer();
  const before = translatedInstructions();
  run(machine, { ...callInside, registers: { [RBX]: 5000n } });
  expect(Number(translatedInstructions() - before)).toBeGreaterThan(34_000);
});

it('counts the instructions of a string instruction that goes on after its share of work, and ends the stay', () => {
  // 1: mov edi, ebx; mov ecx, 30000h; rep stosb; dec edx; jnz 1b; out 80h, al
  const filling = {
    code: '89df b900000300 f3aa ffca 75f3 e680',
    registers: { [RBX]: 0x100000n, [RDX]: 2000n },
  };
  run(machine, filling);
  compiler.answer();
  const counted = (): bigint =>
    machine.views.data.getBigUint64(machine.vcpu.cpu + VCPU.at.countInstructions, true);
  const before = counted();
  const exits = machine.vcpu.figures.exits['budget']!;
  run(machine, { ...filling, registers: { ...filling.registers, [RDX]: 200n } });
  expect(translatedInstructions()).toBeGreaterThan(0n);
  expect(counted() - before).toBe(5n * 200n + 1n);
  // 30000h bytes are worth 12,288 instructions, more than the shortest stay.
  expect(machine.vcpu.figures.exits['budget']! - exits).toBeGreaterThan(50);
});
