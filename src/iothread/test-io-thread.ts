/** The I/O thread of event-loop.test.ts: a virtio-blk with a disk in memory, under the real event loop. */
import { setImmediate } from 'node:timers';
import { parentPort, workerData } from 'node:worker_threads';
import { viewsOf } from '../base/views.ts';
import { PciBus } from '../devices/pci/bus.ts';
import { TestLine } from '../devices/test-devices.ts';
import { THREAD_IO0 } from '../layout/machine.ts';
import { GuestMemory } from '../memory/guest-memory.ts';
import { postCodeWrite } from '../sync/code-mail.ts';
import { TestDisk } from '../virtio/blk/test-disk.ts';
import { VirtioBlk } from '../virtio/blk/virtio-blk.ts';
import { DeviceHost } from '../virtio/device-host.ts';
import { IoeventfdTable } from '../virtio/ioeventfd.ts';
import { VirtioPci } from '../virtio/pci-transport.ts';
import { QueueDoorbells } from '../virtio/queue-doorbells.ts';
import { RingExchange } from '../virtio/ring-exchange.ts';
import { BOARD_RAM, SLOT } from '../virtio/test-board.ts';
import { EventLoop } from './event-loop.ts';

const { buffer, isWeak } = workerData as { readonly buffer: SharedArrayBuffer; readonly isWeak: boolean };
const views = viewsOf(buffer);
const loop = new EventLoop({ views, thread: THREAD_IO0, vcpus: 1 });
const disk = new TestDisk(64);
disk.data.forEach((_, at) => (disk.data[at] = (at >> 9) + 1));
const device = new VirtioBlk({ name: 'vda', backend: disk.backend, queueSize: 64 });
const pci = new PciBus({ views, line: () => new TestLine() });
const transport = new VirtioPci({
  views,
  pci,
  device: SLOT,
  slot: 0,
  name: 'vda',
  type: device.identity.type,
  queues: 1,
  sendMsi: () => {},
});
const table = new IoeventfdTable(views);
const host: DeviceHost = new DeviceHost({
  state: transport.state,
  memory: new GuestMemory(views, BOARD_RAM, (gpa, bytes) => postCodeWrite(views, 1, gpa, bytes)),
  device,
  interrupts: transport.interrupts,
  defer: (task) => loop.defer(task),
  ...(isWeak ? { exchange: (queue: number) => new RingExchange(views, 0, queue) } : {}),
  onDriver: (isReady) => doorbells.driver(isReady),
});
const doorbells = new QueueDoorbells({
  views,
  table,
  state: transport.state,
  queues: 1,
  listener: loop.doorbells,
  notifyMatch: (queue) => transport.notifyMatch(queue),
  kick: (queue) => host.kick(queue),
  enabled: true,
});
loop.addHost(0, host);
// Mail switches ioeventfd, as the control plane would.
parentPort!.on('message', (enabled: boolean) => {
  doorbells.switchTo(enabled);
  setImmediate(next);
});

function next(): void {
  if (loop.run() === 'mail') parentPort!.postMessage('mail');
  else {
    parentPort!.postMessage({ ...loop.counters, ...doorbells.report()[0]!.counts });
    parentPort!.close();
  }
}

parentPort!.postMessage('ready');
setImmediate(next);
