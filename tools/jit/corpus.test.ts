/**
 * The size of translated code, as a figure that no machine's speed touches. Bounds are what it is now, rounded up to a
 * tenth: lower them when the translator gets better.
 */
import { describe, expect, it } from 'vitest';
import { compileRegions } from '../../src/jit/compile.ts';
import { MODE_CODE32 } from '../../src/layout/vcpu.ts';
import { functionsOf } from '../../src/wasmgen/text.ts';
import { CORPUS } from './corpus.ts';
import { staticRegion } from './static-region.ts';

/** Wasm operations of the whole function, slow paths included, by guest instructions. */
const BOUNDS: readonly (readonly [name: string, operationsPerInstruction: number])[] = [
  ['bytecode, execute_code, 64 bits', 31.4],
  ['sort, quicksort, 64 bits', 30.2],
  ['recursion, fibonacci, 64 bits', 47],
  ['recursion, queens, 64 bits', 28.9],
  ['chase, program, 64 bits', 28.8],
  ['sha256, program, 64 bits', 22.1],
  ['lz, program, 64 bits', 25.8],
  ['sse2, program, 64 bits', 38.7],
  ['x87, program, 64 bits', 29.8],
  ['strings, program, 64 bits', 26.5],
  ['bytecode, execute_code, 32 bits', 33.3],
  ['sort, quicksort, 32 bits', 40.4],
  ['recursion, queens, 32 bits', 39.1],
  ['wide, program, 32 bits', 34.4],
  ['sha256, program, 32 bits', 30.8],
  ['sort, quicksort, 16 bits', 58.0],
];

/** The same 32-bit code with segments that are not flat. */
const LIMITED: typeof BOUNDS = [
  ['bytecode, execute_code, 32 bits', 44.1],
  ['sort, quicksort, 32 bits', 55.5],
  ['recursion, queens, 32 bits', 51.1],
  ['sha256, program, 32 bits', 40.8],
];

function operationsPerInstruction(name: string, mode?: number): number {
  const { bits, offset, instructions, code } = CORPUS.find((entry) => entry.name === name)!;
  const region = staticRegion(Uint8Array.from(Buffer.from(code, 'hex')), offset, bits, mode);
  const reached = region.blocks.reduce((sum, block) => sum + block.instructions.length, 0);
  expect(reached).toBe(instructions);
  const [compiled] = functionsOf(compileRegions([region]));
  return compiled!.operations / instructions;
}

describe('wasm operations per guest instruction', () => {
  it.each(BOUNDS)('%s: at most %f', (name, bound) => {
    expect(operationsPerInstruction(name)).toBeLessThanOrEqual(bound);
  });

  it.each(LIMITED)('%s, with segments that are not flat: at most %f', (name, bound) => {
    expect(operationsPerInstruction(name, MODE_CODE32)).toBeLessThanOrEqual(bound);
  });

  it('have a bound for each function of the corpus', () => {
    expect(BOUNDS.map(([name]) => name)).toEqual(CORPUS.map(({ name }) => name));
  });
});

describe('a module as text', () => {
  it('has a line for each operation, with what it works on', () => {
    // inc eax; ret
    const [compiled] = functionsOf(compileRegions([staticRegion(Uint8Array.of(0xff, 0xc0, 0xc3), 0, 64)]));
    expect(compiled!.lines.map((line) => line.trim())).toEqual(
      expect.arrayContaining(['local.get 0', 'i64.const 4294967295', 'i64.and', 'br_table 0']),
    );
    expect(compiled!.lines.at(-1)).toBe('end');
  });
});
