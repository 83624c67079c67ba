/** Debian's kernels by flavour, each with the default guest's initramfs made from packages of its architecture. */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Result } from '../../src/base/result.ts';
import { success } from '../../src/base/result.ts';
import type { Log } from '../guest/apt.ts';
import { readFirst } from '../guest/deb.ts';
import { makeInitramfs } from '../guest/initramfs.ts';
import { fetchBusybox, fetchKernelPackage, readKernel } from '../guest/kernels.ts';
import type { KernelFlavour } from '../guest/kernels.ts';
import { isStale, root } from '../runner/stale.ts';

export const FLAVOURS: readonly KernelFlavour[] = ['cloud-amd64', '686', 'amd64', '686-pae'];

export interface DebianGuest {
  readonly kernel: string;
  readonly initrd: string;
}

const FOLDER = 'build/debian';
const SOURCES = ['tools/guest', 'tools/debian/guests.ts'];

/** Made once and kept in build/debian; `npm run clean` or an edit of tools/guest makes it anew. */
export async function debianGuest(flavour: KernelFlavour, log: Log): Promise<Result<DebianGuest>> {
  const kernelFile = `${FOLDER}/${flavour}/vmlinuz`;
  const initrdFile = `${FOLDER}/${flavour}/initrd.img`;
  const guest = { kernel: join(root, kernelFile), initrd: join(root, initrdFile) };
  if (!isStale(kernelFile, SOURCES) && !isStale(initrdFile, SOURCES)) return success(guest);
  const kernelPackage = await fetchKernelPackage(flavour, log);
  if (!kernelPackage.ok) return kernelPackage;
  const busyboxPackage = await fetchBusybox(flavour.endsWith('amd64') ? 'amd64' : 'i386', log);
  if (!busyboxPackage.ok) return busyboxPackage;
  log(`unpacking ${kernelPackage.value.name}`);
  const kernel = await readKernel(kernelPackage.value);
  const busybox = await readFirst(busyboxPackage.value.file, /(^|\/)bin\/busybox$/);
  await put(kernelFile, kernel.image);
  await put(initrdFile, makeInitramfs({ ...kernel, busybox }));
  return success(guest);
}

async function put(name: string, data: Uint8Array): Promise<void> {
  const file = join(root, name);
  await mkdir(join(file, '..'), { recursive: true });
  // Two runs at once must not see each other's halves.
  await writeFile(`${file}.${process.pid}`, data);
  await rename(`${file}.${process.pid}`, file);
}
