/** The texts of `info block`, `info aio`, `info ioeventfd`, `info exits`, `info network`, `info stats` and `info jit`. */
import type { JitFigures, VerifyFigures } from './figures.ts';
import type {
  DiskInfo,
  ExitInfo,
  IoeventfdInfo,
  IothreadInfo,
  LatencyInfo,
  MachineInfo,
  MediumInfo,
  NetInfo,
} from './info.ts';
import type { Profile } from './regions.ts';

export const INFO_TOPICS = ['block', 'aio', 'ioeventfd', 'exits', 'network', 'stats', 'jit'] as const;
export type InfoTopic = (typeof INFO_TOPICS)[number];

export function describeInfo(info: MachineInfo, topic: InfoTopic): string {
  switch (topic) {
    case 'block':
      return paragraphs(info.disks.map(diskText), 'There are no disks.');
    case 'aio':
      return paragraphs(
        info.disks.flatMap(({ drive, medium }) => (medium === undefined ? [] : [aioText(drive, medium)])),
        'There are no disks.',
      );
    case 'ioeventfd':
      return paragraphs(info.ioeventfd.map(ioeventfdText), 'There are no virtio devices.');
    case 'exits':
      return exitsText(info.exits);
    case 'network':
      return paragraphs(info.net.map(netText), 'There are no network cards.');
    case 'stats':
      return paragraphs(info.iothreads.map(threadText), 'There are no threads for devices.');
    case 'jit':
      return [
        jitText(info.jit, info.verify),
        ...(info.profile === undefined ? [] : [profileText(info.profile)]),
      ].join('\n\n');
  }
}

function paragraphs(texts: readonly string[], none: string): string {
  return texts.length === 0 ? none : texts.join('\n\n');
}

/** What the disk is, how it is reached and why, and what went wrong. */
function diskText({ drive, medium }: DiskInfo): string {
  if (medium === undefined) return `${drive}: no medium`;
  const { name, format, sizeBytes, readOnly, paused, aio, aioReason, cache, discardGranularity } = medium;
  const discard = discardGranularity > 0 ? `in units of ${sizeText(discardGranularity)}` : 'not possible';
  const lines = [
    `${drive}: ${name}, ${format}, ${sizeText(sizeBytes)}, ${readOnly ? 'read-only' : 'read-write'}${paused ? ', PAUSED' : ''}`,
    `    aio=${aio}: ${aioReason}`,
    `    cache=${cache}, write cache ${medium.writeCache ? 'on' : 'off'}, discard ${discard}`,
    ...medium.queues.map((queue) => `    ${queue.priority} ${queue.name}: ${queue.inFlight} in flight`),
  ];
  if (medium.warning !== undefined) lines.push(`    warning: ${medium.warning}`);
  if (medium.lastProblem !== '') lines.push(`    last problem: ${medium.lastProblem}`);
  return lines.join('\n');
}

/** Counters and latencies of the driver and of each queue. */
function aioText(drive: string, { aio, driver, queues }: MediumInfo): string {
  return [
    `${drive}, driver ${aio}: ${driver.operations} operations, at most ${driver.deepest} at once, ` +
      `${sizeText(driver.readBytes)} read, ${sizeText(driver.writtenBytes)} written, ` +
      `${driver.copies} copies of ${sizeText(driver.copiedBytes)}, ${driver.errors} errors, ${driver.pauses} pauses`,
    `    latency ${latencyText(driver.latency)}`,
    `    ${driver.flushes} flushes (${driver.flushesSkipped} needed none) ${latencyText(driver.flushLatency)}`,
    ...queues.flatMap((queue) => [
      `    ${queue.name}: ${queue.reads} reads, ${queue.writes} writes, ${queue.flushes} flushes, ` +
        `${queue.discards} discards, ${queue.zeroes} zeroes, ${queue.merges} merged, ` +
        `${queue.errors} errors, ${queue.cancelled} cancelled`,
      `        latency ${latencyText(queue.latency)}`,
    ]),
  ].join('\n');
}

function ioeventfdText(info: IoeventfdInfo): string {
  return [
    `${info.device}: ioeventfd=${info.setting}, ${info.enabled ? 'on' : 'off'}: ${info.reason}`,
    `    the vCPU waited ${info.synchronousKicks} times for a look at a queue, ${info.synchronousExits} times for anything else`,
    ...info.queues.map(
      (queue) =>
        `    queue ${queue.queue}: ${queue.state}${queue.lacksSlot ? ' (the table has no slot for it)' : ''}, ` +
        `${queue.kicks} kicks, ${queue.notifies} of them woke the thread, ${queue.chains} chains, ` +
        `${queue.interrupts} interrupts, ${queue.suppressed} suppressed`,
    ),
  ].join('\n');
}

function netText(info: NetInfo): string {
  return (
    `${info.device}: hub ${info.hub}, ${info.mac}, link ${info.linkUp ? 'up' : 'down'}\n` +
    `    sent ${info.sentFrames} frames (${sizeText(info.sentBytes)}), received ${info.receivedFrames} (${sizeText(info.receivedBytes)})\n` +
    `    ${info.dropped} dropped, ${info.malformed} malformed, ${info.tooLarge} too large, ${info.filtered} filtered`
  );
}

function threadText({ name, wakeups, pollHits, doorbells, exits, waitedMs, aliveMs }: IothreadInfo): string {
  const busy = aliveMs === 0 ? 0 : Math.round((100 * (aliveMs - waitedMs)) / aliveMs);
  return (
    `iothread ${name}: ${wakeups} sleeps, ${pollHits} spared by polling, ${doorbells} doorbells served, ${exits} exits answered\n` +
    `    not waiting ${Math.round(aliveMs - waitedMs)} ms of ${Math.round(aliveMs)} (${busy} %)`
  );
}

/** What was translated, what of it is there, what came to nothing, and where the time went. */
function jitText(jit: JitFigures | undefined, verify: VerifyFigures | undefined): string {
  if (jit === undefined || jit.longestQueue === 0) return 'Nothing has been translated.';
  const where = jit.turns === 0 ? "the vCPU's thread" : 'the compile worker';
  return [
    `translated: ${jit.instructions} instructions in ${jit.regions} regions, ${jit.modules} modules, ${sizeText(jit.bytes)}`,
    `installed: ${jit.liveRegions} regions, ${jit.liveModules} modules, ${sizeText(jit.liveBytes)}; ${jit.evicted} modules evicted`,
    `pages: ${jit.queue} waiting (${jit.longestQueue} at most), ${jit.dropped} dropped as they had changed, ` +
      `${jit.retranslated} translated again after a change, ${jit.merged} merged; ${jit.postponed} hot blocks postponed`,
    `time on ${where}: ${Math.round(jit.translateMs)} ms translating, ${Math.round(jit.compileMs)} ms compiling; ` +
      `${jit.turns === 0 ? '' : "on the vCPU's: "}${Math.round(jit.requestMs)} ms asking, ${Math.round(jit.installMs)} ms installing, ${jit.turns} turns`,
    ...(verify === undefined
      ? []
      : [
          `verified: ${verify.instructions} instructions in ${verify.runs} runs, ${verify.repeated} repeated as memory changed meanwhile, ` +
            `${verify.unverified} too long`,
        ]),
  ].join('\n');
}

/** Where the vCPU was found, and in which regions most often. */
function profileText({ samples, ms, halted, interpreted, gone, regions }: Profile): string {
  const seconds = (count: number): string => ((count * ms) / 1000 / Math.max(1, samples)).toFixed(2);
  const share = (count: number): string => `${((100 * count) / Math.max(1, samples)).toFixed(1)} %`;
  const rows = regions
    .slice(0, SHOWN_REGIONS)
    .map((region) => [
      region.page.toString(16),
      region.linear,
      share(region.samples),
      seconds(region.samples),
      region.kind,
      String(region.leaders.length),
      String(region.instructions),
      entriesText(region.entries),
    ]);
  const parts = [
    `${share(halted)} halted`,
    `${share(interpreted)} interpreter and devices`,
    `${share(gone)} regions that have gone`,
    `${share(samples - halted - interpreted - gone)} in ${regions.length} regions`,
  ];
  return [
    `looked ${samples} times in ${(ms / 1000).toFixed(1)} s: ${parts.join(', ')}`,
    ...(rows.length === 0 ? [] : [table(2, [REGION_HEADER, ...rows])]),
  ].join('\n');
}

/** Offsets in the page. */
function entriesText(entries: readonly number[]): string {
  const shown = entries.slice(0, SHOWN_ENTRIES).map((offset) => offset.toString(16));
  const rest = entries.length - shown.length;
  return `${shown.join(' ')}${rest === 0 ? '' : ` and ${rest}`}`;
}

const SHOWN_REGIONS = 20;
const SHOWN_ENTRIES = 6;
const REGION_HEADER = ['page', 'seen at', 'time', 'seconds', 'mode', 'blocks', 'instructions', 'entries'];

/** Most expensive first. */
function exitsText(exits: readonly ExitInfo[]): string {
  const used = exits
    .filter(({ reads, writes }) => reads + writes > 0)
    .toSorted((a, b) => b.nanoseconds - a.nanoseconds);
  if (used.length === 0) return 'The guest has not accessed any device.';
  const rows = used.map(({ name, served, space, start, reads, writes, nanoseconds }) => {
    const where = space === 'memory' ? start.toString(16) : `${space} ${start.toString(16)}`;
    const times =
      served === 'posted'
        ? ['-', '-']
        : [String(Math.round(nanoseconds / (reads + writes))), (nanoseconds / 1e6).toFixed(1)];
    return [name, where, served, String(reads), String(writes), ...times];
  });
  return table(3, [['device', 'at', 'served', 'reads', 'writes', 'ns each', 'ms'], ...rows]);
}

/** The first `names` columns are words, the others numbers. */
function table(names: number, rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          column < names ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function latencyText({ count, p50, p90, p99, p999, max }: LatencyInfo): string {
  return count === 0 ? '-' : `p50 ${p50} p90 ${p90} p99 ${p99} p99.9 ${p999} max ${max} us`;
}

/** With at most one digit behind the point: `1.5 GiB`. */
export function sizeText(bytes: number): string {
  const units = [
    [2 ** 30, 'GiB'],
    [2 ** 20, 'MiB'],
    [2 ** 10, 'KiB'],
  ] as const;
  const unit = units.find(([size]) => bytes >= size);
  return unit === undefined ? `${bytes} bytes` : `${Math.round((bytes / unit[0]) * 10) / 10} ${unit[1]}`;
}
