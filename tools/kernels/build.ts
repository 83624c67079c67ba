/**
 * Builds the test kernels into build/kernels/ with the system's gcc and binutils: `npx tsx tools/kernels/build.ts`. A kernel is
 * one C file of this folder; its name says what it is (KERNELS), runtime/ is what they share.
 */
import { mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Result } from '../../src/base/result.ts';
import { failure, success } from '../../src/base/result.ts';
import type { Log } from '../guest/apt.ts';
import { run } from '../guest/process.ts';
import { isStale, root } from '../runner/stale.ts';

const SOURCES = 'tools/kernels';
const OUTPUT = 'build/kernels';

export interface TestKernel {
  /** Of the file in build/kernels. */
  readonly name: string;
  /** C file without its ending, from this folder. */
  readonly source: string;
  readonly bits: 32 | 64;
  /** A file without a format, loaded by the address fields of its header; ELF otherwise. */
  readonly isFlat?: true;
  /** Why QEMU cannot judge it. */
  readonly notInQemu?: string;
}

function kernel(bits: 32 | 64, name: string): TestKernel {
  return { name, source: name, bits };
}

export const KERNELS: readonly TestKernel[] = [
  kernel(32, 'multiboot'),
  kernel(32, 'faults'),
  kernel(32, 'gates'),
  kernel(32, 'fast-calls'),
  kernel(32, 'triple'),
  kernel(64, 'long'),
  { ...kernel(64, 'long-strict'), notInQemu: 'TCG checks no control registers.' },
  kernel(32, 'code'),
  kernel(32, 'interrupts'),
  kernel(32, 'paging'),
  kernel(32, 'real'),
  { ...kernel(32, 'real-limits'), notInQemu: 'TCG has no limits.' },
  kernel(32, 'modes'),
  { ...kernel(32, 'modes-limits'), notInQemu: 'TCG has no limits.' },
  kernel(32, 'vm86'),
  { ...kernel(32, 'vm86-extensions'), notInQemu: 'TCG has neither VME nor limits.' },
  kernel(32, 'privilege'),
  kernel(32, 'tasks'),
  { ...kernel(32, 'strict'), notInQemu: 'It checks what TCG does not check.' },
  { name: 'multiboot-flat', source: 'multiboot', bits: 32, isFlat: true },
];

export function kernelFile(name: string): string {
  return join(root, OUTPUT, name);
}

/** No library, no registers beyond the general ones (traps save no others), no code that the linker would have to fix up. */
const CFLAGS = [
  '-std=gnu11',
  '-O1',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-ffreestanding',
  '-fno-delete-null-pointer-checks',
  '-fno-pic',
  '-fno-pie',
  '-fno-stack-protector',
  '-fno-asynchronous-unwind-tables',
  '-fcf-protection=none',
  '-mgeneral-regs-only',
  '-I',
  join(SOURCES, 'runtime'),
];

/** Unless it is there and newer than what it is made of. */
export async function buildKernel(item: TestKernel, log: Log): Promise<Result<true>> {
  // Some kernels include the source of another.
  const inputs = [`${SOURCES}/runtime`, `${SOURCES}/build.ts`, ...(await kernelSources())];
  if (!isStale(join(OUTPUT, item.name), inputs)) return success(true);
  log(`building the test kernel ${item.name}`);
  await mkdir(join(root, OUTPUT), { recursive: true });
  const { name, source, bits, isFlat } = item;
  const output = join(OUTPUT, name);
  const linked = `${output}.${process.pid}`;
  const model = bits === 64 ? ['-m64', '-mno-red-zone', '-mcmodel=small'] : ['-m32'];
  const sources = [`runtime/entry${bits}.S`, 'runtime/runtime.c', `${source}.c`].map((file) =>
    join(SOURCES, file),
  );
  const steps: [string, ...string[]][] = [
    [
      'gcc',
      ...CFLAGS,
      ...model,
      ...(isFlat === true ? ['-DADDRESSED'] : []),
      '-nostdlib',
      '-static',
      '-Wl,--build-id=none,-z,noexecstack,--no-warn-rwx-segments',
      '-T',
      join(SOURCES, 'runtime/kernel.ld'),
      '-o',
      linked,
      ...sources,
    ],
    // Multiboot takes no ELF64; the code stays what it is.
    ...(isFlat === true
      ? [['objcopy', '-O', 'binary', linked] satisfies [string, ...string[]]]
      : bits === 64
        ? [['objcopy', '-O', 'elf32-i386', linked] satisfies [string, ...string[]]]
        : []),
  ];
  for (const [program, ...args] of steps) {
    const done = await run(program, args, { cwd: root });
    if (done.code !== 0)
      return failure(`${program} could not build the test kernel ${name}:\n${done.stderr}`);
  }
  // Two builds at once must not see each other's halves.
  await rename(linked, join(root, output));
  return success(true);
}

/** Builds those that are missing or older than what they are made of. */
export async function buildKernels(log: Log): Promise<Result<true>> {
  for (const item of KERNELS) {
    const built = await buildKernel(item, log);
    if (!built.ok) return built;
  }
  return success(true);
}

/** The C files of all kernels. */
async function kernelSources(): Promise<string[]> {
  const files = await readdir(join(root, SOURCES));
  return files.filter((file) => file.endsWith('.c')).map((file) => `${SOURCES}/${file}`);
}

/** C files that no kernel is made of: forgotten in KERNELS. */
export async function unusedSources(): Promise<string[]> {
  const made = new Set(KERNELS.map(({ source }) => `${SOURCES}/${source}.c`));
  return (await kernelSources()).filter((file) => !made.has(file));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const built = await buildKernels((line) => console.log(line));
  if (!built.ok) {
    console.error(built.error);
    process.exitCode = 1;
  }
}
