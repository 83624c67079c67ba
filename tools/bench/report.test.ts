import { describe, expect, it } from 'vitest';
import { geometricMeans, rowsOf, table } from './report.ts';
import type { Report } from './report.ts';
import type { Measurement } from './subject.ts';

function measured(timeMs: number, cpuMs: number, instructions?: number): Measurement {
  return {
    timeMs,
    startMs: 10,
    cpu: { cpuMs, threadsMs: {}, otherCores: 0, stolenCores: 0 },
    ...(instructions === undefined ? {} : { instructions }),
    details: {},
    marks: [],
  };
}

const REPORT: Report = {
  format: 1,
  started: '2026-01-01T00:00:00.000Z',
  host: { cpu: 'cpu', cores: 2, memoryGib: 4, system: '', node: '', chromium: '', commit: '' },
  repetitions: 3,
  load: [],
  subjects: [],
  workloads: [
    { id: 'first', name: 'first', description: '', qemuInstructions: 2e9 },
    { id: 'second', name: 'second', description: '' },
  ],
  entries: [
    {
      subject: 'ours',
      workload: 'first',
      measurements: [measured(9000, 100, 1e9), measured(4000, 400, 1e9), measured(3000, 300, 1e9)],
    },
    { subject: 'qemu', workload: 'first', measurements: [measured(2000, 600)] },
    { subject: 'ours', workload: 'second', measurements: [measured(1000, 50, 1e9)] },
    { subject: 'qemu', workload: 'second', measurements: [measured(2000, 100)] },
    { subject: 'broken', workload: 'second', measurements: [], failure: 'it does not start' },
  ],
  references: ['qemu'],
};

describe('measurements on a machine that others use', () => {
  const busy = (timeMs: number): Measurement => ({
    ...measured(timeMs, 100),
    cpu: { cpuMs: 100, threadsMs: {}, otherCores: 1, stolenCores: 0 },
  });
  const rowOf = (measurements: Measurement[]) =>
    rowsOf({ ...REPORT, entries: [{ subject: 'ours', workload: 'first', measurements }] })[0];

  it('do not count beside undisturbed ones', () => {
    expect(rowOf([busy(9000), measured(2000, 100), busy(8000)])).toMatchObject({
      measured: 3,
      time: { count: 1, median: 2000 },
    });
  });

  it('count where there are no others', () => {
    expect(rowOf([busy(9000), busy(8000), busy(7000)])).toMatchObject({
      measured: 3,
      time: { count: 3, median: 8000 },
    });
  });
});

describe('rowsOf', () => {
  const [ours, qemu] = rowsOf(REPORT);

  it('compares medians with those of the reference', () => {
    expect(ours).toMatchObject({
      time: { median: 4000 },
      ratios: { qemu: 2 },
      cpuMs: 300,
      cpuRatios: { qemu: 0.5 },
    });
  });

  it('divides by the instructions that the subject counted', () => {
    expect(ours).toMatchObject({ instructions: 1e9, nsPerInstruction: 4, cpuNsPerInstruction: 0.3 });
  });

  it('takes the separate count for QEMU, which has no counter of its own, and no ratio of it to itself', () => {
    expect(qemu).toMatchObject({ instructions: 2e9, nsPerInstruction: 1, ratios: {} });
  });

  it('has no row for what was not measured', () => {
    expect(rowsOf(REPORT).map(({ subject }) => subject)).toEqual(['ours', 'qemu', 'ours', 'qemu']);
  });
});

it('means ratios over the workloads that both ran', () => {
  expect(geometricMeans(rowsOf(REPORT), 'qemu', 'ratios')).toEqual([
    { subject: 'ours', mean: expect.closeTo(1, 12) as number, count: 2 },
  ]);
});

it('aligns a table and leaves out columns without a value', () => {
  const text = table(
    ['name', 'a', 'empty', 'longer'],
    [
      ['x', '1.5', '', '2'],
      ['long name', '', '', '30'],
    ],
  );
  expect(text.split('\n')).toEqual([
    '| name      |   a | longer |',
    '| --------- | --: | -----: |',
    '| x         | 1.5 |      2 |',
    '| long name |     |     30 |',
  ]);
});
