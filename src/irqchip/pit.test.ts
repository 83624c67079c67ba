/** Names refer to the Intel 8254 data sheet (231164-005), "Mode Definitions". */
import { describe, expect, it } from 'vitest';
import { PIT_HZ } from './pit.ts';
import { testBoard } from './test-board.ts';

const TICK = 1e9 / PIT_HZ;
/** In the middle of the nth tick. */
const ticks = (n: number) => (n + 0.5) * TICK;

/** A board whose PIC passes IRQ 0 as vector 20h and ends it by itself. */
function pitBoard() {
  const board = testBoard();
  const { irqchip } = board;
  irqchip.writePic(0x20, 0x11);
  irqchip.writePic(0x21, 0x20);
  irqchip.writePic(0x21, 0x04);
  irqchip.writePic(0x21, 0x03);
  irqchip.writePic(0x21, 0x00);
  const control = (value: number) => irqchip.writePit(0x43, value);
  const count = (channel: number, value: number) => {
    irqchip.writePit(0x40 + channel, value & 0xff);
    irqchip.writePit(0x40 + channel, value >>> 8);
  };
  const readCount = (channel: number) =>
    irqchip.readPit(0x40 + channel) | (irqchip.readPit(0x40 + channel) << 8);
  return { ...board, control, count, readCount };
}

describe('the 8254', () => {
  it('does not tick before it is programmed', () => {
    expect(testBoard().irqchip.pitTimer.nextDeadline()).toBe(Infinity);
  });

  it('interrupts once at terminal count in mode 0', () => {
    const { run, control, count } = pitBoard();
    control(0x30);
    count(0, 1000);
    expect(run(ticks(998))).toEqual([]);
    expect(run(ticks(2))).toEqual([0x20]);
    expect(run(ticks(200_000))).toEqual([]);
  });

  it('interrupts every period in mode 2, without drift', () => {
    const { run, control, count } = pitBoard();
    control(0x34);
    count(0, 11932);
    expect(run(1e9 + 1e6)).toHaveLength(100);
    expect(run(9e9)).toHaveLength(900);
  });

  it('counts 0 as 65536: the 18.2 Hz of DOS', () => {
    const { run, control, count } = pitBoard();
    control(0x36);
    count(0, 0);
    expect(run(10e9)).toHaveLength(182);
  });

  it('makes one interrupt of many missed periods', () => {
    const { time, irqchip, control, count } = pitBoard();
    control(0x34);
    count(0, 1193);
    time.advance(50e6);
    irqchip.pitTimer.expire(50e6);
    expect(irqchip.acknowledge(0)).toBe(0x20);
    expect(irqchip.pendingVector(0)).toBe(-1);
    expect(irqchip.pitTimer.nextDeadline()).toBeGreaterThan(50e6);
    expect(irqchip.pitTimer.nextDeadline()).toBeLessThan(51.1e6);
  });

  it.each([
    ['mode 0', 0xb0, 5000],
    ['mode 2', 0xb4, 5000],
    ['mode 4', 0xb8, 5000],
  ])('counts down by one a tick in %s', (_, word, start) => {
    const { time, irqchip, control, count, readCount } = pitBoard();
    irqchip.writeSpeaker(1);
    control(word);
    count(2, start);
    time.advance(ticks(100));
    control(0x80);
    expect(readCount(2)).toBe(4900);
  });

  it('counts down by two in mode 3, twice per period', () => {
    const { time, irqchip, control, count, readCount } = pitBoard();
    irqchip.writeSpeaker(1);
    control(0xb6);
    count(2, 5000);
    time.advance(ticks(100));
    control(0x80);
    expect(readCount(2)).toBe(4800);
    time.advance(ticks(2500) - ticks(0));
    control(0x80);
    expect(readCount(2)).toBe(4800);
  });

  it('keeps a latched count until it is read', () => {
    const { time, irqchip, control, count, readCount } = pitBoard();
    irqchip.writeSpeaker(1);
    control(0xb0);
    count(2, 5000);
    time.advance(ticks(100));
    control(0x80);
    time.advance(ticks(1000));
    control(0x80);
    expect(readCount(2)).toBe(4900);
    expect(readCount(2)).toBeLessThan(3950);
  });

  it('counts in BCD', () => {
    const { time, irqchip, control, count, readCount } = pitBoard();
    irqchip.writeSpeaker(1);
    control(0xb1);
    count(2, 0x1000);
    time.advance(ticks(1));
    expect(readCount(2)).toBe(0x0999);
  });

  it('counts on from where the gate stopped it in mode 0', () => {
    const { time, irqchip, control, count, readCount } = pitBoard();
    irqchip.writeSpeaker(1);
    control(0xb0);
    count(2, 5000);
    time.advance(ticks(100));
    irqchip.writeSpeaker(0);
    time.advance(ticks(300));
    expect(readCount(2)).toBe(4900);
    irqchip.writeSpeaker(1);
    time.advance(ticks(50));
    expect(readCount(2)).toBe(4850);
  });

  it('shows the output of channel 2 in port 61h: how Linux calibrates', () => {
    const { time, irqchip, control, count } = pitBoard();
    irqchip.writeSpeaker(1);
    control(0xb0);
    count(2, 59_659);
    time.advance(49.9e6);
    expect(irqchip.readSpeaker() & 0x20).toBe(0);
    time.advance(0.2e6);
    expect(irqchip.readSpeaker() & 0x21).toBe(0x21);
  });

  it('triggers the one-shot of mode 1 by the gate', () => {
    const { time, irqchip, control, count } = pitBoard();
    control(0xb2);
    count(2, 1000);
    time.advance(ticks(2000));
    expect(irqchip.readSpeaker() & 0x20).toBe(0x20);
    irqchip.writeSpeaker(1);
    expect(irqchip.readSpeaker() & 0x20).toBe(0);
    time.advance(ticks(1001));
    expect(irqchip.readSpeaker() & 0x20).toBe(0x20);
  });

  it('uses a new count from the next period on', () => {
    const { run, control, count } = pitBoard();
    control(0x34);
    count(0, 10_000);
    run(ticks(5000));
    count(0, 1000);
    expect(run(ticks(4990))).toEqual([]);
    expect(run(ticks(1000))).toHaveLength(1);
    expect(run(ticks(1000))).toHaveLength(1);
  });

  it('reads back status: output, null count, access, mode', () => {
    const { irqchip, control, count } = pitBoard();
    irqchip.writeSpeaker(1);
    control(0xb4);
    control(0xe8);
    expect(irqchip.readPit(0x42)).toBe(0xf4);
    count(2, 1000);
    control(0xe8);
    expect(irqchip.readPit(0x42)).toBe(0xb4);
  });

  it('toggles the refresh bit every 15 us', () => {
    const { time, irqchip } = pitBoard();
    const before = irqchip.readSpeaker() & 0x10;
    time.advance(15_100);
    expect(irqchip.readSpeaker() & 0x10).toBe(before ^ 0x10);
  });
});
