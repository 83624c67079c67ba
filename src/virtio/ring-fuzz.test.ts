/** A million rings (12 s of CPU time); VIRTAB_FUZZ_RINGS=10000000 fuzzes as many, VIRTAB_FUZZ_SEED starts elsewhere. */
import { env } from 'node:process';
import { describe, expect, it } from 'vitest';
import { FUZZ_RAM_BYTES, fuzzRacingRing, fuzzRings, fuzzStaticRing } from './ring-fuzz.ts';
import { testRam } from './test-driver.ts';

const RINGS = Number(env['VIRTAB_FUZZ_RINGS'] ?? 1_000_000);
const SEED = Number(env['VIRTAB_FUZZ_SEED'] ?? 1);
const HALF = Math.ceil(RINGS / 2);

describe('hostile rings', () => {
  it(
    'are read as 2.7 says, and only writable buffers and the used ring are written',
    { timeout: 600_000 },
    () => {
      const report = fuzzRings(fuzzStaticRing, testRam(FUZZ_RAM_BYTES), SEED, HALF);
      expect(report).toMatchObject({ rings: HALF, problem: undefined });
      // The generator must produce both: rings that work and rings that don't.
      expect(report.chains).toBeGreaterThan(HALF / 2);
      expect(report.broken).toBeGreaterThan(HALF / 5);
    },
  );

  it('that change while they are read stay within bounds', { timeout: 600_000 }, () => {
    const report = fuzzRings(fuzzRacingRing, testRam(FUZZ_RAM_BYTES), SEED, HALF);
    expect(report).toMatchObject({ rings: HALF, problem: undefined });
    expect(report.chains).toBeGreaterThan(HALF / 2);
    expect(report.broken).toBeGreaterThan(HALF / 5);
  });
});
