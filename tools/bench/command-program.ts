/** `npm run bench -- program NAME`: one guest program on one subject, for who works on the translator. */
import { parseArgs } from 'node:util';
import { choose, fail, log, readCount } from './command-line.ts';
import { firmware } from './guests.ts';
import { runsOf } from './program-marks.ts';
import { prepareProgramGuest, PROGRAMS } from './programs.ts';
import { PROGRAM_SUBJECTS } from './subjects.ts';
import { ensureSite } from '../runner/site.ts';
import { ensureWasm } from '../runner/wasm.ts';

const HELP = `npm run bench -- program NAME[,NAME] [options]
  --engine ID      ${PROGRAM_SUBJECTS.map(({ id }) => id).join(', ')} (default virtab)
  --jit on|off     for virtab (default on)
  --bits 32|64     word size, and kernel (default 64)
  --scale N        length of the work (default: each program's own, ${PROGRAMS.map(({ id, scale }) => `${id} ${scale}`).join(', ')})
  --json           print JSON
`;

export async function benchProgram(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      engine: { type: 'string', default: 'virtab' },
      jit: { type: 'string', default: 'on' },
      bits: { type: 'string', default: '64' },
      scale: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help || positionals.length !== 1) {
    process.stdout.write(HELP);
    return;
  }
  const engine = values.engine === 'virtab' && values.jit === 'on' ? 'virtab-jit' : values.engine;
  const [subject] = choose(PROGRAM_SUBJECTS, engine);
  if (subject === undefined) fail('no engine');
  const bits = values.bits === '32' ? 32 : 64;
  if (!subject.bits.includes(bits)) fail(`${subject.name} does not run ${bits}-bit code: --bits 32`);
  const { scale } = values;
  const chosen = choose(PROGRAMS, positionals[0] === 'all' ? undefined : positionals[0]);
  const programs = chosen.map((program) =>
    scale === undefined ? program : { ...program, scale: readCount('scale', scale) },
  );
  await ensureWasm(true);
  await ensureSite();
  if (subject.id.startsWith('v86')) await firmware(log);
  const boot = await prepareProgramGuest(bits, programs, '', log);
  if (!boot.ok) fail(boot.error);
  const { marks, details } = await subject.measure(boot.value);
  const runs = runsOf(marks);
  if (values.json) process.stdout.write(`${JSON.stringify({ runs, details }, undefined, 2)}\n`);
  else for (const run of runs) process.stdout.write(`${describe(run)}\n`);
}

type Run = ReturnType<typeof runsOf>[number];

function describe({ program, timeMs, guestMs, checksum, instructions, threadMs }: Run): string {
  const parts = [
    `${program.padEnd(10)} ${timeMs.toFixed(0).padStart(6)} ms (guest's clock ${guestMs.toFixed(0)} ms)`,
  ];
  if (threadMs !== undefined) parts.push(`CPU of the thread ${threadMs.toFixed(0)} ms`);
  if (instructions !== undefined) {
    const per = (ms: number): string => ((ms * 1e6) / instructions).toFixed(2);
    const cpu = threadMs === undefined ? '' : `, ${per(threadMs)} by CPU time`;
    parts.push(`${(instructions / 1e6).toFixed(0)} M instructions, ${per(timeMs)} ns each${cpu}`);
  }
  return [...parts, `checksum ${checksum}`].join('; ');
}
