/** Tells from a file's first bytes what it is, so that a dropped file goes where it belongs, and what is wrong with it. */
import { GIB, KIB, MIB } from '../base/units.ts';

export type FileKind =
  | { readonly kind: 'kernel' }
  | { readonly kind: 'initrd' }
  /** A raw image; `content` is what is on it, `problem` what is wrong with it although it can be used. */
  | { readonly kind: 'disk'; readonly content: string; readonly problem?: string }
  | { readonly kind: 'iso'; readonly content: string; readonly problem?: string }
  /** What cannot be used: `why` goes behind the file's name, `advice` is a sentence of its own. */
  | { readonly kind: 'refused'; readonly why: string; readonly advice: string };

/** As many bytes as sniff() looks at: the superblock of btrfs comes last, at 64 KiB. */
export const SNIFF_BYTES = 0x10048;

const SECTOR = 512;

export interface SniffedFile {
  readonly name: string;
  readonly sizeBytes: number;
  /** The first SNIFF_BYTES, or all of a shorter file. */
  readonly head: Uint8Array;
}

function matches(bytes: Uint8Array, at: number, signature: readonly number[]): boolean {
  return signature.every((byte, index) => bytes[at + index] === byte);
}

function ascii(text: string): readonly number[] {
  return Array.from(text, (character) => character.charCodeAt(0));
}

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
}

function u32(bytes: Uint8Array, at: number): number {
  return (u16(bytes, at) | (u16(bytes, at + 2) << 16)) >>> 0;
}

function u64(bytes: Uint8Array, at: number): number {
  return u32(bytes, at) + u32(bytes, at + 4) * 2 ** 32;
}

/** Compressions that Linux unpacks an initramfs from, and cpio's own formats. */
const INITRD_SIGNATURES: readonly (readonly number[])[] = [
  ascii('070701'),
  ascii('070702'),
  [0x1f, 0x8b],
  [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00],
  [0x28, 0xb5, 0x2f, 0xfd],
  [0x02, 0x21, 0x4c, 0x18],
  ascii('BZh'),
];

interface Refusal {
  readonly at: number;
  readonly signature: readonly number[];
  readonly what: string;
  readonly advice: string;
}

const CONVERT = (format: string): string =>
  `Convert it with “qemu-img convert -O raw image.${format} image.img”, then drop image.img.`;
const UNPACK = 'Unpack it, then drop what is inside.';
const NO_FIRMWARE = 'Start a kernel directly: drop a bzImage or vmlinux, with an initial RAM disk.';

/** What is known and not possible yet. */
const REFUSALS: readonly Refusal[] = [
  {
    at: 0,
    signature: [...ascii('QFI'), 0xfb],
    what: 'a qcow2 disk image, which cannot be used yet',
    advice: CONVERT('qcow2'),
  },
  {
    at: 0,
    signature: ascii('KDMV'),
    what: 'a VMware disk image (vmdk), which cannot be used yet',
    advice: CONVERT('vmdk'),
  },
  {
    at: 0,
    signature: ascii('# Disk DescriptorFile'),
    what: 'the description of a VMware disk (vmdk), which cannot be used yet',
    advice: CONVERT('vmdk'),
  },
  {
    at: 0x40,
    signature: [0x7f, 0x10, 0xda, 0xbe],
    what: 'a VirtualBox disk image (vdi), which cannot be used yet',
    advice: CONVERT('vdi'),
  },
  {
    at: 0,
    signature: ascii('vhdxfile'),
    what: 'a Hyper-V disk image (vhdx), which cannot be used yet',
    advice: CONVERT('vhdx'),
  },
  {
    at: 0,
    signature: ascii('conectix'),
    what: 'a Virtual PC disk image (vhd), which cannot be used yet',
    advice: CONVERT('vhd'),
  },
  {
    at: 0x28,
    signature: ascii('_FVH'),
    what: 'UEFI firmware, which cannot be used yet',
    advice: NO_FIRMWARE,
  },
  {
    at: 0x38,
    signature: [...ascii('ARM'), 0x64],
    what: 'a kernel for ARM processors',
    advice: 'This machine is a PC: choose a kernel for x86-64 (amd64) or i386.',
  },
  { at: 0, signature: ascii('PK\x03\x04'), what: 'a zip archive', advice: UNPACK },
  { at: 0, signature: ascii("7z\xbc\xaf'\x1c"), what: 'a 7z archive', advice: UNPACK },
  {
    at: 0,
    signature: ascii('!<arch>\n'),
    what: 'a Debian package',
    advice: 'Unpack it: the kernel is boot/vmlinuz inside.',
  },
  { at: 257, signature: ascii('ustar'), what: 'a tar archive', advice: UNPACK },
];

/** File systems and partition tables, by their magic numbers; the first that fits counts. */
const CONTENTS: readonly {
  readonly at: number;
  readonly signature: readonly number[];
  readonly content: string;
}[] = [
  { at: 0x200, signature: ascii('EFI PART'), content: 'GPT partitions' },
  { at: 0x438, signature: [0x53, 0xef], content: 'ext2/3/4 file system' },
  { at: 0, signature: ascii('XFSB'), content: 'XFS file system' },
  { at: 0x10040, signature: ascii('_BHRfS_M'), content: 'btrfs file system' },
  { at: 0, signature: ascii('hsqs'), content: 'squashfs file system' },
  { at: 3, signature: ascii('NTFS    '), content: 'NTFS file system' },
  { at: 0x52, signature: ascii('FAT32   '), content: 'FAT32 file system' },
  { at: 0x36, signature: ascii('FAT'), content: 'FAT file system' },
  { at: 0x1fe, signature: [0x55, 0xaa], content: 'MBR partitions' },
];

/** Names that people give to raw images. */
const RAW_NAME = /\.(?:img|raw|dd|disk|bin|hdd|ima|vfd)$/i;
const COMPRESSED_DISK_NAME = /\.(?:img|raw|dd|iso|qcow2|vmdk|vdi|hdd)\.(?:gz|xz|zst|bz2|lz4)$/i;

export function sniff(file: SniffedFile): FileKind {
  const { head, name, sizeBytes } = file;
  if (sizeBytes === 0)
    return refused('is empty', 'Choose another file: a copy that was cut short often looks like this.');
  // Linux boot protocol: boot_flag at 1FEh, "HdrS" at 202h.
  if (matches(head, 0x202, ascii('HdrS'))) return { kind: 'kernel' };
  if (matches(head, 0, [0x7f, 0x45, 0x4c, 0x46])) return sniffElf(head);
  if (INITRD_SIGNATURES.some((signature) => matches(head, 0, signature))) {
    return COMPRESSED_DISK_NAME.test(name)
      ? refused('is a compressed disk image', 'Unpack it, then drop the image itself.')
      : { kind: 'initrd' };
  }
  const refusal = REFUSALS.find(({ at, signature }) => matches(head, at, signature));
  if (refusal !== undefined) return refused(`is ${refusal.what}`, refusal.advice);
  if (matches(head, 0x8001, ascii('CD001'))) return sniffIso(file);
  // An option ROM or a BIOS has this where a disk has its boot code.
  if (matches(head, 0, [0x55, 0xaa]) && sizeBytes <= MIB)
    return refused('is a BIOS or option ROM, which cannot be used yet', NO_FIRMWARE);
  const content = sniffContent(head);
  if (content !== undefined) return disk(content, shortage(head, sizeBytes));
  if (RAW_NAME.test(name) && sizeBytes >= SECTOR) return disk(blankness(head), undefined);
  return refused(
    'is neither a kernel nor an initial RAM disk nor a disk image',
    'Kernels are bzImage or ELF vmlinux, RAM disks cpio archives, disks raw images (.img) or ISO files.',
  );
}

/** What is on a raw disk; undefined where nothing known is. */
export function sniffContent(head: Uint8Array): string | undefined {
  if (matches(head, 0x8001, ascii('CD001'))) return 'ISO 9660';
  return CONTENTS.find(({ at, signature }) => matches(head, at, signature))?.content;
}

function blankness(head: Uint8Array): string {
  return head.every((byte) => byte === 0) ? 'blank' : 'raw data';
}

function refused(why: string, advice: string): FileKind {
  return { kind: 'refused', why, advice };
}

function disk(content: string, problem: string | undefined): FileKind {
  return { kind: 'disk', content, ...(problem === undefined ? {} : { problem }) };
}

const EM_386 = 3;
const EM_X86_64 = 62;

function sniffElf(head: Uint8Array): FileKind {
  const machine = u16(head, 18);
  return machine === EM_386 || machine === EM_X86_64
    ? { kind: 'kernel' }
    : refused(
        'is a program for another processor',
        'This machine is a PC: choose a kernel for x86-64 (amd64) or i386.',
      );
}

/** ECMA-119, 8.4: the volume space size at 80 of the primary volume descriptor, in blocks of 2048 bytes. */
function sniffIso({ head, sizeBytes }: SniffedFile): FileKind {
  const label = String.fromCharCode(...head.subarray(0x8028, 0x8048))
    .replaceAll('\0', '')
    .trim();
  const says = u32(head, 0x8050) * u16(head, 0x8080);
  const problem = cutOff(says, sizeBytes);
  return {
    kind: 'iso',
    content: label === '' ? 'ISO 9660' : `ISO 9660 “${label}”`,
    ...(problem === undefined ? {} : { problem }),
  };
}

/** Where the partition table says that the disk goes on behind the end of the file. */
function shortage(head: Uint8Array, sizeBytes: number): string | undefined {
  if (matches(head, 0x200, ascii('EFI PART'))) {
    // UEFI 5.3.2: the header's own copy lies in the last block.
    return cutOff((u64(head, 0x220) + 1) * SECTOR, sizeBytes);
  }
  if (!matches(head, 0x1fe, [0x55, 0xaa]) || sniffContent(head) !== 'MBR partitions') return undefined;
  const ends = [0, 1, 2, 3].map((entry) => {
    const at = 0x1be + entry * 16;
    return head[at + 4] === 0 ? 0 : u32(head, at + 8) + u32(head, at + 12);
  });
  return cutOff(Math.max(...ends) * SECTOR, sizeBytes);
}

function cutOff(says: number, sizeBytes: number): string | undefined {
  return says > sizeBytes
    ? `It says that it is ${size(says)} long, but there are only ${size(sizeBytes)}: a copy that was cut short looks like this.`
    : undefined;
}

function size(bytes: number): string {
  if (bytes >= GIB) return `${(bytes / GIB).toFixed(1)} GiB`;
  return bytes >= MIB ? `${Math.round(bytes / MIB)} MiB` : `${Math.ceil(bytes / KIB)} KiB`;
}
