/** Debian packages by name, through apt: nothing here knows a mirror or a version. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Result } from '../../src/base/result.ts';
import { failure, success } from '../../src/base/result.ts';
import { cacheFolder } from './folders.ts';
import { run } from './process.ts';

export interface Package {
  /** With the architecture where it is not the host's: `linux-image-686:i386`. */
  readonly name: string;
  readonly version: string;
  /** The downloaded .deb. */
  readonly file: string;
}

export type Log = (line: string) => void;

export async function hasApt(): Promise<boolean> {
  return (await run('apt-cache', ['--version'])).code === 0;
}

/** Which package lists apt works with: options for it. */
export interface Apt {
  readonly options: readonly string[];
}

/** The system's own. */
const SYSTEM_APT: Apt = { options: [] };

/** Lists of ours are taken as fresh for so long. */
const LISTS_AGE_MS = 3_600_000;

/**
 * Runs `attempt` with the system's package lists, and if that fails, with lists of our own, brought up to date: the
 * system's may be missing (a fresh container), lack a foreign architecture, or name a version that the mirror has
 * replaced. Ours are in the cache folder, so that it takes no root and changes nothing in the system.
 */
export async function withApt<T>(
  architecture: string,
  attempt: (apt: Apt) => Promise<Result<T>>,
  log: Log,
): Promise<Result<T>> {
  if (!(await hasApt())) return failure(NO_APT);
  const first = await attempt(SYSTEM_APT);
  if (first.ok) return first;
  const folder = join(cacheFolder(), 'apt');
  const lists = join(folder, 'lists');
  await mkdir(join(lists, 'partial'), { recursive: true });
  await mkdir(join(folder, 'cache', 'archives', 'partial'), { recursive: true });
  const apt: Apt = {
    options: [
      ...option(`Dir::State::Lists=${lists}`),
      ...option(`Dir::Cache=${join(folder, 'cache')}`),
      ...option(`APT::Architectures::=${await hostArchitecture()}`),
      ...option(`APT::Architectures::=${architecture}`),
    ],
  };
  const stamp = join(folder, `updated-${architecture}`);
  const updated = await stat(stamp).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );
  if (Date.now() - updated > LISTS_AGE_MS) {
    log('fetching the package lists');
    await run('apt-get', ['-q', ...SANDBOX, ...apt.options, 'update']);
    await writeFile(stamp, '');
  }
  return attempt(apt);
}

/** apt verifies signatures whoever runs it; its unprivileged user may not be able to write where we want it to. */
export const SANDBOX = process.getuid?.() === 0 ? option('APT::Sandbox::User=root') : [];

export function option(setting: string): string[] {
  return ['-o', setting];
}

export async function hostArchitecture(): Promise<string> {
  return (await run('dpkg', ['--print-architecture'])).stdout.trim();
}

async function show(apt: Apt, name: string): Promise<string> {
  return (await run('apt-cache', [...apt.options, 'show', '--no-all-versions', name])).stdout;
}

/** The package that a meta package such as linux-image-cloud-amd64 depends on; `pattern` picks among several. */
export async function resolveMetaPackage(apt: Apt, name: string, pattern: RegExp): Promise<Result<string>> {
  const depends = /^Depends: (.*)$/m.exec(await show(apt, name))?.[1] ?? '';
  const found = depends
    .split(',')
    .map((entry) => entry.trim().split(/[ (]/)[0] ?? '')
    .find((entry) => pattern.test(entry));
  if (found === undefined) return failure(unknownPackage(name));
  const architecture = name.split(':')[1];
  return success(architecture === undefined ? found : `${found.split(':')[0]}:${architecture}`);
}

/** Makes sure that the candidate version of `name` is in the cache. Only the download touches the network. */
export async function fetchPackage(apt: Apt, name: string, log: Log): Promise<Result<Package>> {
  const shown = await show(apt, name);
  const version = /^Version: (.*)$/m.exec(shown)?.[1];
  if (version === undefined) return failure(unknownPackage(name));
  const megabytes = (Number(/^Size: (\d+)$/m.exec(shown)?.[1] ?? 0) / 1e6).toFixed(1);
  const sha256 = /^SHA256: ([0-9a-f]{64})$/m.exec(shown)?.[1];
  const folder = join(cacheFolder(), 'debian');
  await mkdir(folder, { recursive: true });
  const cached = await findDeb(folder, name, version);
  if (cached !== undefined) {
    if (await hasHash(cached, sha256)) return success({ name, version, file: cached });
    // A download that was cut off.
    await rm(cached);
  }
  log(`downloading ${name} ${version} (${megabytes} MB)`);
  const arguments_ = ['-q', ...SANDBOX, ...apt.options, 'download', `${name}=${version}`];
  const download = await run('apt-get', arguments_, { cwd: folder });
  const file = await findDeb(folder, name, version);
  if (download.code !== 0 || file === undefined) {
    const reason = download.stderr.trim().split('\n').at(-1) ?? '';
    return failure(
      `apt-get could not download ${name} ${version} (${reason}). Check the network, or run: apt-get update`,
    );
  }
  return success({ name, version, file });
}

async function hasHash(file: string, sha256: string | undefined): Promise<boolean> {
  if (sha256 === undefined) return true;
  return (
    createHash('sha256')
      .update(await readFile(file))
      .digest('hex') === sha256
  );
}

/** apt encodes the colon of an epoch as %3a in file names. */
export async function findDeb(folder: string, name: string, version: string): Promise<string | undefined> {
  const prefix = `${name.split(':')[0]}_${version.replaceAll(':', '%3a')}_`;
  const architecture = name.split(':')[1];
  const names = await readdir(folder);
  const found = names.find(
    (file) =>
      file.startsWith(prefix) &&
      file.endsWith('.deb') &&
      (architecture === undefined || file.endsWith(`_${architecture}.deb`)),
  );
  return found === undefined ? undefined : join(folder, found);
}

/** The newest download whose package name `pattern` matches: what is left when apt is not there or cannot help. */
export async function newestCached(pattern: RegExp, architecture: string): Promise<Package | undefined> {
  const folder = join(cacheFolder(), 'debian');
  const names = await readdir(folder).catch(() => []);
  const candidates = names
    .map((file) => ({ file, parts: file.slice(0, -'.deb'.length).split('_') }))
    .filter(
      ({ file, parts }) => file.endsWith('.deb') && pattern.test(parts[0] ?? '') && parts[2] === architecture,
    );
  const dated = await Promise.all(
    candidates.map(async (entry) => ({ ...entry, time: (await stat(join(folder, entry.file))).mtimeMs })),
  );
  const newest = dated.toSorted((a, b) => b.time - a.time)[0];
  if (newest === undefined) return undefined;
  const [name = '', version = ''] = newest.parts;
  return { name, version: version.replaceAll('%3a', ':'), file: join(folder, newest.file) };
}

export interface Program {
  /** The Debian package that has it. */
  readonly package: string;
  /** For messages: what it is needed for. */
  readonly needed: string;
  readonly isThere: () => Promise<boolean>;
}

/** Installs the packages of those programs that are missing; that takes root and apt. */
export async function ensurePrograms(programs: readonly Program[], log: Log): Promise<Result<true>> {
  const missing: Program[] = [];
  for (const program of programs) if (!(await program.isThere())) missing.push(program);
  if (missing.length === 0) return success(true);
  const packages = missing.map((program) => program.package);
  const why = missing.map((program) => `${program.package} (for ${program.needed})`).join(', ');
  const byHand = `Missing: ${why}. On Debian, as root: apt-get install ${packages.join(' ')}`;
  if (process.getuid?.() !== 0 || !(await hasApt())) return failure(byHand);
  log(`installing ${packages.join(' ')}`);
  const environment = { env: { DEBIAN_FRONTEND: 'noninteractive' } };
  const install = ['-q', '-y', '--no-install-recommends', 'install', ...packages];
  let result = await run('apt-get', install, environment);
  if (result.code !== 0) {
    await run('apt-get', ['-q', 'update']);
    result = await run('apt-get', install, environment);
  }
  return result.code === 0 ? success(true) : failure(`${byHand}\n${result.stderr.trim()}`);
}

const NO_APT =
  'This machine has no apt, which the default guest is built with. ' +
  'Take a kernel and an initrd of your own in the page, or run this once on Debian and copy build/guest/.';

function unknownPackage(name: string): string {
  return `apt knows no package ${name}. On other systems than Debian, take a kernel and an initrd of your own in the page.`;
}
