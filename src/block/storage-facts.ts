/** What can be found out about the browser's storage, and which driver that speaks for. */
import type { OpfsDirectory } from './drivers/opfs-directory.ts';
import type { SyncFile } from './drivers/sync-file.ts';
import { errorName } from './drivers/sync-file.ts';

export interface StorageFacts {
  /** Files with synchronous access exist at all. */
  readonly syncHandles: boolean;
  /** Several handles of one file can be open at once. */
  readonly unsafeHandles: boolean;
  /** A private window: slow, and gone when it is closed. */
  readonly privateWindow: boolean;
  /** Hardware threads. */
  readonly cores: number;
  /** Median of a cached 4 KiB read; 0 if it was not measured. */
  readonly readMicroseconds: number;
  /** Why storage cannot be used, in the browser's words; empty if it can. */
  readonly problem: string;
}

export interface ProbeEnvironment {
  /** Undefined where the browser has no origin private file system. */
  readonly directory: OpfsDirectory | undefined;
  readonly cores: number;
  readonly now: () => number;
  /** Part of the name of the file that is made and removed. */
  readonly unique: string;
}

/** More than any browser grants: only a private window of Chromium accepts it without an error, and does nothing. */
const IMPOSSIBLE_BYTES = 2 ** 50;
const READS = 33;
/** An ordinary read takes 3 to 10 us, one in a private window of Chromium 800. */
const PRIVATE_READ_US = 300;

const NOTHING = { syncHandles: false, unsafeHandles: false, privateWindow: false, readMicroseconds: 0 };

/** Makes a small file, tries it, and removes it. In a worker: only there files have synchronous access. */
export async function probeStorage(environment: ProbeEnvironment): Promise<StorageFacts> {
  const { directory, cores, now } = environment;
  if (directory === undefined) {
    return { ...NOTHING, cores, problem: 'The browser has no private file system for pages.' };
  }
  const name = `.virtab-probe-${environment.unique}`;
  const open: SyncFile[] = [];
  try {
    const handle = await directory.getFileHandle(name, { create: true });
    const first = await handle.createSyncAccessHandle({ mode: 'readwrite-unsafe' });
    open.push(first);
    let unsafeHandles = true;
    try {
      open.push(await handle.createSyncAccessHandle({ mode: 'readwrite-unsafe' }));
    } catch {
      unsafeHandles = false;
    }
    first.write(new Uint8Array(4096), { at: 0 });
    const readMicroseconds = medianRead(first, now);
    return {
      syncHandles: true,
      unsafeHandles,
      privateWindow: truncatesSilently(first) || readMicroseconds > PRIVATE_READ_US,
      cores,
      readMicroseconds,
      problem: '',
    };
  } catch (error) {
    return { ...NOTHING, cores, problem: `${errorName(error)}: ${(error as Error).message}` };
  } finally {
    for (const file of open) file.close();
    await directory.removeEntry(name).catch(() => {});
  }
}

function medianRead(file: SyncFile, now: () => number): number {
  const target = new Uint8Array(4096);
  const times = Array.from({ length: READS }, () => {
    const start = now();
    file.read(target, { at: 0 });
    return now() - start;
  }).sort((a, b) => a - b);
  return times[READS >> 1]! * 1000;
}

/** A write of the file's own quota comes back as an error everywhere else. */
function truncatesSilently(file: SyncFile): boolean {
  try {
    file.truncate(IMPOSSIBLE_BYTES);
    return file.getSize() !== IMPOSSIBLE_BYTES;
  } catch {
    return false;
  } finally {
    file.truncate(4096);
  }
}

export interface DriverChoice {
  readonly driver: string;
  /** A sentence for `info aio` and the page. */
  readonly reason: string;
  /** Something that the user must know before relying on the disk. */
  readonly warning?: string;
}

/** From this many hardware threads on, helpers do not take a core from the guest. */
const POOL_CORES = 4;

/** Helpers of `threads`: reads gain up to four, and the guest and the disk's thread need a core each. */
export function poolSize(cores: number): number {
  return Math.max(1, Math.min(4, cores - 2));
}

/** `aio=auto` for a disk in the browser's storage. Where it is unsure it takes the slower, simpler one. */
export function chooseDriver(facts: StorageFacts, imageExists: boolean): DriverChoice {
  if (!facts.syncHandles) {
    return {
      driver: 'memory',
      reason: `The browser gives no access to its storage (${facts.problem}), so the disk is in memory.`,
      warning: 'What is written to this disk is lost when the tab is closed or reloaded.',
    };
  }
  if (facts.privateWindow) {
    const warning = 'This is a private window: what is written to this disk is lost when it is closed.';
    return imageExists
      ? { driver: 'opfs', reason: 'The disk is in the storage of a private window, which is slow.', warning }
      : { driver: 'memory', reason: 'In a private window storage is slow and kept nowhere.', warning };
  }
  if (!facts.unsafeHandles) {
    return {
      driver: 'opfs',
      reason: 'This browser opens a file only once, so one thread does all the work.',
    };
  }
  if (facts.cores < POOL_CORES) {
    return {
      driver: 'opfs',
      reason: `With ${facts.cores} hardware threads, helper threads would take time from the guest.`,
    };
  }
  return {
    driver: 'threads',
    reason: `${poolSize(facts.cores)} helper threads: the browser opens a file several times, and there are ${facts.cores} hardware threads.`,
  };
}
