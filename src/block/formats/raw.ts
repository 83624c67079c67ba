/** The raw image format: byte n of the file is byte n of the disk. */
import { failure, success } from '../../base/result.ts';
import type { Result } from '../../base/result.ts';
import { SECTOR_BYTES } from '../block-backend.ts';
import type { BlockDriver, DriverDone, DriverFacts, DriverHost, DriverOperation } from '../block-driver.ts';
import { setSize } from '../drivers/sync-file.ts';
import type { SyncFile } from '../drivers/sync-file.ts';
import type { OpfsDirectory } from '../drivers/opfs-directory.ts';
import { errorName } from '../drivers/sync-file.ts';

export class RawImage implements BlockDriver {
  readonly #file: BlockDriver;
  #sizeBytes = 0;

  constructor(file: BlockDriver) {
    this.#file = file;
  }

  get name(): string {
    return this.#file.name;
  }

  get copied(): BlockDriver['copied'] {
    return this.#file.copied;
  }

  /** A file that is no multiple of the sector gives a disk that is: the rest of its last sector is zero. */
  init(host: DriverHost, done: (result: Result<DriverFacts>) => void): void {
    this.#file.init(host, (result) => {
      if (!result.ok) return done(result);
      if (result.value.sizeBytes === 0) {
        return done(
          failure('The image is empty: a disk of no size. Create it with a size, or choose another file.'),
        );
      }
      this.#sizeBytes = Math.ceil(result.value.sizeBytes / SECTOR_BYTES) * SECTOR_BYTES;
      done(success({ ...result.value, sizeBytes: this.#sizeBytes }));
    });
  }

  submit(operation: DriverOperation): void {
    const end = operation.offset + operation.length;
    if (operation.offset < 0 || end > this.#sizeBytes) {
      operation.done('io-error', `Bytes up to ${end} do not exist on a disk of ${this.#sizeBytes}.`);
    } else this.#file.submit(operation);
  }

  flush(done: DriverDone): void {
    this.#file.flush(done);
  }

  cancel(operation: DriverOperation): boolean {
    return this.#file.cancel(operation);
  }

  resize(sizeBytes: number, done: DriverDone): void {
    this.#file.resize(sizeBytes, (status, problem) => {
      if (status === 'ok') this.#sizeBytes = sizeBytes;
      done(status, problem);
    });
  }

  close(done: DriverDone): void {
    this.#file.close(done);
  }
}

/** Makes a new image of zeroes. Nothing is left behind if that fails. */
export async function createRawImage(
  directory: OpfsDirectory,
  name: string,
  sizeBytes: number,
): Promise<Result<undefined>> {
  const invalid = invalidSize(sizeBytes);
  if (invalid !== undefined) return failure(invalid);
  if (await exists(directory, name)) {
    return failure(`There is a disk “${name}” already. Choose another name, or remove that one first.`);
  }
  const result = await withFile(directory, name, true, (file) => setSizeDurably(file, sizeBytes));
  if (!result.ok) await removeQuietly(directory, name);
  return result;
}

/** Makes an image that no machine uses larger; the new part is zero. */
export function growRawImage(
  directory: OpfsDirectory,
  name: string,
  sizeBytes: number,
): Promise<Result<undefined>> {
  const invalid = invalidSize(sizeBytes);
  if (invalid !== undefined) return Promise.resolve(failure(invalid));
  return withFile(directory, name, false, (file) => {
    const before = file.getSize();
    return sizeBytes < before
      ? failure(`The disk “${name}” has ${before} bytes. Making it smaller would destroy what is at its end.`)
      : setSizeDurably(file, sizeBytes);
  });
}

function invalidSize(sizeBytes: number): string | undefined {
  return Number.isSafeInteger(sizeBytes) && sizeBytes > 0 && sizeBytes % SECTOR_BYTES === 0
    ? undefined
    : `A disk of ${sizeBytes} bytes is not possible: the size must be a multiple of ${SECTOR_BYTES}, and not 0.`;
}

function setSizeDurably(file: SyncFile, sizeBytes: number): Result<undefined> {
  const { status, problem } = setSize(file, sizeBytes);
  if (status === 'ok') {
    file.flush();
    return success(undefined);
  }
  return failure(
    status === 'no-space'
      ? `The browser has no room for a disk of ${sizeBytes} bytes. Make room, or choose a smaller size.`
      : (problem ?? 'The browser cannot set the size of the file.'),
  );
}

async function withFile(
  directory: OpfsDirectory,
  name: string,
  create: boolean,
  work: (file: SyncFile) => Result<undefined>,
): Promise<Result<undefined>> {
  try {
    const handle = await directory.getFileHandle(name, { create });
    const file = await handle.createSyncAccessHandle({ mode: 'readwrite' });
    try {
      return work(file);
    } finally {
      file.close();
    }
  } catch (error) {
    return failure(openProblem(name, error));
  }
}

/** Why the file of a disk cannot be opened, for people. */
export function openProblem(name: string, error: unknown): string {
  switch (errorName(error)) {
    case 'NotFoundError':
      return `There is no disk “${name}”. Create it first.`;
    case 'NoModificationAllowedError':
    case 'InvalidStateError':
      return `The disk “${name}” is in use, perhaps in another tab. Close that one, then try again.`;
    case 'QuotaExceededError':
      return `The browser has no room for the disk “${name}”.`;
    default:
      return `The disk “${name}” cannot be opened: ${error instanceof Error ? error.message : String(error)}`;
  }
}

async function exists(directory: OpfsDirectory, name: string): Promise<boolean> {
  try {
    await directory.getFileHandle(name);
    return true;
  } catch {
    return false;
  }
}

async function removeQuietly(directory: OpfsDirectory, name: string): Promise<void> {
  try {
    await directory.removeEntry(name);
  } catch {
    // It was never made, or cannot be removed: the failure that is reported says why.
  }
}
