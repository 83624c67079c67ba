/** Reads Debian packages: an ar archive (deb(5)) whose data member is a compressed tar archive. */
import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { filter } from './process.ts';
import { readTar } from './tar.ts';
import type { TarEntry } from './tar.ts';

const AR_MAGIC = '!<arch>\n';
const AR_HEADER_BYTES = 60;

export interface ArMember {
  readonly name: string;
  readonly data: Uint8Array;
}

/** The members of an ar archive in the common format that deb(5) prescribes (ar(5)). */
export function readAr(archive: Uint8Array): ArMember[] {
  const latin1 = new TextDecoder('latin1');
  const text = (from: number, length: number): string =>
    latin1.decode(archive.subarray(from, from + length)).trimEnd();
  if (latin1.decode(archive.subarray(0, 8)) !== AR_MAGIC)
    throw new Error('not an ar archive (no !<arch> magic)');
  const members: ArMember[] = [];
  let offset = AR_MAGIC.length;
  while (offset + AR_HEADER_BYTES <= archive.length) {
    if (text(offset + 58, 2) !== '`') throw new Error(`ar archive: damaged member header at ${offset}`);
    const size = Number.parseInt(text(offset + 48, 10), 10);
    const start = offset + AR_HEADER_BYTES;
    if (!Number.isInteger(size) || start + size > archive.length)
      throw new Error('ar archive: truncated member');
    members.push({ name: text(offset, 16).replace(/\/$/, ''), data: archive.subarray(start, start + size) });
    // Members start at even offsets.
    offset = start + size + (size & 1);
  }
  return members;
}

/** The files of a package for which `wanted` says yes, with paths relative to the root and no leading `./`. */
export function readDeb(deb: Uint8Array, wanted: (path: string) => boolean): AsyncGenerator<TarEntry> {
  const member = readAr(deb).find((candidate) => candidate.name.startsWith('data.tar'));
  if (member === undefined) throw new Error('Debian package without a data.tar member');
  return readTar(decompress(member), wanted);
}

/** The contents of the first file in the package whose path matches. */
export async function readFirst(file: string, pattern: RegExp): Promise<Uint8Array> {
  for await (const entry of readDeb(await readFile(file), (path) => pattern.test(path))) {
    if (entry.type === 'file') return entry.data;
  }
  throw new Error(`${file} holds no file that matches ${pattern.source}`);
}

async function* decompress(member: ArMember): AsyncGenerator<Uint8Array> {
  switch (member.name) {
    case 'data.tar':
      yield member.data;
      return;
    case 'data.tar.gz':
      yield gunzipSync(member.data);
      return;
    case 'data.tar.xz':
      yield* filter('xz', ['-dc'], member.data);
      return;
    case 'data.tar.zst':
      yield* filter('zstd', ['-dc'], member.data);
      return;
    default:
      throw new Error(`Debian package with an unknown compression: ${member.name}`);
  }
}
