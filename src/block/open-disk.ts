/** From what the user asked for to a disk that a device can use: lock, image, driver, format, queue. */
import { failure, success } from '../base/result.ts';
import type { Result } from '../base/result.ts';
import { openAio } from './aio.ts';
import type { AioEnvironment, DiskPlace, OpenedDriver } from './aio.ts';
import type { BlockBackend, BlockStatus, CacheMode } from './block-backend.ts';
import { BlockQueue } from './block-queue.ts';
import type { QueueOptions } from './block-queue.ts';
import { lockDisk } from './disk-lock.ts';
import type { DiskLock, LockOptions, LockService } from './disk-lock.ts';
import type { ReadableFile } from './drivers/file-source.ts';
import type { OpfsDirectory } from './drivers/opfs-directory.ts';
import type { ErrorPolicy } from './error-policy.ts';
import { createRawImage, RawImage } from './formats/raw.ts';

/** Of `-drive`. */
export interface DiskRequest {
  readonly id: string;
  readonly source:
    | { readonly kind: 'opfs'; readonly name: string }
    | { readonly kind: 'file'; readonly file: ReadableFile }
    | { readonly kind: 'memory' };
  /** A driver's name, or `auto`. */
  readonly aio: string;
  readonly cache: CacheMode;
  readonly readOnly: boolean;
  /** Makes the image if there is none; required for a disk in memory. */
  readonly createBytes?: number;
  readonly errorPolicy?: ErrorPolicy;
}

export interface DiskEnvironment extends AioEnvironment {
  readonly locks: LockService;
  readonly lockOptions?: Pick<LockOptions, 'timeout' | 'waitMs'>;
  readonly now: QueueOptions['now'];
  readonly defer: QueueOptions['defer'];
  readonly isWanted: () => boolean;
  readonly isGuestHalted: () => boolean;
}

export interface OpenDisk {
  readonly backend: BlockBackend;
  /** To be shown to the user. */
  readonly warning: string | undefined;
  /** To be called on the disk's thread when it was woken. */
  readonly poll: () => void;
  /** Closes the backend, and lets others have the disk. */
  close(then: (status: BlockStatus) => void): void;
}

export async function openDisk(
  request: DiskRequest,
  environment: DiskEnvironment,
): Promise<Result<OpenDisk>> {
  if (request.source.kind !== 'opfs') return openPlace(request, environment, undefined);
  const lock = await lockDisk(environment.locks, request.source.name, {
    shared: request.readOnly,
    ...environment.lockOptions,
  });
  if (!lock.ok) return lock;
  const disk = await openPlace(request, environment, lock.value);
  if (!disk.ok) lock.value.release();
  return disk;
}

async function openPlace(
  request: DiskRequest,
  environment: DiskEnvironment,
  lock: DiskLock | undefined,
): Promise<Result<OpenDisk>> {
  const place = await findPlace(request, environment);
  if (!place.ok) return place;
  const opened = await openAio(request.aio, { ...request, place: place.value }, environment);
  if (!opened.ok) return opened;
  const queue = await openQueue(request, opened.value, environment);
  if (!queue.ok) {
    await answered(opened.value, (done) => opened.value.driver.close(() => done(undefined)));
    return queue;
  }
  return success({
    backend: queue.value,
    warning: opened.value.warning,
    poll: opened.value.poll ?? (() => {}),
    close: (then) =>
      queue.value.close((status) => {
        lock?.release();
        then(status);
      }),
  });
}

/** Looks for the image, and makes it where that was asked for and the driver will use it. */
async function findPlace(request: DiskRequest, environment: DiskEnvironment): Promise<Result<DiskPlace>> {
  const { source, createBytes } = request;
  switch (source.kind) {
    case 'file':
      return success(source);
    case 'memory':
      return createBytes === undefined
        ? failure(`The disk “${request.id}” is in memory and needs a size.`)
        : success({ kind: 'memory', sizeBytes: createBytes });
    case 'opfs': {
      const { directory, facts } = environment;
      const { name } = source;
      const exists = directory !== undefined && (await fileExists(directory, name));
      const place: DiskPlace = { kind: 'opfs', name, exists, sizeBytes: createBytes ?? 0 };
      if (exists) return success(place);
      if (createBytes === undefined) {
        return failure(`There is no disk “${name}”. Create it with a size, or choose another.`);
      }
      const volatile = request.aio === 'memory' || (request.aio === 'auto' && facts.privateWindow);
      if (directory === undefined || !facts.syncHandles || volatile) return success(place);
      const created = await createRawImage(directory, name, createBytes);
      return created.ok ? success({ ...place, exists: true }) : created;
    }
  }
}

async function fileExists(directory: OpfsDirectory, name: string): Promise<boolean> {
  try {
    await directory.getFileHandle(name);
    return true;
  } catch {
    return false;
  }
}

function openQueue(
  request: DiskRequest,
  opened: OpenedDriver,
  environment: DiskEnvironment,
): Promise<Result<BlockQueue>> {
  const options: QueueOptions = {
    id: request.id,
    driver: new RawImage(opened.driver),
    driverReason: opened.reason,
    format: 'raw',
    cache: request.cache,
    readOnly: request.readOnly,
    now: environment.now,
    defer: environment.defer,
    isWanted: environment.isWanted,
    isGuestHalted: environment.isGuestHalted,
    ...(request.errorPolicy === undefined ? {} : { errorPolicy: request.errorPolicy }),
  };
  return answered(opened, (done) => BlockQueue.open(options, done));
}

/** Waits for a driver's callback. The disk's loop is not running yet, so the helpers' answers are looked for here. */
function answered<T>({ poll }: OpenedDriver, start: (done: (value: T) => void) => void): Promise<T> {
  return new Promise((resolve) => {
    let over = false;
    start((value) => {
      over = true;
      resolve(value);
    });
    const look = (): void => {
      if (over) return;
      poll?.();
      setTimeout(look, 1);
    };
    look();
  });
}
