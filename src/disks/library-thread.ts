/** What the thread of the disk library offers to the page, carried by comlink. */
import type { DiskLibrary } from './disk-library.ts';

type Asked = 'list' | 'tidy' | 'create' | 'grow' | 'remove' | 'rename' | 'import';

export type DiskLibraryThread = Pick<DiskLibrary, Asked> & {
  /** Rejects where the browser has no storage for pages. */
  open(): Promise<void>;
  steer(...args: Parameters<DiskLibrary['steer']>): Promise<void>;
};
