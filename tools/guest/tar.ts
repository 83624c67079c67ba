/** Reads tar archives (POSIX ustar with GNU long names, which is what dpkg-deb writes) as a stream. */

export interface TarEntry {
  /** Relative to the archive's root, without a leading `./`. */
  readonly path: string;
  readonly mode: number;
  readonly type: 'file' | 'symlink' | 'hardlink' | 'directory' | 'other';
  /** Target of a symbolic link, or the path of the earlier entry that a hard link is another name of. */
  readonly link: string;
  readonly data: Uint8Array;
}

const BLOCK_BYTES = 512;

const TYPES: Readonly<Record<string, TarEntry['type']>> = {
  '0': 'file',
  '\0': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '5': 'directory',
};

/** Yields the entries whose path `wanted` accepts; the contents of others are skipped, not kept. */
export async function* readTar(
  input: AsyncIterable<Uint8Array>,
  wanted: (path: string) => boolean,
): AsyncGenerator<TarEntry> {
  const reader = new ChunkReader(input);
  try {
    yield* readEntries(reader, wanted);
  } finally {
    // The caller may have found what it wanted: the program behind the input must end too.
    await reader.close();
  }
}

async function* readEntries(
  reader: ChunkReader,
  wanted: (path: string) => boolean,
): AsyncGenerator<TarEntry> {
  let longName: string | undefined;
  let longLink: string | undefined;
  for (;;) {
    const header = await reader.read(BLOCK_BYTES);
    if (header === undefined || header.every((byte) => byte === 0)) return;
    checkHeader(header);
    const size = octal(header, 124, 12);
    const padded = Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;
    const kind = String.fromCharCode(header[156]!);
    if (kind === 'L' || kind === 'K') {
      const name = cString(await reader.readExactly(padded), 0, size);
      if (kind === 'L') longName = name;
      else longLink = name;
      continue;
    }
    const prefix = cString(header, 345, 155);
    const shortName = cString(header, 0, 100);
    const isPosix = cString(header, 257, 6) === 'ustar';
    const path = normalize(longName ?? (isPosix && prefix !== '' ? `${prefix}/${shortName}` : shortName));
    const link = longLink ?? cString(header, 157, 100);
    longName = undefined;
    longLink = undefined;
    const type = TYPES[kind] ?? 'other';
    if (!wanted(path)) {
      await reader.skip(padded);
      continue;
    }
    const data = (await reader.readExactly(padded)).subarray(0, size);
    yield { path, mode: octal(header, 100, 8), type, link, data };
  }
}

function normalize(path: string): string {
  return path.replace(/^(\.?\/)+/, '').replace(/\/+$/, '');
}

function cString(bytes: Uint8Array, from: number, length: number): string {
  const field = bytes.subarray(from, from + length);
  const end = field.indexOf(0);
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
}

function octal(bytes: Uint8Array, from: number, length: number): number {
  const text = cString(bytes, from, length).trim();
  return text === '' ? 0 : Number.parseInt(text, 8);
}

/** The checksum is the sum of the header's bytes with its own field taken as spaces. */
function checkHeader(header: Uint8Array): void {
  let sum = 0;
  header.forEach((byte, index) => (sum += index >= 148 && index < 156 ? 0x20 : byte));
  if (sum !== octal(header, 148, 8)) throw new Error('tar archive: a header has a wrong checksum');
}

class ChunkReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array(0);

  constructor(input: AsyncIterable<Uint8Array>) {
    this.#source = input[Symbol.asyncIterator]();
  }

  /** `length` bytes, or undefined at a clean end of the input. */
  async read(length: number): Promise<Uint8Array | undefined> {
    const result = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      if (this.#chunk.length === 0 && !(await this.#advance())) {
        if (filled === 0) return undefined;
        throw new Error('tar archive: unexpected end');
      }
      const part = this.#chunk.subarray(0, length - filled);
      result.set(part, filled);
      filled += part.length;
      this.#chunk = this.#chunk.subarray(part.length);
    }
    return result;
  }

  async readExactly(length: number): Promise<Uint8Array> {
    const bytes = await this.read(length);
    if (bytes === undefined) throw new Error('tar archive: unexpected end');
    return bytes;
  }

  async skip(length: number): Promise<void> {
    let left = length;
    while (left > 0) {
      if (this.#chunk.length === 0 && !(await this.#advance()))
        throw new Error('tar archive: unexpected end');
      const step = Math.min(left, this.#chunk.length);
      this.#chunk = this.#chunk.subarray(step);
      left -= step;
    }
  }

  async close(): Promise<void> {
    await this.#source.return?.();
  }

  async #advance(): Promise<boolean> {
    const next = await this.#source.next();
    if (next.done === true) return false;
    this.#chunk = next.value;
    return true;
  }
}
