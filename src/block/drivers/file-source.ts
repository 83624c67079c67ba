/** A file that the user dropped or chose, read where it is. */
import type { RangeResult, RangeSource } from './range-source.ts';
import { errorName } from './sync-file.ts';

/** What is used of a File and a FileReaderSync; injected, so that they can be fakes. */
export interface ReadableFile {
  readonly name: string;
  readonly size: number;
  /** Reads synchronously, as `new FileReaderSync().readAsArrayBuffer(file.slice(start, end))`; throws as that does. */
  readSync(start: number, end: number): ArrayBuffer;
}

export function fileSource(file: ReadableFile): RangeSource {
  return {
    sizeBytes: file.size,
    parallel: 1,
    read: (start, end, done) => done(readFile(file, start, end)),
    close: () => {},
  };
}

function readFile(file: ReadableFile, start: number, end: number): RangeResult {
  try {
    const data = new Uint8Array(file.readSync(start, end));
    return data.length === end - start ? { ok: true, data } : { ok: false, problem: changed(file) };
  } catch (error) {
    const name = errorName(error);
    // The browser remembers size and time of the file; when they differ it reads nothing any more.
    if (name === 'NotReadableError' || name === 'NotFoundError') return { ok: false, problem: changed(file) };
    return { ok: false, problem: `The file “${file.name}” cannot be read: ${name || String(error)}.` };
  }
}

function changed(file: ReadableFile): string {
  return (
    `The file “${file.name}” was changed, moved or removed after it was opened, so it cannot be read any more. ` +
    'Open it again, and start the machine anew.'
  );
}
