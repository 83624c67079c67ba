import type { DriverCounters, QueueCounters } from './block-backend.ts';

export function newQueueCounters(): QueueCounters {
  return {
    reads: 0,
    writes: 0,
    flushes: 0,
    discards: 0,
    zeroes: 0,
    readBytes: 0,
    writtenBytes: 0,
    merges: 0,
    errors: 0,
    cancelled: 0,
  };
}

/** All but the copies, which the driver counts itself. */
export type OperationCounters = Omit<DriverCounters, 'copies' | 'copiedBytes'>;

export function newOperationCounters(): OperationCounters {
  return {
    operations: 0,
    flushes: 0,
    flushesSkipped: 0,
    readBytes: 0,
    writtenBytes: 0,
    errors: 0,
    pauses: 0,
    deepest: 0,
  };
}
