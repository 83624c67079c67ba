import { expect, test } from 'vitest';
import { median, secondsOf } from './measure.ts';
import type { Figures } from './measure.ts';

test.each([
  ['busybox', '2048+0 records in\r\n8388608 bytes (8.0MB) copied, 0.125000 seconds, 64.0MB/s\r\n', 0.125],
  ['GNU', '8388608 bytes (8.4 MB, 8.0 MiB) copied, 0.25 s, 33.6 MB/s', 0.25],
])('the time that %s dd took is found', (_, output, seconds) => {
  expect(secondsOf(output)).toBe(seconds);
});

test.each([
  ['a disk that is too small', '1048576 bytes (1.0MB) copied, 0.01 seconds, 100MB/s'],
  ['an error', "dd: can't open '/dev/vdz': No such file or directory"],
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
