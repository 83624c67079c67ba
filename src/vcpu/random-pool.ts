/**
 * Random bytes for RDRAND and RDSEED, fetched from the host many at a time. The pool is not part of the machine's memory: a
 * saved machine that is continued twice must not draw the same numbers.
 */
const POOL_BYTES = 4096;

export class RandomPool {
  readonly #bytes = new Uint8Array(POOL_BYTES);
  readonly #fill: (bytes: Uint8Array<ArrayBuffer>) => void;
  #at = POOL_BYTES;

  /** `fill` is crypto.getRandomValues, which takes private memory only. */
  constructor(fill: (bytes: Uint8Array<ArrayBuffer>) => void) {
    this.#fill = fill;
  }

  /** Moves the next `count` bytes (a divisor of the pool) to `to`; nobody sees them twice. */
  take(to: Uint8Array, at: number, count: number): void {
    if (this.#at === POOL_BYTES) {
      this.#fill(this.#bytes);
      this.#at = 0;
    }
    const end = this.#at + count;
    to.set(this.#bytes.subarray(this.#at, end), at);
    this.#bytes.fill(0, this.#at, end);
    this.#at = end;
  }
}
