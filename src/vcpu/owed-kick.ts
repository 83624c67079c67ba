/**
 * The other end of a patient doorbell (docs/ioeventfd.md, Patience): the core has counted a kick and left the waking of the
 * device's thread to the run loop, which must do it when PATIENCE is over, and before the vCPU sleeps or stops.
 */
import type { Views } from '../base/views.ts';
import { VCPU } from '../layout/vcpu.ts';
import { wakeListener } from '../sync/doorbell.ts';

/** In guest nanoseconds, from the turn of the run loop that saw the kick first: 0 to 100 us after it. */
export const PATIENCE_NS = 150_000;

export class OwedKick {
  readonly #views: Views;
  readonly #owed: number;
  #since: number | undefined;

  /** `cpu`: host address of the vCPU block. */
  constructor(views: Views, cpu: number) {
    this.#views = views;
    this.#owed = (cpu + VCPU.at.owedKick) >>> 2;
  }

  /** A turn of the run loop. */
  turn(now: number): void {
    if (this.#views.u32[this.#owed] === 0) return;
    this.#since ??= now;
    if (now - this.#since >= PATIENCE_NS) this.pay();
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
