/** Hosts that may reorder stores: an index that another thread's plain stores have moved is not looked at. */
import { describe, expect, it } from 'vitest';
import { vcpuAddress } from '../layout/map.ts';
import { ATTENTION_MAIL, VCPU } from '../layout/vcpu.ts';
import { ringDoorbell } from '../sync/doorbell.ts';
import { VirtioInterrupts } from './interrupts.ts';
import { MsixTable } from './msix.ts';
import { Virtqueue } from './queue.ts';
import { publishUsed, RingExchange } from './ring-exchange.ts';
import { VirtioState } from './state.ts';
import { TestDriver, testRam } from './test-driver.ts';

const RING = 0x10000;
const BUFFER = 0x100000;
const NO_INTERRUPT = 1;

function board(availableBefore = 0) {
  const ram = testRam(0x200000);
  const { views, memory, data } = ram;
  const driver = new TestDriver({ data, start: RING, size: 8 });
  const add = () => driver.add([], [{ gpa: BUFFER, bytes: 16 }]);
  for (let n = 0; n < availableBefore; n++) add();
  const state = new VirtioState(views, 0);
  state.set('queueCount', 1);
  state.setQueue(0, 'enabled', 1);
  state.setQueue(0, 'availLow', driver.ring.avail);
  state.setQueue(0, 'usedLow', driver.ring.used);
  const levels: boolean[] = [];
  const interrupts = new VirtioInterrupts(state, new MsixTable(views, 0, 2, () => {}), (action) =>
    levels.push(action()),
  );
  const exchange = new RingExchange(views, 0, 0);
  exchange.open(driver.ring);
  const created = Virtqueue.create({
    memory,
    ring: driver.ring,
    size: 8,
    maxSize: 8,
    indirect: false,
    eventIdx: false,
    exchange,
    onBroken: () => {},
  });
  if (!created.ok) throw new Error(created.error);
  const attention = (vcpuAddress(0) + VCPU.at.attention) >>> 2;
  return {
    ...ram,
    driver,
    exchange,
    queue: created.value,
    levels,
    add,
    kick: () => ringDoorbell(views, 0),
    usedIdx: () => data.getUint16(driver.ring.used + 2, true),
    hasMail: () => (views.u32[attention]! & ATTENTION_MAIL) !== 0,
    takeMail: () => publishUsed(views, memory, state, 1, interrupts),
  };
}

describe('a buffer', () => {
  it('is taken after its kick, not before', () => {
    const { queue, add, kick } = board();
    const head = add();
    const early = queue.pop();
    kick();
    add();
    expect([early, queue.pop()?.head, queue.pop()]).toEqual([undefined, head, undefined]);
  });

  it('is taken without one if it was available when the queue was opened', () => {
    const { queue } = board(2);
    expect([queue.pop() !== undefined, queue.pop() !== undefined, queue.pop()]).toEqual([
      true,
      true,
      undefined,
    ]);
  });

  it('is always kicked for', () => {
    const { queue, driver, add } = board();
    queue.disableNotifications();
    add();
    expect(driver.needsKick()).toBe(true);
  });
});

describe('a used element', () => {
  it('is published by the vCPU’s thread, which is told, and interrupted there', () => {
    const { queue, add, kick, usedIdx, hasMail, takeMail, levels } = board();
    add();
    kick();
    queue.push(queue.pop()!, 5);
    const interrupt = queue.publish();
    const before = [usedIdx(), hasMail(), levels.length];
    takeMail();
    expect([interrupt, before, usedIdx(), levels]).toEqual([false, [0, true, 0], 1, [true]]);
  });

  it('interrupts nobody who does not want it', () => {
    const { queue, add, kick, data, driver, usedIdx, takeMail, levels } = board();
    data.setUint16(driver.ring.avail, NO_INTERRUPT, true);
    add();
    kick();
    queue.push(queue.pop()!, 5);
    queue.publish();
    takeMail();
    expect([usedIdx(), levels]).toEqual([1, []]);
  });

  it('is published with those before it, once', () => {
    const { queue, add, kick, usedIdx, takeMail, levels } = board();
    add();
    add();
    kick();
    queue.push(queue.pop()!, 5);
    queue.publish();
    queue.push(queue.pop()!, 5);
    queue.publish();
    takeMail();
    takeMail();
    expect([usedIdx(), levels.length]).toEqual([2, 1]);
  });

  it('that was not published when the device was reset never is', () => {
    const { queue, add, kick, exchange, usedIdx, takeMail, levels } = board();
    add();
    kick();
    queue.push(queue.pop()!, 5);
    queue.publish();
    exchange.close();
    takeMail();
    expect([usedIdx(), levels]).toEqual([0, []]);
  });
});
