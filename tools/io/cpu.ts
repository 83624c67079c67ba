/** CPU time of a machine's processes, with the one thread that runs the guest's CPU apart. */
import { descendants, sampleCpu, threadTimes } from '../bench/cpu-time.ts';

export interface CpuTimes {
  readonly vcpuMs: number;
  readonly hostMs: number;
}

export class MachineCpu {
  readonly #roots: readonly number[];
  readonly #threadName: string | undefined;
  #thread: number | undefined;

  /** Of these processes and all below them; of their threads of that name (or of all) the vCPU is the busiest. */
  constructor(roots: readonly number[], threadName?: string) {
    this.#roots = roots;
    this.#threadName = threadName;
  }

  get processes(): readonly number[] {
    return this.#roots.flatMap((root) => [root, ...descendants(root)]);
  }

  /** Must first be called when the guest has booted and the disks have done nothing yet. */
  sample(): CpuTimes {
    const threads = threadTimes(this.processes, this.#threadName);
    this.#thread ??= [...threads].toSorted((a, b) => b[1] - a[1])[0]?.[0];
    return {
      vcpuMs: threads.get(this.#thread ?? -1) ?? Number.NaN,
      hostMs: this.#roots.reduce((sum, root) => sum + (sampleCpu(root, true)?.treeMs ?? Number.NaN), 0),
    };
  }
}
