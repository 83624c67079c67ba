/**
 * The shared memory between a disk's thread and the helper threads that read and write for it. One side fills slots and puts their numbers
 * into a ring; every helper takes the next number from the ring, carries the slot out and marks it done. Nobody
 * posts messages: the disk's thread sleeps in `Atomics.wait`.
 *
 * ```
 * words 0-7    TAIL, HEAD, SLEEPERS, STOP, STOPPED, WAKE
 * words 8-71   the ring: numbers of slots, at (position mod 64)
 * slots        64 of SLOT_BYTES each
 * bounce       BOUNCE_BLOCKS of BOUNCE_BLOCK_BYTES, for data that is not in the guest's memory
 * ```
 */
import type { BlockStatus } from '../block-backend.ts';
import type { DriverOperationKind } from '../block-driver.ts';

/** Position behind the last entry of the ring; only the disk's thread moves it. */
export const TAIL = 0;
/** Position of the oldest entry; helpers move it by compare-exchange. */
export const HEAD = 1;
/** Helpers that sleep or are about to. */
export const SLEEPERS = 2;
export const STOP = 3;
/** Helpers that have closed their file and touch nothing any more. */
export const STOPPED = 4;
/** Helpers sleep on it; it changes with each entry, and with the stop. */
export const WAKE = 5;
const RING = 8;
export const SLOTS = 64;

/** Slot words. */
export const STATE = 0;
export const KIND = 1;
export const SEGMENTS = 2;
export const STATUS = 3;
/** Bytes that the helper had to copy. */
export const COPIED = 4;
/** Slot doubles, at word 6 and 8: offset or new size; length, or the size that was asked for. */
export const OFFSET = 3;
export const LENGTH = 4;
/** From here on two words per segment: address and length. */
const SEGMENT_WORDS = 10;
export const MAX_SEGMENTS = 64;
const SLOT_WORDS = SEGMENT_WORDS + 2 * MAX_SEGMENTS;

/** The problem in words, UTF-16 in the place of the segments, its length in SEGMENTS. */
export const MAX_PROBLEM = 4 * MAX_SEGMENTS;

export const BOUNCE_BLOCKS = 4;
export const BOUNCE_BLOCK_BYTES = 256 * 1024;
/** Set in a segment's length word: the address is one in the bounce area. */
export const IN_BOUNCE = 0x8000_0000;

/** STATE: free -> queued -> running -> done -> free, or queued -> cancelled -> done. */
export const FREE = 0;
export const QUEUED = 1;
export const RUNNING = 2;
export const CANCELLED = 3;
export const FINISHED = 4;

export type PortKind = DriverOperationKind | 'flush' | 'resize' | 'size';
export const KINDS: readonly PortKind[] = [
  'read',
  'write',
  'discard',
  'write-zeroes',
  'flush',
  'resize',
  'size',
];
export const STATUSES: readonly BlockStatus[] = ['ok', 'io-error', 'no-space', 'unsupported', 'cancelled'];

const CONTROL_BYTES = (RING + SLOTS) * 4;
const SLOT_BYTES = SLOT_WORDS * 4;
const BOUNCE_BASE = CONTROL_BYTES + SLOTS * SLOT_BYTES;
export const PORT_BYTES = BOUNCE_BASE + BOUNCE_BLOCKS * BOUNCE_BLOCK_BYTES;

export function createPortMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(PORT_BYTES);
}

export interface PortSlot {
  readonly words: Int32Array;
  readonly numbers: Float64Array;
  readonly text: Uint16Array;
}

/** One side's views of the port. */
export class PortViews {
  readonly control: Int32Array;
  readonly bounce: Uint8Array;
  readonly slots: readonly PortSlot[];
  readonly #ring: Int32Array;

  constructor(port: SharedArrayBuffer) {
    this.control = new Int32Array(port, 0, RING);
    this.#ring = new Int32Array(port, RING * 4, SLOTS);
    this.bounce = new Uint8Array(port, BOUNCE_BASE, BOUNCE_BLOCKS * BOUNCE_BLOCK_BYTES);
    this.slots = Array.from({ length: SLOTS }, (_, index) => {
      const base = CONTROL_BYTES + index * SLOT_BYTES;
      return {
        words: new Int32Array(port, base, SLOT_WORDS),
        numbers: new Float64Array(port, base, SEGMENT_WORDS / 2),
        text: new Uint16Array(port, base + SEGMENT_WORDS * 4, MAX_PROBLEM),
      };
    });
  }

  /** Only by the disk's thread. There are as many entries as slots, so there is always room. */
  push(slot: number): void {
    const tail = Atomics.load(this.control, TAIL);
    this.#ring[tail & (SLOTS - 1)] = slot;
    // The entry and the slot's contents before the new tail, which makes helpers look at them.
    Atomics.store(this.control, TAIL, (tail + 1) | 0);
    this.wake(1);
  }

  /** Lets that many sleeping helpers look again. */
  wake(helpers: number): void {
    // Whatever they are to see is there already. A helper that read the word before does not fall asleep any more.
    Atomics.add(this.control, WAKE, 1);
    // After the word: one that announces itself later than this has the new one.
    if (Atomics.load(this.control, SLEEPERS) > 0) Atomics.notify(this.control, WAKE, helpers);
  }

  /** Sleeps until there is an entry or a stop; returns at once if there is. `seen` was read from WAKE before the last look. */
  sleep(seen: number): void {
    // Announced before the look: who adds to the ring afterwards sees a sleeper and notifies.
    Atomics.add(this.control, SLEEPERS, 1);
    const idle = Atomics.load(this.control, HEAD) === Atomics.load(this.control, TAIL);
    if (idle && Atomics.load(this.control, STOP) === 0) Atomics.wait(this.control, WAKE, seen);
    Atomics.sub(this.control, SLEEPERS, 1);
  }

  /** The oldest entry, now the caller's; -1 if there is none. */
  pop(): number {
    for (;;) {
      const head = Atomics.load(this.control, HEAD);
      // After the head: what is found between them was there.
      if (head === Atomics.load(this.control, TAIL)) return -1;
      // Read before it is claimed: afterwards the position may be filled anew. If somebody was faster, this value is not used.
      const slot = Atomics.load(this.#ring, head & (SLOTS - 1));
      if (Atomics.compareExchange(this.control, HEAD, head, (head + 1) | 0) === head) return slot;
    }
  }

  setSegment(slot: PortSlot, index: number, address: number, length: number, bounce: boolean): void {
    slot.words[SEGMENT_WORDS + 2 * index] = address;
    slot.words[SEGMENT_WORDS + 2 * index + 1] = bounce ? length | IN_BOUNCE : length;
  }

  /** The segments of a slot, in the guest's memory or in the bounce area. */
  segments(slot: PortSlot, memory: ArrayBufferLike): Uint8Array[] {
    return Array.from({ length: slot.words[SEGMENTS]! }, (_, index) => {
      const address = slot.words[SEGMENT_WORDS + 2 * index]! >>> 0;
      const word = slot.words[SEGMENT_WORDS + 2 * index + 1]!;
      const length = word & ~IN_BOUNCE;
      return (word & IN_BOUNCE) === 0
        ? new Uint8Array(memory, address, length)
        : this.bounce.subarray(address, address + length);
    });
  }
}
