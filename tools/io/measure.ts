/** One measurement of one subject: what fio says, and the CPU time and kicks that it took. */
import { hasProc, machineTime } from '../bench/cpu-time.ts';
import { setRealTime } from '../bench/priority.ts';
import type { KickCounts } from './machine.ts';
import type { RunningGuest } from './running-guest.ts';
import { parseTerse } from './rows.ts';

export interface Used extends Partial<KickCounts> {
  readonly timeMs: number;
  /** Of the threads that run the guests' CPUs, and of all processes of the machines. */
  readonly vcpuMs: number;
  readonly hostMs: number;
  /** Core time of everything else on the host. */
  readonly otherMs: number;
}

export interface Measured {
  readonly bytes: number;
  readonly seconds: number;
  readonly used: Used;
}

/** The same command in all these guests at once; the figures are of them together. */
export async function measure(
  guests: readonly RunningGuest[],
  command: string,
  realTime: boolean,
): Promise<Measured> {
  if (realTime) for (const { cpu } of guests) setRealTime(true, cpu.processes);
  const before = await usedBy(guests);
  const lines = await Promise.all(guests.map(({ ask }) => ask(command)));
  const used = between(before, await usedBy(guests));
  if (realTime) for (const { cpu } of guests) setRealTime(false, cpu.processes);
  const results = lines.map(parseTerse);
  return {
    bytes: sum(results.map(({ bytes }) => bytes)),
    seconds: Math.max(...results.map(({ seconds }) => seconds)),
    used,
  };
}

/** Up to now. */
async function usedBy(guests: readonly RunningGuest[]): Promise<Used> {
  const kicks: KickCounts[] = [];
  for (const { machine } of guests) {
    if (machine.countKicks !== undefined) kicks.push(await machine.countKicks());
  }
  const times = guests.map(({ cpu }) => cpu.sample());
  const hostMs = sum(times.map((time) => time.hostMs));
  return {
    timeMs: performance.now(),
    vcpuMs: sum(times.map((time) => time.vcpuMs)),
    hostMs,
    otherMs: (hasProc ? machineTime().machineMs : Number.NaN) - hostMs,
    ...(kicks.length === 0
      ? {}
      : {
          kicks: sum(kicks.map((count) => count.kicks)),
          notifies: sum(kicks.map((count) => count.notifies)),
        }),
  };
}

function between(from: Used, to: Used): Used {
  return {
    timeMs: to.timeMs - from.timeMs,
    vcpuMs: to.vcpuMs - from.vcpuMs,
    hostMs: to.hostMs - from.hostMs,
    otherMs: to.otherMs - from.otherMs,
    ...(to.kicks === undefined ? {} : { kicks: to.kicks - (from.kicks ?? 0) }),
    ...(to.notifies === undefined ? {} : { notifies: to.notifies - (from.notifies ?? 0) }),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
