/** Random programs on the interpreter and with the translator; `npm run fuzz:jit` runs others, and for longer. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { compare, type Comparison } from './testing/differential.ts';
import { legacyGuest, legacyShape } from './testing/legacy-guest.ts';
import { LegacyGenerator } from './testing/legacy-program.ts';
import { Generator } from './testing/random-program.ts';

const EXECUTORS = {
  core: readFileSync('build/core.wasm'),
  interpreter: readFileSync('build/interpreter.wasm'),
};
const SEEDS = Array.from({ length: 30 }, (_, i) => i + 1);
const LEGACY = SEEDS.map((seed) => [seed, legacyShape(seed).name] as const);

function compareLegacy(seed: number): Comparison {
  const shape = legacyShape(seed);
  return compare(EXECUTORS, new LegacyGenerator(shape, seed).program(), legacyGuest(shape));
}

describe('random programs', () => {
  it.each(SEEDS)('leave the same state interpreted and translated: seed %i', { timeout: 300_000 }, (seed) => {
    expect(compare(EXECUTORS, new Generator(seed).program()).differences).toEqual([]);
  });

  it('come to their end, run in translated code for the most part, and fault', { timeout: 300_000 }, () => {
    const { expected, actual } = compare(EXECUTORS, new Generator(1).program());
    expect([expected.ended, actual.ended]).toEqual([true, true]);
    expect(Number(actual.translatedInstructions) / Number(actual.instructions)).toBeGreaterThan(0.4);
    expect(expected.faults).toBeGreaterThan(100n);
  });
});

describe('random programs under verify', () => {
  it.each(SEEDS.slice(0, 3))('agree in every run: seed %i', { timeout: 300_000 }, (seed) => {
    const { differences, actual } = compare(EXECUTORS, new Generator(seed).program(), undefined, 'verify');
    expect(differences).toEqual([]);
    expect(actual.verified).toBeGreaterThan(10_000);
  });

  it.each(LEGACY.slice(0, 3))('agree in every run: seed %i, %s', { timeout: 300_000 }, (seed) => {
    const shape = legacyShape(seed);
    const program = new LegacyGenerator(shape, seed).program();
    const { differences, actual } = compare(EXECUTORS, program, legacyGuest(shape), 'verify');
    expect(differences).toEqual([]);
    expect(actual.verified).toBeGreaterThan(10_000);
  });
});

describe('random programs outside 64-bit mode', () => {
  it.each(LEGACY)(
    'leave the same state interpreted and translated: seed %i, %s',
    { timeout: 300_000 },
    (seed) => {
      expect(compareLegacy(seed).differences).toEqual([]);
    },
  );

  it.each(LEGACY.slice(0, 5))(
    'come to their end, run in translated code for the most part, and fault: seed %i, %s',
    { timeout: 300_000 },
    (seed) => {
      const { expected, actual } = compareLegacy(seed);
      expect([expected.ended, actual.ended]).toEqual([true, true]);
      expect(Number(actual.translatedInstructions) / Number(actual.instructions)).toBeGreaterThan(0.4);
      expect(expected.faults).toBeGreaterThan(100n);
    },
  );
});
