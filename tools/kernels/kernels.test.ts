/**
 * The test kernels (docs/kernels.md): each prints a log, which is compared with logs/NAME.log, what the manuals demand. QEMU
 * judges the kernels and the logs; where it differs, known-qemu.ts says how and why.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildKernels, KERNELS, unusedSources } from './build.ts';
import { asInQemu } from './known-qemu.ts';
import { runInQemu, runInVirtab } from './run.ts';
import type { KernelRun } from './run.ts';

const LOGS = fileURLToPath(new URL('logs/', import.meta.url));
const MODULES = fileURLToPath(new URL('modules/', import.meta.url));
const TIMEOUT_MS = 90_000;

const MULTIBOOT: KernelRun = {
  append: 'a=1 b',
  modules: [{ path: join(MODULES, 'first.txt'), words: 'x=1' }, { path: join(MODULES, 'empty.txt') }],
};
const RUNS: Readonly<Record<string, KernelRun>> = { multiboot: MULTIBOOT, 'multiboot-flat': MULTIBOOT };

const cases = KERNELS.map(({ name, notInQemu }) => ({ name, options: RUNS[name] ?? {}, notInQemu }));

function expected(name: string): string {
  return readFileSync(join(LOGS, `${name}.log`), 'utf8');
}

beforeAll(async () => {
  const built = await buildKernels(() => undefined);
  if (!built.ok) throw new Error(built.error);
}, TIMEOUT_MS);

describe('the test kernel behaves as the manuals say', () => {
  it.each(cases)('$name, interpreted', { timeout: TIMEOUT_MS }, async ({ name, options }) => {
    expect(await runInVirtab(name, 'off', options)).toBe(expected(name));
  });

  it.each(cases)('$name, translated', { timeout: TIMEOUT_MS }, async ({ name, options }) => {
    expect(await runInVirtab(name, 'on', options)).toBe(expected(name));
  });

  it.each(cases)('$name, translated and verified', { timeout: TIMEOUT_MS }, async ({ name, options }) => {
    expect(await runInVirtab(name, 'verify', options)).toBe(expected(name));
  });

  it.each(cases.filter(({ notInQemu }) => notInQemu === undefined))(
    '$name, in QEMU but for known differences',
    { timeout: TIMEOUT_MS },
    async ({ name, options }) => {
      expect(await runInQemu(name, options)).toBe(asInQemu(name, expected(name)));
    },
  );

  it('no source is forgotten', async () => {
    expect(await unusedSources()).toEqual([]);
  });
});
