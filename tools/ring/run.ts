/**
 * The bare-metal guest that drives a virtio-blk device (ring.c), in Virtab or in QEMU, with its disk checked outside:
 *
 *     npx tsx tools/ring/run.ts [--qemu | --jit] [--ioeventfd on|off] [--append "requests=5000 depth=16"]
 */
import { spawn } from 'node:child_process';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { MIB } from '../../src/base/units.ts';
import type { Log } from '../guest/apt.ts';
import { buildKernel, kernelFile } from '../kernels/build.ts';
import type { TestKernel } from '../kernels/build.ts';
import { root } from '../runner/stale.ts';

const RING: TestKernel = { name: 'ring', source: '../ring/ring', bits: 64 };
/** As in ring.c. */
const BLOCK_BYTES = 4096;
const DISK_MIB = 64;
const GOOD_END = (0x10 << 1) | 1;
const LIMIT_SECONDS = 300;

export interface RingOptions {
  readonly machine: 'virtab' | 'virtab-jit' | 'qemu';
  /** Words for ring.c's command line. */
  readonly append?: string;
  /** Of the disk; 64 at most. */
  readonly mebibytes?: number;
  readonly ioeventfd?: 'on' | 'off';
  /** Run Virtab under Node instead of Chromium. */
  readonly node?: boolean;
}

export interface RingMeasurement {
  readonly op: string;
  readonly depth: number;
  readonly wait: 'poll' | 'halt';
  readonly bytes: number;
  readonly requests: number;
  readonly us: number;
  readonly rps: number;
  readonly kicks: number;
  readonly interrupts: number;
}

export interface RingResult {
  readonly measurements: readonly RingMeasurement[];
  /** Everything that the guest wrote. */
  readonly log: string;
}

/** Throws if the guest found anything wrong, or if the disk does not hold what the guest read last. */
export async function runRing(options: RingOptions, log: Log): Promise<RingResult> {
  const built = await buildKernel(RING, log);
  if (!built.ok) throw new Error(built.error);
  const folder = mkdtempSync(join(tmpdir(), 'virtab-ring-'));
  try {
    const disk = join(folder, 'disk.img');
    const file = openSync(disk, 'w');
    ftruncateSync(file, (options.mebibytes ?? DISK_MIB) * MIB);
    closeSync(file);
    const { code, output } = await start(commandOf(options, disk));
    const done = /^ring done errors=0 blocks=(\d+) sum=([0-9a-f]+)$/m.exec(output);
    if (code !== GOOD_END || done === null) throw new Error(`the guest ended with ${code}:\n${output}`);
    const sum = contentsSum(readFileSync(disk));
    const [, , seen = ''] = done;
    if (sum !== Number.parseInt(seen, 16)) {
      throw new Error(`the guest read contents of sum ${seen}, the disk has ${sum.toString(16)}`);
    }
    return {
      measurements: [...output.matchAll(/^ring op=.*$/gm)].map(([line]) => parseLine(line)),
      log: output,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function commandOf(options: RingOptions, disk: string): [string, ...string[]] {
  const { machine, append = '', ioeventfd, mebibytes = DISK_MIB } = options;
  const device = ioeventfd === undefined ? '' : `,ioeventfd=${ioeventfd}`;
  const common = ['-m', '64', '-kernel', kernelFile(RING.name), '-append', `mib=${mebibytes} ${append}`]
    .concat(
      '-drive',
      `file=${disk},format=raw,if=none,id=disk`,
      '-device',
      `virtio-blk-pci,drive=disk${device}`,
    )
    .concat(
      '-device',
      'isa-debug-exit,iobase=0xf4,iosize=4',
      '-no-reboot',
      '-display',
      'none',
      '-serial',
      'stdio',
    );
  if (machine === 'qemu') return ['qemu-system-x86_64', '-accel', 'tcg', '-nodefaults', ...common];
  const own = ['-jit', machine === 'virtab' ? 'off' : 'on', '--timeout', String(LIMIT_SECONDS)];
  const where = options.node === true ? ['--node'] : [];
  return [process.execPath, '--import', 'tsx', join(root, 'tools/vm.ts'), ...common, ...own, ...where];
}

function start([program, ...args]: [string, ...string[]]): Promise<{ code: number | null; output: string }> {
  const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  const timer = setTimeout(() => child.kill(), (LIMIT_SECONDS + 30) * 1000);
  let output = '';
  child.stdout.setEncoding('latin1').on('data', (text: string) => (output += text.replaceAll('\r', '')));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, output });
    });
  });
}

/** The sum of ring.c over all blocks, from the file. */
export function contentsSum(disk: Uint8Array): number {
  const words = new Uint32Array(disk.buffer, disk.byteOffset, disk.byteLength / 4);
  const perBlock = BLOCK_BYTES / 4;
  let total = 0;
  for (let block = 0; block * perBlock < words.length; block++) {
    let sum = 0;
    for (let at = block * perBlock; at < (block + 1) * perBlock; at++) {
      sum = (((sum << 5) | (sum >>> 27)) + words[at]!) | 0;
    }
    total = (total + Math.imul(sum, 2 * block + 1)) | 0;
  }
  return total >>> 0;
}

export function parseLine(line: string): RingMeasurement {
  const fields = new Map(
    line.split(' ').map((field): [string, string] => {
      const [name = '', value = ''] = field.split('=');
      return [name, value];
    }),
  );
  const of = (name: string): number => Number(fields.get(name) ?? Number.NaN);
  return {
    op: fields.get('op') ?? '',
    depth: of('depth'),
    wait: fields.get('wait') === 'halt' ? 'halt' : 'poll',
    bytes: of('bytes'),
    requests: of('requests'),
    us: of('us'),
    rps: of('rps'),
    kicks: of('kicks'),
    interrupts: of('interrupts'),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      qemu: { type: 'boolean', default: false },
      jit: { type: 'boolean', default: false },
      node: { type: 'boolean', default: false },
      ioeventfd: { type: 'string' },
      append: { type: 'string', default: '' },
    },
  });
  const { log } = await runRing(
    {
      machine: values.qemu ? 'qemu' : values.jit ? 'virtab-jit' : 'virtab',
      append: values.append,
      node: values.node,
      ...(values.ioeventfd === 'on' || values.ioeventfd === 'off' ? { ioeventfd: values.ioeventfd } : {}),
    },
    (line) => console.error(line),
  );
  process.stdout.write(log);
  console.log('the disk holds what the guest read');
}
