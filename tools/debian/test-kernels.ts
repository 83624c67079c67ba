/**
 * `npm run test:kernels [-- FLAVOUR...] [--verbose]`: Debian's kernels cloud-amd64, 686, amd64 and 686-pae, interpreted and
 * translated, each to a shell and to power-off. Exit code 0 if all of them got there without a complaint.
 */
import { JIT_MODES } from '../../src/config/vm-config.ts';
import type { JitMode } from '../../src/config/vm-config.ts';
import type { KernelFlavour } from '../guest/kernels.ts';
import { ensureWasm } from '../runner/wasm.ts';
import { bootDebian } from './boot.ts';
import { debianGuest, FLAVOURS } from './guests.ts';

const LIMIT_MS = 600_000;

const isVerbose = process.argv.includes('--verbose');
const names = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const unknown = names.find((name) => !FLAVOURS.some((flavour) => flavour === name));

async function check(flavour: KernelFlavour, jit: JitMode): Promise<boolean> {
  const guest = await debianGuest(flavour, (line) => console.log(line));
  if (!guest.ok) {
    console.error(`FAIL ${flavour}: ${guest.error}`);
    return false;
  }
  const onText = (text: string): void => {
    if (isVerbose) process.stdout.write(text);
  };
  const boot = await bootDebian(guest.value, { jit, limitMs: LIMIT_MS, onText });
  const isGood = boot.ended === 'power-off' && boot.tainted === '0' && boot.suspicious.length === 0;
  const verified = jit === 'verify' ? `, ${(boot.verified / 1e9).toFixed(2)} G compared` : '';
  const figures = `${(boot.instructions / 1e9).toFixed(2)} G instructions${verified}, ${boot.seconds.toFixed(0)} s`;
  console.log(
    `${isGood ? 'ok  ' : 'FAIL'} ${flavour}, jit ${jit}: ${boot.release}, clocksource ${boot.clocksource}, ` +
      `tainted ${boot.tainted}, ${boot.ended} (${figures})`,
  );
  for (const line of boot.suspicious) console.log(`     ${line}`);
  if (!isGood && !isVerbose) console.log(boot.log.slice(-2000));
  if (boot.report.length > 0) console.log(boot.report.join('\n'));
  return isGood;
}

if (unknown === undefined) {
  await ensureWasm(true);
  const chosen = names.length === 0 ? FLAVOURS : FLAVOURS.filter((flavour) => names.includes(flavour));
  let failures = 0;
  for (const flavour of chosen) for (const jit of JIT_MODES) if (!(await check(flavour, jit))) failures++;
  process.exit(failures === 0 ? 0 : 1);
} else {
  console.error(`There is no kernel "${unknown}"; there are ${FLAVOURS.join(', ')}.`);
  process.exit(2);
}
