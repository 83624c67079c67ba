import { describe, expect, it } from 'vitest';
import { viewsOf } from '../base/views.ts';
import { CAUSE_DOORBELL, THREAD, THREAD_IO0, threadAddress } from '../layout/machine.ts';
import { RAM_BASE, vcpuAddress } from '../layout/map.ts';
import { VCPU } from '../layout/vcpu.ts';
import { doorbellCounts, DoorbellListener } from '../sync/doorbell.ts';
import { WakeWord } from '../sync/wake.ts';
import { OwedKick, PATIENCE_NS } from './owed-kick.ts';

const BELL = 3;

/** A thread that sleeps, and a vCPU that owes it a wake-up. */
function owing() {
  const views = viewsOf(new SharedArrayBuffer(RAM_BASE));
  new DoorbellListener(views, THREAD_IO0).listen(BELL, () => {});
  views.u32[(threadAddress(THREAD_IO0) + THREAD.at.sleeping) >>> 2] = 1;
  const owed = (vcpuAddress(0) + VCPU.at.owedKick) >>> 2;
  views.u32[owed] = 1 + BELL;
  return {
    kick: new OwedKick(views, vcpuAddress(0)),
    notifies: () => doorbellCounts(views, BELL).notifies,
    owed: () => views.u32[owed],
    sleeper: new WakeWord(views, THREAD_IO0),
    wakeByAnother: () => (views.u32[(threadAddress(THREAD_IO0) + THREAD.at.sleeping) >>> 2] = 0),
  };
}

describe('a wake-up that is owed', () => {
  it('is given when patience is over, counted from the first turn that saw it', () => {
    const { kick, notifies, owed, sleeper } = owing();
    kick.turn(1_000);
    kick.turn(PATIENCE_NS);
    const early = [notifies(), owed()];
    kick.turn(PATIENCE_NS + 1_000);
    expect([early, notifies(), owed(), sleeper.take()]).toEqual([[0, 1 + BELL], 1, 0, CAUSE_DOORBELL]);
  });

  it('is given at once where the vCPU sleeps or stops, and only once', () => {
    const { kick, notifies } = owing();
    kick.pay();
    kick.pay();
    expect(notifies()).toBe(1);
  });

  it('costs no notify where the thread was woken by something else', () => {
    const { kick, notifies, owed, wakeByAnother } = owing();
    wakeByAnother();
    kick.pay();
    expect([notifies(), owed()]).toEqual([0, 0]);
  });
});
