/** Kicks as the wasm core finds and rings them, against the table that TypeScript writes. */
import { beforeEach, describe, expect, it } from 'vitest';
import { TestCore, P, W } from './testing/core.ts';
import { viewsOf } from '../src/base/views.ts';
import { DOORBELL, doorbellAddress } from '../src/layout/ioeventfd.ts';
import { RAM_BASE } from '../src/layout/map.ts';
import { CAUSE_DOORBELL, THREAD, THREAD_IO0, threadAddress } from '../src/layout/machine.ts';
import { SEG_DS, VCPU } from '../src/layout/vcpu.ts';
import { doorbellCounts, DoorbellListener } from '../src/sync/doorbell.ts';
import { WakeWord } from '../src/sync/wake.ts';
import { IoeventfdTable } from '../src/virtio/ioeventfd.ts';

const LINEAR = 0x4000_0000n;
const GPA = 0xfe00_3000;
const BELL = 5;

function machine() {
  const core = new TestCore().longMode();
  core.map(LINEAR, BigInt(GPA) | P | W);
  const views = viewsOf(core.memory.buffer);
  const table = new IoeventfdTable(views);
  table.create();
  const listener = new DoorbellListener(views, THREAD_IO0);
  listener.listen(BELL, () => {});
  const store = (offset: number, size: number, value: bigint) => {
    const at = core.call('writeSlow', LINEAR + BigInt(offset), size, SEG_DS) >>> 0;
    core.view.setBigUint64(at, value, true);
    core.call('commitWrite');
  };
  return { core, views, table, listener, store, counts: () => doorbellCounts(views, BELL) };
}

let guest: ReturnType<typeof machine>;

beforeEach(() => {
  guest = machine();
});

describe('a store to a notify address', () => {
  beforeEach(() => {
    guest.table.assign(BELL, { space: 'memory', address: GPA + 8, bytes: 0 });
  });

  it.each([1, 2, 4])('of %i bytes rings the doorbell and calls no device', (size) => {
    guest.store(8, size, 0n);
    expect([guest.counts(), guest.core.log]).toEqual([{ kicks: 1, notifies: 0 }, []]);
  });

  it('wakes a thread that sleeps, and only the first time', () => {
    guest.views.i32[(threadAddress(THREAD_IO0) + THREAD.at.sleeping) >>> 2] = 1;
    guest.store(8, 2, 0n);
    guest.store(8, 2, 0n);
    expect(guest.counts()).toEqual({ kicks: 2, notifies: 1 });
    expect(new WakeWord(guest.views, THREAD_IO0).take()).toBe(CAUSE_DOORBELL);
  });

  describe('whose listener is patient', () => {
    const sleeping = (threadAddress(THREAD_IO0) + THREAD.at.sleeping) >>> 2;
    const owed = () => guest.views.u32[(guest.core.cpu + VCPU.at.owedKick) >>> 2];

    beforeEach(() => {
      guest.views.i32[sleeping] = 1;
      guest.listener.setPatient(BELL, true);
    });

    it('leaves the waking to the run loop', () => {
      guest.store(8, 2, 0n);
      guest.store(8, 2, 0n);
      expect([guest.counts(), owed(), guest.views.i32[sleeping]]).toEqual([{ kicks: 2, notifies: 0 }, 1 + BELL, 1]);
    });

    it('owes nothing while it is awake', () => {
      guest.views.i32[sleeping] = 0;
      guest.store(8, 2, 0n);
      expect([guest.counts().kicks, owed()]).toEqual([1, 0]);
    });

    it('wakes it at once while another thread’s wake-up is owed', () => {
      const OTHER = 9;
      new DoorbellListener(guest.views, THREAD_IO0 + 1).listen(OTHER, () => {});
      guest.views.u32[(guest.core.cpu + VCPU.at.owedKick) >>> 2] = 1 + OTHER;
      guest.store(8, 2, 0n);
      expect([guest.counts(), owed()]).toEqual([{ kicks: 1, notifies: 1 }, 1 + OTHER]);
    });
  });

  it('takes avail.idx along where that was asked for', () => {
    const { views } = guest;
    const bell = doorbellAddress(BELL) >>> 2;
    views.u16[(RAM_BASE + 0x1002) >>> 1] = 0xfffe;
    guest.store(8, 2, 0n);
    const without = views.i32[bell + (DOORBELL.at.availIdx >>> 2)];
    views.u32[bell + (DOORBELL.at.availAddress >>> 2)] = RAM_BASE + 0x1002;
    guest.store(8, 2, 0n);
    expect([without, views.i32[bell + (DOORBELL.at.availIdx >>> 2)]]).toEqual([0, 0xfffe]);
  });

  it.each([
    ['beside it', 12],
    ['in the same bucket', 8 + 256],
  ])('%s reaches the device', (_, offset) => {
    guest.store(offset, 2, 7n);
    expect([guest.counts().kicks, guest.core.log]).toEqual([0, [`write ${(GPA + offset).toString(16)} 2 7`]]);
  });

  it('reaches the device once the doorbell is withdrawn', () => {
    guest.table.withdraw(BELL);
    guest.store(8, 2, 7n);
    expect([guest.counts().kicks, guest.core.log]).toEqual([0, ['write fe003008 2 7']]);
  });

  it('follows the BAR', () => {
    guest.table.move(BELL, { space: 'memory', address: GPA + 0x20, bytes: 0 });
    guest.store(8, 2, 1n);
    guest.store(0x20, 2, 1n);
    expect([guest.counts().kicks, guest.core.log]).toEqual([1, ['write fe003008 2 1']]);
  });
});

describe('a write to a legacy notify port', () => {
  beforeEach(() => {
    guest.table.assign(BELL, { space: 'port', address: 0xc010, bytes: 2, value: 1 });
    guest.table.assign(6, { space: 'port', address: 0xc010, bytes: 2, value: 2 });
  });

  it('rings the doorbell of the queue that it names', () => {
    guest.core.call('portOut', 0xc010, 2, 0xabcd_0001n);
    guest.core.call('portOut', 0xc010, 2, 2n);
    expect([guest.counts().kicks, doorbellCounts(guest.views, 6).kicks, guest.core.log]).toEqual([1, 1, []]);
  });

  it.each([
    ['of another queue', 2, 3n, 'out c010 2 3'],
    ['of another width', 4, 1n, 'out c010 4 1'],
  ])('%s reaches the device', (_, bytes, value, logged) => {
    guest.core.call('portOut', 0xc010, bytes, value);
    expect([guest.counts().kicks, guest.core.log]).toEqual([0, [logged]]);
  });
});

it('a chain that leads in circles ends', () => {
  const { table, views, core, store } = guest;
  table.assign(BELL, { space: 'memory', address: GPA + 8, bytes: 0 });
  table.assign(6, { space: 'memory', address: GPA + 8 + 256, bytes: 0 });
  // The first slot's `next` names the second, whose `next` names the first.
  views.u32[(0x60400 + 6 * 4) >>> 2] = 2;
  store(8 + 512, 2, 1n);
  expect(core.log).toEqual(['write fe003208 2 1']);
});
