/**
 * What a run says of who is faster: ratios of measurements that were made within seconds, so that a slow spell of the host is in both,
 * and only then the median of them.
 */
import { geometricMean } from '../bench/statistics.ts';
import type { RingPair } from './rings.ts';
import type { SubjectRows } from './rounds.ts';
import { megabytesPerSecond } from './rows.ts';
import type { Kind, Row } from './rows.ts';

type Cell = Pick<Row, 'situation' | 'kind' | 'jobs' | 'ioeventfd'>;

/** The measurements of one cell of the tables. */
export function rowsOf(subject: SubjectRows, cell: Cell): readonly Row[] {
  return subject.rows.filter(
    (row) =>
      row.situation === cell.situation &&
      row.kind === cell.kind &&
      row.jobs === cell.jobs &&
      row.ioeventfd === cell.ioeventfd,
  );
}

/** MB/s by MB/s, of each repetition that both have. */
export function ratiosOf(rows: readonly Row[], references: readonly Row[]): readonly number[] {
  return rows.flatMap((row) => {
    const reference = references.find(({ repetition }) => repetition === row.repetition);
    return reference === undefined ? [] : [megabytesPerSecond(row) / megabytesPerSecond(reference)];
  });
}

export function isOurs({ program }: SubjectRows): boolean {
  return program === 'virtab';
}

/** QEMU runs the same guest; v86 knows no other than its own. */
export function referenceOf(
  subjects: readonly SubjectRows[],
  { architecture }: SubjectRows,
  program: 'qemu' | 'v86',
): SubjectRows | undefined {
  return subjects.find(
    (other) => other.program === program && (program === 'v86' || other.architecture === architecture),
  );
}

/** Of each repetition the geometric mean of `on` by `off` over all rows of several jobs; above 1, `on` is better. */
export function onByOff(subject: SubjectRows): readonly number[] {
  const rows = subject.rows.filter(({ situation, jobs }) => situation === 'alone' && jobs > 1);
  const repetitions = [...new Set(rows.map(({ repetition }) => repetition))];
  return repetitions
    .map((repetition) => {
      const on = rows.filter((row) => row.repetition === repetition && row.ioeventfd === 'on');
      return geometricMean(
        on.flatMap((row) => ratiosOf([row], rowsOf(subject, { ...row, ioeventfd: 'off' }))),
      );
    })
    .filter((mean) => Number.isFinite(mean));
}

export interface Requirement {
  readonly what: string;
  readonly atLeast: number;
  /** What the run found, repetition by repetition. */
  readonly ratios: readonly number[];
}

const RANDOM: readonly (readonly [Kind, string])[] = [
  ['randread', 'random reads'],
  ['randwrite', 'random writes'],
];
const REQUIRED_JOBS = [8, 16];

/** IO.md's, as far as this run has measured them. */
export function requirementsOf(
  subjects: readonly SubjectRows[],
  pairs: readonly RingPair[],
): readonly Requirement[] {
  const ours = subjects.filter(isOurs);
  const against = (program: 'qemu' | 'v86', atLeast: number): Requirement[] =>
    ours.flatMap((subject) => {
      const reference = referenceOf(subjects, subject, program);
      if (reference === undefined) return [];
      return RANDOM.flatMap(([kind, name]) =>
        REQUIRED_JOBS.map((jobs) => {
          const cell = { situation: 'alone', kind, jobs } as const;
          return {
            what: `${subject.name}: ${name}, ${jobs} jobs, \`on\`, by ${reference.name}`,
            atLeast,
            ratios: ratiosOf(rowsOf(subject, { ...cell, ioeventfd: 'on' }), rowsOf(reference, cell)),
          };
        }),
      );
    });
  return [
    ...against('qemu', 1),
    ...against('v86', 3),
    ...ours.map((subject) => ({
      what: `${subject.name}: \`on\` by \`off\`, geometric mean of all rows with more than one job`,
      atLeast: 1,
      ratios: onByOff(subject),
    })),
    {
      what: 'ring by driver without a machine, random reads, depth 16, requests/s',
      atLeast: 0.6,
      ratios: pairs.map(({ ring, driver }) => ring / driver),
    },
  ].filter(({ ratios }) => ratios.length > 0);
}
