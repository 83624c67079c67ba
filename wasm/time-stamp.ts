/** The time-stamp counter between two looks at the host's clock, which take as long as some hundred instructions (docs/core.md, Time). */
import {
  VCPU_budget,
  VCPU_tscBudget,
  VCPU_tscGuesses,
  VCPU_tscLast,
  VCPU_tscRate,
  VCPU_tscRead,
} from './generated/layout';
import { hostTsc } from './host';

/** Readings between two looks, and ticks. */
const MAX_GUESSES: u32 = 16;
const MAX_TICKS: u64 = 4000;
/** What the counter goes on by where the guess was too high. */
const STEP: u64 = 20;

/** Never less than it was, as long as the guest does not write the counter. */
export function timeStamp(cpu: usize): u64 {
  const guesses = load<u32>(cpu, VCPU_tscGuesses);
  if (guesses != 0) {
    const ran = load<i32>(cpu, VCPU_tscBudget) - load<i32>(cpu, VCPU_budget);
    const passed = (<u64>(<u32>ran) * <u64>load<u32>(cpu, VCPU_tscRate)) >> 16;
    if (passed <= MAX_TICKS) {
      store<u32>(cpu, guesses - 1, VCPU_tscGuesses);
      return later(cpu, load<u64>(cpu, VCPU_tscRead) + passed);
    }
  }
  const now = <u64>hostTsc(cpu);
  if (load<u32>(cpu, VCPU_tscRate) == 0) return now;
  store<u64>(cpu, now, VCPU_tscRead);
  store<u32>(cpu, load<u32>(cpu, VCPU_budget), VCPU_tscBudget);
  store<u32>(cpu, MAX_GUESSES, VCPU_tscGuesses);
  return later(cpu, now);
}

function later(cpu: usize, ticks: u64): u64 {
  const last = load<u64>(cpu, VCPU_tscLast);
  const next = ticks > last ? ticks : last + STEP;
  store<u64>(cpu, next, VCPU_tscLast);
  return next;
}
