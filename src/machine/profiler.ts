/** Looks every few ms where the vCPU is, so that its time can be told by translated region; the guest notices nothing. */
import type { Views } from '../base/views.ts';
import type { HotRegion, InstalledRegion, Profile } from '../control/regions.ts';
import { PAGE_SIZE, RAM_BASE, vcpuAddress } from '../layout/map.ts';
import {
  MODE_CODE16,
  MODE_CODE32,
  MODE_CODE64,
  MODE_CODE_MASK,
  MODE_FLAT,
  MODE_REAL,
  REG_PAGE_RIP,
  VCPU,
} from '../layout/vcpu.ts';
import { readCounter } from './counters.ts';

/** Out of step with the guest's timer (4 ms): what runs at each tick is not to be met more often than it runs. */
const PERIOD_MS = 7;
/** So many regions have their code in the profile. */
const WITH_CODE = 32;

/** What was seen of a slot of the vCPU's table. */
interface Seen {
  samples: number;
  /** Count of instructions at the first sample: of a region that came later these samples are not. */
  readonly since: number;
  /** REG_PAGE_RIP. */
  low: number;
  high: number;
}

export class Profiler {
  readonly #views: Views;
  readonly #cpu = vcpuAddress(0);
  readonly #seen = new Map<number, Seen>();
  readonly #now: () => number;
  #first = 0;
  #last = 0;
  #samples = 0;
  #halted = 0;
  #interpreted = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(views: Views, now: () => number) {
    this.#views = views;
    this.#now = now;
  }

  /** `isRunning`: the vCPU is not held by us. */
  start(isRunning: () => boolean): void {
    this.#timer ??= setInterval(() => {
      if (isRunning()) this.look();
    }, PERIOD_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  look(): void {
    const { u32 } = this.#views;
    const word = (offset: number): number => u32[(this.#cpu + offset) >>> 2]!;
    this.#last = this.#now();
    if (this.#samples++ === 0) this.#first = this.#last;
    if (word(VCPU.at.halted) !== 0) {
      this.#halted++;
      return;
    }
    const slot = word(VCPU.at.region) >>> 8;
    if (slot === 0) {
      this.#interpreted++;
      return;
    }
    let seen = this.#seen.get(slot);
    if (seen === undefined) {
      seen = {
        samples: 0,
        since: readCounter(this.#views, this.#cpu + VCPU.at.countInstructions),
        low: 0,
        high: 0,
      };
      this.#seen.set(slot, seen);
    }
    seen.samples++;
    const pageRip = VCPU.at.regs + REG_PAGE_RIP * 8;
    seen.low = word(pageRip);
    seen.high = word(pageRip + 4);
  }

  /** `installed`: what the vCPU's table holds now. */
  profile(installed: readonly InstalledRegion[]): Profile {
    const found = installed.flatMap((region): { readonly region: InstalledRegion; readonly seen: Seen }[] => {
      const seen = this.#seen.get(region.slot);
      if (seen === undefined) return [];
      if (seen.since >= region.installedAt) return [{ region, seen }];
      // The slot was another region's. From now on it is this one's.
      this.#seen.delete(region.slot);
      return [];
    });
    const regions = found
      .toSorted((a, b) => b.seen.samples - a.seen.samples)
      .map(({ region, seen }, i) => this.#describe(region, seen, i < WITH_CODE));
    const present = regions.reduce((sum, { samples }) => sum + samples, 0);
    return {
      samples: this.#samples,
      ms: this.#last - this.#first,
      halted: this.#halted,
      interpreted: this.#interpreted,
      gone: this.#samples - this.#halted - this.#interpreted - present,
      regions,
    };
  }

  #describe({ slot: _, tail, ...detail }: InstalledRegion, seen: Seen, withCode: boolean): HotRegion {
    const { samples, low, high } = seen;
    const start = RAM_BASE + detail.page;
    const code = withCode ? hex(this.#views.u8.subarray(start, start + PAGE_SIZE)) + hex(tail) : undefined;
    return {
      ...detail,
      samples,
      kind: modeText(detail.mode),
      linear: `${high === 0 ? '' : high.toString(16)}${low.toString(16).padStart(8, '0')}`,
      ...(code === undefined ? {} : { code }),
    };
  }
}

const BITS: Readonly<Record<number, number>> = { [MODE_CODE16]: 16, [MODE_CODE32]: 32, [MODE_CODE64]: 64 };

function modeText(mode: number): string {
  const bits = `${BITS[mode & MODE_CODE_MASK] ?? '?'}-bit`;
  if (mode & MODE_REAL) return `${bits}, real or vm86`;
  return mode & MODE_FLAT ? bits : `${bits}, not flat`;
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
