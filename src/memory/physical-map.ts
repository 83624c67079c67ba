/**
 * The guest-physical address space below 4 GiB: RAM from 0 with the legacy VGA hole in it, everything else
 * is MMIO (or nothing). Guest RAM at `gpa` is at host address RAM_BASE + gpa.
 */
import { MAX_RAM_BYTES, PAGE_SIZE, VGA_HOLE_END, VGA_HOLE_START } from '../layout/map.ts';

export interface RamRange {
  readonly start: number;
  /** First address behind it. */
  readonly end: number;
}

/** True if all `bytes` from `gpa` are RAM. Both may come from the guest. */
export function isRam(gpa: number, bytes: number, ramBytes: number): boolean {
  const end = gpa + bytes;
  if (!(gpa >= 0 && bytes >= 0 && end <= ramBytes)) return false;
  return end <= VGA_HOLE_START || gpa >= VGA_HOLE_END;
}

/** The ranges that a memory map (e820, PVH) reports as RAM. */
export function ramRanges(ramBytes: number): RamRange[] {
  if (ramBytes <= VGA_HOLE_END) return [{ start: 0, end: Math.min(ramBytes, VGA_HOLE_START) }];
  return [
    { start: 0, end: VGA_HOLE_START },
    { start: VGA_HOLE_END, end: ramBytes },
  ];
}

/** RAM sizes that a machine can have. */
export function isValidRamSize(bytes: number): boolean {
  return Number.isInteger(bytes) && bytes >= 0x100000 && bytes <= MAX_RAM_BYTES && bytes % PAGE_SIZE === 0;
}
