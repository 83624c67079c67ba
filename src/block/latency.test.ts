import { describe, expect, it } from 'vitest';
import { LatencyHistogram } from './latency.ts';

function histogramOf(...values: number[]): LatencyHistogram {
  const histogram = new LatencyHistogram();
  for (const value of values) histogram.record(value);
  return histogram;
}

describe('LatencyHistogram', () => {
  it('is all zeroes without a value', () => {
    expect(histogramOf().summary()).toEqual({ count: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 });
  });

  it('gives percentiles of small values exactly', () => {
    const values = Array.from({ length: 30 }, (_, index) => index + 1);
    expect(histogramOf(...values).summary()).toEqual({
      count: 30,
      p50: 15,
      p90: 27,
      p99: 30,
      p999: 30,
      max: 30,
    });
  });

  it.each([33, 100, 1_000, 65_537, 1_234_567, 900_000_000])(
    'reports the median %i us no lower, and at most a sixteenth higher',
    (us) => {
      const { p50 } = histogramOf(us, us, us * 1.1).summary();
      expect(p50).toBeGreaterThanOrEqual(us);
      expect(p50).toBeLessThanOrEqual(us * (17 / 16));
    },
  );

  it('counts a negative time as zero and an absurdly long one as 18 minutes', () => {
    expect(histogramOf(-5).summary().max).toBe(0);
    expect(histogramOf(1e15).summary()).toMatchObject({ p50: 2 ** 30 - 1, max: 2 ** 30 - 1 });
  });
});
