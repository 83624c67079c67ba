import { expect, test } from 'vitest';
import { ratesBetween } from './samples.ts';
import type { Sample } from './samples.ts';

const START: Sample = { time: 1000, kicks: 10, exits: 4, bytes: 0, workerMs: 50, looks: 20, busyLooks: 5 };

test('counts become counts per second, times become percent', () => {
  const after: Sample = {
    time: 1500,
    kicks: 1010,
    exits: 54,
    bytes: 10_000_000,
    workerMs: 300,
    looks: 30,
    busyLooks: 13,
  };
  expect(ratesBetween(START, after)).toEqual({
    kicks: 2000,
    exits: 100,
    megabytes: 20,
    vcpu: 80,
    worker: 50,
  });
});

test.each([
  ['no time has passed', START],
  ['the machine was started again', { ...START, time: 2000, kicks: 0, workerMs: 0 }],
])('nothing is known when %s', (_, after) => {
  expect(ratesBetween(START, after)).toEqual({ kicks: 0, exits: 0, megabytes: 0, vcpu: 0, worker: 0 });
});
