/**
 * Notices a vCPU's thread that is gone. Browsers take a worker away without a word (out of memory, its process killed);
 * a guest that seems to hang would be all that a person sees.
 */
import type { Views } from '../base/views.ts';
import { CAUSE_DOORBELL, THREAD, THREAD_VCPU0, threadAddress } from '../layout/machine.ts';
import { vcpuAddress } from '../layout/map.ts';
import { VCPU } from '../layout/vcpu.ts';
import { wakeThread } from '../sync/wake.ts';
import { readCounter } from './counters.ts';

/** Looks without a sign of life after which a thread is lost. A look is counted, not timed: a page that was frozen counts none. */
const PATIENCE = 15;
const INTERVAL_MS = 1000;

export class ThreadWatch {
  readonly #views: Views;
  readonly #index: number;
  #instructions = -1;
  #silent = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(views: Views, index = 0) {
    this.#views = views;
    this.#index = index;
  }

  /** Calls `onLost` once if the thread shows no life, until stop(). Only while it runs the guest. */
  start(onLost: () => void): void {
    this.stop();
    this.#silent = 0;
    this.#timer = setInterval(() => {
      if (this.look()) return;
      this.stop();
      onLost();
    }, INTERVAL_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /**
   * True while the thread may be alive: it executes instructions, or it has taken the wake-up of the last look (in HLT
   * it takes every one, and looks at its reasons again; that this one has none does no harm).
   */
  look(): boolean {
    const thread = THREAD_VCPU0 + this.#index;
    const instructions = readCounter(this.#views, vcpuAddress(this.#index) + VCPU.at.countInstructions);
    // Ordered with nothing: a bit that was taken meanwhile is seen at the next look.
    const pending = Atomics.load(this.#views.i32, (threadAddress(thread) + THREAD.at.causes) >>> 2);
    const isAlive = instructions !== this.#instructions || (pending & CAUSE_DOORBELL) === 0;
    this.#instructions = instructions;
    this.#silent = isAlive ? 0 : this.#silent + 1;
    wakeThread(this.#views, thread, CAUSE_DOORBELL);
    return this.#silent < PATIENCE;
  }
}
