/**
 * What every block driver must do, as test cases without a test framework: Vitest runs them in Node over fakes, a page runs them in
 * Chromium over real files. A case fails by throwing.
 */
import type { Result } from '../base/result.ts';
import { KIB, MIB } from '../base/units.ts';
import type { BlockStatus } from './block-backend.ts';
import type { BlockDriver, DriverFacts, DriverOperation, DriverOperationKind } from './block-driver.ts';
import { sliceSegments } from './segments.ts';

export interface ContractMedium {
  /** A driver over the medium; the former one has been closed. */
  open(): Promise<BlockDriver>;
  /** Zeroed shared memory, as that of a guest: each call gives other bytes. */
  memory(bytes: number): Uint8Array;
  /** Resolves when something may have completed, for drivers that complete later. */
  wait(): Promise<void>;
  dispose(): Promise<void>;
}

export interface ContractTarget {
  readonly name: string;
  /** It has no writes, discards and resizes: those are `unsupported`. */
  readonly readOnly: boolean;
  /** What was written is there after a close and another open. */
  readonly persistent: boolean;
  /** Holds `contents` and nothing behind them. */
  create(contents: Uint8Array): Promise<ContractMedium>;
}

export interface ContractCase {
  readonly name: string;
  readonly needs: 'nothing' | 'writable' | 'persistent' | 'read-only';
  readonly contents: Uint8Array;
  run(disk: ContractDisk): Promise<void>;
}

/** Every byte differs from its neighbours, and equal offsets modulo a power of two differ. */
export function pattern(bytes: number, seed = 0): Uint8Array<ArrayBuffer> {
  const data = new Uint8Array(bytes);
  for (let index = 0; index < bytes; index++) data[index] = (index * 31 + (index >>> 8) * 7 + seed) & 0xff;
  return data;
}

/** A driver with promises in place of callbacks. */
export class ContractDisk {
  readonly #medium: ContractMedium;
  #driver: BlockDriver | undefined;
  #facts: DriverFacts | undefined;

  constructor(medium: ContractMedium) {
    this.#medium = medium;
  }

  get driver(): BlockDriver {
    return present(this.#driver, 'driver');
  }

  get facts(): DriverFacts {
    return present(this.#facts, 'facts');
  }

  async open(): Promise<void> {
    this.#driver = await this.#medium.open();
    const result = await this.settled<Result<DriverFacts>>((done) =>
      this.driver.init({ batch: (work) => work() }, done),
    );
    if (!result.ok) throw new Error(result.error);
    this.#facts = result.value;
  }

  close(): Promise<BlockStatus> {
    return this.settled((done) => this.driver.close(done));
  }

  flush(): Promise<BlockStatus> {
    return this.settled((done) => this.driver.flush(done));
  }

  resize(bytes: number): Promise<BlockStatus> {
    return this.settled((done) => this.driver.resize(bytes, done));
  }

  submit(kind: DriverOperationKind, offset: number, ...segments: Uint8Array[]): Promise<BlockStatus> {
    const length = segments.reduce((sum, segment) => sum + segment.length, 0);
    return this.settled((done) => this.driver.submit({ kind, offset, length, segments, unmap: false, done }));
  }

  zero(kind: 'discard' | 'write-zeroes', offset: number, length: number): Promise<BlockStatus> {
    return this.settled((done) =>
      this.driver.submit({ kind, offset, length, segments: [], unmap: false, done }),
    );
  }

  memory(bytes: number): Uint8Array {
    return this.#medium.memory(bytes);
  }

  /** The bytes, read into shared memory as a guest's are. */
  async read(offset: number, bytes: number): Promise<Uint8Array> {
    const target = this.memory(bytes);
    same(await this.submit('read', offset, target), 'ok', 'status of the read');
    return target;
  }

  /** Resolves with what `start`'s callback gets; fails if it is called twice. */
  async settled<T>(start: (done: (value: T) => void) => void): Promise<T> {
    const got: T[] = [];
    start((value) => got.push(value));
    await this.until(() => got.length > 0);
    same(got.length, 1, 'number of completions');
    return got[0]!;
  }

  async until(condition: () => boolean): Promise<void> {
    // Drivers answer within microseconds to milliseconds; 10 s is a hang.
    const end = Date.now() + 10_000;
    while (!condition()) {
      if (Date.now() > end) throw new Error('did not complete within 10 s');
      await this.#medium.wait();
    }
  }
}

/** Hands out pieces of one shared memory, with gaps between them. */
export function allocator(memory: SharedArrayBuffer): (bytes: number) => Uint8Array {
  let next = 0;
  return (bytes) => {
    const at = next;
    next += bytes + 64 - (bytes % 64);
    return new Uint8Array(memory, at, bytes);
  };
}

export async function runContractCase(target: ContractTarget, contractCase: ContractCase): Promise<void> {
  const medium = await target.create(contractCase.contents);
  try {
    const disk = new ContractDisk(medium);
    await disk.open();
    await contractCase.run(disk);
    same(await disk.close(), 'ok', 'status of the close');
  } finally {
    await medium.dispose();
  }
}

export function contractCasesFor(target: ContractTarget): readonly ContractCase[] {
  return CONTRACT.filter(({ needs }) => {
    switch (needs) {
      case 'nothing':
        return true;
      case 'writable':
        return !target.readOnly;
      case 'persistent':
        return !target.readOnly && target.persistent;
      case 'read-only':
        return target.readOnly;
    }
  });
}

const CONTRACT: readonly ContractCase[] = [
  {
    name: 'reports the size of the medium and a depth of at least one',
    needs: 'nothing',
    contents: pattern(3 * 4096),
    async run({ facts }) {
      same(facts.sizeBytes, 3 * 4096, 'size');
      same(facts.depth >= 1, true, 'depth');
    },
  },
  {
    name: 'reads into shared memory and touches nothing around it',
    needs: 'nothing',
    contents: pattern(64 * KIB),
    async run(disk) {
      const memory = disk.memory(8192).fill(0xee);
      same(await disk.submit('read', 1024, memory.subarray(512, 512 + 4096)), 'ok', 'status');
      sameBytes(memory.subarray(0, 512), new Uint8Array(512).fill(0xee), 'before');
      sameBytes(memory.subarray(512, 4608), pattern(64 * KIB).subarray(1024, 5120), 'data');
      sameBytes(memory.subarray(4608), new Uint8Array(3584).fill(0xee), 'behind');
    },
  },
  {
    name: 'reads into scattered segments of odd sizes, in their order',
    needs: 'nothing',
    contents: pattern(64 * KIB),
    async run(disk) {
      const memory = disk.memory(4096);
      const segments = [
        memory.subarray(3000, 3001),
        memory.subarray(0, 511),
        memory.subarray(511, 1000),
        memory.subarray(2000, 2000),
        memory.subarray(2001, 2024),
      ];
      same(await disk.submit('read', 512, ...segments), 'ok', 'status');
      sameBytes(joined(segments), pattern(64 * KIB).subarray(512, 512 + 1024), 'data');
    },
  },
  {
    name: 'reads 3 MiB into large scattered segments',
    needs: 'nothing',
    contents: pattern(4 * MIB),
    async run(disk) {
      const memory = disk.memory(4 * MIB);
      const segments = [memory.subarray(2 * MIB, 4 * MIB), memory.subarray(512, 512 + MIB)];
      same(await disk.submit('read', 512 * KIB, ...segments), 'ok', 'status');
      sameBytes(joined(segments), pattern(4 * MIB).subarray(512 * KIB, 512 * KIB + 3 * MIB), 'data');
    },
  },
  {
    name: 'reads 2.5 MiB into small scattered segments',
    needs: 'nothing',
    contents: pattern(4 * MIB),
    async run(disk) {
      const memory = disk.memory(6 * MIB);
      const segments = Array.from({ length: 640 }, (_, index) =>
        memory.subarray((640 - index) * 8192, (640 - index) * 8192 + 4096),
      );
      same(await disk.submit('read', 4096, ...segments), 'ok', 'status');
      sameBytes(joined(segments), pattern(4 * MIB).subarray(4096, 4096 + 640 * 4096), 'data');
    },
  },
  {
    name: 'reads zeroes behind the end, over whatever was in memory',
    needs: 'nothing',
    contents: pattern(4096 + 100),
    async run(disk) {
      const target = disk.memory(2048).fill(0xee);
      same(await disk.submit('read', 3072, target), 'ok', 'status');
      sameBytes(target.subarray(0, 1124), pattern(4196).subarray(3072), 'inside');
      sameBytes(target.subarray(1124), new Uint8Array(924), 'behind');
      sameBytes(await disk.read(MIB, 4096), new Uint8Array(4096), 'far behind');
    },
  },
  {
    name: 'completes each of 64 operations that are submitted at once, with the right data',
    needs: 'nothing',
    contents: pattern(256 * KIB),
    async run(disk) {
      const reads = Array.from({ length: 64 }, (_, index) => disk.read(((index * 37) % 64) * 4096, 4096));
      const data = await Promise.all(reads);
      for (const [index, bytes] of data.entries()) {
        const at = ((index * 37) % 64) * 4096;
        sameBytes(bytes, pattern(256 * KIB).subarray(at, at + 4096), `read ${index}`);
      }
    },
  },
  {
    name: 'completes what was to be cancelled once, as cancelled if it said so',
    needs: 'nothing',
    contents: pattern(256 * KIB),
    async run(disk) {
      const answers: { cancelled: boolean; status?: BlockStatus; count: number }[] = [];
      const operations: DriverOperation[] = [];
      for (let index = 0; index < 32; index++) {
        const answer: (typeof answers)[number] = { cancelled: false, count: 0 };
        answers.push(answer);
        const operation: DriverOperation = {
          kind: 'read',
          offset: index * 4096,
          length: 4096,
          segments: [disk.memory(4096)],
          unmap: false,
          done: (status) => {
            answer.status = status;
            answer.count++;
          },
        };
        operations.push(operation);
        disk.driver.submit(operation);
      }
      for (const [index, operation] of operations.entries()) {
        answers[index]!.cancelled = disk.driver.cancel(operation);
      }
      await disk.until(() => answers.every(({ count }) => count > 0));
      for (const { cancelled, status, count } of answers) {
        same(count, 1, 'completions');
        same(status, cancelled ? 'cancelled' : 'ok', 'status');
      }
      sameBytes(await disk.read(0, 4096), pattern(4096), 'a later read');
    },
  },
  {
    name: 'flushes',
    needs: 'nothing',
    contents: pattern(4096),
    async run(disk) {
      same(await disk.flush(), 'ok', 'status');
    },
  },
  {
    name: 'reads the same after a close and another open',
    needs: 'nothing',
    contents: pattern(8192),
    async run(disk) {
      // A volatile medium starts anew, with the same contents.
      await disk.close();
      await disk.open();
      sameBytes(await disk.read(0, 8192), pattern(8192), 'data');
    },
  },
  {
    name: 'refuses writes, zeroes, discards and another size, and stays as it is',
    needs: 'read-only',
    contents: pattern(8192),
    async run(disk) {
      same(disk.facts.readOnly, true, 'readOnly');
      same(await disk.submit('write', 0, new Uint8Array(512)), 'unsupported', 'write');
      same(await disk.zero('write-zeroes', 0, 512), 'unsupported', 'write-zeroes');
      same(await disk.zero('discard', 0, 4096), 'unsupported', 'discard');
      same(await disk.resize(16_384), 'unsupported', 'resize');
      sameBytes(await disk.read(0, 8192), pattern(8192), 'data');
    },
  },
  {
    name: 'reads back what was written from shared memory, and nothing else changes',
    needs: 'writable',
    contents: pattern(64 * KIB),
    async run(disk) {
      const memory = disk.memory(8192);
      memory.set(pattern(8192, 99));
      same(await disk.submit('write', 4096, memory.subarray(1024, 5120)), 'ok', 'status');
      const expected = pattern(64 * KIB);
      expected.set(pattern(8192, 99).subarray(1024, 5120), 4096);
      sameBytes(await disk.read(0, 64 * KIB), expected, 'the disk');
      sameBytes(memory, pattern(8192, 99), 'the source');
    },
  },
  {
    name: 'writes scattered segments of odd sizes, in their order',
    needs: 'writable',
    contents: pattern(64 * KIB),
    async run(disk) {
      const memory = disk.memory(4096);
      memory.set(pattern(4096, 5));
      const segments = [
        memory.subarray(4000, 4001),
        memory.subarray(100, 611),
        memory.subarray(611, 700),
        memory.subarray(0, 0),
        memory.subarray(2000, 2423),
      ];
      same(await disk.submit('write', 1536, ...segments), 'ok', 'status');
      const expected = pattern(64 * KIB);
      expected.set(joined(segments), 1536);
      sameBytes(await disk.read(0, 64 * KIB), expected, 'the disk');
    },
  },
  {
    name: 'writes 3 MiB of small and of large segments',
    needs: 'writable',
    contents: pattern(8 * MIB),
    async run(disk) {
      const memory = disk.memory(8 * MIB);
      memory.set(pattern(8 * MIB, 17));
      const small = Array.from({ length: 768 }, (_, index) =>
        memory.subarray((767 - index) * 8192, (767 - index) * 8192 + 4096),
      );
      const large = [memory.subarray(5 * MIB, 7 * MIB), memory.subarray(0, MIB)];
      same(await disk.submit('write', 512, ...small), 'ok', 'status of the small ones');
      same(await disk.submit('write', 4 * MIB, ...large), 'ok', 'status of the large ones');
      sameBytes(await disk.read(512, 3 * MIB), joined(small), 'small');
      sameBytes(await disk.read(4 * MIB, 3 * MIB), joined(large), 'large');
      sameBytes(await disk.read(7 * MIB, MIB), pattern(8 * MIB).subarray(7 * MIB), 'behind');
    },
  },
  {
    name: 'zeroes exactly the range of write-zeroes, also a large one',
    needs: 'writable',
    contents: pattern(3 * MIB),
    async run(disk) {
      same(await disk.zero('write-zeroes', 1536, 2 * MIB + 512), 'ok', 'status');
      const expected = pattern(3 * MIB);
      expected.fill(0, 1536, 1536 + 2 * MIB + 512);
      sameBytes(await disk.read(0, 3 * MIB), expected, 'the disk');
    },
  },
  {
    name: 'discards without touching what is around, or says that it cannot',
    needs: 'writable',
    contents: pattern(MIB),
    async run(disk) {
      const expected: BlockStatus = disk.facts.discardGranularity > 0 ? 'ok' : 'unsupported';
      same(await disk.zero('discard', 128 * KIB, 256 * KIB), expected, 'status');
      sameBytes(await disk.read(0, 128 * KIB), pattern(MIB).subarray(0, 128 * KIB), 'before');
      sameBytes(await disk.read(384 * KIB, 128 * KIB), pattern(MIB).subarray(384 * KIB, 512 * KIB), 'behind');
    },
  },
  {
    name: 'writes behind the end and reads zeroes in between',
    needs: 'writable',
    contents: pattern(4096),
    async run(disk) {
      same(await disk.submit('write', 12_288, pattern(512, 3)), 'ok', 'status');
      sameBytes(await disk.read(0, 4096), pattern(4096), 'what was there');
      sameBytes(await disk.read(4096, 8192), new Uint8Array(8192), 'the gap');
      sameBytes(await disk.read(12_288, 512), pattern(512, 3), 'what was written');
    },
  },
  {
    name: 'grows with zeroes and keeps what is there',
    needs: 'writable',
    contents: pattern(4096),
    async run(disk) {
      same(await disk.resize(2 * MIB), 'ok', 'status');
      sameBytes(await disk.read(0, 4096), pattern(4096), 'what was there');
      sameBytes(await disk.read(4096, 8192), new Uint8Array(8192), 'the new part');
      same(await disk.submit('write', 2 * MIB - 512, pattern(512, 4)), 'ok', 'write at the new end');
      sameBytes(await disk.read(2 * MIB - 512, 512), pattern(512, 4), 'the new end');
    },
  },
  {
    name: 'completes writes, reads, flushes and zeroes that are mixed at once',
    needs: 'writable',
    contents: new Uint8Array(512 * KIB),
    async run(disk) {
      const work: Promise<BlockStatus>[] = [];
      for (let index = 0; index < 48; index++) {
        work.push(disk.submit('write', index * 8192, pattern(4096, index)));
        if (index % 8 === 7) work.push(disk.flush());
        if (index % 16 === 15) work.push(disk.zero('write-zeroes', index * 8192 + 4096, 4096));
      }
      same(
        (await Promise.all(work)).every((status) => status === 'ok'),
        true,
        'all ok',
      );
      for (let index = 0; index < 48; index++) {
        sameBytes(await disk.read(index * 8192, 4096), pattern(4096, index), `write ${index}`);
      }
    },
  },
  {
    name: 'has what was written and its new size after a close and another open',
    needs: 'persistent',
    contents: pattern(8192),
    async run(disk) {
      same(await disk.submit('write', 512, pattern(1024, 200)), 'ok', 'write');
      same(await disk.resize(16_384), 'ok', 'resize');
      same(await disk.flush(), 'ok', 'flush');
      same(await disk.close(), 'ok', 'close');
      await disk.open();
      same(disk.facts.sizeBytes, 16_384, 'size');
      const expected = new Uint8Array(16_384);
      expected.set(pattern(8192));
      expected.set(pattern(1024, 200), 512);
      sameBytes(await disk.read(0, 16_384), expected, 'the disk');
    },
  },
];

function joined(segments: readonly Uint8Array[]): Uint8Array {
  const bytes = segments.reduce((sum, segment) => sum + segment.length, 0);
  const all = new Uint8Array(bytes);
  let at = 0;
  for (const segment of sliceSegments(segments, 0, bytes)) {
    all.set(segment, at);
    at += segment.length;
  }
  return all;
}

function present<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`no ${what}`);
  return value;
}

function same<T>(actual: T, expected: T, what: string): void {
  if (actual !== expected) throw new Error(`${what}: ${String(actual)} instead of ${String(expected)}`);
}

function sameBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  same(actual.length, expected.length, `length of ${what}`);
  for (let index = 0; index < expected.length; index++) {
    if (actual[index] !== expected[index]) {
      throw new Error(`${what}: byte ${index} is ${actual[index]} instead of ${expected[index]}`);
    }
  }
}
