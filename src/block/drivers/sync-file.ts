/**
 * Transfers between segments and a file that is read and written synchronously: the part that the drivers `opfs` and `threads`
 * have in common. OPFS has no scatter reads, so several segments are several calls, or one call and a copy.
 */
import type { BlockStatus } from '../block-backend.ts';
import type { CopyCounters, DriverOperation } from '../block-driver.ts';
import { gather, joinSegments, scatter, sliceSegments } from '../segments.ts';

/** What is used of FileSystemSyncAccessHandle; injected, so that it can be a fake. */
export interface SyncFile {
  /** The number of bytes read: fewer at the end of the file. */
  read(target: Uint8Array, options: { at: number }): number;
  write(source: Uint8Array, options: { at: number }): number;
  flush(): void;
  getSize(): number;
  truncate(size: number): void;
  close(): void;
}

export interface Outcome {
  readonly status: BlockStatus;
  readonly problem?: string;
}

export const DONE: Outcome = { status: 'ok' };

/** The size of the bounce buffer: longer operations go through it in pieces. */
export const BOUNCE_BYTES = 1024 * 1024;
/**
 * From this mean size of a segment on, a call for each is cheaper than a copy: a read costs about 5 us more than its bytes, a write
 * 30 us (it notifies the browser process), and copying goes at some 10 GB/s.
 */
const READ_IN_PLACE = 32 * 1024;
const WRITE_IN_PLACE = 256 * 1024;

export class SyncFileIo {
  readonly copied: CopyCounters = { copies: 0, copiedBytes: 0 };
  readonly #file: SyncFile;
  #bounce: Uint8Array | undefined;
  #zeroes: Uint8Array | undefined;
  /** False where the browser refuses views of shared memory: then everything is copied. */
  readonly #sharedViews: boolean;

  constructor(file: SyncFile, sharedViews: boolean) {
    this.#file = file;
    this.#sharedViews = sharedViews;
  }

  run(operation: Pick<DriverOperation, 'kind' | 'offset' | 'length' | 'segments'>): Outcome {
    try {
      switch (operation.kind) {
        case 'read':
          return this.#read(operation.offset, operation.segments);
        case 'write':
          return this.#write(operation.offset, operation.segments);
        case 'write-zeroes':
          return this.#writeZeroes(operation.offset, operation.length);
        case 'discard':
          return { status: 'unsupported' };
      }
    } catch (error) {
      return outcomeOf(error, operation.kind === 'read' ? 'reading' : 'writing');
    }
  }

  flush(): Outcome {
    try {
      this.#file.flush();
      return DONE;
    } catch (error) {
      return outcomeOf(error, 'flushing');
    }
  }

  size(): { readonly size: number; readonly outcome: Outcome } {
    try {
      return { size: this.#file.getSize(), outcome: DONE };
    } catch (error) {
      return { size: 0, outcome: outcomeOf(error, 'opening the disk') };
    }
  }

  resize(sizeBytes: number): Outcome {
    return setSize(this.#file, sizeBytes);
  }

  close(): Outcome {
    try {
      this.#file.close();
      return DONE;
    } catch (error) {
      return outcomeOf(error, 'closing');
    }
  }

  #read(offset: number, segments: readonly Uint8Array[]): Outcome {
    const joined = joinSegments(segments);
    if (this.#inPlace(joined, READ_IN_PLACE)) {
      let at = offset;
      for (const segment of joined) {
        const outcome = this.#readOne(at, segment);
        if (outcome !== DONE) return outcome;
        at += segment.length;
      }
      return DONE;
    }
    return this.#bounced(offset, joined, (at, buffer, parts) => {
      const outcome = this.#readOne(at, buffer);
      if (outcome === DONE) scatter(buffer, parts);
      return outcome;
    });
  }

  /**
   * A raw image need not be as long as its disk: what is missing at its end is zero. A short read elsewhere goes on from where it
   * stopped (another thread may have made the file longer meanwhile), as long as there is progress.
   */
  #readOne(at: number, target: Uint8Array): Outcome {
    let done = 0;
    let idle = false;
    while (done < target.length) {
      const bytes = this.#file.read(done === 0 ? target : target.subarray(done), { at: at + done });
      done += bytes;
      if (done === target.length) break;
      if (at + done >= this.#file.getSize()) {
        target.fill(0, done);
        break;
      }
      if (bytes === 0 && idle) {
        return {
          status: 'io-error',
          problem: `The browser read ${done} of ${target.length} bytes at ${at}.`,
        };
      }
      idle = bytes === 0;
    }
    return DONE;
  }

  #write(offset: number, segments: readonly Uint8Array[]): Outcome {
    const joined = joinSegments(segments);
    if (this.#inPlace(joined, WRITE_IN_PLACE)) {
      let at = offset;
      for (const segment of joined) {
        const outcome = this.#writeOne(at, segment);
        if (outcome !== DONE) return outcome;
        at += segment.length;
      }
      return DONE;
    }
    return this.#bounced(offset, joined, (at, buffer, parts) => {
      gather(parts, buffer);
      return this.#writeOne(at, buffer);
    });
  }

  /** A short write is tried again from where it stopped: only that tells the reason, most often that there is no room. */
  #writeOne(at: number, source: Uint8Array): Outcome {
    let written = 0;
    while (written < source.length) {
      const bytes = this.#file.write(source.subarray(written), { at: at + written });
      if (bytes <= 0) {
        return {
          status: 'io-error',
          problem: `The browser wrote ${written} of ${source.length} bytes at ${at}.`,
        };
      }
      written += bytes;
    }
    return DONE;
  }

  /** OPFS cannot punch holes: zeroes are written. */
  #writeZeroes(offset: number, length: number): Outcome {
    this.#zeroes ??= new Uint8Array(Math.min(BOUNCE_BYTES, length));
    if (this.#zeroes.length < Math.min(BOUNCE_BYTES, length)) this.#zeroes = new Uint8Array(BOUNCE_BYTES);
    for (let done = 0; done < length; done += this.#zeroes.length) {
      const piece = this.#zeroes.subarray(0, Math.min(this.#zeroes.length, length - done));
      const outcome = this.#writeOne(offset + done, piece);
      if (outcome !== DONE) return outcome;
    }
    return DONE;
  }

  #inPlace(joined: readonly Uint8Array[], threshold: number): boolean {
    if (!this.#sharedViews && joined.some((segment) => !(segment.buffer instanceof ArrayBuffer)))
      return false;
    if (joined.length <= 1) return true;
    let bytes = 0;
    for (const segment of joined) bytes += segment.length;
    return bytes >= threshold * joined.length;
  }

  /** Lets `transfer` work on the segments in pieces of the bounce buffer. */
  #bounced(
    offset: number,
    segments: readonly Uint8Array[],
    transfer: (at: number, buffer: Uint8Array, parts: readonly Uint8Array[]) => Outcome,
  ): Outcome {
    let total = 0;
    for (const segment of segments) total += segment.length;
    this.#bounce ??= new Uint8Array(BOUNCE_BYTES);
    for (let start = 0; start < total; start += BOUNCE_BYTES) {
      const bytes = Math.min(BOUNCE_BYTES, total - start);
      const parts = total <= BOUNCE_BYTES ? segments : sliceSegments(segments, start, bytes);
      this.copied.copies++;
      this.copied.copiedBytes += bytes;
      const outcome = transfer(offset + start, this.#bounce.subarray(0, bytes), parts);
      if (outcome !== DONE) return outcome;
    }
    return DONE;
  }
}

/**
 * Sets the file's length, and looks at it afterwards: in private windows of Chromium a truncate beyond the quota returns as if
 * nothing had happened.
 */
export function setSize(file: SyncFile, sizeBytes: number): Outcome {
  try {
    file.truncate(sizeBytes);
    if (file.getSize() === sizeBytes) return DONE;
    return { status: 'no-space', problem: `The browser refused to make the file ${sizeBytes} bytes long.` };
  } catch (error) {
    return outcomeOf(error, 'resizing');
  }
}

/** Tells whether the file takes views of shared memory, which the standard allows and some browsers do not. */
export function probeSharedViews(file: SyncFile): boolean {
  try {
    file.read(new Uint8Array(new SharedArrayBuffer(512)), { at: 0 });
    return true;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}

/** The name is all that a DOMException and an error of another realm have in common. */
export function errorName(error: unknown): string {
  return typeof error === 'object' && error !== null && 'name' in error ? String(error.name) : '';
}

export function outcomeOf(error: unknown, what: string): Outcome {
  const name = errorName(error);
  const status = name === 'QuotaExceededError' ? 'no-space' : 'io-error';
  const text = error instanceof Error ? error.message : String(error);
  return { status, problem: `The browser failed while ${what}: ${name === '' ? '' : `${name}: `}${text}` };
}
