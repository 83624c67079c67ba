import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { RAM_BASE } from '../layout/map.ts';
import { VCPU } from '../layout/vcpu.ts';
import { bareMachine, run, type BareMachine } from './testing/bare-machine.ts';

const CORE = readFileSync('build/core.wasm');
const INTERPRETER = readFileSync('build/interpreter.wasm');
const RAX = 0;
const RCX = 1;
const RBX = 3;

function count(machine: BareMachine, counter: number): number {
  return Number(machine.views.data.getBigUint64(machine.vcpu.cpu + counter, true));
}

describe.each([
  ['interpreter', false],
  ['translated code', true],
])('%s', (_name, jit) => {
  it('runs a loop with loads, stores and branches to its end', () => {
    const machine = bareMachine(CORE, INTERPRETER, jit);
    // 1: add rax, rcx; mov [rbx], rax; mov rdx, [rbx]; xor rsi, rdx; cmp edx, 7; jne 2f; inc r8; 2: dec ecx; jnz 1b
    const code = '4801c8 488903 488b13 4831d6 83fa07 7503 49ffc0 ffc9 75e8 e680';
    const end = run(machine, {
      code,
      registers: { [RAX]: 0n, [RCX]: 100_000n, [RBX]: 0x20000n, 6: 0n, 8: 0n },
    });
    expect(end).toEqual({ kind: 'asked', what: 'port' });
    expect(machine.register(RAX)).toBe(5_000_050_000n);
    expect(machine.register(RCX)).toBe(0n);
  });

  it('executes an instruction that the one before it wrote', () => {
    const machine = bareMachine(CORE, INTERPRETER, jit);
    // mov byte [rip + 2], 2; mov al, 1 -> mov al, 2
    run(machine, { code: 'c6050100000002 b001 e680', registers: { [RAX]: 0n } });
    expect(machine.register(RAX)).toBe(2n);
  });

  it('sees new code in a loop that has run often', () => {
    const machine = bareMachine(CORE, INTERPRETER, jit);
    // 1: add eax, 1 (imm8 at +2); dec ecx; jnz 1b; dec ebx; js 2f; mov byte [rip to imm8], 3; mov ecx, 5000; jmp 1b; 2:
    const code = '83c001 ffc9 75f9 ffcb 780e c605f0ffffff03 b988130000 ebe7 e680';
    run(machine, { code, registers: { [RAX]: 0n, [RCX]: 5000n, [RBX]: 1n } });
    expect(machine.register(RAX)).toBe(5000n + 3n * 5000n);
  });

  it('decodes an instruction that crosses a page once', () => {
    const machine = bareMachine(CORE, INTERPRETER, jit);
    // 10ffe: add eax, 5; dec ecx; jnz 10ffe; out 80h, al
    const code = '83c005 ffc9 75f9 e680';
    run(machine, { at: 0x10ffe, code, registers: { [RAX]: 0n, [RCX]: 2_000_000n } });
    expect(machine.register(RAX)).toBe(10_000_000n);
    expect(count(machine, VCPU.at.countInstructionsDecoded)).toBeLessThan(20);
    expect(count(machine, VCPU.at.countRegionInstructions) > 4_000_000).toBe(jit);
  });

  it('sees the second half of an instruction that crosses a page change', () => {
    const machine = bareMachine(CORE, INTERPRETER, jit);
    // 10ffe: add eax, 1 (its last byte at 11000); dec ecx; jnz 10ffe; dec ebx; js 2f; mov byte [11000h], 3; mov ecx, 2000000; jmp 10ffe; 2:
    const code = '83c001 ffc9 75f9 ffcb 780f c604250010010003 b980841e00 ebe6 e680';
    run(machine, { at: 0x10ffe, code, registers: { [RAX]: 0n, [RCX]: 2_000_000n, [RBX]: 1n } });
    expect(machine.register(RAX)).toBe(2_000_000n + 3n * 2_000_000n);
  });

  it('executes an instruction that crosses a page with the bytes that either page has now', () => {
    const machine = bareMachine(CORE, INTERPRETER, jit);
    // 1: add eax, 5, with its 5 in the next page; dec ecx; jnz 1b; dec ebx; js 2f; mov byte [rip to the 5], 7; mov ecx, 100; jmp 1b; 2:
    const again = 'ffc9 75f9 ffcb 780e c605f0ffffff07 b964000000 ebe7 e680';
    run(machine, { at: 0x10ffe, code: `83c005 ${again}`, registers: { [RAX]: 0n, [RCX]: 100n, [RBX]: 1n } });
    expect(machine.register(RAX)).toBe(5n * 100n + 7n * 100n);
    // The same with the 83h of the first page becoming 6Bh: imul eax, eax, 5, once.
    const other = 'ffc9 75f9 ffcb 780e c605eeffffff6b b901000000 ebe7 e680';
    run(machine, { at: 0x20ffe, code: `83c005 ${other}`, registers: { [RAX]: 0n, [RCX]: 2n, [RBX]: 1n } });
    expect(machine.register(RAX)).toBe(50n);
  });

  it('reads an XMM register that FXRSTOR has loaded, not what was written to it before', () => {
    const machine = bareMachine(CORE, INTERPRETER, jit);
    const { views, vcpu } = machine;
    views.data.setBigUint64(vcpu.cpu + VCPU.at.cr4, 0x220n, true);
    vcpu.core.updateMode(vcpu.cpu);
    views.data.setUint32(RAM_BASE + 0x20000 + 24, 0x1f80, true);
    views.data.setUint32(RAM_BASE + 0x20000 + 160, 0x12345678, true);
    // 1: movd xmm0, ecx; fxrstor [rbx]; movaps [rdi], xmm0; dec ecx; jnz 1b
    const code = '660f6ec1 0fae0b 0f2907 ffc9 75f2 e680';
    run(machine, { code, registers: { [RCX]: 500_000n, [RBX]: 0x20000n, 7: 0x21000n } });
    expect(count(machine, VCPU.at.countRegionInstructions) > 500_000).toBe(jit);
    expect(views.data.getUint32(RAM_BASE + 0x21000, true)).toBe(0x12345678);
  });

  it('keeps registers and flags exact at a fault in the middle of a block', () => {
    const machine = bareMachine(CORE, INTERPRETER, jit);
    // 1: add rax, 1; mov rdx, [rbx]; sub rbx, 1000h... until the address is no longer mapped; there is no IDT
    const end = run(machine, {
      code: '4883c001 488b13 4881c300100000 ebf0',
      registers: { [RAX]: 0n, [RBX]: 0n },
    });
    expect(end).toEqual({ kind: 'shutdown' });
    // 1 GiB is mapped: 262,144 pages; only 16 MiB are RAM, the rest reads as MMIO.
    expect(machine.register(RAX)).toBe(262_145n);
    expect(machine.register(RBX)).toBe(0x40000000n);
  });
});

describe('the run loop', () => {
  it('stops at a HLT behind an instruction that crosses a page', () => {
    const machine = bareMachine(CORE, INTERPRETER, false);
    // add eax, 5 with its last byte in the next page; hlt; mov al, 1; out 80h
    run(machine, { at: 0x10ffe, code: '83c005 f4 b001 e680', registers: { [RAX]: 0n } });
    expect(machine.views.u32[(machine.vcpu.cpu + VCPU.at.halted) >>> 2]).toBe(1);
    expect(machine.register(RAX)).toBe(5n);
  });

  it('wakes the thread that it owes a kick before it halts', () => {
    const machine = bareMachine(CORE, INTERPRETER, false);
    const owed = (machine.vcpu.cpu + VCPU.at.owedKick) >>> 2;
    machine.views.u32[owed] = 1;
    run(machine, { code: 'f4' });
    expect(machine.views.u32[owed]).toBe(0);
  });
});
