/** The virtio functions of a machine on its PCI bus: the same on the vCPU's thread and on those that own devices. */
import type { Views } from '../base/views.ts';
import type { DeviceKind } from '../config/devices.ts';
import type { VirtioFunction } from '../control/hardware.ts';
import type { PciBus } from '../devices/pci/bus.ts';
import { VIRTIO_BLK_WRITABLE_CONFIG } from '../virtio/blk/virtio-blk.ts';
import type { ConfigRange } from '../virtio/device.ts';
import type { IoeventfdTable } from '../virtio/ioeventfd.ts';
import type { SendMsi } from '../virtio/msix.ts';
import { VirtioPci } from '../virtio/pci-transport.ts';
import { VIRTIO_CONSOLE_WRITABLE_CONFIG } from '../virtio/virtio-console.ts';

const WRITABLE_CONFIG: Readonly<Record<DeviceKind, readonly ConfigRange[]>> = {
  'virtio-blk': VIRTIO_BLK_WRITABLE_CONFIG,
  'virtio-net': [],
  'virtio-rng': [],
  'virtio-console': VIRTIO_CONSOLE_WRITABLE_CONFIG,
};

export interface FunctionSurroundings {
  readonly views: Views;
  readonly pci: PciBus;
  readonly sendMsi: SendMsi;
  readonly ioeventfds?: IoeventfdTable;
}

export function addTransport(fn: VirtioFunction, surroundings: FunctionSurroundings): VirtioPci {
  const { device } = fn;
  return new VirtioPci({
    ...surroundings,
    device: fn.pciDevice,
    slot: fn.slot,
    name: fn.name,
    type: fn.type,
    queues: fn.queues,
    writableConfig: WRITABLE_CONFIG[device.kind],
    disableLegacy: device.disableLegacy,
    disableModern: device.disableModern,
  });
}
