/** The images of disks in the browser's storage, whether a machine uses them or not; served by a worker of its own. */
import type { Result } from '../base/result.ts';

/** The folder of the origin's private file system that has them. */
export const IMAGE_FOLDER = 'disks';

export interface ImageInfo {
  readonly name: string;
  readonly bytes: number;
  /** A machine has it open, here or in another tab. */
  readonly inUse: boolean;
}

export interface StorageUsage {
  readonly usedBytes: number;
  readonly quotaBytes: number;
  /** The browser does not clear it by itself when space is short. */
  readonly persistent: boolean;
}

/** The error of an import that was cancelled. */
export const IMPORT_CANCELLED = 'The import was cancelled.';

export type Steering = 'pause' | 'resume' | 'cancel';

export type StoreProgress = (doneBytes: number, totalBytes: number) => void;

/** An image that is in use is refused by everything that would change it. */
export interface DiskStore {
  list(): Promise<Result<readonly ImageInfo[]>>;
  create(name: string, bytes: number): Promise<Result<undefined>>;
  grow(name: string, bytes: number): Promise<Result<undefined>>;
  remove(name: string): Promise<Result<undefined>>;
  rename(from: string, to: string): Promise<Result<undefined>>;
  /** `job` is a number of the caller's, for `steer`. */
  importBlob(name: string, blob: Blob, progress?: StoreProgress, job?: number): Promise<Result<undefined>>;
  /** Pauses, resumes or cancels an import, which then fails with IMPORT_CANCELLED; without effect when it is over. */
  steer(job: number, how: Steering): Promise<void>;
  importUrl(name: string, url: string, progress?: StoreProgress): Promise<Result<undefined>>;
  /** As it is now; unreadable once somebody writes the image. */
  exportFile(name: string): Promise<Result<File>>;
  /** Sends it in pieces, as `PUT url?offset=n`, and `PUT url?size=n` at the end. */
  exportTo(name: string, url: string, progress?: StoreProgress): Promise<Result<undefined>>;
  usage(): Promise<StorageUsage>;
}
