/** Medians, ratios and geometric means of the guest programs, and their tables. */
import type { Host } from './host.ts';
import type { ProgramRun } from './program-marks.ts';
import type { Bits, Program } from './programs.ts';
import { table } from './report.ts';
import { geometricMean, median, summarize } from './statistics.ts';
import type { Summary } from './statistics.ts';

/** One boot of a subject. */
export interface ProgramEntry {
  readonly subject: string;
  readonly bits: Bits;
  readonly runs: readonly ProgramRun[];
  /** Cores in use by others meanwhile. */
  readonly otherCores?: number;
  readonly failure?: string;
}

export interface ProgramReport {
  readonly format: 1;
  readonly started: string;
  readonly host: Host;
  readonly repetitions: number;
  readonly load: readonly number[];
  readonly mitigations: boolean;
  readonly subjects: readonly { readonly id: string; readonly name: string; readonly description: string }[];
  readonly programs: readonly Program[];
  readonly guests: readonly {
    readonly bits: Bits;
    readonly description: string;
    readonly commandLine: string;
  }[];
  readonly entries: readonly ProgramEntry[];
}

/** What the others are compared with; the JSON has ratios to each. */
export const PROGRAM_REFERENCES = ['native', 'qemu', 'v86'] as const;

export interface ProgramRow {
  readonly subject: string;
  readonly bits: Bits;
  readonly program: string;
  readonly time: Summary;
  /** CPU time of the thread that ran the guest. */
  readonly threadMs?: number;
  readonly instructions?: number;
  /** By subject: of the medians of the time, and of that of the thread's CPU time (natively, of the time). */
  readonly ratios: Readonly<Record<string, number>>;
  readonly threadRatios: Readonly<Record<string, number>>;
  /** The checksum, or all that were seen if they differ. */
  readonly checksum: string;
}

function medianOf(values: readonly (number | undefined)[]): number | undefined {
  const present = values.filter((value) => value !== undefined);
  return present.length === 0 ? undefined : median(present);
}

export function programRows({ entries, subjects, programs, guests }: ProgramReport): ProgramRow[] {
  const plain = guests.flatMap(({ bits }) =>
    programs.flatMap(({ id: program }) =>
      subjects.flatMap(({ id: subject }) => {
        const runs = entries
          .filter((entry) => entry.subject === subject && entry.bits === bits)
          .flatMap((entry) => entry.runs.filter((run) => run.program === program));
        if (runs.length === 0) return [];
        const time = summarize(runs.map(({ timeMs }) => timeMs));
        const threadMs = subject === 'native' ? time.median : medianOf(runs.map((run) => run.threadMs));
        const instructions = medianOf(runs.map((run) => run.instructions));
        return [
          {
            subject,
            bits,
            program,
            time,
            checksum: [...new Set(runs.map((run) => run.checksum))].join(' '),
            ...(threadMs === undefined ? {} : { threadMs }),
            ...(instructions === undefined ? {} : { instructions }),
          },
        ];
      }),
    ),
  );
  return plain.map((row) => {
    const ratios: Record<string, number> = {};
    const threadRatios: Record<string, number> = {};
    for (const id of PROGRAM_REFERENCES) {
      const other = plain.find(
        ({ subject, bits, program }) => subject === id && bits === row.bits && program === row.program,
      );
      if (other === undefined || id === row.subject) continue;
      ratios[id] = row.time.median / other.time.median;
      if (row.threadMs !== undefined && other.threadMs !== undefined) {
        threadRatios[id] = row.threadMs / other.threadMs;
      }
    }
    return { ...row, ratios, threadRatios };
  });
}

/** Programs whose results differ between subjects or word sizes, with what each said. */
export function disagreements(rows: readonly ProgramRow[]): string[] {
  return [...new Set(rows.map(({ program }) => program))].flatMap((program) => {
    const own = rows.filter((row) => row.program === program);
    if (new Set(own.map(({ checksum }) => checksum)).size === 1) return [];
    const said = own.map(({ subject, bits, checksum }) => `${subject}, ${bits} bits: ${checksum}`);
    return [`${program}: checksums differ (${said.join('; ')})`];
  });
}

export function meansOf(
  rows: readonly ProgramRow[],
  subject: string,
  reference: string,
  kind: 'ratios' | 'threadRatios',
): { readonly mean: number; readonly count: number } {
  const ratios = rows
    .filter((row) => row.subject === subject)
    .map((row) => row[kind][reference])
    .filter((ratio) => ratio !== undefined);
  return { mean: geometricMean(ratios), count: ratios.length };
}

const seconds = (ms: number | undefined): string => (ms === undefined ? '' : (ms / 1000).toFixed(2));
const ratio = (value: number | undefined): string =>
  value === undefined || Number.isNaN(value) ? '' : value.toFixed(value < 10 ? 2 : 1);

function timeTable(rows: readonly ProgramRow[], report: ProgramReport, bits: Bits): string {
  const own = rows.filter((row) => row.bits === bits);
  const present = report.subjects.filter(({ id }) => own.some(({ subject }) => subject === id));
  const lines = report.programs.map(({ id, kind }) => [
    `${id} (${kind})`,
    ...present.map(({ id: subject }) => {
      const row = own.find((candidate) => candidate.subject === subject && candidate.program === id);
      if (row === undefined) return '';
      const spread = row.time.count < 2 ? '' : ` ±${(row.time.spread * 50).toFixed(0)} %`;
      return `${seconds(row.time.median)}${spread}`;
    }),
  ]);
  return table([`${bits} bits: seconds`, ...present.map(({ name }) => name)], lines);
}

/** The columns: how many times longer a subject took than a reference. */
function ratioTable(
  rows: readonly ProgramRow[],
  report: ProgramReport,
  bits: Bits,
  kind: 'ratios' | 'threadRatios',
): string {
  const own = rows.filter((row) => row.bits === bits);
  const name = (id: string): string => report.subjects.find((subject) => subject.id === id)?.name ?? id;
  const columns = report.subjects
    .filter(({ id }) => id !== 'native')
    .flatMap(({ id: subject }) => {
      const wanted = subject.startsWith('virtab') ? PROGRAM_REFERENCES : (['native'] as const);
      return wanted
        .filter((reference) => own.some((row) => row.subject === subject && reference in row[kind]))
        .map((reference) => ({ subject, reference }));
    });
  const lines = report.programs.map(({ id }) => [
    id,
    ...columns.map(({ subject, reference }) =>
      ratio(own.find((row) => row.subject === subject && row.program === id)?.[kind][reference]),
    ),
  ]);
  const means = columns.map(({ subject, reference }) => ratio(meansOf(own, subject, reference, kind).mean));
  const title = kind === 'ratios' ? `${bits} bits: times` : `${bits} bits: by CPU time of the guest's thread`;
  return table(
    [title, ...columns.map(({ subject, reference }) => `${name(subject)} / ${name(reference)}`)],
    [...lines, ['geometric mean', ...means]],
  );
}

function instructionTable(rows: readonly ProgramRow[], report: ProgramReport, bits: Bits): string {
  const counted = rows.filter((row) => row.bits === bits && row.instructions !== undefined);
  const present = report.subjects.filter(({ id }) => counted.some(({ subject }) => subject === id));
  const lines = report.programs.map(({ id }) => [
    id,
    ...present.flatMap(({ id: subject }) => {
      const row = counted.find((candidate) => candidate.subject === subject && candidate.program === id);
      if (row?.instructions === undefined) return ['', ''];
      const ns = ((row.threadMs ?? row.time.median) * 1e6) / row.instructions;
      return [(row.instructions / 1e6).toFixed(0), ns.toFixed(2)];
    }),
  ]);
  const header = present.flatMap(({ name }) => [`${name}: M instr.`, 'CPU ns each']);
  return table([`${bits} bits`, ...header], lines);
}

/** The whole report, as Markdown. */
export function formatPrograms(report: ProgramReport): string {
  const { host } = report;
  const rows = programRows(report);
  const parts = [
    `${report.started}, commit ${host.commit}. ${host.cores} cores of ${host.cpu}, ${host.memoryGib} GiB; ` +
      `Chromium ${host.chromium}, Node ${host.node}. ${report.repetitions} repetitions in turn; ` +
      `load average ${report.load.map((load) => load.toFixed(1)).join(', ')}.`,
  ];
  for (const { bits, description, commandLine } of report.guests) {
    parts.push(
      `${description}; command line "${commandLine}".`,
      timeTable(rows, report, bits),
      ratioTable(rows, report, bits, 'ratios'),
      ratioTable(rows, report, bits, 'threadRatios'),
      instructionTable(rows, report, bits),
    );
  }
  const wrong = disagreements(rows);
  const failures = report.entries.flatMap(({ subject, bits, failure }) =>
    failure === undefined ? [] : [`- ${subject}, ${bits} bits: not measured: ${failure}`],
  );
  parts.push(
    wrong.length === 0
      ? 'All checksums agree, between the subjects and between the word sizes.'
      : wrong.map((line) => `- ${line}`).join('\n'),
  );
  if (failures.length > 0) parts.push(failures.join('\n'));
  parts.push(report.subjects.map(({ name, description }) => `- ${name}: ${description}`).join('\n'));
  return `${parts.join('\n\n')}\n`;
}
