/**
 * A byte ring in shared memory (`RING` in layout/machine.ts) with one producer and one consumer. `head` counts
 * the bytes ever written, `tail` those ever read, both modulo 2^32; only the producer writes `head`, only the
 * consumer writes `tail`. The capacity is a power of two.
 */
import type { Views } from '../base/views.ts';
import { RING } from '../layout/machine.ts';

const HEAD = RING.at.head >>> 2;
const TAIL = RING.at.tail >>> 2;
const CAPACITY = RING.at.capacity >>> 2;
const DROPPED = RING.at.dropped >>> 2;

/** Makes the `bytes` at `address` (header included in neither) an empty ring. Before any thread uses it. */
export function createRing(views: Views, address: number, bytes: number): void {
  const index = address >>> 2;
  views.u32[index + HEAD] = 0;
  views.u32[index + TAIL] = 0;
  views.u32[index + DROPPED] = 0;
  views.u32[index + CAPACITY] = bytes;
}

export class ByteRing {
  readonly #views: Views;
  readonly #index: number;
  readonly #data: number;
  readonly #mask: number;

  constructor(views: Views, address: number) {
    const capacity = views.u32[(address >>> 2) + CAPACITY]!;
    if (capacity === 0 || (capacity & (capacity - 1)) !== 0)
      throw new Error(`ring capacity ${capacity} is not a power of two`);
    this.#views = views;
    this.#index = address >>> 2;
    this.#data = address + RING.size;
    this.#mask = capacity - 1;
  }

  /** Bytes waiting to be read. */
  get length(): number {
    // Acquire of `head`: the bytes before it are visible to the consumer.
    const head = Atomics.load(this.#views.u32, this.#index + HEAD);
    // Acquire of `tail`: the consumer has finished with the bytes before it, the producer may overwrite them.
    const tail = Atomics.load(this.#views.u32, this.#index + TAIL);
    return (head - tail) >>> 0;
  }

  get free(): number {
    return this.#mask + 1 - this.length;
  }

  /** Bytes that a producer has given up on. */
  get dropped(): number {
    return this.#views.u32[this.#index + DROPPED]!;
  }

  /** Producer: a byte found no room and was given up. */
  countDropped(bytes: number): void {
    // A statistic: atomic so that no count is lost, ordered with nothing.
    Atomics.add(this.#views.u32, this.#index + DROPPED, bytes);
  }

  /** Producer: appends one byte; false if the ring is full. */
  pushByte(byte: number): boolean {
    if (this.free === 0) return false;
    const { u8, u32 } = this.#views;
    const head = u32[this.#index + HEAD]!;
    u8[this.#data + (head & this.#mask)] = byte;
    // Release: the byte is visible before the new head.
    Atomics.store(u32, this.#index + HEAD, (head + 1) >>> 0);
    return true;
  }

  /** Producer: waits up to `timeout` ms for the consumer to take something. Blocks: never on a page. */
  waitForRoom(timeout: number): void {
    const index = this.#index + TAIL;
    // Returns at once if the tail moved since it was read; the consumer need not notify, as the wait is short.
    if (this.free === 0) Atomics.wait(this.#views.i32, index, Atomics.load(this.#views.i32, index), timeout);
  }

  /** Producer: appends as many bytes as fit and returns how many those were. */
  push(bytes: Uint8Array): number {
    const { u8, u32 } = this.#views;
    const count = Math.min(bytes.length, this.free);
    const head = u32[this.#index + HEAD]!;
    const first = Math.min(count, this.#mask + 1 - (head & this.#mask));
    u8.set(bytes.subarray(0, first), this.#data + (head & this.#mask));
    u8.set(bytes.subarray(first, count), this.#data);
    // Release: the bytes are visible before the new head.
    Atomics.store(u32, this.#index + HEAD, (head + count) >>> 0);
    return count;
  }

  /** Consumer: the next byte, or -1. */
  popByte(): number {
    if (this.length === 0) return -1;
    const { u8, u32 } = this.#views;
    const tail = u32[this.#index + TAIL]!;
    const byte = u8[this.#data + (tail & this.#mask)]!;
    // Release: the byte was read before the producer may overwrite it.
    Atomics.store(u32, this.#index + TAIL, (tail + 1) >>> 0);
    return byte;
  }

  /** Consumer: takes up to `limit` bytes as a copy of their own (decoders refuse shared memory). */
  pop(limit: number): Uint8Array<ArrayBuffer> {
    const { u8, u32 } = this.#views;
    const count = Math.min(limit, this.length);
    const tail = u32[this.#index + TAIL]!;
    const first = Math.min(count, this.#mask + 1 - (tail & this.#mask));
    const out = new Uint8Array(count);
    const at = this.#data + (tail & this.#mask);
    out.set(u8.subarray(at, at + first));
    out.set(u8.subarray(this.#data, this.#data + count - first), first);
    // Release: the bytes were read before the producer may overwrite them.
    Atomics.store(u32, this.#index + TAIL, (tail + count) >>> 0);
    return out;
  }
}
