/**
 * `aio=memory`: a disk that lives in this thread's memory and is gone with it, for private windows and experiments. Sparse: only
 * what was written takes room, up to a limit.
 */
import { success } from '../../base/result.ts';
import type { Result } from '../../base/result.ts';
import type { BlockStatus } from '../block-backend.ts';
import type {
  BlockDriver,
  CopyCounters,
  DriverDone,
  DriverFacts,
  DriverHost,
  DriverOperation,
} from '../block-driver.ts';

const CHUNK_BYTES = 64 * 1024;

export interface MemoryOptions {
  readonly sizeBytes: number;
  /** The most that all chunks may take; beyond it there is no space. */
  readonly limitBytes: number;
  readonly readOnly: boolean;
}

export class MemoryDriver implements BlockDriver {
  readonly name = 'memory';
  /** The segments are the one side of the transfer, this memory the other: nothing is copied twice. */
  readonly copied: CopyCounters = { copies: 0, copiedBytes: 0 };
  readonly #options: MemoryOptions;
  readonly #chunks = new Map<number, Uint8Array>();
  #sizeBytes: number;

  constructor(options: MemoryOptions) {
    this.#options = options;
    this.#sizeBytes = options.sizeBytes;
  }

  init(_host: DriverHost, done: (result: Result<DriverFacts>) => void): void {
    done(
      success({
        sizeBytes: this.#sizeBytes,
        readOnly: this.#options.readOnly,
        depth: 1,
        discardGranularity: this.#options.readOnly ? 0 : CHUNK_BYTES,
        fastZeroes: true,
        physicalBlockSize: 4096,
      }),
    );
  }

  submit(operation: DriverOperation): void {
    if (this.#options.readOnly && operation.kind !== 'read') return operation.done('unsupported');
    operation.done(this.#run(operation));
  }

  flush(done: DriverDone): void {
    done('ok');
  }

  cancel(): boolean {
    return false;
  }

  resize(sizeBytes: number, done: DriverDone): void {
    this.#sizeBytes = sizeBytes;
    done('ok');
  }

  close(done: DriverDone): void {
    this.#chunks.clear();
    done('ok');
  }

  #run(operation: DriverOperation): BlockStatus {
    switch (operation.kind) {
      case 'read':
        this.#read(operation.offset, operation.segments);
        return 'ok';
      case 'write':
        return this.#write(operation.offset, operation.length, operation.segments);
      case 'discard':
      case 'write-zeroes':
        this.#zero(operation.offset, operation.length);
        return 'ok';
    }
  }

  #read(offset: number, segments: readonly Uint8Array[]): void {
    let at = offset;
    for (const segment of segments) {
      for (let done = 0; done < segment.length;) {
        const within = at % CHUNK_BYTES;
        const bytes = Math.min(segment.length - done, CHUNK_BYTES - within);
        const chunk = this.#chunks.get(Math.floor(at / CHUNK_BYTES));
        if (chunk === undefined) segment.fill(0, done, done + bytes);
        else segment.set(chunk.subarray(within, within + bytes), done);
        done += bytes;
        at += bytes;
      }
    }
  }

  /** Either all of it or nothing is written. */
  #write(offset: number, length: number, segments: readonly Uint8Array[]): BlockStatus {
    const first = Math.floor(offset / CHUNK_BYTES);
    const last = Math.floor((offset + length - 1) / CHUNK_BYTES);
    let missing = 0;
    for (let index = first; index <= last; index++) if (!this.#chunks.has(index)) missing++;
    if ((this.#chunks.size + missing) * CHUNK_BYTES > this.#options.limitBytes) return 'no-space';
    let at = offset;
    for (const segment of segments) {
      for (let done = 0; done < segment.length;) {
        const within = at % CHUNK_BYTES;
        const bytes = Math.min(segment.length - done, CHUNK_BYTES - within);
        this.#chunk(Math.floor(at / CHUNK_BYTES)).set(segment.subarray(done, done + bytes), within);
        done += bytes;
        at += bytes;
      }
    }
    return 'ok';
  }

  #chunk(index: number): Uint8Array {
    const present = this.#chunks.get(index);
    if (present !== undefined) return present;
    const chunk = new Uint8Array(CHUNK_BYTES);
    this.#chunks.set(index, chunk);
    return chunk;
  }

  /** Chunks that are covered whole go, so a disk that was zeroed takes no room. */
  #zero(offset: number, length: number): void {
    const end = offset + length;
    for (let at = offset; at < end;) {
      const index = Math.floor(at / CHUNK_BYTES);
      const within = at % CHUNK_BYTES;
      const bytes = Math.min(end - at, CHUNK_BYTES - within);
      if (bytes === CHUNK_BYTES) this.#chunks.delete(index);
      else this.#chunks.get(index)?.fill(0, within, within + bytes);
      at += bytes;
    }
  }
}
