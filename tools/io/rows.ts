/** The rows of IO.md's virtio-blk table: what is measured of one machine, one after the other, in one boot. */
import { copyFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setRealTime } from '../bench/priority.ts';
import type { Log } from '../guest/apt.ts';
import { root } from '../runner/stale.ts';
import { benchDisk, MEMORY_MIB } from './guest.ts';
import type { IoGuest } from './guest.ts';
import { IoDialogue, resultsOf } from './machine.ts';
import type { Ioeventfd, Sample, StartMachine } from './machine.ts';

export const KINDS = ['create', 'seqread', 'randread', 'randwrite'] as const;
export type Kind = (typeof KINDS)[number];

export interface Row {
  readonly kind: Kind;
  readonly jobs: number;
  /** Absent where the machine has no such thing. */
  readonly ioeventfd?: Ioeventfd;
  readonly bytes: number;
  /** By the guest's clock, from fio. */
  readonly seconds: number;
  /** CPU time of it, without what starting fio costs. */
  readonly vcpuMs: number;
  readonly hostMs: number;
  /** Cores that everything else on the host kept busy meanwhile. */
  readonly otherCores: number;
  readonly kicks?: number;
  readonly notifies?: number;
}

export interface MachineRows {
  readonly rows: readonly Row[];
  /** The guest's seconds by the host's, over all rows: 1 where its clock is right. */
  readonly clockRatio: number;
}

export interface RowsOptions {
  readonly guest: IoGuest;
  readonly start: StartMachine;
  /** `/dev/vda` or `/dev/sda`. */
  readonly disk: string;
  readonly jobs: readonly number[];
  readonly kinds: readonly Kind[];
  readonly seconds: number;
  readonly repetitions: number;
  /** Seconds of each kind before anything is measured: translators must have seen the code. */
  readonly warmSeconds: number;
  /** With real-time priority while something is measured. */
  readonly realTime: boolean;
}

const LIMIT_MS = 600_000;

/** What fio wrote in its terse format, version 3. */
export function parseTerse(line: string): { readonly bytes: number; readonly seconds: number } {
  const fields = line.split(';').map(Number);
  const of = (number: number): number => fields[number - 1] ?? Number.NaN;
  const [readKib, readMs, writtenKib, writtenMs] = [of(6), of(9), of(47), of(50)];
  return { bytes: (readKib + writtenKib) * 1024, seconds: Math.max(readMs, writtenMs) / 1000 };
}

export async function measureRows(options: RowsOptions, log: Log): Promise<MachineRows> {
  const image = join(root, 'build/io', `disk-${process.pid}.img`);
  await copyFile(await benchDisk(), image);
  const dialogue = new IoDialogue(LIMIT_MS);
  try {
    const machine = await options.start({
      ...options.guest,
      memoryMib: MEMORY_MIB,
      disks: [image],
      onOutput: dialogue.onOutput,
    });
    try {
      await dialogue.ready();
      const ask = async (command: string): Promise<string> => {
        machine.send(`${command}\n`);
        const output = await dialogue.ready();
        return resultsOf(output)[0] ?? fail(command, output);
      };
      // Tells which thread is the vCPU's, while the disk has done nothing yet.
      await machine.sample();
      await ask(`attach ${options.disk}`);
      const uptime = async (): Promise<number> => Number((await ask('clock')).split(' ')[1]);
      const clock = { guest: await uptime(), host: performance.now() };
      const settings: readonly (Ioeventfd | undefined)[] =
        machine.setIoeventfd === undefined ? [undefined] : ['off', 'on'];
      const timed = async (command: string): Promise<readonly [string, Sample, Sample]> => {
        if (options.realTime) setRealTime(true);
        const before = await machine.sample();
        const result = await ask(command);
        const after = await machine.sample();
        if (options.realTime) setRealTime(false);
        return [result, before, after];
      };
      // fio's files are read once, and the whole of the data: everything after this is warm.
      await ask(`measure seqread 1 /mnt/data 2`);
      for (const kind of options.warmSeconds > 0 ? options.kinds : []) {
        const [line] = await timed(`measure ${kind} 8 /mnt/data ${options.warmSeconds}`);
        log(
          `${kind}, 8 jobs, before the measurements: ${megabytesPerSecond(parseTerse(line)).toFixed(1)} MB/s`,
        );
      }
      const rows: Row[] = [];
      for (let repetition = 0; repetition < options.repetitions; repetition++) {
        for (const jobs of options.jobs) {
          const [, beforeStart, afterStart] = await timed(`measure start ${jobs} /mnt/data 0`);
          const started = between(beforeStart, afterStart);
          for (const kind of options.kinds) {
            // In turn, so that a slow spell of the host hits both.
            for (const ioeventfd of repetition % 2 === 0 ? settings : settings.toReversed()) {
              if (ioeventfd !== undefined) await machine.setIoeventfd?.(ioeventfd);
              const [result, before, after] = await timed(
                `measure ${kind} ${jobs} /mnt/data ${options.seconds}`,
              );
              const used = between(before, after);
              const row: Row = {
                kind,
                jobs,
                ...(ioeventfd === undefined ? {} : { ioeventfd }),
                ...parseTerse(result),
                vcpuMs: Math.max(0, used.vcpuMs - started.vcpuMs),
                hostMs: Math.max(0, used.hostMs - started.hostMs),
                otherCores: used.otherMs / used.timeMs,
                ...(after.kicks === undefined ? {} : { kicks: after.kicks - (before.kicks ?? 0) }),
                ...(after.notifies === undefined
                  ? {}
                  : { notifies: after.notifies - (before.notifies ?? 0) }),
              };
              if (!(row.bytes > 0 && row.seconds > 0)) fail(`measure ${kind} ${jobs}`, result);
              log(
                `${kind}, ${jobs} jobs${ioeventfd === undefined ? '' : `, ${ioeventfd}`}: ${describe(row)}`,
              );
              rows.push(row);
            }
          }
        }
      }
      const clockRatio = (((await uptime()) - clock.guest) * 1000) / (performance.now() - clock.host);
      return { rows, clockRatio };
    } finally {
      machine.send('power_off\n');
      await machine.end();
    }
  } finally {
    await rm(image, { force: true });
  }
}

function fail(command: string, output: string): never {
  throw new Error(`${command}: ${output.slice(0, 700)}`);
}

function between(from: Sample, to: Sample): Sample {
  return {
    timeMs: to.timeMs - from.timeMs,
    vcpuMs: to.vcpuMs - from.vcpuMs,
    hostMs: to.hostMs - from.hostMs,
    otherMs: to.otherMs - from.otherMs,
  };
}

export function megabytesPerSecond({ bytes, seconds }: Pick<Row, 'bytes' | 'seconds'>): number {
  return bytes / 1e6 / seconds;
}

function describe(row: Row): string {
  return `${megabytesPerSecond(row).toFixed(1)} MB/s, vCPU ${row.vcpuMs.toFixed(0)} ms, host ${row.hostMs.toFixed(0)} ms, others ${row.otherCores.toFixed(1)}`;
}
