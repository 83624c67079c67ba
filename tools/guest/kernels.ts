/** Debian kernels by flavour: the image and, where wanted, the modules. */
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Result } from '../../src/base/result.ts';
import { success } from '../../src/base/result.ts';
import { fetchPackage, hostArchitecture, newestCached, resolveMetaPackage, withApt } from './apt.ts';
import type { Log, Package } from './apt.ts';
import { readDeb, readFirst } from './deb.ts';
import { cacheFolder } from './folders.ts';
import { readModule } from './modules.ts';
import type { KernelModule } from './modules.ts';

export type KernelFlavour = 'cloud-amd64' | 'amd64' | '686' | '686-pae';

const ARCHITECTURE: Readonly<Record<KernelFlavour, 'amd64' | 'i386'>> = {
  'cloud-amd64': 'amd64',
  amd64: 'amd64',
  '686': 'i386',
  '686-pae': 'i386',
};

export interface Kernel {
  readonly package: Package;
  readonly release: string;
  readonly image: Uint8Array;
  readonly modules: ReadonlyMap<string, KernelModule>;
  readonly builtin: string;
}

/** The package behind `linux-image-<flavour>`, downloaded; without apt, the newest one in the cache. */
export async function fetchKernelPackage(flavour: KernelFlavour, log: Log): Promise<Result<Package>> {
  const meta = await debianName(`linux-image-${flavour}`, ARCHITECTURE[flavour]);
  const fetched = await withApt(
    ARCHITECTURE[flavour],
    async (apt) => {
      const name = await resolveMetaPackage(apt, meta, /^linux-image-\d/);
      return name.ok ? fetchPackage(apt, name.value, log) : name;
    },
    log,
  );
  return orCached(fetched, new RegExp(`^linux-image-[\\d.-]+-${flavour}$`), ARCHITECTURE[flavour], log);
}

export async function fetchBusybox(architecture: 'amd64' | 'i386', log: Log): Promise<Result<Package>> {
  return await fetchPackageByName('busybox-static', architecture, log);
}

/** A package that is taken as it is, downloaded; without apt, the newest one in the cache. */
export async function fetchPackageByName(
  name: string,
  architecture: 'amd64' | 'i386' | 'all',
  log: Log,
): Promise<Result<Package>> {
  const isForAll = architecture === 'all';
  const asked = isForAll ? name : await debianName(name, architecture);
  const lists = isForAll ? 'amd64' : architecture;
  const fetched = await withApt(lists, (apt) => fetchPackage(apt, asked, log), log);
  return orCached(fetched, new RegExp(`^${name}$`), architecture, log);
}

async function orCached(
  fetched: Result<Package>,
  pattern: RegExp,
  architecture: string,
  log: Log,
): Promise<Result<Package>> {
  if (fetched.ok) return fetched;
  const cached = await newestCached(pattern, architecture);
  if (cached === undefined) return fetched;
  log(`taking ${cached.name} ${cached.version} from the cache`);
  return success(cached);
}

/** `name:architecture`, or the bare name where that is the host's own architecture. */
async function debianName(name: string, architecture: string): Promise<string> {
  const host = await hostArchitecture();
  return host === architecture || host === '' ? name : `${name}:${architecture}`;
}

/** Takes image and modules out of a kernel package. */
export async function readKernel(source: Package): Promise<Kernel> {
  const deb = await readFile(source.file);
  const modules = new Map<string, KernelModule>();
  let image: Uint8Array | undefined;
  let release = '';
  let builtin = '';
  const wanted = (path: string): boolean =>
    path.startsWith('boot/vmlinuz-') || path.endsWith('/modules.builtin') || path.endsWith('.ko');
  for await (const entry of readDeb(deb, wanted)) {
    if (entry.type !== 'file') continue;
    if (entry.path.startsWith('boot/vmlinuz-')) {
      image = entry.data;
      release = entry.path.slice('boot/vmlinuz-'.length);
    } else if (entry.path.endsWith('/modules.builtin')) {
      builtin = new TextDecoder().decode(entry.data);
    } else {
      const path = entry.path.replace(/^(usr\/)?lib\/modules\/[^/]+\//, '');
      const module = readModule(path, entry.data);
      modules.set(module.name, module);
    }
  }
  if (image === undefined) throw new Error(`${source.file} holds no boot/vmlinuz`);
  return { package: source, release, image, modules, builtin };
}

/** Path of the flavour's bzImage, for tests: fetched on the first call, then from the cache without asking apt. */
export async function kernelImage(flavour: KernelFlavour, log: Log): Promise<Result<string>> {
  const file = join(cacheFolder(), 'kernels', `vmlinuz-${flavour}`);
  if (await exists(file)) return success(file);
  const source = await fetchKernelPackage(flavour, log);
  if (!source.ok) return source;
  log(`unpacking ${source.value.name}`);
  const image = await readFirst(source.value.file, /^boot\/vmlinuz-/);
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(`${file}.${process.pid}`, image);
  await rename(`${file}.${process.pid}`, file);
  return success(file);
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
