/** What requests of a disk cost between two looks at a machine, as text (where.ts). */
import type { ExitInfo, MachineInfo } from '../../src/control/info.ts';
import type { RunnerCounters } from '../../src/runner.ts';
import { megabytesPerSecond, parseTerse } from './rows.ts';

export interface Snapshot {
  readonly info: MachineInfo;
  readonly counters: RunnerCounters;
  /** CPU time by thread, in ms. */
  readonly threads: ReadonlyMap<number, number>;
}

/** An exit as often as 1 % of the requests is worth a line. */
const RARE = 0.01;

export function requestCosts(title: string, from: Snapshot, to: Snapshot, fioLine: string): string {
  const requests = total(to.info.ioeventfd, 'chains') - total(from.info.ioeventfd, 'chains');
  const per = (value: number): string => (value / requests).toFixed(3);
  const change = (part: (snapshot: Snapshot) => unknown, name: string): number =>
    total(part(to), name) - total(part(from), name);
  const stats = (name: string): string => per(change(({ counters }) => counters.stats, name));
  const wall = (name: string): string => per(1000 * change(({ counters }) => counters.figures, name));
  const queue = (name: string): string => per(change(({ info }) => info.ioeventfd, name));
  const thread = (name: string): string => per(change(({ info }) => info.iothreads, name));
  const [vcpu = 0, io = 0, ...others] = [...to.threads]
    .map(([id, ms]) => 1000 * (ms - (from.threads.get(id) ?? 0)))
    .toSorted((a, b) => b - a);
  const exitCounts = Object.entries(to.counters.figures?.exits ?? {}).map(
    ([name, count]) => `${name} ${per(count - (from.counters.figures?.exits[name] ?? 0))}`,
  );
  return [
    `${title}: ${megabytesPerSecond(parseTerse(fioLine)).toFixed(1)} MB/s, ${requests} requests; of each:`,
    `us of CPU: vCPU ${per(vcpu)}, I/O ${per(io)}, other workers ${others.map(per).join(' ')}`,
    `us of wall: interpretMs ${wall('interpretMs')}, haltedMs ${wall('haltedMs')}, install ${wall('installMs')}, request ${wall('requestMs')}`,
    `guest instructions ${stats('instructions')}, translated ${stats('regionInstructions')}, calls of regions ${stats('regionEntries')}, ` +
      `interrupts ${stats('interrupts')}, exceptions ${stats('exceptions')}, TLB fills ${stats('tlbFills')}, ` +
      `invalidations ${stats('invalidations')}, decoded ${stats('instructionsDecoded')}`,
    `kicks ${queue('kicks')}, notifies ${queue('notifies')}, synchronous ${queue('synchronousKicks')}, device interrupts ${queue('interrupts')}, ` +
      `suppressed ${queue('suppressed')}`,
    `I/O thread: wake-ups ${thread('wakeups')}, doorbells ${thread('doorbells')}, poll hits ${thread('pollHits')}, ` +
      `slept ${per(1000 * change(({ info }) => info.iothreads, 'waitedMs'))} us`,
    `exits: ${exitCounts.join(', ')}`,
    ...accessCosts(from.info.exits, to.info.exits, requests),
    ...to.info.disks.flatMap(({ medium }) => {
      if (medium === undefined) return [];
      const latency = medium.queues[0]?.latency;
      return [
        `driver p50 ${medium.driver.latency.p50} us, request p50 ${latency?.p50} us p99 ${latency?.p99} us`,
      ];
    }),
  ].join('\n  ');
}

/** Accesses to devices, range by range. */
export function accessCosts(
  from: readonly ExitInfo[],
  to: readonly ExitInfo[],
  requests: number,
): readonly string[] {
  const earlier = new Map(from.map((exit) => [identityOf(exit), exit]));
  return to.flatMap((exit) => {
    const before = earlier.get(identityOf(exit));
    const count = exit.reads + exit.writes - (before?.reads ?? 0) - (before?.writes ?? 0);
    const us = (exit.nanoseconds - (before?.nanoseconds ?? 0)) / 1000;
    const where =
      exit.space === 'thread' ? `thread ${exit.start}` : `${exit.space} ${exit.start.toString(16)}`;
    return count < requests * RARE
      ? []
      : [
          `${exit.name} (${exit.served}) ${where}: ${(count / requests).toFixed(3)} accesses, ${(us / requests).toFixed(3)} us`,
        ];
  });
}

/** A kick is asked of a thread in two ways, for which the vCPU waits or not: they share name and start. */
function identityOf({ name, served, space, start }: ExitInfo): string {
  return [name, served, space, start].join(' ');
}

/** The sum of all numbers called `name` anywhere in a value. */
function total(value: unknown, name: string): number {
  if (typeof value !== 'object' || value === null) return 0;
  return Object.entries(value).reduce(
    (sum, [key, item]: [string, unknown]) =>
      sum + (key === name && typeof item === 'number' ? item : total(item, name)),
    0,
  );
}
