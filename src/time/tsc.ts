/** The time-stamp counter: one tick per nanosecond of guest time, plus the vCPU's own offset. */
import { TWO_32 } from '../base/bits.ts';
import type { Views } from '../base/views.ts';
import { VCPU } from '../layout/vcpu.ts';

/** The 64-bit sum of guest time and `offset`, as two words. */
export function tscWords(
  ns: number,
  offsetHigh: number,
  offsetLow: number,
): readonly [high: number, low: number] {
  const low = (ns % TWO_32) + (offsetLow >>> 0);
  const carry = low >= TWO_32 ? 1 : 0;
  const high = Math.floor(ns / TWO_32) + (offsetHigh >>> 0) + carry;
  return [high >>> 0, low >>> 0];
}

/** The TSC of the vCPU at host address `cpu` as one number: exact below 2^53, that is for 104 days. */
export function readTsc(views: Views, cpu: number, ns: number): number {
  const offset = (cpu + VCPU.at.tscOffset) >>> 2;
  const low = views.u32[offset]!;
  const high = views.u32[offset + 1]!;
  if (low === 0 && high === 0) return ns;
  const [tscHigh, tscLow] = tscWords(ns, high, low);
  return tscHigh * TWO_32 + tscLow;
}

/** Makes the TSC read high:low at guest time `ns`. */
export function writeTsc(views: Views, cpu: number, ns: number, high: number, low: number): void {
  const offset = (cpu + VCPU.at.tscOffset) >>> 2;
  const difference = (low >>> 0) - (ns % TWO_32);
  views.u32[offset] = difference >>> 0;
  views.u32[offset + 1] = ((high >>> 0) - Math.floor(ns / TWO_32) - (difference < 0 ? 1 : 0)) >>> 0;
}

/** The guest time at which the TSC reaches high:low; `now` if it has, Infinity if that is more than 104 days away. */
export function tscToTime(views: Views, cpu: number, now: number, high: number, low: number): number {
  const offset = (cpu + VCPU.at.tscOffset) >>> 2;
  const [tscHigh, tscLow] = tscWords(now, views.u32[offset + 1]!, views.u32[offset]!);
  const difference = ((high >>> 0) - tscHigh) * TWO_32 + ((low >>> 0) - tscLow);
  if (difference <= 0) return now;
  return difference > Number.MAX_SAFE_INTEGER ? Infinity : now + difference;
}
