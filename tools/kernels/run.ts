/** Runs a test kernel, here or in QEMU, and gives its log. */
import { spawn } from 'node:child_process';
import { MIB } from '../../src/base/units.ts';
import { DEFAULT_CONFIG } from '../../src/config/vm-config.ts';
import type { JitMode } from '../../src/config/vm-config.ts';
import { runInNode } from '../runner/run-in-node.ts';
import { kernelFile } from './build.ts';

export interface KernelRun {
  readonly append?: string;
  /** Files that the kernel gets as modules, with the words for each. */
  readonly modules?: readonly { readonly path: string; readonly words?: string }[];
}

const MEMORY_MIB = 64;
const EXIT_PORT = 0xf4;
/** A kernel of ours that works ends within a second or two. */
const LIMIT_MS = 60_000;

/** The log, and as its last line how the machine ended: `[exit 16]`, `[reset]`, or what should not happen. */
function ended(log: string, how: string): string {
  return `${log.replaceAll('\r\n', '\n')}[${how}]\n`;
}

export async function runInVirtab(name: string, jit: JitMode, options: KernelRun = {}): Promise<string> {
  let log = '';
  const runner = await runInNode({
    config: {
      ...DEFAULT_CONFIG,
      memoryBytes: MEMORY_MIB * MIB,
      debugExit: { port: EXIT_PORT, bytes: 4 },
      noReboot: true,
      jit,
      // Features that work but are off by default, because guests are faster without.
      cpuFeatures: [
        { feature: 'smap', on: true },
        { feature: 'umip', on: true },
      ],
      commandLine: options.append ?? '',
    },
    kernel: kernelFile(name),
    modules: (options.modules ?? []).map((module) => ({
      path: module.path,
      commandLine: commandLineOf(module),
    })),
    onOutput: (bytes) => {
      log += Buffer.from(bytes).toString('latin1');
    },
  });
  const timer = setTimeout(() => runner.end(), LIMIT_MS);
  const { status, registers, ended: why } = await runner.finished;
  clearTimeout(timer);
  await runner.close();
  if (why === 'told') return ended(log, `no end after ${LIMIT_MS / 1000} s\n${registers ?? ''}`);
  if (status.state !== 'shutdown') return ended(log, JSON.stringify(status));
  switch (status.reason.kind) {
    case 'debug-exit':
      return ended(log, `exit ${status.reason.status >>> 1}`);
    // With -no-reboot QEMU calls both a reset.
    case 'reset-refused':
    case 'triple-fault':
      return ended(log, 'reset');
    default:
      return ended(log, status.reason.kind);
  }
}

/** An AMD model, as ours is; TCG warns about what of it it lacks, on stderr. */
const QEMU_CPU = 'EPYC';

export function runInQemu(name: string, options: KernelRun = {}): Promise<string> {
  const modules = (options.modules ?? []).map(commandLineOf).join(',');
  const args = [
    ['-accel', 'tcg', '-cpu', QEMU_CPU, '-m', String(MEMORY_MIB), '-display', 'none', '-serial', 'stdio'],
    ['-no-reboot', '-device', `isa-debug-exit,iobase=${EXIT_PORT},iosize=4`],
    ['-nic', 'none', '-kernel', kernelFile(name), '-append', options.append ?? ''],
    modules === '' ? [] : ['-initrd', modules],
  ].flat();
  return new Promise((resolve, reject) => {
    const qemu = spawn('qemu-system-x86_64', args, { stdio: ['ignore', 'pipe', 'ignore'] });
    const timer = setTimeout(() => qemu.kill('SIGKILL'), LIMIT_MS);
    let log = '';
    qemu.stdout.setEncoding('latin1').on('data', (text: string) => {
      log += text;
      // A kernel that has lost its way.
      if (log.length > 100_000) qemu.kill('SIGKILL');
    });
    qemu.on('error', ({ message }) =>
      reject(new Error(`QEMU does not start (${message}): install Debian's qemu-system-x86.`)),
    );
    qemu.on('close', (code) => {
      clearTimeout(timer);
      resolve(ended(log, code === 0 ? 'reset' : code === null ? 'killed' : `exit ${code >>> 1}`));
    });
  });
}

function commandLineOf({ path, words }: { readonly path: string; readonly words?: string }): string {
  return words === undefined ? path : `${path} ${words}`;
}
