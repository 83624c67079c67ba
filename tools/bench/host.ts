/** What the measurements were made on. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpus, loadavg, totalmem, version } from 'node:os';
import { launchChromium } from '../runner/chromium.ts';
import { run } from '../guest/process.ts';
import { root } from '../runner/stale.ts';
import { sampleCpu } from './cpu-time.ts';

export interface Host {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly system: string;
  readonly node: string;
  readonly chromium: string;
  /** Of our own sources, with "+" if files differ from it. */
  readonly commit: string;
}

export async function describeHost(): Promise<Host> {
  const browser = await launchChromium();
  const chromium = browser.version();
  await browser.close();
  const head = (await run('git', ['-C', root, 'rev-parse', '--short', 'HEAD'])).stdout.trim();
  const changes = (await run('git', ['-C', root, 'status', '--porcelain', '--untracked-files=no'])).stdout;
  return {
    cpu: /^model name\s*: (.*)$/m.exec(cpuInfo())?.[1] ?? cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    system: version(),
    node: process.version,
    chromium,
    commit: `${head}${changes === '' ? '' : '+'}`,
  };
}

function cpuInfo(): string {
  try {
    return readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    return '';
  }
}

/** Above this, figures of wall time say more about the host than about what is measured. */
const BUSY_LOAD = 1.5;

/** Processes that wanted a core during the last minute. */
export function load(): number {
  return loadavg()[0] ?? 0;
}

export function loadWarning(): string | undefined {
  const now = load();
  return now <= BUSY_LOAD
    ? undefined
    : `The load average is ${now.toFixed(1)}: something else runs on this machine. Times of the clock are too long and ` +
        `vary; CPU times are better, but not free of it (caches, clock rate, shared cores). Repeat this on an idle machine.`;
}

/** Cores in use by others that a measurement can bear. */
const QUIET_CORES = 0.15;
const QUIET_WINDOW_MS = 2_000;

/** Waits until nothing else has used the machine for a moment, or until the time is over. */
export async function waitForQuiet(seconds: number): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    const from = sampleCpu(process.pid, true);
    await sleep(QUIET_WINDOW_MS);
    const to = sampleCpu(process.pid, true);
    if (from === undefined || to === undefined) return;
    const use = (to.machineMs - from.machineMs - (to.treeMs - from.treeMs)) / (to.time - from.time);
    if (use < QUIET_CORES) return;
  }
}
