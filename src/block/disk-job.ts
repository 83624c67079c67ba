/**
 * What users start on a disk that a machine may be using: export, import, prefetch. A job has one request of JOB_BYTES at a time
 * and is served while the guest wants nothing.
 */
import { JOB_BYTES } from './block-backend.ts';
import type { BlockBackend, BlockClient, BlockRequest, BlockStatus, RequestSource } from './block-backend.ts';

export interface JobOptions {
  readonly name: string;
  /** The part of the disk; all of it if absent. */
  readonly offset?: number;
  readonly length?: number;
  /** Called once, after the last request: `ok`, what went wrong, or `cancelled`. */
  readonly done: (status: BlockStatus) => void;
}

export interface ExportOptions extends JobOptions {
  /** Gets the disk's contents in order. The bytes are only valid until `next` is called, which asks for more. */
  readonly data: (bytes: Uint8Array, offset: number, next: () => void) => void;
}

export interface ImportOptions extends JobOptions {
  /** Fills `target` with what belongs at `offset`, then calls `ready`; false if it cannot. */
  readonly fill: (target: Uint8Array, offset: number, ready: (ok: boolean) => void) => void;
  /** The disk is new, so it is zero where nothing is written: zeroes are skipped. */
  readonly skipZeroes: boolean;
}

export interface DiskJob {
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** Ends it; `done` follows, with `cancelled`. */
  cancel(): void;
}

/** Reads the disk from one end to the other. Whoever wants a consistent copy pauses the guest and flushes first. */
export function exportDisk(backend: BlockBackend, options: ExportOptions): DiskJob {
  return new Job(backend, 'read', options, {
    before: (_bytes, _offset, go) => go('carry-out'),
    after: (bytes, offset, next) => options.data(bytes, offset, next),
  });
}

/** Writes the disk from one end to the other, and flushes. */
export function importDisk(backend: BlockBackend, options: ImportOptions): DiskJob {
  return new Job(backend, 'write', options, {
    before: (bytes, offset, go) =>
      options.fill(bytes, offset, (ok) => {
        if (ok) go(options.skipZeroes && isZero(bytes) ? 'skip' : 'carry-out');
        else go('fail');
      }),
    after: (_bytes, _offset, next) => next(),
  });
}

/** Reads the disk, so that the cache of a driver that has one is warm. */
export function prefetchDisk(backend: BlockBackend, options: JobOptions): DiskJob {
  return exportDisk(backend, { ...options, data: (_bytes, _offset, next) => next() });
}

type Decision = 'carry-out' | 'skip' | 'fail';

interface Steps {
  readonly before: (bytes: Uint8Array, offset: number, go: (decision: Decision) => void) => void;
  readonly after: (bytes: Uint8Array, offset: number, next: () => void) => void;
}

class Job implements DiskJob, RequestSource {
  readonly totalBytes: number;
  readonly #operation: 'read' | 'write';
  readonly #start: number;
  readonly #steps: Steps;
  readonly #done: JobOptions['done'];
  readonly #client: BlockClient;
  readonly #buffer: Uint8Array;
  #ready: BlockRequest | undefined;
  #over = false;
  #stepping = false;
  #again = false;
  doneBytes = 0;

  constructor(backend: BlockBackend, operation: 'read' | 'write', options: JobOptions, steps: Steps) {
    this.#operation = operation;
    this.#start = options.offset ?? 0;
    this.totalBytes = options.length ?? backend.properties.sizeBytes - this.#start;
    this.#steps = steps;
    this.#done = options.done;
    this.#buffer = new Uint8Array(Math.min(JOB_BYTES, this.totalBytes));
    this.#client = backend.attach(this, options.name, 'job');
    this.#next();
  }

  next(): BlockRequest | undefined {
    const request = this.#ready;
    this.#ready = undefined;
    return request;
  }

  batchDone(): void {}

  cancel(): void {
    this.#end('cancelled');
  }

  /** Steps that end at once follow each other here and not inside each other: there may be 100,000 of them. */
  #next(): void {
    this.#again = true;
    if (this.#stepping) return;
    this.#stepping = true;
    while (this.#again) {
      this.#again = false;
      this.#step();
    }
    this.#stepping = false;
  }

  #step(): void {
    if (this.#over) return;
    const offset = this.#start + this.doneBytes;
    const left = this.totalBytes - this.doneBytes;
    if (left <= 0) return this.#finish();
    const bytes = this.#buffer.subarray(0, Math.min(JOB_BYTES, left));
    this.#steps.before(bytes, offset, (decision) => {
      if (this.#over) return;
      if (decision === 'fail') this.#end('io-error');
      else if (decision === 'skip') this.#moved(bytes.length);
      else this.#ask(this.#operation, offset, bytes);
    });
  }

  #ask(operation: 'read' | 'write', offset: number, bytes: Uint8Array): void {
    const complete = (status: BlockStatus): void => {
      if (this.#over) return;
      if (status === 'ok') this.#steps.after(bytes, offset, () => this.#moved(bytes.length));
      else this.#end(status);
    };
    this.#submit({ operation, offset, length: bytes.length, segments: [bytes], unmap: false, complete });
  }

  #moved(bytes: number): void {
    this.doneBytes += bytes;
    this.#next();
  }

  #finish(): void {
    if (this.#operation === 'read') return this.#end('ok');
    const complete = (status: BlockStatus): void => this.#end(status);
    this.#submit({ operation: 'flush', offset: 0, length: 0, segments: [], unmap: false, complete });
  }

  #submit(request: BlockRequest): void {
    this.#ready = request;
    this.#client.kick();
  }

  #end(status: BlockStatus): void {
    if (this.#over) return;
    this.#over = true;
    this.#ready = undefined;
    this.#client.detach(() => this.#done(status));
  }
}

export function isZero(bytes: Uint8Array): boolean {
  // Several at a time: most data show at their beginning that they are none.
  const whole = bytes.length - (bytes.length % 8);
  const words = new Float64Array(bytes.buffer, bytes.byteOffset, whole / 8);
  for (let index = 0; index < words.length; index++) {
    // -0 has a bit set and equals 0.
    if (words[index] !== 0 || Object.is(words[index], -0)) return false;
  }
  for (let index = whole; index < bytes.length; index++) if (bytes[index] !== 0) return false;
  return true;
}
