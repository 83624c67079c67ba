/**
 * The kernel's own driver on our disks: mkfs.ext4, fio with verification, dd, fsck, on ext4 and raw, with ioeventfd flipped
 * while it runs, and the images checked outside.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MIB } from '../../src/base/units.ts';
import type { Log } from '../guest/apt.ts';
import { run } from '../guest/process.ts';
import type { Architecture } from '../rootfs/closure.ts';
import { root } from '../runner/stale.ts';
import { MEMORY_MIB, prepareIoGuest } from './guest.ts';
import type { IoMachine, StartMachine } from './machine.ts';
import { startGuest } from './running-guest.ts';
import type { RunningGuest } from './running-guest.ts';

export interface VerifyOptions {
  readonly architecture: Architecture;
  readonly start: StartMachine;
  /** How many fio jobs there are at once, one run after the other. */
  readonly jobs: readonly number[];
  /** What each job writes. */
  readonly sizeKib: number;
  /** How much dd writes. */
  readonly fileMib: number;
}

/** For what ext4 needs itself. */
const SPARE_MIB = 48;
const FLIP_MS = 700;

/** Throws at the first thing that is wrong; what was right goes to `log`. */
export async function verifyDisks(options: VerifyOptions, log: Log): Promise<void> {
  const guest = await prepareIoGuest(options.architecture, log);
  if (!guest.ok) throw new Error(guest.error);
  const folder = await mkdtemp(join(root, 'build/io/verify-'));
  try {
    const rawMib = Math.ceil((Math.max(...options.jobs) * options.sizeKib) / 1024);
    const raw = await emptyImage(join(folder, 'raw.img'), rawMib);
    // The files of all runs stay there.
    const fileSystemMib = SPARE_MIB + rawMib * options.jobs.length + options.fileMib;
    const fileSystem = await emptyImage(join(folder, 'ext4.img'), fileSystemMib);
    const running = await startGuest(options.start, {
      ...guest.value,
      memoryMib: MEMORY_MIB,
      disks: [fileSystem, raw],
    });
    let sums: { readonly file: string; readonly raw: string };
    try {
      sums = await exercise(running, options, log);
    } finally {
      running.machine.send('power_off\n');
      await running.machine.end();
    }
    expectSame(`sha256 ${await sha256Of(raw)}  -`, sums.raw, 'the raw image outside');
    log('ok   the raw image outside has the checksum that the guest read');
    const check = await run('e2fsck', ['-f', '-n', fileSystem]);
    expectSame('0', String(check.code), `e2fsck outside\n${check.stdout}`);
    const dumped = join(folder, 'file');
    await run('debugfs', ['-R', `dump /written ${dumped}`, fileSystem]);
    expectSame(`sha256 ${await sha256Of(dumped)}  -`, sums.file, 'the file outside');
    log('ok   e2fsck outside; the file outside has the checksum that the guest read');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function exercise(
  { machine, ask }: RunningGuest,
  { jobs, sizeKib, fileMib }: VerifyOptions,
  log: Log,
): Promise<{ readonly file: string; readonly raw: string }> {
  const expectAnswer = async (command: string, expected: string): Promise<void> => {
    expectSame(expected, await ask(command), command);
    log(`ok   ${command}: ${expected}`);
  };
  log('ok   booted');
  await expectAnswer('make_file_system /dev/vda', 'mkfs ok');
  for (const count of jobs) {
    for (const [name, target] of [
      ['ext4', '/mnt'],
      ['raw', '/dev/vdb'],
    ] as const) {
      const flips = flipping(machine);
      const before = await machine.countKicks?.();
      await expectAnswer(
        `verify ${name} ${count} ${target} ${sizeKib}k`,
        `verify ${name} ${count} exit 0 errors 0`,
      );
      const after = await machine.countKicks?.();
      const flipped = await flips.stop();
      log(`     ioeventfd flipped ${flipped} times; ${(after?.kicks ?? 0) - (before?.kicks ?? 0)} kicks`);
    }
  }
  const file = await ask(`fill written ${fileMib}`);
  log(`ok   dd of ${fileMib} MiB: ${file}`);
  await expectAnswer('check_file_system /dev/vda', 'fsck exit 0');
  return { file, raw: await ask('checksum /dev/vdb') };
}

/** Switches ioeventfd off and on until it is told to stop. */
function flipping(machine: IoMachine): { stop(): Promise<number> } {
  let count = 0;
  const end = new AbortController();
  const done = (async (): Promise<void> => {
    while (!end.signal.aborted && machine.setIoeventfd !== undefined) {
      await machine.setIoeventfd(count % 2 === 0 ? 'off' : 'on');
      count++;
      await new Promise((resolve) => setTimeout(resolve, FLIP_MS));
    }
    await machine.setIoeventfd?.('on');
  })();
  // Looked at in `stop`.
  done.catch(() => undefined);
  return {
    stop: async () => {
      end.abort();
      await done;
      return count;
    },
  };
}

function expectSame(expected: string, got: string, what: string): void {
  if (expected !== got) throw new Error(`${what}: expected "${expected}", got "${got}"`);
}

async function emptyImage(path: string, mebibytes: number): Promise<string> {
  const file = await open(path, 'w');
  await file.truncate(mebibytes * MIB);
  await file.close();
  return path;
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
