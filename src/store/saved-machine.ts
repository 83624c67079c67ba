/**
 * A machine as it is kept: its settings are the QEMU options that give them, so that they are read by the parser that knows what is
 * possible, and a machine that an older version saved is checked like anything else that comes from outside.
 */
import { failure, success } from '../base/result.ts';
import type { Result } from '../base/result.ts';
import { parseQemuOptions, toQemuArguments } from '../config/qemu-options.ts';
import type { VmConfig } from '../config/vm-config.ts';

export interface SavedMachine {
  readonly id: string;
  readonly name: string;
  /** Kernel and initrd in it are addresses; the site's default guest where there are none. */
  readonly config: VmConfig;
  /** Names of files of the user's that are kept beside it: they go before what `config` says. */
  readonly kernelFile?: string;
  readonly initrdFile?: string;
  /** Starts without an initial RAM disk, although the site has one. */
  readonly noInitrd?: boolean;
  /** Disks that are files of the user's, used where they are: a page cannot keep those. */
  readonly inPlace?: readonly string[];
  /** When it was last started, in ms since 1970; 0: never. */
  readonly usedAt: number;
}

const FORMAT = 1;
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const CONTROL = /[\u0000-\u001f]/g;
export const MACHINE_NAME_MAX = 60;

/** What is stored and exported: plain data. */
export interface EncodedMachine {
  readonly virtab: typeof FORMAT;
  readonly id: string;
  readonly name: string;
  readonly options: readonly string[];
  readonly kernelFile?: string;
  readonly initrdFile?: string;
  readonly noInitrd?: boolean;
  readonly inPlace?: readonly string[];
  readonly usedAt: number;
}

export function encodeMachine({ config, ...rest }: SavedMachine): EncodedMachine {
  return { virtab: FORMAT, ...rest, options: toQemuArguments(config) };
}

export function decodeMachine(value: unknown): Result<SavedMachine> {
  if (typeof value !== 'object' || value === null) return failure('This is not a machine of Virtab.');
  const { virtab, id, name, options, kernelFile, initrdFile, noInitrd, inPlace, usedAt } = value as Record<
    string,
    unknown
  >;
  if (virtab !== FORMAT) {
    return failure(
      typeof virtab === 'number'
        ? 'This machine was saved by a newer version of Virtab. Reload the page to get that version.'
        : 'This is not a machine of Virtab.',
    );
  }
  if (!Array.isArray(options) || !options.every((option) => typeof option === 'string'))
    return failure('The settings of this machine cannot be read: its options are missing.');
  const parsed = parseQemuOptions(options);
  if (!parsed.ok) return failure(`${parsed.error.message} ${parsed.error.advice}`);
  return success({
    id: typeof id === 'string' && /^[\w-]{1,64}$/.test(id) ? id : newId(),
    name: cleanName(typeof name === 'string' ? name : ''),
    config: parsed.value.config,
    ...(typeof kernelFile === 'string' ? { kernelFile } : {}),
    ...(typeof initrdFile === 'string' ? { initrdFile } : {}),
    ...(noInitrd === true ? { noInitrd } : {}),
    ...(Array.isArray(inPlace) && inPlace.every((file) => typeof file === 'string') ? { inPlace } : {}),
    usedAt: typeof usedAt === 'number' && usedAt > 0 ? usedAt : 0,
  });
}

export function newId(): string {
  return crypto.randomUUID();
}

export function cleanName(name: string): string {
  const clean = name.replaceAll(CONTROL, '').trim().slice(0, MACHINE_NAME_MAX);
  return clean === '' ? 'Machine' : clean;
}

/** `name`, or `name 2` where that is taken. */
export function freeMachineName(name: string, taken: readonly string[]): string {
  for (let number = 2, free = name; ; free = `${name} ${number++}`) if (!taken.includes(free)) return free;
}
