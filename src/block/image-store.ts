/** Images as files of a folder: made, renamed, filled and read as a whole, each under the lock that a machine takes. */
import { failure, success } from '../base/result.ts';
import type { Result } from '../base/result.ts';
import { KIB, MIB } from '../base/units.ts';
import { diskLockName, lockDisk } from './disk-lock.ts';
import type { LockOptions, LockService } from './disk-lock.ts';
import { isZero } from './disk-job.ts';
import type { OpfsDirectory, OpfsFile } from './drivers/opfs-directory.ts';
import { outcomeOf } from './drivers/sync-file.ts';
import type { SyncFile } from './drivers/sync-file.ts';
import { createRawImage, growRawImage, openProblem } from './formats/raw.ts';

/** What is used of a FileSystemFileHandle; injected, so that it can be a fake. */
export interface ImageFile extends OpfsFile {
  getFile(): Promise<File>;
  move(name: string): Promise<void>;
}

/** Of a FileSystemDirectoryHandle. */
export interface ImageFolder extends OpfsDirectory {
  getFileHandle(name: string, options?: { create: boolean }): Promise<ImageFile>;
  keys(): AsyncIterable<string>;
}

/** Of LockManager. */
export interface LockList {
  query(): Promise<{ readonly held?: readonly { readonly name?: string }[] }>;
}

export interface StoreEnvironment {
  readonly folder: ImageFolder;
  readonly locks: LockService & LockList;
  readonly timeout?: LockOptions['timeout'];
}

export type Progress = (doneBytes: number, totalBytes: number) => void;

/** Someone who asks for it sees the answer, so a lock is not waited for as long as at the start of a machine. */
const LOCK_MS = 500;
const PIECE = MIB;
/**
 * What an import writes at once. Linux keeps a file in its page cache in folios as long as the writes that brought it there, and each
 * 4 KiB write of a guest then walks its whole folio: 29 us with pieces of 1 MiB, 19 with these, in a disk's thread (docs/block.md).
 */
const WRITE_PIECE = 64 * KIB;
/** An import that was cut off leaves its file under such a name. */
const UNFINISHED = '.import-';
const PROBE = '.virtab-probe';

export class ImageStore {
  readonly #environment: StoreEnvironment;

  constructor(environment: StoreEnvironment) {
    this.#environment = environment;
  }

  async list(): Promise<
    readonly { readonly name: string; readonly bytes: number; readonly inUse: boolean }[]
  > {
    const { folder } = this.#environment;
    const names: string[] = [];
    for await (const name of folder.keys()) names.push(name);
    for (const name of names.filter((candidate) => candidate.startsWith(UNFINISHED))) {
      // Refused where another tab is at it.
      await this.#changing(name, async () => {
        await folder.removeEntry(name);
        return success(undefined);
      });
    }
    // Not by trying for the lock: a machine that starts at that moment would have to wait.
    const held = new Set((await this.#environment.locks.query()).held?.map(({ name }) => name));
    const images = names.filter((name) => !name.startsWith(UNFINISHED) && !name.startsWith(PROBE)).sort();
    return await Promise.all(
      images.map(async (name) => {
        const { size } = await (await folder.getFileHandle(name)).getFile();
        return { name, bytes: size, inUse: held.has(diskLockName(name)) };
      }),
    );
  }

  create(name: string, bytes: number): Promise<Result<undefined>> {
    return this.#changing(name, () => createRawImage(this.#environment.folder, name, bytes));
  }

  grow(name: string, bytes: number): Promise<Result<undefined>> {
    return this.#changing(name, () => growRawImage(this.#environment.folder, name, bytes));
  }

  remove(name: string): Promise<Result<undefined>> {
    return this.#changing(name, async () => {
      await this.#environment.folder.removeEntry(name);
      return success(undefined);
    });
  }

  rename(from: string, to: string): Promise<Result<undefined>> {
    return this.#changing(from, () =>
      this.#changing(to, async () => {
        if (await this.#exists(to)) return failure(`There is a disk “${to}” already. Choose another name.`);
        const file = await this.#environment.folder.getFileHandle(from);
        await file.move(to);
        return success(undefined);
      }),
    );
  }

  /** Fills a new image with what the stream gives; zeroes stay holes. Nothing is left of one that fails. */
  import(
    name: string,
    stream: ReadableStream<Uint8Array>,
    totalBytes: number,
    progress: Progress = () => {},
  ): Promise<Result<undefined>> {
    const { folder } = this.#environment;
    return this.#changing(name, async () => {
      if (await this.#exists(name)) {
        return failure(`There is a disk “${name}” already. Choose another name, or remove that one first.`);
      }
      const unfinished = `${UNFINISHED}${name}`;
      return await this.#locked(unfinished, async () => {
        const handle = await folder.getFileHandle(unfinished, { create: true });
        const file = await handle.createSyncAccessHandle({ mode: 'readwrite' });
        try {
          file.truncate(0);
          const bytes = await fill(file, stream, totalBytes, progress);
          if (bytes === 0) return failure(`“${name}” would be empty: a disk of no size.`);
          file.truncate(bytes);
          file.flush();
        } catch (error) {
          file.close();
          await folder.removeEntry(unfinished).catch(() => {});
          const { status, problem } = outcomeOf(error, `importing “${name}”`);
          return failure(
            status === 'no-space'
              ? `The browser has no room left for “${name}”. Delete disks that are not needed, or use the image where it is.`
              : (problem ?? ''),
          );
        }
        file.close();
        await handle.move(name);
        return success(undefined);
      });
    });
  }

  async exportFile(name: string): Promise<Result<File>> {
    return await this.#locked(name, async () =>
      success(await (await this.#environment.folder.getFileHandle(name)).getFile()),
    );
  }

  /** Hands the contents over in pieces, with where each belongs; resolves when the last one is taken. */
  export(
    name: string,
    take: (piece: Uint8Array<ArrayBuffer>, at: number) => Promise<void>,
    progress: Progress = () => {},
  ): Promise<Result<number>> {
    return this.#locked(name, async () => {
      const handle = await this.#environment.folder.getFileHandle(name);
      const file = await handle.createSyncAccessHandle({ mode: 'read-only' });
      try {
        const bytes = file.getSize();
        for (let at = 0; at < bytes; at += PIECE) {
          const piece = new Uint8Array(Math.min(PIECE, bytes - at));
          if (file.read(piece, { at }) !== piece.length) return failure(`“${name}” cannot be read at ${at}.`);
          await take(piece, at);
          progress(at + piece.length, bytes);
        }
        return success(bytes);
      } finally {
        file.close();
      }
    });
  }

  async #exists(name: string): Promise<boolean> {
    try {
      await this.#environment.folder.getFileHandle(name);
      return true;
    } catch {
      return false;
    }
  }

  #changing<T>(name: string, work: () => Promise<Result<T>>): Promise<Result<T>> {
    const wrong = name.startsWith(UNFINISHED) ? undefined : imageNameProblem(name);
    return wrong === undefined ? this.#locked(name, work) : Promise.resolve(failure(wrong));
  }

  async #locked<T>(name: string, work: () => Promise<Result<T>>): Promise<Result<T>> {
    const lock = await this.#lock(name, LOCK_MS);
    if (lock === undefined) {
      return failure(`The disk “${name}” is in use by a machine, here or in another tab. End that first.`);
    }
    try {
      return await work();
    } catch (error) {
      return failure(openProblem(name, error));
    } finally {
      lock.release();
    }
  }

  async #lock(name: string, waitMs: number): Promise<{ release(): void } | undefined> {
    const { locks, timeout } = this.#environment;
    const lock = await lockDisk(locks, name, {
      shared: false,
      waitMs,
      ...(timeout === undefined ? {} : { timeout }),
    });
    return lock.ok ? lock.value : undefined;
  }
}

/** Writes what comes, except zeroes; returns how many bytes there were. */
async function fill(
  file: SyncFile,
  stream: ReadableStream<Uint8Array>,
  totalBytes: number,
  progress: Progress,
): Promise<number> {
  // Small pieces are gathered: a call costs about as much as copying 100 KB.
  const buffer = new Uint8Array(PIECE);
  let at = 0;
  let used = 0;
  const flush = (): void => {
    for (let start = 0; start < used; start += WRITE_PIECE) {
      const piece = buffer.subarray(start, Math.min(used, start + WRITE_PIECE));
      if (isZero(piece)) continue;
      for (let done = 0; done < piece.length;) {
        const bytes = file.write(piece.subarray(done), { at: at + start + done });
        if (bytes <= 0) throw new Error(`the browser wrote ${done} of ${piece.length} bytes`);
        done += bytes;
      }
    }
    at += used;
    used = 0;
    progress(at, totalBytes);
  };
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    for (let taken = 0; taken < value.length;) {
      const bytes = Math.min(value.length - taken, buffer.length - used);
      buffer.set(value.subarray(taken, taken + bytes), used);
      taken += bytes;
      used += bytes;
      if (used === buffer.length) flush();
    }
  }
  if (used > 0) flush();
  return at;
}

/** Names are shown, written in addresses and used as file names of downloads. */
export function imageNameProblem(name: string): string | undefined {
  // oxlint-disable-next-line no-control-regex -- control characters are what is refused
  return /^[^/\\:*?"<>|\x00-\x1f.][^/\\:*?"<>|\x00-\x1f]{0,199}$/.test(name)
    ? undefined
    : `“${name}” cannot be the name of a disk: 1 to 200 characters, none of / \\ : * ? " < > |, and no dot in front.`;
}
