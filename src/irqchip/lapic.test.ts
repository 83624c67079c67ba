/** Names refer to Intel SDM volume 3A, chapter 11 (10 in older editions). */
import { describe, expect, it } from 'vitest';
import { ATTENTION_INIT, ATTENTION_INTERRUPT, ATTENTION_NMI } from '../layout/vcpu.ts';
import { testBoard } from './test-board.ts';

const ID = 0x20;
const TPR = 0x80;
const PPR = 0xa0;
const EOI = 0xb0;
const LDR = 0xd0;
const DFR = 0xe0;
const SVR = 0xf0;
const ESR = 0x280;
const ICR = 0x300;
const ICR_HIGH = 0x310;
const LVT_TIMER = 0x320;
const LVT_LINT0 = 0x350;
const LVT_LINT1 = 0x360;
const LVT_ERROR = 0x370;
const INITIAL_COUNT = 0x380;
const CURRENT_COUNT = 0x390;
const DIVIDE = 0x3e0;

/** APIC base register: where the registers are, on. */
const BASE = 0xfee00800;
const X2APIC = BASE | 0x400;

/** `vcpus` CPUs with their APICs enabled by software and LINT0 masked. */
function apicBoard(vcpus = 1) {
  const board = testBoard(vcpus);
  for (let cpu = 0; cpu < vcpus; cpu++) {
    board.irqchip.writeLapic(cpu, SVR, 0x1ff);
    board.irqchip.writeLapic(cpu, LVT_LINT0, 0x10000);
  }
  board.signalled.length = 0;
  const write = (register: number, value: number) => board.irqchip.writeLapic(0, register, value);
  const read = (register: number) => board.irqchip.readLapic(0, register);
  const sendSelf = (vector: number) => write(ICR, 0x44000 | vector);
  return { ...board, write, read, sendSelf };
}

describe('priorities (11.8)', () => {
  it('delivers the highest vector first and keeps lower ones back until EOI', () => {
    const { irqchip, sendSelf, write } = apicBoard();
    sendSelf(0x41);
    sendSelf(0x61);
    expect(irqchip.acknowledge(0)).toBe(0x61);
    expect(irqchip.pendingVector(0)).toBe(-1);
    write(EOI, 0);
    expect(irqchip.acknowledge(0)).toBe(0x41);
  });

  it('interrupts a lower class by a higher one, not within a class', () => {
    const { irqchip, sendSelf } = apicBoard();
    sendSelf(0x41);
    irqchip.acknowledge(0);
    sendSelf(0x4f);
    expect(irqchip.pendingVector(0)).toBe(-1);
    sendSelf(0x50);
    expect(irqchip.pendingVector(0)).toBe(0x50);
  });

  it('holds back what the task priority covers', () => {
    const { irqchip, sendSelf, write, read } = apicBoard();
    write(TPR, 0x50);
    sendSelf(0x51);
    expect(irqchip.pendingVector(0)).toBe(-1);
    expect(read(PPR)).toBe(0x50);
    write(TPR, 0x40);
    expect(irqchip.pendingVector(0)).toBe(0x51);
  });

  it('shows CR8 as the upper half of the task priority', () => {
    const { irqchip, read } = apicBoard();
    irqchip.setTaskPriority(0, 9);
    expect(read(TPR)).toBe(0x90);
    expect(irqchip.taskPriority(0)).toBe(9);
  });

  it('shows vectors in IRR, then in ISR', () => {
    const { irqchip, sendSelf, read } = apicBoard();
    sendSelf(0x41);
    expect(read(0x220)).toBe(2);
    irqchip.acknowledge(0);
    expect([read(0x220), read(0x120), read(PPR)]).toEqual([0, 2, 0x40]);
  });
});

describe('attention', () => {
  it('is set with an interrupt and cleared when none is left', () => {
    const { irqchip, attention, sendSelf } = apicBoard();
    sendSelf(0x41);
    expect(attention(0)).toBe(ATTENTION_INTERRUPT);
    irqchip.acknowledge(0);
    expect(irqchip.pendingVector(0)).toBe(-1);
    expect(attention(0)).toBe(0);
  });

  it('comes back with the EOI that lets a vector through', () => {
    const { irqchip, attention, sendSelf, write } = apicBoard();
    sendSelf(0x81);
    irqchip.acknowledge(0);
    sendSelf(0x80);
    irqchip.pendingVector(0);
    expect(attention(0)).toBe(0);
    write(EOI, 0);
    expect(attention(0)).toBe(ATTENTION_INTERRUPT);
  });

  it('comes back with the task priority that lets a vector through', () => {
    const { irqchip, attention, sendSelf, write } = apicBoard();
    write(TPR, 0x80);
    sendSelf(0x80);
    irqchip.pendingVector(0);
    expect(attention(0)).toBe(0);
    write(TPR, 0x70);
    expect(attention(0)).toBe(ATTENTION_INTERRUPT);
  });
});

describe('the timer (11.5.4)', () => {
  it('fires once in one-shot mode, counting at the divided rate', () => {
    const { run, write, read } = apicBoard();
    write(DIVIDE, 0x3);
    write(LVT_TIMER, 0x40);
    write(INITIAL_COUNT, 1000);
    expect(run(8000)).toEqual([]);
    expect(read(CURRENT_COUNT)).toBe(500);
    expect(run(8001)).toEqual([0x40]);
    expect(read(CURRENT_COUNT)).toBe(0);
    expect(run(100_000)).toEqual([]);
  });

  it.each([
    [0x0, 2],
    [0x1, 4],
    [0x2, 8],
    [0x3, 16],
    [0x8, 32],
    [0x9, 64],
    [0xa, 128],
    [0xb, 1],
  ])('divide configuration %d divides by %d', (configuration, divisor) => {
    const { irqchip, write } = apicBoard();
    write(DIVIDE, configuration);
    write(INITIAL_COUNT, 100);
    expect(irqchip.nextDeadline(0)).toBe(100 * divisor);
  });

  it('fires every period in periodic mode', () => {
    const { irqchip, time, write } = apicBoard();
    write(DIVIDE, 0xb);
    write(LVT_TIMER, 0x20040);
    write(INITIAL_COUNT, 1_000_000);
    expect(irqchip.nextDeadline(0)).toBe(1_000_000);
    time.advance(3_500_000);
    irqchip.expire(0, 3_500_000);
    expect(irqchip.acknowledge(0)).toBe(0x40);
    expect(irqchip.nextDeadline(0)).toBe(4_000_000);
  });

  it('counts but does not interrupt while masked', () => {
    const { run, write, read } = apicBoard();
    write(DIVIDE, 0xb);
    write(LVT_TIMER, 0x10040);
    write(INITIAL_COUNT, 1000);
    run(400);
    expect(read(CURRENT_COUNT)).toBeGreaterThan(500);
    expect(run(1000)).toEqual([]);
  });

  it('stops when 0 is written', () => {
    const { irqchip, write } = apicBoard();
    write(LVT_TIMER, 0x40);
    write(INITIAL_COUNT, 1000);
    write(INITIAL_COUNT, 0);
    expect(irqchip.nextDeadline(0)).toBe(Infinity);
  });

  it('fires at the TSC deadline and disarms itself', () => {
    const { irqchip, run, write } = apicBoard();
    write(LVT_TIMER, 0x40040);
    irqchip.writeTscDeadline(0, 0, 5000);
    expect(irqchip.readTscDeadline(0)).toEqual([0, 5000]);
    expect(run(4000)).toEqual([]);
    expect(run(1001)).toEqual([0x40]);
    expect(irqchip.readTscDeadline(0)).toEqual([0, 0]);
  });

  it('fires at once for a deadline in the past, never for 0', () => {
    const { irqchip, time, write } = apicBoard();
    write(LVT_TIMER, 0x40040);
    time.advance(10_000);
    irqchip.writeTscDeadline(0, 0, 0);
    expect(irqchip.pendingVector(0)).toBe(-1);
    irqchip.writeTscDeadline(0, 0, 5000);
    expect(irqchip.pendingVector(0)).toBe(0x40);
  });

  it('ignores the deadline register in other modes, and a change of mode disarms', () => {
    const { irqchip, write } = apicBoard();
    write(LVT_TIMER, 0x40);
    irqchip.writeTscDeadline(0, 0, 5000);
    expect(irqchip.nextDeadline(0)).toBe(Infinity);
    write(LVT_TIMER, 0x40040);
    irqchip.writeTscDeadline(0, 0, 5000);
    expect(irqchip.nextDeadline(0)).toBe(5000);
    write(LVT_TIMER, 0x40);
    expect(irqchip.nextDeadline(0)).toBe(Infinity);
  });
});

describe('interprocessor interrupts (11.6)', () => {
  it.each([
    ['physical', 0x01000000, 0x0041, [1]],
    ['physical broadcast', 0xff000000, 0x0041, [0, 1, 2, 3]],
    ['self', 0, 0x40041, [0]],
    ['all', 0, 0x80041, [0, 1, 2, 3]],
    ['all but self', 0, 0xc0041, [1, 2, 3]],
    ['logical flat', 0x06000000, 0x0841, [1, 2]],
    ['nobody', 0x09000000, 0x0041, []],
  ])('reach %s', (_, high, low, expected) => {
    const { irqchip, write } = apicBoard(4);
    [0, 1, 2, 3].forEach((cpu) => irqchip.writeLapic(cpu, LDR, (1 << cpu) << 24));
    write(ICR_HIGH, high);
    write(ICR, low);
    expect([0, 1, 2, 3].filter((cpu) => irqchip.pendingVector(cpu) === 0x41)).toEqual(expected);
  });

  it('match clusters in the cluster model', () => {
    const { irqchip, write } = apicBoard(4);
    [0x11, 0x12, 0x21, 0x22].forEach((ldr, cpu) => {
      irqchip.writeLapic(cpu, DFR, 0x0fffffff);
      irqchip.writeLapic(cpu, LDR, ldr << 24);
    });
    write(ICR_HIGH, 0x23000000);
    write(ICR, 0x841);
    expect([0, 1, 2, 3].filter((cpu) => irqchip.pendingVector(cpu) === 0x41)).toEqual([2, 3]);
  });

  it('with lowest priority go to one CPU, the least busy', () => {
    const { irqchip, write } = apicBoard(2);
    write(TPR, 0x20);
    write(ICR_HIGH, 0xff000000);
    write(ICR, 0x141);
    expect([irqchip.pendingVector(0), irqchip.pendingVector(1)]).toEqual([-1, 0x41]);
  });

  it('start another CPU by INIT and start-up', () => {
    const { irqchip, attention, write } = apicBoard(2);
    write(ICR_HIGH, 0x01000000);
    write(ICR, 0xc500);
    expect(attention(1)).toBe(ATTENTION_INIT);
    expect(irqchip.takeInit(1)).toBe(true);
    expect(irqchip.takeInit(1)).toBe(false);
    write(ICR, 0x8500);
    expect(irqchip.takeInit(1)).toBe(false);
    write(ICR, 0x4699);
    expect(irqchip.takeStartup(1)).toBe(0x99);
    expect(irqchip.takeStartup(1)).toBe(-1);
  });

  it('deliver NMIs past all priorities', () => {
    const { attention, write } = apicBoard(2);
    write(ICR_HIGH, 0x01000000);
    write(ICR, 0x4400);
    expect(attention(1)).toBe(ATTENTION_NMI);
  });
});

describe('local interrupts (11.5.1)', () => {
  it('passes the 8259 on as ExtINT on the boot CPU after reset', () => {
    const { irqchip } = testBoard(2);
    irqchip.writePic(0x20, 0x11);
    irqchip.writePic(0x21, 0x30);
    irqchip.writePic(0x21, 0x04);
    irqchip.writePic(0x21, 0x01);
    irqchip.writePic(0x21, 0x00);
    irqchip.line(4).set(true);
    expect([irqchip.pendingVector(0), irqchip.pendingVector(1)]).toEqual([0x34, -1]);
  });

  it('makes a fixed interrupt of LINT0 in virtual wire mode', () => {
    const { irqchip, write } = apicBoard();
    write(LVT_LINT0, 0x45);
    irqchip.writePic(0x20, 0x11);
    irqchip.writePic(0x21, 0x30);
    irqchip.writePic(0x21, 0x04);
    irqchip.writePic(0x21, 0x01);
    irqchip.writePic(0x21, 0x00);
    irqchip.line(4).set(true);
    expect(irqchip.acknowledge(0)).toBe(0x45);
  });

  it('makes an NMI of LINT1', () => {
    const { irqchip, attention, write } = apicBoard();
    irqchip.raiseNmi();
    expect(attention(0)).toBe(0);
    write(LVT_LINT1, 0x400);
    irqchip.raiseNmi();
    expect(attention(0)).toBe(ATTENTION_NMI);
  });
});

describe('errors (11.5.3)', () => {
  it('reports an illegal vector after a write to ESR, by the error interrupt', () => {
    const { irqchip, read, write } = apicBoard();
    write(LVT_ERROR, 0xfe);
    write(ICR, 0x44005);
    expect(irqchip.pendingVector(0)).toBe(0xfe);
    expect(read(ESR)).toBe(0);
    write(ESR, 0);
    expect(read(ESR)).toBe(0x20);
    write(ESR, 0);
    expect(read(ESR)).toBe(0);
  });

  it('reports an illegal register', () => {
    const { read, write } = apicBoard();
    read(0x3d0);
    write(ESR, 0);
    expect(read(ESR)).toBe(0x80);
  });
});

describe('modes (11.4.3, 11.12)', () => {
  it('accepts nothing while software has it disabled, and masks its LVT', () => {
    const { irqchip, read, sendSelf, write } = apicBoard();
    write(LVT_TIMER, 0x40);
    write(SVR, 0xff);
    sendSelf(0x41);
    expect(irqchip.pendingVector(0)).toBe(-1);
    expect(read(LVT_TIMER)).toBe(0x10040);
  });

  it.each([
    ['off to x2APIC', [0xfee00000, X2APIC], [true, false]],
    ['x2APIC to xAPIC', [X2APIC, BASE], [true, false]],
    ['x2APIC to off to xAPIC', [X2APIC, 0xfee00000, BASE], [true, true, true]],
    ['x2APIC without enable', [0xfee00400], [false]],
    ['another address', [0xfec00800], [false]],
  ])('change as the figure allows: %s', (_, values, expected) => {
    const { irqchip } = apicBoard();
    expect(values.map((value) => irqchip.writeApicBase(0, 0, value))).toEqual(expected);
  });

  it('has IDs of 32 bits in x2APIC mode', () => {
    const { irqchip } = apicBoard(4);
    irqchip.writeApicBase(2, 0, X2APIC);
    expect(irqchip.lapicMapped(2)).toBe(false);
    expect(irqchip.readX2apic(2, ID >>> 4)).toEqual([0, 2]);
    expect(irqchip.readX2apic(2, LDR >>> 4)).toEqual([0, 4]);
  });

  it.each([
    ['a reserved bit of the task priority', TPR, 0, 0x100],
    ['an EOI that is not 0', EOI, 0, 1],
    ['the read-only ID', ID, 0, 0],
    ['the upper half of a 32-bit register', TPR, 1, 0],
    ['DFR', DFR, 0, 0],
    ['the upper half of ICR as a register', ICR_HIGH, 0, 0],
    ['a register that is not there', 0x3d0, 0, 0],
  ])('raises #GP for a write of %s', (_, register, high, low) => {
    const { irqchip } = apicBoard();
    irqchip.writeApicBase(0, 0, X2APIC);
    expect(irqchip.writeX2apic(0, register >>> 4, high, low)).toBe(false);
  });

  it('sends an IPI by one write of ICR, and one to itself', () => {
    const { irqchip } = apicBoard(2);
    irqchip.writeApicBase(0, 0, X2APIC);
    expect(irqchip.writeX2apic(0, ICR >>> 4, 1, 0x41)).toBe(true);
    expect(irqchip.writeX2apic(0, 0x3f, 0, 0x42)).toBe(true);
    expect([irqchip.pendingVector(0), irqchip.pendingVector(1)]).toEqual([0x42, 0x41]);
  });

  it('knows no x2APIC register in xAPIC mode', () => {
    const { irqchip } = apicBoard();
    expect(irqchip.readX2apic(0, ID >>> 4)).toBeUndefined();
    expect(irqchip.writeX2apic(0, EOI >>> 4, 0, 0)).toBe(false);
  });
});
