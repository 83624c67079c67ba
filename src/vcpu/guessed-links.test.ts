/** Blocks that the interpreter guesses to be next (LINK_GUESS): where calls, returns and indirect jumps went last time. */
import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { ARENA_BASE, RAM_BASE } from '../layout/map.ts';
import { VCPU } from '../layout/vcpu.ts';
import { bareMachine, run, type BareMachine } from './testing/bare-machine.ts';

const CORE = readFileSync('build/core.wasm');
const INTERPRETER = readFileSync('build/interpreter.wasm');
const RAX = 0;
const RDX = 2;
const RBX = 3;
const PDPT = 0x2000;
const PD = 0x3000;
const PT = 0x4000;
/** Where functions are, each in a page of its own. */
const FIRST = 0x70000;
const SECOND = 0x71000;

let machine: BareMachine;

beforeEach(() => {
  machine = bareMachine(CORE, INTERPRETER, false);
  mapPage(PDPT, PD);
  mapPage(PD, PT);
  for (let page = 0; page < 512; page++) mapPage(PT + page * 8, page << 12);
});

function mapPage(entry: number, frame: number): void {
  machine.views.data.setBigUint64(RAM_BASE + entry, BigInt(frame | 3), true);
}

function put(at: number, ...bytes: number[]): void {
  machine.views.u8.set(bytes, RAM_BASE + at);
}

/** Calls FIRST, which is 5fffbh behind it, sets DL to 7 and ends. */
const CALL_FIRST = 'e8fbff0500 b207 e680';
/** add eax, `by`; ret */
const adds = (by: number): number[] => [0x83, 0xc0, by, 0xc3];

describe('what was called last time', () => {
  it('is not called if another page is there now', () => {
    put(FIRST, ...adds(1));
    put(SECOND, ...adds(16));
    run(machine, { code: CALL_FIRST, registers: { [RAX]: 0n } });
    run(machine, { code: CALL_FIRST });
    mapPage(PT + (FIRST >>> 12) * 8, SECOND);
    machine.vcpu.core.flushTlb(machine.vcpu.cpu, 0);
    run(machine, { code: CALL_FIRST });
    expect(machine.register(RAX)).toBe(1n + 1n + 16n);
  });

  it('is not called if the pointer leads elsewhere now', () => {
    put(FIRST, ...adds(1));
    put(SECOND, ...adds(16));
    // call rbx; out 80h, al
    run(machine, { code: 'ffd3 e680', registers: { [RAX]: 0n, [RBX]: BigInt(FIRST) } });
    run(machine, { code: 'ffd3 e680', registers: { [RBX]: BigInt(SECOND) } });
    run(machine, { code: 'ffd3 e680', registers: { [RBX]: BigInt(FIRST) } });
    expect(machine.register(RAX)).toBe(1n + 16n + 1n);
  });

  it('is called with the code that is there now', () => {
    put(FIRST, ...adds(1));
    run(machine, { code: CALL_FIRST, registers: { [RAX]: 0n } });
    // mov byte [FIRST + 2], 32; call FIRST; out 80h, al
    run(machine, { at: 0x11000, code: 'c604250200070020 e8f3ef0500 e680' });
    run(machine, { code: CALL_FIRST });
    expect(machine.register(RAX)).toBe(1n + 32n + 32n);
  });
});

describe('a return', () => {
  it('goes where the stack says, not behind its call', () => {
    // add [rsp], rax; ret
    put(FIRST, 0x48, 0x01, 0x04, 0x24, 0xc3);
    run(machine, { code: CALL_FIRST, registers: { [RAX]: 0n, [RDX]: 0n } });
    expect(machine.register(RDX)).toBe(7n);
    // Behind `mov dl, 7`.
    run(machine, { code: CALL_FIRST, registers: { [RAX]: 2n, [RDX]: 0n } });
    expect(machine.register(RDX)).toBe(0n);
    run(machine, { code: CALL_FIRST, registers: { [RAX]: 0n } });
    expect(machine.register(RDX)).toBe(7n);
  });

  it('executes what the callee wrote behind the call', () => {
    // mov rdi, [rsp]; mov [rdi + 1], al; ret
    put(FIRST, 0x48, 0x8b, 0x3c, 0x24, 0x88, 0x47, 0x01, 0xc3);
    run(machine, { code: CALL_FIRST, registers: { [RAX]: 7n, [RDX]: 0n } });
    run(machine, { code: CALL_FIRST, registers: { [RAX]: 9n } });
    expect(machine.register(RDX)).toBe(9n);
  });

  it('finds its way out of a recursion deeper than what is remembered', () => {
    // dec eax; jz 1f; call FIRST; inc edx; 1: ret
    put(FIRST, 0xff, 0xc8, 0x74, 0x07, 0xe8, 0xf7, 0xff, 0xff, 0xff, 0xff, 0xc2, 0xc3);
    // call FIRST; out 80h, al
    run(machine, { code: 'e8fbff0500 e680', registers: { [RAX]: 200n, [RDX]: 0n } });
    expect(machine.register(RDX)).toBe(199n);
  });

  it('asks for no block of before when all of them were forgotten since the call', () => {
    const { views, vcpu } = machine;
    // out 80h, al; ret
    put(FIRST, 0xe6, 0x80, 0xc3);
    run(machine, { code: CALL_FIRST, registers: { [RDX]: 0n } });
    const used = views.u32[(vcpu.cpu + VCPU.at.arenaNext) >>> 2]!;
    vcpu.core.flushBlocks(vcpu.cpu);
    views.u8.fill(0xff, ARENA_BASE, used);
    vcpu.run();
    expect(machine.register(RDX)).toBe(7n);
  });
});
