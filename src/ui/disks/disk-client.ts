/** The page's end of the disk library's thread. */
import { proxy, wrap } from 'comlink';
import type { Remote } from 'comlink';
import type { Result } from '../../base/result.ts';
import type { ImportEnd, StoredDisk } from '../../disks/disk-library.ts';
import type { DiskLibraryThread } from '../../disks/library-thread.ts';
import { DISK_FOLDER } from '../../disks/disk-folder.ts';

export class DiskClient {
  readonly #thread: Remote<DiskLibraryThread>;
  #nextJob = 1;

  constructor() {
    const worker = new Worker(new URL('../../workers/disk-library.ts', import.meta.url), {
      type: 'module',
      name: 'disk library',
    });
    this.#thread = wrap<DiskLibraryThread>(worker);
  }

  /** Why the browser has no storage for disks; undefined if it has. */
  async problem(): Promise<string | undefined> {
    try {
      await this.#thread.open();
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  list(): Promise<readonly StoredDisk[]> {
    return this.#thread.list();
  }

  tidy(): Promise<void> {
    return this.#thread.tidy();
  }

  create(name: string, sizeBytes: number): Promise<Result<undefined>> {
    return this.#thread.create(name, sizeBytes);
  }

  grow(name: string, sizeBytes: number): Promise<Result<undefined>> {
    return this.#thread.grow(name, sizeBytes);
  }

  rename(from: string, to: string): Promise<Result<undefined>> {
    return this.#thread.rename(from, to);
  }

  remove(name: string): Promise<Result<undefined>> {
    return this.#thread.remove(name);
  }

  import(
    name: string,
    file: File,
    progress: (done: number) => void,
  ): {
    readonly end: Promise<Result<ImportEnd>>;
    readonly steer: (how: 'pause' | 'resume' | 'cancel') => void;
  } {
    const job = this.#nextJob++;
    return {
      end: this.#thread.import(job, name, file, proxy(progress)),
      steer: (how) => void this.#thread.steer(job, how),
    };
  }

  /** The image as a file: its contents are those of now, as long as no machine writes to it. */
  async open(name: string): Promise<File> {
    const root = await navigator.storage.getDirectory();
    const folder = await root.getDirectoryHandle(DISK_FOLDER);
    return (await folder.getFileHandle(name)).getFile();
  }
}
