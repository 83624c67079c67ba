/**
 * The loop of a thread that owns devices: doorbells, synchronous exits, completions, and work that was put off. It
 * sleeps on its one wake word, and returns when the thread must do what only its event loop can (promises), or quit.
 */
import type { Views } from '../base/views.ts';
import { CAUSE_MAIL, STOP_PAUSE, STOP_QUIT, STOP_RUN } from '../layout/machine.ts';
import { DoorbellListener } from '../sync/doorbell.ts';
import { ExitServer } from '../sync/exit-call.ts';
import { acknowledgeStop, stopRequest } from '../sync/stop.ts';
import { WakeWord } from '../sync/wake.ts';
import type { DeviceHost } from '../virtio/device-host.ts';
import { serveOwnerCall } from '../virtio/remote-owner.ts';

export interface EventLoopOptions {
  readonly views: Views;
  /** THREAD_IO0 + n. */
  readonly thread: number;
  readonly vcpus: number;
}

/** Why `run` came back: the control plane has mail, or the machine ends. */
export type LoopEnd = 'mail' | 'quit';

/** Times that the thread did something, by kind; for `info stats`. */
export interface LoopCounters {
  wakeups: number;
  doorbells: number;
  exits: number;
}

export class EventLoop {
  /** Doorbells of the devices that this thread owns. */
  readonly doorbells: DoorbellListener;
  readonly counters: LoopCounters = { wakeups: 0, doorbells: 0, exits: 0 };
  readonly #views: Views;
  readonly #thread: number;
  readonly #wake: WakeWord;
  readonly #exits: ExitServer;
  readonly #hosts = new Map<number, DeviceHost>();
  readonly #onCause: { readonly cause: number; readonly handler: () => void }[] = [];
  #deferred: (() => void)[] = [];
  #answered: number = STOP_RUN;

  constructor({ views, thread, vcpus }: EventLoopOptions) {
    this.#views = views;
    this.#thread = thread;
    this.#wake = new WakeWord(views, thread);
    this.#exits = new ExitServer(views, thread, vcpus);
    this.doorbells = new DoorbellListener(views, thread);
  }

  /** Virtio device `slot` is this thread's. */
  addHost(slot: number, host: DeviceHost): void {
    this.#hosts.set(slot, host);
  }

  /** `handler` runs after `cause` (CAUSE_COMPLETION and the like) was given. */
  onCause(cause: number, handler: () => void): void {
    this.#onCause.push({ cause, handler });
  }

  /** Runs a task after a look at everything else: `DeviceHostOptions.defer`, `QueueOptions.defer`. */
  defer(task: () => void): void {
    this.#deferred.push(task);
  }

  /**
   * Blocks until the machine ends or mail has come. While the machine is paused nothing new is taken from the guest, but
   * exits are answered: a vCPU counts as stopped only when its exit is over.
   */
  run(): LoopEnd {
    for (;;) {
      const request = stopRequest(this.#views, this.#thread);
      if (request !== this.#answered) {
        // What was done before is in memory when the answer is seen.
        acknowledgeStop(this.#views, this.#thread, request);
        this.#answered = request;
      }
      if (request === STOP_QUIT) return 'quit';
      const causes = this.#wait(request === STOP_PAUSE);
      for (const { cause, handler } of this.#onCause) if ((causes & cause) !== 0) handler();
      this.#poll(request === STOP_PAUSE);
      if ((causes & CAUSE_MAIL) !== 0) return 'mail';
    }
  }

  #wait(isPaused: boolean): number {
    const hasWork = (): boolean => !isPaused && (this.doorbells.isRinging || this.#deferred.length > 0);
    if (hasWork()) return this.#wake.take();
    this.counters.wakeups++;
    return this.#wake.wait(Infinity, hasWork);
  }

  #poll(isPaused: boolean): void {
    this.counters.exits += this.#exits.serve((call, answer) =>
      serveOwnerCall(this.#hosts.get(call.device), call, answer),
    );
    if (isPaused) return;
    this.counters.doorbells += this.doorbells.dispatch();
    const tasks = this.#deferred;
    this.#deferred = [];
    for (const task of tasks) task();
  }
}
