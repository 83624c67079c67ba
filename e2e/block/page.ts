/** Passes calls of the test on to the disk's worker: `await disk('probe')`. */
import type { Answer, Call } from './messages.ts';

const worker = new Worker(new URL('./disk.worker.ts', import.meta.url), { type: 'module' });
const waiting = new Map<number, (answer: Answer) => void>();
let next = 0;

worker.addEventListener('message', ({ data }: MessageEvent<Answer>) => {
  waiting.get(data.id)?.(data);
  waiting.delete(data.id);
});

async function disk(command: Call['command'], ...args: unknown[]): Promise<unknown> {
  const id = next++;
  const answer = await new Promise<Answer>((resolve) => {
    waiting.set(id, resolve);
    worker.postMessage({ id, command, args } satisfies Call);
  });
  if (answer.error !== undefined) throw new Error(answer.error);
  return answer.value;
}

Object.assign(globalThis, { disk });
