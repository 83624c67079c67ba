/** Tells from a file's first bytes what it is, so that a dropped file goes where it belongs. */

export type FileKind =
  | { readonly kind: 'kernel' }
  | { readonly kind: 'initrd' }
  /** Something that is known, and that the machine cannot use yet. */
  | { readonly kind: 'unsupported'; readonly what: string }
  | { readonly kind: 'unknown' };

/** As many bytes as sniff() looks at: an ISO 9660 descriptor comes last, at 32 KiB. */
export const SNIFF_BYTES = 0x8008;

function matches(bytes: Uint8Array, at: number, signature: readonly number[]): boolean {
  return signature.every((byte, index) => bytes[at + index] === byte);
}

function ascii(text: string): readonly number[] {
  return Array.from(text, (character) => character.charCodeAt(0));
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

export function sniff(bytes: Uint8Array): FileKind {
  // Linux boot protocol: boot_flag at 1FEh, "HdrS" at 202h.
  if (matches(bytes, 0x202, ascii('HdrS'))) return { kind: 'kernel' };
  if (matches(bytes, 0, [0x7f, 0x45, 0x4c, 0x46])) return { kind: 'kernel' };
  if (INITRD_SIGNATURES.some((signature) => matches(bytes, 0, signature))) return { kind: 'initrd' };
  if (matches(bytes, 0, [0x51, 0x46, 0x49, 0xfb])) return { kind: 'unsupported', what: 'a qcow2 disk image' };
  if (matches(bytes, 0x8001, ascii('CD001'))) return { kind: 'unsupported', what: 'a CD image' };
  if (matches(bytes, 0x1fe, [0x55, 0xaa])) return { kind: 'unsupported', what: 'a disk image' };
  return { kind: 'unknown' };
}
