/** A queue that changes hands (vhost) while its driver goes on: the new owner is another thread with a listener of its own. */
import { describe, expect, it } from 'vitest';
import { BLK_DEFAULTS } from '../config/devices.ts';
import { THREAD_IO0 } from '../layout/machine.ts';
import { DoorbellListener } from '../sync/doorbell.ts';
import type { QueueHandover, QueueHolder } from '../virtio/device-host.ts';
import { IoeventfdTable } from '../virtio/ioeventfd.ts';
import { Virtqueue } from '../virtio/queue.ts';
import type { QueuePosition } from '../virtio/queue.ts';
import { ServedQueue } from '../virtio/served-queue.ts';
import { ModernGuest, virtioBoard } from '../virtio/test-board.ts';
import { EchoDevice } from '../virtio/test-echo.ts';
import { EventLoop } from './event-loop.ts';
import { HostedDevice } from './hosted-device.ts';

const RINGS = [0x10000, 0x20000] as const;
const TEXT = 0x100000;
const BELLS = [0, 1] as const;
const VHOST = THREAD_IO0 + 1;

function board() {
  const device = new EchoDevice();
  const parts = virtioBoard(device, { withIoeventfds: true });
  const { views, memory, transport } = parts;
  const table = new IoeventfdTable(views);
  table.create();
  const loop = new EventLoop({ views, thread: THREAD_IO0, vcpus: 1 });
  const fn = {
    slot: 0,
    pciDevice: 0,
    name: 'echo',
    type: 4,
    queues: 2,
    thread: THREAD_IO0,
    device: { ...BLK_DEFAULTS, drive: 'd', ioeventfd: 'on' as const },
  };
  const hosted = new HostedDevice(fn, device, transport, {
    views,
    memory,
    table,
    loop,
    cores: 2,
    hasStoreOrder: true,
    onProblem: () => {},
    onReset: () => {},
  });
  transport.serve(hosted.owner);
  const guest = new ModernGuest(parts);
  guest.negotiate(0);
  const drivers = RINGS.map((start, queue) => guest.setQueue(queue, { start, size: 8 }));
  guest.ready();
  const offer = (queue: 0 | 1): void => {
    drivers[queue]!.add([], [{ gpa: TEXT, bytes: 1 }]);
    guest.kick(queue);
  };
  const used = (queue: 0 | 1) => drivers[queue]!.takeUsed().length;
  const state = (queue: number) => hosted.ioeventfdInfo().queues[queue]!.state;
  return { ...parts, device, loop, hosted, guest, offer, used, state };
}

/** Serves a queue as a worker of its own would. */
class Worker implements QueueHolder {
  served = 0;
  isHolding = false;
  readonly listener: DoorbellListener;
  readonly #memory: ReturnType<typeof board>['memory'];
  #queue: Virtqueue | undefined;
  #then: ((position: QueuePosition) => void) | undefined;

  constructor({ views, memory }: ReturnType<typeof board>) {
    this.listener = new DoorbellListener(views, VHOST);
    this.#memory = memory;
  }

  take({ position, ...facts }: QueueHandover): void {
    const created = Virtqueue.create({ ...facts, memory: this.#memory, onBroken: () => {} }, position);
    if (!created.ok) throw new Error(created.error);
    const queue = created.value;
    this.#queue = queue;
    const served = new ServedQueue(0, queue, () => {});
    const serve = (): void => {
      for (let chain = served.next(); chain !== undefined; chain = served.next()) {
        this.served++;
        served.complete(chain, 0);
      }
      served.flush();
    };
    this.listener.listen(BELLS[0], serve);
    serve();
  }

  release(then: (position: QueuePosition) => void): void {
    this.#then = then;
    if (!this.isHolding) this.letGo();
  }

  letGo(): void {
    this.listener.forget(BELLS[0]);
    this.#then?.(this.#queue!.position);
    this.#then = undefined;
  }
}

describe('a queue', () => {
  it('is served by its new owner from where the old one stopped, and goes back', () => {
    const parts = board();
    const { hosted, loop, offer, used, state } = parts;
    const worker = new Worker(parts);
    offer(0);
    loop.doorbells.dispatch();
    const first = used(0);
    // Kicked for the old owner, and taken by the new one.
    offer(0);
    const handover = hosted.handOver(0, worker)!;
    const between = [used(0), state(0)];
    offer(0);
    worker.take(handover);
    offer(0);
    const rung = [loop.doorbells.dispatch(), worker.listener.dispatch(), used(0), worker.served];
    hosted.takeBack(0, () => {});
    offer(0);
    const back = [worker.listener.dispatch(), loop.doorbells.dispatch(), used(0), state(0)];
    expect([first, between, rung, back]).toEqual([1, [1, 'offlimits'], [0, 1, 2, 2], [0, 1, 1, 'assigned']]);
  });

  it('is not handed over while the device holds chains of it', () => {
    const { hosted, loop, offer, device, state } = board();
    offer(1);
    loop.doorbells.dispatch();
    const refused = hosted.handOver(1, { release: () => {} });
    expect([device.kept.length, refused, state(1)]).toEqual([1, undefined, 'assigned']);
  });

  it('that was handed over keeps a reset waiting until its owner has let go', () => {
    const parts = board();
    const { hosted, guest, state } = parts;
    const worker = new Worker(parts);
    worker.take(hosted.handOver(0, worker)!);
    worker.isHolding = true;
    guest.status = 0;
    const during = [guest.status, state(0)];
    worker.letGo();
    expect([during, guest.status, state(0)]).toEqual([[15, 'offlimits'], 0, 'deassigned']);
  });

  it('goes back to the device after a reset', () => {
    const parts = board();
    const { hosted, guest, loop } = parts;
    const worker = new Worker(parts);
    worker.take(hosted.handOver(0, worker)!);
    guest.status = 0;
    guest.negotiate(0);
    const driver = guest.setQueue(0, { start: RINGS[0], size: 8 });
    guest.ready();
    driver.add([], [{ gpa: TEXT, bytes: 1 }]);
    guest.kick(0);
    expect([loop.doorbells.dispatch(), driver.takeUsed().length, worker.served]).toEqual([1, 1, 0]);
  });
});
