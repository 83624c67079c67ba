/**
 * What the threads share of a virtio device: the transport's registers, which vCPUs read and write, and what the
 * owner of the device reads of them (virtio 1.2, 4.1.4.3). Under `lock` unless a field says otherwise.
 */
import { DEVICES_BASE } from './map.ts';
import { struct } from './struct.ts';

export const MAX_VIRTIO_DEVICES = 16;
/** Of one device: 15 queue pairs and a control queue, with room. */
export const MAX_VIRTIO_QUEUES = 32;
/** One per queue and one for configuration changes, rounded up. */
export const MAX_MSIX_VECTORS = 64;
export const VIRTIO_CONFIG_BYTES = 256;

export const VIRTIO_DEVICE = struct({
  lock: 'i32',
  /** Device ID (chapter 5), 0: no device here. */
  type: 'u32',
  /** device_status as the driver reads it. */
  status: 'u32',
  /** 1 from the driver's reset until the owner has drained: `status` is then what it was. */
  resetting: 'u32',
  deviceFeatures: ['u32', 2],
  driverFeatures: ['u32', 2],
  deviceFeatureSelect: 'u32',
  driverFeatureSelect: 'u32',
  queueSelect: 'u32',
  queueCount: 'u32',
  /** MSI-X vector of configuration changes. */
  configVector: 'u32',
  configGeneration: 'u32',
  configBytes: 'u32',
  /** 1: the driver uses the legacy interface. */
  legacy: 'u32',
  /** Bits of ISR status; with the level of INTx under the lock of the PCI bus. */
  isr: 'u32',
  /** Message Control of the MSI-X capability; written under the lock of the PCI bus, read by any thread. */
  msixControl: 'i32',
  /** Odd while an MSI-X entry changes. */
  msixSequence: 'i32',
  /** The pending bit array: read-modify-write by any thread. */
  msixPending: ['i32', 2],
  /** Times that a vCPU has waited for the owner: to look at a queue, and for anything else. */
  synchronousKicks: 'u32',
  synchronousExits: 'u32',
  config: ['u8', VIRTIO_CONFIG_BYTES],
});

export const VIRTIO_QUEUE = struct({
  maxSize: 'u32',
  size: 'u32',
  vector: 'u32',
  enabled: 'u32',
  descriptorsLow: 'u32',
  descriptorsHigh: 'u32',
  availLow: 'u32',
  availHigh: 'u32',
  usedLow: 'u32',
  usedHigh: 'u32',
  /** Page number as the legacy interface has it. */
  page: 'u32',
  /** IOEVENTFD_* (layout/ioeventfd.ts). */
  ioeventfd: 'u32',
  /** USED_POSTED and the `used.idx` that the vCPU's thread is to publish, or 0; without the lock. */
  usedPosted: 'i32',
});
export const USED_POSTED = 0x10000;

export const MSIX_ENTRY = struct({
  addressLow: 'u32',
  addressHigh: 'u32',
  data: 'u32',
  control: 'u32',
});

const VIRTIO_BASE = DEVICES_BASE + 0x20000;
const VIRTIO_STRIDE = 0x1000;
const QUEUES_OFFSET = 0x200;
const MSIX_OFFSET = 0xa00;

export function virtioAddress(device: number): number {
  return VIRTIO_BASE + device * VIRTIO_STRIDE;
}

export function virtioQueueAddress(device: number, queue: number): number {
  return virtioAddress(device) + QUEUES_OFFSET + queue * VIRTIO_QUEUE.size;
}

export function msixEntryAddress(device: number, vector: number): number {
  return virtioAddress(device) + MSIX_OFFSET + vector * MSIX_ENTRY.size;
}
