/** Virtab, as `npm run vm` runs it: in a headless Chromium of its own. */
import type { JitMode } from '../../src/config/vm-config.ts';
import { DEFAULT_CONFIG } from '../../src/config/vm-config.ts';
import type { MachineStatus } from '../../src/control/status.ts';
import { MarkedLines } from '../../src/machine/marked-lines.ts';
import { OutputWatch } from '../../src/machine/output-watch.ts';
import { runInChromium } from '../runner/run-in-chromium.ts';
import { cpuBetween, ENDED, sampleCpu } from './cpu-time.ts';
import type { CpuSample, CpuUse } from './cpu-time.ts';
import { ThreadClock } from './thread-clock.ts';
import { MEMORY_MIB, TIMEOUT_MS } from './subject.ts';
import type { Boot, Measurement, Subject } from './subject.ts';

/**
 * What a worker's thread is called in /proc: the vCPU is the page's only worker that does anything here. By the time that
 * the prompt is seen outside the browser, it may have ended; no other thread of weight does.
 */
const VCPU_THREAD = 'DedicatedWorker';
const VCPU_THREADS = [VCPU_THREAD, ENDED];

async function measure(boot: Boot, jit: JitMode): Promise<Measurement> {
  const started = performance.now();
  const watch = new OutputWatch(boot.until);
  const threads = new ThreadClock(process.pid, VCPU_THREAD);
  const marks = new MarkedLines(boot.marker ?? boot.until, (line) => threads.note(line));
  let end: CpuSample | undefined;
  const runner = await runInChromium({
    config: {
      ...DEFAULT_CONFIG,
      memoryBytes: MEMORY_MIB * 2 ** 20,
      commandLine: boot.commandLine,
      noReboot: true,
      jit,
    },
    kernel: boot.kernel,
    initrd: boot.initrd,
    until: boot.until,
    ...(boot.marker === undefined ? {} : { marker: boot.marker }),
    onOutput: (bytes) => {
      marks.push(bytes);
      if (watch.push(bytes)) end = sampleCpu(process.pid, false);
    },
  });
  // Loading the guest's files lies between this and reset; the page's own start does not count.
  const ready = sampleCpu(process.pid, false);
  const timer = setTimeout(() => runner.end(), boot.timeoutMs ?? TIMEOUT_MS);
  try {
    const { status, stats, figures, ...times } = await runner.finished;
    const cpu = cpuBetween(ready, end);
    const timeMs = times.resetToUntilMs;
    if (timeMs === undefined || stats === undefined || figures === undefined) {
      throw new Error(`the guest did not reach its prompt (${problemOf(status) ?? times.ended})`);
    }
    const { instructions } = stats;
    const vcpuMs = threadMs(cpu, VCPU_THREADS);
    return {
      timeMs,
      startMs: performance.now() - started - timeMs,
      ...(cpu === undefined ? {} : { cpu }),
      instructions,
      marks: threads.withTimes(times.marks),
      details: {
        ...(vcpuMs === 0 ? {} : { vcpuThreadMs: vcpuMs }),
        interpretMs: figures.interpretMs,
        decodeMs: figures.decodeMs,
        haltedMs: figures.haltedMs,
        firstOutputMs: times.resetToFirstOutputMs ?? Number.NaN,
        blocksDecoded: stats.blocksDecoded,
        instructionsDecoded: stats.instructionsDecoded,
        tlbFills: stats.tlbFills,
        interrupts: stats.interrupts,
        ...(jit === 'off' ? {} : prefixed('jit', figures.jit)),
      },
    };
  } finally {
    clearTimeout(timer);
    await runner.close();
  }
}

function threadMs(cpu: CpuUse | undefined, names: readonly string[]): number {
  return names.reduce((sum, name) => sum + (cpu?.threadsMs[name] ?? 0), 0);
}

function problemOf(status: MachineStatus): string | undefined {
  return 'problem' in status ? status.problem?.message : undefined;
}

/** regions -> jitRegions */
function prefixed(prefix: string, figures: object): Record<string, number> {
  return Object.fromEntries(
    Object.entries(figures).map(([name, value]) => [
      `${prefix}${name.charAt(0).toUpperCase()}${name.slice(1)}`,
      Number(value),
    ]),
  );
}

export function virtab(jit: JitMode): Subject {
  return {
    id: jit === 'on' ? 'virtab-jit' : 'virtab',
    name: jit === 'on' ? 'Virtab, JIT' : 'Virtab, interpreter',
    bits: [32, 64],
    describe: () => Promise.resolve(`-m ${MEMORY_MIB} -jit ${jit}, in Chromium`),
    measure: (boot) => measure(boot, jit),
  };
}
