/**
 * A mutex in one shared word: 0 free, 1 held, 2 held and somebody waits (the three-state futex lock).
 * No lock is held across a wait for anything else, so a holder is at most descheduled.
 */
import type { Views } from '../base/views.ts';

const FREE = 0;
const HELD = 1;
const CONTENDED = 2;

/** About a microsecond of polling: longer than any critical section here, shorter than a futex wait. */
const SPINS = 200;

/** What the calling thread may do when the lock is taken: a page must not block. */
export type LockWait = 'block' | 'spin';

export class SharedLock {
  readonly #words: Int32Array;
  readonly #index: number;
  readonly #mayBlock: boolean;

  constructor(views: Views, address: number, wait: LockWait = 'block') {
    this.#words = views.i32;
    this.#index = address >>> 2;
    this.#mayBlock = wait === 'block';
  }

  acquire(): void {
    // Acquire: what the previous holder wrote before its release is visible after this exchange.
    if (Atomics.compareExchange(this.#words, this.#index, FREE, HELD) !== FREE) this.#acquireSlow();
  }

  #acquireSlow(): void {
    const words = this.#words;
    const index = this.#index;
    for (let spin = 0; !this.#mayBlock || spin < SPINS; spin++) {
      // The load only avoids needless exchanges; the exchange after it is the acquire, as above.
      if (Atomics.load(words, index) === FREE && Atomics.compareExchange(words, index, FREE, HELD) === FREE) {
        return;
      }
    }
    // The exchange both takes a lock that became free (result FREE: acquire, as above) and tells the holder that it
    // must notify: it is ordered before our wait, so the holder's release either sees 2 or makes the wait return.
    while (Atomics.exchange(words, index, CONTENDED) !== FREE) Atomics.wait(words, index, CONTENDED);
  }

  release(): void {
    // Release: everything written under the lock is visible before the word becomes FREE.
    if (Atomics.exchange(this.#words, this.#index, FREE) === CONTENDED) {
      // One waiter is enough: it takes the lock as CONTENDED and so wakes the next.
      Atomics.notify(this.#words, this.#index, 1);
    }
  }
}
