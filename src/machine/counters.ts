/** Reads the vCPUs' counters out of the shared memory; they may be a few thousand instructions behind. */
import { TWO_32 } from '../base/bits.ts';
import type { Views } from '../base/views.ts';
import type { HaltState, MachineStats } from '../control/stats.ts';
import { vcpuAddress } from '../layout/map.ts';
import { FLAG_IF } from '../layout/registers.ts';
import { VCPU } from '../layout/vcpu.ts';

/** A u64 counter as a number: exact below 2^53. Read as two words, low again if the high one moved. */
export function readCounter(views: Views, address: number): number {
  const index = address >>> 2;
  for (;;) {
    const high = views.u32[index + 1]!;
    const low = views.u32[index]!;
    if (views.u32[index + 1]! === high) return high * TWO_32 + low;
  }
}

export class CounterReader {
  readonly #views: Views;
  readonly #now: () => number;
  #lastInstructions = 0;
  #lastTime: number;

  constructor(views: Views, now: () => number) {
    this.#views = views;
    this.#now = now;
    this.#lastTime = now();
  }

  get halted(): HaltState {
    return this.#halted(vcpuAddress(0));
  }

  read(): MachineStats {
    const cpu = vcpuAddress(0);
    const counter = (offset: number): number => readCounter(this.#views, cpu + offset);
    const instructions = counter(VCPU.at.countInstructions);
    const time = this.#now();
    const elapsed = time - this.#lastTime;
    const mips = elapsed > 0 ? Math.max(0, instructions - this.#lastInstructions) / elapsed / 1000 : 0;
    this.#lastInstructions = instructions;
    this.#lastTime = time;
    return {
      instructions,
      blocksDecoded: counter(VCPU.at.countBlocksDecoded),
      instructionsDecoded: counter(VCPU.at.countInstructionsDecoded),
      tlbFills: counter(VCPU.at.countTlbFills),
      exceptions: counter(VCPU.at.countExceptions),
      interrupts: counter(VCPU.at.countInterrupts),
      invalidations: counter(VCPU.at.countInvalidations),
      undefined: counter(VCPU.at.countUndefined),
      regionEntries: counter(VCPU.at.countRegionEntries),
      regionInstructions: counter(VCPU.at.countRegionInstructions),
      mips,
      halted: this.#halted(cpu),
    };
  }

  #halted(cpu: number): HaltState {
    if (this.#views.u32[(cpu + VCPU.at.halted) >>> 2] === 0) return 'no';
    return (this.#views.u32[(cpu + VCPU.at.eflags) >>> 2]! & FLAG_IF) === 0 ? 'for-good' : 'waiting';
  }
}
