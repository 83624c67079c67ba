/** What the suite needs on a bare Debian machine, before it runs: programs through apt, the core, the default guest. */
import { ensurePrograms } from './guest/apt.ts';
import { buildGuest } from './guest/build-guest.ts';
import { findChromium } from './runner/chromium.ts';
import { findFirefox } from './runner/firefox.ts';
import { hasProgram } from './guest/process.ts';
import { buildKernels } from './kernels/build.ts';
import { ensureWasm } from './runner/wasm.ts';

const log = (line: string): void => console.log(line);

const programs = await ensurePrograms(
  [
    {
      package: 'chromium',
      needed: 'the tests in a browser',
      isThere: () => Promise.resolve(findChromium() !== undefined),
    },
    {
      package: 'firefox-esr',
      needed: 'the tests in a second browser',
      isThere: () => Promise.resolve(findFirefox() !== undefined),
    },
    {
      package: 'qemu-system-x86',
      needed: 'comparisons with QEMU',
      isThere: () => hasProgram('qemu-system-x86_64'),
    },
    { package: 'gcc', needed: 'the test kernels', isThere: () => hasProgram('gcc') },
    { package: 'binutils', needed: 'the test kernels', isThere: () => hasProgram('ld') },
    { package: 'acpica-tools', needed: 'the check of the ACPI tables', isThere: () => hasProgram('iasl') },
  ],
  log,
);
// The tests that need them fail, and say which is missing.
if (!programs.ok) console.log(programs.error);
await ensureWasm(true);
const kernels = await buildKernels(log);
if (!kernels.ok) console.log(kernels.error);
const guest = await buildGuest(log);
if (!guest.ok) {
  console.error(guest.error);
  process.exitCode = 1;
}
