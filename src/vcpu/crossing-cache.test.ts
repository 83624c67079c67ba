import { describe, expect, it } from 'vitest';
import { Decoded } from '../isa/decoder.ts';
import { CrossingCache } from './crossing-cache.ts';

const MODE = 4;
const OTHER_MODE = 5;
/** Two bytes before the end of the first page. */
const FIRST = 0xffe;

/** Three pages; `83 c0 | 05` from the first to the second, and `05` at the start of the third as well. */
function setUp() {
  const memory = new Uint8Array(3 * 4096);
  memory.set([0x83, 0xc0, 0x05], FIRST);
  memory[0x2000] = 0x05;
  const decoded = new Decoded();
  decoded.length = 3;
  decoded.imm = 5;
  const cache = new CrossingCache(memory);
  cache.add(FIRST, MODE, memory.subarray(FIRST, FIRST + 15), decoded);
  return { memory, cache };
}

describe('known instructions that cross a page', () => {
  it('are found again, also where another page with the same bytes follows', () => {
    const { cache } = setUp();
    expect(cache.has(FIRST, MODE)).toBe(true);
    expect(cache.find(FIRST, 0x1000, MODE)?.imm).toBe(5);
    expect(cache.find(FIRST, 0x2000, MODE)?.imm).toBe(5);
  });

  it('are not found once a byte in the next page differs', () => {
    const { memory, cache } = setUp();
    memory[0x1000] = 6;
    expect(cache.has(FIRST, MODE)).toBe(true);
    expect(cache.find(FIRST, 0x1000, MODE)).toBeUndefined();
  });

  it('are not known once a byte in their own page differs', () => {
    const { memory, cache } = setUp();
    memory[FIRST] = 0x90;
    expect(cache.has(FIRST, MODE)).toBe(false);
    expect(cache.find(FIRST, 0x1000, MODE)).toBeUndefined();
  });

  it('belong to one mode and one address', () => {
    const { cache } = setUp();
    expect([cache.has(FIRST, OTHER_MODE), cache.has(FIRST - 1, MODE)]).toEqual([false, false]);
  });

  it('do not include one that ends with its page', () => {
    const { memory, cache } = setUp();
    const decoded = new Decoded();
    decoded.length = 2;
    cache.add(0x1ffe, MODE, memory.subarray(0x1ffe, 0x1ffe + 15), decoded);
    expect(cache.has(0x1ffe, MODE)).toBe(false);
  });
});
