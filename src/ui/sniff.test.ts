import { expect, test } from 'vitest';
import { sniff, SNIFF_BYTES } from './sniff.ts';

function fileWith(at: number, ...bytes: number[]): Uint8Array {
  const file = new Uint8Array(SNIFF_BYTES);
  file.set(bytes, at);
  return file;
}

const ascii = (text: string): number[] => [...new TextEncoder().encode(text)];

test.each([
  ['a bzImage', fileWith(0x202, ...ascii('HdrS')), { kind: 'kernel' }],
  ['an ELF', fileWith(0, 0x7f, ...ascii('ELF')), { kind: 'kernel' }],
  ['a cpio archive', fileWith(0, ...ascii('070701')), { kind: 'initrd' }],
  ['a gzip file', fileWith(0, 0x1f, 0x8b), { kind: 'initrd' }],
  ['a qcow2 image', fileWith(0, ...ascii('QFI'), 0xfb), { kind: 'unsupported', what: 'a qcow2 disk image' }],
  ['an ISO image', fileWith(0x8001, ...ascii('CD001')), { kind: 'unsupported', what: 'a CD image' }],
  ['a boot sector', fileWith(0x1fe, 0x55, 0xaa), { kind: 'unsupported', what: 'a disk image' }],
  ['nothing known', fileWith(0, ...ascii('hello')), { kind: 'unknown' }],
  ['an empty file', new Uint8Array(0), { kind: 'unknown' }],
])('%s is recognised', (_, bytes, expected) => {
  expect(sniff(bytes)).toEqual(expected);
});
