import { expect, test } from 'vitest';
import { freeDiskName } from './disk-names.ts';

test.each([
  ['debian.img', [], 'debian.img'],
  ['debian.img', ['debian.img'], 'debian-2.img'],
  ['debian.img', ['debian.img', 'debian-2.img'], 'debian-3.img'],
  ['disk', ['disk'], 'disk-2'],
  ['../a:b.img', [], '-a-b.img'],
  ['...', [], 'disk.img'],
] as const)('%s beside %j becomes %s', (wanted, taken, name) => {
  expect(freeDiskName(wanted, taken)).toBe(name);
});
