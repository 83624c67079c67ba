/** The guest programs (tools/bench/programs/*.c): built with the host's gcc, and an initramfs that runs them. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Result } from '../../src/base/result.ts';
import { failure, success } from '../../src/base/result.ts';
import { ensurePrograms } from '../guest/apt.ts';
import type { Log } from '../guest/apt.ts';
import { appletNames } from '../guest/busybox.ts';
import { CpioArchive } from '../guest/cpio.ts';
import { readFirst } from '../guest/deb.ts';
import { fetchBusybox, kernelImage } from '../guest/kernels.ts';
import { run } from '../guest/process.ts';
import { isStale, root } from '../runner/stale.ts';
import { MARKER } from './program-marks.ts';
import type { Boot } from './subject.ts';

export type Bits = 32 | 64;

export interface Program {
  readonly id: string;
  /** What it stands for. */
  readonly kind: string;
  /** Its natural length is 10: about 0.1 to 0.3 s on the host, 1 to 5 s here. */
  readonly scale: number;
}

export const PROGRAMS: readonly Program[] = [
  { id: 'sha256', kind: 'integer mix', scale: 10 },
  { id: 'bytecode', kind: 'bytecode interpreter', scale: 10 },
  { id: 'sort', kind: 'sort and tree', scale: 10 },
  { id: 'chase', kind: 'pointer chase', scale: 5 },
  { id: 'blocks', kind: 'strided and block memory', scale: 10 },
  { id: 'strings', kind: 'string instructions', scale: 10 },
  { id: 'recursion', kind: 'recursion', scale: 10 },
  { id: 'wide', kind: '64-bit arithmetic', scale: 10 },
  { id: 'x87', kind: 'floating point, x87', scale: 5 },
  { id: 'sse2', kind: 'floating point, SSE2', scale: 10 },
  { id: 'syscalls', kind: 'system calls', scale: 10 },
  { id: 'forkexec', kind: 'fork + exec', scale: 10 },
  { id: 'pipes', kind: 'pipes', scale: 5 },
  { id: 'faults', kind: 'page faults', scale: 5 },
  { id: 'once', kind: 'code written and run once', scale: 3 },
  { id: 'shell', kind: 'shell loop', scale: 5 },
  { id: 'lz', kind: 'compression', scale: 5 },
];

/** Relative to the project. */
const SOURCES = 'tools/bench/programs';
const OUTPUT = 'build/bench/programs';

/** No C library and nothing that depends on where it is loaded: the same instructions everywhere. */
const FLAGS =
  '-std=gnu11 -O2 -Wall -Wextra -Werror -ffreestanding -nostdlib -static -fno-pic -no-pie -fno-stack-protector ' +
  '-fno-math-errno -fno-asynchronous-unwind-tables -Wl,-z,noexecstack,--build-id=none';
const ARCHITECTURE: Readonly<Record<Bits, readonly string[]>> = {
  32: ['-m32', '-march=i686'],
  64: ['-m64', '-march=x86-64'],
};
/** Beyond what Debian's i386 has. */
const SPECIAL: Readonly<Record<string, readonly string[]>> = { sse2: ['-msse2', '-mfpmath=sse'] };

/** Where the programs of a word size are, beside the busybox that one of them starts. */
export function programFolder(bits: Bits): string {
  return join(root, OUTPUT, String(bits));
}

async function compile(program: string, bits: Bits): Promise<Result<true>> {
  const folder = programFolder(bits);
  const part = join(folder, `${program}.${process.pid}`);
  const sources = ['runtime.c', `${program}.c`].map((name) => join(root, SOURCES, name));
  const flags = [...FLAGS.split(' '), ...ARCHITECTURE[bits], ...(SPECIAL[program] ?? [])];
  const result = await run('gcc', [...flags, '-o', part, ...sources, '-lgcc']);
  if (result.code !== 0)
    return failure(`gcc could not build ${program}.c for ${bits} bits:\n${result.stderr}`);
  await rename(part, join(folder, program));
  return success(true);
}

async function canCompile(bits: Bits): Promise<boolean> {
  // -lgcc is there for both word sizes only with gcc-multilib.
  const found = await run('gcc', [`-m${bits}`, '-print-libgcc-file-name']);
  return found.code === 0 && (await readFile(found.stdout.trim()).then(Boolean, () => false));
}

/** Builds what is older than its source. */
export async function buildPrograms(bits: Bits, log: Log): Promise<Result<true>> {
  const there = await ensurePrograms(
    [
      { package: 'gcc', needed: 'the benchmark programs', isThere: () => canCompile(64) },
      { package: 'gcc-multilib', needed: 'the 32-bit benchmark programs', isThere: () => canCompile(32) },
    ],
    log,
  );
  if (!there.ok) return there;
  const folder = programFolder(bits);
  await mkdir(folder, { recursive: true });
  for (const { id } of PROGRAMS) {
    const inputs = [`${id}.c`, 'runtime.c', 'runtime.h'].map((name) => `${SOURCES}/${name}`);
    if (!isStale(`${OUTPUT}/${bits}/${id}`, [...inputs, 'tools/bench/programs.ts'])) continue;
    const built = await compile(id, bits);
    if (!built.ok) return built;
  }
  if (isStale(`${OUTPUT}/${bits}/busybox`, ['tools/bench/programs.ts'])) {
    const source = await fetchBusybox(bits === 64 ? 'amd64' : 'i386', log);
    if (!source.ok) return source;
    const binary = await readFirst(source.value.file, /(^|\/)bin\/busybox$/);
    await writeFile(join(folder, 'busybox'), binary, { mode: 0o755 });
  }
  return success(true);
}

/** `programs` comes from the kernel's command line: what the kernel does not know becomes init's environment. */
const INIT = `#!/bin/sh
export PATH=/bin
mount -t devtmpfs devtmpfs /dev
cd /programs
IFS=,
for program in $programs; do ./\${program%:*} \${program#*:}; done
echo ${MARKER}done
while :; do sleep 1000; done
`;

async function makeInitrd(bits: Bits): Promise<string> {
  const folder = programFolder(bits);
  const archive = new CpioArchive();
  archive.directory('dev');
  archive.characterDevice('dev/console', 5, 1);
  archive.characterDevice('dev/null', 1, 3, 0o666);
  const busybox = await readFile(join(folder, 'busybox'));
  archive.file('bin/busybox', busybox, 0o755);
  for (const applet of appletNames(busybox)) {
    if (!archive.has(`bin/${applet}`)) archive.symlink(`bin/${applet}`, 'busybox');
  }
  for (const { id } of PROGRAMS) archive.file(`programs/${id}`, await readFile(join(folder, id)), 0o755);
  archive.symlink('programs/busybox', '../bin/busybox');
  archive.file('init', INIT, 0o755);
  const file = join(folder, 'initrd.img');
  await writeFile(`${file}.${process.pid}`, archive.bytes());
  await rename(`${file}.${process.pid}`, file);
  return file;
}

/** Longer than all programs take on the slowest subject. */
const TIMEOUT_MS = 1_200_000;

/** A guest that runs these programs in turn. 32-bit ones run on a 32-bit kernel, which every subject can. */
export async function prepareProgramGuest(
  bits: Bits,
  programs: readonly Program[],
  kernelArguments: string,
  log: Log,
): Promise<Result<Boot>> {
  const built = await buildPrograms(bits, log);
  if (!built.ok) return built;
  const kernel = await kernelImage(bits === 64 ? 'cloud-amd64' : '686', log);
  if (!kernel.ok) return kernel;
  const list = programs.map(({ id, scale }) => `${id}:${scale}`).join(',');
  const extra = kernelArguments === '' ? '' : ` ${kernelArguments}`;
  return success({
    kernel: kernel.value,
    initrd: await makeInitrd(bits),
    commandLine: `console=ttyS0 quiet panic=-1 cryptomgr.notests${extra} programs=${list}`,
    description: `${bits}-bit programs on Debian's ${bits === 64 ? 'cloud-amd64' : '686'} kernel`,
    until: `${MARKER}done`,
    marker: MARKER,
    timeoutMs: TIMEOUT_MS,
    native: { folder: programFolder(bits), programs },
  });
}
