/** Debian packages by name, through apt: nothing here knows a mirror or a version. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rm, stat } from 'node:fs/promises';
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

/** The package that a meta package such as linux-image-cloud-amd64 depends on; `pattern` picks among several. */
export async function resolveMetaPackage(name: string, pattern: RegExp): Promise<Result<string>> {
  if (!(await hasApt())) return failure(NO_APT);
  const shown = await run('apt-cache', ['show', '--no-all-versions', name]);
  const depends = /^Depends: (.*)$/m.exec(shown.stdout)?.[1] ?? '';
  const found = depends
    .split(',')
    .map((entry) => entry.trim().split(/[ (]/)[0] ?? '')
    .find((entry) => pattern.test(entry));
  if (found === undefined) return failure(unknownPackage(name));
  const architecture = name.split(':')[1];
  return success(architecture === undefined ? found : `${found.split(':')[0]}:${architecture}`);
}

/** Makes sure that the candidate version of `name` is in the cache. Only the download touches the network. */
export async function fetchPackage(name: string, log: Log): Promise<Result<Package>> {
  if (!(await hasApt())) return failure(NO_APT);
  const shown = await run('apt-cache', ['show', '--no-all-versions', name]);
  const version = /^Version: (.*)$/m.exec(shown.stdout)?.[1];
  if (version === undefined) return failure(unknownPackage(name));
  const megabytes = (Number(/^Size: (\d+)$/m.exec(shown.stdout)?.[1] ?? 0) / 1e6).toFixed(1);
  const folder = join(cacheFolder(), 'debian');
  await mkdir(folder, { recursive: true });
  const sha256 = /^SHA256: ([0-9a-f]{64})$/m.exec(shown.stdout)?.[1];
  const cached = await findDeb(folder, name, version);
  if (cached !== undefined) {
    if (await hasHash(cached, sha256)) return success({ name, version, file: cached });
    // A download that was cut off.
    await rm(cached);
  }
  log(`downloading ${name} ${version} (${megabytes} MB)`);
  // apt verifies the signature chain of what it downloads. Its unprivileged user may not be able to write here.
  const download = await run(
    'apt-get',
    ['-q', '-o', 'APT::Sandbox::User=root', 'download', `${name}=${version}`],
    {
      cwd: folder,
    },
  );
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
async function findDeb(folder: string, name: string, version: string): Promise<string | undefined> {
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

/**
 * Runs `attempt`; if that fails and we are root, brings the package lists up to date and tries once more: they may be
 * missing (a fresh container), lack a foreign architecture, or name a version that the mirror has replaced.
 */
export async function withFreshLists<T>(
  name: string,
  attempt: () => Promise<Result<T>>,
  log: Log,
): Promise<Result<T>> {
  const first = await attempt();
  if (first.ok || process.getuid?.() !== 0 || !(await hasApt())) return first;
  const architecture = name.split(':')[1];
  if (architecture !== undefined) {
    const foreign = await run('dpkg', ['--print-foreign-architectures']);
    if (!foreign.stdout.split('\n').includes(architecture)) {
      log(`adding the architecture ${architecture} to dpkg`);
      await run('dpkg', ['--add-architecture', architecture]);
    }
  }
  log('updating the package lists');
  await run('apt-get', ['-q', 'update']);
  return attempt();
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
  const install = async (): Promise<Result<true>> => {
    log(`installing ${packages.join(' ')}`);
    const result = await run('apt-get', ['-q', '-y', '--no-install-recommends', 'install', ...packages], {
      env: { DEBIAN_FRONTEND: 'noninteractive' },
    });
    return result.code === 0 ? success(true) : failure(`${byHand}\n${result.stderr.trim()}`);
  };
  return withFreshLists('', install, log);
}

const NO_APT =
  'This machine has no apt, which the default guest is built with. ' +
  'Take a kernel and an initrd of your own in the page, or run this once on Debian and copy build/guest/.';

function unknownPackage(name: string): string {
  return `apt knows no package ${name}. Run "apt-get update" as root; on other systems than Debian take a kernel of your own.`;
}
