/** The guest that comes with the site: `guest/manifest.json` and the files beside it (made by `npm start`). */
import { fileFromUrl, readOnce } from './boot-file.ts';
import type { BootFile } from './boot-file.ts';

export interface DefaultGuest {
  readonly release: string;
  readonly commandLine: string;
  readonly kernel: BootFile;
  readonly initrd: BootFile;
}

export interface ConsoleSize {
  readonly columns: number;
  readonly rows: number;
}

/** The default guest takes the size of its serial console from the kernel's command line (tools/guest/initramfs.ts). */
export function withConsoleSize(commandLine: string, { columns, rows }: ConsoleSize): string {
  return `${commandLine} COLUMNS=${columns} LINES=${rows}`;
}

interface ManifestFile {
  readonly file: string;
  readonly bytes: number;
}

function isManifestFile(value: unknown): value is ManifestFile {
  return (
    typeof value === 'object' &&
    value !== null &&
    'file' in value &&
    typeof value.file === 'string' &&
    /^[\w.-]+$/.test(value.file)
  );
}

/** Undefined where the site has no guest, or none that this version understands. */
export async function findDefaultGuest(folder: string): Promise<DefaultGuest | undefined> {
  let manifest: unknown;
  try {
    const response = await fetch(`${folder}manifest.json`);
    if (!response.ok) return undefined;
    manifest = await response.json();
  } catch {
    // No server, or a web page in place of the manifest: many static hosts' answer for a missing file.
    return undefined;
  }
  if (typeof manifest !== 'object' || manifest === null) return undefined;
  const { format, release, commandLine, kernel, initrd } = manifest as Record<string, unknown>;
  if (format !== 1 || !isManifestFile(kernel) || !isManifestFile(initrd)) return undefined;
  return {
    release: typeof release === 'string' ? release : 'unknown',
    commandLine: typeof commandLine === 'string' ? commandLine : '',
    kernel: readOnce(fileFromUrl(kernel.file, folder + kernel.file)),
    initrd: readOnce(fileFromUrl(initrd.file, folder + initrd.file)),
  };
}
