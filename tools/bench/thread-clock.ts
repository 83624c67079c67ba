/** At marked lines of the guest's output: CPU time of the one thread that runs the guest, and how busy others keep the machine. */
import { descendants, hasProc, machineTime, threadTimes } from './cpu-time.ts';
import type { Mark, Others } from './program-marks.ts';

interface Note {
  readonly line: string;
  readonly times: ReadonlyMap<number, number>;
  readonly others: Others;
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
    if (!hasProc) return;
    // A subject starts no further process once its guest runs.
    this.#processes ??= [...(this.#root === process.pid ? [] : [this.#root]), ...descendants(this.#root)];
    const own = threadTimes([...this.#processes, process.pid], undefined);
    const timeMs = performance.now();
    const ownMs = [...own.values()].reduce((sum, ms) => sum + ms, 0);
    this.#notes.push({
      line,
      times: threadTimes(this.#processes, this.#name),
      others: { timeMs, busyMs: machineTime().machineMs - ownMs },
    });
  }

  /** The marks with what was noted at them, from the first one on. */
  withTimes(marks: readonly Mark[]): readonly Mark[] {
    // At the last line it may have ended already.
    const all = this.#notes.flatMap(({ times }) => [...times]);
    const thread = all.toSorted((a, b) => b[1] - a[1])[0]?.[0];
    return marks.map((mark) => {
      const note = this.#notes.find(({ line }) => line === mark.line);
      if (note === undefined) return mark;
      const threadMs = thread === undefined ? undefined : note.times.get(thread);
      return { ...mark, others: note.others, ...(threadMs === undefined ? {} : { threadMs }) };
    });
  }
}
