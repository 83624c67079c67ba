/** perf(1) over the whole machine. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const RECORD = ['record', '-a', '-e', 'cpu-clock', '-F', '2000', '-g', '-o'];

/** Makes the folder, and says why perf cannot record to it. */
export function perfProblem(folder: string): string | undefined {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'tried.data');
  const tried = spawnSync('perf', [...RECORD, file, '--', 'true'], { encoding: 'utf8' });
  rmSync(file, { force: true });
  if (tried.status === 0) return undefined;
  return `perf cannot record here: ${tried.error?.message ?? tried.stderr.trim()}`;
}

/** Records to this file until the result is called. */
export async function startPerf(file: string): Promise<() => Promise<void>> {
  const perf = spawn('perf', [...RECORD, file], { stdio: 'ignore' });
  await once(perf, 'spawn');
  const exited = once(perf, 'exit');
  return async () => {
    perf.kill('SIGINT');
    await exited;
  };
}
