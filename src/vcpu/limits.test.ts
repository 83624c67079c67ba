/** The limit of CS outside the flat case, and #AC: through the run loop, with decoded blocks that are kept. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { RAM_BASE } from '../layout/map.ts';
import { VCPU } from '../layout/vcpu.ts';
import { bareMachine, run, type BareMachine } from './testing/bare-machine.ts';

const CORE = readFileSync('build/core.wasm');
const INTERPRETER = readFileSync('build/interpreter.wasm');
const RAX = 0;
const RCX = 1;
const RSP = 4;
const ATTR_CODE32 = 0xc09b;
const ATTR_CODE16 = 0x009b;
/** Where `run` puts the code. */
const CODE = 0x10000;

/** Compatibility mode without an IDT: any exception is a triple fault, with rip at the instruction. */
function limitedMachine(attributes: number, limit: number): BareMachine {
  const machine = bareMachine(CORE, INTERPRETER, false);
  const { views, vcpu } = machine;
  views.u32[(vcpu.cpu + VCPU.at.segAttr + 4) >>> 2] = attributes;
  views.u32[(vcpu.cpu + VCPU.at.segLimit + 4) >>> 2] = limit;
  vcpu.core.updateMode(vcpu.cpu);
  return machine;
}

function rip({ views, vcpu }: BareMachine): number {
  return views.u32[(vcpu.cpu + VCPU.at.rip) >>> 2]!;
}

describe('a code segment with a limit', () => {
  it('runs up to its last byte', () => {
    // 1: inc eax; loop 1b; out 80h, al
    const machine = limitedMachine(ATTR_CODE32, CODE + 4);
    const end = run(machine, { code: '40 e2fd e680', registers: { [RAX]: 0n, [RCX]: 5n } });
    expect(end).toEqual({ kind: 'asked', what: 'port' });
    expect(machine.register(RAX)).toBe(5n);
  });

  it('faults at an instruction whose last byte is beyond it', () => {
    // inc eax; mov al, 1, whose immediate is outside
    const machine = limitedMachine(ATTR_CODE32, CODE + 1);
    expect(run(machine, { code: '40 b001', registers: { [RAX]: 0n } })).toEqual({ kind: 'shutdown' });
    expect([rip(machine), machine.register(RAX)]).toEqual([CODE + 1, 1n]);
  });

  it('holds for blocks that were decoded under a larger one', () => {
    const machine = limitedMachine(ATTR_CODE32, 0xfffff);
    run(machine, { code: '40 40 e680', registers: { [RAX]: 0n } });
    machine.views.u32[(machine.vcpu.cpu + VCPU.at.segLimit + 4) >>> 2] = CODE;
    expect(run(machine, { code: '40 40 e680', registers: { [RAX]: 0n } })).toEqual({ kind: 'shutdown' });
    expect([rip(machine), machine.register(RAX)]).toEqual([CODE + 1, 1n]);
  });

  it('holds for an instruction over two pages that was kept under a larger one', () => {
    const machine = limitedMachine(ATTR_CODE32, 0xfffff);
    // mov eax, 5, with three bytes in the next page
    const program = { at: CODE + 0xffe, code: 'b805000000 e680', registers: { [RAX]: 0n } };
    expect(run(machine, program)).toEqual({ kind: 'asked', what: 'port' });
    expect(run(machine, program)).toEqual({ kind: 'asked', what: 'port' });
    machine.views.u32[(machine.vcpu.cpu + VCPU.at.segLimit + 4) >>> 2] = CODE + 0x1001;
    expect(run(machine, program)).toEqual({ kind: 'shutdown' });
    expect([rip(machine), machine.register(RAX)]).toEqual([CODE + 0xffe, 0n]);
  });

  it('makes a jump beyond it fault at the jump', () => {
    const machine = limitedMachine(ATTR_CODE32, CODE + 0xfff);
    // inc eax; jmp 1000h ahead
    expect(run(machine, { code: '40 e900100000', registers: { [RAX]: 0n } })).toEqual({ kind: 'shutdown' });
    expect([rip(machine), machine.register(RAX)]).toEqual([CODE + 1, 1n]);
  });

  it('ends 16-bit code that runs on behind FFFFh', () => {
    const machine = limitedMachine(ATTR_CODE16, 0xffff);
    // inc ax as the last byte of the segment
    const end = run(machine, { at: 0xffff, code: '40 40 e680', registers: { [RAX]: 0n } });
    expect(end).toEqual({ kind: 'shutdown' });
    expect([rip(machine), machine.register(RAX)]).toEqual([0x10000, 1n]);
  });

  it('lets 16-bit code run on behind FFFFh where it reaches further', () => {
    const machine = limitedMachine(ATTR_CODE16, 0x1ffff);
    const end = run(machine, { at: 0xfffe, code: '40 40 40 e680', registers: { [RAX]: 0n } });
    expect(end).toEqual({ kind: 'asked', what: 'port' });
    expect(machine.register(RAX)).toBe(3n);
  });

  it('makes a 32-bit call in 16-bit code fault before it pushes', () => {
    const machine = limitedMachine(ATTR_CODE16, 0xffff);
    machine.views.u32[(machine.vcpu.cpu + VCPU.at.segBase + 8) >>> 2] = CODE;
    machine.vcpu.core.updateMode(machine.vcpu.cpu);
    machine.views.u8.set([0x66, 0xe8, 0, 0, 1, 0], RAM_BASE + CODE);
    run(machine, { at: 0, code: '', registers: { [RSP]: 0x8000n } });
    expect([rip(machine), machine.register(RSP)]).toEqual([0, 0x8000n]);
  });
});

describe('real mode with a handler that faults at its first instruction', () => {
  it('comes back to the run loop all the same', () => {
    let turns = 0;
    const machine: BareMachine = bareMachine(CORE, INTERPRETER, false, {
      turn: () => {
        if (++turns === 10) machine.vcpu.leave('port');
      },
    });
    const { views, vcpu } = machine;
    for (let segment = 0; segment < 6; segment++) {
      views.u32[(vcpu.cpu + VCPU.at.segAttr + segment * 4) >>> 2] = segment === 1 ? 0x9b : 0x93;
      views.u32[(vcpu.cpu + VCPU.at.segLimit + segment * 4) >>> 2] = 0xffff;
    }
    // The stack lies by itself, as it goes round and round.
    views.data.setBigUint64(vcpu.cpu + VCPU.at.segBase + 2 * 8, 0x20000n, true);
    views.data.setBigUint64(vcpu.cpu + VCPU.at.cr0, 0x30n, true);
    views.data.setBigUint64(vcpu.cpu + VCPU.at.efer, 0n, true);
    views.u32[(vcpu.cpu + VCPU.at.idtLimit) >>> 2] = 0x3ff;
    vcpu.core.updateMode(vcpu.cpu);
    // ud2 at 500h, and the vector of #UD leads there
    views.u32[(RAM_BASE + 6 * 4) >>> 2] = 0x500;
    expect(run(machine, { at: 0x500, code: '0f0b' })).toEqual({ kind: 'asked', what: 'port' });
    expect(rip(machine)).toBe(0x500);
  });
});
