/** Measures subjects in turn (schedule.ts): all are booted at first, and a subject that fails is left out from then on. */
import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { setRealTime } from '../bench/priority.ts';
import { waitForQuiet } from '../bench/host.ts';
import type { Log } from '../guest/apt.ts';
import { awake, bootBenchGuest } from './bench-guest.ts';
import type { BenchGuest } from './bench-guest.ts';
import { prepareIoGuest } from './guest.ts';
import { measure } from './measure.ts';
import type { Used } from './measure.ts';
import { megabytesPerSecond, parseTerse } from './rows.ts';
import type { Row, Situation } from './rows.ts';
import { roundsOf } from './schedule.ts';
import type { Entrant, Plan, Step } from './schedule.ts';
import type { Subject } from './subjects.ts';

export interface RoundsOptions extends Plan {
  readonly situations: readonly Situation[];
  /** How long each is measured. */
  readonly seconds: number;
  /** Seconds of each kind before anything is measured: translators must have seen the code. */
  readonly warmSeconds: number;
  /** With real-time priority while something is measured. */
  readonly realTime: boolean;
  /** Seconds to wait before each repetition until nothing else uses the machine. */
  readonly patience: number;
}

export interface SubjectRows extends Omit<Subject, 'start'> {
  readonly rows: readonly Row[];
  /** The guest's seconds by the host's: 1 where its clock is right. */
  readonly clockRatio?: number;
  /** Why there are no more. */
  readonly failure?: string;
}

/** With so many jobs it is warmed up. */
const WARM_JOBS = 8;
/** Nothing is measured for longer. */
const BUSY_LIMIT_S = 300;

interface Lane extends Entrant {
  readonly subject: Subject;
  readonly guests: BenchGuest[];
  readonly rows: Row[];
  clockRatio?: number;
  failure?: string;
}

/** `onProgress` gets what there is after each repetition. */
export async function measureRounds(
  subjects: readonly (Subject & { readonly isBrief: boolean })[],
  options: RoundsOptions,
  onProgress: (results: readonly SubjectRows[]) => void,
  log: Log,
): Promise<void> {
  const lanes = subjects.map(({ isBrief, ...subject }): Lane => ({
    subject,
    isBrief,
    hasIoeventfd: subject.program === 'virtab',
    guests: [],
    rows: [],
  }));
  try {
    for (const lane of lanes) await attempt(lane, log, () => addGuest(lane, 'a', options, log));
    const report = (): void => onProgress(lanes.map(resultsOf));
    report();
    for (const situation of options.situations)
      await measureSituation(lanes, situation, options, report, log);
  } finally {
    for (const { guests } of lanes) await closeAll(guests);
  }
}

function resultsOf({ subject: { start: _, ...subject }, rows, clockRatio, failure }: Lane): SubjectRows {
  return {
    ...subject,
    rows: [...rows],
    ...(clockRatio === undefined ? {} : { clockRatio }),
    ...(failure === undefined ? {} : { failure }),
  };
}

/** A comparison that cannot be made says why, and the rest goes on. */
async function attempt(lane: Lane, log: Log, action: () => Promise<void>): Promise<void> {
  if (lane.failure !== undefined) return;
  try {
    await action();
  } catch (error) {
    lane.failure = error instanceof Error ? error.message : String(error);
    log(`${lane.subject.name}: ${lane.failure}`);
    await closeAll(lane.guests);
  }
}

async function closeAll(guests: BenchGuest[]): Promise<void> {
  for (const guest of guests.splice(0)) await guest.close();
}

async function addGuest(lane: Lane, name: string, options: RoundsOptions, log: Log): Promise<void> {
  const { subject } = lane;
  log(`== ${subject.name}`);
  const guest = await prepareIoGuest(subject.architecture, log);
  if (!guest.ok) throw new Error(guest.error);
  const booted = await bootBenchGuest({ ...subject, guest: guest.value, name: `${subject.id}-${name}` });
  lane.guests.push(booted);
  if (options.warmSeconds > 0) lane.clockRatio = await awake([booted], () => warmUp(booted, options, log));
}

/** Says how the guest's clock went by the host's. */
async function warmUp(guest: BenchGuest, options: RoundsOptions, log: Log): Promise<number> {
  const uptime = async (): Promise<number> => Number((await guest.ask('clock')).split(' ')[1]);
  const before = { guest: await uptime(), host: performance.now() };
  for (const kind of options.kinds) {
    if (options.realTime) setRealTime(true, guest.cpu.processes);
    const line = await guest.ask(
      `measure ${kind} ${WARM_JOBS} /mnt/data ${milliseconds(options.warmSeconds)}`,
    );
    if (options.realTime) setRealTime(false, guest.cpu.processes);
    log(`warm-up, ${kind}: ${megabytesPerSecond(parseTerse(line)).toFixed(1)} MB/s`);
  }
  return ((await uptime()) - before.guest) / ((performance.now() - before.host) / 1000);
}

/** fio's times are whole numbers. */
function milliseconds(seconds: number): string {
  return `${Math.round(seconds * 1000)}ms`;
}

async function measureSituation(
  lanes: readonly Lane[],
  situation: Situation,
  options: RoundsOptions,
  report: () => void,
  log: Log,
): Promise<void> {
  const able = lanes.filter(({ guests }) => situation !== 'cold' || canForget(guests));
  if (situation === 'two') {
    for (const lane of able.filter(({ isBrief }) => !isBrief))
      await attempt(lane, log, () => addGuest(lane, 'b', options, log));
  }
  const starts = new Map<Lane, Used>();
  for (const round of roundsOf(able, situation, options)) {
    await waitForQuiet(options.patience);
    const end = situation === 'busy' ? keepCoreBusy() : undefined;
    try {
      for (const step of round)
        await attempt(step.subject, log, () => measureStep(step, situation, starts, options, log));
    } finally {
      end?.();
    }
    report();
  }
  for (const { guests } of lanes) await closeAll(guests.splice(1));
}

function canForget(guests: readonly BenchGuest[]): boolean {
  return guests.every(({ machine }) => machine.dropCache !== undefined);
}

/** A process that is nobody's child, so that its time is not counted as a machine's. */
function keepCoreBusy(): () => void {
  const core = availableParallelism() - 1;
  const command = `timeout ${BUSY_LIMIT_S} taskset -c ${core} "$0" -e 'for (;;);' > /dev/null 2>&1 & echo $!`;
  const pid = Number(execFileSync('sh', ['-c', command, process.execPath], { encoding: 'utf8' }));
  return () => process.kill(pid);
}

/** `starts`: what starting fio cost each subject last. */
async function measureStep(
  { subject: lane, repetition, jobs, kind, ioeventfd }: Step<Lane>,
  situation: Situation,
  starts: Map<Lane, Used>,
  options: RoundsOptions,
  log: Log,
): Promise<void> {
  const { guests } = lane;
  await awake(guests, async () => {
    for (const { machine, cpu } of guests) {
      if (ioeventfd !== undefined) await machine.setIoeventfd?.(ioeventfd);
      if (situation === 'cold') machine.dropCache?.(cpu.processes);
    }
    const command = `measure ${kind} ${jobs} /mnt/data ${milliseconds(options.seconds)}`;
    const { bytes, seconds, used } = await measure(guests, command, options.realTime);
    if (kind === 'start') {
      starts.set(lane, used);
      return;
    }
    if (!(bytes > 0 && seconds > 0)) throw new Error(`${command}: fio measured nothing`);
    const start = starts.get(lane);
    const row: Row = {
      situation,
      kind,
      jobs,
      repetition,
      ...(ioeventfd === undefined ? {} : { ioeventfd }),
      bytes,
      seconds,
      vcpuMs: Math.max(0, used.vcpuMs - (start?.vcpuMs ?? 0)),
      hostMs: Math.max(0, used.hostMs - (start?.hostMs ?? 0)),
      otherCores: used.otherMs / used.timeMs,
      ...(used.kicks === undefined ? {} : { kicks: used.kicks }),
      ...(used.notifies === undefined ? {} : { notifies: used.notifies }),
    };
    lane.rows.push(row);
    log(`${situation} ${repetition}, ${kind}, ${jobs} jobs, ${nameOf(lane, row)}: ${describe(row)}`);
  });
}

function nameOf({ subject }: Lane, { ioeventfd }: Row): string {
  return ioeventfd === undefined ? subject.name : `${subject.name} ${ioeventfd}`;
}

function describe(row: Row): string {
  const { vcpuMs, hostMs, otherCores } = row;
  return `${megabytesPerSecond(row).toFixed(1)} MB/s, vCPU ${vcpuMs.toFixed(0)} ms, host ${hostMs.toFixed(0)} ms, others ${otherCores.toFixed(1)}`;
}
