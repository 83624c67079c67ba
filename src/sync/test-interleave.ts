/**
 * All interleavings of a few threads, for tests. The real code runs; `Atomics` is replaced so that every access to a
 * shared word is a step. A thread is advanced by one step by running it again from its start with the results
 * of its earlier steps, so it must be a function of these alone: what it keeps it must make anew at each run.
 */

/** One thread. Returns when it is done. */
export type ThreadBody = () => void;

export interface Scenario {
  /** Writes everything as it is before the first step. */
  readonly prepare: () => void;
  readonly threads: readonly ThreadBody[];
  /** After all threads are done, or all that are not wait for ever: a description of what is wrong. */
  readonly check: (blocked: readonly number[]) => string | undefined;
  /** Which words count as steps; accesses to others happen along with the step before. All unless given. */
  readonly isShared?: (index: number, array: ArrayBufferView) => boolean;
}

export interface Exploration {
  /** Ends that were reached. */
  readonly ends: number;
  /** Different states: what the threads have read so far, and the shared words. */
  readonly states: number;
  /** The first that went wrong: the threads in the order of their steps, and what was wrong. */
  readonly problem: string | undefined;
  /** The most notifies that one schedule had. */
  readonly mostNotifies: number;
}

const SUSPEND = Symbol('suspend');
type Words = Int32Array | Uint32Array | Uint16Array;
type Operation = (array: Words, index: number, ...rest: number[]) => unknown;

const PATCHED = ['load', 'store', 'add', 'sub', 'and', 'or', 'exchange', 'compareExchange'] as const;

class Thread {
  readonly body: ThreadBody;
  readonly results: unknown[] = [];
  /** The same as text. */
  key = '';
  isDone = false;
  /** The word that it waits on. */
  waitsOn: number | undefined;

  constructor(body: ThreadBody) {
    this.body = body;
  }

  addResult(result: unknown): void {
    this.results.push(result);
    this.key += `${String(result)},`;
  }
}

/** A word, and what was in it before the first step. */
interface Word {
  readonly array: Words;
  readonly index: number;
  readonly initial: number;
}

interface Snapshot {
  readonly threads: readonly { steps: number; key: string; isDone: boolean; waitsOn: number | undefined }[];
  readonly words: ReadonlyMap<Word, number>;
  readonly notifies: number;
}

class Run {
  readonly scenario: Scenario;
  readonly threads: readonly Thread[];
  notifies = 0;
  /** The words that were accessed, by index and width, in the order of their addresses. */
  #words = new Map<number, Word>();
  #current: Thread | undefined;
  /** Steps replayed in this run of the current thread, and whether its new step is done. */
  #at = 0;
  #isStepDone = false;

  constructor(scenario: Scenario) {
    this.scenario = scenario;
    this.threads = scenario.threads.map((body) => new Thread(body));
  }

  get runnable(): number[] {
    return this.threads.flatMap((thread, n) => (thread.isDone || thread.waitsOn !== undefined ? [] : [n]));
  }

  get blocked(): number[] {
    return this.threads.flatMap((thread, n) => (thread.waitsOn === undefined ? [] : [n]));
  }

  /** One step of thread `n`; the last one also ends it. */
  step(n: number): void {
    const thread = this.threads[n]!;
    this.#current = thread;
    this.#at = 0;
    this.#isStepDone = false;
    try {
      thread.body();
      thread.isDone = true;
    } catch (reason) {
      if (reason !== SUSPEND) throw reason;
    } finally {
      this.#current = undefined;
    }
  }

  /** What all that can still happen depends on. */
  get state(): string {
    let key = String(this.notifies);
    for (const { key: results, isDone, waitsOn } of this.threads)
      key += `|${results}${isDone ? '.' : ''}${waitsOn ?? ''}`;
    // Which words those are follows from what the threads have read.
    for (const { array, index } of this.#words.values()) key += `#${array[index]}`;
    return key;
  }

  save(): Snapshot {
    return {
      threads: this.threads.map(({ results, key, isDone, waitsOn }) => ({
        steps: results.length,
        key,
        isDone,
        waitsOn,
      })),
      words: new Map([...this.#words.values()].map((word) => [word, word.array[word.index]!])),
      notifies: this.notifies,
    };
  }

  restore({ threads, words, notifies }: Snapshot): void {
    threads.forEach((saved, n) => {
      const thread = this.threads[n]!;
      thread.results.length = saved.steps;
      thread.key = saved.key;
      thread.isDone = saved.isDone;
      thread.waitsOn = saved.waitsOn;
    });
    for (const word of this.#words.values()) word.array[word.index] = words.get(word) ?? word.initial;
    this.notifies = notifies;
  }

  touch(array: Words, index: number): void {
    const name = index * 8 + array.BYTES_PER_ELEMENT;
    if (this.#words.has(name)) return;
    this.#words.set(name, { array, index, initial: array[index]! });
    this.#words = new Map([...this.#words].sort(([a], [b]) => a - b));
  }

  access(operation: () => unknown): unknown {
    const thread = this.#current!;
    if (this.#at < thread.results.length) return thread.results[this.#at++];
    if (this.#isStepDone) throw SUSPEND;
    const result = operation();
    thread.addResult(result);
    this.#at++;
    this.#isStepDone = true;
    return result;
  }

  wait(array: Words, index: number, expected: number): unknown {
    const thread = this.#current!;
    if (this.#at < thread.results.length) return thread.results[this.#at++];
    if (this.#isStepDone) throw SUSPEND;
    if (array[index] !== expected) return this.access(() => 'not-equal');
    thread.waitsOn = index;
    throw SUSPEND;
  }

  notify(index: number): unknown {
    return this.access(() => {
      this.notifies++;
      let woken = 0;
      for (const thread of this.threads) {
        if (thread.waitsOn !== index) continue;
        thread.waitsOn = undefined;
        thread.addResult('ok');
        woken++;
      }
      return woken;
    });
  }

  isShared(array: Words, index: number): boolean {
    return this.#current !== undefined && (this.scenario.isShared?.(index, array) ?? true);
  }
}

/** Runs every schedule, each as far as it leads to a state that was not seen before. */
export function explore(scenario: Scenario): Exploration {
  const run = new Run(scenario);
  const seen = new Set<string>();
  let ends = 0;
  let mostNotifies = 0;
  const visit = (order: string): string | undefined => {
    const { runnable } = run;
    if (runnable.length === 0) {
      ends++;
      mostNotifies = Math.max(mostNotifies, run.notifies);
      const problem = scenario.check(run.blocked);
      return problem === undefined ? undefined : `${order}: ${problem}`;
    }
    const before = run.save();
    for (const n of runnable) {
      run.step(n);
      const { state } = run;
      if (!seen.has(state)) {
        seen.add(state);
        const problem = visit(`${order}${n}`);
        if (problem !== undefined) return problem;
      }
      run.restore(before);
    }
    return undefined;
  };
  scenario.prepare();
  const restoreAtomics = patchAtomics(run);
  try {
    const problem = visit('');
    return { ends, states: seen.size, mostNotifies, problem };
  } finally {
    restoreAtomics();
  }
}

function patchAtomics(run: Run): () => void {
  const target = Atomics as unknown as Record<string, unknown>;
  const original: Record<string, unknown> = {};
  for (const name of [...PATCHED, 'wait', 'notify'] as const) original[name] = target[name];
  for (const name of PATCHED) {
    const real = original[name] as Operation;
    target[name] = (array: Words, index: number, ...rest: number[]): unknown => {
      const operation = (): unknown => real.call(Atomics, array, index, ...rest);
      if (!run.isShared(array, index)) return operation();
      run.touch(array, index);
      return run.access(operation);
    };
  }
  target['wait'] = (array: Words, index: number, expected: number): unknown =>
    run.wait(array, index, expected);
  target['notify'] = (_: Words, index: number): unknown => run.notify(index);
  return () => void Object.assign(target, original);
}
