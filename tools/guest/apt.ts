/** Debian packages by name, through apt: nothing here knows a mirror or a version. */
import { mkdir, readdir } from 'node:fs/promises';
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
  const folder = join(cacheFolder(), 'debian');
  await mkdir(folder, { recursive: true });
  const cached = await findDeb(folder, name, version);
  if (cached !== undefined) return success({ name, version, file: cached });
  log(`downloading ${name} ${version}`);
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

/** Package lists may be missing (a fresh container) or lack a foreign architecture; root can bring them. */
export async function ensureKnown(name: string, log: Log): Promise<Result<true>> {
  if (!(await hasApt())) return failure(NO_APT);
  const isKnown = async (): Promise<boolean> =>
    (await run('apt-cache', ['show', '--no-all-versions', name])).stdout.includes('Version:');
  if (await isKnown()) return success(true);
  if (process.getuid?.() !== 0) return failure(unknownPackage(name));
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
  return (await isKnown()) ? success(true) : failure(unknownPackage(name));
}

const NO_APT =
  'This machine has no apt, which the default guest is built with. ' +
  'Take a kernel and an initrd of your own in the page, or run this once on Debian and copy build/guest/.';

function unknownPackage(name: string): string {
  return `apt knows no package ${name}. Run "apt-get update" as root; on other systems than Debian take a kernel of your own.`;
}
