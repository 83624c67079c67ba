/** CPU time of the one thread that runs the guest, at marked lines of its output. */
import { descendants, threadTimes } from './cpu-time.ts';
import type { Mark } from './program-marks.ts';

interface Note {
  readonly line: string;
  readonly times: ReadonlyMap<number, number>;
}

export class ThreadClock {
  readonly #root: number;
  readonly #name: string | undefined;
  readonly #notes: Note[] = [];
  #processes: readonly number[] | undefined;

  /** Of the threads of this name, or of all, below and in process `root`, the one that used the most time is meant. */
  constructor(root: number, name?: string) {
    this.#root = root;
    this.#name = name;
  }

  note(line: string): void {
    // A subject starts no further process once its guest runs.
    this.#processes ??= [...(this.#root === process.pid ? [] : [this.#root]), ...descendants(this.#root)];
    this.#notes.push({ line, times: threadTimes(this.#processes, this.#name) });
  }

  /** The marks with the thread's time, from the first one on. */
  withTimes(marks: readonly Mark[]): readonly Mark[] {
    const last = this.#notes.at(-1)?.times ?? new Map<number, number>();
    const thread = [...last].toSorted((a, b) => b[1] - a[1])[0]?.[0];
    if (thread === undefined) return marks;
    return marks.map((mark) => {
      const threadMs = this.#notes.find(({ line }) => line === mark.line)?.times.get(thread);
      return threadMs === undefined ? mark : { ...mark, threadMs };
    });
  }
}
