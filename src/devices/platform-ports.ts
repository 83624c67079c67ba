/** Puts the interrupt controllers and the timer on a vCPU's bus. */
import { IO_APIC_BASE, LOCAL_APIC_BASE } from '../base/platform.ts';
import type { IrqChip } from '../irqchip/irqchip.ts';
import { PAGE_SIZE } from '../layout/map.ts';
import type { AccessBytes, IoBus, IoHandler } from './io-bus.ts';

/** Claims the ports of the 8259 pair, the 8254 and port 61h, and the pages of I/O APIC and local APIC. */
export function addIrqChip(bus: IoBus, irqchip: IrqChip, cpu: number): void {
  for (const port of [0x20, 0xa0, 0x4d0]) {
    bus.addPorts('pic', port, 2, [1], {
      read: (offset) => irqchip.readPic(port + offset),
      write: (offset, value) => irqchip.writePic(port + offset, value),
    });
  }
  bus.addPorts('pit', 0x40, 4, [1], {
    read: (offset) => irqchip.readPit(0x40 + offset),
    write: (offset, value) => irqchip.writePit(0x40 + offset, value),
  });
  bus.addPorts('speaker', 0x61, 1, [1], {
    read: () => irqchip.readSpeaker(),
    write: (_, value) => irqchip.writeSpeaker(value),
  });
  bus.addMmio('ioapic', IO_APIC_BASE, PAGE_SIZE, ioApicPage(irqchip));
  bus.addMmio('lapic', LOCAL_APIC_BASE, PAGE_SIZE, localApicPage(irqchip, cpu));
}

/** 32-bit registers; other widths read what lies there and write nothing (82093AA 3.1). */
function ioApicPage(irqchip: IrqChip): IoHandler {
  return {
    read: (offset, bytes) => part(irqchip.readIoApic(offset & ~3), offset & 3, bytes),
    write(offset, value, bytes) {
      // IOREGSEL takes a byte as well: some systems write it so.
      if (bytes === 4 || offset === 0) irqchip.writeIoApic(offset, value);
    },
  };
}

/** Registers of 32 bits every 16 bytes; accesses of other sizes are undefined (SDM 3A 11.4.1). */
function localApicPage(irqchip: IrqChip, cpu: number): IoHandler {
  return {
    read(offset, bytes) {
      if (!irqchip.lapicMapped(cpu)) return 0xffffffff >>> (32 - bytes * 8);
      if ((offset & 0xc) !== 0) return 0;
      return part(irqchip.readLapic(cpu, offset & ~15), offset & 3, bytes);
    },
    write(offset, value, bytes) {
      if (bytes === 4 && (offset & 15) === 0 && irqchip.lapicMapped(cpu))
        irqchip.writeLapic(cpu, offset, value);
    },
  };
}

function part(register: number, offset: number, bytes: AccessBytes): number {
  return ((register >>> (offset * 8)) & (0xffffffff >>> (32 - bytes * 8))) >>> 0;
}
