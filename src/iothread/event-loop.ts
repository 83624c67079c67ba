/**
 * The loop of a thread that owns devices: doorbells, synchronous exits, completions, and work that was put off. It
 * sleeps on its one wake word, and returns when the thread must do what only its event loop can (promises), or quit.
 */
import type { Views } from '../base/views.ts';
import { CAUSE_EXIT, CAUSE_MAIL, STOP_PAUSE, STOP_QUIT, STOP_RUN } from '../layout/machine.ts';
import { DoorbellListener } from '../sync/doorbell.ts';
import { ExitServer } from '../sync/exit-call.ts';
import { isAnyHalted } from '../sync/halted.ts';
import { acknowledgeStop, stopRequest } from '../sync/stop.ts';
import { WakeWord } from '../sync/wake.ts';
import type { DeviceHost } from '../virtio/device-host.ts';
import { serveOwnerCall } from '../virtio/remote-owner.ts';
import { AdaptivePoll } from './adaptive-poll.ts';

export interface EventLoopOptions {
  readonly views: Views;
  /** THREAD_IO0 + n. */
  readonly thread: number;
  readonly vcpus: number;
  /** Milliseconds, as performance.now(). */
  readonly now?: () => number;
  /** How long to poll at most before a sleep, in ms; 0 where no core is idle (docs/ioeventfd.md). */
  readonly maxPollMs?: number;
  /**
   * The machine pauses: `then` is to be called when the devices rest. Until then completions and deferred work go on, but nothing
   * new is taken from the guest.
   */
  readonly quiesce?: (then: () => void) => void;
  /** After a pause: devices look at their queues again. */
  readonly resumed?: () => void;
}

/** Why `run` came back: the control plane has mail, or the machine ends. */
export type LoopEnd = 'mail' | 'quit';

/** Times that the thread did something, by kind; for `info stats`. */
export interface LoopCounters {
  wakeups: number;
  doorbells: number;
  exits: number;
  /** Waits that ended while the thread still polled. */
  pollHits: number;
  waitedMs: number;
}

/** The thread looks around at least this often, although every event wakes it. */
const MAX_SLEEP_MS = 1000;
const ANY_CAUSE = -1;

export class EventLoop {
  /** Doorbells of the devices that this thread owns. */
  readonly doorbells: DoorbellListener;
  readonly counters: LoopCounters = { wakeups: 0, doorbells: 0, exits: 0, pollHits: 0, waitedMs: 0 };
  readonly #views: Views;
  readonly #thread: number;
  readonly #vcpus: number;
  readonly #now: () => number;
  readonly #quiesce: (then: () => void) => void;
  readonly #resumed: () => void;
  readonly #poll: AdaptivePoll;
  readonly #wake: WakeWord;
  readonly #exits: ExitServer;
  readonly #hosts = new Map<number, DeviceHost>();
  readonly #onCause: { readonly cause: number; readonly handler: () => void }[] = [];
  #deferred: (() => void)[] = [];
  #answered: number = STOP_RUN;
  /** A pause was begun whose devices do not rest yet. */
  #isQuiescing = false;

  constructor(options: EventLoopOptions) {
    const { views, thread, vcpus } = options;
    this.#views = views;
    this.#thread = thread;
    this.#vcpus = vcpus;
    this.#now = options.now ?? (() => performance.now());
    this.#quiesce = options.quiesce ?? ((then) => then());
    this.#resumed = options.resumed ?? (() => {});
    this.#poll = new AdaptivePoll(options.maxPollMs ?? 0);
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

  /** A vCPU waits for the answer to a synchronous exit: `QueueOptions.isWanted`. */
  get isWanted(): boolean {
    return this.#wake.has(CAUSE_EXIT);
  }

  /** `QueueOptions.isGuestHalted`. */
  get isGuestHalted(): boolean {
    return isAnyHalted(this.#views, this.#vcpus);
  }

  /**
   * Blocks until the machine ends or mail has come. While the machine is paused nothing new is taken from the guest, but
   * exits are answered: a vCPU counts as stopped only when its exit is over.
   */
  run(): LoopEnd {
    for (;;) {
      if (this.#obey() === STOP_QUIT) return 'quit';
      if ((this.#serve(this.#wait()) & CAUSE_MAIL) !== 0) return 'mail';
    }
  }

  /** One round for a thread that has promises pending: waits `timeout` ms at most, without blocking. */
  async turn(timeout: number): Promise<LoopEnd | undefined> {
    if (this.#obey() === STOP_QUIT) return 'quit';
    const causes = this.#hasWork()
      ? this.#wake.take()
      : await this.#wake.waitAsync(timeout, () => this.#hasWork());
    this.#serve(causes);
    return this.#obey() === STOP_QUIT ? 'quit' : undefined;
  }

  /** Answers a STOP once it is obeyed. Gives what is asked for now. */
  #obey(): number {
    const request = stopRequest(this.#views, this.#thread);
    if (request === this.#answered) return request;
    if (request === STOP_PAUSE) {
      this.#pause();
      return request;
    }
    // What was done before is in memory when the answer is seen.
    acknowledgeStop(this.#views, this.#thread, request);
    this.#answered = request;
    if (request === STOP_RUN) this.#resumed();
    return request;
  }

  #pause(): void {
    if (this.#isQuiescing) return;
    this.#isQuiescing = true;
    this.#quiesce(() => {
      this.#isQuiescing = false;
      // Nobody may be asking any more.
      if (stopRequest(this.#views, this.#thread) !== STOP_PAUSE) return;
      acknowledgeStop(this.#views, this.#thread, STOP_PAUSE);
      this.#answered = STOP_PAUSE;
    });
  }

  get #isPaused(): boolean {
    return stopRequest(this.#views, this.#thread) === STOP_PAUSE;
  }

  #hasWork(): boolean {
    return this.#deferred.length > 0 || (!this.#isPaused && this.doorbells.isRinging);
  }

  #wait(): number {
    const hasWork = (): boolean => this.#hasWork();
    if (hasWork()) return this.#wake.take();
    const begun = this.#now();
    const polled = this.#poll.run(this.#now, () => hasWork() || this.#wake.has(ANY_CAUSE));
    if (polled) {
      this.counters.pollHits++;
      return this.#wake.take();
    }
    this.counters.wakeups++;
    const causes = this.#wake.wait(MAX_SLEEP_MS, hasWork);
    const waited = this.#now() - begun;
    this.#poll.slept(waited);
    this.counters.waitedMs += waited;
    return causes;
  }

  /** A STOP that nothing was done about yet: it comes before the rest of the work. */
  #isAsked(): boolean {
    const request = stopRequest(this.#views, this.#thread);
    return request !== this.#answered && !(request === STOP_PAUSE && this.#isQuiescing);
  }

  /** Returns `causes`. */
  #serve(causes: number): number {
    for (const { cause, handler } of this.#onCause) if ((causes & cause) !== 0) handler();
    this.counters.exits += this.#exits.serve((call, answer) =>
      serveOwnerCall(this.#hosts.get(call.device), call, answer),
    );
    if (!this.#isPaused) this.counters.doorbells += this.doorbells.dispatch(() => this.#isAsked());
    const tasks = this.#deferred;
    this.#deferred = [];
    for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) {
      task();
      if (this.#isAsked()) break;
    }
    // What is left comes before what was put off meanwhile.
    this.#deferred.unshift(...tasks);
    return causes;
  }
}
