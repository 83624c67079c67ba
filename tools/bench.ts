/** `npm run bench`: how fast the default guest boots here, beside QEMU's TCG and v86 with its JIT off, in one run. */
import { join } from 'node:path';
import { measureOurs } from './bench/ours.ts';
import { measureQemu } from './bench/qemu.ts';
import { measureV86 } from './bench/v86.ts';
import { buildGuest } from './guest/build-guest.ts';
import { GUEST_FOLDER } from './guest/folders.ts';
import { kernelImage } from './guest/kernels.ts';
import { ensureSite } from './runner/site.ts';

const RUNS = 3;

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function row(name: string, value: string): void {
  console.log(`${name.padEnd(44)} ${value}`);
}

const log = (line: string): void => console.error(line);

/** A comparison that cannot be made says why, and the rest goes on. */
async function attempt<T>(name: string, measure: () => Promise<T>): Promise<T | undefined> {
  try {
    return await measure();
  } catch (error) {
    row(name, `not measured: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

await ensureSite();
const guest = await buildGuest(log);
if (!guest.ok) {
  console.error(guest.error);
  process.exit(1);
}
const { kernel, initrd, commandLine, release } = guest.value;
row('guest', `Linux ${release}, ${commandLine}`);

const ours = [];
const qemu = [];
// In turn, so that a slow spell of the host hits both.
for (let run = 0; run < RUNS; run++) {
  const own = await attempt('Virtab', measureOurs);
  if (own !== undefined) ours.push(own);
  const other = await attempt('QEMU', () =>
    measureQemu({
      kernel: join(GUEST_FOLDER, kernel.file),
      initrd: join(GUEST_FOLDER, initrd.file),
      commandLine,
    }),
  );
  if (other !== undefined) qemu.push(other);
}
const instructions = median(ours.map((run) => run.instructions));
row('Virtab: instructions to the prompt', `${(instructions / 1e6).toFixed(0)} M`);
row('Virtab: ns per instruction (with decoding)', median(ours.map((run) => run.nsPerInstruction)).toFixed(2));
row('Virtab: of which decoding, ms', median(ours.map((run) => run.decodeMs)).toFixed(0));
row('Virtab: reset to first output, ms', median(ours.map((run) => run.resetToFirstOutputMs)).toFixed(0));
row('Virtab: reset to prompt, ms', median(ours.map((run) => run.resetToPromptMs)).toFixed(0));
row('Virtab: browser and page, ms', median(ours.map((run) => run.pageStartMs)).toFixed(0));
if (qemu.length > 0) row('QEMU TCG: start to prompt, ms', median(qemu).toFixed(0));

const v86 = await attempt('v86', async () => {
  const image = await kernelImage('686', log);
  if (!image.ok) throw new Error(image.error);
  return await measureV86(image.value);
});
if (v86 !== undefined) row('v86, JIT off, 686 kernel: ns per instruction', v86.nsPerInstruction.toFixed(2));
