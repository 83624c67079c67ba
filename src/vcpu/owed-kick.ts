/**
 * The other end of a patient doorbell (docs/ioeventfd.md, Patience): the core has counted a kick and left the waking of the
 * device's thread to the run loop, which must do it when patience is over, and before the vCPU sleeps or stops.
 *
 * How long patience lasts is learned. Too short, and the thread is woken for few requests at a time; too long, and a guest
 * with few jobs comes to wait for all of them at once, with the thread asleep until then. The guest's halts tell.
 */
import type { Views } from '../base/views.ts';
import { VCPU } from '../layout/vcpu.ts';
import { wakeListener } from '../sync/doorbell.ts';

/** All in guest nanoseconds. Patience is counted from the turn of the run loop that saw the kick first: 0 to 100 us after it. */
export const LONGEST_PATIENCE_NS = 150_000;
export const SHORTEST_PATIENCE_NS = 25_000;
/** A guest that halts so soon after the wake-up waits for what it asked for in it. */
export const ANSWER_NS = 60_000;
/** Grows by this with each wake-up that came in time, */
const GROWTH_NS = 1_000;
/** and shrinks to this part of it with each that came too late. */
const SHRINKAGE = 0.75;

export class OwedKick {
  readonly #views: Views;
  readonly #owed: number;
  #patienceNs = LONGEST_PATIENCE_NS;
  #since: number | undefined;
  /** When patience was over last, unless the guest has halted since. */
  #wokenAt = -Infinity;

  /** `cpu`: host address of the vCPU block. */
  constructor(views: Views, cpu: number) {
    this.#views = views;
    this.#owed = (cpu + VCPU.at.owedKick) >>> 2;
  }

  /** A turn of the run loop, of a vCPU that goes on. */
  turn(now: number): void {
    if (this.#views.u32[this.#owed] === 0) return;
    this.#since ??= now;
    if (now - this.#since < this.#patienceNs) return;
    this.#patienceNs = Math.min(LONGEST_PATIENCE_NS, this.#patienceNs + GROWTH_NS);
    this.#wokenAt = now;
    this.pay();
  }

  /** The vCPU is about to sleep. */
  halting(now: number): void {
    if (this.#views.u32[this.#owed] !== 0 || now - this.#wokenAt < ANSWER_NS)
      this.#patienceNs = Math.max(SHORTEST_PATIENCE_NS, this.#patienceNs * SHRINKAGE);
    this.#wokenAt = -Infinity;
    this.pay();
  }

  /** Wakes the thread now, if one is waiting for it. */
  pay(): void {
    const owed = this.#views.u32[this.#owed]!;
    if (owed === 0) return;
    this.#views.u32[this.#owed] = 0;
    this.#since = undefined;
    wakeListener(this.#views, owed - 1);
  }
}
