/**
 * Notices a thread that is gone. Browsers take a worker away without a word (out of memory, its process killed); a guest
 * that seems to hang would be all that a person sees.
 */
import type { Views } from '../base/views.ts';
import { CAUSE_DOORBELL, THREAD, threadAddress } from '../layout/machine.ts';
import { wakeThread } from '../sync/wake.ts';

const INTERVAL_MS = 1000;

export interface ThreadWatchOptions {
  readonly views: Views;
  /** THREAD_* */
  readonly thread: number;
  /** Looks without a sign of life after which the thread is lost. A look is counted, not timed: a page that was frozen counts none. */
  readonly patience: number;
  /** A number that changes while the thread works without a look at its wake word. */
  readonly progress?: () => number;
}

export class ThreadWatch {
  readonly #options: ThreadWatchOptions;
  #seen = -1;
  #silent = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(options: ThreadWatchOptions) {
    this.#options = options;
  }

  /** Calls `onLost` once if the thread shows no life, until stop(). Only while it is to look at its wake word. */
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
   * True while the thread may be alive: it makes progress, or it has taken the wake-up of the last look (one that sleeps takes
   * every one, and looks at its reasons again; that this one has none does no harm).
   */
  look(): boolean {
    const { views, thread, patience, progress } = this.#options;
    const made = progress?.() ?? -1;
    // Ordered with nothing: a bit that was taken meanwhile is seen at the next look.
    const pending = Atomics.load(views.i32, (threadAddress(thread) + THREAD.at.causes) >>> 2);
    const isAlive = made !== this.#seen || (pending & CAUSE_DOORBELL) === 0;
    this.#seen = made;
    this.#silent = isAlive ? 0 : this.#silent + 1;
    wakeThread(views, thread, CAUSE_DOORBELL);
    return this.#silent < patience;
  }
}
