import { expect, test } from 'vitest';
import { median, secondsOf } from './measure.ts';
import type { Figures } from './measure.ts';

const UPTIMES = ['26.10 20.01\r\n', '26.35 20.02\r\n'] as const;

test.each([
  ['busybox', `${UPTIMES[0]}2048+0 records in\r\n2048+0 records out\r\n${UPTIMES[1]}`],
  [
    'GNU',
    `${UPTIMES[0]}2048+0 records in\r\n2048+0 records out\r\n8388608 bytes (8.4 MB) copied\r\n${UPTIMES[1]}`,
  ],
])('the time that %s dd took is found', (_, output) => {
  expect(secondsOf(output)).toBeCloseTo(0.25);
});

test.each([
  ['a disk that is too small', `${UPTIMES[0]}256+0 records out\r\n${UPTIMES[1]}`],
  ['an error', `${UPTIMES[0]}dd: can't open '/dev/vdz': No such file or directory\r\n${UPTIMES[1]}`],
  ['a guest without /proc', '2048+0 records out\r\n'],
])('%s is no measurement', (_, output) => {
  expect(secondsOf(output)).toBeUndefined();
});

test('the median round counts, not the luckiest', () => {
  const figures = (megabytesPerSecond: number): Figures => ({
    megabytesPerSecond,
    kicks: 0,
    exits: 0,
    vcpu: 0,
    worker: 0,
  });
  expect(median([figures(9), figures(1), figures(5)]).megabytesPerSecond).toBe(5);
});
