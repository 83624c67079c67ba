/** `npm run bench -- boots`: how long guests take to boot, one run of each subject in turn. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { choose, log, readCount, readSeconds, reasonOf } from './command-line.ts';
import { describeHost, load, loadWarning, waitForQuiet } from './host.ts';
import { firmware, WORKLOADS } from './guests.ts';
import { countWithQemu } from './qemu.ts';
import { format, formatMeasurement, rowsOf } from './report.ts';
import type { Entry, Report } from './report.ts';
import type { Boot, Subject, Workload } from './subject.ts';
import { BOOT_SUBJECTS, REFERENCES } from './subjects.ts';
import { ensureSite } from '../runner/site.ts';
import { root } from '../runner/stale.ts';
import { ensureWasm } from '../runner/wasm.ts';

const HELP = `npm run bench -- boots [options]
  --repetitions N     how often each is measured (default 3)
  --subjects A,B      only these: ${BOOT_SUBJECTS.map(({ id }) => id).join(', ')}
  --workloads A,B     only these: ${WORKLOADS.map(({ id }) => id).join(', ')}
  --patience SECONDS  before each measurement, wait up to so long until nothing else uses the machine
  --count             also count instructions with QEMU, in runs of their own
  --output FOLDER     where the JSON and the table go (default build/bench)
`;

function readOptions(args: readonly string[]): {
  readonly repetitions: number;
  readonly subjects: readonly Subject[];
  readonly workloads: readonly Workload[];
  readonly count: boolean;
  readonly patience: number;
  readonly output: string;
} {
  const { values } = parseArgs({
    args: [...args],
    options: {
      repetitions: { type: 'string', default: '3' },
      subjects: { type: 'string' },
      workloads: { type: 'string' },
      patience: { type: 'string', default: '0' },
      count: { type: 'boolean', default: false },
      output: { type: 'string', default: join(root, 'build', 'bench') },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    process.exit(0);
  }
  return {
    repetitions: readCount('repetitions', values.repetitions),
    patience: readSeconds('patience', values.patience),
    subjects: choose(BOOT_SUBJECTS, values.subjects),
    workloads: choose(WORKLOADS, values.workloads),
    count: values.count,
    output: values.output,
  };
}

export async function benchBoots(args: readonly string[]): Promise<void> {
  const { repetitions, subjects, workloads, count, patience, output } = readOptions(args);
  const warning = loadWarning();
  if (warning !== undefined) log(`WARNING: ${warning}`);

  await ensureWasm(true);
  await ensureSite();
  const boots: { readonly workload: Workload; readonly boot: Boot }[] = [];
  for (const workload of workloads) {
    const boot = await workload.prepare(log);
    if (boot.ok) boots.push({ workload, boot: boot.value });
    else log(`${workload.name} is left out: ${boot.error}`);
  }
  if (subjects.some(({ id }) => id.startsWith('v86'))) {
    // Fetched now, so that no measurement waits for it; without it, v86 says so itself.
    await firmware(log).catch((error: unknown) => log(reasonOf(error)));
  }

  const entries = boots.flatMap(({ workload, boot }) =>
    subjects
      .filter(({ bits }) => bits.includes(workload.bits))
      .map((subject) => ({
        workload,
        boot,
        subject,
        entry: { subject: subject.id, workload: workload.id, measurements: [] } as Entry,
      })),
  );
  const loads: number[] = [];
  const counts = new Map<string, number>();
  const started = new Date();
  const host = await describeHost();
  const descriptions = await Promise.all(
    subjects.map(async (subject) => ({
      id: subject.id,
      name: subject.name,
      description: await subject.describe(),
    })),
  );
  const report = (): Report => ({
    format: 1,
    started: started.toISOString(),
    host,
    repetitions,
    load: loads,
    subjects: descriptions,
    workloads: boots.map(({ workload: { id, name }, boot: { description } }) => {
      const counted = counts.get(id);
      return { id, name, description, ...(counted === undefined ? {} : { qemuInstructions: counted }) };
    }),
    entries: entries.map(({ entry }) => entry),
    references: REFERENCES,
  });
  const save = (): string => {
    const result = report();
    const text = `${warning === undefined ? '' : `WARNING: ${warning}\n\n`}${format(result)}`;
    const name = `boot-${started.toISOString().slice(0, 19).replaceAll(':', '')}`;
    mkdirSync(output, { recursive: true });
    const json = `${JSON.stringify({ ...result, rows: rowsOf(result) }, undefined, 2)}\n`;
    for (const file of [name, 'latest']) {
      writeFileSync(join(output, `${file}.json`), json);
      writeFileSync(join(output, `${file}.md`), text);
    }
    return text;
  };

  for (let repetition = 0; repetition < repetitions; repetition++) {
    loads.push(load());
    // In turn, so that a slow spell of the host hits all; and each time from another start, so that none is always first.
    const first = Math.floor((repetition * entries.length) / repetitions);
    for (const { workload, boot, subject, entry } of [...entries.slice(first), ...entries.slice(0, first)]) {
      if (entry.failure !== undefined) continue;
      await waitForQuiet(patience);
      try {
        const measurement = await subject.measure(boot);
        entry.measurements.push(measurement);
        log(`${repetition + 1}/${repetitions} ${formatMeasurement(workload, subject, measurement)}`);
      } catch (error) {
        // A comparison that cannot be made says why, and the rest goes on.
        entry.failure = reasonOf(error);
        log(`${workload.name}, ${subject.name}: ${entry.failure}`);
      }
    }
    save();
  }
  loads.push(load());
  if (count) {
    for (const { workload, boot } of boots) {
      try {
        counts.set(workload.id, await countWithQemu(boot));
      } catch (error) {
        log(`${workload.name}, counting with QEMU: ${reasonOf(error)}`);
      }
    }
  }
  process.stdout.write(save());
}
