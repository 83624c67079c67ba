import { expect, test } from 'vitest';
import { DEFAULT_CONFIG } from '../config/vm-config.ts';
import { composeReport } from './report.ts';

const AROUND = {
  version: '1.2.3 (abcdef0)',
  time: new Date('2026-11-21T06:30:00Z'),
  userAgent: 'A browser/1',
  isolated: true,
  cores: 2,
};

test('a report has the error, what the part says, the machine and the browser', () => {
  const text = composeReport(
    { title: 'Triple fault', message: 'At rip 0x10.', report: 'RIP=0000000000000010' },
    { config: { ...DEFAULT_CONFIG, memoryBytes: 300 * 1024 * 1024 } },
    AROUND,
  );
  expect(text.split('\n\n')).toEqual([
    'Triple fault\nAt rip 0x10.',
    'RIP=0000000000000010',
    expect.stringMatching(/^qemu-system-x86_64 .*-m 300/),
    'Virtab 1.2.3 (abcdef0), 2026-11-21T06:30:00.000Z\nA browser/1\n2 hardware threads, cross-origin isolated\n',
  ]);
});

test('a report before there was a machine has no part about it', () => {
  const text = composeReport({ title: 'T', message: 'M' }, {}, { ...AROUND, isolated: false });
  expect(text).toBe(
    'T\nM\n\nVirtab 1.2.3 (abcdef0), 2026-11-21T06:30:00.000Z\nA browser/1\n2 hardware threads, not cross-origin isolated\n',
  );
});
