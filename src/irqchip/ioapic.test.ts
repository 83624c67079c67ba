/** Names refer to the 82093AA data sheet (290566-001). */
import { describe, expect, it } from 'vitest';
import { testBoard } from './test-board.ts';

const MASKED = 0x10000;
const LEVEL = 0x8000;
const REMOTE_IRR = 0x4000;
const EOI = 0xb0;

function ioapicBoard(vcpus = 1) {
  const board = testBoard(vcpus);
  const { irqchip } = board;
  for (let cpu = 0; cpu < vcpus; cpu++) {
    irqchip.writeLapic(cpu, 0xf0, 0x1ff);
    irqchip.writeLapic(cpu, 0x350, MASKED);
    irqchip.writeLapic(cpu, 0xd0, (1 << cpu) << 24);
  }
  const register = (index: number, value?: number) => {
    irqchip.writeIoApic(0, index);
    if (value !== undefined) irqchip.writeIoApic(0x10, value);
    return irqchip.readIoApic(0x10);
  };
  const route = (pin: number, low: number, high = 0) => {
    register(0x11 + 2 * pin, high);
    register(0x10 + 2 * pin, low);
  };
  const endOfInterrupt = () => irqchip.writeLapic(0, EOI, 0);
  return { ...board, register, route, endOfInterrupt };
}

describe('the I/O APIC', () => {
  it('has 24 masked pins, version 20h', () => {
    const { register } = ioapicBoard();
    expect(register(1)).toBe(0x170020);
    expect(register(0x10)).toBe(MASKED);
    expect(register(0x3e)).toBe(MASKED);
  });

  it('keeps its ID and the read-only bits of an entry', () => {
    const { register } = ioapicBoard();
    expect(register(0, 0x0f000000)).toBe(0x0f000000);
    expect(register(0x12, 0xffffffff)).toBe(0x1afff);
    expect(register(0x13, 0xffffffff)).toBe(0xff000000);
  });

  it('sends one interrupt per edge', () => {
    const { irqchip, route, endOfInterrupt } = ioapicBoard();
    route(4, 0x44);
    const line = irqchip.line(4);
    line.set(true);
    expect(irqchip.acknowledge(0)).toBe(0x44);
    endOfInterrupt();
    expect(irqchip.pendingVector(0)).toBe(-1);
    line.set(false);
    line.set(true);
    expect(irqchip.pendingVector(0)).toBe(0x44);
  });

  it('loses an edge on a masked pin', () => {
    const { irqchip, route } = ioapicBoard();
    irqchip.line(4).set(true);
    route(4, 0x44);
    expect(irqchip.pendingVector(0)).toBe(-1);
  });

  it('repeats a level interrupt after EOI while the line is asserted', () => {
    const { irqchip, register, route, endOfInterrupt } = ioapicBoard();
    route(10, LEVEL | 0x5a);
    const line = irqchip.line(10);
    line.set(true);
    expect(irqchip.acknowledge(0)).toBe(0x5a);
    expect(register(0x24)).toBe(LEVEL | REMOTE_IRR | 0x5a);
    expect(irqchip.pendingVector(0)).toBe(-1);
    endOfInterrupt();
    expect(irqchip.acknowledge(0)).toBe(0x5a);
    line.set(false);
    endOfInterrupt();
    expect(irqchip.pendingVector(0)).toBe(-1);
    expect(register(0x24)).toBe(LEVEL | 0x5a);
  });

  it('sends a level interrupt when its pin is unmasked', () => {
    const { irqchip, route } = ioapicBoard();
    route(10, LEVEL | MASKED | 0x5a);
    irqchip.line(10).set(true);
    expect(irqchip.pendingVector(0)).toBe(-1);
    route(10, LEVEL | 0x5a);
    expect(irqchip.pendingVector(0)).toBe(0x5a);
  });

  it('ends a level interrupt by its own EOI register', () => {
    const { irqchip, register, route } = ioapicBoard();
    route(10, LEVEL | 0x5a);
    irqchip.line(10).set(true);
    irqchip.line(10).set(false);
    irqchip.writeIoApic(0x40, 0x5a);
    expect(register(0x24)).toBe(LEVEL | 0x5a);
  });

  it('keeps a line asserted while any of its devices asserts it', () => {
    const { irqchip, route, endOfInterrupt } = ioapicBoard();
    route(10, LEVEL | 0x5a);
    irqchip.line(10, 1).set(true);
    irqchip.line(10, 2).set(true);
    irqchip.acknowledge(0);
    irqchip.line(10, 1).set(false);
    endOfInterrupt();
    expect(irqchip.acknowledge(0)).toBe(0x5a);
    irqchip.line(10, 2).set(false);
    endOfInterrupt();
    expect(irqchip.pendingVector(0)).toBe(-1);
  });

  it('gets the timer on pin 2', () => {
    const { run, irqchip, route } = ioapicBoard();
    route(2, 0x30);
    irqchip.writePit(0x43, 0x34);
    irqchip.writePit(0x40, 0xa9);
    irqchip.writePit(0x40, 0x04);
    expect(run(1_001_000)).toEqual([0x30]);
  });

  it.each([
    ['physical', 0x45, 0x01000000, [1]],
    ['logical', 0x845, 0x05000000, [0, 2]],
    ['lowest priority', 0x945, 0xff000000, [0]],
  ])('addresses CPUs: %s', (_, low, high, expected) => {
    const { irqchip, route } = ioapicBoard(3);
    route(5, low, high);
    irqchip.line(5).set(true);
    expect([0, 1, 2].filter((cpu) => irqchip.pendingVector(cpu) === 0x45)).toEqual(expected);
  });
});

describe('a message-signalled interrupt', () => {
  it('is a write into the local APIC page', () => {
    const { irqchip } = ioapicBoard(2);
    expect(irqchip.sendMsi(0xfee01000, 0x46)).toBe(true);
    expect([irqchip.pendingVector(0), irqchip.pendingVector(1)]).toEqual([-1, 0x46]);
  });

  it('is refused elsewhere', () => {
    expect(ioapicBoard().irqchip.sendMsi(0xfed01000, 0x46)).toBe(false);
  });
});
