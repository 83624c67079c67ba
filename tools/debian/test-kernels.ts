/**
 * `npm run test:kernels [-- FLAVOUR... [--jit off|on|verify] [--verbose]]`: Debian's kernels cloud-amd64, 686, amd64 and 686-pae, interpreted,
 * translated and under verify, each to a shell and to power-off. Exit code 0 if all of them got there without a complaint.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { JIT_MODES } from '../../src/config/vm-config.ts';
import type { JitMode } from '../../src/config/vm-config.ts';
import type { KernelFlavour } from '../guest/kernels.ts';
import { root } from '../runner/stale.ts';
import { ensureWasm } from '../runner/wasm.ts';
import { bootDebian } from './boot.ts';
import { debianGuest, FLAVOURS } from './guests.ts';

/** Many times what an idle machine needs. */
const LIMIT_MS: Readonly<Record<JitMode, number>> = { off: 600_000, on: 600_000, verify: 3_600_000 };

const { values, positionals: names } = parseArgs({
  allowPositionals: true,
  options: { jit: { type: 'string' }, verbose: { type: 'boolean', default: false } },
});
const modes = values.jit === undefined ? JIT_MODES : JIT_MODES.filter((mode) => mode === values.jit);

async function check(flavour: KernelFlavour, jit: JitMode): Promise<boolean> {
  const guest = await debianGuest(flavour, (line) => console.log(line));
  if (!guest.ok) {
    console.error(`FAIL ${flavour}: ${guest.error}`);
    return false;
  }
  const onText = (text: string): void => {
    if (values.verbose) process.stdout.write(text);
  };
  const boot = await bootDebian(guest.value, { jit, limitMs: LIMIT_MS[jit], onText });
  const isGood = boot.ended === 'power-off' && boot.tainted === '0' && boot.suspicious.length === 0;
  const verified = jit === 'verify' ? `, ${(boot.verified / 1e9).toFixed(2)} G compared` : '';
  const figures = `${(boot.instructions / 1e9).toFixed(2)} G instructions${verified}, ${boot.seconds.toFixed(0)} s`;
  console.log(
    `${isGood ? 'ok  ' : 'FAIL'} ${flavour}, jit ${jit}: ${boot.release}, clocksource ${boot.clocksource}, ` +
      `tainted ${boot.tainted}, ${boot.ended} (${figures})`,
  );
  for (const line of boot.suspicious) console.log(`     ${line}`);
  if (!isGood) {
    const file = `build/debian/${flavour}/jit-${jit}.log`;
    await writeFile(join(root, file), boot.log);
    console.log(`     its console: ${file}`);
  }
  if (boot.report.length > 0) console.log(boot.report.join('\n'));
  return isGood;
}

function unknownName(): string | undefined {
  const flavour = names.find((name) => !FLAVOURS.some((known) => known === name));
  if (flavour !== undefined) return `There is no kernel "${flavour}"; there are ${FLAVOURS.join(', ')}.`;
  return modes.length > 0 ? undefined : `--jit ${values.jit}: use ${JIT_MODES.join(', ')}.`;
}

const problem = unknownName();
if (problem === undefined) {
  await ensureWasm(true);
  const chosen = names.length === 0 ? FLAVOURS : FLAVOURS.filter((flavour) => names.includes(flavour));
  let failures = 0;
  for (const flavour of chosen) for (const jit of modes) if (!(await check(flavour, jit))) failures++;
  process.exit(failures === 0 ? 0 : 1);
} else {
  console.error(problem);
  process.exit(2);
}
