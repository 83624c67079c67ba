/**
 * The state of a CPU before its first instruction, as plain data: whoever runs the CPU writes it into the vCPU's block
 * (and then calls the core's `updateMode`). It can be sent to a worker.
 */

export interface SegmentState {
  readonly selector: number;
  readonly base: number;
  /** Last valid offset in bytes, granularity applied. */
  readonly limit: number;
  /**
   * Descriptor bits 40-55 without the limit, as in `VCPU.segAttr`: type 0-3, S 4, DPL 5-6, P 7, AVL 12, L 13, D/B 14, G 15.
   */
  readonly attributes: number;
}

export interface TableState {
  readonly base: number;
  readonly limit: number;
}

/** All numbers are unsigned and at most 2^53. What is not listed is as after reset. */
export interface StartState {
  /** RAX RCX RDX RBX RSP RBP RSI RDI R8-R15: encoding order. */
  readonly general: readonly number[];
  readonly rip: number;
  readonly rflags: number;
  readonly segments: {
    readonly es: SegmentState;
    readonly cs: SegmentState;
    readonly ss: SegmentState;
    readonly ds: SegmentState;
    readonly fs: SegmentState;
    readonly gs: SegmentState;
    readonly ldtr: SegmentState;
    readonly tr: SegmentState;
  };
  readonly gdt: TableState;
  readonly idt: TableState;
  readonly cr0: number;
  readonly cr3: number;
  readonly cr4: number;
  readonly efer: number;
}

/** Indices into `StartState.general`. */
export const RAX = 0;
export const RBX = 3;
export const RSP = 4;
export const RSI = 6;

/** Present, code, execute and read, accessed. */
const ATTR_CODE = 0x9b;
/** Present, data, read and write, accessed. */
const ATTR_DATA = 0x93;
/** Present, busy 32-bit TSS (in long mode: 64-bit TSS). */
const ATTR_TSS_BUSY = 0x8b;
/** Present, LDT. */
const ATTR_LDT = 0x82;
const ATTR_LONG = 0x2000;
const ATTR_BIG = 0x4000;
const ATTR_GRANULARITY = 0x8000;

const FLAT_LIMIT = 0xffff_ffff;

export function codeSegment64(selector: number): SegmentState {
  return { selector, base: 0, limit: FLAT_LIMIT, attributes: ATTR_CODE | ATTR_LONG | ATTR_GRANULARITY };
}

export function codeSegment32(selector: number): SegmentState {
  return { selector, base: 0, limit: FLAT_LIMIT, attributes: ATTR_CODE | ATTR_BIG | ATTR_GRANULARITY };
}

export function dataSegment(selector: number): SegmentState {
  return { selector, base: 0, limit: FLAT_LIMIT, attributes: ATTR_DATA | ATTR_BIG | ATTR_GRANULARITY };
}

export function taskSegment(selector: number): SegmentState {
  return { selector, base: 0, limit: 0x67, attributes: ATTR_TSS_BUSY };
}

/** What LDTR holds after reset. */
export const EMPTY_LDT: SegmentState = { selector: 0, base: 0, limit: 0xffff, attributes: ATTR_LDT };

/** The 8 bytes of a descriptor table that give this state when the selector is loaded. */
export function descriptorOf(segment: SegmentState): [low: number, high: number] {
  const isPaged = (segment.attributes & ATTR_GRANULARITY) !== 0;
  const limit = isPaged ? segment.limit >>> 12 : segment.limit;
  const low = ((segment.base << 16) | (limit & 0xffff)) >>> 0;
  const high =
    ((segment.base & 0xff00_0000) |
      ((segment.attributes & 0xf0ff) << 8) |
      (limit & 0xf_0000) |
      ((segment.base >>> 16) & 0xff)) >>>
    0;
  return [low, high];
}

/** `values` by index into `general`; the other registers are 0. */
export function generalRegisters(values: Readonly<Record<number, number>>): number[] {
  return Array.from({ length: 16 }, (_, index) => values[index] ?? 0);
}
