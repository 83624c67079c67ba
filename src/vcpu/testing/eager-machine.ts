/** A vCPU that translates at once what has run a few times, so that a short program runs translated for the most part. */
import { DEFAULT_FEATURES } from '../../base/cpu-features.ts';
import { VCPU } from '../../layout/vcpu.ts';
import { InPlaceCompiler, type Compiler } from '../compiler.ts';
import { heatMask } from '../tiering.ts';
import { bareMachine, type BareEnvironment, type BareMachine } from './bare-machine.ts';

/** Entries of a block between two reports: the fourth one is believed. */
const PERIOD = 4;

/** Stays last 2,000 instructions: each reading of the clock is later by more than a stay should take. */
export function eagerMachine(
  core: BufferSource,
  interpreter: BufferSource,
  environment: BareEnvironment = {},
): BareMachine {
  const inPlace = new InPlaceCompiler(DEFAULT_FEATURES, () => 0);
  const compiler: Compiler = {
    capacity: 1,
    // Nothing waits for company.
    patience: 1,
    submit: (job) => inPlace.submit(job),
    take: () => inPlace.take(),
  };
  let time = 0;
  const machine = bareMachine(core, interpreter, true, { compiler, hostNow: () => time++, ...environment });
  machine.views.u32[(machine.vcpu.cpu + VCPU.at.heatMask) >>> 2] = heatMask(PERIOD);
  return machine;
}

/** Instructions that regions have executed. */
export function translatedInstructions({ views, vcpu }: BareMachine): number {
  return Number(views.data.getBigUint64(vcpu.cpu + VCPU.at.countRegionInstructions, true));
}
