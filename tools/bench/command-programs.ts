/** `npm run bench -- programs`: our guest programs on every subject and natively, one boot of each in turn. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { choose, log, readCount, readSeconds, reasonOf } from './command-line.ts';
import { firmware } from './guests.ts';
import { describeHost, load, loadWarning, waitForQuiet } from './host.ts';
import { runsOf } from './program-marks.ts';
import { disagreements, formatPrograms, missing, programRows } from './program-report.ts';
import type { ProgramEntry, ProgramReport } from './program-report.ts';
import { prepareProgramGuest, PROGRAMS } from './programs.ts';
import type { Bits } from './programs.ts';
import type { Boot } from './subject.ts';
import { PROGRAM_SUBJECTS } from './subjects.ts';
import { ensureSite } from '../runner/site.ts';
import { root } from '../runner/stale.ts';
import { ensureWasm } from '../runner/wasm.ts';

/** v86 without its JIT takes minutes, and Virtab without it long enough to be asked for. */
const DEFAULT_SUBJECTS = 'native,virtab-jit,qemu,v86,v86-scheduling';

const HELP = `npm run bench -- programs [options]
  --repetitions N      how often each is measured (default 3)
  --subjects A,B       of ${PROGRAM_SUBJECTS.map(({ id }) => id).join(', ')} (default ${DEFAULT_SUBJECTS})
  --programs A,B       of ${PROGRAMS.map(({ id }) => id).join(', ')} (default all)
  --bits 32,64         word sizes (default 64,32)
  --mitigations        leave the kernel's CPU mitigations at their default (else mitigations=off)
  --patience SECONDS   before each boot, wait up to so long until nothing else uses the machine
  --output FOLDER      where the JSON and the table go (default build/bench)
`;

export async function benchPrograms(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      repetitions: { type: 'string', default: '3' },
      subjects: { type: 'string', default: DEFAULT_SUBJECTS },
      programs: { type: 'string' },
      bits: { type: 'string', default: '64,32' },
      mitigations: { type: 'boolean', default: false },
      patience: { type: 'string', default: '0' },
      output: { type: 'string', default: join(root, 'build', 'bench') },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const repetitions = readCount('repetitions', values.repetitions);
  const patience = readSeconds('patience', values.patience);
  const subjects = choose(PROGRAM_SUBJECTS, values.subjects);
  const programs = choose(PROGRAMS, values.programs);
  const warning = loadWarning();
  if (warning !== undefined) log(`WARNING: ${warning}`);
  await ensureWasm(true);
  await ensureSite();
  if (subjects.some(({ id }) => id.startsWith('v86'))) await firmware(log);

  const boots: { readonly bits: Bits; readonly boot: Boot }[] = [];
  for (const bits of ([64, 32] as const).filter((size) => values.bits.split(',').includes(String(size)))) {
    const boot = await prepareProgramGuest(bits, programs, values.mitigations ? '' : 'mitigations=off', log);
    if (boot.ok) boots.push({ bits, boot: boot.value });
    else log(`${bits}-bit programs are left out: ${boot.error}`);
  }
  const started = new Date();
  const host = await describeHost();
  const loads: number[] = [];
  const entries: ProgramEntry[] = [];
  const descriptions = await Promise.all(
    subjects.map(async (subject) => ({
      id: subject.id,
      name: subject.name,
      description: await subject.describe(),
    })),
  );
  const report = (): ProgramReport => ({
    format: 1,
    started: started.toISOString(),
    host,
    repetitions,
    load: loads,
    mitigations: values.mitigations,
    subjects: descriptions,
    programs,
    guests: boots.map(({ bits, boot: { description, commandLine } }) => ({
      bits,
      description,
      commandLine,
    })),
    entries,
  });
  const save = (): string => {
    const now = report();
    const text = `${warning === undefined ? '' : `WARNING: ${warning}\n\n`}${formatPrograms(now)}`;
    const json = `${JSON.stringify({ ...now, rows: programRows(now) }, undefined, 2)}\n`;
    mkdirSync(values.output, { recursive: true });
    for (const name of [
      `programs-${started.toISOString().slice(0, 19).replaceAll(':', '')}`,
      `programs-latest${values.mitigations ? '-mitigations' : ''}`,
    ]) {
      writeFileSync(join(values.output, `${name}.json`), json);
      writeFileSync(join(values.output, `${name}.md`), text);
    }
    return text;
  };

  const pairs = boots.flatMap(({ bits, boot }) =>
    subjects.filter((subject) => subject.bits.includes(bits)).map((subject) => ({ bits, boot, subject })),
  );
  for (let repetition = 0; repetition < repetitions; repetition++) {
    loads.push(load());
    // Each time from another start, so that none is always first.
    const first = Math.floor((repetition * pairs.length) / repetitions);
    for (const { bits, boot, subject } of [...pairs.slice(first), ...pairs.slice(0, first)]) {
      await waitForQuiet(patience);
      const title = `${repetition + 1}/${repetitions} ${bits} bits, ${subject.name}`;
      try {
        const { marks, cpu } = await subject.measure(boot);
        const runs = runsOf(marks);
        entries.push({
          subject: subject.id,
          bits,
          runs,
          ...(cpu === undefined ? {} : { otherCores: cpu.otherCores }),
        });
        log(
          `${title}: ${runs.map(({ program, timeMs }) => `${program} ${timeMs.toFixed(0)}`).join(', ')} ms`,
        );
      } catch (error) {
        entries.push({ subject: subject.id, bits, runs: [], failure: reasonOf(error) });
        log(`${title}: ${reasonOf(error)}`);
      }
      save();
    }
  }
  loads.push(load());
  process.stdout.write(save());
  const rows = programRows(report());
  if (disagreements(rows).length > 0 || missing(report()).length > 0) process.exitCode = 1;
}
