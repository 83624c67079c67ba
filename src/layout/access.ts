/**
 * What generated code tells the slow paths about an access, in one i32: how much is accessed through which
 * segment, and which instruction does it, so that a fault can be reported without code at the access.
 * bits 0-6 size in bytes, 7-9 segment (SEG_*), 10-21 the instruction's offset in its page, 22-25 its length,
 * 26-31 instructions that were charged to the budget and not executed, this one included.
 */
export const ACCESS_SEGMENT_SHIFT = 7;
export const ACCESS_OFFSET_SHIFT = 10;
export const ACCESS_LENGTH_SHIFT = 22;
export const ACCESS_CHARGED_SHIFT = 26;
export const ACCESS_SIZE_MASK = 0x7f;
export const ACCESS_SEGMENT_MASK = 7;
export const ACCESS_OFFSET_MASK = 0xfff;
export const ACCESS_LENGTH_MASK = 0xf;

/** The part that names the instruction. */
export function accessSite(offset: number, length: number, charged: number): number {
  return (
    (offset << ACCESS_OFFSET_SHIFT) | (length << ACCESS_LENGTH_SHIFT) | (charged << ACCESS_CHARGED_SHIFT)
  );
}

/** The part that says what is accessed. */
export function accessOf(size: number, segment: number): number {
  return size | (segment << ACCESS_SEGMENT_SHIFT);
}
