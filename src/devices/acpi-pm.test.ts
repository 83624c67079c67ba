/** Names refer to ACPI 6.5, 4.8.3. */
import { describe, expect, it } from 'vitest';
import { timedMemory } from '../time/manual-time.ts';
import { AcpiPm } from './acpi-pm.ts';
import { portsOf, TestLine } from './test-devices.ts';

const STATUS = 0x600;
const ENABLE = 0x602;
const CONTROL = 0x604;
const TIMER = 0x608;

function pmBoard() {
  const { views, time, clock } = timedMemory();
  const line = new TestLine();
  const asked: string[] = [];
  const pm = new AcpiPm({ views, clock, line, powerOff: () => asked.push('power off') });
  pm.reset();
  return { pm, line, asked, time, clock, ...portsOf(pm) };
}

describe('the PM timer', () => {
  it('counts at 3.579545 MHz in 32 bits', () => {
    const { time, inl } = pmBoard();
    expect(inl(TIMER)).toBe(0);
    time.advance(1e9);
    expect(inl(TIMER)).toBe(3_579_545);
    time.advance(1200e9);
    expect(inl(TIMER)).toBe((1201 * 3_579_545) % 2 ** 32);
  });

  it('can be read in parts', () => {
    const { time, inl, inw, inb } = pmBoard();
    time.advance(20e9);
    const value = inl(TIMER);
    expect([inw(TIMER), inw(TIMER + 2), inb(TIMER + 3)]).toEqual([
      value & 0xffff,
      value >>> 16,
      value >>> 24,
    ]);
  });

  it('interrupts when its top bit changes', () => {
    const { pm, line, time, clock, outw, inw } = pmBoard();
    expect(pm.nextDeadline()).toBe(Infinity);
    outw(ENABLE, 1);
    expect(pm.nextDeadline()).toBeCloseTo((2 ** 31 / 3_579_545) * 1e9, -2);
    time.advance(pm.nextDeadline() + 300);
    pm.expire(clock.now());
    expect(line.asserted).toBe(true);
    expect(inw(STATUS)).toBe(1);
    outw(STATUS, 1);
    expect(line.asserted).toBe(false);
  });
});

describe('PM1', () => {
  it('is in ACPI mode from the start', () => {
    const { inw, outw } = pmBoard();
    expect(inw(CONTROL)).toBe(1);
    outw(CONTROL, 0);
    expect(inw(CONTROL)).toBe(1);
  });

  it('reports the power button by SCI while it is enabled', () => {
    const { pm, line, inw, outw } = pmBoard();
    pm.pressPowerButton();
    expect([inw(STATUS), line.asserted]).toEqual([0x100, false]);
    outw(ENABLE, 0x100);
    expect(line.asserted).toBe(true);
    outw(STATUS, 0x100);
    expect([inw(STATUS), line.asserted]).toEqual([0, false]);
  });

  it('takes status and enable in one doubleword', () => {
    const { pm, inl, outl } = pmBoard();
    pm.pressPowerButton();
    expect(inl(STATUS)).toBe(0x100);
    outl(STATUS, 0x01200100);
    expect(inl(STATUS)).toBe(0x01200000);
  });

  it('powers off on SLP_EN with the type of S5, and not with another', () => {
    const { asked, outw, outb, inw } = pmBoard();
    outw(CONTROL, (1 << 10) | 0x2001);
    expect(asked).toEqual([]);
    outw(CONTROL, 0x2001);
    expect(asked).toEqual(['power off']);
    expect(inw(CONTROL)).toBe(1);
    outb(CONTROL + 1, 0x20);
    expect(asked).toEqual(['power off', 'power off']);
  });
});

describe('GPE block 0', () => {
  it('raises an SCI for an enabled event until its status is cleared', () => {
    const { pm, line, inb, outb } = pmBoard();
    outb(0xafe2, 0x02);
    pm.raiseGpe(1);
    expect([inb(0xafe0), line.asserted]).toEqual([0x02, true]);
    outb(0xafe0, 0x02);
    expect([inb(0xafe0), line.asserted]).toEqual([0, false]);
  });
});
