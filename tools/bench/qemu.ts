/** Native QEMU with TCG, one CPU and the fewest devices that its PC can do with. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MarkedLines } from '../../src/machine/marked-lines.ts';
import { run } from '../guest/process.ts';
import { cpuBetween, sampleCpu } from './cpu-time.ts';
import type { Mark } from './program-marks.ts';
import { ThreadClock } from './thread-clock.ts';
import { MEMORY_MIB, TIMEOUT_MS } from './subject.ts';
import type { Boot, Measurement, Subject } from './subject.ts';

const PROGRAM = 'qemu-system-x86_64';
const MACHINE = ['-m', String(MEMORY_MIB), '-nodefaults', '-display', 'none', '-no-reboot'];
const CONNECT_ATTEMPTS = 500;
const QUIT_MS = 5_000;

/** A QEMU that has loaded its files and waits at reset (-S). */
class Qemu {
  readonly process: ChildProcess;
  readonly #folder: string;
  readonly #monitor: Socket;
  readonly #answers: string[] = [];
  #wake: () => void = () => undefined;

  private constructor(child: ChildProcess, folder: string, monitor: Socket) {
    this.process = child;
    this.#folder = folder;
    this.#monitor = monitor;
    let rest = '';
    monitor.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      // The rest are the greeting and events.
      this.#answers.push(...lines.filter((line) => /^\{"(return|error)"/.test(line)));
      this.#wake();
    });
    monitor.on('error', () => this.#wake());
  }

  static async start(boot: Boot, accelerator: readonly string[]): Promise<Qemu> {
    const folder = mkdtempSync(join(tmpdir(), 'virtab-qemu-'));
    const path = join(folder, 'qmp');
    const args = [...accelerator, ...MACHINE, '-S']
      .concat('-serial', 'stdio', '-qmp', `unix:${path},server=on,wait=off`)
      .concat('-kernel', boot.kernel, '-initrd', boot.initrd, '-append', boot.commandLine)
      .map((argument) => argument.replace('FOLDER', folder));
    const child = spawn(PROGRAM, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let reason = 'its monitor does not answer';
    child.on('error', (error) => (reason = error.message));
    for (
      let attempt = 0;
      attempt < CONNECT_ATTEMPTS && child.pid !== undefined && child.exitCode === null;
      attempt++
    ) {
      const socket = createConnection(path);
      try {
        await once(socket, 'connect');
        const qemu = new Qemu(child, folder, socket);
        await qemu.command('qmp_capabilities');
        return qemu;
      } catch {
        socket.destroy();
        await sleep(10);
      }
    }
    child.kill();
    rmSync(folder, { recursive: true, force: true });
    throw new Error(`${PROGRAM} did not start: ${reason}`);
  }

  async command(name: string): Promise<string> {
    this.#monitor.write(`{"execute":"${name}"}\n`);
    while (this.#answers.length === 0) {
      if (this.process.exitCode !== null || this.#monitor.destroyed) throw new Error(`QEMU ended at ${name}`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.#answers.shift() ?? '';
  }

  /** Starts the guest; resolves when its serial output contains the boot's last text. */
  async runUntil({ until: text, timeoutMs, marker }: Boot, onLine: (line: string) => void): Promise<void> {
    let seen = '';
    const lines = new MarkedLines(marker ?? text, onLine);
    const found = new Promise<void>((resolve, reject) => {
      this.process.stdout?.on('data', (data: Buffer) => {
        const more = data.toString('latin1');
        lines.push(data);
        seen = (seen + more).slice(-text.length - more.length);
        if (seen.includes(text)) resolve();
      });
      this.process.on('exit', () => reject(new Error('QEMU ended before the guest reached its prompt')));
    });
    const timer = setTimeout(() => this.process.kill(), timeoutMs ?? TIMEOUT_MS);
    try {
      await this.command('cont');
      await found;
    } finally {
      clearTimeout(timer);
    }
  }

  async end(): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      const exited = once(this.process, 'exit');
      // By its monitor: a signal makes it write to our terminal.
      this.#monitor.write('{"execute":"quit"}\n');
      const timer = setTimeout(() => this.process.kill('SIGKILL'), QUIT_MS);
      await exited;
      clearTimeout(timer);
    }
    this.#monitor.destroy();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function measure(boot: Boot): Promise<Measurement> {
  const started = performance.now();
  const qemu = await Qemu.start(boot, ['-accel', 'tcg']);
  try {
    const pid = qemu.process.pid!;
    const before = sampleCpu(pid, true);
    const reset = performance.now();
    const threads = new ThreadClock(pid);
    const marks: Mark[] = [];
    await qemu.runUntil(boot, (line) => {
      marks.push({ line, timeMs: performance.now() });
      threads.note(line);
    });
    const timeMs = performance.now() - reset;
    const cpu = cpuBetween(before, sampleCpu(pid, true));
    return {
      timeMs,
      startMs: reset - started,
      ...(cpu === undefined ? {} : { cpu }),
      details: {},
      marks: threads.withTimes(marks),
    };
  } finally {
    await qemu.end();
  }
}

/**
 * Guest instructions from reset to the prompt, firmware included. Its own run: QEMU counts only with icount, which is slower, and
 * tells the count only while it records (query-replay). The guest's clock then runs at one instruction per ns.
 */
export async function countWithQemu(boot: Boot): Promise<number> {
  const qemu = await Qemu.start(boot, ['-accel', 'tcg', '-icount', 'shift=0,rr=record,rrfile=FOLDER/replay']);
  try {
    await qemu.runUntil(boot, () => undefined);
    const answer = await qemu.command('query-replay');
    const count = /"icount": (\d+)/.exec(answer)?.[1];
    if (count === undefined) throw new Error(`QEMU does not tell the count: ${answer}`);
    return Number(count);
  } finally {
    await qemu.end();
  }
}

export const qemuTcg: Subject = {
  id: 'qemu',
  name: 'QEMU TCG',
  bits: [32, 64],
  describe: async () => {
    const version = (await run(PROGRAM, ['--version'])).stdout.split('\n', 1)[0] ?? '';
    return `${version}: -accel tcg ${MACHINE.join(' ')}`;
  },
  measure,
};
