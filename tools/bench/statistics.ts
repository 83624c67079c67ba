/** What the benchmark makes of repeated measurements. */

export interface Summary {
  readonly count: number;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** (max - min) / median: how far the repetitions lie apart. */
  readonly spread: number;
}

/** Of an even number of values, the mean of the two in the middle. NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle];
  if (upper === undefined) return Number.NaN;
  return sorted.length % 2 === 1 ? upper : (sorted[middle - 1]! + upper) / 2;
}

/** The smallest value that at least `share` per cent of all do not exceed (nearest rank). NaN for none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((share / 100) * sorted.length) - 1)] ?? Number.NaN;
}

export function summarize(values: readonly number[]): Summary {
  const middle = median(values);
  const min = Math.min(...values);
  const max = Math.max(...values);
  return { count: values.length, median: middle, min, max, spread: (max - min) / middle };
}

/** Cores in use by others up to which a time of the clock is taken seriously. */
const QUIET_CORES = 0.3;

/** Where some measurements were left alone by the rest of the machine, only those count; else all do. */
export function quietOnes<T>(
  measurements: readonly T[],
  otherCores: (of: T) => number | undefined,
): readonly T[] {
  const quiet = measurements.filter((of) => (otherCores(of) ?? 0) < QUIET_CORES);
  return quiet.length > 0 ? quiet : measurements;
}

/** The mean of ratios: twice as fast here and half as fast there is 1. NaN for none, and if one is not positive. */
export function geometricMean(values: readonly number[]): number {
  if (values.length === 0 || values.some((value) => !(value > 0))) return Number.NaN;
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}
