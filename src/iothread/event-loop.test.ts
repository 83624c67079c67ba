/** A vCPU (this thread, with a driver) and an I/O thread, for real. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { IoBus } from '../devices/io-bus.ts';
import { PciBus } from '../devices/pci/bus.ts';
import { TestLine } from '../devices/test-devices.ts';
import { CAUSE_MAIL, STOP_PAUSE, STOP_QUIT, STOP_RUN, THREAD_IO0 } from '../layout/machine.ts';
import { ExitCaller } from '../sync/exit-call.ts';
import { requestStop, stopObeyed } from '../sync/stop.ts';
import { wakeThread } from '../sync/wake.ts';
import { VIRTIO_BLK_WRITABLE_CONFIG } from '../virtio/blk/virtio-blk.ts';
import { IoeventfdTable } from '../virtio/ioeventfd.ts';
import { publishUsed } from '../virtio/ring-exchange.ts';
import { VirtioPci } from '../virtio/pci-transport.ts';
import { RemoteOwner } from '../virtio/remote-owner.ts';
import { BOARD_RAM, ModernGuest, SLOT } from '../virtio/test-board.ts';
import { testRam } from '../virtio/test-driver.ts';

const RING = 0x10000;
const HEADERS = 0x100000;
const STATUSES = 0x101000;
const DATA = 0x110000;

let worker: Worker | undefined;

afterEach(async () => {
  await worker?.terminate();
  worker = undefined;
});

/** `isWeak`: as on a host that may reorder stores. */
async function machine(isWeak = false) {
  const ram = testRam(BOARD_RAM);
  const { views, data } = ram;
  const table = new IoeventfdTable(views);
  table.create();
  const pci = new PciBus({ views, line: () => new TestLine() });
  const transport = new VirtioPci({
    views,
    pci,
    device: SLOT,
    slot: 0,
    name: 'vda',
    type: 2,
    queues: 1,
    writableConfig: VIRTIO_BLK_WRITABLE_CONFIG,
    sendMsi: () => {},
    ioeventfds: table,
  });
  const file = new URL('test-io-thread.ts', import.meta.url).href;
  const source = `import('tsx/esm/api').then(({ register }) => { register(); return import(${JSON.stringify(file)}); });`;
  const io = new Worker(source, { eval: true, workerData: { buffer: views.buffer, isWeak } });
  worker = io;
  await once(io, 'message');
  transport.serve(new RemoteOwner(new ExitCaller(views, 0), THREAD_IO0, 0));
  pci.reset();
  transport.reset();
  pci.assignResources();
  const bus = new IoBus();
  bus.setWriteMatch(table);
  pci.attach(bus);
  const guest = new ModernGuest({ ...ram, bus });
  guest.negotiate(0);
  const driver = guest.setQueue(0, { start: RING, size: 64 });
  guest.ready();
  /** Reads sector `n` of 64, four at a time, and says how many sectors were wrong. */
  const readAll = () => {
    let wrong = 0;
    for (let n = 0; n < 64; n += 4) {
      for (let slot = 0; slot < 4; slot++) {
        data.setUint32(HEADERS + 16 * slot, 0, true);
        data.setUint32(HEADERS + 16 * slot + 8, n + slot, true);
        driver.add(
          [{ gpa: HEADERS + 16 * slot, bytes: 16 }],
          [
            { gpa: DATA + 512 * slot, bytes: 512 },
            { gpa: STATUSES + slot, bytes: 1 },
          ],
        );
        if (driver.needsKick()) guest.kick(0);
      }
      let used = 0;
      const end = performance.now() + 5000;
      while (used < 4 && performance.now() < end) {
        // What the vCPU's thread does for ATTENTION_MAIL; nothing is posted on other hosts.
        publishUsed(views, ram.memory, transport.state, 1, transport.interrupts);
        used += driver.takeUsed().length;
      }
      for (let slot = 0; slot < 4; slot++) if (ram.ram[DATA + 512 * slot] !== n + slot + 1) wrong++;
    }
    return wrong;
  };
  const switchTo = async (enabled: boolean) => {
    io.postMessage(enabled);
    wakeThread(views, THREAD_IO0, CAUSE_MAIL);
    await once(io, 'message');
    // It reads its mail, then goes back to its loop.
    while (transport.state.getQueue(0, 'ioeventfd') !== (enabled ? 1 : 0)) await new Promise(setImmediate);
  };
  return { ...ram, io, bus, guest, transport, readAll, switchTo };
}

describe('a disk on a thread of its own', () => {
  it.each([
    ['', false],
    [' on a host that may reorder stores', true],
  ])(
    'is read with doorbells, without them, and while they are flipped%s',
    { timeout: 60_000 },
    async (_, isWeak) => {
      const { io, bus, guest, transport, readAll, switchTo, views } = await machine(isWeak);
      expect(guest.status).toBe(15);
      const wrong = [readAll(), readAll()];
      const rung = bus.matched;
      const synchronous = transport.state.get('synchronousKicks');
      await switchTo(false);
      wrong.push(readAll());
      const waited = transport.state.get('synchronousKicks');
      await switchTo(true);
      wrong.push(readAll());
      expect(wrong).toEqual([0, 0, 0, 0]);
      expect([rung > 0, synchronous, waited > 0]).toEqual([true, 0, true]);
      guest.status = 0;
      expect(guest.status).toBe(0);
      const report = once(io, 'message');
      requestStop(views, THREAD_IO0, STOP_QUIT);
      const [counters] = (await report) as [{ kicks: number; notifies: number; exits: number }];
      expect(counters.notifies).toBeLessThanOrEqual(counters.kicks);
      expect(counters.exits).toBeGreaterThan(waited);
    },
  );

  it(
    'answers exits while the machine is paused, and serves doorbells after it',
    { timeout: 60_000 },
    async () => {
      const { guest, readAll, views, transport } = await machine();
      requestStop(views, THREAD_IO0, STOP_PAUSE);
      const paused = await stopObeyed(views, THREAD_IO0, STOP_PAUSE, 1000);
      guest.writeDevice(32, 0, 1);
      const exits = transport.state.get('synchronousExits');
      requestStop(views, THREAD_IO0, STOP_RUN);
      expect([paused, exits > 0, readAll()]).toEqual([true, true, 0]);
    },
  );
});
