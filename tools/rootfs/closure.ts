/** Debian packages with everything that they depend on, as apt resolves it for a system that has nothing yet. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Result } from '../../src/base/result.ts';
import { failure, success } from '../../src/base/result.ts';
import { findDeb, option, SANDBOX, withApt } from '../guest/apt.ts';
import type { Apt, Log, Package } from '../guest/apt.ts';
import { cacheFolder } from '../guest/folders.ts';
import { run } from '../guest/process.ts';

export type Architecture = 'amd64' | 'i386';

/** The packages `names` and their dependencies, without recommendations, downloaded; sorted by name. */
export function fetchClosure(
  names: readonly string[],
  architecture: Architecture,
  log: Log,
): Promise<Result<readonly Package[]>> {
  return withApt(architecture, (apt) => fetchWith(apt, names, architecture, log), log);
}

async function fetchWith(
  apt: Apt,
  names: readonly string[],
  architecture: Architecture,
  log: Log,
): Promise<Result<readonly Package[]>> {
  const archives = join(cacheFolder(), 'debian');
  await mkdir(join(archives, 'partial'), { recursive: true });
  // The dpkg status of a system without packages.
  const status = join(cacheFolder(), 'no-packages');
  await writeFile(status, '');
  const options = [
    ...apt.options,
    ...option(`Dir::State::Status=${status}`),
    ...option(`Dir::Cache::Archives=${archives}`),
    ...option(`APT::Architecture=${architecture}`),
    ...option(`APT::Architectures=${architecture}`),
    // Builds for both architectures may run at once; each file has a name of its own.
    ...option('Debug::NoLocking=1'),
    '--no-install-recommends',
  ];
  const plan = await run('apt-get', [...options, '--simulate', 'install', ...names]);
  if (plan.code !== 0) return failure(lastLine(plan.stderr, `apt cannot resolve ${names.join(' ')}`));
  const wanted = [...plan.stdout.matchAll(/^Inst (\S+) \((\S+) /gm)].map(([, name = '', version = '']) => ({
    name: name.split(':')[0] ?? name,
    version,
  }));
  const download = ['-q', '-y', ...SANDBOX, ...options, '--download-only', 'install', ...names];
  log(`fetching ${wanted.length} packages for ${architecture}`);
  const fetched = await run('apt-get', download);
  if (fetched.code !== 0) return failure(lastLine(fetched.stderr, 'apt cannot download the packages'));
  const packages: Package[] = [];
  for (const { name, version } of wanted) {
    const file =
      (await findDeb(archives, `${name}:${architecture}`, version)) ??
      (await findDeb(archives, `${name}:all`, version));
    if (file === undefined) return failure(`apt downloaded no ${name} ${version} for ${architecture}.`);
    packages.push({ name, version, file });
  }
  return success(packages.toSorted((a, b) => (a.name < b.name ? -1 : 1)));
}

function lastLine(text: string, what: string): string {
  return `${what}: ${text.trim().split('\n').at(-1) ?? ''}`;
}
