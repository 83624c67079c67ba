/**
 * A histogram of times with a relative error below 1/16, in the manner of HdrHistogram: each power of two of
 * microseconds is divided into 16 equal buckets, so recording is one shift and one increment.
 */
import type { LatencySummary } from './block-backend.ts';

/** Buckets per power of two. */
const STEPS_SHIFT = 4;
const STEPS = 1 << STEPS_SHIFT;
/** 2^30 us are 18 minutes; longer ones count as that. */
const POWERS = 30 - STEPS_SHIFT + 1;
const MAX_US = 2 ** 30 - 1;

export class LatencyHistogram {
  readonly #buckets = new Uint32Array(POWERS * STEPS);
  #count = 0;
  #max = 0;

  /** A clock may be off by some microseconds between threads, so `us` may be negative: that is 0. */
  record(us: number): void {
    const value = Math.min(MAX_US, Math.max(0, Math.round(us)));
    this.#buckets[bucketOf(value)]!++;
    this.#count++;
    if (value > this.#max) this.#max = value;
  }

  summary(): LatencySummary {
    return {
      count: this.#count,
      p50: this.#percentile(0.5),
      p90: this.#percentile(0.9),
      p99: this.#percentile(0.99),
      p999: this.#percentile(0.999),
      max: this.#max,
    };
  }

  /** The highest value of the bucket that holds the `share` of all values; 0 without any. */
  #percentile(share: number): number {
    const rank = Math.ceil(this.#count * share);
    let seen = 0;
    for (let index = 0; seen < rank; index++) {
      seen += this.#buckets[index]!;
      if (seen >= rank) return Math.min(this.#max, highestIn(index));
    }
    return 0;
  }
}

/** Values below 2 * STEPS have a bucket each; above, the top STEPS_SHIFT + 1 bits choose it. */
function bucketOf(value: number): number {
  const power = Math.max(0, 31 - Math.clz32(value) - STEPS_SHIFT);
  return power * STEPS + (value >>> power);
}

function highestIn(index: number): number {
  if (index < 2 * STEPS) return index;
  const power = (index >>> STEPS_SHIFT) - 1;
  return (((index & (STEPS - 1)) + STEPS + 1) << power) - 1;
}
