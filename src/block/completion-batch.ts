/**
 * Collects completions, so that a device hears of several at once: a wake-up of the guest costs 10 to 20 us. What
 * completes in one `run` belongs together, but nobody waits longer than BATCH_MS, and a guest that does nothing else not at all.
 */
export const BATCH_MS = 0.05;

export class CompletionBatch {
  readonly #report: () => void;
  readonly #isAwaited: () => boolean;
  #depth = 0;
  /** When the first completion was collected; -1 if there is none. */
  #start = -1;

  /** `isAwaited`: nobody gains by a wait. */
  constructor(report: () => void, isAwaited: () => boolean) {
    this.#report = report;
    this.#isAwaited = isAwaited;
  }

  get isOpen(): boolean {
    return this.#depth > 0;
  }

  run(work: () => void): void {
    this.#depth++;
    try {
      work();
    } finally {
      if (--this.#depth === 0) this.#close();
    }
  }

  /** Something completed at that time. */
  completed(now: number): void {
    if (this.#start < 0) this.#start = now;
    if (now - this.#start >= BATCH_MS || this.#isAwaited()) this.#close();
  }

  #close(): void {
    this.#start = -1;
    this.#report();
  }
}
