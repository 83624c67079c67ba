/** CPU time of a machine's processes, with the one thread that runs the guest's CPU apart. */
import { descendants, sampleCpu, threadTimes } from '../bench/cpu-time.ts';

export interface CpuTimes {
  readonly timeMs: number;
  readonly vcpuMs: number;
  readonly hostMs: number;
  readonly otherMs: number;
}

export class MachineCpu {
  readonly #root: number;
  readonly #withRoot: boolean;
  readonly #threadName: string | undefined;
  #thread: number | undefined;

  /** The processes below `root`, and `root` itself if `withRoot`; of their threads of that name the vCPU is the busiest. */
  constructor(root: number, withRoot: boolean, threadName?: string) {
    this.#root = root;
    this.#withRoot = withRoot;
    this.#threadName = threadName;
  }

  /** Must first be called when the guest has booted and the disks have done nothing yet. */
  sample(): CpuTimes {
    const processes = [...(this.#withRoot ? [this.#root] : []), ...descendants(this.#root)];
    const threads = threadTimes(processes, this.#threadName);
    this.#thread ??= [...threads].toSorted((a, b) => b[1] - a[1])[0]?.[0];
    const sample = sampleCpu(this.#root, this.#withRoot);
    const hostMs = sample?.treeMs ?? Number.NaN;
    return {
      timeMs: performance.now(),
      vcpuMs: threads.get(this.#thread ?? -1) ?? Number.NaN,
      hostMs,
      otherMs: (sample?.machineMs ?? Number.NaN) - hostMs,
    };
  }
}
