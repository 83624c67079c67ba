import { describe, expect, it } from 'vitest';
import { AdaptivePoll } from './adaptive-poll.ts';

/** A clock that goes on by 1 us at each look. */
function clock() {
  const time = { us: 0 };
  return { time, now: () => time.us++ / 1000 };
}

const never = () => false;

describe('adaptive polling', () => {
  it('does not look at all where it is off', () => {
    const poll = new AdaptivePoll(0);
    poll.slept(0.001);
    expect(poll.run(clock().now, () => true)).toBe(false);
  });

  it('begins after a sleep that it would have spared', () => {
    const poll = new AdaptivePoll(0.05);
    const first = poll.run(clock().now, () => true);
    poll.slept(0.01);
    expect([first, poll.run(clock().now, () => true)]).toEqual([false, true]);
  });

  it('grows up to its limit and ends with a miss', () => {
    const poll = new AdaptivePoll(0.05);
    const lengths: number[] = [];
    poll.slept(0.001);
    lengths.push(poll.length);
    poll.slept(0.02);
    lengths.push(poll.length);
    poll.slept(0.04);
    lengths.push(poll.length);
    const { now, time } = clock();
    const hit = poll.run(now, never);
    lengths.push(poll.length);
    expect([lengths, hit]).toEqual([[0.008, 0.04, 0.05, 0], false]);
    expect(time.us).toBeGreaterThanOrEqual(50);
    expect(time.us).toBeLessThan(60);
  });

  it('does not begin after a long sleep', () => {
    const poll = new AdaptivePoll(0.05);
    poll.slept(1);
    expect(poll.length).toBe(0);
  });
});
