import { describe, expect, it } from 'vitest';
import { RandomPool } from './random-pool.ts';

/** Fills with 1, 2, 3, ... going on from one call to the next. */
function counting(): { fill: (bytes: Uint8Array) => void; calls: number } {
  let next = 0;
  const source = {
    calls: 0,
    fill: (bytes: Uint8Array): void => {
      source.calls++;
      bytes.forEach((_, i) => (bytes[i] = ++next));
    },
  };
  return source;
}

describe('a random pool', () => {
  it('hands out each byte once', () => {
    const pool = new RandomPool(counting().fill);
    const to = new Uint8Array(8);
    pool.take(to, 0, 4);
    pool.take(to, 4, 4);
    expect([...to]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('asks the host once for 4,096 bytes', () => {
    const source = counting();
    const pool = new RandomPool(source.fill);
    Array.from({ length: 512 }, () => pool.take(new Uint8Array(8), 0, 8));
    expect(source.calls).toBe(1);
    pool.take(new Uint8Array(8), 0, 8);
    expect(source.calls).toBe(2);
  });
});
