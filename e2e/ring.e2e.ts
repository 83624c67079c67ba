/**
 * A guest of ours without an operating system drives virtio-blk (tools/ring): every request that it makes is answered, with
 * the contents that it wrote, and the image outside holds what the guest read last. runRing throws if not.
 */
import { expect, test } from '@playwright/test';
import { runRing } from '../tools/ring/run.ts';
import type { RingOptions } from '../tools/ring/run.ts';

const log = (line: string): void => console.log(line);

/** Of each way of waiting: a sequential write, and two random kinds and a sequential read at three depths. */
const MEASUREMENTS = 2 * (1 + 3 * 3);

const SHORT = { mebibytes: 8, append: 'requests=1000' };

const CASES: readonly (readonly [string, RingOptions])[] = [
  ['interpreted, with ioeventfd', { ...SHORT, machine: 'virtab', ioeventfd: 'on' }],
  [
    'translated, indirect descriptors',
    { ...SHORT, machine: 'virtab-jit', append: 'requests=1000 indirect=1' },
  ],
  ['interpreted, no EVENT_IDX', { ...SHORT, machine: 'virtab', append: 'requests=1000 event_idx=0' }],
];

for (const [name, options] of CASES) {
  test(`a ring without an operating system, ${name}: all contents are right`, async () => {
    const { measurements } = await runRing(options, log);
    expect(measurements).toHaveLength(MEASUREMENTS);
  });
}

test('a ring at depth 16 kicks the device for several requests at a time, without ioeventfd', async () => {
  const append = 'requests=2000 depth=16 wait=poll';
  const { measurements } = await runRing({ machine: 'virtab', ioeventfd: 'off', mebibytes: 8, append }, log);
  const kicks = measurements.find(({ op }) => op === 'randread')?.kicks;
  // The device has popped all sixteen before the guest goes on; what that adds while the device works is kicked for again.
  expect(kicks).toBeLessThanOrEqual(2000 / 4);
});
