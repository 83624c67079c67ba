/** perf(1) over the whole machine. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

const RECORD = ['record', '-a', '-e', 'cpu-clock', '-F', '2000', '-g', '-o'];

/** Makes the folder. Throws, with what perf says, where it cannot run. */
export function expectPerf(folder: string): void {
  mkdirSync(folder, { recursive: true });
  const tried = spawnSync('perf', [...RECORD, join(folder, 'tried.data'), '--', 'true'], {
    encoding: 'utf8',
  });
  if (tried.status !== 0)
    throw new Error(`perf cannot record here: ${tried.error?.message ?? tried.stderr.trim()}`);
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
