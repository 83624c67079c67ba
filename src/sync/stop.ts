/**
 * Stopping a thread: the page writes STOP_* into the thread's `stop` word; the thread, at a point where its
 * state is in memory, answers with the same value in `stopped`.
 */
import type { Views } from '../base/views.ts';
import { CAUSE_STOP, THREAD, threadAddress } from '../layout/machine.ts';
import { wakeThread } from './wake.ts';

const STOP = THREAD.at.stop >>> 2;
const STOPPED = THREAD.at.stopped >>> 2;

/** Asks `thread` for STOP_RUN, STOP_PAUSE or STOP_QUIT and wakes it. Never blocks. */
export function requestStop(views: Views, thread: number, stop: number): void {
  // Written before the wake-up's bit, so the woken thread reads the new request.
  Atomics.store(views.i32, (threadAddress(thread) >>> 2) + STOP, stop);
  wakeThread(views, thread, CAUSE_STOP);
}

/** What is asked of `thread`: STOP_*. */
export function stopRequest(views: Views, thread: number): number {
  // Ordered after the exchange that took CAUSE_STOP, so never older than the cause.
  return Atomics.load(views.i32, (threadAddress(thread) >>> 2) + STOP);
}

/** The thread's answer: everything it wrote before is visible to whoever reads the answer. */
export function acknowledgeStop(views: Views, thread: number, stop: number): void {
  const index = (threadAddress(thread) >>> 2) + STOPPED;
  // Release: registers and device state are stored before this.
  Atomics.store(views.i32, index, stop);
  Atomics.notify(views.i32, index);
}

/** The value that `thread` has obeyed last. */
export function stopAnswer(views: Views, thread: number): number {
  // Acquire: the thread's state may be read after this.
  return Atomics.load(views.i32, (threadAddress(thread) >>> 2) + STOPPED);
}

/** Resolves to true once `thread` has answered with `stop`, to false after `timeout` ms. Never blocks. */
export async function stopObeyed(
  views: Views,
  thread: number,
  stop: number,
  timeout: number,
): Promise<boolean> {
  const index = (threadAddress(thread) >>> 2) + STOPPED;
  for (;;) {
    // Acquire, as in stopAnswer.
    const answer = Atomics.load(views.i32, index);
    if (answer === stop) return true;
    // Returns at once if the answer changed since it was read.
    const result = Atomics.waitAsync(views.i32, index, answer, timeout);
    const outcome = result.async ? await result.value : result.value;
    if (outcome === 'timed-out') return stopAnswer(views, thread) === stop;
  }
}
