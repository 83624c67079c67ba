import { describe, expect, it } from 'vitest';
import type { BlockOperation } from './block-backend.ts';
import { ManualDriver } from './manual-driver.ts';
import { testQueue } from './test-source.ts';

describe('taking requests', () => {
  it('submits in the order of the source and completes in that of the driver', () => {
    const driver = new ManualDriver();
    const source = testQueue(driver).attach('q0');
    source.add('a', 'read', 8192);
    source.add('b', 'write', 0);
    source.add('c', 'read', 4096);
    source.client.kick();
    expect(driver.inFlight).toEqual(['read 8192+512', 'write 0+512', 'read 4096+512']);
    driver.finish(2);
    driver.finish(0);
    driver.finish(0);
    expect(source.statuses).toEqual(['c ok', 'a ok', 'b ok']);
  });

  it('leaves requests in the source while the driver is full', () => {
    const driver = new ManualDriver({ depth: 2 });
    const source = testQueue(driver).attach('q0');
    for (const index of [0, 1, 2, 3, 4]) source.add(`r${index}`, 'read', index * 8192);
    source.client.kick();
    expect(driver.inFlight).toHaveLength(2);
    // One more was taken to see whether it continues the second.
    expect(source.available).toHaveLength(2);
    driver.finish(0);
    expect(driver.inFlight).toHaveLength(2);
    expect(source.available).toHaveLength(1);
  });

  it('takes no more than its bound', () => {
    const driver = new ManualDriver({ depth: 100 });
    const source = testQueue(driver, { bound: 3 }).attach('q0');
    for (const name of ['a', 'b', 'c', 'd', 'e']) source.add(name, 'read', 0);
    source.client.kick();
    expect(source.client.inFlight).toBe(3);
    expect(source.available).toHaveLength(2);
    driver.finishAll();
    expect(source.statuses).toEqual(['a ok', 'b ok', 'c ok', 'd ok', 'e ok']);
  });

  it('takes all there is and begins none of it until the kick, where the source must be empty first', () => {
    const driver = new ManualDriver({ depth: 1 });
    const source = testQueue(driver).attach('q0');
    source.add('a', 'read', 0);
    source.add('b', 'write', 8192);
    source.add('c', 'read', 16_384);
    source.client.take();
    expect([source.available, driver.log]).toEqual([[], []]);
    expect(source.client.inFlight).toBe(3);
    source.client.kick();
    driver.finishAll();
    expect(driver.log).toEqual(['read 0+512', 'write 8192+512', 'read 16384+512']);
    expect(source.statuses).toEqual(['a ok', 'b ok', 'c ok']);
  });

  it('takes early no more than its bound, and refuses at once what no disk could do', () => {
    const driver = new ManualDriver();
    const source = testQueue(driver, { bound: 2 }).attach('q0');
    source.add('odd', 'read', 3);
    for (const name of ['a', 'b', 'c']) source.add(name, 'read', 0);
    source.client.take();
    expect(source.completions).toEqual(['odd io-error', '|']);
    expect([source.client.inFlight, source.available.length]).toEqual([2, 1]);
  });

  it('cancels on reset what was taken early, and completes it on drain', () => {
    const driver = new ManualDriver();
    driver.immediate = 'ok';
    const source = testQueue(driver).attach('q0');
    source.add('a', 'read');
    source.client.take();
    source.client.reset(() => source.completions.push('reset'));
    expect(source.completions).toEqual(['a cancelled', '|', 'reset']);
    source.add('b', 'read');
    source.client.take();
    source.client.drain(() => source.completions.push('drained'));
    source.client.kick();
    expect(source.completions.slice(3)).toEqual(['b ok', '|', 'drained']);
  });

  it('asks the source again only after a kick', () => {
    const driver = new ManualDriver();
    const source = testQueue(driver).attach('q0');
    source.client.kick();
    source.add('a', 'read');
    driver.host!.batch(() => {});
    expect(driver.inFlight).toEqual([]);
    source.client.kick();
    expect(driver.inFlight).toEqual(['read 0+512']);
  });

  it('serves several sources in turn', () => {
    const driver = new ManualDriver({ depth: 1 });
    const { attach } = testQueue(driver);
    const one = attach('q0');
    const two = attach('q1');
    one.add('a', 'read', 0);
    one.add('b', 'read', 8192);
    two.add('c', 'read', 16_384);
    two.add('d', 'read', 32_768);
    one.client.kick();
    two.client.kick();
    driver.finishAll();
    expect(driver.log).toEqual(['read 0+512', 'read 16384+512', 'read 8192+512', 'read 32768+512']);
  });

  it('begins no second request while somebody waits for the thread, but always a first', () => {
    const driver = new ManualDriver({ depth: 1 });
    driver.immediate = 'ok';
    const { attach, clock, queue } = testQueue(driver, { isWanted: () => true });
    const source = attach('q0');
    for (const name of ['a', 'b', 'c']) source.add(name, 'read', name === 'b' ? 8192 : 0);
    source.client.kick();
    expect([source.completions, clock.deferred]).toEqual([['a ok', '|'], 1]);
    queue.service();
    expect([source.completions.slice(2), clock.deferred]).toEqual([['b ok', '|'], 2]);
  });

  it('stops after 2 ms to let the thread look at other events, and goes on when it is served', () => {
    const driver = new ManualDriver({ depth: 1 });
    driver.immediate = 'ok';
    const { attach, clock, queue } = testQueue(driver);
    const source = attach('q0');
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) source.add(name, 'read', name === 'a' ? 0 : 8192);
    source.onComplete = () => (clock.now += 0.7);
    source.client.kick();
    expect(source.statuses).toEqual(['a ok', 'b ok', 'c ok', 'd ok']);
    expect(clock.deferred).toBe(1);
    queue.service();
    expect(source.statuses).toHaveLength(7);
  });

  it.each<BlockOperation>(['discard', 'flush'])(
    'stops also where a guest floods it with %s that costs nothing',
    (operation) => {
      const driver = new ManualDriver({ discardGranularity: 0 });
      driver.immediate = 'ok';
      const { attach, clock, queue } = testQueue(driver);
      const source = attach('q0');
      source.add('first', 'flush');
      source.client.kick();
      source.onComplete = () => {
        clock.now += 0.5;
        source.add('again', operation, 0);
        source.client.kick();
      };
      source.add('start', operation, 0);
      source.client.kick();
      expect(source.statuses).toHaveLength(5);
      expect(clock.deferred).toBe(1);
      queue.service();
      expect(source.statuses).toHaveLength(9);
    },
  );

  it('takes what a completion makes available', () => {
    const driver = new ManualDriver({ depth: 1 });
    driver.immediate = 'ok';
    const source = testQueue(driver).attach('q0');
    source.add('a', 'read');
    source.onComplete = (name) => {
      if (name === 'a') source.add('b', 'read', 4096);
      source.client.kick();
    };
    source.client.kick();
    expect(source.statuses).toEqual(['a ok', 'b ok']);
  });
});

describe('checking requests', () => {
  it.each<[string, BlockOperation, number, number, string]>([
    ['beyond the end', 'read', 1024 * 1024 - 512, 1024, 'io-error'],
    ['far beyond', 'read', 2 ** 60, 512, 'io-error'],
    ['not aligned', 'write', 100, 512, 'io-error'],
    ['of a length that is no multiple of a block', 'read', 0, 100, 'io-error'],
    ['negative', 'read', -512, 512, 'io-error'],
    ['of no length', 'write', 0, 0, 'ok'],
    ['with a fraction', 'read', 0.5, 512, 'io-error'],
    ['with no number', 'discard', Number.NaN, 512, 'io-error'],
  ])('completes one that is %s without the driver', (_text, operation, offset, length, status) => {
    const driver = new ManualDriver();
    const source = testQueue(driver).attach('q0');
    source.add('a', operation, offset, length);
    source.client.kick();
    expect(driver.log).toEqual([]);
    expect(source.completions).toEqual([`a ${status}`, '|']);
  });

  it.each<BlockOperation>(['write', 'discard', 'write-zeroes'])(
    'refuses %s on a read-only disk',
    (operation) => {
      const driver = new ManualDriver();
      const source = testQueue(driver, { readOnly: true }).attach('q0');
      source.add('a', operation);
      source.client.kick();
      expect(source.statuses).toEqual(['a unsupported']);
      expect(driver.log).toEqual([]);
    },
  );

  it('refuses discard where the driver has none', () => {
    const driver = new ManualDriver({ discardGranularity: 0 });
    const source = testQueue(driver).attach('q0');
    source.add('a', 'discard');
    source.client.kick();
    expect(source.statuses).toEqual(['a unsupported']);
  });

  it('refuses a request whose segments have another length than it says', () => {
    const driver = new ManualDriver();
    const source = testQueue(driver).attach('q0');
    source.available.push({ ...source.add('a', 'read'), length: 1024 });
    source.available.shift();
    source.client.kick();
    expect(source.statuses).toEqual(['a io-error']);
    expect(driver.log).toEqual([]);
  });

  it('makes an error of one request out of a driver that throws', () => {
    const driver = new ManualDriver();
    const { attach, queue } = testQueue(driver);
    const source = attach('q0');
    driver.broken = true;
    source.add('a', 'read');
    source.client.kick();
    driver.broken = false;
    source.add('b', 'read');
    source.client.kick();
    driver.finishAll();
    expect(source.statuses).toEqual(['a io-error', 'b ok']);
    expect(queue.stats().lastProblem).toBe('The driver manual failed: Error: broken');
  });
});

describe('merging', () => {
  it('sends a stream as two operations, so that the guest works on one half during the other', () => {
    const driver = new ManualDriver();
    const source = testQueue(driver).attach('q0');
    for (const index of [0, 1, 2, 3, 4, 5, 6, 7]) source.add(`r${index}`, 'read', index * 4096, 4096);
    source.client.kick();
    expect(driver.inFlight).toEqual(['read 0+16384', 'read 16384+16384']);
    expect(source.client.counters.merges).toBe(6);
    driver.finishAll();
    expect(source.completions).toEqual([
      'r0 ok',
      'r1 ok',
      'r2 ok',
      'r3 ok',
      '|',
      'r4 ok',
      'r5 ok',
      'r6 ok',
      'r7 ok',
      '|',
    ]);
  });

  it('merges all that waits while another operation of the stream is in the driver', () => {
    const driver = new ManualDriver({ depth: 2 });
    const source = testQueue(driver).attach('q0');
    source.add('other', 'read', 512 * 1024);
    for (const index of [0, 1, 2, 3]) source.add(`r${index}`, 'write', index * 4096, 4096);
    source.client.kick();
    expect(driver.inFlight).toEqual(['read 524288+512', 'write 0+16384']);
  });

  it('keeps the segments in order, and joins those that are neighbours in memory', () => {
    const driver = new ManualDriver({ depth: 2 });
    const source = testQueue(driver).attach('q0');
    const memory = new Uint8Array(new SharedArrayBuffer(8192));
    source.add('other', 'read', 512 * 1024);
    const first = source.add('a', 'read', 0, 1024);
    const second = source.add('b', 'read', 1024, 512);
    source.available.splice(
      1,
      2,
      { ...first, segments: [memory.subarray(4096, 4608), memory.subarray(0, 512)] },
      { ...second, segments: [memory.subarray(512, 1024)] },
    );
    source.client.kick();
    const segments = driver.waiting[1]!.operation!.segments;
    expect(segments.map((segment) => [segment.byteOffset, segment.length])).toEqual([
      [4096, 512],
      [0, 1024],
    ]);
  });

  it.each<[string, BlockOperation, number, BlockOperation, number]>([
    ['of different kinds', 'read', 0, 'write', 512],
    ['with a gap', 'read', 0, 'read', 1024],
    ['that overlap', 'write', 0, 'write', 0],
    ['in falling order', 'read', 512, 'read', 0],
  ])('does not merge requests %s', (_text, first, firstAt, second, secondAt) => {
    const driver = new ManualDriver();
    const source = testQueue(driver).attach('q0');
    source.add('other', 'read', 512 * 1024);
    source.add('a', first, firstAt);
    source.add('b', second, secondAt);
    source.client.kick();
    expect(driver.inFlight).toHaveLength(3);
    expect(source.client.counters.merges).toBe(0);
  });

  it('never merges across a flush', () => {
    const driver = new ManualDriver({ depth: 8 });
    const source = testQueue(driver).attach('q0');
    source.add('other', 'read', 512 * 1024);
    source.add('a', 'write', 0);
    source.add('f', 'flush');
    source.add('b', 'write', 512);
    source.client.kick();
    expect(driver.inFlight).toEqual(['read 524288+512', 'write 0+512', 'flush', 'write 512+512']);
  });

  it('does not merge zeroes that may free space with those that may not', () => {
    const driver = new ManualDriver();
    const source = testQueue(driver).attach('q0');
    source.add('other', 'read', 512 * 1024);
    source.add('a', 'write-zeroes', 0, 4096, true);
    source.add('b', 'write-zeroes', 4096, 4096, false);
    source.client.kick();
    expect(driver.inFlight).toHaveLength(3);
  });

  it('does not merge beyond 1 MiB', () => {
    const driver = new ManualDriver({ sizeBytes: 16 * 1024 * 1024 });
    const source = testQueue(driver).attach('q0');
    source.add('other', 'read', 8 * 1024 * 1024);
    for (const index of [0, 1, 2]) source.add(`r${index}`, 'read', index * 524_288, 524_288);
    source.client.kick();
    expect(driver.inFlight).toEqual(['read 8388608+512', 'read 0+1048576', 'read 1048576+524288']);
  });

  it('lets only the request at fault fail: each part of a failed operation goes again alone', () => {
    const driver = new ManualDriver({ depth: 4 });
    const source = testQueue(driver).attach('q0');
    source.add('other', 'read', 512 * 1024);
    for (const index of [0, 1, 2]) source.add(`r${index}`, 'read', index * 512);
    source.client.kick();
    driver.finish(1, 'io-error');
    expect(driver.inFlight).toEqual(['read 524288+512', 'read 0+512', 'read 512+512', 'read 1024+512']);
    driver.finish(2, 'io-error');
    driver.finishAll();
    expect(source.statuses).toEqual(['r1 io-error', 'other ok', 'r0 ok', 'r2 ok']);
  });
});

describe('flush', () => {
  it('holds up nothing that comes after it', () => {
    const driver = new ManualDriver();
    const source = testQueue(driver).attach('q0');
    source.add('w', 'write', 0);
    source.client.kick();
    source.add('f', 'flush');
    source.add('r', 'read', 4096);
    source.client.kick();
    expect(driver.inFlight).toEqual(['write 0+512', 'flush', 'read 4096+512']);
    driver.finish(2);
    expect(source.statuses).toEqual(['r ok']);
  });

  it('reaches the driver the first time, and then only after a write', () => {
    const driver = new ManualDriver();
    const { attach, queue } = testQueue(driver);
    const source = attach('q0');
    for (const [name, operation] of [
      ['f1', 'flush'],
      ['f2', 'flush'],
      ['w', 'write'],
      ['f3', 'flush'],
    ] as const) {
      source.add(name, operation);
      source.client.kick();
      driver.finishAll();
    }
    expect(driver.log).toEqual(['flush', 'write 0+512', 'flush']);
    expect(source.statuses).toEqual(['f1 ok', 'f2 ok', 'w ok', 'f3 ok']);
    expect(queue.stats().driver).toMatchObject({ flushes: 2, flushesSkipped: 1 });
  });

  it('goes again if a write completed after the flush in progress was submitted', () => {
    const driver = new ManualDriver();
    const source = testQueue(driver).attach('q0');
    source.add('w1', 'write', 0);
    source.add('f1', 'flush');
    source.client.kick();
    driver.finish(0);
    source.add('f2', 'flush');
    source.client.kick();
    expect(driver.inFlight).toEqual(['flush', 'flush']);
    driver.finishAll();
    expect(source.statuses).toEqual(['w1 ok', 'f1 ok', 'f2 ok']);
  });

  it('shares the flush in progress if no write completed since', () => {
    const driver = new ManualDriver();
    const { attach } = testQueue(driver);
    const one = attach('q0');
    const two = attach('q1');
    one.add('f1', 'flush');
    one.client.kick();
    two.add('f2', 'flush');
    two.client.kick();
    expect(driver.inFlight).toEqual(['flush']);
    driver.finish(0, 'io-error');
    expect([...one.statuses, ...two.statuses]).toEqual(['f1 io-error', 'f2 io-error']);
  });

  it('counts a write that failed, because it may have changed the medium', () => {
    const driver = new ManualDriver();
    const source = testQueue(driver).attach('q0');
    source.add('f1', 'flush');
    source.client.kick();
    driver.finishAll();
    source.add('w', 'write');
    source.client.kick();
    driver.finish(0, 'io-error');
    source.add('f2', 'flush');
    source.client.kick();
    expect(driver.inFlight).toEqual(['flush']);
  });

  it('is tried again by the next one after it failed', () => {
    const driver = new ManualDriver();
    const source = testQueue(driver).attach('q0');
    source.add('f1', 'flush');
    source.client.kick();
    driver.finish(0, 'io-error');
    source.add('f2', 'flush');
    source.client.kick();
    driver.finish(0, 'ok');
    expect(source.statuses).toEqual(['f1 io-error', 'f2 ok']);
  });
});

describe('cache modes', () => {
  it('writethrough: a write completes when a flush after it has', () => {
    const driver = new ManualDriver();
    const { attach, queue } = testQueue(driver, { cache: 'writethrough' });
    const source = attach('q0');
    source.add('w', 'write');
    source.client.kick();
    driver.finish(0);
    expect(driver.inFlight).toEqual(['flush']);
    expect(source.statuses).toEqual([]);
    driver.finish(0);
    expect(source.statuses).toEqual(['w ok']);
    expect(queue.writeCache).toBe(false);
  });

  it('writethrough: writes that complete during a flush share the next one', () => {
    const driver = new ManualDriver();
    const source = testQueue(driver, { cache: 'writethrough' }).attach('q0');
    for (const index of [0, 1, 2]) source.add(`w${index}`, 'write', index * 8192);
    source.client.kick();
    driver.finish(0);
    driver.finish(0);
    driver.finish(0);
    expect(driver.inFlight).toEqual(['flush']);
    driver.finish(0);
    expect(source.statuses).toEqual(['w0 ok']);
    expect(driver.inFlight).toEqual(['flush']);
    driver.finish(0);
    expect(source.statuses).toEqual(['w0 ok', 'w1 ok', 'w2 ok']);
  });

  it('writethrough: a failed flush is an error of the writes', () => {
    const driver = new ManualDriver();
    const source = testQueue(driver, { cache: 'writethrough' }).attach('q0');
    source.add('w', 'write');
    source.client.kick();
    driver.finish(0);
    driver.finish(0, 'io-error');
    expect(source.statuses).toEqual(['w io-error']);
  });

  it('writeback: the guest can switch its cache off and on', () => {
    const driver = new ManualDriver();
    const { attach, queue } = testQueue(driver);
    const source = attach('q0');
    queue.setWriteCache(false);
    source.add('w1', 'write');
    source.client.kick();
    driver.finish(0);
    expect(driver.inFlight).toEqual(['flush']);
    driver.finish(0);
    queue.setWriteCache(true);
    source.add('w2', 'write');
    source.client.kick();
    driver.finish(0);
    expect(driver.inFlight).toEqual([]);
    expect(source.statuses).toEqual(['w1 ok', 'w2 ok']);
  });

  it('unsafe: flushes complete at once, also with the cache off, and the close flushes', () => {
    const driver = new ManualDriver();
    const { attach, queue } = testQueue(driver, { cache: 'unsafe' });
    const source = attach('q0');
    queue.setWriteCache(false);
    source.add('w', 'write');
    source.add('f', 'flush');
    source.client.kick();
    driver.finish(0);
    expect(source.statuses).toEqual(['f ok', 'w ok']);
    queue.close(() => {});
    expect(driver.inFlight).toEqual(['flush']);
  });
});

describe('no space', () => {
  it('pauses the disk with a message, keeps everything, and goes on in order after resume', () => {
    const driver = new ManualDriver({ depth: 2 });
    const { attach, queue } = testQueue(driver);
    const messages: string[] = [];
    queue.onPause(({ message }) => messages.push(message));
    const source = attach('q0');
    for (const index of [0, 1, 2, 3]) source.add(`w${index}`, 'write', index * 8192);
    source.client.kick();
    driver.finish(1, 'no-space');
    driver.finish(0, 'no-space');
    expect(messages).toEqual([
      'The browser has no room left for the disk “disk0”. The machine is paused and nothing is lost: make room, then continue.',
    ]);
    expect(driver.inFlight).toEqual([]);
    expect(source.statuses).toEqual([]);
    queue.resume();
    expect(driver.inFlight).toEqual(['write 0+512', 'write 8192+512']);
    driver.finishAll();
    expect(source.statuses).toEqual(['w0 ok', 'w1 ok', 'w2 ok', 'w3 ok']);
    expect(queue.paused).toBeUndefined();
  });

  it('pauses again if there is still none', () => {
    const driver = new ManualDriver();
    const { attach, queue } = testQueue(driver);
    const source = attach('q0');
    source.add('w', 'write');
    source.client.kick();
    driver.finish(0, 'no-space');
    queue.resume();
    driver.finish(0, 'no-space');
    expect(queue.paused?.status).toBe('no-space');
    queue.resume();
    driver.finish(0);
    expect(source.statuses).toEqual(['w ok']);
    expect(queue.stats().driver.pauses).toBe(2);
  });

  it('does not pause again for an answer that is older than the resume', () => {
    const driver = new ManualDriver();
    const { attach, queue } = testQueue(driver);
    const source = attach('q0');
    source.add('w0', 'write', 0);
    source.add('w1', 'write', 8192);
    source.client.kick();
    driver.finish(0, 'no-space');
    queue.resume();
    expect(driver.inFlight).toEqual(['write 8192+512', 'write 0+512']);
    driver.finish(0, 'no-space');
    expect(queue.paused).toBeUndefined();
    driver.finishAll();
    expect(source.statuses).toEqual(['w0 ok', 'w1 ok']);
    expect(queue.stats().driver.pauses).toBe(1);
  });

  it('is reported to the guest with werror=report', () => {
    const driver = new ManualDriver();
    const source = testQueue(driver, { errorPolicy: { write: 'report', read: 'report' } }).attach('q0');
    source.add('w', 'write');
    source.client.kick();
    driver.finish(0, 'no-space');
    expect(source.statuses).toEqual(['w no-space']);
  });

  it('pauses on any error with werror=stop and rerror=stop', () => {
    const driver = new ManualDriver();
    const { attach, queue } = testQueue(driver, { errorPolicy: { write: 'stop', read: 'stop' } });
    const source = attach('q0');
    source.add('r', 'read');
    source.client.kick();
    driver.finish(0, 'io-error', 'The browser failed while reading.');
    expect(queue.paused?.message).toBe(
      'The disk “disk0” failed: The browser failed while reading. The machine is paused.',
    );
    queue.resume();
    driver.finish(0);
    expect(source.statuses).toEqual(['r ok']);
  });

  it('is over for a client that is reset: what it had is cancelled', () => {
    const driver = new ManualDriver();
    const { attach, queue } = testQueue(driver);
    const source = attach('q0');
    source.add('w', 'write');
    source.client.kick();
    driver.finish(0, 'no-space');
    source.client.reset(() => source.completions.push('reset'));
    expect(source.completions).toEqual(['w cancelled', '|', 'reset']);
    queue.resume();
    expect(driver.inFlight).toEqual([]);
  });

  it('keeps the flush of another client when one is reset', () => {
    const driver = new ManualDriver();
    const { attach, queue } = testQueue(driver);
    const one = attach('q0');
    const two = attach('q1');
    one.add('f1', 'flush');
    one.client.kick();
    two.add('f2', 'flush');
    two.client.kick();
    driver.finish(0, 'no-space');
    one.client.reset(() => {});
    queue.resume();
    driver.finishAll();
    expect(one.statuses).toEqual(['f1 cancelled']);
    expect(two.statuses).toEqual(['f2 ok']);
  });
});

describe('cancel, drain and reset', () => {
  it('cancels a request that is held back', () => {
    const driver = new ManualDriver({ depth: 1 });
    const source = testQueue(driver).attach('q0');
    source.add('a', 'read', 0);
    source.add('b', 'read', 512);
    source.client.kick();
    expect(source.client.cancel(source.requests.get('b')!)).toBe(true);
    expect(source.statuses).toEqual(['b cancelled']);
    driver.finishAll();
    expect(source.statuses).toEqual(['b cancelled', 'a ok']);
  });

  it('waits for one that the driver cannot stop', () => {
    const driver = new ManualDriver();
    const source = testQueue(driver).attach('q0');
    source.add('a', 'read');
    source.client.kick();
    expect(source.client.cancel(source.requests.get('a')!)).toBe(false);
    driver.finishAll();
    expect(source.statuses).toEqual(['a ok']);
  });

  it('cancels one part of a failed operation and keeps the others', () => {
    const driver = new ManualDriver();
    const { attach, queue } = testQueue(driver);
    const source = attach('q0');
    source.add('other', 'read', 512 * 1024);
    for (const index of [0, 1, 2]) source.add(`w${index}`, 'write', index * 512);
    source.client.kick();
    driver.finish(1, 'no-space');
    expect(source.client.cancel(source.requests.get('w1')!)).toBe(true);
    queue.resume();
    expect(driver.inFlight).toEqual(['read 524288+512', 'write 0+512', 'write 1024+512']);
    driver.finishAll();
    expect(source.statuses).toEqual(['w1 cancelled', 'other ok', 'w0 ok', 'w2 ok']);
  });

  it('drains: takes no more, and calls back when all that was taken has completed', () => {
    const driver = new ManualDriver({ depth: 1 });
    const source = testQueue(driver).attach('q0');
    source.add('a', 'read', 0);
    source.add('b', 'read', 512);
    source.add('c', 'read', 8192);
    source.client.kick();
    source.client.drain(() => source.completions.push('drained'));
    driver.finishAll();
    expect(source.statuses).toEqual(['a ok', 'b ok', 'c ok', 'drained']);
    source.add('d', 'read', 0);
    expect(driver.inFlight).toEqual([]);
    source.client.kick();
    expect(driver.inFlight).toEqual(['read 0+512']);
  });

  it('drains at once if there is nothing', () => {
    const source = testQueue(new ManualDriver()).attach('q0');
    source.client.drain(() => source.completions.push('drained'));
    expect(source.completions).toEqual(['drained']);
  });

  it('a kick during a drain takes nothing', () => {
    const driver = new ManualDriver();
    const source = testQueue(driver).attach('q0');
    source.add('a', 'read', 0);
    source.client.kick();
    source.client.drain(() => {});
    source.add('b', 'read', 8192);
    source.client.kick();
    driver.finish(0);
    expect(driver.inFlight).toEqual([]);
    source.client.kick();
    expect(driver.inFlight).toEqual(['read 8192+512']);
  });

  it('resets: what is not in the driver is cancelled, what is there is waited for', () => {
    const driver = new ManualDriver({ depth: 1 });
    const source = testQueue(driver).attach('q0');
    source.add('a', 'read', 0);
    source.add('b', 'read', 512);
    source.client.kick();
    source.client.reset(() => source.completions.push('reset'));
    expect(source.statuses).toEqual(['b cancelled']);
    driver.finish(0);
    expect(source.completions).toEqual(['b cancelled', '|', 'a ok', '|', 'reset']);
  });

  it('resets: what the driver can stop is stopped, and an error pauses nothing any more', () => {
    const driver = new ManualDriver({ depth: 2 });
    const { attach, queue } = testQueue(driver);
    const source = attach('q0');
    source.add('a', 'write', 0);
    source.add('b', 'write', 8192);
    source.client.kick();
    source.client.reset(() => source.completions.push('reset'));
    driver.finish(0, 'no-space');
    driver.finish(0, 'no-space');
    expect(queue.paused).toBeUndefined();
    expect(source.statuses).toEqual(['a no-space', 'b no-space', 'reset']);
  });

  it('leaves other clients alone', () => {
    const driver = new ManualDriver({ depth: 1 });
    const { attach } = testQueue(driver);
    const one = attach('q0');
    const two = attach('q1');
    one.add('a', 'read', 0);
    one.client.kick();
    two.add('b', 'read', 8192);
    two.client.kick();
    one.client.reset(() => {});
    driver.finishAll();
    expect(two.statuses).toEqual(['b ok']);
  });
});

describe('jobs of the user', () => {
  it('wait while the guest has anything', () => {
    const driver = new ManualDriver({ depth: 1 });
    const { attach } = testQueue(driver);
    const job = attach('export', 'job');
    const guest = attach('q0');
    guest.add('g1', 'read', 0);
    guest.add('g2', 'read', 8192);
    guest.client.kick();
    job.add('j1', 'read', 65_536, 4096);
    job.client.kick();
    driver.finishAll();
    expect(driver.log).toEqual(['read 0+512', 'read 8192+512', 'read 65536+4096']);
  });

  it('have one request in the driver at a time and leave room for the guest', () => {
    const driver = new ManualDriver({ depth: 4 });
    const { attach } = testQueue(driver);
    const job = attach('export', 'job');
    job.add('j1', 'read', 0, 4096);
    job.add('j2', 'read', 4096, 4096);
    job.client.kick();
    expect(driver.inFlight).toEqual(['read 0+4096']);
    driver.finish(0);
    expect(driver.inFlight).toEqual(['read 4096+4096']);
  });

  it('take turns', () => {
    const driver = new ManualDriver({ depth: 1 });
    const { attach } = testQueue(driver);
    const one = attach('export', 'job');
    const two = attach('prefetch', 'job');
    one.add('a', 'read', 0);
    one.add('b', 'read', 512);
    two.add('c', 'read', 8192);
    one.client.kick();
    two.client.kick();
    driver.finishAll();
    expect(driver.log).toEqual(['read 0+512', 'read 8192+512', 'read 512+512']);
  });

  it('may not ask for more than 256 KiB at once', () => {
    const driver = new ManualDriver();
    const { attach } = testQueue(driver);
    const job = attach('export', 'job');
    job.add('j', 'read', 0, 256 * 1024 + 512);
    job.client.kick();
    expect(job.statuses).toEqual(['j unsupported']);
  });
});

describe('batches', () => {
  it('tells of completions that a driver reports together once', () => {
    const driver = new ManualDriver();
    const source = testQueue(driver).attach('q0');
    source.add('a', 'read', 0);
    source.add('b', 'read', 8192);
    source.client.kick();
    driver.host!.batch(() => driver.finishAll());
    expect(source.completions).toEqual(['a ok', 'b ok', '|']);
  });

  it('tells of completions at once if more than 50 us have gone by since the first', () => {
    const driver = new ManualDriver({ depth: 1 });
    driver.immediate = 'ok';
    const { attach, clock } = testQueue(driver);
    const source = attach('q0');
    for (const index of [0, 1, 2, 3]) source.add(`r${index}`, 'read', index * 8192);
    source.onComplete = () => (clock.now += 0.03);
    source.client.kick();
    expect(source.completions).toEqual(['r0 ok', 'r1 ok', 'r2 ok', '|', 'r3 ok', '|']);
  });

  it('tells a guest that halts of each completion at once, and one that runs of all together', () => {
    const driver = new ManualDriver({ depth: 1 });
    driver.immediate = 'ok';
    // The first that it is told makes it run.
    const isGuestHalted = (): boolean => !source.completions.includes('|');
    const source = testQueue(driver, { isGuestHalted }).attach('q0');
    for (const index of [0, 1, 2, 3]) source.add(`r${index}`, 'read', index * 8192);
    source.client.kick();
    expect(source.completions).toEqual(['r0 ok', '|', 'r1 ok', 'r2 ok', 'r3 ok', '|']);
  });
});

describe('large requests', () => {
  const SIZE = 64 * 1024 * 1024;

  it('go to the driver in pieces of 4 MiB and complete once', () => {
    const driver = new ManualDriver({ sizeBytes: SIZE });
    const source = testQueue(driver).attach('q0');
    source.add('z', 'write-zeroes', 1024, 9 * 1024 * 1024);
    source.client.kick();
    driver.finishAll();
    expect(driver.log).toEqual([
      'write-zeroes 1024+4194304',
      'write-zeroes 4195328+4194304',
      'write-zeroes 8389632+1048576',
    ]);
    expect(source.statuses).toEqual(['z ok']);
  });

  it('take turns with others between their pieces', () => {
    const driver = new ManualDriver({ sizeBytes: SIZE, depth: 1 });
    const { attach } = testQueue(driver);
    const one = attach('q0');
    const two = attach('q1');
    one.add('z', 'write-zeroes', 0, 12 * 1024 * 1024);
    one.client.kick();
    two.add('a', 'read', 0);
    two.add('b', 'read', 8192);
    two.client.kick();
    driver.finishAll();
    expect(driver.log).toEqual([
      'write-zeroes 0+4194304',
      'write-zeroes 4194304+4194304',
      'read 0+512',
      'write-zeroes 8388608+4194304',
      'read 8192+512',
    ]);
  });

  it('carry each piece of their data', () => {
    const driver = new ManualDriver({ sizeBytes: SIZE });
    const source = testQueue(driver).attach('q0');
    source.add('w', 'write', 0, 6 * 1024 * 1024);
    source.client.kick();
    driver.finish(0);
    expect(
      driver.waiting[0]!.operation!.segments.map(({ byteOffset, length }) => [byteOffset, length]),
    ).toEqual([[4_194_304, 2_097_152]]);
  });

  it('go on with the piece that had no room', () => {
    const driver = new ManualDriver({ sizeBytes: SIZE });
    const { attach, queue } = testQueue(driver);
    const source = attach('q0');
    source.add('w', 'write', 0, 6 * 1024 * 1024);
    source.client.kick();
    driver.finish(0);
    driver.finish(0, 'no-space');
    queue.resume();
    driver.finishAll();
    expect(driver.log).toEqual(['write 0+4194304', 'write 4194304+2097152', 'write 4194304+2097152']);
    expect(source.statuses).toEqual(['w ok']);
  });

  it('end after the piece in the driver when their device is reset', () => {
    const driver = new ManualDriver({ sizeBytes: SIZE });
    const source = testQueue(driver).attach('q0');
    source.add('z', 'write-zeroes', 0, 12 * 1024 * 1024);
    source.client.kick();
    source.client.reset(() => source.completions.push('reset'));
    driver.finish(0);
    expect(source.statuses).toEqual(['z cancelled', 'reset']);
    expect(driver.inFlight).toEqual([]);
  });
});

describe('size, close and statistics', () => {
  it('grows on the medium, tells the listeners, and then takes requests for the new part', () => {
    const driver = new ManualDriver();
    const { attach, queue } = testQueue(driver);
    const source = attach('q0');
    const sizes: number[] = [];
    queue.onResize(() => sizes.push(queue.properties.sizeBytes));
    queue.resize(2 * 1024 * 1024, (status) => source.completions.push(`resize ${status}`));
    driver.finish(0);
    expect([driver.inFlight, sizes]).toEqual([['flush'], []]);
    driver.finish(0);
    expect([sizes, queue.stats().dirty]).toEqual([[2 * 1024 * 1024], false]);
    source.add('r', 'read', 1024 * 1024);
    source.client.kick();
    expect(driver.inFlight).toEqual(['read 1048576+512']);
    expect(source.completions).toEqual(['resize ok']);
  });

  it('keeps its size where the new one does not reach the medium', () => {
    const driver = new ManualDriver();
    const { queue } = testQueue(driver);
    const seen: unknown[] = [];
    queue.onResize(() => seen.push('resized'));
    queue.resize(2 * 1024 * 1024, (status) => seen.push(status));
    driver.finish(0);
    driver.finish(0, 'io-error', 'the medium is gone');
    expect([seen, queue.properties.sizeBytes, queue.stats().lastProblem]).toEqual([
      ['io-error'],
      1024 * 1024,
      'the medium is gone',
    ]);
  });

  it.each([512 * 1024, 1024 * 1024 + 100, Number.NaN])('refuses the size %d', (size) => {
    const driver = new ManualDriver();
    const { queue } = testQueue(driver);
    const statuses: string[] = [];
    queue.resize(size, (status) => statuses.push(status));
    expect(statuses).toEqual(['unsupported']);
    expect(driver.log).toEqual([]);
  });

  it('closes the driver after everything has come back and is flushed', () => {
    const driver = new ManualDriver();
    const { attach, queue } = testQueue(driver);
    const source = attach('q0');
    source.add('w', 'write');
    source.client.kick();
    queue.close((status) => source.completions.push(`closed ${status}`));
    expect(driver.inFlight).toEqual(['write 0+512']);
    driver.finish(0);
    expect(driver.inFlight).toEqual(['flush']);
    expect(driver.closed).toBe(false);
    driver.finish(0);
    expect(driver.closed).toBe(true);
    expect(source.completions).toEqual(['w ok', '|', 'closed ok']);
    source.add('late', 'read');
    source.client.kick();
    expect(driver.inFlight).toEqual([]);
  });

  it('says so if the last flush failed', () => {
    const driver = new ManualDriver();
    const { queue } = testQueue(driver);
    const statuses: string[] = [];
    queue.close((status) => statuses.push(status));
    driver.finish(0, 'io-error');
    expect(statuses).toEqual(['io-error']);
    expect(driver.closed).toBe(true);
  });

  it('counts requests, bytes, latency and depth', () => {
    const driver = new ManualDriver();
    const { attach, queue, clock } = testQueue(driver);
    const source = attach('q0');
    source.add('r', 'read', 0, 4096);
    source.add('w', 'write', 8192, 1024);
    source.add('d', 'discard', 16_384, 4096);
    source.add('z', 'write-zeroes', 32_768, 4096);
    source.client.kick();
    clock.now = 0.2;
    driver.finishAll();
    const stats = queue.stats();
    expect(stats.driver).toMatchObject({ operations: 4, readBytes: 4096, writtenBytes: 1024, deepest: 4 });
    expect(stats.operationLatency).toMatchObject({ count: 4, max: 200 });
    expect(stats.queues[0]).toMatchObject({
      name: 'q0',
      inFlight: 0,
      counters: { reads: 1, writes: 1, discards: 1, zeroes: 1, readBytes: 4096, writtenBytes: 1024 },
      latency: { count: 4 },
    });
  });
});
