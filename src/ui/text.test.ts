import { expect, test } from 'vitest';
import { formatBytes, formatCount, formatMips } from './text.ts';

test.each([
  [512, '512 B'],
  [1536, '1.5 KiB'],
  [512 * 1024 * 1024, '512 MiB'],
  [14_186_432, '13.5 MiB'],
  [1024 * 1024 * 1024, '1 GiB'],
])('%d bytes read as %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test.each([
  [999, '999'],
  [1_234, '1.23 k'],
  [93_323_384, '93.3 M'],
  [999_999_999, '1.00 G'],
])('%d reads as %s', (count, text) => {
  expect(formatCount(count)).toBe(text);
});

test.each([
  [9.96, '10.0'],
  [99.96, '100'],
])('%d MIPS read as %s', (mips, text) => {
  expect(formatMips(mips)).toBe(text);
});
