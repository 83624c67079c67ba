/** Guest memory as the x87 and the state-saving instructions use it: TLB first, the slow path behind it. */
import { isNoting, noteWrite } from './journal';
import { beyondFlat, carryOut, ownAccess, prepareRead, prepareWrite, readSlow, writeSlow } from './mmu';
import { ACCESS_ALIGNED } from './paging';
import { segmentLinear } from './segments';
import { tlbOffset } from './tlb';
import {
  ACCESS_SEGMENT_SHIFT,
  MODE_CODE64,
  MODE_CODE_MASK,
  MODE_FLAT,
  SEG_CS,
  SEG_FS,
  TLB_NONE_OFFSET,
  TLB_ENTRY_addend,
  TLB_ENTRY_readTag,
  TLB_ENTRY_writeTag,
  VCPU_mode,
  VCPU_scratch,
  VCPU_segEffective,
  VCPU_tlb,
} from './generated/layout';

// @ts-ignore: decorator
@inline function tlbEntry(cpu: i32, linear: i64): u32 {
  return load<u32>(cpu, VCPU_tlb) + tlbOffset(linear);
}

/** Whether no segment stands in the way of an access. Nothing can be written through CS, flat or not. */
// @ts-ignore: decorator
@inline function isUnsegmented(cpu: i32, segment: i32): bool {
  const mode = load<i32>(cpu, VCPU_mode);
  if ((mode & MODE_CODE_MASK) == MODE_CODE64) return true;
  return (mode & MODE_FLAT) != 0 && segment < SEG_FS && segment != SEG_CS;
}

/** The caller has checked one byte at most: whether all of the operand is inside its segment. */
function insideSegment(cpu: i32, linear: i64, size: i32, segment: i32, write: i32): bool {
  if (isUnsegmented(cpu, segment)) return true;
  const offset = linear - load<i64>(cpu + (segment << 3), VCPU_segEffective);
  return segmentLinear(cpu, segment, offset, size, write) != -1;
}

/** Where `size` bytes (at most 64) can be read, or 0 after a fault. */
export function hostForRead(cpu: i32, linear: i64, size: i32, segment: i32): i32 {
  if (!insideSegment(cpu, linear, size, segment, 0)) return 0;
  const entry = tlbEntry(cpu, linear);
  if (((linear + size - 1) & ~0xfff) == load<i64>(entry, TLB_ENTRY_readTag)) {
    return <i32>linear + load<i32>(entry, TLB_ENTRY_addend);
  }
  return <i32>readSlow(cpu, linear, size | (segment << ACCESS_SEGMENT_SHIFT));
}

/** Where `size` bytes can be put, or 0 after a fault; `stored` must follow. */
export function hostForWrite(cpu: i32, linear: i64, size: i32, segment: i32): i32 {
  if (!insideSegment(cpu, linear, size, segment, 1)) return 0;
  const entry = tlbEntry(cpu, linear);
  if (((linear + size - 1) & ~0xfff) == load<i64>(entry, TLB_ENTRY_writeTag)) {
    const host = <i32>linear + load<i32>(entry, TLB_ENTRY_addend);
    noteWrite(cpu, host, size);
    return host;
  }
  return <i32>writeSlow(cpu, linear, size | (segment << ACCESS_SEGMENT_SHIFT));
}

/** hostForRead with its usual way inline. */
// @ts-ignore: decorator
@inline export function quickHostForRead(cpu: i32, linear: i64, size: i32, segment: i32): i32 {
  const entry = tlbEntry(cpu, linear);
  const hit = ((linear + size - 1) & ~0xfff) == load<i64>(entry, TLB_ENTRY_readTag);
  if (hit && isUnsegmented(cpu, segment)) return <i32>linear + load<i32>(entry, TLB_ENTRY_addend);
  return hostForRead(cpu, linear, size, segment);
}

/** hostForWrite with its usual way inline. */
// @ts-ignore: decorator
@inline export function quickHostForWrite(cpu: i32, linear: i64, size: i32, segment: i32): i32 {
  const entry = tlbEntry(cpu, linear);
  const hit = ((linear + size - 1) & ~0xfff) == load<i64>(entry, TLB_ENTRY_writeTag);
  if (hit && !isNoting(cpu) && isUnsegmented(cpu, segment)) return <i32>linear + load<i32>(entry, TLB_ENTRY_addend);
  return hostForWrite(cpu, linear, size, segment);
}

/** As hostForRead, for a part of an image whose alignment counts as a whole. */
export function partForRead(cpu: i32, linear: i64, size: i32, segment: i32): i32 {
  if (load<u32>(cpu, VCPU_tlb) != <u32>(cpu + TLB_NONE_OFFSET)) return hostForRead(cpu, linear, size, segment);
  if (!insideSegment(cpu, linear, size, segment, 0) || beyondFlat(cpu, linear, size, segment)) return 0;
  return <i32>prepareRead(cpu, linear, size, segment, ownAccess(cpu) & ~ACCESS_ALIGNED);
}

/** As hostForWrite, for such a part. */
export function partForWrite(cpu: i32, linear: i64, size: i32, segment: i32): i32 {
  if (load<u32>(cpu, VCPU_tlb) != <u32>(cpu + TLB_NONE_OFFSET)) return hostForWrite(cpu, linear, size, segment);
  if (!insideSegment(cpu, linear, size, segment, 1) || beyondFlat(cpu, linear, size, segment)) return 0;
  return <i32>prepareWrite(cpu, linear, size, segment, ownAccess(cpu) & ~ACCESS_ALIGNED, false);
}

/** Completes a write whose bytes are at `host`. */
export function stored(cpu: i32, host: i32): void {
  if (host == cpu + <i32>VCPU_scratch) carryOut(cpu);
}

/** Whether [linear, linear + size) with size <= 4096 can be written, before anything is changed. */
export function canWrite(cpu: i32, linear: i64, size: i32, segment: i32): bool {
  if (hostForWrite(cpu, linear, 1, segment) == 0) return false;
  return hostForWrite(cpu, linear + size - 1, 1, segment) != 0;
}

export function canRead(cpu: i32, linear: i64, size: i32, segment: i32): bool {
  if (hostForRead(cpu, linear, 1, segment) == 0) return false;
  return hostForRead(cpu, linear + size - 1, 1, segment) != 0;
}
