/**
 * Builds the default guest into build/guest/: vmlinuz, initrd.img and manifest.json. Debian's cloud kernel, unmodified, and
 * an initramfs of our own around Debian's static busybox.
 *
 *     npx tsx tools/guest/build-guest.ts [--force]
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Result } from '../../src/base/result.ts';
import { failure, success } from '../../src/base/result.ts';
import type { Log } from './apt.ts';
import { readFirst } from './deb.ts';
import { GUEST_FOLDER } from './folders.ts';
import { makeInitramfs, selectModules } from './initramfs.ts';
import { fetchBusybox, fetchKernelPackage, readKernel } from './kernels.ts';
import type { Kernel } from './kernels.ts';
import type { GuestFile, GuestManifest } from './manifest.ts';

export const DEFAULT_COMMAND_LINE = 'console=ttyS0 cryptomgr.notests';

/**
 * Does nothing if build/guest/ is whole and was built by this version of the tools. One that another version built, or
 * another computer, is better than none.
 */
export async function buildGuest(log: Log, force = false): Promise<Result<GuestManifest>> {
  const tools = await toolsHash();
  const present = await presentGuest();
  if (!force && present?.tools === tools) {
    log(`default guest: ready (Linux ${present.release})`);
    return success(present);
  }
  const built = await makeGuest(tools, log);
  if (built.ok || present === undefined) return built;
  log(`default guest: keeping the one that is there (Linux ${present.release}). ${built.error}`);
  return success(present);
}

async function makeGuest(tools: string, log: Log): Promise<Result<GuestManifest>> {
  log('default guest: building from Debian packages');
  const kernelPackage = await fetchKernelPackage('cloud-amd64', log);
  if (!kernelPackage.ok) return kernelPackage;
  const busyboxPackage = await fetchBusybox('amd64', log);
  if (!busyboxPackage.ok) return busyboxPackage;

  log(`unpacking ${kernelPackage.value.name}`);
  let kernel: Kernel;
  let busybox: Uint8Array;
  try {
    kernel = await readKernel(kernelPackage.value);
    busybox = await readFirst(busyboxPackage.value.file, /(^|\/)bin\/busybox$/);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return failure(`The Debian packages could not be unpacked: ${reason}.`);
  }
  log('making the initramfs');
  const initrd = makeInitramfs({ ...kernel, busybox });

  await mkdir(GUEST_FOLDER, { recursive: true });
  const manifest: GuestManifest = {
    format: 1,
    tools,
    release: kernel.release,
    commandLine: DEFAULT_COMMAND_LINE,
    packages: [kernelPackage.value, busyboxPackage.value].map(({ name, version }) => ({ name, version })),
    modules: [...selectModules(kernel.modules).keys()].sort(),
    kernel: await put('vmlinuz', kernel.image),
    initrd: await put('initrd.img', initrd),
  };
  // Last, so that a manifest always describes files that are there.
  await put('manifest.json', new TextEncoder().encode(`${JSON.stringify(manifest, undefined, 2)}\n`));
  log(`default guest: built (Linux ${manifest.release}, initramfs ${(initrd.length / 1e6).toFixed(1)} MB)`);
  return success(manifest);
}

async function put(name: string, data: Uint8Array): Promise<GuestFile> {
  const file = join(GUEST_FOLDER, name);
  // Two builds at once must not see each other's halves.
  const part = `${file}.${process.pid}`;
  await writeFile(part, data);
  await rename(part, file);
  return { file: name, bytes: data.length, sha256: createHash('sha256').update(data).digest('hex') };
}

async function presentGuest(): Promise<GuestManifest | undefined> {
  try {
    const manifest = JSON.parse(await readFile(join(GUEST_FOLDER, 'manifest.json'), 'utf8')) as GuestManifest;
    if (manifest.format !== 1) return undefined;
    for (const entry of [manifest.kernel, manifest.initrd]) {
      if ((await stat(join(GUEST_FOLDER, entry.file))).size !== entry.bytes) return undefined;
    }
    return manifest;
  } catch {
    return undefined;
  }
}

/** Changes whenever this folder's code does, so that an edit rebuilds the guest. */
async function toolsHash(): Promise<string> {
  const folder = dirname(fileURLToPath(import.meta.url));
  const hash = createHash('sha256');
  for (const name of (await readdir(folder)).sort()) {
    if (!name.endsWith('.ts') || name.endsWith('.test.ts') || name.startsWith('check-')) continue;
    hash.update(name).update(await readFile(join(folder, name)));
  }
  return hash.digest('hex').slice(0, 16);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const result = await buildGuest((line) => console.log(line), process.argv.includes('--force'));
  if (!result.ok) {
    console.error(result.error);
    process.exitCode = 1;
  }
}
