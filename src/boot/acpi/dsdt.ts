/** The machine as the DSDT describes it: a PCI host bridge and what is behind its ISA bridge. */
import {
  COM_GSIS,
  COM_PORTS,
  GPE0_BYTES,
  GPE0_PORT,
  PCI_ADDRESS_PORT,
  PCI_GSIS,
  PCI_HOLE_END,
  PCI_HOLE_START,
  PM1A_EVENT_PORT,
  RTC_GSI,
  RTC_PORT,
  SLEEP_TYPE_S5,
} from '../../base/platform.ts';
import { VGA_HOLE_END, VGA_HOLE_START } from '../../layout/map.ts';
import { device, eisaId, integer, name, packageOf, scope } from './aml.ts';
import type { Aml } from './aml.ts';
import { busNumbers, ioPort, ioWindow, irq, memoryWindow, resourceTemplate } from './resources.ts';

/** Present, enabled, shown, working. */
const STA_ALL = 0xf;
const PCI_SLOTS = 32;
/** PIIX4's power management takes 64 ports. */
const PM_PORT_BYTES = 0x40;
/** PIIX3's ISA bridge: slot 1, function 0. */
const ISA_BRIDGE_ADDRESS = 0x0001_0000;

export function dsdtBody(serialPorts: number): Aml {
  const ports = COM_PORTS.slice(0, serialPorts);
  return [
    ...name('\\_S5', packageOf(integer(SLEEP_TYPE_S5), integer(SLEEP_TYPE_S5), integer(0), integer(0))),
    ...scope(
      '\\_SB',
      device(
        'PCI0',
        name('_HID', eisaId('PNP0A03')),
        name('_UID', integer(0)),
        name('_CRS', hostBridgeWindows()),
        name('_PRT', interruptRouting()),
        device(
          'ISA',
          name('_ADR', integer(ISA_BRIDGE_ADDRESS)),
          device(
            'RTC',
            name('_HID', eisaId('PNP0B00')),
            name('_CRS', resourceTemplate(ioPort(RTC_PORT, 2), irq(RTC_GSI))),
          ),
          ...ports.map((port, index) =>
            device(
              `COM${index + 1}`,
              name('_HID', eisaId('PNP0501')),
              name('_UID', integer(index + 1)),
              name('_STA', integer(STA_ALL)),
              name('_CRS', resourceTemplate(ioPort(port, 8), irq(COM_GSIS[index]!))),
            ),
          ),
        ),
      ),
      // Motherboard resources: keeps kernels from placing BARs on the power management ports.
      device(
        'MBRD',
        name('_HID', eisaId('PNP0C02')),
        name('_UID', integer(0)),
        name('_CRS', resourceTemplate(ioPort(PM1A_EVENT_PORT, PM_PORT_BYTES), ioPort(GPE0_PORT, GPE0_BYTES))),
      ),
    ),
  ];
}

function hostBridgeWindows(): Aml {
  return resourceTemplate(
    busNumbers(0, 0xff),
    ioPort(PCI_ADDRESS_PORT, 8),
    ioWindow(0, PCI_ADDRESS_PORT - 1),
    ioWindow(PCI_ADDRESS_PORT + 8, 0xffff),
    memoryWindow(VGA_HOLE_START, VGA_HOLE_END - 1),
    memoryWindow(PCI_HOLE_START, PCI_HOLE_END - 1),
  );
}

/** _PRT (6.2.13): address of the slot, pin (0 is INTA), no link device, gsi. */
function interruptRouting(): Aml {
  const entries: Aml[] = [];
  for (let slot = 1; slot < PCI_SLOTS; slot++) {
    for (let pin = 0; pin < 4; pin++) {
      const gsi = PCI_GSIS[(slot + pin) & 3]!;
      entries.push(packageOf(integer(slot * 0x1_0000 + 0xffff), integer(pin), integer(0), integer(gsi)));
    }
  }
  return packageOf(...entries);
}
