/** The texts of `info block` and `info aio`. */
import { GIB, KIB, MIB } from '../base/units.ts';
import type { BlockStats, LatencySummary } from './block-backend.ts';

/** One paragraph per disk: what it is, how it is reached and why, what went wrong. */
export function describeDisks(disks: readonly BlockStats[]): string {
  return disks.length === 0 ? 'There are no disks.' : disks.map(describeDisk).join('\n\n');
}

function describeDisk({ properties, paused, queues, lastProblem }: BlockStats): string {
  const { id, format, sizeBytes, readOnly, cache, driver, driverReason, discardGranularity } = properties;
  const lines = [
    `${id}: ${format}, ${sizeText(sizeBytes)}, ${readOnly ? 'read-only' : 'read-write'}${paused ? ', PAUSED' : ''}`,
    `    aio=${driver}: ${driverReason}`,
    `    cache=${cache}, discard ${discardGranularity > 0 ? `in units of ${sizeText(discardGranularity)}` : 'not possible'}`,
    ...queues.map(({ name, priority, inFlight }) => `    ${priority} ${name}: ${inFlight} in flight`),
  ];
  if (lastProblem !== '') lines.push(`    last problem: ${lastProblem}`);
  return lines.join('\n');
}

/** Counters and latencies per disk, driver and queue. */
export function describeAioStats(disks: readonly BlockStats[]): string {
  return disks.length === 0 ? 'There are no disks.' : disks.map(describeCounters).join('\n\n');
}

function describeCounters({
  properties,
  driver,
  operationLatency,
  flushLatency,
  queues,
}: BlockStats): string {
  const lines = [
    `${properties.id}, driver ${properties.driver}: ${driver.operations} operations, at most ${driver.deepest} at once, ` +
      `${sizeText(driver.readBytes)} read, ${sizeText(driver.writtenBytes)} written, ` +
      `${driver.copies} copies of ${sizeText(driver.copiedBytes)}, ${driver.errors} errors, ${driver.pauses} pauses`,
    `    latency ${latencyText(operationLatency)}`,
    `    ${driver.flushes} flushes (${driver.flushesSkipped} needed none) ${latencyText(flushLatency)}`,
  ];
  for (const { name, counters, latency } of queues) {
    lines.push(
      `    ${name}: ${counters.reads} reads, ${counters.writes} writes, ${counters.flushes} flushes, ` +
        `${counters.discards} discards, ${counters.zeroes} zeroes, ${counters.merges} merged, ` +
        `${counters.errors} errors, ${counters.cancelled} cancelled`,
      `        latency ${latencyText(latency)}`,
    );
  }
  return lines.join('\n');
}

function latencyText({ count, p50, p90, p99, p999, max }: LatencySummary): string {
  return count === 0 ? '-' : `p50 ${p50} p90 ${p90} p99 ${p99} p99.9 ${p999} max ${max} us`;
}

/** With at most one digit behind the point: `1.5 GiB`. */
export function sizeText(bytes: number): string {
  const units = [
    [GIB, 'GiB'],
    [MIB, 'MiB'],
    [KIB, 'KiB'],
  ] as const;
  const unit = units.find(([size]) => bytes >= size);
  return unit === undefined ? `${bytes} bytes` : `${Math.round((bytes / unit[0]) * 10) / 10} ${unit[1]}`;
}
