/**
 * The origin private file system as Chromium behaves, for tests in Node: locks by mode, quota by logical size, short reads at the
 * end, a truncate that private windows ignore beyond the quota, the errors' names. It also remembers what was flushed.
 */
import type { OpfsMode } from './drivers/opfs-directory.ts';
import type { SyncFile } from './drivers/sync-file.ts';
import type { ImageFile, ImageFolder } from './image-store.ts';

export interface FakeOpfsOptions {
  readonly quotaBytes?: number;
  /** An incognito window of Chromium. */
  readonly privateWindow?: boolean;
  /** False: a browser that does not know handle modes, so that every handle is exclusive. */
  readonly modes?: boolean;
  /** False: a browser that takes no views of shared memory. */
  readonly sharedViews?: boolean;
}

/** What the next calls do, first come first served; 'pass' lets one through. */
export type Fault = 'pass' | 'short' | 'nothing' | 'quota' | 'fail';

export function domError(name: string, message: string): Error {
  const error = new Error(message);
  error.name = name;
  return error;
}

class FakeContents {
  data: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  /** What would be there after a power cut. */
  durable: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  readonly open = new Set<FakeHandle>();
  readonly faults: Record<'read' | 'write' | 'flush', Fault[]> = { read: [], write: [], flush: [] };
  /** Every call, as `read 0+512`. */
  readonly calls: string[] = [];
}

export class FakeOpfs implements ImageFolder {
  readonly options: FakeOpfsOptions;
  quotaBytes: number;
  readonly #files = new Map<string, FakeContents>();

  constructor(options: FakeOpfsOptions = {}) {
    this.options = options;
    this.quotaBytes = options.quotaBytes ?? Infinity;
  }

  get usedBytes(): number {
    let bytes = 0;
    for (const file of this.#files.values()) bytes += file.data.length;
    return bytes;
  }

  get names(): readonly string[] {
    return [...this.#files.keys()];
  }

  /** The inside of a file, for tests to look at and to break. */
  contents(name: string): FakeContents {
    const file = this.#files.get(name);
    if (file === undefined) throw new Error(`no file ${name}`);
    return file;
  }

  put(name: string, data: Uint8Array): void {
    const file = new FakeContents();
    file.data = Uint8Array.from(data);
    file.durable = Uint8Array.from(data);
    this.#files.set(name, file);
  }

  async getFileHandle(name: string, options?: { create: boolean }): Promise<ImageFile> {
    let file = this.#files.get(name);
    if (file === undefined) {
      if (options?.create !== true) throw domError('NotFoundError', 'A requested file could not be found.');
      file = new FakeContents();
      this.#files.set(name, file);
    }
    const found = file;
    return {
      name,
      createSyncAccessHandle: async (handleOptions) => this.#open(found, handleOptions?.mode ?? 'readwrite'),
      getFile: async () => new File([found.data], name),
      move: async (to) => {
        this.#files.delete(name);
        this.#files.set(to, found);
      },
    };
  }

  async *keys(): AsyncIterable<string> {
    yield* this.names;
  }

  async removeEntry(name: string): Promise<void> {
    const file = this.#files.get(name);
    if (file === undefined) throw domError('NotFoundError', 'A requested file could not be found.');
    if (file.open.size > 0) throw domError('NoModificationAllowedError', 'The file is locked.');
    this.#files.delete(name);
  }

  #open(file: FakeContents, asked: OpfsMode): SyncFile {
    const mode = this.options.modes === false ? 'readwrite' : asked;
    for (const other of file.open) {
      if (mode === 'readwrite' || other.mode !== mode) {
        throw domError('NoModificationAllowedError', 'Access Handles cannot be created if there is another.');
      }
    }
    return new FakeHandle(this, file, mode);
  }
}

class FakeHandle implements SyncFile {
  readonly mode: OpfsMode;
  readonly #opfs: FakeOpfs;
  readonly #file: FakeContents;

  constructor(opfs: FakeOpfs, file: FakeContents, mode: OpfsMode) {
    this.#opfs = opfs;
    this.#file = file;
    this.mode = mode;
    file.open.add(this);
  }

  read(target: Uint8Array, options: { at: number }): number {
    this.#check(target);
    this.#file.calls.push(`read ${options.at}+${target.length}`);
    const there = Math.max(0, Math.min(target.length, this.#file.data.length - options.at));
    const bytes = this.#limit('read', there);
    target.set(this.#file.data.subarray(options.at, options.at + bytes));
    return bytes;
  }

  write(source: Uint8Array, options: { at: number }): number {
    this.#check(source);
    this.#forWriting();
    this.#file.calls.push(`write ${options.at}+${source.length}`);
    const bytes = this.#limit('write', source.length);
    this.#grow(options.at + bytes);
    this.#file.data.set(source.subarray(0, bytes), options.at);
    return bytes;
  }

  flush(): void {
    this.#check();
    this.#file.calls.push('flush');
    this.#limit('flush', 0);
    this.#file.durable = Uint8Array.from(this.#file.data);
  }

  getSize(): number {
    this.#check();
    return this.#file.data.length;
  }

  truncate(size: number): void {
    this.#check();
    this.#forWriting();
    if (size > this.#file.data.length) {
      const needed = this.#opfs.usedBytes + size - this.#file.data.length;
      if (needed > this.#opfs.quotaBytes && this.#opfs.options.privateWindow === true) return;
      this.#grow(size);
    } else this.#file.data = this.#file.data.slice(0, size);
  }

  close(): void {
    this.#file.open.delete(this);
  }

  #grow(size: number): void {
    const { data } = this.#file;
    if (size <= data.length) return;
    if (this.#opfs.usedBytes + size - data.length > this.#opfs.quotaBytes) {
      throw domError('QuotaExceededError', 'No space available for this operation.');
    }
    this.#file.data = new Uint8Array(size);
    this.#file.data.set(data);
  }

  #limit(call: 'read' | 'write' | 'flush', bytes: number): number {
    switch (this.#file.faults[call].shift() ?? 'pass') {
      case 'pass':
        return bytes;
      case 'short':
        return bytes >> 1;
      case 'nothing':
        return 0;
      case 'quota':
        throw domError('QuotaExceededError', 'No space available for this operation.');
      case 'fail':
        throw domError('UnknownError', 'The disk is broken.');
    }
  }

  #forWriting(): void {
    if (this.mode === 'read-only') throw domError('NoModificationAllowedError', 'The handle is read-only.');
  }

  #check(view?: Uint8Array): void {
    if (!this.#file.open.has(this)) throw domError('InvalidStateError', 'The access handle was closed.');
    if (
      view !== undefined &&
      this.#opfs.options.sharedViews === false &&
      !(view.buffer instanceof ArrayBuffer)
    ) {
      throw new TypeError('The provided ArrayBufferView value must not be shared.');
    }
  }
}
