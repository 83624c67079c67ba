/** Whether the guest waits for something, as other threads see it: a hint for when to tell it what. */
import type { Views } from '../base/views.ts';
import { vcpuAddress } from '../layout/map.ts';
import { VCPU } from '../layout/vcpu.ts';

/** One of the first `vcpus` vCPUs is in HLT. One that waits for the answer to an exit is not. */
export function isAnyHalted(views: Views, vcpus: number): boolean {
  for (let index = 0; index < vcpus; index++) {
    // Ordered with nothing: who halts later finds what is told later.
    if (Atomics.load(views.u32, (vcpuAddress(index) + VCPU.at.halted) >>> 2) !== 0) return true;
  }
  return false;
}
