/** Which files a machine is started with: those that were named, or the default guest. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Result } from '../../src/base/result.ts';
import type { VmConfig } from '../../src/config/vm-config.ts';
import { buildGuest } from '../guest/build-guest.ts';
import { GUEST_FOLDER } from '../guest/folders.ts';

export interface GuestFiles {
  readonly kernel: string;
  readonly initrd?: string;
  readonly commandLine: string;
}

function checkFile(option: string, path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return `${option} ${path}: there is no such file.`;
  return stat.isFile() ? undefined : `${option} ${path}: this is not a file.`;
}

export async function findGuestFiles(config: VmConfig): Promise<Result<GuestFiles>> {
  const { kernel, initrd, commandLine } = config;
  const problem =
    (kernel === undefined ? undefined : checkFile('-kernel', kernel)) ??
    (initrd === undefined ? undefined : checkFile('-initrd', initrd));
  if (problem !== undefined) return { ok: false, error: problem };
  if (kernel !== undefined) {
    return {
      ok: true,
      value: { kernel, ...(initrd === undefined ? {} : { initrd }), commandLine: commandLine ?? '' },
    };
  }
  const guest = await buildGuest((line) => process.stderr.write(`${line}\n`));
  if (!guest.ok) {
    return {
      ok: false,
      error: `${guest.error}\n    Without the default guest, name a kernel: -kernel FILE.`,
    };
  }
  const { value } = guest;
  return {
    ok: true,
    value: {
      kernel: join(GUEST_FOLDER, value.kernel.file),
      initrd: initrd ?? join(GUEST_FOLDER, value.initrd.file),
      commandLine: commandLine ?? value.commandLine,
    },
  };
}
