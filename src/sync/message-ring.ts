/**
 * Messages from one thread to another through memory of their own, whole and in order: a ByteRing whose entries are a length (u32, little
 * endian) and so many bytes, and a word that a consumer without a wake word waits on.
 */
import type { Views } from '../base/views.ts';
import { viewsOf } from '../base/views.ts';
import { ByteRing, createRing } from './ring.ts';

const SIGNAL = 0;
const RING_ADDRESS = 64;
const LENGTH_BYTES = 4;
/** The header of the ring and what stands before it. */
const OVERHEAD = 128;

export function createMessageRing(bytes: number): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(bytes + OVERHEAD);
  createRing(viewsOf(buffer), RING_ADDRESS, bytes);
  return buffer;
}

export class MessageRing {
  readonly #views: Views;
  readonly #ring: ByteRing;
  #lost = 0;

  constructor(buffer: SharedArrayBuffer) {
    this.#views = viewsOf(buffer);
    this.#ring = new ByteRing(this.#views, RING_ADDRESS);
  }

  /** Producer: messages that found no room. */
  get lost(): number {
    return this.#lost;
  }

  /** Producer: all of it or, if there is no room, nothing (false). */
  send(message: Uint8Array): boolean {
    if (this.#ring.free < LENGTH_BYTES + message.length) {
      this.#lost++;
      return false;
    }
    const entry = new Uint8Array(LENGTH_BYTES + message.length);
    new DataView(entry.buffer).setUint32(0, message.length, true);
    entry.set(message, LENGTH_BYTES);
    // One push: a consumer never finds a length without its bytes.
    this.#ring.push(entry);
    // After the bytes: a consumer that reads the old value here looks at the ring after that, or is woken.
    Atomics.add(this.#views.i32, SIGNAL, 1);
    Atomics.notify(this.#views.i32, SIGNAL);
    return true;
  }

  /** Consumer: the oldest message as a copy. */
  receive(): Uint8Array<ArrayBuffer> | undefined {
    if (this.#ring.length < LENGTH_BYTES) return undefined;
    const length = this.#ring.pop(LENGTH_BYTES);
    return this.#ring.pop(new DataView(length.buffer).getUint32(0, true));
  }

  /** Consumer: calls `take` with every message, for ever. Does not block. */
  async consume(take: (message: Uint8Array<ArrayBuffer>) => void): Promise<never> {
    for (;;) {
      // Before the look at the ring, see `send`.
      const seen = Atomics.load(this.#views.i32, SIGNAL);
      for (let message = this.receive(); message !== undefined; message = this.receive()) take(message);
      const wait = Atomics.waitAsync(this.#views.i32, SIGNAL, seen);
      if (wait.async) await wait.value;
    }
  }
}
