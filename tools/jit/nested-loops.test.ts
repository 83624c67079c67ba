/**
 * Loops of the guest become wasm loops, one in the other, and their branches back lead straight to the loop that is meant. What only
 * follows a loop is joined to its last trace, and so stands inside, too.
 */
import { expect, it } from 'vitest';
import { compileRegions } from '../../src/jit/compile.ts';
import { functionsOf } from '../../src/wasmgen/text.ts';
import { staticRegion } from './static-region.ts';

/** `add eax, n` in guest code marks a place: it is found by its constant. */
const MARK = /^i64\.const (\d+)$/;
const MARKS: Readonly<Record<string, string>> = { 4369: 'a', 8738: 'b', 13107: 'c', 17476: 'd', 21845: 'e' };

/**
 * What a region's function does with loops: `(` and `)` around a wasm loop, a mark where it comes first, and `^` with a
 * number for a branch back to the loop so many deep, counted from the outermost.
 */
function shapeOf(hex: string): string {
  const region = staticRegion(Uint8Array.from(Buffer.from(hex.replace(/\s/g, ''), 'hex')), 0, 64);
  const open: ('loop' | 'other')[] = [];
  const shape: string[] = [];
  for (const line of functionsOf(compileRegions([region])).flatMap(({ lines }) => lines)) {
    const [word = '', argument] = line.trim().split(' ');
    const mark = MARKS[MARK.exec(line.trim())?.[1] ?? ''];
    if (word === 'loop') shape.push('(');
    if (['loop', 'block', 'if'].includes(word)) open.push(word === 'loop' ? 'loop' : 'other');
    else if (word === 'end' && open.pop() === 'loop') shape.push(')');
    else if (/^br(_if)?$/.test(word)) {
      const target = open.length - 1 - Number(argument);
      if (open[target] === 'loop')
        shape.push(`^${open.slice(0, target + 1).filter((kind) => kind === 'loop').length}`);
    } else if (mark !== undefined && !shape.includes(mark)) shape.push(mark);
  }
  return shape.join(' ');
}

it('a loop in a loop in a loop is three wasm loops', () => {
  // 1: add eax, a; mov esi, n; 2: add eax, b; mov ecx, n; 3: add eax, c; dec ecx; jnz 3b; add eax, d; dec esi; jnz 2b; add eax, e; dec edi; jnz 1b; ret
  expect(
    shapeOf(`bf11010000 0511110000 be22020000 0522220000 b933030000
      0533330000 ffc9 75f7 0544440000 ffce 75e4 0555550000 ffcf 75d1 c3`),
  ).toBe('( a ( b ( c ^3 d ^2 e ^1 ) ) )');
});

it('a loop behind a loop is two wasm loops', () => {
  // 1: add eax, a; dec ecx; jnz 1b; mov ecx, n; 2: add eax, b; dec ecx; jnz 2b; add eax, c; ret
  expect(shapeOf('0511110000 ffc9 75f7 b933030000 0522220000 ffc9 75f7 0533330000 c3')).toBe(
    '( a ^1 ) ( b ^1 c )',
  );
});

it('what a loop does in one of two ways stands in its wasm loop', () => {
  // 1: add eax, a; test al, 1; jz 2f; add eax, b; jmp 3f; 2: add eax, c; 3: add eax, d; dec ecx; jnz 1b; add eax, e; ret
  expect(shapeOf('0511110000 a801 7407 0522220000 eb05 0533330000 0544440000 ffc9 75e2 0555550000 c3')).toBe(
    '( a b c d ^1 e )',
  );
});
