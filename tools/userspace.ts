/**
 * `npm run test:userspace -- [amd64|i386] [--jit on|off] [--scripts A,B] [--node] [--record]`: Debian programs in the guest and on this
 * machine's own CPU, with their output compared. Exit code 0 if all of it is the same. Without arguments: both architectures,
 * with and without the translator. --record writes down what this machine's CPU prints, for the part that CI compares with.
 * Needs Debian's apt, root (for chroot) and e2fsprogs.
 */
import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Architecture } from './rootfs/closure.ts';
import { ensureSite } from './runner/site.ts';
import { root } from './runner/stale.ts';
import { ensureWasm } from './runner/wasm.ts';
import {
  difference,
  prepareGuest,
  recordedOutput,
  runOnHost,
  SCRIPTS,
  SCRIPTS_OF,
  sections,
  vmArguments,
} from './userspace/suite.ts';
import type { Script, UserspaceGuest } from './userspace/suite.ts';

const ARCHITECTURES: readonly Architecture[] = ['amd64', 'i386'];
const TIMEOUT_SECONDS = 1800;
const FOLDER = join(root, 'build/userspace');

const log = (line: string): void => console.log(line);

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}

/** What the guest wrote to its console. */
function runInVm(guest: UserspaceGuest, jit: string, inNode: boolean): Promise<string> {
  const options = [
    ...vmArguments(guest, jit),
    '--timeout',
    String(TIMEOUT_SECONDS),
    ...(inNode ? ['--node'] : []),
  ];
  const args = ['--import', 'tsx', join(root, 'tools/vm.ts'), ...options];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', () => resolve(output));
  });
}

const { values, positionals } = parseArgs({
  options: {
    jit: { type: 'string' },
    scripts: { type: 'string' },
    node: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
const architectures = ARCHITECTURES.filter((name) => positionals.length === 0 || positionals.includes(name));
if (architectures.length === 0) fail(`There are: ${ARCHITECTURES.join(', ')}.`);
const scripts: readonly Script[] =
  values.scripts === undefined
    ? SCRIPTS
    : values.scripts
        .split(',')
        .map((name) => SCRIPTS.find((script) => script === name) ?? fail(`no ${name}`));

if (values.record) {
  const onHost = await runOnHost('short', 'amd64', SCRIPTS_OF.short, log);
  if (!onHost.ok) fail(onHost.error);
  for (const [name, text] of sections(onHost.value)) {
    const script = SCRIPTS_OF.short.find((candidate) => candidate === name) ?? fail(`no ${name}`);
    await writeFile(recordedOutput(script), text);
  }
  process.exit(0);
}

await ensureWasm(true);
if (!values.node) await ensureSite();
await mkdir(FOLDER, { recursive: true });
let failures = 0;
for (const architecture of architectures) {
  const onHost = await runOnHost('full', architecture, scripts, log);
  if (!onHost.ok) fail(onHost.error);
  await writeFile(join(FOLDER, `${architecture}-host.txt`), onHost.value);
  const expected = sections(onHost.value);
  const guest = await prepareGuest('full', architecture, scripts, log);
  if (!guest.ok) fail(guest.error);
  for (const jit of values.jit === undefined ? ['off', 'on'] : [values.jit]) {
    const started = performance.now();
    const output = await runInVm(guest.value, jit, values.node);
    await writeFile(join(FOLDER, `${architecture}-jit-${jit}.txt`), output);
    const got = sections(output);
    for (const script of scripts) {
      const wanted = expected.get(script);
      const what = `${architecture}, -jit ${jit}: ${script}`;
      const differs =
        wanted === undefined ? 'did not end on this machine' : difference(wanted, got.get(script) ?? '');
      if (differs === undefined) log(`ok   ${what} (${wanted?.split('\n').length} lines)`);
      else log(`FAIL ${what}: ${differs}`);
      if (differs !== undefined) failures++;
    }
    log(`     ${((performance.now() - started) / 1000).toFixed(0)} s`);
  }
}
log(failures === 0 ? 'all outputs are the same' : `${failures} outputs differ`);
process.exit(failures === 0 ? 0 : 1);
