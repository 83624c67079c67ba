/** One machine per disk: a Web Lock, which the browser releases whatever happens to the tab. */
import { failure, success } from '../base/result.ts';
import type { Result } from '../base/result.ts';
import { errorName } from './drivers/sync-file.ts';

/** Of LockManager; injected, so that it can be a fake. */
export interface LockService {
  request(
    name: string,
    options: { mode: 'exclusive' | 'shared'; signal: AbortSignal },
    work: () => Promise<void>,
  ): Promise<unknown>;
}

export interface DiskLock {
  release(): void;
}

export interface LockOptions {
  /** Several machines may read a disk that none writes. */
  readonly shared: boolean;
  readonly waitMs?: number;
  /** Aborts after a time; replaced by tests. */
  readonly timeout?: (ms: number) => AbortSignal;
}

/** A tab that is reloaded looks like a second tab until the old one is gone, which takes a busy one about 2 s. */
export const LOCK_WAIT_MS = 5000;

export async function lockDisk(
  locks: LockService,
  disk: string,
  options: LockOptions,
): Promise<Result<DiskLock>> {
  const timeout = options.timeout ?? ((ms: number) => AbortSignal.timeout(ms));
  const signal = timeout(options.waitMs ?? LOCK_WAIT_MS);
  const mode = options.shared ? 'shared' : 'exclusive';
  return new Promise((resolve) => {
    // The lock is held for as long as the promise that `work` returns is pending.
    const work = (): Promise<void> =>
      new Promise((release) => resolve(success({ release: () => release(undefined) })));
    locks.request(diskLockName(disk), { mode, signal }, work).catch((error: unknown) => {
      resolve(failure(lockProblem(disk, signal.aborted, error)));
    });
  });
}

export function diskLockName(disk: string): string {
  return `virtab-disk-${disk}`;
}

function lockProblem(disk: string, timedOut: boolean, error: unknown): string {
  if (timedOut) {
    return (
      `The disk “${disk}” is in use by another machine, probably in another tab of this browser. ` +
      'Close that one, or start it with readonly=on on both sides, then try again.'
    );
  }
  return `The browser gave no lock for the disk “${disk}”: ${errorName(error) || String(error)}.`;
}
