/**
 * Which writes are on the medium. Writes are counted as they complete; a flush covers those that had completed when it was
 * submitted, so the count at that moment says whether there is anything to flush, and what a flush in progress is good for.
 */
export class FlushState {
  #writes = 0;
  #flushed: number;

  /** What an earlier session wrote may not be on the medium: unless nothing can be, the first flush is never skipped. */
  constructor(readOnly: boolean) {
    this.#flushed = readOnly ? 0 : -1;
  }

  /** A write has completed. One that failed may have changed the medium as well. */
  wrote(): void {
    this.#writes++;
  }

  /** True if a flush would do nothing. */
  get isClean(): boolean {
    return this.#flushed === this.#writes;
  }

  /** Writes of this session have completed that no flush has covered. */
  get isDirty(): boolean {
    return Math.max(0, this.#flushed) < this.#writes;
  }

  /** What a flush that is submitted now covers. */
  get covers(): number {
    return this.#writes;
  }

  /** A flush with these covers has succeeded. */
  flushed(covers: number): void {
    this.#flushed = Math.max(this.#flushed, covers);
  }
}
