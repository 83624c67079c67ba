/** Medians and ratios of a run, and their table. */
import type { CpuUse } from './cpu-time.ts';
import type { Host } from './host.ts';
import { geometricMean, median, quietOnes, summarize } from './statistics.ts';
import type { Summary } from './statistics.ts';
import type { Measurement, Subject, Workload } from './subject.ts';

/** One subject on one workload. */
export interface Entry {
  readonly subject: string;
  readonly workload: string;
  readonly measurements: Measurement[];
  /** Why there is no more. */
  failure?: string;
}

export interface Report {
  readonly format: 1;
  readonly started: string;
  readonly host: Host;
  readonly repetitions: number;
  /** Load average before each repetition and at the end. */
  readonly load: number[];
  readonly subjects: readonly { readonly id: string; readonly name: string; readonly description: string }[];
  readonly workloads: readonly {
    readonly id: string;
    readonly name: string;
    readonly description: string;
    /** Instructions that QEMU counted, firmware included. */
    readonly qemuInstructions?: number;
  }[];
  readonly entries: readonly Entry[];
  /** What the others are compared with. */
  readonly references: readonly string[];
}

/** Figures of one row; absent where they were not measured. */
export interface Row {
  readonly subject: string;
  readonly workload: string;
  readonly time: Summary;
  /** How many measurements there are; `time.count` of them were used. */
  readonly measured: number;
  readonly startMs: number;
  readonly cpuMs?: number;
  readonly instructions?: number;
  /** Reset to prompt by instructions, and CPU time by instructions: whatever the time was spent on. */
  readonly nsPerInstruction?: number;
  readonly cpuNsPerInstruction?: number;
  readonly otherCores?: number;
  /** Time by that of the reference, per id; the medians of both. */
  readonly ratios: Readonly<Record<string, number>>;
  readonly cpuRatios: Readonly<Record<string, number>>;
  readonly details: Readonly<Record<string, number>>;
}

function defined(values: readonly (number | undefined)[]): number[] {
  return values.filter((value) => value !== undefined);
}

/** The median, or undefined for none: a property that may be absent. */
function medianOf(values: readonly (number | undefined)[]): number | undefined {
  const present = defined(values);
  return present.length === 0 ? undefined : median(present);
}

export function rowsOf(report: Report): Row[] {
  const measured = report.entries
    .filter(({ measurements }) => measurements.length > 0)
    .map((entry) => ({
      ...entry,
      all: entry.measurements.length,
      measurements: quietOnes(entry.measurements, ({ cpu }) => cpu?.otherCores),
    }));
  type Measured = (typeof measured)[number];
  const cpuOf = (entry: Measured): number | undefined =>
    medianOf(entry.measurements.map(({ cpu }) => cpu?.cpuMs));
  const timeOf = (entry: Measured): number => median(entry.measurements.map(({ timeMs }) => timeMs));
  return measured.map((entry) => {
    const { measurements, subject, workload } = entry;
    const qemu = report.workloads.find(({ id }) => id === workload)?.qemuInstructions;
    const instructions =
      medianOf(measurements.map((run) => run.instructions)) ?? (subject === 'qemu' ? qemu : undefined);
    const time = summarize(measurements.map(({ timeMs }) => timeMs));
    const cpuMs = cpuOf(entry);
    const ratios: Record<string, number> = {};
    const cpuRatios: Record<string, number> = {};
    for (const id of report.references) {
      const reference = measured.find((other) => other.subject === id && other.workload === workload);
      if (reference === undefined || id === subject) continue;
      ratios[id] = time.median / timeOf(reference);
      const referenceCpu = cpuOf(reference);
      if (cpuMs !== undefined && referenceCpu !== undefined) cpuRatios[id] = cpuMs / referenceCpu;
    }
    const names = Object.keys(measurements[0]?.details ?? {});
    const details = Object.fromEntries(
      names.map((name) => [name, median(defined(measurements.map((run) => run.details[name])))]),
    );
    const otherCores = medianOf(measurements.map((run) => run.cpu?.otherCores));
    const row: Row = {
      subject,
      workload,
      time,
      measured: entry.all,
      startMs: median(measurements.map((run) => run.startMs)),
      ratios,
      cpuRatios,
      details,
      ...(cpuMs === undefined ? {} : { cpuMs }),
      ...(otherCores === undefined ? {} : { otherCores }),
      ...(instructions === undefined
        ? {}
        : { instructions, nsPerInstruction: (time.median * 1e6) / instructions }),
      ...(instructions === undefined || cpuMs === undefined
        ? {}
        : { cpuNsPerInstruction: (cpuMs * 1e6) / instructions }),
    };
    return row;
  });
}

/** Geometric mean over the workloads of the ratios to a reference, of each subject that has any. */
export function geometricMeans(
  rows: readonly Row[],
  reference: string,
  kind: 'ratios' | 'cpuRatios',
): { readonly subject: string; readonly mean: number; readonly count: number }[] {
  return [...new Set(rows.map(({ subject }) => subject))].flatMap((subject) => {
    const ratios = defined(rows.filter((row) => row.subject === subject).map((row) => row[kind][reference]));
    return ratios.length === 0 ? [] : [{ subject, mean: geometricMean(ratios), count: ratios.length }];
  });
}

const seconds = (ms: number): string => (ms / 1000).toFixed(2);

/** A Markdown table with aligned columns: the first one is text, the others are numbers. Empty columns are left out. */
export function table(header: readonly string[], lines: readonly (readonly string[])[]): string {
  const cell = (line: readonly string[], column: number): string => line[column] ?? '';
  const columns = [...header.keys()].filter(
    (column) => column === 0 || lines.some((line) => cell(line, column) !== ''),
  );
  const widths = columns.map((column): [column: number, width: number] => [
    column,
    Math.max(3, cell(header, column).length, ...lines.map((line) => cell(line, column).length)),
  ]);
  const row = (line: readonly string[]): string => {
    const cells = widths.map(([column, width]) =>
      column === 0 ? cell(line, column).padEnd(width) : cell(line, column).padStart(width),
    );
    return `| ${cells.join(' | ')} |`;
  };
  const rule = widths.map(([column, width]) =>
    column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  );
  return [row(header), `| ${rule.join(' | ')} |`, ...lines.map(row)].join('\n');
}

/** What is printed, and what docs/benchmarks.md takes over: Markdown. */
export function format(report: Report): string {
  const rows = rowsOf(report);
  const nameOf = (id: string): string => report.subjects.find((subject) => subject.id === id)?.name ?? id;
  const { host } = report;
  const parts = [
    `${report.started}, commit ${host.commit}. ${host.cores} cores of ${host.cpu}, ${host.memoryGib} GiB; ` +
      `Chromium ${host.chromium}, Node ${host.node}. ${report.repetitions} repetitions in turn; ` +
      `load average ${report.load.map((load) => load.toFixed(1)).join(', ')}.`,
  ];
  for (const workload of report.workloads) {
    const own = rows.filter((row) => row.workload === workload.id);
    const lines = own.map((row) => [
      nameOf(row.subject),
      seconds(row.time.median),
      `${seconds(row.time.min)} - ${seconds(row.time.max)}`,
      ...report.references.map((id) => row.ratios[id]?.toFixed(2) ?? ''),
      row.cpuMs === undefined ? '' : seconds(row.cpuMs),
      ...report.references.map((id) => row.cpuRatios[id]?.toFixed(2) ?? ''),
      row.instructions === undefined ? '' : (row.instructions / 1e6).toFixed(0),
      row.nsPerInstruction?.toFixed(2) ?? '',
      row.cpuNsPerInstruction?.toFixed(2) ?? '',
      seconds(row.startMs),
      row.otherCores?.toFixed(2) ?? '',
      `${row.time.count} of ${row.measured}`,
    ]);
    const header = [
      workload.name,
      'time s',
      'min - max',
      ...report.references.map((id) => `x ${nameOf(id)}`),
      'CPU s',
      ...report.references.map((id) => `CPU x ${nameOf(id)}`),
      'M instr.',
      'ns/instr.',
      'CPU ns/instr.',
      'start s',
      'others',
      'used',
    ];
    parts.push(`${workload.name}: ${workload.description}.`, table(header, lines));
    const inside = own
      .filter((row) => row.subject.startsWith('virtab'))
      .map((row) => insideVirtab(row, nameOf(row.subject)));
    const failures = report.entries
      .filter((entry) => entry.workload === workload.id && entry.failure !== undefined)
      .map(
        (entry) =>
          `- ${nameOf(entry.subject)}: not measured${entry.measurements.length > 0 ? ' again' : ''}: ${entry.failure}`,
      );
    if (inside.length + failures.length > 0) parts.push([...inside, ...failures].join('\n'));
  }
  const kinds = [
    ['ratios', 'times'],
    ['cpuRatios', 'CPU times'],
  ] as const;
  for (const reference of report.references) {
    for (const [kind, what] of kinds) {
      const means = geometricMeans(rows, reference, kind);
      if (means.length === 0) continue;
      const list = means.map(
        ({ subject, mean, count }) =>
          `${nameOf(subject)} ${mean.toFixed(2)} (${count} of ${report.workloads.length})`,
      );
      parts.push(
        `Geometric mean of the ${what} by ${nameOf(reference)}'s, over the workloads that both run: ${list.join('; ')}.`,
      );
    }
  }
  parts.push(report.subjects.map(({ name, description }) => `- ${name}: ${description}`).join('\n'));
  return `${parts.join('\n\n')}\n`;
}

function insideVirtab(row: Row, name: string): string {
  const { details, instructions = Number.NaN } = row;
  const of = (key: string): number => details[key] ?? Number.NaN;
  const ns = (ms: number): string => ((ms * 1e6) / instructions).toFixed(2);
  const busy = of('interpretMs') + of('decodeMs');
  const thread = details['vcpuThreadMs'];
  const lines = [
    `- ${name}: running and decoding ${ns(busy)} ns per instruction by the clock`,
    thread === undefined ? '' : `, ${ns(thread)} of CPU time of the vCPU's thread`,
    `; decoding ${((100 * of('decodeMs')) / busy).toFixed(1)} % (${of('instructionsDecoded').toFixed(0)} instructions, `,
    `${seconds(of('decodeMs'))} s); halted ${seconds(of('haltedMs'))} s; first output after ${seconds(of('firstOutputMs'))} s`,
  ];
  if (details['jitRegions'] !== undefined) {
    lines.push(
      `; ${of('jitRegions')} regions in ${of('jitModules')} modules, ${of('jitInstructions')} instructions, ` +
        `${(of('jitBytes') / 1024).toFixed(0)} KiB; translating ${seconds(of('jitTranslateMs'))} s, ` +
        `compiling ${seconds(of('jitCompileMs'))} s on the vCPU's thread`,
    );
  }
  return `${lines.join('')}.`;
}

/** One measurement, while the run goes on. */
export function formatMeasurement(
  workload: Workload,
  subject: Subject,
  { timeMs, cpu, instructions }: Measurement,
): string {
  const parts = [`${workload.name}, ${subject.name}: ${seconds(timeMs)} s`];
  if (cpu !== undefined) parts.push(`CPU ${seconds(cpu.cpuMs)} s${formatOthers(cpu)}`);
  if (instructions !== undefined) parts.push(`${(instructions / 1e6).toFixed(0)} M instructions`);
  return parts.join(', ');
}

function formatOthers({ otherCores, stolenCores }: CpuUse): string {
  return ` (others ${otherCores.toFixed(2)}, stolen ${stolenCores.toFixed(2)} cores)`;
}
