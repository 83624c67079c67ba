import { expect, test } from 'vitest';
import { selfTimes } from './profile.ts';

test('a sample stands for the time until the next one, and nodes of one function count as one', () => {
  const node = (id: number, functionName: string, url: string) => ({ id, callFrame: { functionName, url } });
  const profile = {
    nodes: [
      node(1, 'page 1000 (3 blocks)', 'wasm://wasm/1'),
      node(2, 'tick', 'file:///src/a.ts'),
      node(3, 'tick', 'file:///src/a.ts'),
    ],
    samples: [2, 1, 3, 1],
    timeDeltas: [9000, 1000, 5000, 2000],
  };
  expect(selfTimes(profile)).toEqual([
    { name: 'page 1000 (3 blocks)', ms: 5 },
    { name: 'tick (a.ts)', ms: 3 },
  ]);
});
