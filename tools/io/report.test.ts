import { expect, it } from 'vitest';
import { formatIo } from './report.ts';
import type { IoReport } from './report.ts';
import type { Row } from './rows.ts';

function row(repetition: number, mbps: number, more: Partial<Row> = {}): Row {
  return {
    situation: 'alone',
    kind: 'randread',
    jobs: 8,
    repetition,
    bytes: mbps * 1e6,
    seconds: 1,
    vcpuMs: 1000,
    hostMs: 2000,
    otherCores: 0.1,
    ...more,
  };
}

const ON = { ioeventfd: 'on', kicks: 240, notifies: 120 } as const;

const REPORT: IoReport = {
  format: 2,
  started: '2026-11-21T16:00:00.000Z',
  host: {
    cpu: 'a CPU',
    cores: 2,
    memoryGib: 24,
    system: 'Debian',
    node: 'v20',
    chromium: '156',
    commit: 'abcdef0',
  },
  load: [0.5, 1.25],
  seconds: 1.5,
  repetitions: 2,
  warmSeconds: 4,
  realTime: false,
  subjects: [
    {
      id: 'virtab-jit',
      name: 'Virtab, JIT',
      program: 'virtab',
      architecture: 'amd64',
      disk: '/dev/vda',
      rows: [row(0, 60, ON), row(1, 24, ON)],
      clockRatio: 1.01,
    },
    {
      id: 'qemu',
      name: 'QEMU TCG',
      program: 'qemu',
      architecture: 'amd64',
      disk: '/dev/vda',
      rows: [row(0, 50), row(1, 30)],
      failure: 'it ended',
    },
  ],
  rings: [],
  driver: [],
  pairs: [],
};

it('has medians of the repetitions, and of the ratios of neighbours with how far they lie apart', () => {
  expect(formatIo(REPORT)).toBe(
    [
      '2026-11-21T16:00:00.000Z, commit abcdef0. 2 cores of a CPU, 24 GiB; Chromium 156. 2 repetitions of 1.5 s after 4 s of each kind, ' +
        "all subjects in turn; medians, and ratios of neighbours (min - max); in the host's page cache except where it says so; load average 0.5, 1.3.",
      '',
      '| random reads (4 KiB, O_DIRECT) | jobs | MB/s |          of QEMU’s | MB per vCPU s | MB per host CPU s | kicks/MB | notifies/MB | others |',
      '| ------------------------------ | ---: | ---: | -----------------: | ------------: | ----------------: | -------: | ----------: | -----: |',
      '| Virtab, JIT, ioeventfd=on      |    8 | 42.0 | 1.00 (0.80 - 1.20) |          42.0 |              21.0 |      7.0 |         3.5 |   0.10 |',
      '| QEMU TCG                       |    8 | 40.0 |                    |          40.0 |              20.0 |          |             |   0.10 |',
      '',
      '- QEMU TCG: not measured further: it ended',
      '',
      '| what was required                                    | at least |              found | holds |',
      '| ---------------------------------------------------- | -------: | -----------------: | ----: |',
      '| Virtab, JIT: random reads, 8 jobs, `on`, by QEMU TCG |     1.00 | 1.00 (0.80 - 1.20) |   yes |',
      '',
    ].join('\n'),
  );
});
