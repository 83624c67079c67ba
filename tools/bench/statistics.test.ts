import { describe, expect, it } from 'vitest';
import { geometricMean, median, percentile, summarize } from './statistics.ts';

describe('median', () => {
  it('of an odd number of values is the middle one, whatever their order', () => {
    expect(median([9, 1, 10])).toBe(9);
  });

  it('of an even number of values is the mean of the middle two', () => {
    expect(median([10, 1, 4, 3])).toBe(3.5);
  });

  it('sorts numbers by value, not as text', () => {
    expect(median([2, 100, 11])).toBe(11);
  });

  it('of no values is not a number', () => {
    expect(median([])).toBeNaN();
  });
});

describe('summarize', () => {
  it('gives the range, and the range relative to the median as the spread', () => {
    expect(summarize([4, 3, 5])).toEqual({ count: 3, median: 4, min: 3, max: 5, spread: 0.5 });
  });

  it('has no spread for a single value', () => {
    expect(summarize([7])).toEqual({ count: 1, median: 7, min: 7, max: 7, spread: 0 });
  });
});

describe('geometricMean', () => {
  it('takes twice as slow and twice as fast as no difference', () => {
    expect(geometricMean([2, 0.5])).toBeCloseTo(1, 12);
  });

  it('is the n-th root of the product', () => {
    expect(geometricMean([1, 3, 9])).toBeCloseTo(3, 12);
  });

  it('is not a number when a value is missing or zero, or when there is none', () => {
    expect(geometricMean([2, Number.NaN])).toBeNaN();
    expect(geometricMean([2, 0])).toBeNaN();
    expect(geometricMean([])).toBeNaN();
  });
});

describe('a percentile', () => {
  it('is one of the values: the one that so many do not exceed', () => {
    const values = [10, 1, 2, 3, 4, 5, 6, 7, 8, 9];
    expect([percentile(values, 50), percentile(values, 95), percentile(values, 0)]).toEqual([5, 10, 1]);
  });

  it('of nothing is no number', () => {
    expect(percentile([], 95)).toBeNaN();
  });
});
