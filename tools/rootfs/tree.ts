/**
 * A Debian root file system in memory: packages unpacked as dpkg would, without running their scripts. What those would
 * have done and the guests need (merged /usr, an awk) is made here.
 */
import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Package } from '../guest/apt.ts';
import { CpioArchive } from '../guest/cpio.ts';
import { readDeb } from '../guest/deb.ts';
import type { TarEntry } from '../guest/tar.ts';

export type RootEntry =
  | { readonly type: 'directory'; readonly mode: number }
  | { readonly type: 'file'; readonly mode: number; readonly data: Uint8Array }
  | { readonly type: 'symlink'; readonly target: string };

/** Where Debian 12's root has links into /usr (usrmerge); packages still use the old paths. */
const MERGED = ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32'];

/** Nobody reads them in a test guest, and they are a third of the bytes. */
const DOCUMENTS = /^usr\/share\/(doc|man|info|locale|lintian|bug|gdb|gcc|pixmaps|applications)\//;

/** Paths relative to the root, without a leading slash. */
export class RootTree {
  readonly #entries = new Map<string, RootEntry>();

  get entries(): ReadonlyMap<string, RootEntry> {
    return this.#entries;
  }

  directory(path: string, mode = 0o755): void {
    this.#add(path, { type: 'directory', mode });
  }

  file(path: string, contents: Uint8Array | string, mode = 0o644): void {
    const data = typeof contents === 'string' ? new TextEncoder().encode(contents) : contents;
    this.#add(path, { type: 'file', mode, data });
  }

  symlink(path: string, target: string): void {
    this.#add(path, { type: 'symlink', target });
  }

  async unpack(source: Package, isLeftOut: (path: string) => boolean = () => false): Promise<void> {
    const wanted = (path: string): boolean => path !== '' && !DOCUMENTS.test(path) && !isLeftOut(path);
    for await (const entry of readDeb(await readFile(source.file), wanted)) this.#take(source, entry);
  }

  #take(source: Package, entry: TarEntry): void {
    const path = merged(entry.path);
    switch (entry.type) {
      case 'file':
        return this.file(path, entry.data, entry.mode);
      case 'symlink':
        return this.symlink(path, entry.link);
      case 'directory':
        // One that an earlier package has (or usrmerge has made a link) stays as it is.
        if (!this.#entries.has(path)) this.directory(path, entry.mode);
        return;
      case 'hardlink': {
        const first = this.#entries.get(merged(entry.link.replace(/^\.?\//, '')));
        if (first === undefined)
          throw new Error(`${source.name}: ${path} is a link to a file that is not there`);
        this.#add(path, first);
        return;
      }
      case 'other':
        throw new Error(`${source.name}: ${path} is neither a file nor a link nor a directory`);
    }
  }

  #add(path: string, entry: RootEntry): void {
    const parent = dirname(path);
    if (parent !== '.' && !this.#entries.has(parent)) this.directory(parent);
    this.#entries.set(path, entry);
  }

  /** As an initramfs; see tools/guest/cpio.ts for why it is not compressed. */
  toCpio(): Uint8Array {
    const archive = new CpioArchive();
    for (const [path, entry] of this.#entries) {
      if (entry.type === 'directory') archive.directory(path, entry.mode);
      else if (entry.type === 'symlink') archive.symlink(path, entry.target);
      else archive.file(path, entry.data, entry.mode);
    }
    // The kernel opens the console before anything is mounted on /dev.
    if (this.#entries.has('dev')) {
      archive.characterDevice('dev/console', 5, 1);
      archive.characterDevice('dev/null', 1, 3, 0o666);
    }
    return archive.bytes();
  }

  /** Into an empty folder: to make a disk of it, or to run its programs on this machine. */
  async toFolder(folder: string): Promise<void> {
    for (const [path, entry] of this.#entries) {
      const target = join(folder, path);
      if (entry.type === 'directory') await mkdir(target, { recursive: true });
      else if (entry.type === 'symlink') await symlink(entry.target, target);
      else await writeFile(target, entry.data);
      // Not by the call that makes it, since that is subject to the umask.
      if (entry.type !== 'symlink') await chmod(target, entry.mode);
    }
  }
}

/** The skeleton of a root, before the packages. */
export function emptyRoot(): RootTree {
  const tree = new RootTree();
  for (const path of ['dev', 'etc', 'mnt', 'proc', 'run', 'sys', 'usr', 'var', 'var/tmp'])
    tree.directory(path);
  tree.directory('root', 0o700);
  tree.directory('tmp', 0o1777);
  for (const name of MERGED) {
    tree.directory(`usr/${name}`);
    tree.symlink(name, `usr/${name}`);
  }
  tree.file(
    'etc/passwd',
    'root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n',
  );
  tree.file('etc/group', 'root:x:0:\nnogroup:x:65534:\n');
  tree.file('etc/hosts', '127.0.0.1 localhost\n');
  // update-alternatives makes this one when mawk is configured.
  tree.symlink('usr/bin/awk', 'mawk');
  return tree;
}

function merged(path: string): string {
  return MERGED.includes(path.split('/', 1)[0] ?? '') ? `usr/${path}` : path;
}
