/**
 * A clock that is looked at once per driver call: performance.now() costs 0.2 us, and a request that is served from the host's cache
 * 3. What happens between two looks happens at the time of the first.
 */
export class RecentClock {
  readonly #now: () => number;
  #recent = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Milliseconds at the last look. */
  get recent(): number {
    return this.#recent;
  }

  look(): number {
    this.#recent = this.#now();
    return this.#recent;
  }
}
