/**
 * Debian's user space as a test of the CPU: programs whose output is the same on every right machine, run from one root
 * file system in the guest and, by chroot(8), on this machine's own CPU.
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Result } from '../../src/base/result.ts';
import { failure, success } from '../../src/base/result.ts';
import type { Log } from '../guest/apt.ts';
import { PROJECT_FOLDER } from '../guest/folders.ts';
import { kernelImage } from '../guest/kernels.ts';
import type { KernelFlavour } from '../guest/kernels.ts';
import { run } from '../guest/process.ts';
import type { Architecture } from '../rootfs/closure.ts';
import { rootCpio, rootFolder } from '../rootfs/root-fs.ts';
import type { RootRecipe } from '../rootfs/root-fs.ts';
import { RootTree } from '../rootfs/tree.ts';

export const SCRIPTS_FOLDER = join(PROJECT_FOLDER, 'tools/userspace/scripts');

/** One program of tools/userspace/scripts. */
export const SCRIPTS = ['bash.sh', 'coreutils.sh', 'perl.pl', 'python.py', 'gcc.sh'] as const;
export type Script = (typeof SCRIPTS)[number];

const KERNELS: Readonly<Record<Architecture, KernelFlavour>> = { amd64: 'cloud-amd64', i386: '686-pae' };

const BASE = [
  'bash',
  'bc',
  'busybox-static',
  'coreutils',
  'dash',
  'diffutils',
  'findutils',
  'grep',
  'gzip',
  'hostname',
].concat('mawk', 'mount', 'procps', 'sed', 'tar', 'util-linux', 'xz-utils');

/** Parts of the compiler that these programs do not use: link-time optimisation, sanitizers, other languages. */
const COMPILER_EXTRAS =
  /\/(lto1|lto-dump-12|x86_64-linux-gnu-lto-dump-12|lib[almut]+san[^/]*|libasan[^/]*|g(cov|gprof)[^/]*|gprofng[^/]*)$/;

/** What the full run needs, and the part that continuous integration can afford. */
const PACKAGES = {
  full: [...BASE, 'gcc', 'libc6-dev', 'perl', 'python3'],
  short: [...BASE, 'python3'],
} as const;
export type Extent = keyof typeof PACKAGES;

export const SCRIPTS_OF: Readonly<Record<Extent, readonly Script[]>> = {
  full: SCRIPTS,
  short: ['bash.sh', 'coreutils.sh', 'python.py'],
};

function recipe(extent: Extent, architecture: Architecture): RootRecipe {
  return { name: `userspace-${extent}`, architecture, packages: PACKAGES[extent], leaveOut: COMPILER_EXTRAS };
}

/**
 * Runs the scripts that it is given, each between two marks and with a pipe as its output: some write in another order to a
 * terminal. glibc chooses its variants of libm and of the string
 * functions by CPUID, and those with FMA round differently: here both sides take the ones of x86-64-v2.
 */
const RUN = `#!/bin/bash
cd /tests
for script in "$@"; do
  echo "=== $script"
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C TZ=UTC PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 \\
    GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX,-AVX2,-AVX_Fast_Unaligned_Load,-FMA,-FMA4,-AVX512F,-AVX512VL,-AVX512BW,-ERMS,-FSRM \\
    "/tests/$script" < /dev/null 2>&1 | cat
  echo "=== end $script \${PIPESTATUS[0]}"
done
`;

/** PID 1 of the guest. */
const INIT = `#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
ln -s /proc/self/fd /dev/fd
mkdir -p /dev/shm && mount -t tmpfs tmpfs /dev/shm
stty -opost < /dev/console
/tests/run $SCRIPTS
busybox poweroff -f
`;

export interface UserspaceGuest {
  readonly kernel: string;
  readonly initrd: string;
  readonly commandLine: string;
  readonly memory: string;
}

/** What a guest is booted with that runs `scripts` and powers off. */
export async function prepareGuest(
  extent: Extent,
  architecture: Architecture,
  scripts: readonly Script[],
  log: Log,
): Promise<Result<UserspaceGuest>> {
  const kernel = await kernelImage(KERNELS[architecture], log);
  if (!kernel.ok) return kernel;
  const root = await rootCpio(recipe(extent, architecture), log);
  if (!root.ok) return root;
  const own = new RootTree();
  await addTests(own);
  own.file('init', INIT, 0o755);
  const folder = join(PROJECT_FOLDER, 'build/userspace');
  await mkdir(folder, { recursive: true });
  const initrd = join(folder, `${extent}-${architecture}.img`);
  // An initramfs may be several archives, one after the other.
  await writeFile(initrd, Buffer.concat([await readFile(root.value), own.toCpio()]));
  return success({
    kernel: kernel.value,
    initrd,
    // What the kernel does not know becomes a variable of PID 1.
    commandLine: `console=ttyS0 quiet cryptomgr.notests panic=-1 "SCRIPTS=${scripts.join(' ')}"`,
    memory: extent === 'full' ? '1536M' : '768M',
  });
}

/** For tools/vm.ts. */
export function vmArguments(guest: UserspaceGuest, jit: string): string[] {
  return ['-m', guest.memory, '-kernel', guest.kernel, '-initrd', guest.initrd]
    .concat('-append', guest.commandLine)
    .concat('-jit', jit, '-no-reboot');
}

/** What a script printed on a real CPU, under amd64: for where the suite cannot run it itself. */
export function recordedOutput(script: Script): string {
  return join(PROJECT_FOLDER, 'tools/userspace/recorded', `${script}.txt`);
}

async function addTests(tree: RootTree): Promise<void> {
  tree.directory('tests');
  for (const name of await readdir(SCRIPTS_FOLDER)) {
    tree.file(`tests/${name}`, await readFile(join(SCRIPTS_FOLDER, name)), 0o755);
  }
  tree.file('tests/run', RUN, 0o755);
}

/** Runs the scripts on this machine, in the same root file system. Takes root. */
export async function runOnHost(
  extent: Extent,
  architecture: Architecture,
  scripts: readonly Script[],
  log: Log,
): Promise<Result<string>> {
  const folder = await rootFolder(recipe(extent, architecture), log);
  if (!folder.ok) return folder;
  // File systems of its own, so that nothing is left behind and the kept root stays as it is.
  const tests = join(PROJECT_FOLDER, 'build/userspace', `tests-${process.pid}`);
  const tree = new RootTree();
  await addTests(tree);
  await mkdir(tests, { recursive: true });
  await tree.toFolder(tests);
  const enter = `set -e
mount -t tmpfs tmpfs "$1/tmp"; mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"
mkdir -p "$1/tests"; mount --bind "$2/tests" "$1/tests"
root=$1; shift 2
exec chroot "$root" /tests/run "$@"`;
  const inside = ['sh', '-c', enter, 'sh', folder.value, tests, ...scripts];
  const result = await run('unshare', ['--mount', '--pid', '--fork', ...inside]);
  await run('rm', ['-rf', tests]);
  if (result.code !== 0) return failure(`the programs do not run on this machine: ${result.stderr.trim()}`);
  return success(result.stdout);
}

/** The output of each script, by name; what the machine prints before and after is not part of it. */
export function sections(output: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const text = output.replaceAll('\r', '');
  for (const [, name = '', body = '', exit = ''] of text.matchAll(
    /^=== (\S+)\n([\s\S]*?)^=== end \1 (\d+)$/gm,
  )) {
    found.set(name, `${body}exit ${exit}\n`);
  }
  return found;
}

/** The first line in which two outputs differ, for a reader; undefined if they are the same. */
export function difference(expected: string, got: string): string | undefined {
  if (expected === got) return undefined;
  const expectedLines = expected.split('\n');
  const gotLines = got.split('\n');
  const at = expectedLines.findIndex((line, index) => line !== gotLines[index]);
  const index = at < 0 ? expectedLines.length : at;
  return `line ${index + 1}\n  host  ${expectedLines[index] ?? '(ended)'}\n  guest ${gotLines[index] ?? '(ended)'}`;
}
