/** When external interrupts and NMIs are taken: AMD64 APM vol. 2, 8.2.3 and vol. 3, STI and MOV. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FLAG_IF } from '../layout/registers.ts';
import { ATTENTION_NMI, SHADOW_STACK, VCPU } from '../layout/vcpu.ts';
import { bareMachine, run, setHandlers, type BareMachine } from './testing/bare-machine.ts';

const CORE = readFileSync('build/core.wasm');
const INTERPRETER = readFileSync('build/interpreter.wasm');

const CODE = 0x10000;
/** What the handler leaves: the saved RIP of its first call, and how often it was called. */
const FIRST_RIP = 14;
const COUNT = 15;
const VECTOR = 0x40;
// inc r15; cmp r15, 1; cmove r14, [rsp]; iretq
const HANDLE = '49ffc7 4983ff01 4c0f443424 48cf';

function machineWithHandlers(jit: boolean): BareMachine {
  const machine = bareMachine(CORE, INTERPRETER, jit);
  setHandlers(machine, { 2: HANDLE, [VECTOR]: HANDLE });
  return machine;
}

function requestNmi({ views, vcpu }: BareMachine): void {
  views.u32[(vcpu.cpu + VCPU.at.attention) >>> 2]! |= ATTENTION_NMI;
}

describe.each([
  ['interpreter', false],
  ['translated code', true],
])('an interrupt, %s,', (_name, jit) => {
  it('waits for IF', () => {
    const machine = machineWithHandlers(jit);
    machine.interrupt(VECTOR);
    run(machine, { code: '90 90 e680', registers: { [COUNT]: 0n } });
    expect(machine.register(COUNT)).toBe(0n);
  });

  it('waits for the instruction behind STI', () => {
    const machine = machineWithHandlers(jit);
    machine.interrupt(VECTOR);
    // sti; nop; nop
    run(machine, { code: 'fb 90 90 e680', registers: { [COUNT]: 0n } });
    expect([machine.register(COUNT), machine.register(FIRST_RIP)]).toEqual([1n, BigInt(CODE + 2)]);
  });

  it('is not let in by an STI that a CLI follows', () => {
    const machine = machineWithHandlers(jit);
    machine.interrupt(VECTOR);
    run(machine, { code: 'fb fa 90 e680', registers: { [COUNT]: 0n } });
    expect(machine.register(COUNT)).toBe(0n);
  });

  it('waits for the instruction behind a load of SS', () => {
    const machine = machineWithHandlers(jit);
    const { cpu } = machine.vcpu;
    machine.views.u32[(cpu + VCPU.at.shadow) >>> 2] = SHADOW_STACK;
    machine.views.u32[(cpu + VCPU.at.shadowRip) >>> 2] = CODE;
    machine.views.u32[(cpu + VCPU.at.eflags) >>> 2]! |= FLAG_IF;
    machine.interrupt(VECTOR);
    run(machine, { code: '90 90 e680', registers: { [COUNT]: 0n } });
    expect([machine.register(COUNT), machine.register(FIRST_RIP)]).toEqual([1n, BigInt(CODE + 1)]);
  });

  it('does not wait for a load of SS that is long over', () => {
    const machine = machineWithHandlers(jit);
    const { cpu } = machine.vcpu;
    machine.views.u32[(cpu + VCPU.at.shadow) >>> 2] = SHADOW_STACK;
    machine.views.u32[(cpu + VCPU.at.shadowRip) >>> 2] = CODE - 100;
    machine.views.u32[(cpu + VCPU.at.eflags) >>> 2]! |= FLAG_IF;
    machine.interrupt(VECTOR);
    run(machine, { code: '90 90 e680', registers: { [COUNT]: 0n } });
    expect([machine.register(COUNT), machine.register(FIRST_RIP)]).toEqual([1n, BigInt(CODE)]);
  });

  it('ends a loop that would never end', () => {
    const machine = machineWithHandlers(jit);
    // out 80h in the handler
    setHandlers(machine, { [VECTOR]: 'e680' });
    machine.interrupt(VECTOR);
    // sti; 1: jmp 1b
    const end = run(machine, { code: 'fb ebfe' });
    expect(end).toEqual({ kind: 'asked', what: 'port' });
  });
});

describe('an NMI', () => {
  it('does not wait for IF', () => {
    const machine = machineWithHandlers(false);
    requestNmi(machine);
    run(machine, { code: '90 e680', registers: { [COUNT]: 0n } });
    expect([machine.register(COUNT), machine.register(FIRST_RIP)]).toEqual([1n, BigInt(CODE)]);
  });

  it('waits for the IRET of the one before it', () => {
    const machine = machineWithHandlers(false);
    machine.views.u32[(machine.vcpu.cpu + VCPU.at.nmiBlocked) >>> 2] = 1;
    requestNmi(machine);
    // nop; pushes an interrupt frame that leads to the nop behind IRETQ
    const code = '90 6a10 54 9c 6a08 488d0503000000 50 48cf 90 e680';
    run(machine, { code, registers: { [COUNT]: 0n } });
    expect([machine.register(COUNT), machine.register(FIRST_RIP)]).toEqual([1n, BigInt(CODE + 17)]);
  });
});
