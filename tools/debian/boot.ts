/** Boots a Debian kernel under Node to its shell, asks it a few things, and turns it off from inside. */
import type { JitMode } from '../../src/config/vm-config.ts';
import { DEFAULT_CONFIG } from '../../src/config/vm-config.ts';
import type { MachineStatus } from '../../src/control/status.ts';
import { nodeHost } from '../runner/node-host.ts';
import { runInNode } from '../runner/run-in-node.ts';
import type { DebianGuest } from './guests.ts';

/** The shell of our initramfs, and what it prints before each command. */
const PROMPT = 'root@virtab:~# ';
const COMMAND_LINE = 'console=ttyS0 cryptomgr.notests COLUMNS=200 LINES=40';

export interface DebianBoot {
  /** `power-off` is how it should end. */
  readonly ended: string;
  /** Why it did not: what the machine says, under `-jit verify` the whole disagreement. */
  readonly report: readonly string[];
  /** `uname -rm`. */
  readonly release: string;
  /** /proc/sys/kernel/tainted: 0 unless the kernel has warned or oopsed. */
  readonly tainted: string;
  /** Lines of the kernel's log that nobody wants to see. */
  readonly suspicious: readonly string[];
  readonly clocksource: string;
  readonly instructions: number;
  /** Executed twice and compared, under `-jit verify`. */
  readonly verified: number;
  readonly seconds: number;
  readonly log: string;
}

/** What a kernel prints when it does not find the machine that it expects. */
const SUSPICIOUS =
  /WARNING|\bBUG\b|Oops|Call Trace|Unhandled|unchecked MSR|unstable|timed out|stuck|spurious|Spurious|firmware bug|FW bug|hung|panic|segfault|general protection|invalid opcode|nobody cared|lockup|no support for/i;
/** Said about every machine, and by QEMU's too. */
const HARMLESS = /please report a bug|and report a bug|This is not a bug|panic_on|hung_task|"panic"|debug/i;

export function suspiciousLines(log: string): string[] {
  return log
    .split(/\r?\n/)
    .filter((line) => /^\[ *\d+\.\d+\]/.test(line) && SUSPICIOUS.test(line) && !HARMLESS.test(line));
}

/** Commands that are typed in this order, each at its prompt. */
const QUESTIONS = [
  'uname -rm',
  'cat /proc/sys/kernel/tainted',
  'cat /sys/devices/system/clocksource/clocksource0/current_clocksource',
] as const;

/** The answer is a line of its own with a mark: the kernel's messages come between the prompt and the echo, too. */
const ANSWER = 'answer: ';

export interface BootOptions {
  readonly jit: JitMode;
  readonly limitMs: number;
  readonly onText?: (text: string) => void;
  /** Another script for the vCPU's thread. */
  readonly vcpu?: string;
}

export async function bootDebian(
  guest: DebianGuest,
  { jit, limitMs, onText, vcpu }: BootOptions,
): Promise<DebianBoot> {
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  const started = performance.now();
  let log = '';
  /** Where the answer to the last question begins. */
  let answerAt = 0;
  const answers: string[] = [];
  let asked = 0;
  const options = {
    config: { ...DEFAULT_CONFIG, noReboot: true, jit, commandLine: COMMAND_LINE },
    kernel: guest.kernel,
    initrd: guest.initrd,
    onOutput: (bytes: Uint8Array) => {
      const text = decoder.decode(bytes, { stream: true });
      log += text;
      onText?.(text);
      const prompt = log.indexOf(PROMPT, answerAt);
      if (prompt < 0 || asked > QUESTIONS.length) return;
      if (asked > 0) answers.push(answerIn(log.slice(answerAt, prompt)));
      answerAt = prompt + PROMPT.length;
      const question = QUESTIONS[asked];
      const command = question === undefined ? 'poweroff' : `echo ${ANSWER}$(${question})`;
      runner.send(encoder.encode(`${command}\r`));
      asked++;
    },
  };
  const runner = await runInNode(options, nodeHost(vcpu));
  const timer = setTimeout(() => runner.end(), limitMs);
  const { ended, status, stats, figures, registers } = await runner.finished;
  clearTimeout(timer);
  await runner.close();
  const isLate = ended === 'told';
  return {
    ended: isLate ? `no end after ${limitMs / 1000} s` : howEnded(status),
    report: isLate ? (registers ?? '').split('\n') : reportOf(status),
    release: answers[0] ?? '',
    tainted: answers[1] ?? '',
    clocksource: answers[2] ?? '',
    suspicious: suspiciousLines(log),
    instructions: stats?.instructions ?? 0,
    verified: figures?.verify?.instructions ?? 0,
    seconds: (performance.now() - started) / 1000,
    log,
  };
}

function howEnded(status: MachineStatus): string {
  if (status.state === 'shutdown') return status.reason.kind;
  return status.state === 'crashed' ? status.problem.kind : status.state;
}

function reportOf(status: MachineStatus): string[] {
  switch (status.state) {
    case 'crashed':
      return [status.problem.message, status.problem.advice, '', ...status.report.split('\n')];
    case 'shutdown':
      return status.report?.split('\n') ?? [];
    default:
      return [];
  }
}

/** Of the text between two prompts. */
export function answerIn(text: string): string {
  return (
    text
      .split(/\r?\n/)
      .find((line) => line.startsWith(ANSWER))
      ?.slice(ANSWER.length) ?? ''
  );
}
