/**
 * A read-only disk over a source that gives large pieces (`aio=file`): it is read in blocks, and the blocks used last are kept. A dropped
 * file takes 1 ms for a read of any small size, and 3 to 5 ms for 1 MiB.
 */
import { MIB } from '../../base/units.ts';
import { success } from '../../base/result.ts';
import type { Result } from '../../base/result.ts';
import type {
  BlockDriver,
  CopyCounters,
  DriverDone,
  DriverFacts,
  DriverHost,
  DriverOperation,
} from '../block-driver.ts';
import { sliceSegments, zeroSegments } from '../segments.ts';
import type { RangeResult, RangeSource } from './range-source.ts';

export const RANGE_BYTES = MIB;

export interface CachedRangesOptions {
  readonly name: string;
  /** At least one block is kept. */
  readonly cacheBytes: number;
}

/** A read, and how many of its blocks are still to come. */
interface Read {
  readonly operation: DriverOperation;
  left: number;
  problem: string | undefined;
  over: boolean;
}

export class CachedRangesDriver implements BlockDriver {
  readonly name: string;
  readonly copied: CopyCounters = { copies: 0, copiedBytes: 0 };
  readonly #source: RangeSource;
  readonly #capacity: number;
  /** By number of the block; in the order of use, latest last. */
  readonly #blocks = new Map<number, Uint8Array>();
  /** Blocks that are on their way, with the reads that wait for them. */
  readonly #coming = new Map<number, Read[]>();
  readonly #reads = new Map<DriverOperation, Read>();
  /** Where the last read ended: one that begins there continues it. */
  #lastEnd = -1;
  #closed = false;

  constructor(source: RangeSource, options: CachedRangesOptions) {
    this.name = options.name;
    this.#source = source;
    this.#capacity = Math.max(1, Math.floor(options.cacheBytes / RANGE_BYTES));
  }

  init(_host: DriverHost, done: (result: Result<DriverFacts>) => void): void {
    done(
      success({
        sizeBytes: this.#source.sizeBytes,
        readOnly: true,
        depth: this.#source.parallel,
        discardGranularity: 0,
        fastZeroes: false,
        physicalBlockSize: 4096,
      }),
    );
  }

  submit(operation: DriverOperation): void {
    if (operation.kind !== 'read') return operation.done('unsupported');
    const { offset, length } = operation;
    const inside = Math.max(0, Math.min(length, this.#source.sizeBytes - offset));
    if (inside < length) zeroSegments(sliceSegments(operation.segments, inside, length - inside));
    if (inside === 0) return operation.done('ok');
    this.copied.copies++;
    this.copied.copiedBytes += inside;
    const first = Math.floor(offset / RANGE_BYTES);
    const last = Math.floor((offset + inside - 1) / RANGE_BYTES);
    const read: Read = { operation, left: last - first + 1, problem: undefined, over: false };
    this.#reads.set(operation, read);
    for (let block = first; block <= last; block++) this.#want(block, read);
    if (offset === this.#lastEnd) this.#prefetch(last + 1);
    this.#lastEnd = offset + length;
  }

  flush(done: DriverDone): void {
    done('ok');
  }

  /** What arrives for it later is kept, but not copied into its segments. */
  cancel(operation: DriverOperation): boolean {
    const read = this.#reads.get(operation);
    if (read === undefined) return false;
    read.over = true;
    this.#reads.delete(operation);
    operation.done('cancelled');
    return true;
  }

  resize(_sizeBytes: number, done: DriverDone): void {
    done('unsupported');
  }

  close(done: DriverDone): void {
    this.#closed = true;
    this.#blocks.clear();
    this.#source.close();
    done('ok');
  }

  #want(block: number, read: Read): void {
    const present = this.#blocks.get(block);
    if (present !== undefined) {
      this.#keep(block, present);
      this.#deliver(block, read, { ok: true, data: present });
      return;
    }
    const waiting = this.#coming.get(block);
    if (waiting === undefined) this.#fetch(block, [read]);
    else waiting.push(read);
  }

  #fetch(block: number, reads: Read[]): void {
    const start = block * RANGE_BYTES;
    const end = Math.min(start + RANGE_BYTES, this.#source.sizeBytes);
    this.#coming.set(block, reads);
    this.#source.read(start, end, (result) => {
      this.#coming.delete(block);
      if (this.#closed) return;
      if (result.ok) this.#keep(block, result.data);
      for (const read of reads) this.#deliver(block, read, result);
    });
  }

  /** The block behind a stream, where that does not stop the thread. */
  #prefetch(block: number): void {
    if (this.#source.parallel < 2 || this.#coming.size >= this.#source.parallel) return;
    if (block * RANGE_BYTES >= this.#source.sizeBytes) return;
    if (!this.#blocks.has(block) && !this.#coming.has(block)) this.#fetch(block, []);
  }

  #keep(block: number, data: Uint8Array): void {
    this.#blocks.delete(block);
    this.#blocks.set(block, data);
    for (const oldest of this.#blocks.keys()) {
      if (this.#blocks.size <= this.#capacity) return;
      this.#blocks.delete(oldest);
    }
  }

  #deliver(block: number, read: Read, result: RangeResult): void {
    if (read.over) return;
    if (result.ok) copyBlock(block * RANGE_BYTES, result.data, read.operation);
    else read.problem ??= result.problem;
    if (--read.left > 0) return;
    read.over = true;
    this.#reads.delete(read.operation);
    read.operation.done(read.problem === undefined ? 'ok' : 'io-error', read.problem);
  }
}

/** Copies what the operation wants of `data`, which are the bytes from `start` on. */
function copyBlock(start: number, data: Uint8Array, operation: DriverOperation): void {
  const from = Math.max(start, operation.offset);
  const to = Math.min(start + data.length, operation.offset + operation.length);
  let at = from - start;
  for (const segment of sliceSegments(operation.segments, from - operation.offset, to - from)) {
    segment.set(data.subarray(at, at + segment.length));
    at += segment.length;
  }
}
