/** The AIO drivers by name, and how each is opened. `auto` is the choice among them. */
import { failure, success } from '../base/result.ts';
import type { Result } from '../base/result.ts';
import { MIB } from '../base/units.ts';
import type { CacheMode } from './block-backend.ts';
import type { BlockDriver } from './block-driver.ts';
import { CachedRangesDriver } from './drivers/cached-ranges.ts';
import { fileSource } from './drivers/file-source.ts';
import type { ReadableFile } from './drivers/file-source.ts';
import { MemoryDriver } from './drivers/memory.ts';
import type { OpfsDirectory, OpfsMode } from './drivers/opfs-directory.ts';
import { OpfsDriver } from './drivers/opfs.ts';
import { createPortMemory } from './drivers/thread-port.ts';
import { ThreadsDriver } from './drivers/threads.ts';
import { openProblem } from './formats/raw.ts';
import { chooseDriver, poolSize } from './storage-facts.ts';
import type { DriverChoice, StorageFacts } from './storage-facts.ts';

/** Where a disk's bytes are. */
export type DiskPlace =
  | { readonly kind: 'opfs'; readonly name: string; readonly exists: boolean; readonly sizeBytes: number }
  | { readonly kind: 'file'; readonly file: ReadableFile }
  | { readonly kind: 'memory'; readonly sizeBytes: number };

/** Helper threads, as the host that starts them gives them: each runs a ThreadServer on the port and the file. */
export interface HelperRequest {
  readonly port: SharedArrayBuffer;
  readonly memory: SharedArrayBuffer;
  readonly name: string;
  readonly mode: OpfsMode;
  readonly threads: number;
  readonly readOnly: boolean;
  /** For the host to call when all helpers have ended without having been asked to, and none runs any more. */
  readonly lost: (problem: string) => void;
}

export interface AioEnvironment {
  readonly facts: StorageFacts;
  /** Undefined where there is no storage. */
  readonly directory: OpfsDirectory | undefined;
  /** The guest's memory. */
  readonly memory: SharedArrayBuffer;
  /** Resolves when all of them have opened the file and serve the port. */
  startHelpers(request: HelperRequest): Promise<Result<undefined>>;
  /** The most that a disk in memory, or a cache, may take. */
  readonly memoryLimitBytes: number;
}

export interface AioRequest {
  readonly place: DiskPlace;
  readonly readOnly: boolean;
  readonly cache: CacheMode;
}

export interface OpenedDriver {
  readonly driver: BlockDriver;
  readonly reason: string;
  readonly warning?: string;
  /** To be called when the disk's thread was woken: completions may have come. */
  readonly poll?: () => void;
}

export interface AioDriver {
  readonly name: string;
  /** For `aio=?` and the settings panel. */
  readonly description: string;
  open(request: AioRequest, environment: AioEnvironment, reason: string): Promise<Result<OpenedDriver>>;
}

const CACHE_BYTES = 64 * MIB;

const opfs: AioDriver = {
  name: 'opfs',
  description: 'an image, by one handle on the disk’s own thread',
  async open({ place, readOnly }, { directory }, reason) {
    if (place.kind !== 'opfs' || directory === undefined) return failure(misplaced('opfs', place));
    try {
      const handle = await directory.getFileHandle(place.name);
      const file = await handle.createSyncAccessHandle({ mode: readOnly ? 'read-only' : 'readwrite' });
      return success({ driver: new OpfsDriver(file, { readOnly }), reason });
    } catch (error) {
      return failure(openProblem(place.name, error));
    }
  },
};

const threads: AioDriver = {
  name: 'threads',
  description: 'an image, by a pool of helper threads with a handle each',
  async open(request, environment, reason) {
    const { place, readOnly } = request;
    const { facts, memory } = environment;
    if (place.kind !== 'opfs') return failure(misplaced('threads', place));
    if (!facts.unsafeHandles) {
      return opfs.open(
        request,
        environment,
        'threads was asked for, but this browser opens a file only once.',
      );
    }
    const port = createPortMemory();
    const count = poolSize(facts.cores);
    const driver = new ThreadsDriver({ port, memory, threads: count, readOnly });
    const started = await environment.startHelpers({
      port,
      memory,
      name: place.name,
      mode: readOnly ? 'read-only' : 'readwrite-unsafe',
      threads: count,
      readOnly,
      lost: (problem) => driver.lost(problem),
    });
    if (!started.ok) return started;
    return success({ driver, reason, poll: () => driver.poll() });
  },
};

const file: AioDriver = {
  name: 'file',
  description: 'a file that was given to the page, read where it is, never written',
  open({ place, cache, readOnly }, { memoryLimitBytes }, reason) {
    if (place.kind !== 'file') return Promise.resolve(failure(misplaced('file', place)));
    // cache=none: nothing is kept but the block in use.
    const cacheBytes = cache === 'none' ? 0 : Math.min(CACHE_BYTES, memoryLimitBytes);
    const driver = new CachedRangesDriver(fileSource(place.file), { name: 'file', cacheBytes });
    if (readOnly) return Promise.resolve(success({ driver, reason }));
    const warning = `A page cannot write to your file “${place.file.name}”, so the disk is read-only.`;
    return Promise.resolve(success({ driver, reason, warning }));
  },
};

const memory: AioDriver = {
  name: 'memory',
  description: 'a disk in memory that is gone with the machine',
  open({ place, readOnly }, { memoryLimitBytes }, reason) {
    if (place.kind === 'file' || (place.kind === 'opfs' && place.exists)) {
      return Promise.resolve(failure(misplaced('memory', place)));
    }
    const { sizeBytes } = place;
    const driver = new MemoryDriver({ sizeBytes, limitBytes: memoryLimitBytes, readOnly });
    return Promise.resolve(success({ driver, reason }));
  },
};

export const AIO_DRIVERS: readonly AioDriver[] = [opfs, threads, file, memory];

/** What `aio=?` prints. */
export function describeAioDrivers(drivers = AIO_DRIVERS): string {
  const lines = drivers.map(({ name, description }) => `${name.padEnd(8)} ${description}`);
  return ['auto     the driver that suits the disk and the browser (the default)', ...lines].join('\n');
}

export function findAioDriver(name: string, drivers = AIO_DRIVERS): Result<AioDriver> {
  const found = drivers.find((driver) => driver.name === name);
  if (found !== undefined) return success(found);
  const names = ['auto', ...drivers.map((driver) => driver.name)].join(', ');
  return failure(`aio=${name} does not exist. The drivers are ${names}.`);
}

/** Opens the driver that `aio` names; `auto` decides by the disk's place and the facts. */
export async function openAio(
  aio: string,
  request: AioRequest,
  environment: AioEnvironment,
): Promise<Result<OpenedDriver>> {
  const choice: DriverChoice =
    aio === 'auto'
      ? automatic(request.place, environment.facts)
      : { driver: aio, reason: `aio=${aio} was asked for.` };
  const driver = findAioDriver(choice.driver);
  if (!driver.ok) return driver;
  const opened = await driver.value.open(request, environment, choice.reason);
  if (opened.ok) {
    return success(
      choice.warning === undefined ? opened.value : { ...opened.value, warning: choice.warning },
    );
  }
  // The helpers may fail to start where the probe saw no reason why.
  if (aio !== 'auto' || choice.driver !== 'threads') return opened;
  return opfs.open(
    request,
    environment,
    `The helper threads did not start (${opened.error}), so one thread does it.`,
  );
}

function automatic(place: DiskPlace, facts: StorageFacts): DriverChoice {
  switch (place.kind) {
    case 'opfs':
      return chooseDriver(facts, place.exists);
    case 'file':
      return { driver: 'file', reason: 'A file of yours is read where it is.' };
    case 'memory':
      return { driver: 'memory', reason: 'The disk was made without a place to keep it.' };
  }
}

function misplaced(name: string, place: DiskPlace): string {
  const what: Record<DiskPlace['kind'], string> = {
    opfs: 'an image in the browser’s storage',
    file: 'a file of yours',
    memory: 'a disk in memory',
  };
  return `aio=${name} cannot open ${what[place.kind]}. aio=auto chooses a driver that can.`;
}
