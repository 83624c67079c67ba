/** The thread of the disk library: the folder of disks, and the library over it. */
import { expose } from 'comlink';
import { DISK_FOLDER } from '../disks/disk-folder.ts';
import { DiskLibrary } from '../disks/disk-library.ts';
import type { DiskLibraryThread } from '../disks/library-thread.ts';
import type { LibraryFolder } from '../disks/disk-library.ts';

async function openLibrary(): Promise<DiskLibrary> {
  const root = await navigator.storage.getDirectory();
  const directory = await root.getDirectoryHandle(DISK_FOLDER, { create: true });
  const folder: LibraryFolder = {
    getFileHandle: (name, options) => directory.getFileHandle(name, options),
    removeEntry: (name) => directory.removeEntry(name),
    async *entries() {
      for await (const entry of directory.values()) {
        if (entry.kind === 'file') yield entry;
      }
    },
  };
  return new DiskLibrary({ folder, locks: navigator.locks });
}

const library = openLibrary();
// It is asked for at once, and everybody who asks gets the error: nothing is unhandled.
library.catch(() => undefined);

// Exposed before the folder is open: a message that comes before that would be lost.
const thread: DiskLibraryThread = {
  open: async () => void (await library),
  list: async () => (await library).list(),
  tidy: async () => (await library).tidy(),
  create: async (...args) => (await library).create(...args),
  grow: async (...args) => (await library).grow(...args),
  remove: async (...args) => (await library).remove(...args),
  rename: async (...args) => (await library).rename(...args),
  import: async (...args) => (await library).import(...args),
  steer: async (job, how) => (await library).steer(job, how),
};

expose(thread);
