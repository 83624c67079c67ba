/**
 * A virtio device without a thread of its own: its queues are served on the vCPU's thread, during the kick. One call makes
 * the PCI function, the registers and the host; the device type comes ready with its backend.
 */
import type { Views } from '../base/views.ts';
import type { PciBus } from '../devices/pci/bus.ts';
import type { GuestMemory } from '../memory/guest-memory.ts';
import type { VirtioDevice } from './device.ts';
import { DeviceHost } from './device-host.ts';
import type { SendMsi } from './msix.ts';
import { VirtioPci } from './pci-transport.ts';

export interface PlugInOptions {
  readonly views: Views;
  readonly memory: GuestMemory;
  readonly pci: PciBus;
  readonly sendMsi: SendMsi;
  /** Device number on PCI bus 0. */
  readonly pciDevice: number;
  /** Number among the machine's virtio devices. */
  readonly slot: number;
  readonly device: VirtioDevice;
  readonly disableModern?: boolean;
  readonly disableLegacy?: boolean;
  readonly eventIdx?: boolean;
  readonly onProblem?: (message: string) => void;
}

export interface PluggedIn {
  readonly transport: VirtioPci;
  readonly host: DeviceHost;
  /** Power-on state; after the reset of the bus. */
  reset(): void;
}

export function plugIn(options: PlugInOptions): PluggedIn {
  const { views, memory, pci, sendMsi, device, disableModern = false, disableLegacy = false } = options;
  const { name, type, queueSizes, writableConfig = [] } = device.identity;
  const transport = new VirtioPci({
    views,
    pci,
    device: options.pciDevice,
    slot: options.slot,
    name,
    type,
    queues: queueSizes.length,
    writableConfig,
    disableModern,
    disableLegacy,
    sendMsi,
  });
  const host = new DeviceHost({
    state: transport.state,
    memory,
    device,
    interrupts: transport.interrupts,
    modern: !disableModern,
    eventIdx: options.eventIdx ?? true,
    onProblem: options.onProblem ?? (() => {}),
  });
  transport.serve(host);
  return { transport, host, reset: () => transport.reset() };
}
