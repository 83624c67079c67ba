/** Typed access to a virtio device's shared registers (layout/virtio.ts). Every thread makes its own over the same memory. */
import { TWO_32 } from '../base/bits.ts';
import type { Views } from '../base/views.ts';
import {
  MAX_VIRTIO_DEVICES,
  MAX_VIRTIO_QUEUES,
  VIRTIO_CONFIG_BYTES,
  VIRTIO_DEVICE,
  VIRTIO_QUEUE,
  virtioAddress,
  virtioQueueAddress,
} from '../layout/virtio.ts';
import { doorbellOf } from '../layout/ioeventfd.ts';
import { noteAvailIdx } from '../sync/doorbell.ts';
import { SharedLock } from '../sync/lock.ts';
import { hasFeature, VIRTIO_MSI_NO_VECTOR } from './features.ts';
import { legacyRing } from './ring-layout.ts';
import type { RingAddresses } from './ring-layout.ts';

export type DeviceField = Exclude<
  keyof typeof VIRTIO_DEVICE.at,
  'lock' | 'deviceFeatures' | 'driverFeatures' | 'config' | 'msixPending'
>;
export type QueueField = keyof typeof VIRTIO_QUEUE.at;

/** Page size of the legacy interface's queue address (4.1.4.10.1). */
const LEGACY_PAGE = 4096;

export class VirtioState {
  readonly slot: number;
  readonly #views: Views;
  readonly #u8: Uint8Array;
  readonly #u32: Uint32Array;
  readonly #address: number;
  readonly #lock: SharedLock;

  constructor(views: Views, slot: number) {
    if (!(slot >= 0 && slot < MAX_VIRTIO_DEVICES)) throw new Error(`no virtio device ${slot}`);
    this.slot = slot;
    this.#views = views;
    this.#u8 = views.u8;
    this.#u32 = views.u32;
    this.#address = virtioAddress(slot);
    this.#lock = new SharedLock(views, this.#address + VIRTIO_DEVICE.at.lock);
  }

  locked<T>(action: () => T): T {
    this.#lock.acquire();
    try {
      return action();
    } finally {
      this.#lock.release();
    }
  }

  get(field: DeviceField): number {
    return this.#u32[(this.#address + VIRTIO_DEVICE.at[field]) >>> 2]!;
  }

  set(field: DeviceField, value: number): void {
    this.#u32[(this.#address + VIRTIO_DEVICE.at[field]) >>> 2] = value;
  }

  /** Statistics, from any thread. */
  count(field: 'synchronousKicks' | 'synchronousExits'): void {
    // A statistic: atomic so that no count is lost, ordered with nothing.
    Atomics.add(this.#u32, (this.#address + VIRTIO_DEVICE.at[field]) >>> 2, 1);
  }

  /** On the vCPU's thread, before a kick that rings no doorbell. */
  noteAvailIdx(queue: number): void {
    noteAvailIdx(this.#views, doorbellOf(this.slot, queue));
  }

  // --- features

  #features(field: 'deviceFeatures' | 'driverFeatures'): number {
    return (this.#address + VIRTIO_DEVICE.at[field]) >>> 2;
  }

  get deviceFeatures(): readonly [low: number, high: number] {
    const at = this.#features('deviceFeatures');
    return [this.#u32[at]!, this.#u32[at + 1]!];
  }

  get driverFeatures(): readonly [low: number, high: number] {
    const at = this.#features('driverFeatures');
    return [this.#u32[at]!, this.#u32[at + 1]!];
  }

  setFeatures(field: 'deviceFeatures' | 'driverFeatures', word: 0 | 1, value: number): void {
    this.#u32[this.#features(field) + word] = value;
  }

  /** The driver accepted it. */
  isNegotiated(bit: number): boolean {
    return hasFeature(this.driverFeatures, bit);
  }

  // --- queues

  getQueue(queue: number, field: QueueField): number {
    return this.#u32[this.#queueField(queue, field)]!;
  }

  setQueue(queue: number, field: QueueField, value: number): void {
    this.#u32[this.#queueField(queue, field)] = value;
  }

  #queueField(queue: number, field: QueueField): number {
    if (!(queue >= 0 && queue < MAX_VIRTIO_QUEUES)) throw new Error(`no queue ${queue}`);
    return (virtioQueueAddress(this.slot, queue) + VIRTIO_QUEUE.at[field]) >>> 2;
  }

  /** Where the driver has put a queue. Exact up to 2^53: far above RAM either way. */
  ringOf(queue: number): RingAddresses {
    if (this.get('legacy') !== 0) {
      return legacyRing(
        this.getQueue(queue, 'page') * LEGACY_PAGE,
        this.getQueue(queue, 'size'),
        LEGACY_PAGE,
      );
    }
    const quad = (low: QueueField, high: QueueField): number =>
      this.getQueue(queue, low) + this.getQueue(queue, high) * TWO_32;
    return {
      descriptors: quad('descriptorsLow', 'descriptorsHigh'),
      avail: quad('availLow', 'availHigh'),
      used: quad('usedLow', 'usedHigh'),
    };
  }

  // --- device configuration space (2.5)

  get config(): Uint8Array {
    const start = this.#address + VIRTIO_DEVICE.at.config;
    return this.#u8.subarray(start, start + Math.min(this.get('configBytes'), VIRTIO_CONFIG_BYTES));
  }

  // --- reset (2.4)

  /** What the driver's registers read after a reset. Under the lock. */
  clearDriver(): void {
    this.set('status', 0);
    this.set('resetting', 0);
    this.set('legacy', 0);
    this.setFeatures('driverFeatures', 0, 0);
    this.setFeatures('driverFeatures', 1, 0);
    this.set('deviceFeatureSelect', 0);
    this.set('driverFeatureSelect', 0);
    this.set('queueSelect', 0);
    this.set('configVector', VIRTIO_MSI_NO_VECTOR);
    const count = this.get('queueCount');
    for (let queue = 0; queue < count; queue++) {
      this.setQueue(queue, 'size', this.getQueue(queue, 'maxSize'));
      this.setQueue(queue, 'vector', VIRTIO_MSI_NO_VECTOR);
      for (const field of QUEUE_ADDRESS_FIELDS) this.setQueue(queue, field, 0);
    }
  }
}

const QUEUE_ADDRESS_FIELDS = [
  'enabled',
  'descriptorsLow',
  'descriptorsHigh',
  'availLow',
  'availHigh',
  'usedLow',
  'usedHigh',
  'page',
] as const satisfies readonly QueueField[];
