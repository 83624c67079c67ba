/** The memory map that kernels get (ACPI 6.5, 15 "System Address Map Interfaces"). */
import {
  EXTENDED_BIOS_DATA_AREA,
  EXTENDED_BIOS_DATA_AREA_END,
  FIRMWARE_END,
  FIRMWARE_START,
} from './low-memory.ts';

export const E820_RAM = 1;
export const E820_RESERVED = 2;

export interface E820Entry {
  readonly start: number;
  readonly bytes: number;
  readonly type: number;
}

/** Ascending and without overlaps. `ramBytes` ends below the PCI hole (layout/map.ts). */
export function memoryMap(ramBytes: number): E820Entry[] {
  const range = (start: number, end: number, type: number): E820Entry => ({
    start,
    bytes: end - start,
    type,
  });
  return [
    range(0, EXTENDED_BIOS_DATA_AREA, E820_RAM),
    range(EXTENDED_BIOS_DATA_AREA, EXTENDED_BIOS_DATA_AREA_END, E820_RESERVED),
    range(FIRMWARE_START, FIRMWARE_END, E820_RESERVED),
    range(FIRMWARE_END, ramBytes, E820_RAM),
    // The firmware's flash, as on any PC; keeps kernels from placing BARs there.
    range(0xfffc_0000, 0x1_0000_0000, E820_RESERVED),
  ];
}
