/**
 * The chipset functions that guests expect on QEMU's `pc`: the 82441FX host bridge at 0.0 and, in device 1, the
 * PIIX3 ISA bridge and the PIIX4 power management function.
 */
import { PCI_GSIS, PM1A_EVENT_PORT, SCI_GSI } from '../../base/platform.ts';
import type { PciBus } from './bus.ts';
import { COMMAND_IO, COMMAND_MEMORY, PCI_COMMAND, PCI_INTERRUPT_LINE } from './config-space.ts';
import type { PciFunction } from './function.ts';

const INTEL = 0x8086;
/** QEMU's subsystem, which drivers' quirk tables know. */
const RED_HAT = 0x1af4;
const QEMU_MACHINE = 0x1100;

/** 82441FX: DRAM hole, PAM0-6 and SMRAM: writable, as firmware tests; memory is always RAM here. */
const PAM0 = 0x59;
const PAM_REGISTERS = 7;
const SMRAM = 0x72;
/** 82371SB: PIRQ route control A-D. */
const PIRQ_ROUTE = 0x60;
/** 82371AB function 3: PMBASE, PM register enable. */
const PM_BASE = 0x40;
const PM_ENABLE = 0x80;

export interface Chipset {
  /** After the bus's reset: the registers that these functions start with. */
  reset(): void;
}

export function addI440fx(bus: PciBus): Chipset {
  const subsystem = { subsystemVendor: RED_HAT, subsystem: QEMU_MACHINE };
  const hostBridge = bus.add(0, 0, 'i440fx', {
    vendor: INTEL,
    device: 0x1237,
    revision: 2,
    classCode: 0x060000,
    ...subsystem,
  });
  const isaBridge = bus.add(1, 0, 'piix3', {
    vendor: INTEL,
    device: 0x7000,
    revision: 0,
    classCode: 0x060100,
    multifunction: true,
    ...subsystem,
  });
  const power = bus.add(1, 3, 'piix4-pm', {
    vendor: INTEL,
    device: 0x7113,
    revision: 3,
    classCode: 0x068000,
    ...subsystem,
  });
  return {
    reset() {
      bus.locked(() => {
        resetHostBridge(hostBridge);
        resetIsaBridge(isaBridge);
        resetPower(power);
      });
    },
  };
}

function resetHostBridge(fn: PciFunction): void {
  fn.set(PCI_COMMAND, COMMAND_MEMORY, 2);
  for (let n = 0; n < PAM_REGISTERS; n++) fn.allowWrites(PAM0 + n, 0xff, 1);
  fn.set(SMRAM, 0x02, 1);
}

function resetIsaBridge(fn: PciFunction): void {
  fn.set(PCI_COMMAND, COMMAND_IO | COMMAND_MEMORY, 2);
  // The routes are wired; they can be read.
  PCI_GSIS.forEach((gsi, pirq) => fn.set(PIRQ_ROUTE + pirq, gsi, 1));
}

function resetPower(fn: PciFunction): void {
  fn.set(PCI_COMMAND, COMMAND_IO, 2);
  fn.set(PCI_INTERRUPT_LINE, SCI_GSI, 1);
  // Bit 0 says that it is an I/O address. The block does not move.
  fn.set(PM_BASE, PM1A_EVENT_PORT | 1, 4);
  fn.set(PM_ENABLE, 1, 1);
}
