/** Something that has to act at a guest time of its own. */
export interface TimerSource {
  /** When it wants `expire` next, in guest ns; Infinity if never. May be called often. */
  nextDeadline(): number;
  /** Does what is due at `now`; harmless if nothing is. */
  expire(now: number): void;
}

/** Several sources as one. */
export class TimerSet implements TimerSource {
  readonly #sources: readonly TimerSource[];

  constructor(sources: readonly TimerSource[]) {
    this.#sources = sources;
  }

  nextDeadline(): number {
    let next = Infinity;
    for (const source of this.#sources) next = Math.min(next, source.nextDeadline());
    return next;
  }

  expire(now: number): void {
    for (const source of this.#sources) {
      if (source.nextDeadline() <= now) source.expire(now);
    }
  }
}
