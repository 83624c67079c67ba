/** Everything that a kernel or an initrd can be given as. */
import { fileFromBlob, fileFromBytes, fileFromUrl } from '../machine/boot-file.ts';
import type { BootFile } from '../machine/boot-file.ts';

/** A URL (a string is one, relative to the document), a file that the user chose, bytes, or a source of one's own. */
export type BootSource = string | URL | Blob | Uint8Array<ArrayBuffer> | BootFile;

export function bootFile(source: BootSource): BootFile {
  if (typeof source === 'string' || source instanceof URL) {
    const url = String(source);
    return fileFromUrl(url.split(/[?#]/, 1)[0]!.split('/').at(-1) || url, url);
  }
  if (source instanceof Blob) return fileFromBlob(source instanceof File ? source.name : 'image', source);
  if (source instanceof Uint8Array) return fileFromBytes('image', source);
  return source;
}
