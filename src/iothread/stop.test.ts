/** STOP is obeyed within 5 ms, however much the guest has asked for. Time is counted by the work itself, not by a clock. */
import { describe, expect, it } from 'vitest';
import { viewsOf } from '../base/views.ts';
import type { BlockRequest, RequestSource } from '../block/block-backend.ts';
import type { DriverOperation } from '../block/block-driver.ts';
import { MemoryDriver } from '../block/drivers/memory.ts';
import { testQueue } from '../block/test-source.ts';
import { STOP_PAUSE, STOP_QUIT, STOP_RUN, THREAD_IO0 } from '../layout/machine.ts';
import { RAM_BASE } from '../layout/map.ts';
import { ringDoorbell } from '../sync/doorbell.ts';
import { requestStop } from '../sync/stop.ts';
import { EventLoop } from './event-loop.ts';
import type { EventLoopOptions } from './event-loop.ts';

const LIMIT_MS = 5;
/** 10,000 requests in a second. */
const REQUEST_MS = 0.1;

function ioThread(options: Partial<EventLoopOptions> = {}) {
  const views = viewsOf(new SharedArrayBuffer(RAM_BASE));
  const clock = { now: 0 };
  const loop = new EventLoop({ views, thread: THREAD_IO0, vcpus: 1, now: () => clock.now, ...options });
  const request = (stop: number): void => requestStop(views, THREAD_IO0, stop);
  return { views, clock, loop, request };
}

class SlowDriver extends MemoryDriver {
  readonly #clock: { now: number };

  constructor(clock: { now: number }) {
    super({ sizeBytes: 1 << 20, limitBytes: 1 << 20, readOnly: false });
    this.#clock = clock;
  }

  override submit(operation: DriverOperation): void {
    this.#clock.now += REQUEST_MS;
    super.submit(operation);
  }
}

/** A guest that always wants more; `onTaken` is called with the number of each request. */
class EndlessGuest implements RequestSource {
  taken = 0;
  readonly #onTaken: (number: number) => void;

  constructor(onTaken: (number: number) => void) {
    this.#onTaken = onTaken;
  }

  next(): BlockRequest {
    this.#onTaken(++this.taken);
    return {
      operation: 'read',
      // Far from the last one: nothing to merge.
      offset: (this.taken % 2) * 524_288,
      length: 512,
      segments: [new Uint8Array(512)],
      unmap: false,
      complete: () => {},
    };
  }

  batchDone(): void {}
}

describe('STOP', () => {
  it.each([
    ['quit', STOP_QUIT],
    ['pause', STOP_PAUSE],
  ] as const)('ends the work of a disk that is never done: %s', (_name, stop) => {
    let asked = Number.NaN;
    let obeyed = Number.NaN;
    const { clock, loop, request } = ioThread({
      quiesce: () => {
        obeyed = clock.now;
        request(STOP_QUIT);
      },
    });
    const { queue } = testQueue(new SlowDriver(clock), {
      now: () => clock.now,
      defer: () => loop.defer(() => queue.service()),
    });
    const guest = new EndlessGuest((number) => {
      if (number !== 1000) return;
      asked = clock.now;
      request(stop);
    });
    loop.defer(() => queue.attach(guest, 'virtio-blk0').kick());
    expect(loop.run()).toBe('quit');
    const took = (stop === STOP_PAUSE ? obeyed : clock.now) - asked;
    expect([guest.taken >= 1000, took <= LIMIT_MS]).toEqual([true, true]);
  });

  it('comes before the other doorbells that rang, which go on ringing', () => {
    // The pause is over as soon as it is obeyed.
    const { views, loop, request } = ioThread({
      quiesce: (then) => {
        then();
        request(STOP_RUN);
      },
    });
    const served: number[] = [];
    for (const doorbell of [0, 1, 2]) {
      loop.doorbells.listen(doorbell, () => {
        served.push(doorbell);
        request(served.length === 1 ? STOP_PAUSE : STOP_QUIT);
      });
      ringDoorbell(views, doorbell);
    }
    loop.run();
    expect(served).toEqual([0, 1]);
  });

  it('comes before work that was put off, which is done afterwards, in its order', () => {
    const { loop, request } = ioThread();
    const done: string[] = [];
    loop.defer(() => {
      done.push('a');
      loop.defer(() => done.push('d'));
      request(STOP_PAUSE);
    });
    loop.defer(() => done.push('b'));
    loop.defer(() => {
      done.push('c');
      request(STOP_QUIT);
    });
    loop.run();
    expect(done).toEqual(['a', 'b', 'c']);
  });
});
