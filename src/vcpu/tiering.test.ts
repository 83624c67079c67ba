import { describe, expect, it } from 'vitest';
import { chooseLeaders, HEAT_NEVER, heatAfter, isWhole, restAfter, type Candidate } from './tiering.ts';

const THRESHOLD = 1000;
const WARM = 500;
const hot = (offset: number): Candidate => ({ offset, heat: THRESHOLD, standing: 'new' });

describe('the blocks of a region', () => {
  it('are the hot ones and the warm ones, by rising offset', () => {
    const warm: Candidate = { offset: 0x10, heat: WARM, standing: 'new' };
    const cold: Candidate = { offset: 0x20, heat: WARM - 1, standing: 'new' };
    expect(chooseLeaders([hot(0x30), warm, cold], 1, THRESHOLD)).toEqual([0x10, 0x30]);
  });

  it('are only what no region covers, at a translation that does not merge', () => {
    const entry: Candidate = { offset: 0x10, heat: 0, standing: 'entry' };
    const inside: Candidate = { offset: 0x20, heat: 0, standing: 'inside' };
    expect(chooseLeaders([entry, inside, hot(0x30)], 3, THRESHOLD)).toEqual([0x30]);
  });

  it('have among them one inside a region that the interpreter enters often', () => {
    const inside: Candidate = { offset: 0x20, heat: THRESHOLD, standing: 'inside' };
    expect(chooseLeaders([inside], 3, THRESHOLD)).toEqual([0x20]);
  });

  it('are all that were ever translated where regions are merged', () => {
    const entry: Candidate = { offset: 0x10, heat: 0, standing: 'entry' };
    const inside: Candidate = { offset: 0x20, heat: 0, standing: 'inside' };
    const cold: Candidate = { offset: 0x40, heat: 1, standing: 'new' };
    expect(chooseLeaders([entry, inside, hot(0x30), cold], 4, THRESHOLD)).toEqual([0x10, 0x20, 0x30]);
  });

  it('are the 255 hottest of more', () => {
    const cooler: Candidate = { offset: 0, heat: WARM, standing: 'new' };
    const many = [cooler, ...Array.from({ length: 255 }, (_, i) => hot(i + 1))];
    const chosen = chooseLeaders(many, 1, THRESHOLD);
    expect([chosen.length, chosen[0]]).toEqual([255, 1]);
  });
});

it('merges the regions of a page at its 2nd, 4th, 8th and 16th translation', () => {
  expect(Array.from({ length: 17 }, (_, i) => i).filter(isWhole)).toEqual([2, 4, 8, 16]);
});

describe('the heat after a translation', () => {
  it('starts anew for what the region covers', () => {
    expect(heatAfter([1, 2], [1, 2])).toEqual(
      new Map([
        [1, 0],
        [2, 0],
      ]),
    );
  });

  it('never reports again what could not be translated', () => {
    expect(heatAfter([1, 2], [2]).get(1)).toBe(HEAT_NEVER);
    expect(heatAfter([1], []).get(1)).toBe(HEAT_NEVER);
  });

  it('starts anew for what did not fit behind the last block', () => {
    expect(heatAfter([1, 2, 3], [1, 2]).get(3)).toBe(0);
  });
});

it.each([
  [1, 0],
  [2, 0],
  [3, 1_000_000],
  [4, 2_000_000],
  [6, 8_000_000],
  [100, 1_024_000_000],
])('leaves a page that was overwritten %i times to the interpreter for %i instructions', (times, rest) => {
  expect(restAfter(times, THRESHOLD)).toBe(rest);
});
