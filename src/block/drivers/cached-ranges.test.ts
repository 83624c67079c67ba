import { describe, expect, it } from 'vitest';
import { MIB } from '../../base/units.ts';
import type { DriverFacts } from '../block-driver.ts';
import { pattern } from '../driver-contract.ts';
import { domError } from '../fake-opfs.ts';
import { CachedRangesDriver } from './cached-ranges.ts';
import { fileSource } from './file-source.ts';
import type { RangeResult, RangeSource } from './range-source.ts';

/** A source whose reads the test answers, or that answers at once. */
class TestRanges implements RangeSource {
  readonly sizeBytes: number;
  readonly parallel: number;
  readonly log: string[] = [];
  readonly waiting: (() => void)[] = [];
  problem: string | undefined;

  constructor(sizeBytes: number, parallel: number) {
    this.sizeBytes = sizeBytes;
    this.parallel = parallel;
  }

  read(start: number, end: number, done: (result: RangeResult) => void): void {
    this.log.push(`${start / MIB}-${end / MIB}`);
    const { problem } = this;
    const answer = (): void =>
      done(
        problem === undefined
          ? { ok: true, data: pattern(this.sizeBytes).subarray(start, end) }
          : { ok: false, problem },
      );
    if (this.parallel === 1) answer();
    else this.waiting.push(answer);
  }

  close(): void {
    this.log.push('close');
  }
}

interface Reader {
  readonly driver: CachedRangesDriver;
  readonly results: string[];
  readonly read: (offset: number, bytes: number) => { target: Uint8Array; cancel: () => boolean };
}

function reader(source: RangeSource, cacheBytes: number): Reader {
  const driver = new CachedRangesDriver(source, { name: 'file', cacheBytes });
  const results: string[] = [];
  return {
    driver,
    results,
    read(offset, bytes) {
      const target = new Uint8Array(bytes);
      const operation = {
        kind: 'read' as const,
        offset,
        length: bytes,
        segments: [target],
        unmap: false,
        done: (status: string, problem?: string) => results.push(problem ?? status),
      };
      driver.submit(operation);
      return { target, cancel: () => driver.cancel(operation) };
    },
  };
}

describe('blocks', () => {
  it('are read once while they are kept', () => {
    const source = new TestRanges(4 * MIB, 1);
    const { read } = reader(source, 4 * MIB);
    read(0, 512);
    read(4096, 512);
    read(MIB - 512, 1024);
    read(MIB, 512);
    expect(source.log).toEqual(['0-1', '1-2']);
  });

  it('that were used longest ago go first', () => {
    const source = new TestRanges(4 * MIB, 1);
    const { read } = reader(source, 2 * MIB);
    read(0, 512);
    read(MIB, 512);
    read(0, 512);
    read(2 * MIB, 512);
    read(0, 512);
    read(MIB, 512);
    expect(source.log).toEqual(['0-1', '1-2', '2-3', '1-2']);
  });

  it('are one at least, and the last one ends with the file', () => {
    const source = new TestRanges(1.5 * MIB, 1);
    const { read, results } = reader(source, 0);
    const { target } = read(MIB, MIB);
    expect(source.log).toEqual(['1-1.5']);
    const expected = Buffer.concat([pattern(1.5 * MIB).subarray(MIB), new Uint8Array(MIB / 2)]);
    expect(expected.equals(target)).toBe(true);
    expect(results).toEqual(['ok']);
  });
});

describe('a source that answers later', () => {
  it('is asked once for a block that two reads want', () => {
    const source = new TestRanges(4 * MIB, 4);
    const { read, results } = reader(source, 4 * MIB);
    const one = read(512, 512);
    const two = read(4096, 512);
    expect(source.log).toEqual(['0-1']);
    expect(results).toEqual([]);
    source.waiting.shift()!();
    expect(results).toEqual(['ok', 'ok']);
    expect(one.target).toEqual(pattern(1024).subarray(512));
    expect(two.target).toEqual(pattern(8192).subarray(4096, 4608));
  });

  it('is asked ahead of a stream', () => {
    const source = new TestRanges(4 * MIB, 4);
    const { read } = reader(source, 4 * MIB);
    read(0, 512);
    read(8192, 512);
    expect(source.log).toEqual(['0-1']);
    read(8704, 512);
    expect(source.log).toEqual(['0-1', '1-2']);
  });

  it('answers nobody for a read that was cancelled', () => {
    const source = new TestRanges(4 * MIB, 4);
    const { read, results } = reader(source, 4 * MIB);
    const { cancel, target } = read(512, 512);
    expect(cancel()).toBe(true);
    expect(cancel()).toBe(false);
    source.waiting.shift()!();
    expect(results).toEqual(['cancelled']);
    expect(target).toEqual(new Uint8Array(512));
  });

  it('answers nobody after a close', () => {
    const source = new TestRanges(4 * MIB, 4);
    const { driver, read, results } = reader(source, 4 * MIB);
    read(0, 512).cancel();
    driver.close((status) => results.push(`closed ${status}`));
    source.waiting.shift()!();
    expect(results).toEqual(['cancelled', 'closed ok']);
    expect(source.log).toEqual(['0-1', 'close']);
  });

  it('fails a read once, however many of its blocks fail, and is asked again later', () => {
    const source = new TestRanges(4 * MIB, 1);
    source.problem = 'gone';
    const { read, results } = reader(source, 4 * MIB);
    read(0, 3 * MIB);
    source.problem = undefined;
    read(0, 512);
    expect(results).toEqual(['gone', 'ok']);
    expect(source.log).toEqual(['0-1', '1-2', '2-3', '0-1']);
  });
});

describe('a dropped file', () => {
  const CHANGED =
    'The file “debian.img” was changed, moved or removed after it was opened, so it cannot be read any more. ' +
    'Open it again, and start the machine anew.';

  it.each<[string, () => ArrayBuffer, string]>([
    [
      'that was changed',
      () => {
        throw domError('NotReadableError', 'The requested file could not be read.');
      },
      CHANGED,
    ],
    [
      'that was removed',
      () => {
        throw domError('NotFoundError', 'A requested file could not be found.');
      },
      CHANGED,
    ],
    ['that became shorter', () => new ArrayBuffer(100), CHANGED],
    [
      'that may not be read',
      () => {
        throw domError('SecurityError', 'no');
      },
      'The file “debian.img” cannot be read: SecurityError.',
    ],
  ])('%s gives an error that says so', (_text, readSync, problem) => {
    const { read, results } = reader(fileSource({ name: 'debian.img', size: 8192, readSync }), MIB);
    read(0, 512);
    expect(results).toEqual([problem]);
  });

  it('is read-only and as large as it is', () => {
    const facts: DriverFacts[] = [];
    const source = fileSource({ name: 'a', size: 8192, readSync: () => new ArrayBuffer(0) });
    const { driver } = reader(source, MIB);
    driver.init({ batch: (work) => work() }, (result) => facts.push(...(result.ok ? [result.value] : [])));
    expect(facts[0]).toMatchObject({ sizeBytes: 8192, readOnly: true, depth: 1, discardGranularity: 0 });
  });
});
