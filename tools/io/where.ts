/**
 * Where the time of a disk request goes: one boot, one kind of request, and what each of them cost the guest, the vCPU's thread, and the
 * machine.
 *
 *     npx tsx tools/io/where.ts [--kind randread] [--jobs 16] [--seconds 4] [--warm 10] [--rounds 2] [--jit on|off] [--priority] [--perf FOLDER]
 *
 * With `--perf` the last round runs under perf(1), which must be told what Chromium's code is: VIRTAB_CHROMIUM names a script that
 * adds `--js-flags=--perf-basic-prof`.
 */
import { spawn } from 'node:child_process';
import { copyFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { parseQemuOptions } from '../../src/config/qemu-options.ts';
import type { MachineInfo } from '../../src/control/info.ts';
import type { RunnerCounters } from '../../src/runner.ts';
import { descendants, threadTimes } from '../bench/cpu-time.ts';
import { setRealTime } from '../bench/priority.ts';
import { runInChromium } from '../runner/run-in-chromium.ts';
import { ensureSite } from '../runner/site.ts';
import { root } from '../runner/stale.ts';
import { ensureWasm } from '../runner/wasm.ts';
import { benchDisk, MEMORY_MIB, prepareIoGuest } from './guest.ts';
import { IoDialogue, resultsOf } from './machine.ts';
import { parseTerse } from './rows.ts';

const { values } = parseArgs({
  options: {
    kind: { type: 'string', default: 'randread' },
    jobs: { type: 'string', default: '16' },
    seconds: { type: 'string', default: '4' },
    warm: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '2' },
    jit: { type: 'string', default: 'on' },
    architecture: { type: 'string', default: 'amd64' },
    device: { type: 'string', default: '' },
    /** Runs the measured seconds with real-time priority, for a machine that others use too. */
    priority: { type: 'boolean', default: false },
    perf: { type: 'string' },
  },
});

await ensureWasm(true);
await ensureSite();
const guest = await prepareIoGuest(values.architecture === 'i386' ? 'i386' : 'amd64', console.error);
if (!guest.ok) throw new Error(guest.error);
const image = join(root, 'build/io', `where-${process.pid}.img`);
await copyFile(await benchDisk(), image);
const parsed = parseQemuOptions([
  '-m',
  `${MEMORY_MIB}M`,
  '-append',
  guest.value.commandLine,
  '-jit',
  values.jit,
  '-no-reboot',
  '-drive',
  `file=${image},format=raw,if=none,id=d0`,
  '-device',
  `virtio-blk-pci,drive=d0,ioeventfd=on${values.device}`,
]);
if (!parsed.ok) throw new Error(parsed.error.message);
const dialogue = new IoDialogue(600_000);
const runner = await runInChromium({
  config: parsed.value.config,
  kernel: guest.value.kernel,
  initrd: guest.value.initrd,
  disks: [{ drive: 'd0', path: image, readOnly: false }],
  onOutput: (bytes) => dialogue.onOutput(Buffer.from(bytes).toString('latin1')),
  onWarning: (message) => console.error(`virtab: ${message}`),
});
runner.finished.finally(() => dialogue.onOutput(undefined)).catch(() => undefined);

const ask = async (command: string): Promise<string> => {
  runner.send(Buffer.from(`${command}\n`, 'latin1'));
  return resultsOf(await dialogue.ready())[0] ?? '';
};

interface Snapshot {
  readonly info: MachineInfo;
  readonly counters: RunnerCounters;
  readonly threads: ReadonlyMap<number, number>;
}

async function snapshot(): Promise<Snapshot> {
  const info = await runner.info();
  const counters = await runner.counters();
  if (info === undefined || counters === undefined) throw new Error('the machine is gone');
  return { info, counters, threads: threadTimes(descendants(process.pid), 'DedicatedWorker') };
}

/** The sum of all numbers called `name` anywhere in a value. */
function total(value: unknown, name: string): number {
  if (typeof value !== 'object' || value === null) return 0;
  return Object.entries(value).reduce(
    (sum, [key, item]: [string, unknown]) =>
      sum + (key === name && typeof item === 'number' ? item : total(item, name)),
    0,
  );
}

function report(title: string, from: Snapshot, to: Snapshot, result: string): void {
  const requests = total(to.info.ioeventfd, 'chains') - total(from.info.ioeventfd, 'chains');
  const { bytes, seconds } = parseTerse(result);
  const per = (value: number): string => (value / requests).toFixed(3);
  const diff = (part: (snapshot: Snapshot) => unknown, name: string): string =>
    per(total(part(to), name) - total(part(from), name));
  const stats = (name: string): string => diff(({ counters }) => counters.stats, name);
  const figures = (name: string): string => diff(({ counters }) => counters.figures, name);
  const queue = (name: string): string => diff(({ info }) => info.ioeventfd, name);
  const thread = (name: string): string => diff(({ info }) => info.iothreads, name);
  const [vcpu, io, ...others] = [...to.threads]
    .map(([id, ms]) => ms - (from.threads.get(id) ?? 0))
    .toSorted((a, b) => b - a);
  console.log(
    `${title}: ${(bytes / 1e6 / seconds).toFixed(1)} MB/s, ${requests} requests; of each:\n` +
      `  us of CPU: vCPU ${per((vcpu ?? 0) * 1000)}, I/O ${per((io ?? 0) * 1000)}, other workers ${others.map((ms) => per(ms * 1000)).join(' ')}\n` +
      `  us of wall: interpretMs ${per(1000 * Number(figures('interpretMs')) * requests)} haltedMs ${per(1000 * Number(figures('haltedMs')) * requests)} install ${per(1000 * Number(figures('installMs')) * requests)} request ${per(1000 * Number(figures('requestMs')) * requests)}\n` +
      `  guest instructions ${stats('instructions')}, translated ${stats('regionInstructions')}, calls of regions ${stats('regionEntries')}, interrupts ${stats('interrupts')}, exceptions ${stats('exceptions')}, TLB fills ${stats('tlbFills')}, invalidations ${stats('invalidations')}, decoded ${stats('instructionsDecoded')}\n` +
      `  kicks ${queue('kicks')}, notifies ${queue('notifies')}, synchronous ${queue('synchronousKicks')}, device interrupts ${queue('interrupts')}, suppressed ${queue('suppressed')}\n` +
      `  I/O thread: wake-ups ${thread('wakeups')}, doorbells ${thread('doorbells')}, poll hits ${thread('pollHits')}, slept ${per(1000 * Number(thread('waitedMs')) * requests)} us`,
  );
  console.log(
    `  exits: ${Object.entries<number>(to.counters.figures?.exits ?? {})
      .map(([name, count]) => `${name} ${per(count - (from.counters.figures?.exits[name] ?? 0))}`)
      .join(', ')}`,
  );
  for (const exit of to.info.exits) {
    const before = from.info.exits.find(({ name, start }) => name === exit.name && start === exit.start);
    const count = exit.reads + exit.writes - (before?.reads ?? 0) - (before?.writes ?? 0);
    if (count < requests / 100) continue;
    console.log(
      `  ${exit.name} ${exit.space} ${exit.start.toString(16)}: ${per(count)} accesses, ${per((exit.nanoseconds - (before?.nanoseconds ?? 0)) / 1000)} us`,
    );
  }
  for (const { medium } of to.info.disks) {
    if (medium !== undefined)
      console.log(
        `  driver p50 ${medium.driver.latency.p50} us, request p50 ${medium.queues[0]?.latency.p50} us p99 ${medium.queues[0]?.latency.p99}`,
      );
  }
}

try {
  await dialogue.ready();
  const booted = threadTimes(descendants(process.pid), 'DedicatedWorker');
  const vcpuThread = [...booted].toSorted((a, b) => b[1] - a[1])[0]?.[0];
  await ask('attach /dev/vda');
  await ask('measure seqread 1 /mnt/data 1');
  if (Number(values.warm) > 0) await ask(`measure ${values.kind} ${values.jobs} /mnt/data ${values.warm}`);
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const setting of ['off', 'on'] as const) {
      await runner.execute({ kind: 'setIoeventfd', setting });
      const perf =
        values.perf === undefined || round + 1 < Number(values.rounds)
          ? undefined
          : spawn(
              'perf',
              ['record', '-a', '-e', 'cpu-clock', '-F', '2000', '-g', '-o', `${values.perf}/${setting}.data`],
              { stdio: 'ignore' },
            );
      if (values.priority) setRealTime(true);
      const before = await snapshot();
      const result = await ask(`measure ${values.kind} ${values.jobs} /mnt/data ${values.seconds}`);
      const after = await snapshot();
      if (values.priority) setRealTime(false);
      perf?.kill('SIGINT');
      report(`${values.kind}, ${values.jobs} jobs, ioeventfd=${setting}`, before, after, result);
    }
  }
  console.log(`vCPU thread ${vcpuThread}`);
} finally {
  runner.send(Buffer.from('power_off\n'));
  const timer = setTimeout(() => runner.end(), 20_000);
  await runner.finished.catch(() => undefined);
  clearTimeout(timer);
  await runner.close();
  await rm(image, { force: true });
}
process.exit(0);
