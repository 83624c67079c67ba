/** The page's end of the disk store (docs/disks-api.md). */
import { proxy, wrap } from 'comlink';
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
    importBlob: (name, blob, progress) => remote.importBlob(name, blob, told(progress)),
    importUrl: (name, url, progress) => remote.importUrl(name, url, told(progress)),
    exportFile: (name) => remote.exportFile(name),
    exportTo: (name, url, progress) => remote.exportTo(name, url, told(progress)),
    usage: () => remote.usage(),
    close: () => worker.terminate(),
  };
}
