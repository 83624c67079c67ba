import { expect, test } from 'vitest';
import { sniff, SNIFF_BYTES } from './sniff.ts';
import type { FileKind } from './sniff.ts';

const MIB = 1024 * 1024;
const ascii = (text: string): number[] => [...new TextEncoder().encode(text)];

function sniffed(pieces: Readonly<Record<number, number[]>>, name = 'file', sizeBytes = MIB): FileKind {
  const head = new Uint8Array(SNIFF_BYTES);
  for (const [at, bytes] of Object.entries(pieces)) head.set(bytes, Number(at));
  return sniff({ name, sizeBytes, head });
}

test.each([
  ['a bzImage', { 0x202: ascii('HdrS') }, { kind: 'kernel' }],
  ['an ELF for x86-64', { 0: [0x7f, ...ascii('ELF')], 18: [62, 0] }, { kind: 'kernel' }],
  ['a cpio archive', { 0: ascii('070701') }, { kind: 'initrd' }],
  ['a gzip file', { 0: [0x1f, 0x8b] }, { kind: 'initrd' }],
  [
    'a disk with GPT',
    { 0x1fe: [0x55, 0xaa], 0x200: ascii('EFI PART') },
    { kind: 'disk', content: 'GPT partitions' },
  ],
  ['a disk with MBR', { 0x1fe: [0x55, 0xaa] }, { kind: 'disk', content: 'MBR partitions' }],
  ['a disk with ext4', { 0x438: [0x53, 0xef] }, { kind: 'disk', content: 'ext2/3/4 file system' }],
  ['a CD image', { 0x8001: ascii('CD001') }, { kind: 'iso', content: 'ISO 9660' }],
] as const)('%s is recognised', (_, pieces, expected) => {
  expect(sniffed(pieces as Readonly<Record<number, number[]>>)).toEqual(expected);
});

test.each([
  ['a qcow2 image', { 0: [...ascii('QFI'), 0xfb] }, 'is a qcow2 disk image, which cannot be used yet'],
  [
    'a vdi image',
    { 0x40: [0x7f, 0x10, 0xda, 0xbe] },
    'is a VirtualBox disk image (vdi), which cannot be used yet',
  ],
  ['UEFI firmware', { 0x28: ascii('_FVH') }, 'is UEFI firmware, which cannot be used yet'],
  ['a BIOS', { 0: [0x55, 0xaa] }, 'is a BIOS or option ROM, which cannot be used yet'],
  ['an ELF for ARM', { 0: [0x7f, ...ascii('ELF')], 18: [183, 0] }, 'is a program for another processor'],
  ['a zip archive', { 0: [...ascii('PK'), 3, 4] }, 'is a zip archive'],
  ['text', { 0: ascii('hello') }, 'is neither a kernel nor an initial RAM disk nor a disk image'],
] as const)('%s is refused with the reason', (_, pieces, why) => {
  expect(sniffed(pieces as Readonly<Record<number, number[]>>)).toMatchObject({ kind: 'refused', why });
});

test('an empty file is said to be empty', () => {
  expect(sniff({ name: 'a.img', sizeBytes: 0, head: new Uint8Array(0) })).toMatchObject({ why: 'is empty' });
});

test('a file without any structure is a disk if it is named like one', () => {
  expect(sniffed({}, 'blank.img')).toEqual({ kind: 'disk', content: 'blank' });
  expect(sniffed({ 0: ascii('database') }, 'data.raw')).toEqual({ kind: 'disk', content: 'raw data' });
});

test('a compressed disk image is not taken for an initial RAM disk', () => {
  expect(sniffed({ 0: [0x1f, 0x8b] }, 'openwrt.img.gz')).toMatchObject({ why: 'is a compressed disk image' });
});

test('a partition that ends behind the file is a problem', () => {
  const partition = [0, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 0, 1, 0];
  const cut = sniffed({ 0x1be: partition, 0x1fe: [0x55, 0xaa] }, 'cut.img', MIB);
  expect(cut).toMatchObject({ kind: 'disk', problem: expect.stringContaining('33 MiB long') });
  const whole = sniffed({ 0x1be: partition, 0x1fe: [0x55, 0xaa] }, 'whole.img', 64 * MIB);
  expect(whole).toEqual({ kind: 'disk', content: 'MBR partitions' });
});

test('a CD image shows its label, and that it was cut short', () => {
  const iso = sniffed(
    { 0x8001: ascii('CD001'), 0x8028: ascii('DEBIAN 12 '.padEnd(32)), 0x8050: [0, 4, 0, 0], 0x8080: [0, 8] },
    'debian.iso',
    MIB,
  );
  expect(iso).toMatchObject({
    kind: 'iso',
    content: 'ISO 9660 “DEBIAN 12”',
    problem: expect.stringContaining('only 1 MiB'),
  });
});
