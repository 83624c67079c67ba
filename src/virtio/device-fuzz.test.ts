/** VIRTAB_FUZZ_RINGS=1000000 fuzzes as many; VIRTAB_FUZZ_SEED starts elsewhere. */
import { env } from 'node:process';
import { describe, expect, it } from 'vitest';
import { DEVICE_FUZZ_RAM_BYTES, fuzzDevice, FUZZED_DEVICES } from './device-fuzz.ts';
import type { DeviceFuzzRound } from './device-fuzz.ts';
import { fuzzRings } from './ring-fuzz.ts';
import { testRam } from './test-driver.ts';
import type { TestRam } from './test-driver.ts';

const ROUNDS = Math.ceil(Number(env['VIRTAB_FUZZ_RINGS'] ?? 16_000) / 8);
const SEED = Number(env['VIRTAB_FUZZ_SEED'] ?? 1);

describe.each(FUZZED_DEVICES)('virtio-%s with a hostile driver', (kind) => {
  const fuzz = (races: boolean) =>
    fuzzRings(
      (ram: TestRam, seed: number): DeviceFuzzRound => fuzzDevice(kind, ram, seed, races),
      testRam(DEVICE_FUZZ_RAM_BYTES),
      SEED,
      ROUNDS,
    );

  it(
    'writes nothing but writable buffers and used rings, and returns every chain',
    { timeout: 600_000 },
    () => {
      const report = fuzz(false);
      expect(report).toMatchObject({ rings: ROUNDS, problem: undefined });
      // The generator must produce both: requests that are served and rings that are broken.
      expect(report.chains).toBeGreaterThan(ROUNDS / 2);
      expect(report.broken).toBeGreaterThan(ROUNDS / 20);
    },
  );

  it('returns every chain while rings and requests change', { timeout: 600_000 }, () => {
    const report = fuzz(true);
    expect(report).toMatchObject({ rings: ROUNDS, problem: undefined });
    expect(report.chains).toBeGreaterThan(ROUNDS / 4);
  });
});
