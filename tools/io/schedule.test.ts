import { expect, it } from 'vitest';
import { roundsOf } from './schedule.ts';
import type { Step } from './schedule.ts';

const VIRTAB = { id: 'virtab', hasIoeventfd: true, isBrief: false };
const QEMU = { id: 'qemu', hasIoeventfd: false, isBrief: false };
const V86 = { id: 'v86', hasIoeventfd: false, isBrief: true };

const short = ({ subject, repetition, jobs, kind, ioeventfd }: Step<typeof VIRTAB>): string =>
  [repetition, kind, jobs, subject.id, ioeventfd].join(' ').trimEnd();

it('goes round all subjects with one kind of request, and back in the next repetition', () => {
  const plan = { kinds: ['randread', 'randwrite'], jobs: [8], repetitions: 2 } as const;
  expect(roundsOf([VIRTAB, QEMU], 'alone', plan).map((round) => round.map(short))).toEqual([
    [
      '0 start 8 virtab',
      '0 start 8 qemu',
      '0 randread 8 virtab off',
      '0 randread 8 virtab on',
      '0 randread 8 qemu',
      '0 randwrite 8 virtab off',
      '0 randwrite 8 virtab on',
      '0 randwrite 8 qemu',
    ],
    [
      '1 start 8 virtab',
      '1 start 8 qemu',
      '1 randread 8 qemu',
      '1 randread 8 virtab on',
      '1 randread 8 virtab off',
      '1 randwrite 8 qemu',
      '1 randwrite 8 virtab on',
      '1 randwrite 8 virtab off',
    ],
  ]);
});

it('takes brief subjects for half of the repetitions, and not with one job', () => {
  const plan = { kinds: ['randread'], jobs: [1, 8], repetitions: 2 } as const;
  expect(roundsOf([QEMU, V86], 'alone', plan).map((round) => round.map(short))).toEqual([
    [
      '0 start 1 qemu',
      '0 randread 1 qemu',
      '0 start 8 qemu',
      '0 start 8 v86',
      '0 randread 8 qemu',
      '0 randread 8 v86',
    ],
    ['1 start 1 qemu', '1 randread 1 qemu', '1 start 8 qemu', '1 randread 8 qemu'],
  ]);
});

it('measures other situations with 8 jobs, half as often, without file creation and brief subjects', () => {
  const plan = { kinds: ['create', 'seqread'], jobs: [1, 16], repetitions: 3 } as const;
  expect(roundsOf([QEMU, V86], 'busy', plan).map((round) => round.map(short))).toEqual([
    ['0 start 8 qemu', '0 seqread 8 qemu'],
    ['1 start 8 qemu', '1 seqread 8 qemu'],
  ]);
});
