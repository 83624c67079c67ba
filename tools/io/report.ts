/** The tables of `npm run bench:io`. */
import type { Host } from '../bench/host.ts';
import { geometricMean, median } from '../bench/statistics.ts';
import { table } from '../bench/report.ts';
import type { RingMeasurement } from '../ring/run.ts';
import type { Speed } from './raw-driver.ts';
import { KINDS, megabytesPerSecond, SITUATIONS } from './rows.ts';
import type { Kind, Row, Situation } from './rows.ts';

export interface SubjectRows {
  readonly name: string;
  readonly architecture: string;
  readonly rows: readonly Row[];
  readonly clockRatio?: number;
  /** Why there are no more. */
  readonly failure?: string;
}

export interface RingRun {
  readonly name: string;
  readonly measurements: readonly RingMeasurement[];
  readonly failure?: string;
}

export interface IoReport {
  readonly format: 1;
  readonly started: string;
  readonly host: Host;
  readonly load: readonly number[];
  readonly seconds: number;
  readonly repetitions: number;
  readonly warmSeconds: number;
  readonly realTime: boolean;
  readonly subjects: readonly SubjectRows[];
  readonly rings: readonly RingRun[];
  readonly driver: readonly Speed[];
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

/** Several measurements of one thing, as medians. */
interface Cell {
  readonly mbps: number;
  readonly perVcpu: number;
  readonly perHost: number;
  readonly notifiesPerMb: number;
  readonly kicksPerMb: number;
  readonly otherCores: number;
}

export function cellOf(rows: readonly Row[]): Cell {
  const of = (value: (row: Row) => number): number => median(rows.map(value));
  return {
    mbps: of(megabytesPerSecond),
    perVcpu: of(({ bytes, vcpuMs }) => bytes / 1e3 / vcpuMs),
    perHost: of(({ bytes, hostMs }) => bytes / 1e3 / hostMs),
    notifiesPerMb: of(({ bytes, notifies = Number.NaN }) => notifies / (bytes / 1e6)),
    kicksPerMb: of(({ bytes, kicks = Number.NaN }) => kicks / (bytes / 1e6)),
    otherCores: of(({ otherCores }) => otherCores),
  };
}

function figure(value: number, digits = 1): string {
  return Number.isFinite(value) ? value.toFixed(digits) : '';
}

function rowsOf(
  subject: SubjectRows,
  situation: Situation,
  kind: Kind,
  jobs: number,
  ioeventfd: string | undefined,
): readonly Row[] {
  return subject.rows.filter(
    (row) =>
      row.situation === situation && row.kind === kind && row.jobs === jobs && row.ioeventfd === ioeventfd,
  );
}

/** Geometric mean over the rows of several jobs of `on` by `off`; above 1, `on` is better. */
export function onByOff(subject: SubjectRows): number {
  const ratios: number[] = [];
  for (const kind of KINDS) {
    for (const jobs of new Set(subject.rows.map((row) => row.jobs))) {
      const on = rowsOf(subject, 'alone', kind, jobs, 'on');
      const off = rowsOf(subject, 'alone', kind, jobs, 'off');
      if (jobs > 1 && on.length > 0 && off.length > 0) ratios.push(cellOf(on).mbps / cellOf(off).mbps);
    }
  }
  return geometricMean(ratios);
}

export function formatIo(report: IoReport): string {
  const { host } = report;
  const parts = [
    `${report.started}, commit ${host.commit}. ${host.cores} cores of ${host.cpu}, ${host.memoryGib} GiB; Chromium ${host.chromium}. ` +
      `${report.repetitions} repetitions of ${report.seconds} s after ${report.warmSeconds} s of each kind; in the host's page cache except where it says so; ` +
      `${report.realTime ? 'real-time priority for what was measured; ' : ''}load average ${report.load.map((load) => load.toFixed(1)).join(', ')}.`,
  ];
  const jobsOf = [...new Set(report.subjects.flatMap(({ rows }) => rows.map(({ jobs }) => jobs)))].sort(
    (a, b) => a - b,
  );
  const tables = SITUATIONS.flatMap((situation) => KINDS.map((kind) => ({ situation, kind })));
  for (const { situation, kind } of tables) {
    const lines = report.subjects.flatMap((subject) =>
      [undefined, 'off', 'on'].flatMap((ioeventfd) =>
        jobsOf.flatMap((jobs) => {
          const rows = rowsOf(subject, situation, kind, jobs, ioeventfd);
          if (rows.length === 0) return [];
          const cell = cellOf(rows);
          return [
            [
              `${subject.name}${ioeventfd === undefined ? '' : `, ioeventfd=${ioeventfd}`}`,
              String(jobs),
              figure(cell.mbps),
              figure(cell.perVcpu),
              figure(cell.perHost),
              figure(cell.kicksPerMb),
              figure(cell.notifiesPerMb),
              figure(cell.otherCores, 2),
            ],
          ];
        }),
      ),
    );
    if (lines.length === 0) continue;
    const header = [
      `${TITLES[kind]}${IN_SITUATION[situation]}`,
      'jobs',
      'MB/s',
      'MB per vCPU s',
      'MB per host CPU s',
      'kicks/MB',
      'notifies/MB',
      'others',
    ];
    parts.push(table(header, lines));
  }
  const means = report.subjects
    .map((subject) => ({ subject, mean: onByOff(subject) }))
    .filter(({ mean }) => Number.isFinite(mean))
    .map(({ subject, mean }) => `${subject.name} ${mean.toFixed(2)}`);
  if (means.length > 0) {
    parts.push(
      `ioeventfd on by off, geometric mean of the MB/s of all rows with more than one job: ${means.join('; ')}.`,
    );
  }
  parts.push(...notes(report));
  const rings = report.rings.flatMap(({ name, measurements }) =>
    measurements.map((line) => [
      `${name}, ${line.op} ${line.bytes / 1024} KiB, ${line.wait}`,
      String(line.depth),
      String(line.rps),
      figure((line.rps * line.bytes) / 1e6),
      figure(line.kicks / line.requests, 3),
      figure(line.interrupts / line.requests, 3),
    ]),
  );
  if (rings.length > 0) {
    parts.push(
      'Without an operating system (tools/ring):',
      table(['bare-metal ring', 'depth', 'requests/s', 'MB/s', 'kicks/request', 'interrupts/request'], rings),
    );
  }
  if (report.driver.length > 0) {
    parts.push(
      'The block queue and the driver without a machine (the page of e2e/block):',
      table(
        ['raw driver', 'requests/s'],
        report.driver.map(({ name, perSecond }) => [name, perSecond.toFixed(0)]),
      ),
    );
  }
  return `${parts.join('\n\n')}\n`;
}

function notes({ subjects, rings }: IoReport): string[] {
  const lines = [
    ...subjects.flatMap(({ name, failure }) =>
      failure === undefined ? [] : [`- ${name}: not measured further: ${failure}`],
    ),
    ...rings.flatMap(({ name, failure }) => (failure === undefined ? [] : [`- ring, ${name}: ${failure}`])),
    ...subjects.flatMap(({ name, clockRatio }) =>
      clockRatio === undefined || Math.abs(clockRatio - 1) < 0.03
        ? []
        : [
            `- ${name}: the guest's clock ran at ${clockRatio.toFixed(2)} of the host's; its MB/s are by its own clock.`,
          ],
    ),
  ];
  return lines.length === 0 ? [] : [lines.join('\n')];
}
