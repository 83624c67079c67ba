/** `tools/vm.ts` as a child process: what a test starts has ended when the test has. */
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { test as base, expect } from '@playwright/test';
import { root } from '../tools/runner/stale.ts';

/** A runner that was told to end has this long before it is killed. */
const GRACE_MS = 5000;

export interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class RunnerProcess {
  readonly finished: Promise<Run>;
  readonly #child: ChildProcessWithoutNullStreams;
  #stdout = '';
  #stderr = '';
  #hasEnded = false;

  constructor(command: string, args: readonly string[]) {
    const child = spawn(command, args, { cwd: root });
    this.#child = child;
    child.stdout.setEncoding('latin1').on('data', (text: string) => (this.#stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
    // Input for a runner that has ended already.
    child.stdin.on('error', () => undefined);
    this.finished = new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => resolve({ code, stdout: this.#stdout, stderr: this.#stderr }));
    });
    child.on('exit', () => (this.#hasEnded = true));
  }

  async waitForOutput(text: string, timeout = 30_000): Promise<void> {
    await expect
      .poll(() => (this.#hasEnded ? `${this.#stdout}\n[ended] ${this.#stderr}` : this.#stdout), {
        timeout,
        intervals: [50],
      })
      .toContain(text);
  }

  /** What is typed; the guest's shell must be waiting. */
  type(text: string): void {
    this.#child.stdin.write(text);
  }

  endInput(text = ''): void {
    this.#child.stdin.end(text);
  }

  /** As `| head` does when it has seen enough. */
  closeOutput(): void {
    this.#child.stdout.destroy();
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** This process and all that descend from it (proc(5)). */
  processes(): readonly number[] {
    const parents = new Map(
      readdirSync('/proc')
        .filter((name) => /^\d+$/.test(name))
        .map((name) => [Number(name), parentOf(Number(name))]),
    );
    const found = [this.#child.pid ?? 0];
    for (const pid of found) {
      for (const [child, parent] of parents) if (parent === pid) found.push(child);
    }
    return found;
  }

  async end(): Promise<void> {
    if (this.#hasEnded) return;
    this.signal('SIGTERM');
    const timer = setTimeout(() => this.signal('SIGKILL'), GRACE_MS);
    await this.finished.catch(() => undefined);
    clearTimeout(timer);
  }
}

/** Undefined if the process has ended, a zombie's included. */
function parentOf(pid: number): number | undefined {
  try {
    // The name in parentheses may contain anything.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' || state === 'X' ? undefined : Number(parent);
  } catch {
    return undefined;
  }
}

/** Those that are still there. */
export function alive(pids: readonly number[]): readonly number[] {
  return pids.filter((pid) => parentOf(pid) !== undefined);
}

const TOOL = ['--import', 'tsx', 'tools/vm.ts'];

interface Fixtures {
  readonly startVm: (args: readonly string[]) => RunnerProcess;
  /** With a shell between this process and the runner. */
  readonly startVmInShell: (args: readonly string[]) => RunnerProcess;
  /** Runs to the end. */
  readonly vm: (args: readonly string[], input?: string) => Promise<Run>;
  readonly runners: RunnerProcess[];
}

export const test = base.extend<Fixtures>({
  // Playwright reads the names of the fixtures that it needs from the first parameter.
  runners: async ({}, use) => {
    const runners: RunnerProcess[] = [];
    await use(runners);
    await Promise.all(runners.map((runner) => runner.end()));
  },
  startVm: async ({ runners }, use) => {
    await use((args) => {
      const runner = new RunnerProcess(process.execPath, [...TOOL, ...args]);
      runners.push(runner);
      return runner;
    });
  },
  startVmInShell: async ({ runners }, use) => {
    await use((args) => {
      // The second command keeps the shell from becoming the first.
      const runner = new RunnerProcess('sh', ['-c', '"$@"; :', 'sh', process.execPath, ...TOOL, ...args]);
      runners.push(runner);
      return runner;
    });
  },
  vm: async ({ startVm }, use) => {
    await use((args, input = '') => {
      const runner = startVm(args);
      runner.endInput(input);
      return runner.finished;
    });
  },
});

export { expect };
