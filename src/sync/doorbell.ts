/**
 * Doorbells (`DOORBELL` in layout/ioeventfd.ts): how a vCPU tells another thread that a virtqueue has news, without
 * leaving guest code for long. A kick adds to a word; only if the listener sleeps does the kicker wake it.
 */
import type { Views } from '../base/views.ts';
import { DOORBELL, doorbellAddress } from '../layout/ioeventfd.ts';
import { CAUSE_DOORBELL, THREAD, threadAddress } from '../layout/machine.ts';

const KICKS = DOORBELL.at.kicks >>> 2;
const TARGET = DOORBELL.at.thread >>> 2;
const NOTIFIES = DOORBELL.at.notifies >>> 2;
const PATIENT = DOORBELL.at.patient >>> 2;
const AVAIL_ADDRESS = DOORBELL.at.availAddress >>> 2;
const AVAIL_IDX = DOORBELL.at.availIdx >>> 2;
const WAKE = THREAD.at.wake >>> 2;
const SLEEPING = THREAD.at.sleeping >>> 2;
const CAUSES = THREAD.at.causes >>> 2;

/**
 * On the kicking vCPU's thread, before the kick: notes `avail.idx` where the listener asked for that (`RingExchange`). The thread
 * reads what it wrote itself, however the host reorders its stores.
 */
export function noteAvailIdx(views: Views, doorbell: number): void {
  const bell = doorbellAddress(doorbell) >>> 2;
  const address = views.u32[bell + AVAIL_ADDRESS]!;
  if (address === 0) return;
  // Release: entries and descriptors before this index are visible to the thread that reads it here.
  Atomics.store(views.i32, bell + AVAIL_IDX, views.u16[address >>> 1]!);
}

/** Any thread may call this; it never blocks. The wasm core does the same on a vCPU's fast path. */
export function ringDoorbell(views: Views, doorbell: number): void {
  const words = views.i32;
  const bell = doorbellAddress(doorbell) >>> 2;
  noteAvailIdx(views, doorbell);
  // Before the look at `sleeping`: the listener announces its sleep and looks at the count after that. So either we see
  // that it sleeps, or it sees our kick.
  Atomics.add(words, bell + KICKS, 1);
  wakeListener(views, doorbell);
}

/** Wakes the thread that listens to a doorbell which was rung, if it still sleeps. */
export function wakeListener(views: Views, doorbell: number): void {
  const words = views.i32;
  const bell = doorbellAddress(doorbell) >>> 2;
  const thread = threadAddress(words[bell + TARGET]!) >>> 2;
  if (Atomics.load(words, thread + SLEEPING) === 0) return;
  // Only one of several kickers finds it set and pays for the notify.
  if (Atomics.exchange(words, thread + SLEEPING, 0) === 0) return;
  // The cause before the word that is waited on: who finds the word changed also finds the cause.
  Atomics.or(words, thread + CAUSES, CAUSE_DOORBELL);
  Atomics.add(words, thread + WAKE, 1);
  Atomics.notify(words, thread + WAKE);
  // A statistic: ordered with nothing.
  Atomics.add(words, bell + NOTIFIES, 1);
}

export interface DoorbellCounts {
  readonly kicks: number;
  readonly notifies: number;
}

export function doorbellCounts(views: Views, doorbell: number): DoorbellCounts {
  const bell = doorbellAddress(doorbell) >>> 2;
  return { kicks: views.u32[bell + KICKS]!, notifies: views.u32[bell + NOTIFIES]! };
}

interface Listened {
  readonly doorbell: number;
  readonly action: () => void;
  seen: number;
}

/** A thread's end of the doorbells that it serves. Its wait asks `isRinging` after it has announced that it sleeps. */
export class DoorbellListener {
  readonly #views: Views;
  readonly #thread: number;
  /** Replaced, never changed: an action may listen and forget. */
  #listened: readonly Listened[] = [];

  constructor(views: Views, thread: number) {
    this.#views = views;
    this.#thread = thread;
  }

  /** From now on `dispatch` calls `action` after kicks; what rang before is forgotten. Before anybody can ring. */
  listen(doorbell: number, action: () => void): void {
    this.#views.u32[(doorbellAddress(doorbell) >>> 2) + TARGET] = this.#thread;
    this.setPatient(doorbell, false);
    this.#listened = [...this.#listened, { doorbell, action, seen: this.#kicks(doorbell) }];
  }

  /** Whether a vCPU may put the waking of this thread off for a little while (docs/ioeventfd.md, Patience). */
  setPatient(doorbell: number, patient: boolean): void {
    // Ordered with nothing: the count of kicks decides what is looked at, and this only when.
    this.#views.u32[(doorbellAddress(doorbell) >>> 2) + PATIENT] = patient ? 1 : 0;
  }

  /** After a last `dispatch`. */
  forget(doorbell: number): void {
    this.#listened = this.#listened.filter((other) => other.doorbell !== doorbell);
  }

  get isRinging(): boolean {
    return this.#listened.some(({ doorbell, seen }) => this.#kicks(doorbell) !== seen);
  }

  /**
   * Serves what rang, each once however often it rang; returns how many those were. Where `isUrgent` says that something else comes
   * first, the rest goes on ringing.
   */
  dispatch(isUrgent?: () => boolean): number {
    let served = 0;
    for (const listened of this.#listened) {
      if (isUrgent?.() === true) break;
      const kicks = this.#kicks(listened.doorbell);
      if (kicks === listened.seen || !this.#listened.includes(listened)) continue;
      // Before the action: a kick that comes while it runs may be about a buffer that it no longer looks for.
      listened.seen = kicks;
      listened.action();
      served++;
    }
    return served;
  }

  #kicks(doorbell: number): number {
    // Acquire: what the kicker wrote before its kick is visible to the action.
    return Atomics.load(this.#views.i32, (doorbellAddress(doorbell) >>> 2) + KICKS);
  }
}
