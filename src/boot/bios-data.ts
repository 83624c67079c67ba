/** The BIOS data area that a kernel started without firmware would miss. */
import { COM_PORTS } from '../base/platform.ts';
import { ByteWriter } from './byte-writer.ts';
import { BIOS_DATA_AREA, EXTENDED_BIOS_DATA_AREA, EXTENDED_BIOS_DATA_AREA_END } from './low-memory.ts';
import { load } from './load.ts';
import type { Load } from './load.ts';

/** COM port addresses, EBDA segment, conventional memory in KiB. */
export function biosDataArea(serialPorts: number): Load[] {
  const area = new ByteWriter(0x100);
  COM_PORTS.slice(0, serialPorts).forEach((port, index) => area.u16(index * 2, port));
  area.u16(0x0e, EXTENDED_BIOS_DATA_AREA >>> 4);
  area.u16(0x13, EXTENDED_BIOS_DATA_AREA >>> 10);
  // The EBDA begins with its own size in KiB.
  const extended = new ByteWriter(EXTENDED_BIOS_DATA_AREA_END - EXTENDED_BIOS_DATA_AREA);
  extended.u8(0, extended.bytes.length >>> 10);
  return [
    load('The BIOS data area', BIOS_DATA_AREA, area.bytes),
    load('The extended BIOS data area', EXTENDED_BIOS_DATA_AREA, extended.bytes),
  ];
}
