/** Files of the host for the drivers of images: what the browser's private file system is on the page. */
import {
  closeSync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { domError } from './dom-error.ts';
import type { OpfsDirectory, OpfsFile, OpfsMode } from '../../src/block/drivers/opfs-directory.ts';
import type { SyncFile } from '../../src/block/drivers/sync-file.ts';

class NodeFile implements SyncFile {
  readonly #fd: number;

  constructor(path: string, mode: OpfsMode) {
    this.#fd = openSync(path, mode === 'read-only' ? 'r' : 'r+');
  }

  read(target: Uint8Array, { at }: { at: number }): number {
    return readSync(this.#fd, target, 0, target.length, at);
  }

  write(source: Uint8Array, { at }: { at: number }): number {
    try {
      return writeSync(this.#fd, source, 0, source.length, at);
    } catch (error) {
      throw translated(error);
    }
  }

  flush(): void {
    fdatasyncSync(this.#fd);
  }

  getSize(): number {
    return fstatSync(this.#fd).size;
  }

  truncate(size: number): void {
    try {
      ftruncateSync(this.#fd, size);
    } catch (error) {
      throw translated(error);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** The names by which the block layer knows what happened. */
function translated(error: unknown): unknown {
  switch (codeOf(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return domError('QuotaExceededError', String(error));
    case 'ENOENT':
      return domError('NotFoundError', String(error));
    default:
      return error;
  }
}

/** Names are paths. */
export const nodeDirectory: OpfsDirectory = {
  getFileHandle: (name, options) =>
    Promise.resolve().then((): OpfsFile => {
      try {
        if (options?.create === true) closeSync(openSync(name, 'a'));
        else statSync(name);
      } catch (error) {
        throw translated(error);
      }
      return {
        name,
        createSyncAccessHandle: (handle) =>
          Promise.resolve().then(() => new NodeFile(name, handle?.mode ?? 'readwrite')),
      };
    }),
  removeEntry: (name) => Promise.resolve().then(() => unlinkSync(name)),
};
