import { expect, test } from 'vitest';
import { GapFinder } from './sleep-watch.ts';
import type { Gap } from './sleep-watch.ts';

function gapAfter(monotonicMs: number, wallMs: number): Gap | undefined {
  let monotonic = 1000;
  let wall = 5_000_000;
  const finder = new GapFinder({ monotonic: () => monotonic, wall: () => wall });
  monotonic += monotonicMs;
  wall += wallMs;
  return finder.look();
}

test.each([
  ['a second between two looks is nothing', 1000, 1000, undefined],
  ['a busy computer is nothing', 4000, 4000, undefined],
  ['a frozen page', 90_000, 90_000, { awayMs: 90_000, missedMs: 0 }],
  ['a computer that slept', 1000, 600_000, { awayMs: 600_000, missedMs: 599_000 }],
  ['a clock that was set back is no gap', 1000, -3_600_000, undefined],
] as const)('%s', (_, monotonic, wall, expected) => {
  expect(gapAfter(monotonic, wall)).toEqual(expected);
});
