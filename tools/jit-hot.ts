/**
 * `npx tsx tools/jit-hot.ts PROGRAM[,PROGRAM] [--bits 64|32] [--scale N] [--top 30]`: where the time of the vCPU's thread goes while
 * guest programs run (their guest's boot included), by V8's profiler under Node: regions by physical page, the interpreter, the core, the rest.
 */
import { readFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { choose, fail, log, readCount } from './bench/command-line.ts';
import { prepareProgramGuest, PROGRAMS } from './bench/programs.ts';
import { run } from './guest/process.ts';
import { selfTimes } from './jit/profile.ts';
import type { CpuProfile } from './jit/profile.ts';
import { root } from './runner/stale.ts';

const TIMEOUT_S = 300;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    bits: { type: 'string', default: '64' },
    scale: { type: 'string' },
    top: { type: 'string', default: '30' },
  },
});
const { scale } = values;
const programs = choose(PROGRAMS, positionals[0] ?? fail('name a program')).map((program) =>
  scale === undefined ? program : { ...program, scale: readCount('scale', scale) },
);
const guest = await prepareProgramGuest(values.bits === '32' ? 32 : 64, programs, 'mitigations=off', log);
if (!guest.ok) fail(guest.error);
const { kernel, initrd, commandLine, until } = guest.value;
const folder = mkdtempSync(join(tmpdir(), 'virtab-profile-'));
try {
  const file = join(folder, 'vcpu.cpuprofile');
  const machine = ['-kernel', kernel, '-initrd', initrd, '-append', commandLine, '-m', '512', '-jit', 'on'];
  const ended = await run(
    process.execPath,
    [
      '--import',
      'tsx',
      'tools/vm.ts',
      '--node',
      ...machine,
      '--until',
      until,
      '--timeout',
      String(TIMEOUT_S),
    ],
    { cwd: root, env: { VIRTAB_PROFILE: file } },
  );
  if (ended.code !== 0) fail(`the guest did not end: ${ended.stderr}`);
  const times = selfTimes(JSON.parse(readFileSync(file, 'utf8')) as CpuProfile);
  const total = times.reduce((sum, { ms }) => sum + ms, 0);
  console.log(`${(total / 1000).toFixed(2)} s of the vCPU's thread, halts included`);
  for (const { name, ms } of times.slice(0, readCount('top', values.top))) {
    console.log(`${ms.toFixed(0).padStart(7)} ms ${((100 * ms) / total).toFixed(1).padStart(5)} %  ${name}`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
