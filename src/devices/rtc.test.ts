/** Names refer to the MC146818A data sheet. */
import { describe, expect, it } from 'vitest';
import { timedMemory } from '../time/manual-time.ts';
import { RealTimeClock } from './rtc.ts';
import { portsOf, TestLine } from './test-devices.ts';

const A = 0x0a;
const B = 0x0b;
const C = 0x0c;
const D = 0x0d;
const MIB = 0x100000;

function rtcBoard(start = '2024-02-29T23:59:58.000Z', ramBytes = 512 * MIB) {
  const { views, time, clock } = timedMemory();
  const zero = Date.parse(start) - time.milliseconds;
  const line = new TestLine();
  const rtc = new RealTimeClock({
    views,
    clock,
    wallClock: () => zero + time.milliseconds,
    line,
    ramBytes,
    vcpus: 2,
  });
  rtc.powerOn();
  const { inb, outb } = portsOf(rtc);
  const read = (index: number) => {
    outb(0x70, index);
    return inb(0x71);
  };
  const write = (index: number, value: number) => {
    outb(0x70, index);
    outb(0x71, value);
  };
  /** Lets time pass, firing the timer whenever it is due. */
  const run = (milliseconds: number) => {
    const end = clock.now() + milliseconds * 1e6;
    while (rtc.nextDeadline() < end) {
      time.advance(rtc.nextDeadline() - clock.now() + 100);
      rtc.expire(clock.now());
    }
    time.advance(Math.max(0, end - clock.now()));
  };
  const hex = (...indices: number[]) =>
    indices.map((index) => read(index).toString(16).padStart(2, '0')).join(' ');
  return { rtc, line, read, write, run, hex, outb };
}

describe('the time', () => {
  it('is the host’s in BCD, with century and day of week', () => {
    const { hex, run } = rtcBoard();
    expect(hex(0x32, 9, 8, 7, 4, 2, 0, 6)).toBe('20 24 02 29 23 59 58 05');
    run(2000);
    expect(hex(0x32, 9, 8, 7, 4, 2, 0, 6)).toBe('20 24 03 01 00 00 00 06');
  });

  it('is binary with DM, and in 12 hours with bit 7 for the afternoon', () => {
    const { hex, write } = rtcBoard();
    write(B, 0x06);
    expect(hex(0x32, 9, 4, 2)).toBe('14 18 17 3b');
    write(B, 0x00);
    expect(hex(4)).toBe('91');
  });

  it('can be set while SET holds it still', () => {
    const { hex, write, run } = rtcBoard();
    write(B, 0x82);
    run(5000);
    expect(hex(0)).toBe('58');
    write(0x32, 0x19);
    write(9, 0x99);
    write(8, 0x12);
    write(7, 0x31);
    write(4, 0x12);
    write(2, 0x30);
    write(0, 0x00);
    write(B, 0x02);
    run(61_000);
    expect(hex(0x32, 9, 8, 7, 4, 2, 0)).toBe('19 99 12 31 12 31 01');
  });

  it('starts half a second after the divider is released', () => {
    const { hex, write, run } = rtcBoard();
    write(A, 0x76);
    write(0, 0x10);
    write(A, 0x26);
    run(499);
    expect(hex(0)).toBe('10');
    run(2);
    expect(hex(0)).toBe('11');
  });

  it('announces an update by UIP', () => {
    const { read, run } = rtcBoard();
    expect(read(A)).toBe(0x26);
    run(998);
    expect(read(A)).toBe(0xa6);
    run(3);
    expect(read(A)).toBe(0x26);
  });
});

describe('interrupts', () => {
  it('come every period at the selected rate, until register C is read', () => {
    const { line, read, write, run } = rtcBoard();
    write(B, 0x42);
    run(100);
    expect(line.asserted).toBe(true);
    expect(line.edges).toBe(1);
    expect(read(C)).toBe(0xc0);
    expect(line.asserted).toBe(false);
    run(0.98);
    expect(line.edges).toBe(2);
  });

  it.each([
    [0x21, 128],
    [0x22, 64],
    [0x26, 512],
    [0x2f, 1],
    [0x2a, 32],
  ])('have the rate of register A = %d: %d in half a second', (a, expected) => {
    const { line, read, write, run } = rtcBoard();
    write(A, a);
    read(C);
    write(B, 0x42);
    // Steps that never end on a tick, where a read would take the flag before the interrupt.
    Array.from({ length: 1350 }, () => {
      run(0.3703);
      read(C);
    });
    expect(Math.abs(line.edges - expected)).toBeLessThanOrEqual(1);
  });

  it('come with every update', () => {
    const { line, read, write, run } = rtcBoard();
    write(B, 0x12);
    run(1001);
    expect(line.asserted).toBe(true);
    expect(read(C) & 0xb0).toBe(0x90);
    run(1000);
    expect(line.edges).toBe(2);
  });

  it('come at the alarm time', () => {
    const { rtc, line, read, write, run } = rtcBoard();
    write(5, 0x00);
    write(3, 0x00);
    write(1, 0x05);
    write(B, 0x22);
    expect(rtc.nextDeadline()).toBeCloseTo(7e9, -6);
    run(6999);
    expect(line.asserted).toBe(false);
    run(2);
    expect(line.asserted).toBe(true);
    expect(read(C) & 0xa0).toBe(0xa0);
  });

  it('match any value of an alarm byte with both upper bits set', () => {
    const { line, write, run, read } = rtcBoard();
    write(5, 0xff);
    write(3, 0xff);
    write(1, 0x30);
    write(B, 0x22);
    run(32_001);
    expect(line.edges).toBe(1);
    read(C);
    run(60_000);
    expect(line.edges).toBe(2);
  });

  it('do not come for an alarm that never matches', () => {
    const { rtc, write } = rtcBoard();
    write(1, 0x99);
    write(B, 0x22);
    expect(rtc.nextDeadline()).toBe(Infinity);
  });

  it('leave their flags in register C although disabled', () => {
    const { line, read, run } = rtcBoard();
    run(1001);
    expect(read(C) & 0x50).toBe(0x50);
    expect(read(C)).toBe(0);
    expect(line.edges).toBe(0);
  });
});

describe('the CMOS RAM', () => {
  it('keeps what is written, and says that it is valid', () => {
    const { read, write } = rtcBoard();
    write(0x0f, 0x05);
    write(0x7f, 0xaa);
    expect([read(0x0f), read(0x7f), read(D)]).toEqual([0x05, 0xaa, 0x80]);
  });

  it('tells the memory size as QEMU’s does', () => {
    const { hex } = rtcBoard();
    expect(hex(0x16, 0x15, 0x18, 0x17, 0x31, 0x30, 0x35, 0x34, 0x5f)).toBe('02 80 ff ff ff ff 1f 00 01');
  });

  it('keeps time and RAM over a reset, not the interrupts', () => {
    const { rtc, read, write, hex } = rtcBoard();
    write(0x40, 0x12);
    write(B, 0x72);
    rtc.reset();
    expect(hex(0x40, B, 9)).toBe('12 02 24');
    expect(read(C)).toBe(0);
  });

  it('has the NMI mask in bit 7 of its index', () => {
    const { rtc, outb } = rtcBoard();
    outb(0x70, 0x8f);
    expect(rtc.nmiMasked).toBe(true);
    outb(0x70, 0x0f);
    expect(rtc.nmiMasked).toBe(false);
  });
});
