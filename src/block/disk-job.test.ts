import { describe, expect, it } from 'vitest';
import type { BlockStatus } from './block-backend.ts';
import { exportDisk, importDisk, prefetchDisk } from './disk-job.ts';
import { pattern } from './driver-contract.ts';
import { MemoryDriver } from './drivers/memory.ts';
import { ManualDriver } from './manual-driver.ts';
import { testQueue } from './test-source.ts';

const SIZE = 600 * 1024;

function memoryDisk(sizeBytes = SIZE): MemoryDriver {
  return new MemoryDriver({ sizeBytes, limitBytes: 4 * 1024 * 1024, readOnly: false });
}

describe('importDisk and exportDisk', () => {
  it('carry a disk in and out again, in pieces of 256 KiB', () => {
    const { queue } = testQueue(memoryDisk());
    const contents = pattern(SIZE);
    const statuses: BlockStatus[] = [];
    const offsets: number[] = [];
    const copy = new Uint8Array(SIZE);
    importDisk(queue, {
      name: 'import',
      skipZeroes: false,
      fill(target, offset, ready) {
        target.set(contents.subarray(offset, offset + target.length));
        ready(true);
      },
      done: (status) => statuses.push(status),
    });
    const job = exportDisk(queue, {
      name: 'export',
      data(bytes, offset, next) {
        offsets.push(offset);
        copy.set(bytes, offset);
        next();
      },
      done: (status) => statuses.push(status),
    });
    expect(statuses).toEqual(['ok', 'ok']);
    expect(offsets).toEqual([0, 262_144, 524_288]);
    expect(Buffer.from(copy).equals(contents)).toBe(true);
    expect([job.doneBytes, job.totalBytes]).toEqual([SIZE, SIZE]);
  });

  it('leave the queue when they are over', () => {
    const { queue } = testQueue(memoryDisk());
    prefetchDisk(queue, { name: 'prefetch', done: () => {} });
    expect(queue.stats().queues).toEqual([]);
  });

  it('skip zeroes on a new disk, and only zeroes', () => {
    const driver = new ManualDriver({ sizeBytes: SIZE });
    driver.immediate = 'ok';
    const { queue } = testQueue(driver);
    importDisk(queue, {
      name: 'import',
      skipZeroes: true,
      fill(target, offset, ready) {
        target.fill(0);
        // The bits of minus zero.
        if (offset === 262_144) target[7] = 0x80;
        ready(true);
      },
      done: () => {},
    });
    expect(driver.log).toEqual(['write 262144+262144', 'flush']);
  });

  it('skip 4 GiB of zeroes', { timeout: 60_000 }, () => {
    const driver = new ManualDriver({ sizeBytes: 4 * 2 ** 30 });
    driver.immediate = 'ok';
    const { queue } = testQueue(driver);
    const statuses: BlockStatus[] = [];
    importDisk(queue, {
      name: 'import',
      skipZeroes: true,
      fill: (_target, _offset, ready) => ready(true),
      done: (status) => statuses.push(status),
    });
    expect(statuses).toEqual(['ok']);
  });

  it('do part of a disk', () => {
    const driver = new ManualDriver({ sizeBytes: SIZE });
    driver.immediate = 'ok';
    const { queue } = testQueue(driver);
    prefetchDisk(queue, { name: 'prefetch', offset: 4096, length: 8192, done: () => {} });
    expect(driver.log).toEqual(['read 4096+8192']);
  });

  it('wait for whoever takes or gives the data', () => {
    const driver = new ManualDriver({ sizeBytes: SIZE });
    driver.immediate = 'ok';
    const { queue } = testQueue(driver);
    const nexts: (() => void)[] = [];
    exportDisk(queue, { name: 'export', data: (_bytes, _offset, next) => nexts.push(next), done: () => {} });
    expect(driver.log).toEqual(['read 0+262144']);
    nexts[0]!();
    expect(driver.log).toEqual(['read 0+262144', 'read 262144+262144']);
  });

  it('end with the error of a request', () => {
    const driver = new ManualDriver({ sizeBytes: SIZE });
    const { queue } = testQueue(driver);
    const statuses: BlockStatus[] = [];
    prefetchDisk(queue, { name: 'prefetch', done: (status) => statuses.push(status) });
    driver.finish(0, 'io-error');
    expect(statuses).toEqual(['io-error']);
    expect(driver.inFlight).toEqual([]);
  });

  it('end with an error when there is nothing to import', () => {
    const { queue } = testQueue(memoryDisk());
    const statuses: BlockStatus[] = [];
    importDisk(queue, {
      name: 'import',
      skipZeroes: false,
      fill: (_target, _offset, ready) => ready(false),
      done: (status) => statuses.push(status),
    });
    expect(statuses).toEqual(['io-error']);
  });

  it('can be cancelled, and are over when the driver has nothing of them', () => {
    const driver = new ManualDriver({ sizeBytes: SIZE });
    const { queue } = testQueue(driver);
    const statuses: BlockStatus[] = [];
    const job = prefetchDisk(queue, { name: 'prefetch', done: (status) => statuses.push(status) });
    job.cancel();
    expect(statuses).toEqual([]);
    driver.finishAll();
    expect(statuses).toEqual(['cancelled']);
    expect(driver.log).toEqual(['read 0+262144']);
  });
});
