/**
 * The guest-physical address space below 4 GiB: RAM from 0 with the legacy VGA hole in it, everything else
 * is MMIO (or nothing). Guest RAM at `gpa` is at host address RAM_BASE + gpa.
 */
import { VGA_HOLE_END, VGA_HOLE_START } from '../layout/map.ts';

/** True if all `bytes` from `gpa` are RAM. Both may come from the guest. */
export function isRam(gpa: number, bytes: number, ramBytes: number): boolean {
  const end = gpa + bytes;
  if (!(gpa >= 0 && bytes >= 0 && end <= ramBytes)) return false;
  return end <= VGA_HOLE_START || gpa >= VGA_HOLE_END;
}
