/** The guests that are booted, and the firmware that v86 needs: from Debian packages by name. */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Result } from '../../src/base/result.ts';
import { success } from '../../src/base/result.ts';
import type { Log } from '../guest/apt.ts';
import { buildGuest, DEFAULT_COMMAND_LINE } from '../guest/build-guest.ts';
import { readFirst } from '../guest/deb.ts';
import { GUEST_FOLDER } from '../guest/folders.ts';
import { makeInitramfs } from '../guest/initramfs.ts';
import { fetchBusybox, fetchKernelPackage, fetchPackageByName, readKernel } from '../guest/kernels.ts';
import { isStale, root } from '../runner/stale.ts';
import type { Boot, Workload } from './subject.ts';

/** Relative to the project. Delete it to take newer packages. */
const FOLDER = 'build/bench';
const SOURCES = ['tools/guest', 'tools/bench/guests.ts'];

/** The shell of our initramfs (tools/guest/initramfs.ts). */
const PROMPT = 'virtab:~#';

async function put(name: string, data: Uint8Array): Promise<void> {
  const file = join(root, FOLDER, name);
  await mkdir(join(file, '..'), { recursive: true });
  await writeFile(`${file}.${process.pid}`, data);
  await rename(`${file}.${process.pid}`, file);
}

async function prepareCloud(log: Log): Promise<Result<Boot>> {
  const guest = await buildGuest(log);
  if (!guest.ok) return guest;
  const { kernel, initrd, commandLine, release } = guest.value;
  return success({
    kernel: join(GUEST_FOLDER, kernel.file),
    initrd: join(GUEST_FOLDER, initrd.file),
    commandLine,
    description: `Debian's Linux ${release}, busybox; command line "${commandLine}"`,
    until: PROMPT,
  });
}

/** The default guest again, from packages for i386. */
async function prepare686(log: Log): Promise<Result<Boot>> {
  const kernelName = `${FOLDER}/686/vmlinuz`;
  const initrdName = `${FOLDER}/686/initrd.img`;
  if (isStale(initrdName, SOURCES) || isStale(kernelName, SOURCES)) {
    const kernelPackage = await fetchKernelPackage('686', log);
    if (!kernelPackage.ok) return kernelPackage;
    const busyboxPackage = await fetchBusybox('i386', log);
    if (!busyboxPackage.ok) return busyboxPackage;
    log(`unpacking ${kernelPackage.value.name}`);
    const kernel = await readKernel(kernelPackage.value);
    const busybox = await readFirst(busyboxPackage.value.file, /(^|\/)bin\/busybox$/);
    await put('686/vmlinuz', kernel.image);
    await put('686/initrd.img', makeInitramfs({ ...kernel, busybox }));
  }
  return success({
    kernel: join(root, kernelName),
    initrd: join(root, initrdName),
    commandLine: DEFAULT_COMMAND_LINE,
    description: `Debian's 686 kernel, i386 busybox; command line "${DEFAULT_COMMAND_LINE}"`,
    until: PROMPT,
  });
}

export interface Firmware {
  readonly bios: string;
  readonly vgaBios: string;
}

/** SeaBIOS, the 128 KiB build, and its VGA BIOS for the plain VGA that v86 has. */
export async function firmware(log: Log = () => undefined): Promise<Firmware> {
  const bios = `${FOLDER}/firmware/bios.bin`;
  const vgaBios = `${FOLDER}/firmware/vgabios.bin`;
  if (isStale(vgaBios, SOURCES) || isStale(bios, SOURCES)) {
    const source = await fetchPackageByName('seabios', 'all', log);
    if (!source.ok) throw new Error(source.error);
    await put('firmware/bios.bin', await readFirst(source.value.file, /\/seabios\/bios\.bin$/));
    await put('firmware/vgabios.bin', await readFirst(source.value.file, /\/seabios\/vgabios-stdvga\.bin$/));
  }
  return { bios: join(root, bios), vgaBios: join(root, vgaBios) };
}

export const WORKLOADS: readonly Workload[] = [
  { id: 'boot-cloud', name: 'boot cloud-amd64', bits: 64, prepare: prepareCloud },
  { id: 'boot-686', name: 'boot 686', bits: 32, prepare: prepare686 },
];
