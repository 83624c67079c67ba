import { expect, it } from 'vitest';
import { viewsOf } from '../base/views.ts';
import { THREAD, THREAD_VCPU0, threadAddress } from '../layout/machine.ts';
import { RAM_BASE, vcpuAddress } from '../layout/map.ts';
import { VCPU } from '../layout/vcpu.ts';
import { isAnyHalted } from './halted.ts';

it('sees any vCPU of the machine that is in HLT, and no other', () => {
  const views = viewsOf(new SharedArrayBuffer(RAM_BASE));
  views.u32[(vcpuAddress(1) + VCPU.at.halted) >>> 2] = 1;
  expect([isAnyHalted(views, 1), isAnyHalted(views, 2)]).toEqual([false, true]);
});

it('does not take a vCPU that waits in a synchronous exit for halted', () => {
  const views = viewsOf(new SharedArrayBuffer(RAM_BASE));
  views.u32[(threadAddress(THREAD_VCPU0) + THREAD.at.sleeping) >>> 2] = 1;
  expect(isAnyHalted(views, 1)).toBe(false);
});
