/** A fake for tests: memory of a machine without RAM, and a host clock that moves only when told. */
import { viewsOf } from '../base/views.ts';
import type { Views } from '../base/views.ts';
import { ARENA_BASE } from '../layout/map.ts';
import { GuestClock } from './clock.ts';

export class ManualTime {
  milliseconds = 1000;

  advance(ns: number): void {
    this.milliseconds += ns / 1e6;
  }
}

export interface TimedMemory {
  readonly views: Views;
  readonly time: ManualTime;
  readonly clock: GuestClock;
}

export function timedMemory(bytes = ARENA_BASE): TimedMemory {
  const views = viewsOf(new SharedArrayBuffer(bytes));
  const time = new ManualTime();
  const clock = new GuestClock(views, () => time.milliseconds);
  clock.reset();
  return { views, time, clock };
}
