/**
 * The disks in the browser's storage while no machine uses them: list, create, import, grow, rename, delete. Runs in a worker, where
 * files have synchronous access. What a machine uses is locked (src/block/disk-lock.ts) and refused here.
 */
import { failure, success } from '../base/result.ts';
import type { Result } from '../base/result.ts';
import { isZero } from '../block/disk-job.ts';
import { lockDisk } from '../block/disk-lock.ts';
import type { LockService } from '../block/disk-lock.ts';
import type { OpfsDirectory } from '../block/drivers/opfs-directory.ts';
import { errorName } from '../block/drivers/sync-file.ts';
import { createRawImage, growRawImage, openProblem } from '../block/formats/raw.ts';
import { diskNameProblem, UNFINISHED } from './disk-folder.ts';
import { sniffContent, SNIFF_BYTES } from './sniff.ts';

export interface StoredDisk {
  readonly name: string;
  readonly sizeBytes: number;
  /** When it was last written, in ms since 1970. */
  readonly modified: number;
  /** The file system or partition table on it; `unknown` where there is none that we know. */
  readonly content: string;
  /** A machine of this or another tab has it. */
  readonly inUse: boolean;
}

/** A file of the folder, as much of a FileSystemFileHandle as is used. */
export interface LibraryEntry {
  readonly name: string;
  getFile(): Promise<Blob & { readonly lastModified: number }>;
  /** Absent in browsers that cannot rename. */
  move?(name: string): Promise<void>;
}

/** The folder: what the block layer uses of it, and its contents. */
export interface LibraryFolder extends OpfsDirectory {
  entries(): AsyncIterable<LibraryEntry>;
}

export interface LibraryEnvironment {
  readonly folder: LibraryFolder;
  readonly locks: LockService & {
    query(): Promise<{ readonly held?: readonly { readonly name?: string }[] }>;
  };
}

export interface ImportProgress {
  (doneBytes: number): void;
}

export type ImportEnd = 'imported' | 'cancelled';

/** What is read and written at once. */
const PIECE_BYTES = 1024 * 1024;
/** Whoever holds a disk's lock holds it for long. */
const LOCK_WAIT_MS = 200;

/** A running import, to be steered from outside. */
class ImportJob {
  #gate: Promise<void> | undefined;
  #open: (() => void) | undefined;
  cancelled = false;

  /** Resolves when the job may go on. */
  get gate(): Promise<void> | undefined {
    return this.#gate;
  }

  pause(): void {
    this.#gate ??= new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  resume(): void {
    this.#open?.();
    this.#gate = undefined;
    this.#open = undefined;
  }

  cancel(): void {
    this.cancelled = true;
    this.resume();
  }
}

export class DiskLibrary {
  readonly #environment: LibraryEnvironment;
  readonly #jobs = new Map<number, ImportJob>();

  constructor(environment: LibraryEnvironment) {
    this.#environment = environment;
  }

  async list(): Promise<StoredDisk[]> {
    const { folder, locks } = this.#environment;
    const held = new Set((await locks.query()).held?.map(({ name }) => name));
    const disks: StoredDisk[] = [];
    for await (const entry of folder.entries()) {
      const { name } = entry;
      if (name.endsWith(UNFINISHED) || name.startsWith('.')) continue;
      try {
        const file = await entry.getFile();
        const head = new Uint8Array(await file.slice(0, SNIFF_BYTES).arrayBuffer());
        disks.push({
          name,
          sizeBytes: file.size,
          modified: file.lastModified,
          content: sniffContent(head) ?? (head.every((byte) => byte === 0) ? 'blank' : 'unknown'),
          inUse: held.has(lockName(name)),
        });
      } catch {
        // It was removed or written meanwhile; what cannot be read now is listed without its contents.
        if (await fileExists(folder, name))
          disks.push({ name, sizeBytes: 0, modified: 0, content: 'unknown', inUse: true });
      }
    }
    return disks.sort((a, b) => a.name.localeCompare(b.name));
  }

  /** Removes what imports left behind that never ended: the tab was closed meanwhile. */
  async tidy(): Promise<void> {
    const { folder } = this.#environment;
    const names: string[] = [];
    for await (const { name } of folder.entries()) if (name.endsWith(UNFINISHED)) names.push(name);
    for (const name of names) {
      await this.#locked(name.slice(0, -UNFINISHED.length), async () => {
        await folder.removeEntry(name).catch(() => undefined);
        return success(undefined);
      });
    }
  }

  async create(name: string, sizeBytes: number): Promise<Result<undefined>> {
    const problem = diskNameProblem(name);
    if (problem !== undefined) return failure(problem);
    return createRawImage(this.#environment.folder, name, sizeBytes);
  }

  grow(name: string, sizeBytes: number): Promise<Result<undefined>> {
    return this.#locked(name, () => growRawImage(this.#environment.folder, name, sizeBytes));
  }

  remove(name: string): Promise<Result<undefined>> {
    return this.#locked(name, async () => {
      try {
        await this.#environment.folder.removeEntry(name);
        return success(undefined);
      } catch (error) {
        return failure(openProblem(name, error));
      }
    });
  }

  async rename(from: string, to: string): Promise<Result<undefined>> {
    const problem = diskNameProblem(to);
    if (problem !== undefined) return failure(problem);
    if (from === to) return success(undefined);
    const { folder } = this.#environment;
    if (await fileExists(folder, to)) return failure(`There is a disk “${to}” already. Choose another name.`);
    return this.#locked(from, () => this.#move(from, to));
  }

  /** Copies `file` into a new disk. It has its name only when all of it is there. */
  async import(job: number, name: string, file: Blob, progress: ImportProgress): Promise<Result<ImportEnd>> {
    const problem = diskNameProblem(name);
    if (problem !== undefined) return failure(problem);
    const { folder } = this.#environment;
    if (await fileExists(folder, name))
      return failure(`There is a disk “${name}” already. Choose another name.`);
    const control = new ImportJob();
    this.#jobs.set(job, control);
    try {
      return await this.#locked(name, () => this.#copy(name, file, control, progress));
    } finally {
      this.#jobs.delete(job);
    }
  }

  /** Pauses, resumes or cancels an import; without effect when it is over. */
  steer(job: number, how: 'pause' | 'resume' | 'cancel'): void {
    this.#jobs.get(job)?.[how]();
  }

  async #copy(
    name: string,
    file: Blob,
    control: ImportJob,
    progress: ImportProgress,
  ): Promise<Result<ImportEnd>> {
    const { folder } = this.#environment;
    const unfinished = name + UNFINISHED;
    await folder.removeEntry(unfinished).catch(() => undefined);
    const size = Math.ceil(file.size / 512) * 512;
    const created = await createRawImage(folder, unfinished, size);
    if (!created.ok) return created;
    let outcome: Result<ImportEnd>;
    try {
      outcome = await writeAll(folder, unfinished, file, control, progress);
    } catch (error) {
      outcome = failure(importProblem(name, error));
    }
    if (outcome.ok && outcome.value === 'imported') {
      const moved = await this.#move(unfinished, name);
      if (moved.ok) return outcome;
      outcome = moved;
    }
    await folder.removeEntry(unfinished).catch(() => undefined);
    return outcome;
  }

  async #move(from: string, to: string): Promise<Result<undefined>> {
    const { folder } = this.#environment;
    for await (const entry of folder.entries()) {
      if (entry.name !== from) continue;
      if (entry.move === undefined)
        return failure('This browser cannot rename stored files. Use a current version, or another one.');
      try {
        await entry.move(to);
        return success(undefined);
      } catch (error) {
        return failure(openProblem(from, error));
      }
    }
    return failure(`There is no disk “${from}” any more.`);
  }

  async #locked<T>(name: string, work: () => Promise<Result<T>>): Promise<Result<T>> {
    const lock = await lockDisk(this.#environment.locks, name, { shared: false, waitMs: LOCK_WAIT_MS });
    if (!lock.ok) {
      return failure(
        `The disk “${name}” is in use by a machine of this or another tab. Power that machine off, then try again.`,
      );
    }
    try {
      return await work();
    } finally {
      lock.value.release();
    }
  }
}

/** Of lockDisk. */
function lockName(disk: string): string {
  return `virtab-disk-${disk}`;
}

async function fileExists(folder: OpfsDirectory, name: string): Promise<boolean> {
  try {
    await folder.getFileHandle(name);
    return true;
  } catch {
    return false;
  }
}

async function writeAll(
  folder: OpfsDirectory,
  name: string,
  file: Blob,
  control: ImportJob,
  progress: ImportProgress,
): Promise<Result<ImportEnd>> {
  const handle = await folder.getFileHandle(name);
  const target = await handle.createSyncAccessHandle({ mode: 'readwrite' });
  try {
    progress(0);
    for (let at = 0; at < file.size; at += PIECE_BYTES) {
      if (control.gate !== undefined) await control.gate;
      if (control.cancelled) return success('cancelled');
      const piece = new Uint8Array(await file.slice(at, at + PIECE_BYTES).arrayBuffer());
      // The new file reads as zero where nothing is written.
      if (!isZero(piece)) {
        for (let done = 0; done < piece.length;) {
          const written = target.write(piece.subarray(done), { at: at + done });
          if (written === 0) return failure(noRoom());
          done += written;
        }
      }
      progress(at + piece.length);
    }
    target.flush();
    return success('imported');
  } finally {
    target.close();
  }
}

function noRoom(): string {
  return 'The browser has no room left. Delete disks that you do not need, or use the image in place.';
}

function importProblem(name: string, error: unknown): string {
  switch (errorName(error)) {
    case 'QuotaExceededError':
      return noRoom();
    case 'NotReadableError':
    case 'NotFoundError':
      return `The file changed or went away while it was being copied. Drop it again.`;
    default:
      return `“${name}” could not be copied: ${error instanceof Error ? error.message : String(error)}`;
  }
}
