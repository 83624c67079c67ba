/**
 * `npm run bench:io -- [options]`: the virtio-blk table of docs/benchmarks-io.md. Virtab on OPFS with ioeventfd off and on, QEMU
 * TCG's virtio-blk and v86's IDE in turn, then the bare-metal ring and the driver alone.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { describeHost, load, waitForQuiet } from './bench/host.ts';
import { formatIo } from './io/report.ts';
import type { IoReport } from './io/report.ts';
import { measureRings } from './io/rings.ts';
import type { RingRuns } from './io/rings.ts';
import { measureRounds } from './io/rounds.ts';
import type { SubjectRows } from './io/rounds.ts';
import { KINDS, SITUATIONS } from './io/rows.ts';
import { SUBJECTS } from './io/subjects.ts';
import { ensureSite } from './runner/site.ts';
import { root } from './runner/stale.ts';
import { ensureWasm } from './runner/wasm.ts';

const HELP = `npm run bench:io -- [options]
  --subjects A,B      of ${SUBJECTS.map(({ id }) => id).join(', ')} (default virtab-jit,qemu,v86)
  --brief A,B         of them, measured alone, not with one job, in half of the repetitions
  --situations A,B    of ${SITUATIONS.join(', ')} (default alone)
  --kinds A,B         only these: ${KINDS.join(', ')}
  --jobs 1,8,16       how many fio jobs
  --seconds N         how long each is measured (default 1.5)
  --repetitions N     (default 4)
  --warm N            seconds of each kind before anything is measured (default 4)
  --no-rings          leave out the bare-metal guest and the driver alone
  --real-time         give what is measured real-time priority, for a machine that others use
  --patience SECONDS  wait up to so long until nothing else uses the machine
  --output FOLDER     (default build/bench-io)
`;

const log = (line: string): void => console.error(line);

const { values } = parseArgs({
  options: {
    subjects: { type: 'string', default: 'virtab-jit,qemu,v86' },
    brief: { type: 'string', default: '' },
    situations: { type: 'string', default: 'alone' },
    kinds: { type: 'string', default: KINDS.join(',') },
    jobs: { type: 'string', default: '1,8,16' },
    seconds: { type: 'string', default: '1.5' },
    repetitions: { type: 'string', default: '4' },
    warm: { type: 'string', default: '4' },
    'no-rings': { type: 'boolean', default: false },
    'real-time': { type: 'boolean', default: false },
    patience: { type: 'string', default: '0' },
    output: { type: 'string', default: join(root, 'build', 'bench-io') },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}

/** Those of `known` that a comma-separated list names. */
function named<T>(list: string, known: readonly T[], nameOf: (item: T) => string): readonly T[] {
  return list.split(',').map((name) => {
    const found = known.find((item) => nameOf(item) === name);
    if (found !== undefined) return found;
    log(`bench:io: there is no "${name}".\n${HELP}`);
    process.exit(2);
  });
}

const brief = values.brief.split(',');
const subjects = named(values.subjects, SUBJECTS, ({ id }) => id).map((subject) => ({
  ...subject,
  isBrief: brief.includes(subject.id),
}));
const options = {
  situations: named(values.situations, SITUATIONS, String),
  kinds: named(values.kinds, KINDS, String),
  jobs: values.jobs.split(',').map(Number),
  seconds: Number(values.seconds),
  repetitions: Number(values.repetitions),
  warmSeconds: Number(values.warm),
  realTime: values['real-time'],
  patience: Number(values.patience),
};

// What was started ends with this process, stopped or not.
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => process.exit(1));

await ensureWasm(true);
await ensureSite();
const started = new Date();
const host = await describeHost();
const loads = [load()];
let measured: readonly SubjectRows[] = [];
let ringRuns: RingRuns = { rings: [], driver: [], pairs: [] };

function save(): string {
  loads.push(load());
  const { seconds, repetitions, warmSeconds, realTime } = options;
  const report: IoReport = {
    format: 2,
    started: started.toISOString(),
    host,
    load: loads,
    seconds,
    repetitions,
    warmSeconds,
    realTime,
    subjects: measured,
    ...ringRuns,
  };
  const text = formatIo(report);
  mkdirSync(values.output, { recursive: true });
  writeFileSync(join(values.output, 'latest.json'), `${JSON.stringify(report, undefined, 2)}\n`);
  writeFileSync(join(values.output, 'latest.md'), text);
  return text;
}

const onProgress = (results: readonly SubjectRows[]): void => {
  measured = results;
  save();
};
await measureRounds(subjects, options, onProgress, log);
if (!values['no-rings']) {
  await waitForQuiet(options.patience);
  ringRuns = await measureRings(options.realTime, log);
}
process.stdout.write(save());
process.exit(0);
