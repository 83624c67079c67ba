/**
 * Whether the kicks of a queue may wait a little (docs/ioeventfd.md, Patience). Waking a thread costs the kicking vCPU 10 us and
 * an interrupt for each completion as much again, so it pays to let requests of a busy guest gather; but where there is
 * only one at a time, waiting gains nothing and costs latency. The queue's own past tells which it is.
 */

/** Wake-ups in a row for a single request that end patience. */
const ALONE_LIMIT = 4;
/** After so many wake-ups for single requests patience is tried once; each try that fails doubles it. */
const FIRST_TRY = 64;
const LAST_TRY = 4096;

export class KickPatience {
  #patient = false;
  /** Wake-ups for one request since the last for several. */
  #alone = 0;
  #nextTry = FIRST_TRY;

  get patient(): boolean {
    return this.#patient;
  }

  /** The thread was woken and took so many requests. `interrupts`: the driver wanted some since the last time; else it polls. */
  woken(requests: number, interrupts: boolean): void {
    if (requests === 0) return;
    if (!interrupts) {
      this.#patient = false;
      this.#alone = 0;
    } else if (requests > 1) {
      this.#patient = true;
      this.#alone = 0;
      this.#nextTry = FIRST_TRY;
    } else this.#single();
  }

  #single(): void {
    this.#alone++;
    if (this.#patient && this.#alone >= ALONE_LIMIT) {
      this.#patient = false;
      this.#alone = 0;
    } else if (!this.#patient && this.#alone >= this.#nextTry) {
      this.#patient = true;
      this.#alone = 0;
      this.#nextTry = Math.min(LAST_TRY, this.#nextTry * 2);
    }
  }
}
