/**
 * One wake word per thread (`THREAD` in layout/machine.ts). Everything that a thread may wait for sets a
 * CAUSE_* bit and bumps the word; the thread takes the bits and re-tests its reasons in a loop.
 */
import type { Views } from '../base/views.ts';
import { THREAD, threadAddress } from '../layout/machine.ts';

const WAKE = THREAD.at.wake >>> 2;
const SLEEPING = THREAD.at.sleeping >>> 2;
const CAUSES = THREAD.at.causes >>> 2;

/** Gives `thread` a reason to look, and wakes it if it waits. Any thread may call this; it never blocks. */
export function wakeThread(views: Views, thread: number, cause: number): void {
  const words = views.i32;
  const base = threadAddress(thread) >>> 2;
  // The data that the cause speaks of was written before; the thread sees it once it has seen the bit.
  Atomics.or(words, base + CAUSES, cause);
  // After the bit: either we see that it sleeps, or it sees the bit when it looks again after setting `sleeping`.
  // The exchange makes one of several wakers the only one that pays for the notify.
  if (Atomics.exchange(words, base + SLEEPING, 0) === 0) return;
  // After the claim, never before it: a thread that read the bumped word, announced its sleep and was claimed only then
  // would wait for a bump that nobody owes it any more, with `sleeping` clear (sync/wake.test.ts has the schedule).
  Atomics.add(words, base + WAKE, 1);
  Atomics.notify(words, base + WAKE);
}

/** A thread's own end of its wake word. */
export class WakeWord {
  readonly #words: Int32Array;
  readonly #base: number;

  constructor(views: Views, thread: number) {
    this.#words = views.i32;
    this.#base = threadAddress(thread) >>> 2;
  }

  /** The causes since the last call, as bits; forgets them. */
  take(): number {
    // Plainly 0 most of the time: the load spares the exchange, and a bit that it misses is found before the next wait.
    if (Atomics.load(this.#words, this.#base + CAUSES) === 0) return 0;
    // Taking the bits comes before the caller reads what they stand for, so nothing written before a bit is missed.
    return Atomics.exchange(this.#words, this.#base + CAUSES, 0);
  }

  /** One of these causes was given and is not taken yet. For a thread that has more to do, or polls before it sleeps. */
  has(causes: number): boolean {
    // Ordered with nothing: a bit that it misses is found by `take`.
    return (Atomics.load(this.#words, this.#base + CAUSES) & causes) !== 0;
  }

  /** Causes that were taken and are somebody else's on this thread. */
  putBack(causes: number): void {
    // Ordered with nothing: only this thread takes them.
    Atomics.or(this.#words, this.#base + CAUSES, causes);
  }

  /**
   * Waits until a cause is set or `timeout` ms have passed (Infinity: no limit), then takes the causes.
   * Does not wait if `hasWork` (doorbells, which set no cause while the thread is awake) says so.
   * Blocks the thread: never on a page.
   */
  wait(timeout: number, hasWork?: () => boolean): number {
    const seen = this.#prepare(hasWork);
    if (seen !== undefined) {
      // Returns at once if the word was bumped since `seen` was read: a waker that has claimed `sleeping` bumps after that.
      Atomics.wait(this.#words, this.#base + WAKE, seen, Math.max(0, timeout));
      // We run: wakers need not notify. A waker that still saw 1 only notifies nobody.
      Atomics.store(this.#words, this.#base + SLEEPING, 0);
    }
    return this.take();
  }

  /** The same for a thread that must return to its event loop (a page, or one that uses fetch). */
  async waitAsync(timeout: number, hasWork?: () => boolean): Promise<number> {
    const seen = this.#prepare(hasWork);
    if (seen !== undefined) {
      // As Atomics.wait above, with a promise in place of the blocked thread.
      const result = Atomics.waitAsync(this.#words, this.#base + WAKE, seen, Math.max(0, timeout));
      if (result.async) await result.value;
      // As in wait().
      Atomics.store(this.#words, this.#base + SLEEPING, 0);
    }
    return this.take();
  }

  /** The value of the wake word to wait on, or undefined if there is a cause already. */
  #prepare(hasWork: (() => boolean) | undefined): number | undefined {
    // Read first: every bump from here on makes the wait return.
    const seen = Atomics.load(this.#words, this.#base + WAKE);
    // Announce before looking at the causes: a waker sets its bit before it looks at `sleeping`.
    Atomics.store(this.#words, this.#base + SLEEPING, 1);
    // After the announcement: a bit set later, or a doorbell rung later, finds `sleeping` set and notifies.
    if (Atomics.load(this.#words, this.#base + CAUSES) === 0 && hasWork?.() !== true) return seen;
    // We do not wait after all.
    Atomics.store(this.#words, this.#base + SLEEPING, 0);
    return undefined;
  }
}
