/** Kernel and initrd, wherever they come from. */
import type { Result } from '../base/result.ts';
import type { Problem } from '../control/status.ts';

export type ReadProgress = (receivedBytes: number, totalBytes?: number) => void;

export interface BootFile {
  readonly name: string;
  /** Rejects only with the abort reason of `signal`. */
  read(progress: ReadProgress, signal: AbortSignal): Promise<Result<Uint8Array<ArrayBuffer>, Problem>>;
}

function notFound(name: string, why: string): Result<never, Problem> {
  return {
    ok: false,
    error: {
      kind: 'not-found',
      message: `${name} could not be read: ${why}.`,
      advice: 'Check the name and try again, or choose the file from this computer.',
    },
  };
}

export function fileFromBytes(name: string, bytes: Uint8Array<ArrayBuffer>): BootFile {
  return {
    name,
    read: (progress) => {
      progress(bytes.length, bytes.length);
      return Promise.resolve({ ok: true, value: bytes });
    },
  };
}

/** A file that the user chose or dropped. */
export function fileFromBlob(name: string, blob: Blob): BootFile {
  return {
    name,
    read: async (progress, signal) => {
      try {
        return { ok: true, value: await collect(blob.stream(), blob.size, progress, signal) };
      } catch {
        signal.throwIfAborted();
        return notFound(name, 'it changed or went away since it was chosen');
      }
    },
  };
}

export function fileFromUrl(name: string, url: string): BootFile {
  return {
    name,
    read: async (progress, signal) => {
      try {
        const response = await fetch(url, { signal });
        if (!response.ok)
          return notFound(name, `the server answered ${response.status} ${response.statusText}`.trim());
        // Vite's and many static hosts' answer for a missing file: the page itself.
        if (response.headers.get('Content-Type')?.startsWith('text/html') === true) {
          return notFound(name, 'the server sent a web page instead');
        }
        if (response.body === null) return notFound(name, 'the answer was empty');
        const length = Number(response.headers.get('Content-Length') ?? Number.NaN);
        // With a content encoding the length is that of the encoded bytes: no measure of progress.
        const known = Number.isSafeInteger(length) && response.headers.get('Content-Encoding') === null;
        return {
          ok: true,
          value: await collect(response.body, known ? length : undefined, progress, signal),
        };
      } catch {
        signal.throwIfAborted();
        return notFound(name, 'the server did not answer');
      }
    },
  };
}

/** Reads the file once: what it gave stays, so that a page goes on with it while the site changes. */
export function readOnce(file: BootFile): BootFile {
  let kept: Uint8Array<ArrayBuffer> | undefined;
  return {
    name: file.name,
    read: async (progress, signal) => {
      if (kept !== undefined) return await fileFromBytes(file.name, kept).read(progress, signal);
      const result = await file.read(progress, signal);
      if (result.ok) kept = result.value;
      return result;
    },
  };
}

async function collect(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  total: number | undefined,
  progress: ReadProgress,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const reader = stream.getReader();
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let received = 0;
  progress(0, total);
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    if (signal.aborted) {
      await reader.cancel();
      signal.throwIfAborted();
    }
    parts.push(part.value);
    received += part.value.length;
    progress(received, total);
  }
  const bytes = new Uint8Array(received);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
