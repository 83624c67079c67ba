/** The tables of `npm run bench:io`. */
import type { Host } from '../bench/host.ts';
import { table } from '../bench/report.ts';
import { median, summarize } from '../bench/statistics.ts';
import { isOurs, ratiosOf, referenceOf, requirementsOf, rowsOf } from './ratios.ts';
import type { RingRuns } from './rings.ts';
import type { SubjectRows } from './rounds.ts';
import { KINDS, megabytesPerSecond, SITUATIONS } from './rows.ts';
import type { Kind, Row, Situation } from './rows.ts';

export interface IoReport extends RingRuns {
  readonly format: 2;
  readonly started: string;
  readonly host: Host;
  readonly load: readonly number[];
  readonly seconds: number;
  readonly repetitions: number;
  readonly warmSeconds: number;
  readonly realTime: boolean;
  readonly subjects: readonly SubjectRows[];
}

const TITLES: Readonly<Record<Kind, string>> = {
  create: 'large file create (buffered, 64 KiB, fsync)',
  seqread: 'sequential reads (64 KiB, O_DIRECT)',
  randread: 'random reads (4 KiB, O_DIRECT)',
  randwrite: 'random writes (4 KiB, O_DIRECT)',
};

const IN_SITUATION: Readonly<Record<Situation, string>> = {
  alone: '',
  cold: ', image not in the host’s cache',
  busy: ', another process computes',
  two: ', two machines',
};

export function formatIo(report: IoReport): string {
  const parts = [
    heading(report),
    ...SITUATIONS.flatMap((situation) =>
      KINDS.flatMap((kind) => kindTable(report.subjects, situation, kind)),
    ),
    ...notes(report),
    ...ringTables(report),
    ...requiredTable(report),
  ];
  return `${parts.join('\n\n')}\n`;
}

function heading(report: IoReport): string {
  const { host } = report;
  return (
    `${report.started}, commit ${host.commit}. ${host.cores} cores of ${host.cpu}, ${host.memoryGib} GiB; Chromium ${host.chromium}. ` +
    `${report.repetitions} repetitions of ${report.seconds} s after ${report.warmSeconds} s of each kind, all subjects in turn; medians, and ` +
    `ratios of neighbours (min - max); in the host's page cache except where it says so; ` +
    `${report.realTime ? 'real-time priority for what was measured; ' : ''}load average ${report.load.map((load) => load.toFixed(1)).join(', ')}.`
  );
}

function kindTable(subjects: readonly SubjectRows[], situation: Situation, kind: Kind): string[] {
  const rows = subjects.flatMap((subject) => subject.rows);
  const jobsOf = [...new Set(rows.map(({ jobs }) => jobs))].toSorted((a, b) => a - b);
  const lines = subjects.flatMap((subject) =>
    [undefined, 'off' as const, 'on' as const].flatMap((ioeventfd) =>
      jobsOf.flatMap((jobs) => {
        const cell = { situation, kind, jobs, ...(ioeventfd === undefined ? {} : { ioeventfd }) };
        const measured = rowsOf(subject, cell);
        return measured.length === 0 ? [] : [line(subjects, subject, measured)];
      }),
    ),
  );
  if (lines.length === 0) return [];
  const header = [
    'jobs',
    'MB/s',
    'of QEMU’s',
    'of v86’s',
    '`on` by `off`',
    'MB per vCPU s',
    'MB per host CPU s',
  ];
  return [
    table(
      [`${TITLES[kind]}${IN_SITUATION[situation]}`, ...header, 'kicks/MB', 'notifies/MB', 'others'],
      lines,
    ),
  ];
}

function line(subjects: readonly SubjectRows[], subject: SubjectRows, rows: readonly Row[]): string[] {
  const [{ situation, kind, jobs, ioeventfd }] = rows as readonly [Row];
  const of = (value: (row: Row) => number): number => median(rows.map(value));
  const by = (program: 'qemu' | 'v86'): string => {
    const reference = isOurs(subject) ? referenceOf(subjects, subject, program) : undefined;
    return reference === undefined ? '' : ratio(ratiosOf(rows, rowsOf(reference, { situation, kind, jobs })));
  };
  const off = ioeventfd === 'on' ? rowsOf(subject, { situation, kind, jobs, ioeventfd: 'off' }) : [];
  return [
    `${subject.name}${ioeventfd === undefined ? '' : `, ioeventfd=${ioeventfd}`}`,
    String(jobs),
    figure(of(megabytesPerSecond)),
    by('qemu'),
    by('v86'),
    ratio(ratiosOf(rows, off)),
    figure(of(({ bytes, vcpuMs }) => bytes / 1e3 / vcpuMs)),
    figure(of(({ bytes, hostMs }) => bytes / 1e3 / hostMs)),
    figure(of(({ bytes, kicks = Number.NaN }) => kicks / (bytes / 1e6))),
    figure(of(({ bytes, notifies = Number.NaN }) => notifies / (bytes / 1e6))),
    figure(
      of(({ otherCores }) => otherCores),
      2,
    ),
  ];
}

function figure(value: number, digits = 1): string {
  return Number.isFinite(value) ? value.toFixed(digits) : '';
}

/** The median, and how far the repetitions lie apart. */
function ratio(ratios: readonly number[]): string {
  if (ratios.length === 0) return '';
  const { count, median: middle, min, max } = summarize(ratios);
  return count === 1 ? middle.toFixed(2) : `${middle.toFixed(2)} (${min.toFixed(2)} - ${max.toFixed(2)})`;
}

function requiredTable({ subjects, pairs }: IoReport): string[] {
  const lines = requirementsOf(subjects, pairs).map(({ what, atLeast, ratios }) => [
    what,
    atLeast.toFixed(2),
    ratio(ratios),
    median(ratios) >= atLeast ? 'yes' : 'no',
  ]);
  return lines.length === 0 ? [] : [table(['what was required', 'at least', 'found', 'holds'], lines)];
}

function ringTables({ rings, driver }: IoReport): string[] {
  const lines = rings.flatMap(({ name, measurements }) =>
    measurements.map((measured) => [
      `${name}, ${measured.op} ${measured.bytes / 1024} KiB, ${measured.wait}`,
      String(measured.depth),
      String(measured.rps),
      figure((measured.rps * measured.bytes) / 1e6),
      figure(measured.kicks / measured.requests, 3),
      figure(measured.interrupts / measured.requests, 3),
    ]),
  );
  const header = ['bare-metal ring', 'depth', 'requests/s', 'MB/s', 'kicks/request', 'interrupts/request'];
  const speeds = driver.map(({ name, perSecond }) => [name, perSecond.toFixed(0)]);
  return [
    ...(lines.length === 0 ? [] : ['Without an operating system (tools/ring):', table(header, lines)]),
    ...(speeds.length === 0
      ? []
      : [
          'The block queue and the driver without a machine (the page of e2e/block):',
          table(['raw driver', 'requests/s'], speeds),
        ]),
  ];
}

/** By how much a guest's clock may differ without a word. */
const CLOCK_TOLERANCE = 0.03;

function notes({ subjects, rings }: IoReport): string[] {
  const lines = [
    ...subjects.flatMap(({ name, failure }) =>
      failure === undefined ? [] : [`- ${name}: not measured further: ${failure}`],
    ),
    ...rings.flatMap(({ name, failure }) => (failure === undefined ? [] : [`- ring, ${name}: ${failure}`])),
    ...subjects.flatMap(({ name, clockRatio = 1 }) =>
      Math.abs(clockRatio - 1) < CLOCK_TOLERANCE
        ? []
        : [
            `- ${name}: the guest's clock ran at ${clockRatio.toFixed(2)} of the host's; its MB/s are by its own clock.`,
          ],
    ),
  ];
  return lines.length === 0 ? [] : [lines.join('\n')];
}
