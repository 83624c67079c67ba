import { describe, expect, it } from 'vitest';
import { KickPatience } from './kick-patience.ts';

/** How patience stands after each wake-up for so many requests. */
function after(patience: KickPatience, wakeups: readonly number[]): boolean[] {
  return wakeups.map((requests) => {
    patience.woken(requests, true);
    return patience.patient;
  });
}

const times = (count: number, requests: number): number[] => Array.from({ length: count }, () => requests);

describe('patience with kicks', () => {
  it('begins with the first wake-up for several requests, and ends with four for single ones', () => {
    const patience = new KickPatience();
    const seen = after(patience, [1, 1, 2, 1, 1, 1, 2, 1, 1, 1, 1]);
    expect(seen).toEqual([false, false, true, true, true, true, true, true, true, true, false]);
  });

  it('is tried after 64 wake-ups for single requests, then after 128', () => {
    const patience = new KickPatience();
    expect(after(patience, times(63, 1))).not.toContain(true);
    expect(after(patience, times(4, 1))).toEqual([true, true, true, true]);
    expect(after(patience, times(128, 1))).not.toContain(true);
    expect(after(patience, times(1, 1))).toEqual([true]);
  });

  it('is never had with a driver that polls', () => {
    const patience = new KickPatience();
    patience.woken(16, true);
    patience.woken(16, false);
    expect(patience.patient).toBe(false);
  });

  it('is not changed by a wake-up for nothing', () => {
    const patience = new KickPatience();
    expect(after(patience, [3, 0, 0, 0, 0, 0])).toEqual([true, true, true, true, true, true]);
  });
});
