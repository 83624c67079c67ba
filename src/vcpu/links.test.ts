/** Links (docs/jit.md): how translated code goes on in other pages without a look at TLB and region cache. */
import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { RAM_BASE } from '../layout/map.ts';
import { VCPU } from '../layout/vcpu.ts';
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
