/** An irqchip for tests, with words for what a run loop does. */
import type { Views } from '../base/views.ts';
import { vcpuAddress } from '../layout/map.ts';
import { VCPU } from '../layout/vcpu.ts';
import { timedMemory } from '../time/manual-time.ts';
import type { ManualTime } from '../time/manual-time.ts';
import { IrqChip } from './irqchip.ts';

export interface TestBoard {
  readonly views: Views;
  readonly time: ManualTime;
  readonly irqchip: IrqChip;
  /** CPUs whose attention was set, in order. */
  readonly signalled: number[];
  /** Lets `ns` of guest time pass, firing timers when they are due; returns the vectors that CPU 0 took. */
  readonly run: (ns: number) => number[];
  readonly attention: (cpu: number) => number;
}

export function testBoard(vcpus = 1): TestBoard {
  const { views, time, clock } = timedMemory();
  const signalled: number[] = [];
  const irqchip = new IrqChip({ views, clock, vcpus, onAttention: (cpu) => signalled.push(cpu) });
  irqchip.reset();
  return {
    views,
    time,
    irqchip,
    signalled,
    run(ns) {
      const taken: number[] = [];
      const end = clock.now() + ns;
      for (;;) {
        const next = Math.min(irqchip.nextDeadline(0), irqchip.pitTimer.nextDeadline(), end);
        // Host time is in fractions of milliseconds: a nanosecond more makes sure that the clock is past the deadline.
        time.advance(Math.max(0, next - clock.now()) + 1);
        const now = clock.now();
        irqchip.expire(0, now);
        irqchip.pitTimer.expire(now);
        if (irqchip.pendingVector(0) >= 0) taken.push(irqchip.acknowledge(0));
        if (next >= end) return taken;
      }
    },
    attention: (cpu) => views.u32[(vcpuAddress(cpu) + VCPU.at.attention) >>> 2]!,
  };
}
