/** The page's end of the disk store (docs/disks-api.md). */
import { proxy, wrap } from 'comlink';
import { IMAGE_FOLDER } from '../control/disk-store.ts';
import type { DiskStore, StoreProgress } from '../control/disk-store.ts';

export interface OpenDiskStore extends DiskStore {
  /** Ends its worker; what is under way is given up. */
  close(): void;
}

export function openDiskStore(): OpenDiskStore {
  const worker = new Worker(new URL('../workers/disks.ts', import.meta.url), {
    type: 'module',
    name: 'disks',
  });
  const remote = wrap<DiskStore>(worker);
  const told = (progress: StoreProgress | undefined): StoreProgress | undefined =>
    progress === undefined ? undefined : proxy(progress);
  return {
    list: () => remote.list(),
    create: (name, bytes) => remote.create(name, bytes),
    grow: (name, bytes) => remote.grow(name, bytes),
    remove: (name) => remote.remove(name),
    rename: (from, to) => remote.rename(from, to),
    importBlob: (name, blob, progress, job) => remote.importBlob(name, blob, told(progress), job),
    steer: (job, how) => remote.steer(job, how),
    importUrl: (name, url, progress) => remote.importUrl(name, url, told(progress)),
    exportFile: (name) => remote.exportFile(name),
    exportTo: (name, url, progress) => remote.exportTo(name, url, told(progress)),
    usage: () => remote.usage(),
    close: () => worker.terminate(),
  };
}

/** The image as a file, without the lock: for a look at its contents, which a machine may be changing. Rejects where there is none. */
export async function openStoredImage(name: string): Promise<File> {
  const root = await navigator.storage.getDirectory();
  const folder = await root.getDirectoryHandle(IMAGE_FOLDER);
  return await (await folder.getFileHandle(name)).getFile();
}
