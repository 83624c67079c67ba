/** The guest programs on the host itself: what the others are compared with. */
import { run } from '../guest/process.ts';
import type { Mark } from './program-marks.ts';
import type { Boot, Measurement, Subject } from './subject.ts';

async function measure({ native, marker = '' }: Boot): Promise<Measurement> {
  if (native === undefined) throw new Error('a guest that boots cannot run without a machine');
  const started = performance.now();
  const marks: Mark[] = [];
  for (const { id, scale } of native.programs) {
    const { code, stdout, stderr } = await run(`./${id}`, [String(scale)], { cwd: native.folder });
    if (code !== 0) throw new Error(`${id} ended with ${code}: ${stderr}`);
    // Here the program's own clock is the host's; starting it does not count.
    const [start, end] = stdout.split('\n').filter((line) => line.startsWith(marker));
    if (start === undefined || end === undefined) throw new Error(`${id} wrote no result: ${stdout}`);
    marks.push({ line: start, timeMs: 0 }, { line: end, timeMs: Number(end.split(' ').at(-1)) / 1000 });
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
