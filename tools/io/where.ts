/**
 * Where the time of a disk request goes: one boot, one kind of request, and what each of them cost the guest, the vCPU's thread, and the
 * machine.
 *
 *     npx tsx tools/io/where.ts [--kind randread] [--jobs 16] [--seconds 4] [--warm 10] [--rounds 2] [--jit on|off] [--architecture amd64|i386]
 *                               [--device OPTIONS] [--real-time] [--perf FOLDER]
 *
 * With `--perf` the last round runs under perf(1), which must be told what Chromium's code is: VIRTAB_CHROMIUM names a script that
 * adds `--js-flags=--perf-basic-prof`.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { threadTimes } from '../bench/cpu-time.ts';
import { setRealTime } from '../bench/priority.ts';
import { ensureSite } from '../runner/site.ts';
import { ensureWasm } from '../runner/wasm.ts';
import { bootBenchGuest } from './bench-guest.ts';
import type { BenchGuest } from './bench-guest.ts';
import { prepareIoGuest } from './guest.ts';
import { perfProblem, startPerf } from './perf.ts';
import { requestCosts } from './request-costs.ts';
import type { Snapshot } from './request-costs.ts';
import { startVirtab, WORKER } from './virtab.ts';
import type { VirtabMachine } from './virtab.ts';

const { values } = parseArgs({
  options: {
    kind: { type: 'string', default: 'randread' },
    jobs: { type: 'string', default: '16' },
    seconds: { type: 'string', default: '4' },
    warm: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '2' },
    jit: { type: 'string', default: 'on' },
    architecture: { type: 'string', default: 'amd64' },
    /** Further options of the disk, with a comma before each. */
    device: { type: 'string', default: '' },
    /** Runs the measured seconds with real-time priority, for a machine that others use too. */
    'real-time': { type: 'boolean', default: false },
    perf: { type: 'string' },
  },
});
const { kind, jobs, seconds, warm, perf } = values;
const rounds = Number(values.rounds);

const problem = perf === undefined ? undefined : perfProblem(perf);
if (problem !== undefined) {
  console.error(problem);
  process.exit(1);
}
await ensureWasm(true);
await ensureSite();
const guest = await prepareIoGuest(values.architecture === 'i386' ? 'i386' : 'amd64', console.error);
if (!guest.ok) throw new Error(guest.error);
const booted = await bootBenchGuest({
  start: startVirtab(values.jit === 'off' ? 'off' : 'on', values.device),
  guest: guest.value,
  disk: '/dev/vda',
  name: 'where',
});
try {
  if (Number(warm) > 0) await booted.ask(`measure ${kind} ${jobs} /mnt/data ${warm}`);
  for (let round = 1; round <= rounds; round++) {
    for (const setting of ['off', 'on'] as const) {
      await booted.machine.setIoeventfd?.(setting);
      const file = perf === undefined || round < rounds ? undefined : join(perf, `${setting}.data`);
      await measureRound(booted, `${kind}, ${jobs} jobs, ioeventfd=${setting}`, file);
    }
  }
} finally {
  await booted.close();
}
process.exit(0);

async function measureRound(
  { machine, cpu, ask }: BenchGuest<VirtabMachine>,
  title: string,
  perfFile: string | undefined,
): Promise<void> {
  const snapshot = async (): Promise<Snapshot> => {
    const info = await machine.runner.info();
    const counters = await machine.runner.counters();
    if (info === undefined || counters === undefined) throw new Error('the machine is gone');
    return { info, counters, threads: threadTimes(cpu.processes, WORKER) };
  };
  const endPerf = perfFile === undefined ? undefined : await startPerf(perfFile);
  if (values['real-time']) setRealTime(true, cpu.processes);
  const before = await snapshot();
  const result = await ask(`measure ${kind} ${jobs} /mnt/data ${seconds}`);
  const after = await snapshot();
  if (values['real-time']) setRealTime(false, cpu.processes);
  await endPerf?.();
  console.log(requestCosts(title, before, after, result));
}
