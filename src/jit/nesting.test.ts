import { describe, expect, it } from 'vitest';
import { nestLoops, type Item } from './nesting.ts';

function text(items: readonly Item[]): string {
  return items.map((item) => (typeof item === 'number' ? String(item) : `(${text(item.items)})`)).join(' ');
}

describe('an order with loops', () => {
  it.each([
    ['a straight line', [[1], [2], []], '0 1 2'],
    ['two ways that meet', [[1, 2], [3], [3], []], '0 2 1 3'],
    ['a node that leads to itself', [[1], [1, 2], []], '0 (1) 2'],
    ['a loop with two ways inside', [[1], [2, 3], [4], [4], [1, 5], []], '0 (1 3 2 4) 5'],
    ['a loop in a loop', [[1], [2], [2, 3], [1, 4], []], '0 (1 (2) 3) 4'],
    ['a loop with two heads', [[1, 2], [2], [1, 3], []], '0 (1 2) 3'],
    ["Bourdoncle's example", [[1], [2], [3, 7], [4, 5], [6], [6], [4, 7], []], '0 1 2 3 5 (4 6) 7'],
    ['two that nothing leads to', [[], [0]], '1 0'],
  ])('is found for %s', (_name, edges, expected) => {
    expect(text(nestLoops(edges))).toBe(expected);
  });
});
