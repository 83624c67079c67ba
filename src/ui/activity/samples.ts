/** From counters that only grow to what happened per second. Pure. */
import type { DeviceInfo } from '../../control/info.ts';

/** The counters at one moment. */
export interface Sample {
  /** In ms. */
  readonly time: number;
  /** Kicks that rang a doorbell. */
  readonly kicks: number;
  /** Times that a vCPU waited for a device. */
  readonly exits: number;
  /** To and from disks and network cards. */
  readonly bytes: number;
  /** How long the threads of devices did not wait, in ms. */
  readonly workerMs: number;
  /** How often the vCPU was looked at, and how often it was executing then. */
  readonly looks: number;
  readonly busyLooks: number;
}

export interface Rates {
  readonly kicks: number;
  readonly exits: number;
  /** In MB/s: 10^6 bytes, as `dd` counts. */
  readonly megabytes: number;
  /** In percent of one core. */
  readonly vcpu: number;
  readonly worker: number;
}

export const NO_RATES: Rates = { kicks: 0, exits: 0, megabytes: 0, vcpu: 0, worker: 0 };

function sum<T>(items: readonly T[], count: (item: T) => number): number {
  return items.reduce((total, item) => total + count(item), 0);
}

export function sampleOf(
  { ioeventfd, disks, net, iothreads }: DeviceInfo,
  time: number,
  looks: { readonly all: number; readonly busy: number },
): Sample {
  const diskBytes = sum(disks, ({ medium }) =>
    medium === undefined ? 0 : medium.driver.readBytes + medium.driver.writtenBytes,
  );
  return {
    time,
    kicks: sum(ioeventfd, ({ queues }) => sum(queues, ({ kicks }) => kicks)),
    exits: sum(ioeventfd, ({ synchronousKicks, synchronousExits }) => synchronousKicks + synchronousExits),
    bytes: diskBytes + sum(net, ({ sentBytes, receivedBytes }) => sentBytes + receivedBytes),
    workerMs: sum(iothreads, ({ aliveMs, waitedMs }) => aliveMs - waitedMs),
    looks: looks.all,
    busyLooks: looks.busy,
  };
}

/** Counters that went back belong to another run of the machine: nothing is known then. */
export function ratesBetween(before: Sample, after: Sample): Rates {
  const ms = after.time - before.time;
  if (ms <= 0 || after.kicks < before.kicks || after.workerMs < before.workerMs) return NO_RATES;
  const perSecond = (count: number): number => Math.max(0, (count * 1000) / ms);
  const looks = after.looks - before.looks;
  return {
    kicks: perSecond(after.kicks - before.kicks),
    exits: perSecond(after.exits - before.exits),
    megabytes: perSecond(after.bytes - before.bytes) / 1e6,
    vcpu: looks === 0 ? 0 : (100 * (after.busyLooks - before.busyLooks)) / looks,
    worker: Math.min(100, (100 * (after.workerMs - before.workerMs)) / ms),
  };
}
