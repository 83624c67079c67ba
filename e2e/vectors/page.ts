/** The page of the vector test: hands the work to a worker, as the machine does. */
import { wrap } from 'comlink';
import type { VectorWorker } from './worker.ts';

export interface VectorWindow extends Window {
  vectors?: VectorWorker;
}

(window as VectorWindow).vectors = wrap<VectorWorker>(
  new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' }),
);
