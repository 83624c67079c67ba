/** Instructions that the interpreter executes two at a time (isa/pairs.ts). */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { formName, formOf } from '../isa/forms.ts';
import { PAIRS, pairHandler } from '../isa/pairs.ts';
import { BLOCK_HASH_OFFSET } from '../layout/map.ts';
import { BLOCK, blockHash, RECORD } from '../layout/vcpu.ts';
import { bareMachine, run, setHandlers } from './testing/bare-machine.ts';

const CORE = readFileSync('build/core.wasm');
const INTERPRETER = readFileSync('build/interpreter.wasm');
const RAX = 0;
const RCX = 1;
const RDX = 2;
const RBX = 3;
const RSI = 6;
const RDI = 7;

function handlerNamed(name: string): number {
  const handler = Array.from({ length: 4000 }, (_, i) => i).find((i) => {
    const form = formOf(i);
    return form !== undefined && formName(form) === name;
  });
  return handler!;
}

describe('the table of pairs', () => {
  it.each([
    ['cmp Ev,Gv 32 reg', 'je Jb 64', 'cmp Ev,Gv 32 reg', 'je Jz 32'],
    ['cmp Ev,Gv 64 reg', 'ja Jb 64', 'cmp Ev,Gv 64 reg', 'ja Jz 64'],
  ])('has one handler for %s with %s and in other code', (first, second, same, other) => {
    const handler = pairHandler(handlerNamed(first), handlerNamed(second));
    expect(handler).toBeGreaterThan(0);
    expect(pairHandler(handlerNamed(same), handlerNamed(other))).toBe(handler);
  });

  it('has none for what takes its operand size from elsewhere', () => {
    expect(pairHandler(handlerNamed('cmp Ev,Gv 32 reg'), handlerNamed('je Jb 16'))).toBe(0);
    expect(pairHandler(handlerNamed('cmp Ev,Gv 16 reg'), handlerNamed('je Jb 64'))).toBe(0);
  });

  it('gives each pair a handler of its own', () => {
    expect(new Set(PAIRS.map(({ handler }) => handler)).size).toBe(PAIRS.length);
  });
});

it('a decoded block has the handler of the pair in the record of the first instruction', () => {
  const machine = bareMachine(CORE, INTERPRETER, false);
  // mov rax, rdx; mov rcx, [rsi]; out 80h, al
  run(machine, { code: '4889d0 488b0e e680', registers: { [RSI]: 0x20000n } });
  const { u16, u32 } = machine.views;
  const block = u32[(machine.vcpu.cpu + BLOCK_HASH_OFFSET + blockHash(0x10000) * 4) >>> 2]!;
  const handler = u16[(block + BLOCK.size + RECORD.at.handler) >>> 1]!;
  expect(handler).toBe(pairHandler(handlerNamed('mov Ev,Gv 64 reg'), handlerNamed('mov Gv,Ev 64 mem')));
});

describe('the second instruction of a pair', () => {
  it('is executed as the first one has written it', () => {
    const machine = bareMachine(CORE, INTERPRETER, false);
    // mov [rdi], rax; mov rcx, [rsi]; out 80h, al -> the second one becomes mov rcx, rsi
    run(machine, {
      code: '488907 488b0e e680',
      registers: { [RAX]: 0x80e6_f18948n, [RCX]: 0n, [RSI]: 0x20000n, [RDI]: 0x10003n },
    });
    expect(machine.register(RCX)).toBe(0x20000n);
  });

  it('faults at its own address, with the first one done', () => {
    const machine = bareMachine(CORE, INTERPRETER, false);
    // #PF: pop rdx, the error code; pop rdx, RIP; out 80h, al
    setHandlers(machine, { 14: '5a 5a e680' });
    // mov rax, [rbx]; mov rcx, [rsi], where nothing is mapped
    run(machine, {
      code: '488b03 488b0e',
      registers: { [RAX]: 0n, [RCX]: 7n, [RBX]: 0x10000n, [RSI]: 0x4000_0000n },
    });
    expect(machine.register(RDX)).toBe(0x10003n);
    expect(machine.register(RAX) & 0xffffffn).toBe(0x038b48n);
    expect(machine.register(RCX)).toBe(7n);
  });

  it('is not executed when the first one faults', () => {
    const machine = bareMachine(CORE, INTERPRETER, false);
    setHandlers(machine, { 14: '5a 5a e680' });
    // mov rax, [rbx], where nothing is mapped; mov rcx, [rsi]
    run(machine, {
      code: '488b03 488b0e',
      registers: { [RCX]: 7n, [RBX]: 0x4000_0000n, [RSI]: 0x10000n },
    });
    expect(machine.register(RDX)).toBe(0x10000n);
    expect(machine.register(RCX)).toBe(7n);
  });

  it('branches or falls through by the flags of the first one', () => {
    const machine = bareMachine(CORE, INTERPRETER, false);
    // 1: inc eax; cmp eax, ecx; jne 1b; test eax, eax; jne 2f; xor ecx, ecx; 2: out 80h, al
    run(machine, { code: 'ffc0 39c8 75fa 85c0 7502 31c9 e680', registers: { [RAX]: 0n, [RCX]: 5n } });
    expect(machine.register(RAX)).toBe(5n);
    expect(machine.register(RCX)).toBe(5n);
  });
});
