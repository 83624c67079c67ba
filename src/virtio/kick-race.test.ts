/**
 * Driver and device race over kicks and interrupts, in every interleaving of their accesses to the ring's index and
 * event words and to the doorbell (virtio 1.2, 2.7.7, 2.7.10).
 */
import { describe, expect, it } from 'vitest';
import { DOORBELL, doorbellAddress } from '../layout/ioeventfd.ts';
import { THREAD, THREAD_IO0, threadAddress } from '../layout/machine.ts';
import { RAM_BASE } from '../layout/map.ts';
import { DoorbellListener, ringDoorbell } from '../sync/doorbell.ts';
import { explore } from '../sync/test-interleave.ts';
import { WakeWord } from '../sync/wake.ts';
import { Virtqueue } from './queue.ts';
import { ServedQueue } from './served-queue.ts';
import { TestDriver, testRam } from './test-driver.ts';

const RING = 0x1000;
const BUFFER = 0x8000;
const SIZE = 4;
const BELL = 0;
const RAM_BYTES = 0x10000;

const notifies = (doorbellAddress(BELL) + DOORBELL.at.notifies) >>> 2;

function race(eventIdx: boolean) {
  const ram = testRam(RAM_BYTES);
  const { views, memory, data } = ram;
  const { u16, i32 } = views;
  const layout = new TestDriver({ data, start: RING, size: SIZE }).ring;
  const word = (gpa: number) => (RAM_BASE + gpa) >>> 1;
  const availIdx = word(layout.avail + 2);
  const availFlags = word(layout.avail);
  const usedEvent = word(layout.avail + 4 + 2 * SIZE);
  const usedFlags = word(layout.used);
  const usedIdx = word(layout.used + 2);
  const availEvent = word(layout.used + 4 + 8 * SIZE);
  const ring = new Set([availIdx, availFlags, usedEvent, usedFlags, usedIdx, availEvent]);
  const bell = doorbellAddress(BELL) >>> 2;
  const thread = threadAddress(THREAD_IO0) >>> 2;

  const prepare = () => {
    ram.ram.fill(0, RING, RING + 0x3000);
    i32.fill(0, bell, bell + (DOORBELL.size >>> 2));
    i32.fill(0, thread, thread + (THREAD.size >>> 2));
    i32[bell + (DOORBELL.at.thread >>> 2)] = THREAD_IO0;
    // Two chains that stand ready; making one available is a step.
    const driver = new TestDriver({ data, start: RING, size: SIZE });
    driver.descriptor(0, BUFFER, 16, 2, 0);
    driver.descriptor(1, BUFFER, 16, 2, 0);
    data.setUint16(layout.avail + 4, 0, true);
    data.setUint16(layout.avail + 6, 1, true);
  };
  const isShared = (index: number, array: ArrayBufferView) =>
    array === u16
      ? ring.has(index)
      : array === i32 && index !== notifies && index < RAM_BASE >>> 2 && index < 0x20000;

  const openQueue = () => {
    const created = Virtqueue.create({
      memory,
      ring: layout,
      size: SIZE,
      maxSize: SIZE,
      indirect: false,
      eventIdx,
      onBroken: () => {},
    });
    if (!created.ok) throw new Error(created.error);
    return created.value;
  };

  /** As Linux: publish the index, barrier, look whether the device wants a kick. */
  const offer = (before: number, idx: number) => {
    Atomics.store(u16, availIdx, idx);
    const wants = eventIdx
      ? ((idx - Atomics.load(u16, availEvent) - 1) & 0xffff) < ((idx - before) & 0xffff)
      : (Atomics.load(u16, usedFlags) & 1) === 0;
    if (wants) ringDoorbell(views, BELL);
  };

  /** The I/O thread, until it has taken `chains`. */
  const device = (chains: number) => () => {
    const queue = new ServedQueue(0, openQueue(), () => {});
    const wake = new WakeWord(views, THREAD_IO0);
    const listener = new DoorbellListener(views, THREAD_IO0);
    let taken = 0;
    const serve = () => {
      for (let chain = queue.next(); chain !== undefined; chain = queue.next()) taken++;
    };
    // What `listen` reads would be a step; the count starts at 0 here, and a kick may come before it.
    listener.listen(BELL, serve);
    serve();
    for (;;) {
      if (taken >= chains) return;
      wake.wait(Infinity, () => listener.isRinging);
      listener.dispatch();
    }
  };
  return { ...ram, prepare, isShared, offer, device, openQueue, usedEvent, usedIdx, availFlags, u16 };
}

const noneSleeps = (blocked: readonly number[]) =>
  blocked.length === 0 ? undefined : `threads ${blocked.join()} sleep for ever`;

describe.each([
  ['with EVENT_IDX', true],
  ['with flags', false],
])('kicks %s', (_, eventIdx) => {
  it('are not lost, whenever the second of two buffers comes', { timeout: 60_000 }, () => {
    const { prepare, isShared, offer, device } = race(eventIdx);
    const result = explore({
      prepare,
      isShared,
      threads: [
        () => {
          offer(0, 1);
          offer(1, 2);
        },
        device(2),
      ],
      check: noneSleeps,
    });
    expect(result.problem).toBeUndefined();
    expect(result.states).toBeGreaterThan(100);
    expect(result.mostNotifies).toBeLessThanOrEqual(2);
  });

  it('are not lost for one buffer', () => {
    const { prepare, isShared, offer, device } = race(eventIdx);
    const result = explore({ prepare, isShared, threads: [() => offer(0, 1), device(1)], check: noneSleeps });
    expect(result.problem).toBeUndefined();
  });
});

describe.each([
  ['with EVENT_IDX', true],
  ['with flags', false],
])('interrupts %s', (_, eventIdx) => {
  it('are not lost by a driver that asks for them and looks again', () => {
    const { prepare, isShared, openQueue, memory, usedEvent, usedIdx, availFlags, u16, data } =
      race(eventIdx);
    let interrupts = 0;
    let seen = 0;
    let asleep = false;
    const result = explore({
      prepare: () => {
        prepare();
        interrupts = 0;
        seen = 0;
        asleep = false;
        memory.storeU16(RING + 64 + 2, 2);
        // Not wanted yet.
        data.setUint16(RING + 64, 1, true);
        data.setUint16(RING + 64 + 4 + 2 * SIZE, 0xffff, true);
      },
      isShared,
      threads: [
        () => {
          const queue = openQueue();
          interrupts = 0;
          for (let n = 0; n < 2; n++) {
            queue.push(queue.pop()!, 0);
            if (queue.publish()) interrupts++;
          }
        },
        () => {
          seen = Atomics.load(u16, usedIdx);
          // virtqueue_enable_cb: ask, barrier, look again.
          if (eventIdx) Atomics.store(u16, usedEvent, seen);
          else Atomics.store(u16, availFlags, 0);
          const again = Atomics.load(u16, usedIdx);
          asleep = again === seen;
        },
      ],
      check: () =>
        asleep && seen < 2 && interrupts === 0 ? `sleeps at ${seen} without an interrupt` : undefined,
    });
    expect(result.problem).toBeUndefined();
    expect(result.states).toBeGreaterThan(20);
  });
});
