/** What is translated and when: the policy alone (docs/jit.md, Tiering, has the figures behind the constants). */
import { MAX_REGION_BLOCKS } from '../jit/region.ts';

/** Each time a block has been entered so often more in the interpreter it is reported. A power of two, and at least 2. */
export const HEAT_PERIOD = 1024;
/** `BLOCK.heat` of a block that is not reported for two thousand million entries. */
export const HEAT_NEVER = 0x80000000;
/** `VCPU.heatMask` with which no block is. */
export const HEAT_MASK_OFF = 0xffffffff;

/** `VCPU.heatMask` for a period, and back. */
export function heatMask(period: number): number {
  return (HEAT_NEVER | (period - 1)) >>> 0;
}

export function periodOf(mask: number): number {
  return (mask & (HEAT_NEVER - 1)) + 1;
}

/** Blocks of the same page come along with this share of the period. */
const WARM_SHARE = 1 / 2;

/** Regions that are compiled as one module: a module of ten costs a third per function of one alone. */
export const BATCH = 8;
/** Pages that go into one module at most, after a time in which the compiler was busy. */
export const MAX_BATCH = 16;
/** Budget expiries (60 us) that an incomplete batch waits for company. */
export const MAX_WAIT = 32;

/** How a block stands to the regions of its page: in none, inside one but no entry of it, or an entry. */
export type Standing = 'new' | 'inside' | 'entry';

export interface Candidate {
  readonly offset: number;
  readonly heat: number;
  readonly standing: Standing;
}

/**
 * Whether the n-th translation of a page merges all its regions into one. In between only what is new is translated:
 * translating everything each time made 43 % of the instructions of a boot. At powers of two, so that a page which grows and
 * grows is translated as a whole a few times only, but a loop that was found in pieces becomes one.
 */
export function isWhole(round: number): boolean {
  return round >= 2 && (round & (round - 1)) === 0;
}

/** Which blocks of a page make its next region: their offsets, rising. The hottest ones if there are too many. */
export function chooseLeaders(candidates: readonly Candidate[], round: number, period: number): number[] {
  const whole = isWhole(round);
  const warm = period * WARM_SHARE;
  const weight = ({ heat, standing }: Candidate): number => (standing === 'new' ? heat : period + heat);
  return candidates
    .filter(({ heat, standing }) =>
      heat >= warm ? whole || standing !== 'entry' : whole && standing !== 'new',
    )
    .toSorted((a, b) => weight(b) - weight(a))
    .slice(0, MAX_REGION_BLOCKS)
    .map(({ offset }) => offset)
    .toSorted((a, b) => a - b);
}

/**
 * The heat that the leaders of a page get once its translation is there, by offset. What the region covers starts anew: a
 * block inside that the interpreter enters often all the same is reported again and becomes an entry. What cannot be
 * translated is not reported again; what did not fit is.
 */
export function heatAfter(leaders: readonly number[], covered: readonly number[]): Map<number, number> {
  const inside = new Set(covered);
  const last = covered.at(-1) ?? Infinity;
  return new Map(leaders.map((offset) => [offset, inside.has(offset) || offset > last ? 0 : HEAT_NEVER]));
}

/** Instructions that a page stays interpreted after its translation was overwritten for the n-th time. */
export function restAfter(overwritten: number, period: number): number {
  // Once or twice is a page that is loaded again; code that writes itself doubles its rest each time.
  return overwritten < 3 ? 0 : period * 1000 * 2 ** Math.min(overwritten - 3, 10);
}

/**
 * Reports of a page's blocks before it is taken into the queue, when so many pages are waiting or being compiled. A loop makes
 * ten thousand turns in a tenth of a millisecond; code that takes longer for as many entries is no loss if it waits until
 * the compiler, which wants a core and much of its cache, is less busy.
 */
export function reportsNeeded(waiting: number): number {
  return 4 + 4 * waiting;
}
