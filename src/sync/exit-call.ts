/**
 * Synchronous exits: a vCPU asks a device's thread for something and waits for the answer (`EXIT_CALL` in layout/calls.ts).
 * Both wait on their own wake word only, so each can be woken for other reasons meanwhile.
 */
import type { Views } from '../base/views.ts';
import {
  CALL_ANSWERED,
  CALL_ASKED,
  CALL_FREE,
  CALL_TAKEN,
  EXIT_CALL,
  exitCallAddress,
} from '../layout/calls.ts';
import { CAUSE_EXIT, CAUSE_REPLY, STOP_QUIT, THREAD_VCPU0 } from '../layout/machine.ts';
import { wakeThread, WakeWord } from './wake.ts';
import { stopRequest } from './stop.ts';

const STATE = EXIT_CALL.at.state >>> 2;
const TARGET = EXIT_CALL.at.target >>> 2;
const DEVICE = EXIT_CALL.at.device >>> 2;
const OPERATION = EXIT_CALL.at.operation >>> 2;
const ARGUMENT = EXIT_CALL.at.argument >>> 2;

/** In milliseconds. */
export interface Stopwatch {
  now(): number;
  waited(ms: number): void;
}

/** The vCPU waits for a device's thread: it stops when that has answered. */
export function isInExit(views: Views, vcpu: number): boolean {
  // Ordered with nothing: who asks looks again later.
  return Atomics.load(views.i32, (exitCallAddress(vcpu) >>> 2) + STATE) !== CALL_FREE;
}

/** What was asked of a device's thread: how often, and how long the vCPU waited for all of it. */
export interface ExitCounter {
  readonly device: number;
  readonly operation: number;
  readonly target: number;
  calls: number;
  waitedMs: number;
}

/** The vCPU's end. No lock may be held across a call. */
export class ExitCaller {
  readonly #counters: ExitCounter[] = [];
  readonly #views: Views;
  readonly #thread: number;
  readonly #call: number;
  readonly #wake: WakeWord;
  readonly #whileWaiting: () => void;
  readonly #stopwatch: Stopwatch | undefined;

  /**
   * `whileWaiting` is called at every wake-up: for mail that others wait for in turn (code invalidations). `stopwatch` is told after
   * each call how long the vCPU did not run the guest for it.
   */
  constructor(views: Views, vcpu: number, whileWaiting: () => void = () => {}, stopwatch?: Stopwatch) {
    this.#views = views;
    this.#thread = THREAD_VCPU0 + vcpu;
    this.#call = exitCallAddress(vcpu) >>> 2;
    this.#wake = new WakeWord(views, this.#thread);
    this.#whileWaiting = whileWaiting;
    this.#stopwatch = stopwatch;
  }

  /** Returns when `target` has answered. False: the machine ends, and nobody will. */
  call(target: number, device: number, operation: number, argument: number): boolean {
    const { i32, u32 } = this.#views;
    const stopwatch = this.#stopwatch;
    const begun = stopwatch?.now() ?? 0;
    u32[this.#call + TARGET] = target;
    u32[this.#call + DEVICE] = device;
    u32[this.#call + OPERATION] = operation;
    u32[this.#call + ARGUMENT] = argument;
    // Release: the question is complete before it is seen.
    Atomics.store(i32, this.#call + STATE, CALL_ASKED);
    wakeThread(this.#views, target, CAUSE_EXIT);
    let others = 0;
    // Acquire: what the target did before its answer is visible to us after this.
    while (Atomics.load(i32, this.#call + STATE) !== CALL_ANSWERED) {
      if (stopRequest(this.#views, this.#thread) === STOP_QUIT) return false;
      others |= this.#wake.wait(Infinity);
      this.#whileWaiting();
    }
    Atomics.store(i32, this.#call + STATE, CALL_FREE);
    const waited = (stopwatch?.now() ?? 0) - begun;
    this.#count(target, device, operation, waited);
    // Whoever waits next on this thread finds the causes that were not ours.
    if ((others & ~CAUSE_REPLY) !== 0) this.#wake.putBack(others & ~CAUSE_REPLY);
    stopwatch?.waited(waited);
    return true;
  }

  /** Calls that were answered, by device and operation. */
  get counters(): readonly Readonly<ExitCounter>[] {
    return this.#counters;
  }

  #count(target: number, device: number, operation: number, waitedMs: number): void {
    let counter = this.#counters.find((other) => other.device === device && other.operation === operation);
    if (counter === undefined) {
      counter = { device, operation, target, calls: 0, waitedMs: 0 };
      this.#counters.push(counter);
    }
    counter.calls++;
    counter.waitedMs += waitedMs;
  }
}

export interface ExitCall {
  readonly device: number;
  readonly operation: number;
  readonly argument: number;
}

/** The device's thread's end: to be looked at after CAUSE_EXIT. */
export class ExitServer {
  readonly #views: Views;
  readonly #thread: number;
  readonly #vcpus: number;

  constructor(views: Views, thread: number, vcpus: number) {
    this.#views = views;
    this.#thread = thread;
    this.#vcpus = vcpus;
  }

  /** Hands every new call to `handle`, which answers at once or later. Returns how many those were. */
  serve(handle: (call: ExitCall, answer: () => void) => void): number {
    const { i32, u32 } = this.#views;
    let served = 0;
    for (let vcpu = 0; vcpu < this.#vcpus; vcpu++) {
      const call = exitCallAddress(vcpu) >>> 2;
      // Acquire: the question was written before.
      if (Atomics.load(i32, call + STATE) !== CALL_ASKED || u32[call + TARGET] !== this.#thread) continue;
      Atomics.store(i32, call + STATE, CALL_TAKEN);
      served++;
      const question = {
        device: u32[call + DEVICE]!,
        operation: u32[call + OPERATION]!,
        argument: u32[call + ARGUMENT]!,
      };
      handle(question, () => this.#answer(vcpu, call));
    }
    return served;
  }

  #answer(vcpu: number, call: number): void {
    // Release: all that was done for the call is visible to the vCPU that sees the answer.
    Atomics.store(this.#views.i32, call + STATE, CALL_ANSWERED);
    wakeThread(this.#views, THREAD_VCPU0 + vcpu, CAUSE_REPLY);
  }
}
