/**
 * The doorbells and the table that says which guest writes ring them (KVM's ioeventfd), at IOEVENTFD_BASE. How it is
 * read and changed without a lock: docs/ioeventfd.md.
 */
import { IOEVENTFD_BASE } from './map.ts';
import { MAX_VIRTIO_DEVICES, MAX_VIRTIO_QUEUES } from './virtio.ts';
import { struct } from './struct.ts';

/** State of a virtqueue's notification: `VIRTIO_QUEUE.ioeventfd`. */
/** A kick is a synchronous exit. */
export const IOEVENTFD_DEASSIGNED = 0;
/** A kick rings the doorbell. */
export const IOEVENTFD_ASSIGNED = 1;
/** vhost owns the queue. */
export const IOEVENTFD_OFFLIMITS = 2;

export const MAX_IOEVENTFD_SLOTS = 128;
export const IOEVENTFD_BUCKETS = 64;

export const IOEVENTFD_TABLE = struct({
  /** For those who change the table. */
  lock: 'i32',
  /** Bumped after every change: see docs/ioeventfd.md. */
  generation: 'i32',
  /** How many slots there are, how many are in use, and how many of the free ones are vhost's. */
  slots: 'u32',
  used: 'u32',
  reserved: 'u32',
  /** Times that a queue found no slot. */
  refused: 'u32',
  /** By bucket: 1 + the first slot, 0: none. */
  heads: ['u32', IOEVENTFD_BUCKETS],
});
export const IOEVENTFD_TABLE_ADDRESS = IOEVENTFD_BASE;

export const IOEVENTFD_SPACE_MEMORY = 0;
export const IOEVENTFD_SPACE_PORT = 1;

/** A guest write that rings a doorbell. */
export const IOEVENTFD_SLOT = struct({
  /** 1 + number of the doorbell, 0: free. */
  doorbell: 'i32',
  /** IOEVENTFD_SPACE_* */
  space: 'u32',
  address: 'u32',
  /** Width of the write, 0: any. */
  bytes: 'u32',
  /** 1: only a write of `value`. */
  matches: 'u32',
  value: 'u32',
  /** 1 + the next slot of the bucket, 0: none. */
  next: 'u32',
});
export const IOEVENTFD_SLOTS_ADDRESS = IOEVENTFD_BASE + 0x400;

/** One virtqueue's doorbell; each on a cache line of its own, as vCPUs write it. */
export const DOORBELL = struct({
  /** Counts kicks; the thread that listens compares it with what it has seen. */
  kicks: 'i32',
  /** Who listens. */
  thread: 'u32',
  /** Kicks that had to wake that thread. The others found it awake. */
  notifies: 'i32',
  /** 1: a vCPU may put the waking of that thread off until it halts, but not for long (`VCPU.owedKick`). */
  patient: 'u32',
  /** On hosts that may reorder stores: where the queue's `avail.idx` is in shared memory, 0: nowhere; and what it was at the last kick. */
  availAddress: 'u32',
  availIdx: 'i32',
  pad: ['u32', 10],
});
export const DOORBELLS_ADDRESS = IOEVENTFD_BASE + 0x4000;
export const MAX_DOORBELLS = MAX_VIRTIO_DEVICES * MAX_VIRTIO_QUEUES;

export function ioeventfdSlotAddress(slot: number): number {
  return IOEVENTFD_SLOTS_ADDRESS + slot * IOEVENTFD_SLOT.size;
}

export function ioeventfdBucket(address: number): number {
  return (address >>> 2) & (IOEVENTFD_BUCKETS - 1);
}

/** Each queue has its own doorbell, in use or not. */
export function doorbellOf(device: number, queue: number): number {
  return device * MAX_VIRTIO_QUEUES + queue;
}

export function doorbellAddress(doorbell: number): number {
  return DOORBELLS_ADDRESS + doorbell * DOORBELL.size;
}
