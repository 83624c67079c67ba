/** The parts of the origin private file system that disks use; injected, so that they can be fakes. */
import type { SyncFile } from './sync-file.ts';

/**
 * `readwrite`: one handle only. `readwrite-unsafe`: any number of handles, in any tab. `read-only`: any number of readers. Browsers without modes
 * ignore the option and give `readwrite`.
 */
export type OpfsMode = 'readwrite' | 'readwrite-unsafe' | 'read-only';

export interface OpfsFile {
  readonly name: string;
  createSyncAccessHandle(options?: { mode: OpfsMode }): Promise<SyncFile>;
}

/** Of a FileSystemDirectoryHandle. */
export interface OpfsDirectory {
  getFileHandle(name: string, options?: { create: boolean }): Promise<OpfsFile>;
  removeEntry(name: string): Promise<void>;
}
