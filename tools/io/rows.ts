/** The rows of IO.md's virtio-blk table: what is measured of one machine, one after the other, in one boot. */
import { execFileSync } from 'node:child_process';
import { copyFile, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { sampleCpu } from '../bench/cpu-time.ts';
import { setRealTime } from '../bench/priority.ts';
import type { Log } from '../guest/apt.ts';
import { root } from '../runner/stale.ts';
import { benchDisk, MEMORY_MIB } from './guest.ts';
import type { IoGuest } from './guest.ts';
import { IoDialogue, resultsOf } from './machine.ts';
import type { IoMachine, Ioeventfd, Sample, StartMachine } from './machine.ts';

export const KINDS = ['create', 'seqread', 'randread', 'randwrite'] as const;
export type Kind = (typeof KINDS)[number];

/**
 * `alone`: nothing else runs, and everything is in the host's page cache. `cold`: the cache has forgotten the image before each measurement,
 * which fills it again as it goes. `busy`: another process computes all the time, so the disk's thread has no core of its own.
 * `two`: two machines of the kind at once, each with an image of its own; the figures are of both together.
 */
export const SITUATIONS = ['alone', 'cold', 'busy', 'two'] as const;
export type Situation = (typeof SITUATIONS)[number];

export interface Row {
  readonly situation: Situation;
  readonly kind: Kind;
  readonly jobs: number;
  /** Absent where the machine has no such thing. */
  readonly ioeventfd?: Ioeventfd;
  readonly bytes: number;
  /** By the guest's clock, from fio. */
  readonly seconds: number;
  /** CPU time of it, without what starting fio costs. Of two machines the vCPUs' is not known. */
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
  readonly situations: readonly Situation[];
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

/** In situations other than `alone`. */
const CROWD_JOBS = 8;
/** Nothing is measured for longer. */
const BUSY_LIMIT_S = 300;

interface Booted {
  readonly machine: IoMachine;
  readonly ask: (command: string) => Promise<string>;
  readonly close: () => Promise<void>;
}

async function boot({ start, guest, disk }: RowsOptions, name: string): Promise<Booted> {
  const image = join(root, 'build/io', `disk-${process.pid}-${name}.img`);
  await copyFile(await benchDisk(), image);
  const dialogue = new IoDialogue(LIMIT_MS);
  try {
    const machine = await start({
      ...guest,
      memoryMib: MEMORY_MIB,
      disks: [image],
      onOutput: dialogue.onOutput,
    });
    const ask = async (command: string): Promise<string> => {
      machine.send(`${command}\n`);
      const output = await dialogue.ready();
      return resultsOf(output)[0] ?? fail(command, output);
    };
    const close = async (): Promise<void> => {
      machine.send('power_off\n');
      await machine.end();
      await rm(image, { force: true });
    };
    try {
      await dialogue.ready();
      // Tells which thread is the vCPU's, while the disk has done nothing yet.
      await machine.sample();
      await ask(`attach ${disk}`);
      // fio's files are read once, and the whole of the data: everything after this is warm.
      await ask(`measure seqread 1 /mnt/data 2`);
      return { machine, ask, close };
    } catch (error) {
      await close();
      throw error;
    }
  } catch (error) {
    await rm(image, { force: true });
    throw error;
  }
}

export async function measureRows(options: RowsOptions, log: Log): Promise<MachineRows> {
  const first = await boot(options, 'a');
  try {
    const uptime = async (): Promise<number> => Number((await first.ask('clock')).split(' ')[1]);
    const clock = { guest: await uptime(), host: performance.now() };
    await warmUp(options, first, log);
    const rows: Row[] = [];
    for (const situation of options.situations) {
      if (situation === 'cold' && first.machine.dropCache === undefined) {
        log('cold: its image is no file of the host');
        continue;
      }
      rows.push(...(await measureSituation(options, first, situation, log)));
    }
    const clockRatio = (((await uptime()) - clock.guest) * 1000) / (performance.now() - clock.host);
    return { rows, clockRatio };
  } finally {
    await first.close();
  }
}

async function warmUp(options: RowsOptions, { ask }: Booted, log: Log): Promise<void> {
  for (const kind of options.warmSeconds > 0 ? options.kinds : []) {
    if (options.realTime) setRealTime(true);
    const line = await ask(`measure ${kind} 8 /mnt/data ${options.warmSeconds}`);
    if (options.realTime) setRealTime(false);
    log(`${kind}, 8 jobs, before the measurements: ${megabytesPerSecond(parseTerse(line)).toFixed(1)} MB/s`);
  }
}

async function measureSituation(
  options: RowsOptions,
  first: Booted,
  situation: Situation,
  log: Log,
): Promise<readonly Row[]> {
  if (situation === 'busy') {
    const end = keepCoreBusy();
    try {
      return await measureMachines(options, [first], situation, log);
    } finally {
      end();
    }
  }
  if (situation !== 'two') return await measureMachines(options, [first], situation, log);
  const second = await boot(options, 'b');
  try {
    await warmUp(options, second, log);
    return await measureMachines(options, [first, second], situation, log);
  } finally {
    await second.close();
  }
}

/** A process that is nobody's child, so that its time is not counted as the machine's. */
function keepCoreBusy(): () => void {
  const core = availableParallelism() - 1;
  const command = `timeout ${BUSY_LIMIT_S} taskset -c ${core} "$0" -e 'for (;;);' > /dev/null 2>&1 & echo $!`;
  const pid = Number(execFileSync('sh', ['-c', command, process.execPath], { encoding: 'utf8' }));
  return () => process.kill(pid);
}

async function measureMachines(
  options: RowsOptions,
  machines: readonly Booted[],
  situation: Situation,
  log: Log,
): Promise<readonly Row[]> {
  const isAlone = situation === 'alone';
  const [{ machine }] = machines as readonly [Booted];
  const settings: readonly (Ioeventfd | undefined)[] =
    machine.setIoeventfd === undefined ? [undefined] : ['off', 'on'];
  const rows: Row[] = [];
  const timed = async (command: string): Promise<Timed> => {
    const sample = machines.length === 1 ? () => machine.sample() : sampleAll;
    if (options.realTime) setRealTime(true);
    const before = await sample();
    const lines = await Promise.all(machines.map(({ ask }) => ask(command)));
    const used = between(before, await sample());
    if (options.realTime) setRealTime(false);
    const results = lines.map(parseTerse);
    const bytes = results.reduce((sum, result) => sum + result.bytes, 0);
    const seconds = Math.max(...results.map((result) => result.seconds));
    return { bytes, seconds, used, text: lines.join('; ') };
  };
  const measure = async (kind: Kind, jobs: number, ioeventfd: Ioeventfd | undefined, start: Sample) => {
    for (const each of machines) if (ioeventfd !== undefined) await each.machine.setIoeventfd?.(ioeventfd);
    if (situation === 'cold') machine.dropCache?.();
    const { bytes, seconds, used, text } = await timed(
      `measure ${kind} ${jobs} /mnt/data ${options.seconds}`,
    );
    if (!(bytes > 0 && seconds > 0)) fail(`measure ${kind} ${jobs}`, text);
    const row: Row = {
      situation,
      kind,
      jobs,
      ...(ioeventfd === undefined ? {} : { ioeventfd }),
      bytes,
      seconds,
      vcpuMs: Math.max(0, used.vcpuMs - start.vcpuMs),
      hostMs: Math.max(0, used.hostMs - start.hostMs),
      otherCores: used.otherMs / used.timeMs,
      ...(used.kicks === undefined ? {} : { kicks: used.kicks }),
      ...(used.notifies === undefined ? {} : { notifies: used.notifies }),
    };
    const where = [situation, kind, `${jobs} jobs`, ...(ioeventfd === undefined ? [] : [ioeventfd])];
    log(`${where.join(', ')}: ${describe(row)}`);
    rows.push(row);
  };
  const repetitions = isAlone ? options.repetitions : Math.ceil(options.repetitions / 2);
  // What is written goes to the cache, cold or not, and one more table of buffered writes would tell nothing.
  const kinds = isAlone ? options.kinds : options.kinds.filter((kind) => kind !== 'create');
  for (let repetition = 0; repetition < repetitions; repetition++) {
    for (const jobs of isAlone ? options.jobs : [CROWD_JOBS]) {
      const { used: start } = await timed(`measure start ${jobs} /mnt/data 0`);
      for (const kind of kinds) {
        // In turn, so that a slow spell of the host hits both.
        for (const ioeventfd of repetition % 2 === 0 ? settings : settings.toReversed())
          await measure(kind, jobs, ioeventfd, start);
      }
    }
  }
  return rows;
}

interface Timed {
  readonly bytes: number;
  readonly seconds: number;
  readonly used: Sample;
  readonly text: string;
}

/** Of all machines that this process runs. */
function sampleAll(): Promise<Sample> {
  const sample = sampleCpu(process.pid, false);
  const hostMs = sample?.treeMs ?? Number.NaN;
  return Promise.resolve({
    timeMs: performance.now(),
    vcpuMs: Number.NaN,
    hostMs,
    otherMs: (sample?.machineMs ?? Number.NaN) - hostMs,
  });
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
    ...(to.kicks === undefined ? {} : { kicks: to.kicks - (from.kicks ?? 0) }),
    ...(to.notifies === undefined ? {} : { notifies: to.notifies - (from.notifies ?? 0) }),
  };
}

export function megabytesPerSecond({ bytes, seconds }: Pick<Row, 'bytes' | 'seconds'>): number {
  return bytes / 1e6 / seconds;
}

function describe(row: Row): string {
  return `${megabytesPerSecond(row).toFixed(1)} MB/s, vCPU ${row.vcpuMs.toFixed(0)} ms, host ${row.hostMs.toFixed(0)} ms, others ${row.otherCores.toFixed(1)}`;
}
