import { inflateSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { ICON, iconPng, iconSvg, MASKABLE_ICON } from './icon.ts';

/** The pixel at (x, y) of a PNG as iconPng() writes it: one IDAT, rows without a filter. */
function pixel(file: Buffer, size: number, x: number, y: number): number[] {
  const data = file.indexOf('IDAT');
  const rows = inflateSync(file.subarray(data + 4, data + 4 + file.readUInt32BE(data - 4)));
  const at = y * (1 + size * 4) + 1 + x * 4;
  return [...rows.subarray(at, at + 4)];
}

test('the icon has transparent corners, a ground, a white prompt and a cursor', () => {
  const file = iconPng(ICON, 64);
  expect(file.subarray(0, 8).toString('latin1')).toBe('\x89PNG\r\n\x1a\n');
  expect(pixel(file, 64, 0, 0)).toEqual([0, 0, 0, 0]);
  expect(pixel(file, 64, 40, 16)).toEqual([0x1d, 0x6f, 0x5f, 255]);
  expect(pixel(file, 64, 25, 32)).toEqual([255, 255, 255, 255]);
  expect(pixel(file, 64, 40, 42)).toEqual([0x8f, 0xe0, 0xcb, 255]);
});

test('the maskable icon fills its corners', () => {
  expect(pixel(iconPng(MASKABLE_ICON, 32), 32, 0, 0)).toEqual([0x1d, 0x6f, 0x5f, 255]);
});

test('the SVG has the same shapes', () => {
  expect(iconSvg(ICON)).toContain('<rect x="2" y="4" width="28" height="24" rx="5" fill="#1d6f5f"/>');
  expect(iconSvg(ICON)).toContain('<path d="M8 11.5L13 16L8 20.5"');
});
