/**
 * Other names that an address of the page may use: v86's common parameters, so that its links need little change, and presets. They
 * become parameters of our own before the address is read.
 */
import { failure, success } from '../base/result.ts';
import type { Result } from '../base/result.ts';
import { configError } from './config-error.ts';
import type { ConfigError } from './config-error.ts';
import type { SearchParameters } from './url-options.ts';

type Parameter = readonly [name: string, value: string];

/** An image that the address names by its own address: fetched as a whole, and read in place. */
export interface LinkedImage {
  readonly url: string;
  readonly name: string;
}

export interface TranslatedAddress {
  readonly parameters: readonly Parameter[];
  readonly images: readonly LinkedImage[];
}

const SAME_MEANING: Readonly<Record<string, string>> = {
  'bzimage.url': 'kernel',
  'kernel.url': 'kernel',
  'initrd.url': 'initrd',
  cmdline: 'append',
  mem: 'm',
  memory_size: 'm',
};

const IMAGES = ['hda.url', 'hdb.url', 'cdrom.url'];

/** About how v86 fetches and shows things, which is settled here. */
const NO_MEANING = [
  'hda.size',
  'hda.async',
  'hda.fixed_chunk_size',
  'hdb.size',
  'hdb.async',
  'cdrom.size',
  'cdrom.async',
  'bzimage.size',
  'initrd.size',
  'vram',
  'mute',
  'theme',
  'c',
];

/** Of v86, and not possible yet. */
const NOT_POSSIBLE: Readonly<Record<string, string>> = {
  'fda.url': 'Floppy disks are not there yet',
  'state.url': 'Snapshots are not there yet',
  relay_url: 'There is no network relay yet',
  networking_proxy: 'There is no network relay yet',
  boot_order: 'There is no firmware yet that could boot from a disk',
};

/** `profile=`: what a machine is for. Parameters beside it go before. */
export const PROFILES: Readonly<Record<string, readonly Parameter[]>> = {
  default: [],
  small: [['m', '128M']],
  large: [
    ['m', '2G'],
    ['jit', 'on'],
  ],
};

export function translateAddress(given: SearchParameters): Result<TranslatedAddress, ConfigError> {
  const parameters: Parameter[] = [];
  const preset: Parameter[] = [];
  const images: LinkedImage[] = [];
  for (const [name, value] of given) {
    if (NO_MEANING.includes(name)) continue;
    const notPossible = NOT_POSSIBLE[name];
    if (notPossible !== undefined) {
      return configError(
        name,
        `The address of the page asks for "${name}": ${notPossible}.`,
        'Remove it from the address.',
      );
    }
    if (name === 'profile') {
      const profile = Object.hasOwn(PROFILES, value) ? PROFILES[value] : undefined;
      if (profile === undefined) return unknownProfile(value);
      preset.push(...profile);
    } else if (IMAGES.includes(name)) {
      const image = { url: value, name: nameOf(value, images) };
      images.push(image);
      parameters.push(['drive', `file=${image.name.replaceAll(',', ',,')},readonly=on`]);
    } else parameters.push([SAME_MEANING[name] ?? name, name === 'memory_size' ? inMebibytes(value) : value]);
  }
  return success({ parameters: [...preset, ...parameters], images });
}

function unknownProfile(value: string): Result<never, ConfigError> {
  return failure({
    option: 'profile',
    message: `The address of the page asks for the profile "${value}", which does not exist.`,
    advice: `Use one of ${Object.keys(PROFILES).join(', ')}, or remove it from the address.`,
  });
}

function nameOf(url: string, taken: readonly LinkedImage[]): string {
  const last = url.split(/[?#]/, 1)[0]!.split('/').at(-1) ?? '';
  const name = last === '' ? 'disk.img' : last;
  return taken.some((image) => image.name === name) ? `${taken.length}-${name}` : name;
}

/** v86 counts memory in bytes there. */
function inMebibytes(bytes: string): string {
  const value = Number(bytes);
  return Number.isFinite(value) && value >= 1024 * 1024 ? String(Math.round(value / (1024 * 1024))) : bytes;
}
