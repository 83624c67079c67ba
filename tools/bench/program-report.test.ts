import { describe, expect, it } from 'vitest';
import { runsOf } from './program-marks.ts';
import type { ProgramRun } from './program-marks.ts';
import {
  disagreements,
  formatPrograms,
  meansOf,
  missing,
  programRows,
  slowerThan,
} from './program-report.ts';
import type { ProgramReport } from './program-report.ts';

describe('the lines of a guest program', () => {
  it('give time, instructions and CPU time of what lies between them', () => {
    const runs = runsOf([
      { line: '@bench start lz', timeMs: 100, instructions: 5_000, threadMs: 90 },
      { line: '@bench end lz 00000000000000ff 1500', timeMs: 102, instructions: 9_000, threadMs: 91 },
    ]);
    expect(runs).toEqual([
      {
        program: 'lz',
        checksum: '00000000000000ff',
        timeMs: 2,
        guestMs: 1.5,
        instructions: 4_000,
        threadMs: 1,
      },
    ]);
  });

  it('tell how many cores others kept busy meanwhile', () => {
    const runs = runsOf([
      { line: '@bench start lz', timeMs: 0, others: { timeMs: 1_000, busyMs: 5_000 } },
      { line: '@bench end lz 00000000000000ff 1500', timeMs: 2, others: { timeMs: 3_000, busyMs: 6_000 } },
    ]);
    expect(runs[0]?.otherCores).toBe(0.5);
  });

  it('say nothing about a program that did not end', () => {
    expect(runsOf([{ line: '@bench start lz', timeMs: 100 }])).toEqual([]);
  });

  it('say nothing about a program whose result is broken by another message', () => {
    const runs = runsOf([
      { line: '@bench start lz', timeMs: 1 },
      { line: '@bench end lz 0000[   3.1] random: crng init done', timeMs: 2 },
    ]);
    expect(runs).toEqual([]);
  });
});

function ran(program: string, timeMs: number, checksum = '0000000000000001'): ProgramRun {
  return { program, checksum, timeMs, guestMs: timeMs };
}

const REPORT: ProgramReport = {
  format: 1,
  started: '2026-01-01T00:00:00.000Z',
  host: { cpu: 'cpu', cores: 2, memoryGib: 4, system: '', node: '', chromium: '', commit: '' },
  repetitions: 3,
  load: [0],
  mitigations: false,
  subjects: [
    { id: 'native', name: 'native', description: '' },
    { id: 'virtab-jit', name: 'Virtab, JIT', description: '' },
    { id: 'v86', name: 'v86', description: '' },
  ],
  programs: [
    { id: 'lz', kind: 'compression', scale: 1 },
    { id: 'sort', kind: 'sort', scale: 1 },
  ],
  guests: [{ bits: 32, description: 'a guest', commandLine: '' }],
  entries: [
    { subject: 'native', bits: 32, runs: [ran('lz', 100), ran('sort', 100)] },
    { subject: 'virtab-jit', bits: 32, runs: [ran('lz', 400), ran('sort', 100)] },
    { subject: 'virtab-jit', bits: 32, runs: [ran('lz', 600), ran('sort', 900)] },
    { subject: 'virtab-jit', bits: 32, runs: [ran('lz', 410), ran('sort', 900)] },
    { subject: 'v86', bits: 32, runs: [ran('lz', 820), ran('sort', 225)] },
  ],
};

describe('the report of the programs', () => {
  it('takes medians, and ratios of medians', () => {
    const lz = programRows(REPORT).find((row) => row.subject === 'virtab-jit' && row.program === 'lz');
    expect(lz?.time.median).toBe(410);
    expect(lz?.ratios).toEqual({ native: 4.1, v86: 0.5 });
  });

  it('has the geometric mean over the programs: half as long and four times as long is 1.41', () => {
    const { mean, count } = meansOf(programRows(REPORT), 'virtab-jit', 'v86', 'ratios');
    expect(mean).toBeCloseTo(Math.SQRT2);
    expect(count).toBe(2);
  });

  it('finds nothing wrong where all checksums agree', () => {
    expect(disagreements(programRows(REPORT))).toEqual([]);
    expect(formatPrograms(REPORT)).toContain('All checksums agree');
  });

  it('names the program whose checksum differs between subjects, and those of the subjects', () => {
    const wrong = { subject: 'v86', bits: 32, runs: [ran('lz', 820, '00000000000000bb')] } as const;
    const entries = REPORT.entries.map((entry) => (entry.subject === 'v86' ? wrong : entry));
    expect(disagreements(programRows({ ...REPORT, entries }))).toEqual([
      'lz: checksums differ (native, 32 bits: 0000000000000001; virtab-jit, 32 bits: 0000000000000001; ' +
        'v86, 32 bits: 00000000000000bb)',
    ]);
  });

  it('leaves out measurements that others disturbed where there are others, and says how many', () => {
    const busy = { ...ran('lz', 900), otherCores: 1.2 };
    const quiet = { ...ran('lz', 400), otherCores: 0.1 };
    const entries = [busy, quiet, busy].map((run) => ({
      subject: 'virtab-jit',
      bits: 32 as const,
      runs: [run],
    }));
    const [row] = programRows({ ...REPORT, entries });
    expect(row).toMatchObject({ time: { median: 400, count: 1 }, measured: 3, otherCores: 0.1 });
    expect(formatPrograms({ ...REPORT, entries })).toContain('0.40 1 of 3 (0.1)');
  });

  it('calls a program slower only where the repetitions do not overlap', () => {
    const entries = [
      { subject: 'v86', bits: 32 as const, runs: [ran('lz', 100), ran('sort', 100)] },
      { subject: 'v86', bits: 32 as const, runs: [ran('lz', 120), ran('sort', 130)] },
      { subject: 'virtab-jit', bits: 32 as const, runs: [ran('lz', 121), ran('sort', 125)] },
      { subject: 'virtab-jit', bits: 32 as const, runs: [ran('lz', 140), ran('sort', 300)] },
    ];
    expect(slowerThan(programRows({ ...REPORT, entries }), 32, 'v86').map(({ program }) => program)).toEqual([
      'lz',
    ]);
    expect(formatPrograms({ ...REPORT, entries })).toMatch(
      /slower than v86 beyond the spread *\| *none \| *\| *lz 1\.19/,
    );
  });

  it('names what has no result', () => {
    const entries = [
      { subject: 'v86', bits: 32 as const, runs: [ran('lz', 100)] },
      { subject: 'native', bits: 32 as const, runs: [], failure: 'no gcc' },
    ];
    expect(missing({ ...REPORT, entries })).toEqual([
      'native, 32 bits: not measured: no gcc',
      'v86, 32 bits: sort has no result',
    ]);
  });
});
