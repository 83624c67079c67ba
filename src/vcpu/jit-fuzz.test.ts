/** Random programs on the interpreter and with the translator; `npm run fuzz:jit` runs others, and for longer. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { compare } from './testing/differential.ts';
import { Generator } from './testing/random-program.ts';

const EXECUTORS = {
  core: readFileSync('build/core.wasm'),
  interpreter: readFileSync('build/interpreter.wasm'),
};
const SEEDS = Array.from({ length: 30 }, (_, i) => i + 1);

describe('random programs', () => {
  it.each(SEEDS)('leave the same state interpreted and translated: seed %i', { timeout: 60_000 }, (seed) => {
    expect(compare(EXECUTORS, new Generator(seed).program()).differences).toEqual([]);
  });

  it('come to their end, run in translated code for the most part, and fault', { timeout: 60_000 }, () => {
    const { expected, actual } = compare(EXECUTORS, new Generator(1).program());
    expect([expected.ended, actual.ended]).toEqual([true, true]);
    expect(Number(actual.translatedInstructions) / Number(actual.instructions)).toBeGreaterThan(0.4);
    expect(expected.faults).toBeGreaterThan(100n);
  });
});
