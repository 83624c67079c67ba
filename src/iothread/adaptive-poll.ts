/**
 * How long a thread looks for work before it sleeps. Polling spares the wake-up (30 us) but keeps a core busy, so it is
 * only for hosts with an idle one, and only while it pays: what would have been caught makes it longer, a miss ends it.
 */
const FIRST_MS = 0.008;

export class AdaptivePoll {
  readonly #maxMs: number;
  #ms = 0;

  /** 0: never polls. */
  constructor(maxMs: number) {
    this.#maxMs = maxMs;
  }

  /** How long the next poll lasts at most, in ms. */
  get length(): number {
    return this.#ms;
  }

  /** True if `isReady` said so in time. */
  run(now: () => number, isReady: () => boolean): boolean {
    if (this.#ms === 0) return false;
    const end = now() + this.#ms;
    do {
      if (isReady()) return true;
    } while (now() < end);
    this.#ms = 0;
    return false;
  }

  /** A sleep that came after `run` took so long: had polling caught what ended it? */
  slept(ms: number): void {
    if (ms < this.#maxMs) this.#ms = Math.min(this.#maxMs, Math.max(FIRST_MS, 2 * ms));
  }
}
