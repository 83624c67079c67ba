import { expect, it } from 'vitest';
import { onByOff, ratiosOf, requirementsOf } from './ratios.ts';
import type { SubjectRows } from './rounds.ts';
import type { Row } from './rows.ts';

/** One second of it. */
function row(kind: Row['kind'], jobs: number, repetition: number, mbps: number): Row {
  return {
    situation: 'alone',
    kind,
    jobs,
    repetition,
    bytes: mbps * 1e6,
    seconds: 1,
    vcpuMs: 900,
    hostMs: 1200,
    otherCores: 0,
  };
}

const VIRTAB = { id: 'virtab-jit', name: 'Virtab', program: 'virtab', architecture: 'amd64' } as const;
const QEMU = { id: 'qemu', name: 'QEMU', program: 'qemu', architecture: 'amd64' } as const;
const QEMU_686 = { id: 'qemu-686', name: 'QEMU, 686', program: 'qemu', architecture: 'i386' } as const;
const V86 = { id: 'v86', name: 'v86', program: 'v86', architecture: 'i386' } as const;

const subject = (who: Omit<SubjectRows, 'rows' | 'disk'>, rows: readonly Row[]): SubjectRows => ({
  ...who,
  disk: '/dev/vda',
  rows,
});

it('compares neighbours: a slow minute of the host, in both, changes no ratio', () => {
  const ours = [row('randread', 8, 0, 60), row('randread', 8, 1, 30)];
  const theirs = [row('randread', 8, 0, 50), row('randread', 8, 1, 25)];
  expect(ratiosOf(ours, theirs)).toEqual([1.2, 1.2]);
});

it('leaves out a repetition that the other has not measured', () => {
  const ours = [row('randread', 8, 0, 60), row('randread', 8, 1, 30)];
  expect(ratiosOf(ours, [row('randread', 8, 1, 10)])).toEqual([3]);
});

it('takes the geometric mean of on by off of each repetition, over the rows of several jobs', () => {
  const virtab = subject(VIRTAB, [
    { ...row('randread', 1, 0, 5), ioeventfd: 'off' },
    { ...row('randread', 1, 0, 50), ioeventfd: 'on' },
    { ...row('randread', 8, 0, 10), ioeventfd: 'off' },
    { ...row('randread', 8, 0, 40), ioeventfd: 'on' },
    { ...row('randwrite', 8, 0, 20), ioeventfd: 'off' },
    { ...row('randwrite', 8, 0, 20), ioeventfd: 'on' },
    { ...row('randread', 8, 1, 10), ioeventfd: 'off' },
    { ...row('randread', 8, 1, 90), ioeventfd: 'on' },
  ]);
  expect(onByOff(virtab)).toEqual([expect.closeTo(2), expect.closeTo(9)]);
});

it('has no on by off where only one of them was measured', () => {
  expect(onByOff(subject(VIRTAB, [{ ...row('randread', 8, 0, 10), ioeventfd: 'off' }]))).toEqual([]);
});

it('asks of a run what IO.md requires, of the measurements that it has', () => {
  const subjects = [
    subject(VIRTAB, [
      { ...row('randread', 8, 0, 20), ioeventfd: 'off' },
      { ...row('randread', 8, 0, 60), ioeventfd: 'on' },
      { ...row('randwrite', 16, 0, 45), ioeventfd: 'on' },
    ]),
    subject(QEMU_686, [row('randread', 8, 0, 1)]),
    subject(QEMU, [row('randread', 8, 0, 48), row('randwrite', 16, 0, 50)]),
    subject(V86, [row('randread', 8, 0, 10)]),
  ];
  expect(requirementsOf(subjects, [{ ring: 300_000, driver: 400_000 }])).toEqual([
    { what: 'Virtab: random reads, 8 jobs, `on`, by QEMU', atLeast: 1, ratios: [1.25] },
    { what: 'Virtab: random writes, 16 jobs, `on`, by QEMU', atLeast: 1, ratios: [0.9] },
    { what: 'Virtab: random reads, 8 jobs, `on`, by v86', atLeast: 3, ratios: [6] },
    {
      what: 'Virtab: `on` by `off`, geometric mean of all rows with more than one job',
      atLeast: 1,
      ratios: [expect.closeTo(3)],
    },
    {
      what: 'ring by driver without a machine, random reads, depth 16, requests/s',
      atLeast: 0.6,
      ratios: [0.75],
    },
  ]);
});
