/** The host's page cache of a disk's image: what `cold` in docs/benchmarks-io.md drops. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Writes what is dirty of the file, and drops what the host has of it (GNU dd's `nocache`: posix_fadvise(2), POSIX_FADV_DONTNEED). */
export function dropCache(file: string): void {
  execFileSync('sync', ['--data', file]);
  execFileSync('dd', [`if=${file}`, 'iflag=nocache', 'count=0', 'status=none']);
}

/** Files of so many bytes in the profiles of the browsers among these processes: the images that they keep in OPFS. */
export function imagesInProfiles(processes: readonly number[], bytes: number): readonly string[] {
  const profiles = processes.flatMap((pid) => {
    const found = /\0--user-data-dir=([^\0]+)/.exec(commandLine(pid));
    return found === null ? [] : [found[1]!];
  });
  return [...new Set(profiles)].flatMap((profile) => files(join(profile, 'Default', 'File System'), bytes));
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    // It ended meanwhile.
    return '';
  }
}

function files(folder: string, bytes: number): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => statSync(file).size === bytes);
}
