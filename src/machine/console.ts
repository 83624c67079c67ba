/** COM1 and the virtio console seen from the page: drains the guest's output rings, fills an input ring, and loses no byte. */
import type { Views } from '../base/views.ts';
import {
  CAUSE_COMPLETION,
  CAUSE_DOORBELL,
  CONSOLE_IN_BASE,
  CONSOLE_OUT_BASE,
  SERIAL_IN_BASE,
  SERIAL_OUT_BASE,
  THREAD_PAGE,
  THREAD_VCPU0,
} from '../layout/machine.ts';
import { ByteRing } from '../sync/ring.ts';
import { WakeWord, wakeThread } from '../sync/wake.ts';

/** At most this much goes to the terminal at once, so that the page keeps answering its user. */
const CHUNK = 0x4000;
/**
 * After output the ring is looked at again this much later, without a wake-up: a guest that prints byte by byte pays
 * for one notification per interval (8-18 us each) and not for one per byte.
 */
const COLLECT_MS = 4;
/** A wait this long needs no wake-up to notice bytes: covers browsers without Atomics.waitAsync. */
const IDLE_MS = 100;
const POLL_MS = 16;

const canWait = typeof (Atomics as { waitAsync?: unknown }).waitAsync === 'function';

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export interface ConsoleOptions {
  /** The terminal's input is COM1's; without COM1, the virtio console's. */
  readonly hasSerial: boolean;
  /** The thread that owns the virtio console, if there is one. */
  readonly virtioThread: number | undefined;
}

export class SerialConsole {
  readonly #views: Views;
  readonly #serial: ByteRing;
  readonly #virtio: ByteRing;
  readonly #input: ByteRing;
  readonly #options: ConsoleOptions;
  readonly #wake: WakeWord;
  readonly #receive: (bytes: Uint8Array<ArrayBuffer>) => void;
  /** Typed ahead of a full ring. */
  #pending: Uint8Array[] = [];
  #open = true;

  constructor(views: Views, options: ConsoleOptions, receive: (bytes: Uint8Array<ArrayBuffer>) => void) {
    this.#views = views;
    this.#options = options;
    this.#serial = new ByteRing(views, SERIAL_OUT_BASE);
    this.#virtio = new ByteRing(views, CONSOLE_OUT_BASE);
    this.#input = new ByteRing(views, options.hasSerial ? SERIAL_IN_BASE : CONSOLE_IN_BASE);
    this.#wake = new WakeWord(views, THREAD_PAGE);
    this.#receive = receive;
  }

  /** Runs until close(). */
  async pump(): Promise<void> {
    while (this.#open) {
      const moved = this.drain();
      this.#feed();
      if (moved || this.#pending.length > 0) await delay(COLLECT_MS);
      else if (canWait) await this.#wake.waitAsync(IDLE_MS);
      else await delay(POLL_MS);
    }
  }

  /** Hands over what the guest has written; true if there was something. */
  drain(): boolean {
    const fromSerial = this.#drain(this.#serial);
    const fromVirtio = this.#drain(this.#virtio);
    const { virtioThread } = this.#options;
    // There is room again.
    if (fromVirtio && virtioThread !== undefined) wakeThread(this.#views, virtioThread, CAUSE_COMPLETION);
    return fromSerial || fromVirtio;
  }

  #drain(output: ByteRing): boolean {
    let moved = false;
    for (let bytes = output.pop(CHUNK); bytes.length > 0; bytes = output.pop(CHUNK)) {
      moved = true;
      this.#receive(bytes);
      if (bytes.length < CHUNK) break;
    }
    return moved;
  }

  send(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#pending.push(bytes);
    this.#feed();
  }

  close(): void {
    this.drain();
    this.#open = false;
  }

  #feed(): void {
    let moved = false;
    while (this.#pending.length > 0) {
      const bytes = this.#pending[0]!;
      const count = this.#input.push(bytes);
      moved ||= count > 0;
      if (count < bytes.length) {
        this.#pending[0] = bytes.subarray(count);
        break;
      }
      this.#pending.shift();
    }
    // After the ring's head: whoever takes the cause finds the bytes.
    if (!moved) return;
    const { hasSerial, virtioThread } = this.#options;
    if (hasSerial) wakeThread(this.#views, THREAD_VCPU0, CAUSE_DOORBELL);
    else if (virtioThread !== undefined) wakeThread(this.#views, virtioThread, CAUSE_COMPLETION);
  }
}
