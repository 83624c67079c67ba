/** What is measured: IO.md's rows of virtio-blk, and the measurements that each of them is made of. */
import type { Ioeventfd } from './machine.ts';

export const KINDS = ['create', 'seqread', 'randread', 'randwrite'] as const;
export type Kind = (typeof KINDS)[number];

/**
 * `alone`: nothing else runs, and everything is in the host's page cache. `cold`: the cache has forgotten the image before each measurement,
 * which fills it again as it goes. `busy`: another process computes all the time, so the disk's thread has no core of its own.
 * `two`: two machines of the kind at once, each with an image of its own; the figures are of both together.
 */
export const SITUATIONS = ['alone', 'cold', 'busy', 'two'] as const;
export type Situation = (typeof SITUATIONS)[number];

/** One measurement. */
export interface Row {
  readonly situation: Situation;
  readonly kind: Kind;
  readonly jobs: number;
  /** From 0. Rows of one repetition were measured within seconds. */
  readonly repetition: number;
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

export function megabytesPerSecond({ bytes, seconds }: Pick<Row, 'bytes' | 'seconds'>): number {
  return bytes / 1e6 / seconds;
}

/** What fio wrote in its terse format, version 3. */
export function parseTerse(line: string): Pick<Row, 'bytes' | 'seconds'> {
  const fields = line.split(';').map(Number);
  const of = (number: number): number => fields[number - 1] ?? Number.NaN;
  const [readKib, readMs, writtenKib, writtenMs] = [of(6), of(9), of(47), of(50)];
  return { bytes: (readKib + writtenKib) * 1024, seconds: Math.max(readMs, writtenMs) / 1000 };
}
