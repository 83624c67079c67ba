/** Which files a machine is started with: those that were named, or the default guest. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Result } from '../../src/base/result.ts';
import { takesModules } from '../../src/boot/boot.ts';
import { withConsoleSize } from '../../src/machine/default-guest.ts';
import type { VmConfig } from '../../src/config/vm-config.ts';
import { buildGuest } from '../guest/build-guest.ts';
import { GUEST_FOLDER } from '../guest/folders.ts';
import type { ModuleFile } from './runner.ts';

export interface GuestFiles {
  readonly kernel: string;
  readonly initrd?: string;
  readonly modules?: readonly ModuleFile[];
  readonly commandLine: string;
}

function checkFile(option: string, path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return `${option} ${path}: there is no such file.`;
  return stat.isFile() ? undefined : `${option} ${path}: this is not a file.`;
}

/** The files of `-initrd "mod1 args,mod2 args"`, as QEMU reads it: a doubled comma is one that belongs to a name. */
export function parseModules(text: string): ModuleFile[] {
  return (text.match(/(?:[^,]|,,)+/g) ?? [])
    .map((part) => part.replaceAll(',,', ',').trimStart())
    .map((commandLine) => ({ path: commandLine.split(' ', 1)[0] ?? '', commandLine }));
}

function findModules(kernel: string, commandLine: string, initrd: string | undefined): Result<GuestFiles> {
  const modules = initrd === undefined ? [] : parseModules(initrd);
  const problem = modules.map(({ path }) => checkFile('-initrd', path)).find((text) => text !== undefined);
  return problem === undefined
    ? { ok: true, value: { kernel, modules, commandLine } }
    : { ok: false, error: problem };
}

export async function findGuestFiles(config: VmConfig): Promise<Result<GuestFiles>> {
  const { kernel, initrd, commandLine } = config;
  if (
    kernel !== undefined &&
    checkFile('-kernel', kernel) === undefined &&
    takesModules(readFileSync(kernel))
  ) {
    return findModules(kernel, commandLine ?? '', initrd);
  }
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
  const usual = commandLine ?? value.commandLine;
  const { isTTY, columns, rows } = process.stdout;
  return {
    ok: true,
    value: {
      kernel: join(GUEST_FOLDER, value.kernel.file),
      initrd: initrd ?? join(GUEST_FOLDER, value.initrd.file),
      commandLine: isTTY && initrd === undefined ? withConsoleSize(usual, { columns, rows }) : usual,
    },
  };
}
