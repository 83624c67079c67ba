/**
 * CPU time from the host's /proc (proc(5)): of a process and its descendants, by thread, and of the whole machine. On a
 * machine that others use too it says more than the clock. Only Linux has it; elsewhere there is no sample.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** USER_HZ, the unit of the fields below: 100 on every architecture that Node runs on. */
const TICK_MS = 10;

export const ENDED = '(ended)';

export interface CpuSample {
  readonly time: number;
  /** User and system time of the tree, with that of descendants that have ended. */
  readonly treeMs: number;
  /** The same by name of the thread; that of threads which have ended is under ENDED. */
  readonly threadsMs: ReadonlyMap<string, number>;
  /** Time that any core of the machine was busy, and time that the hypervisor gave to others. */
  readonly machineMs: number;
  readonly stolenMs: number;
}

export interface CpuUse {
  readonly cpuMs: number;
  /** By name of the thread; those of less than one per cent are left out. */
  readonly threadsMs: Readonly<Record<string, number>>;
  /** Cores that something else kept busy meanwhile, on average. */
  readonly otherCores: number;
  readonly stolenCores: number;
}

interface ProcessStat {
  readonly name: string;
  readonly parent: number;
  readonly ownMs: number;
  readonly childrenMs: number;
}

function readStat(file: string): ProcessStat | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'latin1');
  } catch {
    // It ended meanwhile.
    return undefined;
  }
  // The name is in parentheses and may contain any character.
  const end = text.lastIndexOf(')');
  const fields = text
    .slice(end + 2)
    .split(' ')
    .map(Number);
  // Numbered from 3 (state) in proc(5): 4 ppid, 14 utime, 15 stime, 16 cutime, 17 cstime.
  const field = (number: number): number => fields[number - 3] ?? 0;
  return {
    name: text.slice(text.indexOf('(') + 1, end),
    parent: field(4),
    ownMs: (field(14) + field(15)) * TICK_MS,
    childrenMs: (field(16) + field(17)) * TICK_MS,
  };
}

function list(folder: string): number[] {
  try {
    return readdirSync(folder).map(Number).filter(Number.isInteger);
  } catch {
    return [];
  }
}

/** The processes that `parent` has started itself and that are still there. */
export function childrenOf(parent: number): number[] {
  return list('/proc').filter((pid) => readStat(`/proc/${pid}/stat`)?.parent === parent);
}

/** The processes below `root`, without it. */
export function descendants(root: number): number[] {
  const parents = list('/proc').map((pid): [number, number | undefined] => [
    pid,
    readStat(`/proc/${pid}/stat`)?.parent,
  ]);
  const found = [root];
  for (const parent of found) found.push(...parents.filter(([, of]) => of === parent).map(([pid]) => pid));
  return found.slice(1);
}

/** CPU time of each thread of these processes whose name is `name` (or of all), in ms, from schedstat: finer than ticks. */
export function threadTimes(pids: readonly number[], name: string | undefined): ReadonlyMap<number, number> {
  const times = new Map<number, number>();
  for (const pid of pids) {
    for (const thread of list(`/proc/${pid}/task`)) {
      const folder = `/proc/${pid}/task/${thread}`;
      try {
        if (name !== undefined && readFileSync(`${folder}/comm`, 'latin1').trimEnd() !== name) continue;
        times.set(thread, Number(readFileSync(`${folder}/schedstat`, 'latin1').split(' ', 1)[0]) / 1e6);
      } catch {
        // It ended meanwhile.
      }
    }
  }
  return times;
}

/** The descendants of process `root`, which is itself counted only where `withRoot` says so. */
export function sampleCpu(root: number, withRoot: boolean): CpuSample | undefined {
  const processes = new Map<number, ProcessStat>();
  for (const pid of list('/proc')) {
    const stat = readStat(`/proc/${pid}/stat`);
    if (stat !== undefined) processes.set(pid, stat);
  }
  if (processes.size === 0) return undefined;
  const tree = withRoot ? [root] : [];
  const queue = [root];
  for (let parent = queue.pop(); parent !== undefined; parent = queue.pop()) {
    for (const [pid, stat] of processes) {
      if (stat.parent !== parent) continue;
      tree.push(pid);
      queue.push(pid);
    }
  }
  let treeMs = 0;
  const threadsMs = new Map<string, number>();
  for (const pid of tree) {
    const own = processes.get(pid);
    if (own === undefined) continue;
    treeMs += own.ownMs + own.childrenMs;
    let rest = own.ownMs;
    const add = (name: string, ms: number): void => void threadsMs.set(name, (threadsMs.get(name) ?? 0) + ms);
    for (const thread of list(`/proc/${pid}/task`)) {
      const stat = readStat(`/proc/${pid}/task/${thread}/stat`);
      if (stat === undefined) continue;
      add(stat.name, stat.ownMs);
      rest -= stat.ownMs;
    }
    add(ENDED, Math.max(0, rest));
  }
  return { time: performance.now(), treeMs, threadsMs, ...machineTime() };
}

/** Of all cores together since the host's boot. Throws where there is no /proc. */
export function machineTime(): Pick<CpuSample, 'machineMs' | 'stolenMs'> {
  // cpu user nice system idle iowait irq softirq steal ...
  const [, ...ticks] = readFileSync('/proc/stat', 'latin1').split('\n', 1)[0]!.split(/\s+/).map(Number);
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = ticks;
  return { machineMs: (user + nice + system + irq + softirq) * TICK_MS, stolenMs: steal * TICK_MS };
}

export const hasProc = existsSync('/proc/stat');

export function cpuBetween(from: CpuSample | undefined, to: CpuSample | undefined): CpuUse | undefined {
  if (from === undefined || to === undefined) return undefined;
  const elapsed = to.time - from.time;
  const cpuMs = to.treeMs - from.treeMs;
  const threads = [...to.threadsMs]
    .map(([name, ms]): [string, number] => [name, ms - (from.threadsMs.get(name) ?? 0)])
    .filter(([, ms]) => ms > cpuMs / 100)
    .toSorted((a, b) => b[1] - a[1]);
  return {
    cpuMs,
    threadsMs: Object.fromEntries(threads),
    otherCores: Math.max(0, to.machineMs - from.machineMs - cpuMs) / elapsed,
    stolenCores: (to.stolenMs - from.stolenMs) / elapsed,
  };
}
