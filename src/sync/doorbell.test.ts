/** The kick race, both ways: every interleaving of kickers and of the thread that goes to sleep. */
import { describe, expect, it } from 'vitest';
import { viewsOf } from '../base/views.ts';
import { DOORBELL, doorbellAddress } from '../layout/ioeventfd.ts';
import { CAUSE_DOORBELL, CAUSE_MAIL, THREAD, THREAD_IO0, threadAddress } from '../layout/machine.ts';
import { VCPU_BASE } from '../layout/map.ts';
import { doorbellCounts, DoorbellListener, ringDoorbell } from './doorbell.ts';
import { explore } from './test-interleave.ts';
import { wakeThread, WakeWord } from './wake.ts';

const BELL = 3;

function bells() {
  const views = viewsOf(new SharedArrayBuffer(VCPU_BASE));
  const kicks = (doorbellAddress(BELL) + DOORBELL.at.kicks) >>> 2;
  const thread = threadAddress(THREAD_IO0) >>> 2;
  const prepare = () => {
    views.u32.fill(0, doorbellAddress(BELL) >>> 2, (doorbellAddress(BELL) + DOORBELL.size) >>> 2);
    views.u32.fill(0, thread, thread + (THREAD.size >>> 2));
    views.u32[(doorbellAddress(BELL) + DOORBELL.at.thread) >>> 2] = THREAD_IO0;
  };
  prepare();
  return { views, prepare, kicks: () => views.u32[kicks]! };
}

describe('a doorbell', () => {
  it('is served once however often it rang, and not again', () => {
    const { views } = bells();
    const served: number[] = [];
    const listener = new DoorbellListener(views, THREAD_IO0);
    listener.listen(BELL, () => served.push(BELL));
    listener.listen(4, () => served.push(4));
    ringDoorbell(views, BELL);
    ringDoorbell(views, BELL);
    expect([listener.isRinging, listener.dispatch(), listener.dispatch(), listener.isRinging]).toEqual([
      true,
      1,
      0,
      false,
    ]);
    expect(served).toEqual([BELL]);
  });

  it('that is rung by its own action is served again', () => {
    const { views } = bells();
    let rings = 0;
    const listener = new DoorbellListener(views, THREAD_IO0);
    listener.listen(BELL, () => {
      if (++rings < 3) ringDoorbell(views, BELL);
    });
    ringDoorbell(views, BELL);
    expect([listener.dispatch(), listener.dispatch(), listener.dispatch(), listener.dispatch()]).toEqual([
      1, 1, 1, 0,
    ]);
  });

  it('rings nobody who has forgotten it', () => {
    const { views } = bells();
    const listener = new DoorbellListener(views, THREAD_IO0);
    listener.listen(BELL, () => {});
    listener.forget(BELL);
    ringDoorbell(views, BELL);
    expect([listener.isRinging, listener.dispatch()]).toEqual([false, 0]);
  });

  it('does not let its listener fall asleep after a kick', () => {
    const { views } = bells();
    const listener = new DoorbellListener(views, THREAD_IO0);
    listener.listen(BELL, () => {});
    ringDoorbell(views, BELL);
    expect(new WakeWord(views, THREAD_IO0).wait(10_000, () => listener.isRinging)).toBe(0);
  });

  it('notifies only a thread that sleeps, and once', () => {
    const { views } = bells();
    ringDoorbell(views, BELL);
    const awake = doorbellCounts(views, BELL);
    views.i32[(threadAddress(THREAD_IO0) + THREAD.at.sleeping) >>> 2] = 1;
    ringDoorbell(views, BELL);
    ringDoorbell(views, BELL);
    expect([awake, doorbellCounts(views, BELL)]).toEqual([
      { kicks: 1, notifies: 0 },
      { kicks: 3, notifies: 1 },
    ]);
    expect(new WakeWord(views, THREAD_IO0).take()).toBe(CAUSE_DOORBELL);
  });
});

/** A thread that serves `BELL` until it has seen `kicks` of them, and sleeps in between. */
function listenerUntil(views: ReturnType<typeof bells>['views'], kicks: number): () => void {
  return () => {
    const word = new WakeWord(views, THREAD_IO0);
    let seen = 0;
    const load = () => Atomics.load(views.i32, (doorbellAddress(BELL) + DOORBELL.at.kicks) >>> 2);
    while (seen < kicks) {
      word.wait(Infinity, () => load() !== seen);
      seen = load();
    }
  };
}

/** All but the statistics. */
const notifies = (doorbellAddress(BELL) + DOORBELL.at.notifies) >>> 2;
const isShared = (index: number) => index !== notifies;

const noneSleeps = (blocked: readonly number[]) =>
  blocked.length === 0 ? undefined : `threads ${blocked.join()} sleep for ever`;

describe('the kick race', () => {
  it('loses no kick to a thread that goes to sleep', () => {
    const { views, prepare } = bells();
    const result = explore({
      prepare,
      isShared,
      threads: [() => ringDoorbell(views, BELL), listenerUntil(views, 1)],
      check: noneSleeps,
    });
    expect(result.problem).toBeUndefined();
    expect(result.states).toBeGreaterThan(50);
  });

  it('loses none of two kickers, and one of them notifies', { timeout: 60_000 }, () => {
    const { views, prepare } = bells();
    const result = explore({
      prepare,
      isShared,
      threads: [() => ringDoorbell(views, BELL), () => ringDoorbell(views, BELL), listenerUntil(views, 2)],
      check: noneSleeps,
    });
    expect(result.problem).toBeUndefined();
    expect(result.mostNotifies).toBeLessThanOrEqual(2);
  });

  it('loses no kick beside a cause that another thread sets', { timeout: 60_000 }, () => {
    const { views, prepare } = bells();
    const result = explore({
      prepare,
      isShared,
      threads: [
        () => ringDoorbell(views, BELL),
        () => wakeThread(views, THREAD_IO0, CAUSE_MAIL),
        () => {
          const word = new WakeWord(views, THREAD_IO0);
          const load = () => Atomics.load(views.i32, (doorbellAddress(BELL) + DOORBELL.at.kicks) >>> 2);
          let causes = 0;
          let seen = 0;
          while (seen < 1 || (causes & CAUSE_MAIL) === 0) {
            causes |= word.wait(Infinity, () => load() !== seen);
            seen = load();
          }
        },
      ],
      check: noneSleeps,
    });
    expect(result.problem).toBeUndefined();
  });

  it('is lost by a listener that looks before it announces its sleep: the explorer finds it', () => {
    const { views, prepare } = bells();
    const thread = threadAddress(THREAD_IO0) >>> 2;
    const result = explore({
      prepare,
      isShared,
      threads: [
        () => ringDoorbell(views, BELL),
        () => {
          const wake = Atomics.load(views.i32, thread);
          if (Atomics.load(views.i32, (doorbellAddress(BELL) + DOORBELL.at.kicks) >>> 2) !== 0) return;
          Atomics.store(views.i32, thread + (THREAD.at.sleeping >>> 2), 1);
          Atomics.wait(views.i32, thread, wake);
        },
      ],
      check: noneSleeps,
    });
    expect(result.problem).toContain('threads 1 sleep for ever');
  });
});
