/** Translated code whose code segment is not the one that it was translated under, and code that overwrites itself. */
import { heatMask } from './tiering.ts';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { RAM_BASE } from '../layout/map.ts';
import { VCPU } from '../layout/vcpu.ts';
import { bareMachine, type BareMachine } from './testing/bare-machine.ts';

const CORE = readFileSync('build/core.wasm');
const INTERPRETER = readFileSync('build/interpreter.wasm');
const RAX = 0;
const RCX = 1;
const RDX = 2;
const RBX = 3;
const RSP = 4;
const ATTR_CODE32 = 0xc09b;
const ATTR_CODE16 = 0x009b;
/** Few, as the runs are short. */
const THRESHOLD = 16;
const MANY = 100;

/** Compatibility mode with this code segment. */
function setCode({ views, vcpu }: BareMachine, attributes: number, base: number, limit: number): void {
  views.u32[(vcpu.cpu + VCPU.at.segAttr + 4) >>> 2] = attributes;
  views.u32[(vcpu.cpu + VCPU.at.segLimit + 4) >>> 2] = limit;
  views.data.setBigUint64(vcpu.cpu + VCPU.at.segBase + 8, BigInt(base), true);
  vcpu.core.updateMode(vcpu.cpu);
}

function machineWith(code: Readonly<Record<number, string>>): BareMachine {
  const machine = bareMachine(CORE, INTERPRETER, true);
  const { views, vcpu } = machine;
  views.u32[(vcpu.cpu + VCPU.at.heatMask) >>> 2] = heatMask(THRESHOLD);
  for (const [address, hex] of Object.entries(code)) {
    views.u8.set(Buffer.from(hex.replace(/\s/g, ''), 'hex'), RAM_BASE + Number(address));
  }
  return machine;
}

/** Runs from `ip` to OUT 80h, AL; gives EAX and EBX. */
function runFrom(
  machine: BareMachine,
  ip: number,
  registers: Readonly<Record<number, number>>,
): [eax: bigint, ebx: bigint] {
  const { views, vcpu } = machine;
  for (const [index, value] of Object.entries(registers)) {
    views.data.setBigUint64(vcpu.cpu + VCPU.at.regs + Number(index) * 8, BigInt(value), true);
  }
  views.data.setBigUint64(vcpu.cpu + VCPU.at.rip, BigInt(ip), true);
  expect(vcpu.run()).toEqual({ kind: 'asked', what: 'port' });
  return [machine.register(RAX), machine.register(RBX)];
}

function translated({ views, vcpu }: BareMachine): bigint {
  return views.data.getBigUint64(vcpu.cpu + VCPU.at.countRegionInstructions, true);
}

function warm(machine: BareMachine, ip: number, registers: Readonly<Record<number, number>>): void {
  for (let i = 0; i < MANY; i++) runFrom(machine, ip, registers);
  expect(translated(machine)).toBeGreaterThan(0n);
}

const START = { [RAX]: 0, [RBX]: 0, [RCX]: 20 };

describe('16-bit code', () => {
  // 900h: dec cx; jnz 900h; jmp 8f0h      8f0h: inc ax; out 80h, al
  const backward = { 0x10900: '49 75fd ebeb', 0x108f0: '40 e680' };

  it('runs translated where its segment starts in the page', () => {
    const machine = machineWith(backward);
    setCode(machine, ATTR_CODE16, 0x10810, 0xffff);
    warm(machine, 0xf0, START);
    const before = translated(machine);
    expect(runFrom(machine, 0xf0, START)).toEqual([1n, 0n]);
    expect(translated(machine) - before).toBeGreaterThan(20n);
  });

  it('wraps a jump back to before the start of a segment, although another segment has the target', () => {
    // At offset fff0h of the second segment: inc bx; out 80h, al
    const machine = machineWith({ ...backward, 0x208f0: '43 e680' });
    setCode(machine, ATTR_CODE16, 0x10000, 0xffff);
    warm(machine, 0x900, START);
    setCode(machine, ATTR_CODE16, 0x10900, 0xffff);
    expect(runFrom(machine, 0, START)).toEqual([0n, 1n]);
    expect(runFrom(machine, 0, START)).toEqual([0n, 1n]);
  });

  it('wraps a jump ahead to behind 64 KiB', () => {
    // 900h: dec cx; jnz 900h; jmp 950h      950h: inc ax; out 80h, al
    const machine = machineWith({ 0x20900: '49 75fd eb4b', 0x20950: '40 e680', 0x10950: '43 e680' });
    setCode(machine, ATTR_CODE16, 0x20000, 0xffff);
    warm(machine, 0x900, START);
    // There the loop is at ffe0h, and what the jump goes to at 30h.
    setCode(machine, ATTR_CODE16, 0x20900 - 0xffe0, 0xffff);
    expect(runFrom(machine, 0xffe0, START)).toEqual([0n, 1n]);
  });

  it('faults where the limit of another segment ends between two translated blocks', () => {
    const machine = machineWith(backward);
    setCode(machine, ATTR_CODE16, 0x10000, 0xffff);
    warm(machine, 0x900, START);
    // The loop is inside, the jump behind it is not: no IDT, so that is a triple fault.
    setCode(machine, ATTR_CODE16, 0x10000, 0x902);
    const { views, vcpu } = machine;
    views.data.setBigUint64(vcpu.cpu + VCPU.at.rip, 0x900n, true);
    expect(vcpu.run()).toEqual({ kind: 'shutdown' });
    expect(views.u32[(vcpu.cpu + VCPU.at.rip) >>> 2]).toBe(0x903);
  });
});

describe('upper halves of registers', () => {
  it('are gone behind 64-bit mode, so that interpreted and translated code agree about them', () => {
    // push eax; pop ebx; out 80h, al
    const machine = machineWith({ 0x10000: '50 5b e680' });
    const { views, vcpu } = machine;
    views.data.setBigUint64(vcpu.cpu + VCPU.at.regs + RSP * 8, 0x7_0000_9000n, true);
    setCode(machine, ATTR_CODE32, 0, 0xffffffff);
    runFrom(machine, 0x10000, {});
    expect(machine.register(RSP)).toBe(0x9000n);
    warm(machine, 0x10000, {});
    expect(machine.register(RSP)).toBe(0x9000n);
  });
});

describe('PUSHA that overwrites the code behind it', () => {
  it('leaves translated code, and what it has pushed is executed', () => {
    // pusha; six times inc eax; out 80h, al
    const code = 0x10100;
    const machine = machineWith({ [code]: '60 404040404040 e680' });
    setCode(machine, ATTR_CODE32, 0, 0xffffffff);
    warm(machine, code, { [RSP]: 0x9000 });
    // The bytes behind PUSHA become six times inc ebx; out 80h, al; PUSHA itself stays.
    const pushed = { [RAX]: 0x80e64343, [RCX]: 0x43434343, [RDX]: 0x60909090, [RBX]: 0 };
    expect(runFrom(machine, code, { ...pushed, [RSP]: code + 9 })).toEqual([0x80e64343n, 6n]);
  });
});
