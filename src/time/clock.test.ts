import { describe, expect, it } from 'vitest';
import { MACHINE } from '../layout/machine.ts';
import { MACHINE_BASE, vcpuAddress } from '../layout/map.ts';
import { GuestClock } from './clock.ts';
import { TimerSet } from './deadline.ts';
import { ManualTime, timedMemory } from './manual-time.ts';
import { readTsc, tscToTime, writeTsc } from './tsc.ts';

describe('the guest clock', () => {
  it('starts at 0 and follows the host', () => {
    const { clock, time } = timedMemory();
    expect(clock.now()).toBe(0);
    time.advance(1_500_000);
    expect(clock.now()).toBe(1_500_000);
  });

  it('passes more slowly than the host where the machine says so', () => {
    const { views, time } = timedMemory();
    views.u32[(MACHINE_BASE + MACHINE.at.clockDivisor) >>> 2] = 16;
    const clock = new GuestClock(views, () => time.milliseconds);
    clock.reset();
    time.advance(1_600_000);
    expect(clock.now()).toBe(100_000);
    expect(clock.millisecondsUntil(200_000)).toBe(1.6);
  });

  it('never steps back on any thread when host clocks differ', () => {
    const { views, clock, time } = timedMemory();
    const behind = new ManualTime();
    const other = new GuestClock(views, () => behind.milliseconds);
    time.advance(5000);
    expect(clock.now()).toBe(5000);
    expect(other.now()).toBe(5000);
    behind.advance(7000);
    expect(other.now()).toBe(7000);
    expect(clock.now()).toBe(7000);
  });

  it.each([2 ** 31 - 1, 2 ** 31, 2 ** 32 + 5, 86_400e9 + 123])(
    'counts exactly past the word size: %d',
    (ns) => {
      const { views, clock, time } = timedMemory();
      time.milliseconds = 0;
      clock.reset();
      time.milliseconds = ns / 1e6;
      expect(Math.abs(clock.now() - ns)).toBeLessThanOrEqual(1);
      expect(Math.abs(new GuestClock(views, () => 0).now() - ns)).toBeLessThanOrEqual(1);
    },
  );

  it('stands still while paused and goes on from there', () => {
    const { clock, time, views } = timedMemory();
    time.advance(1000);
    clock.pause();
    time.advance(1_000_000);
    expect(clock.now()).toBe(1000);
    expect(new GuestClock(views, () => time.milliseconds).paused).toBe(true);
    clock.resume();
    expect(clock.now()).toBe(1000);
    time.advance(500);
    expect(clock.now()).toBe(1500);
  });

  it('catches up with the host on request', () => {
    const { clock, time } = timedMemory();
    time.advance(1000);
    clock.pause();
    time.advance(1_000_000);
    clock.resume('follow-host');
    expect(clock.now()).toBe(1_001_000);
  });

  it('can be put at a time of its own', () => {
    const { clock, time } = timedMemory();
    clock.set(7e12);
    expect(clock.now()).toBe(7e12);
    time.advance(10_000);
    expect(clock.now()).toBe(7e12 + 10_000);
  });

  it('says how many host milliseconds are left', () => {
    const { clock } = timedMemory();
    expect(clock.millisecondsUntil(2_500_000)).toBe(2.5);
    expect(clock.millisecondsUntil(-5)).toBe(0);
    expect(clock.millisecondsUntil(Infinity)).toBe(Infinity);
  });
});

describe('the TSC', () => {
  const cpu = vcpuAddress(0);

  it('is the guest clock until it is written', () => {
    const { views } = timedMemory();
    expect(readTsc(views, cpu, 123_456)).toBe(123_456);
  });

  it.each([
    [5_000_000_000, 0, 0, 0],
    [10, 0x12, 0x34567890, 0x12 * 2 ** 32 + 0x34567890],
    [2 ** 33 + 7, 1, 0xffffffff, 2 ** 33 - 1],
  ])('at %d ns written as %d:%d reads %d and counts on', (now, high, low, expected) => {
    const { views } = timedMemory();
    writeTsc(views, cpu, now, high, low);
    expect(readTsc(views, cpu, now)).toBe(expected);
    expect(readTsc(views, cpu, now + 1000)).toBe(expected + 1000);
  });

  it('turns a deadline into guest time', () => {
    const { views } = timedMemory();
    writeTsc(views, cpu, 1000, 0, 500_000);
    expect(tscToTime(views, cpu, 1000, 0, 500_300)).toBe(1300);
    expect(tscToTime(views, cpu, 1000, 0, 400)).toBe(1000);
    expect(tscToTime(views, cpu, 1000, 0xffffffff, 0xffffffff)).toBe(Infinity);
  });
});

describe('a set of timers', () => {
  it('is due with the first of them and fires only what is due', () => {
    const fired: string[] = [];
    const timer = (name: string, deadline: number) => ({
      nextDeadline: () => deadline,
      expire: () => fired.push(name),
    });
    const set = new TimerSet([timer('late', 300), timer('early', 100), timer('never', Infinity)]);
    expect(set.nextDeadline()).toBe(100);
    set.expire(150);
    expect(fired).toEqual(['early']);
  });
});
