/** Assembles ACPI Machine Language: ACPI 6.5, chapter 20 ("AML Specification"). Terms carry its names. */
import { TWO_32 } from '../../base/bits.ts';

/** Encoded bytes of one term. */
export type Aml = readonly number[];

const ZERO_OP = 0x00;
const ONE_OP = 0x01;
const NAME_OP = 0x08;
const BYTE_PREFIX = 0x0a;
const WORD_PREFIX = 0x0b;
const DWORD_PREFIX = 0x0c;
const STRING_PREFIX = 0x0d;
const QWORD_PREFIX = 0x0e;
const SCOPE_OP = 0x10;
const BUFFER_OP = 0x11;
const PACKAGE_OP = 0x12;
const DUAL_NAME_PREFIX = 0x2e;
const MULTI_NAME_PREFIX = 0x2f;
const EXT_OP_PREFIX = 0x5b;
const DEVICE_OP = 0x82;

/** DefName. */
export function name(path: string, value: Aml): Aml {
  return [NAME_OP, ...nameString(path), ...value];
}

/** DefScope. */
export function scope(path: string, ...terms: readonly Aml[]): Aml {
  return [SCOPE_OP, ...packaged([...nameString(path), ...terms.flat()])];
}

/** DefDevice. */
export function device(path: string, ...terms: readonly Aml[]): Aml {
  return [EXT_OP_PREFIX, DEVICE_OP, ...packaged([...nameString(path), ...terms.flat()])];
}

/** DefPackage. */
export function packageOf(...elements: readonly Aml[]): Aml {
  return [PACKAGE_OP, ...packaged([elements.length, ...elements.flat()])];
}

/** DefBuffer. */
export function buffer(bytes: readonly number[]): Aml {
  return [BUFFER_OP, ...packaged([...integer(bytes.length), ...bytes])];
}

/** DataRefObject of the shortest form that holds `value`. */
export function integer(value: number): Aml {
  if (value === 0) return [ZERO_OP];
  if (value === 1) return [ONE_OP];
  if (value < 0x100) return [BYTE_PREFIX, value];
  if (value < 0x1_0000) return [WORD_PREFIX, ...littleEndian(value, 2)];
  if (value < TWO_32) return [DWORD_PREFIX, ...littleEndian(value, 4)];
  return [QWORD_PREFIX, ...littleEndian(value % TWO_32, 4), ...littleEndian(Math.floor(value / TWO_32), 4)];
}

export function string(text: string): Aml {
  return [STRING_PREFIX, ...ascii(text), 0];
}

/** A hardware id such as `PNP0A03` as the compressed 32-bit number (ACPI 6.5, 19.6.36 EISAID). */
export function eisaId(id: string): Aml {
  const letter = (index: number): number => id.charCodeAt(index) - 0x40;
  const vendor = (letter(0) << 10) | (letter(1) << 5) | letter(2);
  const product = Number.parseInt(id.slice(3), 16);
  return [DWORD_PREFIX, vendor >>> 8, vendor & 0xff, product >>> 8, product & 0xff];
}

/** NameString: `\_SB_.PCI0` or `_CRS`; each segment is padded to four characters. */
function nameString(path: string): Aml {
  const isAbsolute = path.startsWith('\\');
  const segments = path
    .slice(isAbsolute ? 1 : 0)
    .split('.')
    .map((segment) => ascii(segment.padEnd(4, '_')));
  const root = isAbsolute ? [0x5c] : [];
  switch (segments.length) {
    case 1:
      return [...root, ...segments.flat()];
    case 2:
      return [...root, DUAL_NAME_PREFIX, ...segments.flat()];
    default:
      return [...root, MULTI_NAME_PREFIX, segments.length, ...segments.flat()];
  }
}

/**
 * Puts PkgLength in front (20.2.4). It counts itself: one byte holds up to 63; else the first byte has the number of
 * bytes that follow in bits 6-7 and the low nibble of the length in bits 0-3.
 */
function packaged(body: readonly number[]): number[] {
  if (body.length + 1 < 0x40) return [body.length + 1, ...body];
  for (let more = 1; more <= 3; more++) {
    const length = body.length + 1 + more;
    if (length < 2 ** (4 + 8 * more))
      return [(more << 6) | (length & 0xf), ...littleEndian(length >>> 4, more), ...body];
  }
  throw new Error('AML: a package of more than 256 MiB');
}

function ascii(text: string): number[] {
  return Array.from(text, (character) => character.charCodeAt(0));
}

export function littleEndian(value: number, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, index) => (value >>> (8 * index)) & 0xff);
}
