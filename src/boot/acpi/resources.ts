/** Resource descriptors for _CRS: ACPI 6.5, 6.4 ("Resource Data Types for ACPI"). */
import { buffer, littleEndian } from './aml.ts';
import type { Aml } from './aml.ts';

/** Encoded bytes of one descriptor. */
export type Resource = readonly number[];

/** Small resource items: tag bits 3-6 are the type, bits 0-2 the length. */
const IRQ_NO_FLAGS = 0x22;
const IO_PORT = 0x47;
const END_TAG = 0x79;
const DECODE_16 = 1;

/** Large resource items, and the kinds of address space that they describe. */
const DWORD_ADDRESS_SPACE = 0x87;
const WORD_ADDRESS_SPACE = 0x88;
const SPACE_MEMORY = 0;
const SPACE_IO = 1;
const SPACE_BUS = 2;

/** Resource producer, positive decode, minimum and maximum fixed (6.4.3.5, General Flags). */
const PRODUCER_FIXED = 0x0c;
/** I/O: the entire range, neither ISA nor non-ISA only. */
const ENTIRE_RANGE = 0x03;
/** Memory: read-write, not cacheable. */
const READ_WRITE = 0x01;

export function resourceTemplate(...resources: readonly Resource[]): Aml {
  // A checksum of 0 in the end tag means "treat as correct" (6.4.2.9).
  return buffer([...resources.flat(), END_TAG, 0]);
}

export function ioPort(base: number, bytes: number): Resource {
  return [IO_PORT, DECODE_16, ...littleEndian(base, 2), ...littleEndian(base, 2), 1, bytes];
}

/** Edge-triggered, active high, not shared. */
export function irq(line: number): Resource {
  return [IRQ_NO_FLAGS, ...littleEndian(1 << line, 2)];
}

export function busNumbers(first: number, last: number): Resource {
  return wordSpace(SPACE_BUS, 0, first, last);
}

export function ioWindow(first: number, last: number): Resource {
  return wordSpace(SPACE_IO, ENTIRE_RANGE, first, last);
}

export function memoryWindow(first: number, last: number): Resource {
  // Granularity, minimum, maximum, translation offset, length.
  const fields = [0, first, last, 0, last - first + 1].flatMap((value) => littleEndian(value, 4));
  const body = [SPACE_MEMORY, PRODUCER_FIXED, READ_WRITE, ...fields];
  return [DWORD_ADDRESS_SPACE, ...littleEndian(body.length, 2), ...body];
}

function wordSpace(kind: number, specific: number, first: number, last: number): Resource {
  const fields = [0, first, last, 0, last - first + 1].flatMap((value) => littleEndian(value, 2));
  const body = [kind, PRODUCER_FIXED, specific, ...fields];
  return [WORD_ADDRESS_SPACE, ...littleEndian(body.length, 2), ...body];
}
