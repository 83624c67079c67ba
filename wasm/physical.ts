/** Guest-physical memory: what is RAM, and the two bitmaps that every write to it keeps true. */
import {
  CODE_BITMAP_BASE,
  DIRTY_BITMAP_BASE,
  RAM_BASE,
  VCPU_ramBytes,
  VGA_HOLE_END,
  VGA_HOLE_START,
} from './generated/layout';
import { invalidateCode } from './blocks';

/** Outside RAM, and in the VGA hole, devices answer (or nobody). */
// @ts-ignore: decorator
@inline export function inRam(cpu: usize, gpa: u64): bool {
  return gpa < <u64>load<u32>(cpu, VCPU_ramBytes) && (gpa < <u64>VGA_HOLE_START || gpa >= <u64>VGA_HOLE_END);
}

// @ts-ignore: decorator
@inline export function ramHost(gpa: u64): usize {
  return <usize>RAM_BASE + <usize>gpa;
}

/** The i64 of the code bitmap for the page of `gpa`. */
// @ts-ignore: decorator
@inline export function codeBits(gpa: u32): usize {
  return CODE_BITMAP_BASE + ((gpa >> 12) << 3);
}

/** The bits of a page's code word that stand for `size` bytes (1 to 4096, inside the page) from `gpa`. */
export function codeMask(gpa: u32, size: u32): u64 {
  const first = (gpa & 4095) >> 6;
  const last = ((gpa & 4095) + size - 1) >> 6;
  return (~(<u64>0) >> (63 - (last - first))) << first;
}

export function setDirty(gpa: u32): void {
  const at: usize = DIRTY_BITMAP_BASE + (gpa >> 15);
  const bit = <u8>(<u32>1 << ((gpa >> 12) & 7));
  // Other threads set bits of the same byte.
  if ((load<u8>(at) & bit) == 0) atomic.or<u8>(at, bit);
}

// @ts-ignore: decorator
@inline export function isDirty(gpa: u32): bool {
  return (load<u8>(DIRTY_BITMAP_BASE + (gpa >> 15)) & (1 << ((gpa >> 12) & 7))) != 0;
}

/** After a write of `size` bytes inside one page of RAM, made without a write tag of the TLB. */
export function wrote(cpu: usize, gpa: u32, size: u32): void {
  setDirty(gpa);
  if ((load<u64>(codeBits(gpa)) & codeMask(gpa, size)) != 0) invalidateCode(cpu, gpa, size);
}
