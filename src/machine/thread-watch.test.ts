import { expect, test } from 'vitest';
import type { Views } from '../base/views.ts';
import { viewsOf } from '../base/views.ts';
import { THREAD_IO0, THREAD_VCPU0 } from '../layout/machine.ts';
import { RAM_BASE, vcpuAddress } from '../layout/map.ts';
import { VCPU } from '../layout/vcpu.ts';
import { WakeWord } from '../sync/wake.ts';
import { ThreadWatch } from './thread-watch.ts';

function memory(): Views {
  return viewsOf(new SharedArrayBuffer(RAM_BASE));
}

function looks(watched: ThreadWatch, count: number, between: () => void): boolean[] {
  return Array.from({ length: count }, () => {
    between();
    return watched.look();
  });
}

/** Of a vCPU, which counts instructions. */
function watch(views: Views): ThreadWatch {
  const progress = (): number => views.u32[(vcpuAddress(0) + VCPU.at.countInstructions) >>> 2]!;
  return new ThreadWatch({ views, thread: THREAD_VCPU0, patience: 15, progress });
}

test('a thread that executes is alive, whatever it has not looked at', () => {
  const views = memory();
  const instructions = (vcpuAddress(0) + VCPU.at.countInstructions) >>> 2;
  const seen = looks(watch(views), 30, () => (views.u32[instructions]! += 1));
  expect(seen).not.toContain(false);
});

test('a thread that waits in HLT and takes its wake-ups is alive', () => {
  const views = memory();
  const wake = new WakeWord(views, THREAD_VCPU0);
  const seen = looks(watch(views), 30, () => wake.take());
  expect(seen).not.toContain(false);
});

test('a thread that does neither is lost after fifteen looks', () => {
  // The first look has nothing to compare with.
  const seen = looks(watch(memory()), 16, () => undefined);
  expect(seen.slice(0, 15)).not.toContain(false);
  expect(seen[15]).toBe(false);
});

test('a thread without a counter is alive as long as it takes its wake-ups', () => {
  const views = memory();
  const wake = new WakeWord(views, THREAD_IO0);
  const seen = new ThreadWatch({ views, thread: THREAD_IO0, patience: 3 });
  const before = looks(seen, 10, () => wake.take());
  const after = looks(seen, 4, () => undefined);
  expect([before.includes(false), after]).toEqual([false, [true, true, false, false]]);
});
