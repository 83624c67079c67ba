/** The guest programs on the host itself: what the others are compared with. */
import { run } from '../guest/process.ts';
import { sampleCpu } from './cpu-time.ts';
import type { Mark, Others } from './program-marks.ts';
import type { Boot, Measurement, Subject } from './subject.ts';

function lookAtOthers(): Others | undefined {
  const sample = sampleCpu(process.pid, true);
  return sample && { timeMs: sample.time, busyMs: sample.machineMs - sample.treeMs };
}

async function measure({ native, marker = '' }: Boot): Promise<Measurement> {
  if (native === undefined) throw new Error('a guest that boots cannot run without a machine');
  const started = performance.now();
  const marks: Mark[] = [];
  for (const { id, scale } of native.programs) {
    const before = lookAtOthers();
    // bash tells the CPU time of what it waited for, in ms.
    const command = `TIMEFORMAT='cpu %3U %3S'; time ./${id} ${scale}`;
    const { code, stdout, stderr } = await run('bash', ['-c', command], { cwd: native.folder });
    const after = lookAtOthers();
    if (code !== 0) throw new Error(`${id} ended with ${code}: ${stderr}`);
    // Here the program's own clock is the host's; starting it does not count.
    const [start, end] = stdout.split('\n').filter((line) => line.startsWith(marker));
    if (start === undefined || end === undefined) throw new Error(`${id} wrote no result: ${stdout}`);
    const [, user, system] = /^cpu ([\d.]+) ([\d.]+)$/m.exec(stderr) ?? [];
    const threadMs = (Number(user) + Number(system)) * 1000;
    if (Number.isNaN(threadMs)) throw new Error(`bash tells no CPU time: ${stderr}`);
    marks.push(
      { line: start, timeMs: 0, threadMs: 0, ...(before && { others: before }) },
      { line: end, timeMs: Number(end.split(' ').at(-1)) / 1000, threadMs, ...(after && { others: after }) },
    );
  }
  return { timeMs: performance.now() - started, startMs: 0, details: {}, marks };
}

export const native: Subject = {
  id: 'native',
  name: 'native',
  bits: [32, 64],
  describe: () => Promise.resolve('the same files on the host'),
  measure,
};
