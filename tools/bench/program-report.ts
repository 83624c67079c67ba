/** Medians, ratios and geometric means of the guest programs, and their tables. */
import type { Host } from './host.ts';
import type { ProgramRun } from './program-marks.ts';
import type { Bits, Program } from './programs.ts';
import { table } from './report.ts';
import { geometricMean, median, quietOnes, summarize } from './statistics.ts';
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
export const PROGRAM_REFERENCES = ['native', 'qemu', 'v86', 'v86-scheduling'] as const;

export interface ProgramRow {
  readonly subject: string;
  readonly bits: Bits;
  readonly program: string;
  /** Of the measurements that count. */
  readonly time: Summary;
  /** All measurements, also those that were disturbed and do not count beside others that were not. */
  readonly measured: number;
  /** Cores that others kept busy meanwhile: median of those that count. */
  readonly otherCores?: number;
  /** CPU time of the thread that ran the guest. */
  readonly threadMs?: number;
  readonly instructions?: number;
  /** By subject: of the medians of the time, and of that of the thread's CPU time. */
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
        const all = entries
          .filter((entry) => entry.subject === subject && entry.bits === bits)
          .flatMap((entry) => entry.runs.filter((run) => run.program === program));
        if (all.length === 0) return [];
        const runs = quietOnes(all, (run) => run.otherCores);
        const time = summarize(runs.map(({ timeMs }) => timeMs));
        const threadMs = medianOf(runs.map((run) => run.threadMs));
        const instructions = medianOf(runs.map((run) => run.instructions));
        const otherCores = medianOf(runs.map((run) => run.otherCores));
        return [
          {
            subject,
            bits,
            program,
            time,
            measured: all.length,
            checksum: [...new Set(all.map((run) => run.checksum))].join(' '),
            ...(otherCores === undefined ? {} : { otherCores }),
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

/** What should have been measured and was not. */
export function missing(report: ProgramReport): string[] {
  const failures = report.entries.flatMap(({ subject, bits, failure }) =>
    failure === undefined ? [] : [`${subject}, ${bits} bits: not measured: ${failure}`],
  );
  const unended = report.entries
    .filter(({ failure }) => failure === undefined)
    .flatMap(({ subject, bits, runs }) =>
      report.programs
        .filter(({ id }) => !runs.some(({ program }) => program === id))
        .map(({ id }) => `${subject}, ${bits} bits: ${id} has no result`),
    );
  return [...failures, ...unended];
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
      const used = row.time.count === row.measured ? '' : ` ${row.time.count} of ${row.measured}`;
      const others = row.otherCores === undefined ? '' : ` (${row.otherCores.toFixed(1)})`;
      return `${seconds(row.time.median)}${spread}${used}${others}`;
    }),
  ]);
  return table([`${bits} bits: seconds (busy cores)`, ...present.map(({ name }) => name)], lines);
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

/** Programs on which Virtab took longer than `reference` did, by more than the repetitions of both lie apart. */
export function slowerThan(
  rows: readonly ProgramRow[],
  bits: Bits,
  reference: string,
): readonly ProgramRow[] {
  return rows.filter((row) => {
    if (row.subject !== VIRTAB || row.bits !== bits) return false;
    const other = rows.find(
      ({ subject, bits: size, program }) => subject === reference && size === bits && program === row.program,
    );
    return other !== undefined && row.time.min > other.time.max;
  });
}

const VIRTAB = 'virtab-jit';

/** What issue 4 asks for, beside what was measured. */
function goalTable(rows: readonly ProgramRow[], report: ProgramReport): string {
  const name = (id: string): string => report.subjects.find((subject) => subject.id === id)?.name ?? id;
  const mean = (bits: Bits, reference: string): string => {
    const own = rows.filter((row) => row.bits === bits);
    const { mean: times, count } = meansOf(own, VIRTAB, reference, 'ratios');
    const { mean: byCpu } = meansOf(own, VIRTAB, reference, 'threadRatios');
    return count === 0 ? '' : `${ratio(times)} (by CPU time ${ratio(byCpu)}; ${count} programs)`;
  };
  const slower = (reference: string): string => {
    const slow = slowerThan(rows, 32, reference);
    return slow.map(({ program, ratios }) => `${program} ${ratio(ratios[reference])}`).join(', ') || 'none';
  };
  const peers = (['v86', 'v86-scheduling'] as const).filter((id) =>
    rows.some(({ subject }) => subject === id),
  );
  return table(
    ['Virtab, JIT', 'required', 'aim', 'measured'],
    [
      ...peers.flatMap((id) => [
        [`32 bits: geometric mean by ${name(id)}'s time`, '0.50', '0.25', mean(32, id)],
        [`32 bits: slower than ${name(id)} beyond the spread`, 'none', '', slower(id)],
      ]),
      ["64 bits: geometric mean by QEMU TCG's time", '1.00', '0.33', mean(64, 'qemu')],
      ["32 bits: geometric mean by QEMU TCG's time", '', '0.33', mean(32, 'qemu')],
      ['64 bits: geometric mean by native time', '', '3.00', mean(64, 'native')],
      ['32 bits: geometric mean by native time', '', '3.00', mean(32, 'native')],
    ].filter((line) => line.at(-1) !== ''),
  );
}

/** The whole report, as Markdown. */
export function formatPrograms(report: ProgramReport): string {
  const { host } = report;
  const rows = programRows(report);
  const parts = [
    `${report.started}, commit ${host.commit}. ${host.cores} cores of ${host.cpu}, ${host.memoryGib} GiB; ` +
      `Chromium ${host.chromium}, Node ${host.node}. ${report.repetitions} repetitions in turn; ` +
      `load average ${report.load.map((load) => load.toFixed(1)).join(', ')}. ` +
      `The kernel's CPU mitigations: ${report.mitigations ? 'its default' : 'off'}.`,
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
  const absent = missing(report);
  parts.push(goalTable(rows, report));
  parts.push(
    wrong.length === 0
      ? 'All checksums agree, between the subjects and between the word sizes.'
      : wrong.map((line) => `- ${line}`).join('\n'),
  );
  if (absent.length > 0) parts.push(absent.map((line) => `- ${line}`).join('\n'));
  parts.push(report.subjects.map(({ name, description }) => `- ${name}: ${description}`).join('\n'));
  return `${parts.join('\n\n')}\n`;
}
