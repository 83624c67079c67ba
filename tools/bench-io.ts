/**
 * `npm run bench:io -- [options]`: the virtio-blk table of docs/benchmarks-io.md. Virtab on OPFS with ioeventfd off and on, QEMU
 * TCG's virtio-blk, v86's IDE, the bare-metal ring and the driver alone, in one run.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { describeHost, load, waitForQuiet } from './bench/host.ts';
import { inRealTime } from './bench/priority.ts';
import { prepareIoGuest } from './io/guest.ts';
import type { StartMachine } from './io/machine.ts';
import { startQemu } from './io/qemu.ts';
import { rawDriverSpeed } from './io/raw-driver.ts';
import type { Speed } from './io/raw-driver.ts';
import { formatIo } from './io/report.ts';
import type { IoReport, RingRun, SubjectRows } from './io/report.ts';
import { KINDS, measureRows, SITUATIONS } from './io/rows.ts';
import { startV86 } from './io/v86.ts';
import { startVirtab } from './io/virtab.ts';
import { runRing } from './ring/run.ts';
import type { RingOptions } from './ring/run.ts';
import type { Architecture } from './rootfs/closure.ts';
import { ensureSite } from './runner/site.ts';
import { root } from './runner/stale.ts';
import { ensureWasm } from './runner/wasm.ts';

interface IoSubject {
  readonly id: string;
  readonly name: string;
  readonly architecture: Architecture;
  readonly disk: string;
  readonly start: StartMachine;
}

const SUBJECTS: readonly IoSubject[] = [
  {
    id: 'virtab',
    name: 'Virtab, interpreter',
    architecture: 'amd64',
    disk: '/dev/vda',
    start: startVirtab('off'),
  },
  {
    id: 'virtab-jit',
    name: 'Virtab, JIT',
    architecture: 'amd64',
    disk: '/dev/vda',
    start: startVirtab('on'),
  },
  {
    id: 'virtab-jit-686',
    name: 'Virtab, JIT, 686',
    architecture: 'i386',
    disk: '/dev/vda',
    start: startVirtab('on'),
  },
  { id: 'qemu', name: 'QEMU TCG', architecture: 'amd64', disk: '/dev/vda', start: startQemu },
  { id: 'qemu-686', name: 'QEMU TCG, 686', architecture: 'i386', disk: '/dev/vda', start: startQemu },
  { id: 'v86', name: 'v86, IDE, 686', architecture: 'i386', disk: '/dev/sda', start: startV86 },
];

const RINGS: readonly (RingOptions & { readonly name: string })[] = [
  { name: 'Virtab, JIT, ioeventfd=on', machine: 'virtab-jit', ioeventfd: 'on' },
  { name: 'Virtab, JIT, ioeventfd=off', machine: 'virtab-jit', ioeventfd: 'off' },
  { name: 'QEMU TCG', machine: 'qemu' },
];

const HELP = `npm run bench:io -- [options]
  --subjects A,B      only these: ${SUBJECTS.map(({ id }) => id).join(', ')}
  --jobs 1,8,16       how many fio jobs
  --kinds A,B         only these: ${KINDS.join(', ')}
  --situations A,B    only these: ${SITUATIONS.join(', ')} (default alone)
  --brief A,B         subjects measured once, alone, and not with one job
  --seconds N         how long each is measured (default 4)
  --repetitions N     (default 3)
  --no-rings          leave out the bare-metal guest and the driver alone
  --warm N            seconds of each kind before anything is measured (default 8)
  --real-time         give what is measured real-time priority, for a machine that others use
  --patience SECONDS  wait up to so long until nothing else uses the machine
  --output FOLDER     (default build/bench-io)
`;

const log = (line: string): void => console.error(line);

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const { values } = parseArgs({
  options: {
    subjects: { type: 'string', default: SUBJECTS.map(({ id }) => id).join(',') },
    jobs: { type: 'string', default: '1,8,16' },
    kinds: { type: 'string', default: KINDS.join(',') },
    situations: { type: 'string', default: 'alone' },
    brief: { type: 'string', default: '' },
    seconds: { type: 'string', default: '4' },
    repetitions: { type: 'string', default: '3' },
    'no-rings': { type: 'boolean', default: false },
    warm: { type: 'string', default: '8' },
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

const [seconds = 0, repetitions = 0, patience = 0, warmSeconds = 0] = [
  values.seconds,
  values.repetitions,
  values.patience,
  values.warm,
].map(Number);
const realTime = values['real-time'];
const kinds = KINDS.filter((kind) => values.kinds.split(',').includes(kind));
const situations = SITUATIONS.filter((situation) => values.situations.split(',').includes(situation));
const brief = values.brief.split(',');
const jobs = values.jobs.split(',').map(Number);

await ensureWasm(true);
await ensureSite();
const started = new Date();
const host = await describeHost();
const loads = [load()];
const subjects: SubjectRows[] = [];
const rings: RingRun[] = [];
let driver: readonly Speed[] = [];

function save(): string {
  const report: IoReport = {
    format: 1,
    started: started.toISOString(),
    host,
    load: loads,
    seconds,
    repetitions,
    warmSeconds,
    realTime,
    subjects,
    rings,
    driver,
  };
  const text = formatIo(report);
  mkdirSync(values.output, { recursive: true });
  writeFileSync(join(values.output, 'latest.json'), `${JSON.stringify(report, undefined, 2)}\n`);
  writeFileSync(join(values.output, 'latest.md'), text);
  return text;
}

for (const id of values.subjects.split(',')) {
  const subject = SUBJECTS.find((candidate) => candidate.id === id);
  if (subject === undefined) {
    log(`bench:io: there is no "${id}".\n${HELP}`);
    process.exit(2);
  }
  const { name, architecture, disk, start } = subject;
  await waitForQuiet(patience);
  log(`== ${name}`);
  try {
    const guest = await prepareIoGuest(architecture, log);
    if (!guest.ok) throw new Error(guest.error);
    const options = {
      guest: guest.value,
      start,
      disk,
      kinds,
      seconds,
      ...(brief.includes(id)
        ? { situations: ['alone'] as const, repetitions: 1, jobs: jobs.filter((count) => count > 1) }
        : { situations, repetitions, jobs }),
      warmSeconds,
      realTime,
    };
    subjects.push({ name, architecture, ...(await measureRows(options, log)) });
  } catch (error) {
    // A comparison that cannot be made says why, and the rest goes on.
    subjects.push({ name, architecture, rows: [], failure: reasonOf(error) });
    log(reasonOf(error));
  }
  loads.push(load());
  save();
}
if (!values['no-rings']) {
  for (const { name, ...options } of RINGS) {
    await waitForQuiet(patience);
    log(`== ring, ${name}`);
    try {
      rings.push({
        name,
        measurements: (await inRealTime(realTime, () => runRing(options, log))).measurements,
      });
    } catch (error) {
      rings.push({ name, measurements: [], failure: reasonOf(error) });
      log(reasonOf(error));
    }
  }
  await waitForQuiet(patience);
  driver = await inRealTime(realTime, () => rawDriverSpeed('opfs')).catch((error: unknown) => {
    log(reasonOf(error));
    return [];
  });
  loads.push(load());
}
process.stdout.write(save());
process.exit(0);
