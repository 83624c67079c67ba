/** Every interleaving of wakers and of the thread that they wake. */
import { describe, expect, it } from 'vitest';
import { viewsOf } from '../base/views.ts';
import { CAUSE_MAIL, CAUSE_STOP, THREAD, THREAD_VCPU0, threadAddress } from '../layout/machine.ts';
import { explore } from './test-interleave.ts';
import { wakeThread, WakeWord } from './wake.ts';

const views = viewsOf(new SharedArrayBuffer(0x3000));
const base = threadAddress(THREAD_VCPU0) >>> 2;
const words = views.i32;
const WAKE = base + (THREAD.at.wake >>> 2);
const SLEEPING = base + (THREAD.at.sleeping >>> 2);
const CAUSES = base + (THREAD.at.causes >>> 2);

const prepare = () => words.fill(0, base, base + (THREAD.size >>> 2));

const noneSleeps = (blocked: readonly number[]) =>
  blocked.length === 0 ? undefined : `threads ${blocked.join()} sleep for ever`;

/** Sleeps until all of `wanted` have come. */
function sleeper(wanted: number): void {
  const word = new WakeWord(views, THREAD_VCPU0);
  let causes = 0;
  while ((causes & wanted) !== wanted) causes |= word.wait(Infinity);
}

/** As wakeThread, but the word is bumped before `sleeping` is claimed. */
function bumpThenClaim(cause: number): void {
  Atomics.or(words, CAUSES, cause);
  Atomics.add(words, WAKE, 1);
  if (Atomics.exchange(words, SLEEPING, 0) !== 0) Atomics.notify(words, WAKE);
}

describe('waking a thread', () => {
  it('never misses one of two causes', () => {
    const result = explore({
      prepare,
      threads: [
        () => wakeThread(views, THREAD_VCPU0, CAUSE_MAIL),
        () => wakeThread(views, THREAD_VCPU0, CAUSE_STOP),
        () => sleeper(CAUSE_MAIL | CAUSE_STOP),
      ],
      check: noneSleeps,
    });
    expect(result.problem).toBeUndefined();
    expect(result.states).toBeGreaterThan(100);
  });

  it('never misses the second of two causes from one thread', () => {
    const result = explore({
      prepare,
      threads: [
        () => {
          wakeThread(views, THREAD_VCPU0, CAUSE_MAIL);
          wakeThread(views, THREAD_VCPU0, CAUSE_STOP);
        },
        () => sleeper(CAUSE_MAIL | CAUSE_STOP),
      ],
      check: noneSleeps,
    });
    expect(result.problem).toBeUndefined();
  });

  it('would miss one if the word were bumped before the claim', () => {
    const result = explore({
      prepare,
      threads: [
        () => bumpThenClaim(CAUSE_MAIL),
        () => bumpThenClaim(CAUSE_STOP),
        () => sleeper(CAUSE_MAIL | CAUSE_STOP),
      ],
      check: noneSleeps,
    });
    expect(result.problem).toContain('threads 2 sleep for ever');
  });
});
