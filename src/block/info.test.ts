import { describe, expect, it } from 'vitest';
import { describeAioStats, describeDisks, sizeText } from './info.ts';
import { ManualDriver } from './manual-driver.ts';
import { testQueue } from './test-source.ts';

describe('info block', () => {
  it('says what a disk is, how it is reached and why, and what went wrong', () => {
    const driver = new ManualDriver();
    const { attach, queue } = testQueue(driver);
    const source = attach('virtio0');
    source.add('r', 'read');
    source.add('s', 'read', 8192);
    source.client.kick();
    driver.finish(0, 'io-error', 'The browser failed.');
    expect(describeDisks([queue.stats()])).toBe(
      [
        'disk0: raw, 1 MiB, read-write',
        '    aio=manual: The test asked for it.',
        '    cache=writeback, discard in units of 4 KiB',
        '    guest virtio0: 1 in flight',
        '    last problem: The browser failed.',
      ].join('\n'),
    );
  });

  it('says that there are none', () => {
    expect(describeDisks([])).toBe('There are no disks.');
    expect(describeAioStats([])).toBe('There are no disks.');
  });
});

describe('info aio', () => {
  it('has the counters of driver and queues', () => {
    const driver = new ManualDriver();
    const { attach, queue, clock } = testQueue(driver);
    const source = attach('virtio0');
    source.add('r', 'read', 0, 4096);
    source.client.kick();
    clock.now = 0.02;
    driver.finishAll();
    expect(describeAioStats([queue.stats()])).toBe(
      [
        'disk0, driver manual: 1 operations, at most 1 at once, 4 KiB read, 0 bytes written, 0 copies of 0 bytes, 0 errors, 0 pauses',
        '    latency p50 20 p90 20 p99 20 p99.9 20 max 20 us',
        '    0 flushes (0 needed none) -',
        '    virtio0: 1 reads, 0 writes, 0 flushes, 0 discards, 0 zeroes, 0 merged, 0 errors, 0 cancelled',
        '        latency p50 20 p90 20 p99 20 p99.9 20 max 20 us',
      ].join('\n'),
    );
  });
});

describe('sizeText', () => {
  it.each([
    [0, '0 bytes'],
    [512, '512 bytes'],
    [4096, '4 KiB'],
    [1_572_864, '1.5 MiB'],
    [2 ** 31, '2 GiB'],
  ])('of %d is %s', (bytes, text) => {
    expect(sizeText(bytes)).toBe(text);
  });
});
