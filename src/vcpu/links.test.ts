/** Links (docs/jit.md): how translated code goes on in other pages without a look at TLB and region cache. */
import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { RAM_BASE } from '../layout/map.ts';
import { SEG_CS, SEG_SS, VCPU } from '../layout/vcpu.ts';
import { run, type BareMachine } from './testing/bare-machine.ts';
import { eagerMachine, translatedInstructions } from './testing/eager-machine.ts';

const CORE = readFileSync('build/core.wasm');
const INTERPRETER = readFileSync('build/interpreter.wasm');
const RCX = 1;
const RBX = 3;
const RSI = 6;
const RDI = 7;
const R8 = 8;
const R9 = 9;
const CODE = 0x10000n;
const FUNCTION = 0x30000;
/** RCX in the turn in which something changes. */
const CHANGE = 1234n;

let machine: BareMachine;

beforeEach(() => {
  machine = eagerMachine(CORE, INTERPRETER);
});

function put(gpa: number, hex: string): void {
  machine.views.u8.set(Buffer.from(hex.replace(/\s/g, ''), 'hex'), RAM_BASE + gpa);
}

/** Instructions that ran translated, and calls of regions from the interpreter's loop. */
function runTranslated(
  code: string,
  registers: Readonly<Record<number, bigint>>,
): { ran: number; entries: number } {
  const { views, vcpu } = machine;
  const entries = (): number => Number(views.data.getBigUint64(vcpu.cpu + VCPU.at.countRegionEntries, true));
  const before = { ran: translatedInstructions(machine), entries: entries() };
  expect(run(machine, { code, registers })).toEqual({ kind: 'asked', what: 'port' });
  return { ran: translatedInstructions(machine) - before.ran, entries: entries() - before.entries };
}

describe('a return from another page', () => {
  it('goes where the stack says, not behind its call', () => {
    // cmp ecx, r8d; cmove rax, r9; add [rsp], rax; ret
    put(FUNCTION, '4439c1 490f44c1 48010424 c3');
    // 1: mov eax, 0; call rsi; add ebx, 1 (skipped once); dec ecx; jnz 1b; out 80h
    const code = 'b800000000 ffd6 83c301 ffc9 75f2 e680';
    const registers = { [RBX]: 0n, [RCX]: 5000n, [RSI]: BigInt(FUNCTION), [R8]: CHANGE, [R9]: 3n };
    expect(runTranslated(code, registers).ran).toBeGreaterThan(30_000);
    expect(machine.register(RBX)).toBe(4999n);
  });

  it('goes on behind its call where the region cannot be entered, as another way leads there', () => {
    put(FUNCTION, 'c3');
    // 1: test cl, 1; je 2f; call rsi; 2: add ebx, 1; dec ecx; jnz 1b; out 80h
    const code = 'f6c101 7402 ffd6 83c301 ffc9 75f2 e680';
    const registers = { [RBX]: 0n, [RCX]: 5000n, [RSI]: BigInt(FUNCTION) };
    expect(runTranslated(code, registers).ran).toBeGreaterThan(20_000);
    expect(machine.register(RBX)).toBe(5000n);
  });

  it('executes what the callee has written behind the call', () => {
    // cmp ecx, r8d; cmove rdi, r9; mov byte [rdi], 7; ret
    put(FUNCTION, '4439c1 490f44f9 c60707 c3');
    // 1: call rsi; add ebx, 1; dec ecx; jnz 1b; out 80h
    const code = 'ffd6 83c301 ffc9 75f7 e680';
    const pointers = { [RSI]: BigInt(FUNCTION), [RDI]: 0x20000n, [R9]: CODE + 4n };
    expect(runTranslated(code, { [RBX]: 0n, [RCX]: 5000n, [R8]: CHANGE, ...pointers }).ran).toBeGreaterThan(
      20_000,
    );
    expect(machine.register(RBX)).toBe(5000n - CHANGE + CHANGE * 7n);
  });

  it('finds its way out of a recursion deeper than there are links', () => {
    // dec eax; jz 1f; call rsi; inc ebx; 1: ret
    put(FUNCTION, 'ffc8 7404 ffd6 ffc3 c3');
    // 1: mov eax, 3000; call rsi; dec ecx; jnz 1b; out 80h
    const code = 'b8b80b0000 ffd6 ffc9 75f5 e680';
    expect(runTranslated(code, { [RBX]: 0n, [RCX]: 10n, [RSI]: BigInt(FUNCTION) }).ran).toBeGreaterThan(
      100_000,
    );
    expect(machine.register(RBX)).toBe(10n * 2999n);
  });

  it('goes where the stack says that the callee has changed to, if both stacks have the same links', () => {
    // mov eax, 1; xchg rsp, rdi; ret
    put(FUNCTION, 'b801000000 4887fc c3');
    // 1: lea r9, [rip + 10h] (2f); lea rdi, [rsp - 4008h]; mov [rdi], r9; call rsi; add ebx, 100 (not reached);
    // 2: lea rsp, [rdi + 8]; add ebx, eax; dec ecx; jnz 1b; out 80h
    const code = '4c8d0d10000000 488dbc24f8bfffff 4c890f ffd6 83c364 488d6708 01c3 ffc9 75df e680';
    const { ran } = runTranslated(code, { [RBX]: 0n, [RCX]: 2000n, [RSI]: BigInt(FUNCTION) });
    expect(ran).toBeGreaterThan(10_000);
    expect(machine.register(RBX)).toBe(2000n);
  });
});

describe('a device that answers translated code', () => {
  it.each([
    // mov eax, [rdi]; mov [rdi], eax
    ['a read', '8b07'],
    ['a write', '8907'],
    ['WRMSR', '0f30'],
    ['RDMSR', '0f32'],
  ])('to %s and writes behind the next call has that executed when the call returns', (_access, access) => {
    let accesses = 0;
    const write = (): number => {
      if (++accesses === Number(CHANGE)) {
        machine.views.u8[RAM_BASE + Number(CODE) + 6] = 7;
        machine.vcpu.core.invalidateCode(machine.vcpu.cpu, Number(CODE) + 6, 1);
      }
      return 0;
    };
    const host = { mmioRead: write, mmioWrite: write, readMsr: write, writeMsr: write };
    machine = eagerMachine(CORE, INTERPRETER, { host });
    put(FUNCTION, 'c3');
    // 1: access; call rsi; add ebx, 1; dec r8d; jnz 1b; out 80h
    const registers = { [RBX]: 0n, [R8]: 5000n, [RCX]: 0n, [RSI]: BigInt(FUNCTION), [RDI]: 0x2000_0000n };
    const code = `${access} ffd6 83c301 41ffc8 75f4 e680`;
    expect(runTranslated(code, registers).ran).toBeGreaterThan(20_000);
    expect(machine.register(RBX)).toBe(CHANGE - 1n + (5001n - CHANGE) * 7n);
  });
});

it('code that turns alignment checks on has them in the translated function that it calls', () => {
  const { views, vcpu } = machine;
  const set = (at: number, bits: number): void => {
    views.u32[at >>> 2]! |= bits;
  };
  // CPL 3, its pages, CR0.AM
  for (const at of [VCPU.at.segAttr + SEG_CS * 4, VCPU.at.segAttr + SEG_SS * 4]) set(vcpu.cpu + at, 0x60);
  for (const entry of [0x1000, 0x2000]) set(RAM_BASE + entry, 4);
  set(vcpu.cpu + VCPU.at.cr0, 1 << 18);
  vcpu.core.updateMode(vcpu.cpu);
  // mov eax, [rdi]; ret
  put(FUNCTION, '8b07 c3');
  // 1: mov eax, 2; cmp ecx, r8d; cmove eax, r9d; push rax; popfq; call rsi; dec ecx; jnz 1b
  const code = 'b802000000 4439c1 410f44c1 50 9d ffd6 ffc9 75ec';
  const pointers = { [RSI]: BigInt(FUNCTION), [RDI]: 0x20001n };
  const registers = { [RCX]: 5000n, [R8]: CHANGE, [R9]: 0x40002n, ...pointers };
  // #AC has no handler.
  expect(run(machine, { code, registers })).toEqual({ kind: 'shutdown' });
  expect(machine.register(RCX)).toBe(CHANGE);
  expect(translatedInstructions(machine)).toBeGreaterThan(30_000);
});

it('a region with calls inside leaves for another page all the same', () => {
  // add eax, 1; ret
  put(FUNCTION, '83c001 c3');
  // 1: call 2f; call rsi; add ebx, eax; dec ecx; jnz 1b; out 80h; 2: mov eax, 1; ret
  const code = 'e80a000000 ffd6 01c3 ffc9 75f3 e680 b801000000 c3';
  expect(runTranslated(code, { [RBX]: 0n, [RCX]: 5000n, [RSI]: BigInt(FUNCTION) }).ran).toBeGreaterThan(
    40_000,
  );
  expect(machine.register(RBX)).toBe(10_000n);
});

it('calls and returns between pages stay in translated code', () => {
  // add ebx, 1; ret
  put(FUNCTION, '83c301 c3');
  // 1: call rsi; dec ecx; jnz 1b; out 80h
  const registers = { [RBX]: 0n, [RCX]: 50_000n, [RSI]: BigInt(FUNCTION) };
  runTranslated('ffd6 ffc9 75fa e680', registers);
  const { ran, entries } = runTranslated('ffd6 ffc9 75fa e680', registers);
  expect(ran).toBeGreaterThan(240_000);
  // One for each stay of 2,000 instructions.
  expect(entries).toBeLessThan(200);
});
