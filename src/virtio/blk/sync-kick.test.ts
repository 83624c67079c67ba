/** A kick that no doorbell takes (`ioeventfd=off`): the vCPU waits until the queue is popped, not until the disk is done. */
import { expect, it } from 'vitest';
import type { BlockDriver } from '../../block/block-driver.ts';
import { CachedRangesDriver } from '../../block/drivers/cached-ranges.ts';
import { fileSource } from '../../block/drivers/file-source.ts';
import { MemoryDriver } from '../../block/drivers/memory.ts';
import { OpfsDriver } from '../../block/drivers/opfs.ts';
import { createPortMemory } from '../../block/drivers/thread-port.ts';
import { ThreadServer } from '../../block/drivers/thread-server.ts';
import { ThreadsDriver } from '../../block/drivers/threads.ts';
import { FakeOpfs } from '../../block/fake-opfs.ts';
import { testQueue } from '../../block/test-source.ts';
import { ModernGuest, virtioBoard } from '../test-board.ts';
import { VirtioBlk } from './virtio-blk.ts';

const HEADERS = 0x100000;
const STATUSES = 0x101000;
const DATA = 0x110000;
const DISK_BYTES = 64 * 512;

async function openFile() {
  const opfs = new FakeOpfs();
  opfs.put('disk', new Uint8Array(DISK_BYTES));
  const file = await opfs.getFileHandle('disk');
  return await file.createSyncAccessHandle({ mode: 'readwrite-unsafe' });
}

async function opfsDriver(): Promise<BlockDriver> {
  return new OpfsDriver(await openFile(), { readOnly: false });
}

/** With one helper, which carries out a request whenever the test has it do so. */
async function threadsDriver() {
  const port = createPortMemory();
  const memory = new SharedArrayBuffer(64);
  const file = await openFile();
  const driver = new ThreadsDriver({ port, memory, threads: 1, readOnly: false });
  const helper = new ThreadServer({ port, memory, file, readOnly: false, sharedViews: true, wake: () => {} });
  const init = driver.init.bind(driver);
  driver.init = (link, done) => {
    init(link, done);
    // It has asked for the size of the file.
    helper.step();
    driver.poll();
  };
  return { driver, helper };
}

function fileDriver(): BlockDriver {
  const readSync = (at: number, bytes: number) => new ArrayBuffer(Math.min(bytes, DISK_BYTES - at));
  return new CachedRangesDriver(fileSource({ name: 'disk', size: DISK_BYTES, readSync }), {
    name: 'file',
    cacheBytes: 0,
  });
}

/** A guest that has made reads of the sectors 0, 8 and 16 available, without a kick. */
function guestOf(driver: BlockDriver) {
  const log: string[] = [];
  const submit = driver.submit.bind(driver);
  driver.submit = (operation) => {
    log.push(`${operation.kind} ${operation.offset / 512}`);
    submit(operation);
  };
  const { backend } = testQueue(driver, { readOnly: true });
  const board = virtioBoard(new VirtioBlk({ name: 'vda', backend, queueSize: 64 }));
  const guest = new ModernGuest(board);
  guest.negotiate(0);
  const ring = guest.setQueue(0, { start: 0x10000, size: 64 });
  guest.ready();
  const read = (n: number): void => {
    board.data.setUint32(HEADERS + 16 * n + 8, 8 * n, true);
    ring.add(
      [{ gpa: HEADERS + 16 * n, bytes: 16 }],
      [
        { gpa: DATA + 512 * n, bytes: 512 },
        { gpa: STATUSES + n, bytes: 1 },
      ],
    );
  };
  read(0);
  read(1);
  read(2);
  return { log, host: board.host, ring };
}

it.each<[string, () => BlockDriver | Promise<BlockDriver>]>([
  ['opfs', opfsDriver],
  ['file', fileDriver],
  ['memory', () => new MemoryDriver({ sizeBytes: DISK_BYTES, limitBytes: DISK_BYTES, readOnly: false })],
])('is answered before the driver %s begins, with all chains popped', async (_, create) => {
  const { log, host, ring } = guestOf(await create());
  host.kick(0, () => log.push(`answered: ${host.counters(0).chains} popped, ${ring.takeUsed().length} used`));
  expect(log).toEqual(['answered: 3 popped, 0 used', 'read 0', 'read 8', 'read 16']);
  expect(ring.takeUsed()).toHaveLength(3);
});

it('is answered with all chains popped also where the driver threads has room for fewer', async () => {
  const { driver, helper } = await threadsDriver();
  const { log, host, ring } = guestOf(driver);
  host.kick(0, () => log.push(`answered: ${host.counters(0).chains} popped`));
  expect(log).toEqual(['answered: 3 popped', 'read 0', 'read 8']);
  expect(ring.takeUsed()).toEqual([]);
  helper.step();
  driver.poll();
  expect(log).toEqual(['answered: 3 popped', 'read 0', 'read 8', 'read 16']);
  helper.step();
  helper.step();
  driver.poll();
  expect(ring.takeUsed()).toHaveLength(3);
});

it('is answered once also where there is no driver, or nothing to pop', async () => {
  const { log, host } = guestOf(await opfsDriver());
  host.kick(0);
  host.kick(0, () => log.push('answered'));
  host.kick(7, () => log.push('no such queue'));
  host.reset();
  host.kick(0, () => log.push('no driver'));
  expect(log.slice(3)).toEqual(['answered', 'no such queue', 'no driver']);
});
