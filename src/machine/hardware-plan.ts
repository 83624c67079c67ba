/** From the configuration to the list of virtio functions: numbers, names, places on the bus, and threads. */
import { BLK_DEFAULTS } from '../config/devices.ts';
import type { DeviceConfig, DeviceKind } from '../config/devices.ts';
import type { VmConfig } from '../config/vm-config.ts';
import type { Hardware, VirtioFunction } from '../control/hardware.ts';
import { THREAD_IO0 } from '../layout/machine.ts';
import { MAX_VIRTIO_DEVICES } from '../layout/virtio.ts';
import { failure, success } from '../base/result.ts';
import type { Result } from '../base/result.ts';
import type { Problem } from '../control/status.ts';

/** Device 0 is the host bridge, device 1 the chipset. */
const FIRST_PCI_DEVICE = 2;
const PCI_DEVICES = 32;

/** Device IDs (virtio 1.2, chapter 5). */
const TYPES: Readonly<Record<DeviceKind, number>> = {
  'virtio-net': 1,
  'virtio-blk': 2,
  'virtio-console': 3,
  'virtio-rng': 4,
};

/** Disks wait for nothing but their vCPU and their files; network cards must not wait behind a disk's flush. */
const DEFAULT_THREADS = ['disk', 'net'] as const;

function defaultThread(kind: DeviceKind): (typeof DEFAULT_THREADS)[number] {
  return kind === 'virtio-net' ? 'net' : 'disk';
}

function queuesOf(device: DeviceConfig): number {
  switch (device.kind) {
    case 'virtio-blk':
      return device.queues;
    case 'virtio-net':
      // Pairs of receive and transmit, and the control queue.
      return 2 * device.pairs + 1;
    case 'virtio-rng':
      return 1;
    case 'virtio-console':
      return 2;
  }
}

/** `randomMac` makes the addresses of cards that were given none. */
export function planHardware(config: VmConfig, randomMac: () => string): Result<Hardware, Problem> {
  const { drives, netdevs } = config;
  const implied = drives
    .filter((drive) => drive.interface === 'virtio')
    .map((drive): DeviceConfig => ({ ...BLK_DEFAULTS, drive: drive.id }));
  const devices = [...config.devices, ...implied].map((device) =>
    device.kind === 'virtio-net' && device.mac === undefined ? { ...device, mac: randomMac() } : device,
  );
  if (devices.length > MAX_VIRTIO_DEVICES) {
    return failure({
      kind: 'bad-address',
      message: `The machine has ${devices.length} virtio devices; there is room for ${MAX_VIRTIO_DEVICES}.`,
      advice: 'Leave some out.',
    });
  }
  if (devices.filter(({ kind }) => kind === 'virtio-console').length > 1) {
    return failure({
      kind: 'bad-address',
      message: 'The machine has two virtio-serial devices; there is one terminal.',
      advice: 'Leave one out.',
    });
  }
  const names = [...DEFAULT_THREADS, ...config.iothreads];
  const numbers = new Map<DeviceKind, number>();
  const taken = new Set(devices.flatMap(({ address }) => address ?? []));
  const free = Array.from({ length: PCI_DEVICES - FIRST_PCI_DEVICE }, (_, n) => FIRST_PCI_DEVICE + n).filter(
    (address) => !taken.has(address),
  );
  const functions = devices.map((device, slot): VirtioFunction => {
    const number = numbers.get(device.kind) ?? 0;
    numbers.set(device.kind, number + 1);
    return {
      slot,
      pciDevice: device.address ?? free.shift()!,
      name: device.id ?? `${device.kind}${number}`,
      type: TYPES[device.kind],
      queues: queuesOf(device),
      thread: THREAD_IO0 + names.indexOf(device.iothread ?? defaultThread(device.kind)),
      device,
    };
  });
  const places = functions.map(({ pciDevice }) => pciDevice);
  if (new Set(places).size < places.length) {
    return failure({
      kind: 'bad-address',
      message: 'Two devices of the machine have the same addr=.',
      advice: 'Give each a place of its own, or none.',
    });
  }
  const threads = names
    .map((name, index) => ({ thread: THREAD_IO0 + index, name }))
    .filter(({ thread }) => functions.some((fn) => fn.thread === thread));
  return success({ functions, drives, netdevs, threads });
}
