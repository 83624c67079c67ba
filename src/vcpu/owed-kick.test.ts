import { describe, expect, it } from 'vitest';
import { viewsOf } from '../base/views.ts';
import { CAUSE_DOORBELL, THREAD, THREAD_IO0, threadAddress } from '../layout/machine.ts';
import { RAM_BASE, vcpuAddress } from '../layout/map.ts';
import { VCPU } from '../layout/vcpu.ts';
import { doorbellCounts, DoorbellListener } from '../sync/doorbell.ts';
import { WakeWord } from '../sync/wake.ts';
import { ANSWER_NS, LONGEST_PATIENCE_NS, OwedKick, SHORTEST_PATIENCE_NS } from './owed-kick.ts';

const BELL = 3;
/** Between two turns of the run loop that go on, in the tests below. */
const TURN_NS = 1_000;

/** A thread that sleeps, and a vCPU that owes it a wake-up. */
function owing() {
  const views = viewsOf(new SharedArrayBuffer(RAM_BASE));
  new DoorbellListener(views, THREAD_IO0).listen(BELL, () => {});
  const sleeping = (threadAddress(THREAD_IO0) + THREAD.at.sleeping) >>> 2;
  const owed = (vcpuAddress(0) + VCPU.at.owedKick) >>> 2;
  const kick = new OwedKick(views, vcpuAddress(0));
  const notifies = (): number => doorbellCounts(views, BELL).notifies;
  let now = 0;
  /** The guest kicks, and the thread sleeps. */
  const owe = (): void => {
    views.u32[sleeping] = 1;
    views.u32[owed] = 1 + BELL;
  };
  owe();
  return {
    kick,
    notifies,
    owe,
    owed: () => views.u32[owed],
    sleeper: new WakeWord(views, THREAD_IO0),
    wakeByAnother: () => (views.u32[sleeping] = 0),
    /** A kick, and turns until the thread is woken: how long that took. */
    patience: (): number => {
      owe();
      const before = notifies();
      const first = (now += TURN_NS);
      for (kick.turn(now); notifies() === before; kick.turn(now)) now += TURN_NS;
      return now - first;
    },
    /** The guest halts `ns` later, and runs again. */
    halt: (ns: number): void => {
      now += ns;
      kick.halting(now);
    },
  };
}

describe('a wake-up that is owed', () => {
  it('is given when patience is over, counted from the first turn that saw it', () => {
    const { kick, notifies, owed, sleeper } = owing();
    kick.turn(1_000);
    kick.turn(LONGEST_PATIENCE_NS);
    const early = [notifies(), owed()];
    kick.turn(LONGEST_PATIENCE_NS + 1_000);
    expect([early, notifies(), owed(), sleeper.take()]).toEqual([[0, 1 + BELL], 1, 0, CAUSE_DOORBELL]);
  });

  it('is given at once where the vCPU halts or stops, and only once', () => {
    const { kick, notifies, owe } = owing();
    kick.halting(0);
    kick.halting(0);
    const halted = notifies();
    owe();
    kick.pay();
    kick.pay();
    expect([halted, notifies()]).toEqual([1, 2]);
  });

  it('costs no notify where the thread was woken by something else', () => {
    const { kick, notifies, owed, wakeByAnother } = owing();
    wakeByAnother();
    kick.pay();
    expect([notifies(), owed()]).toEqual([0, 0]);
  });
});

describe('patience', () => {
  it('shrinks where the guest halts with the wake-up owed', () => {
    const { halt, patience } = owing();
    halt(0);
    expect(patience()).toBe(113_000);
  });

  it('shrinks where the guest halts right after the wake-up', () => {
    const { halt, patience } = owing();
    const before = patience();
    halt(ANSWER_NS - 1);
    expect([before, patience()]).toEqual([150_000, 113_000]);
  });

  it('lasts where the guest halts later', () => {
    const { halt, patience } = owing();
    patience();
    halt(ANSWER_NS);
    expect(patience()).toBe(150_000);
  });

  it('shrinks once for each wake-up, however often the guest halts after it', () => {
    const { halt, patience } = owing();
    patience();
    halt(0);
    halt(0);
    expect(patience()).toBe(113_000);
  });

  it('stays above its shortest', () => {
    const { halt, owe, patience } = owing();
    Array.from({ length: 50 }, () => {
      owe();
      halt(0);
    });
    expect(patience()).toBe(SHORTEST_PATIENCE_NS);
  });

  it('grows again, up to its longest, while wake-ups come in time', () => {
    const { halt, patience } = owing();
    halt(0);
    const lengths = Array.from({ length: 100 }, () => patience());
    expect([lengths[0], lengths[9], lengths.at(-1)]).toEqual([113_000, 122_000, 150_000]);
  });
});
