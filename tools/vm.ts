/**
 * `npm run vm -- [options]`: runs a machine as `qemu-system-x86_64` would, in a headless Chromium (or, with --node, in
 * this process). The guest's COM1 is stdin and stdout.
 *
 * Exit codes: isa-debug-exit gives (value << 1) | 1; power-off and --until 0; --timeout 124; a wrong option 2; a guest
 * that cannot be started, a triple fault that ends the machine, and our own failures 1. SIGINT, SIGTERM, SIGHUP and the end
 * of the parent process end the run with 130, a reader of stdout that has gone with 141 (as SIGPIPE would).
 */
import { writeFileSync } from 'node:fs';
import type { SessionResult } from '../src/machine/session.ts';
import { describeInfo, INFO_TOPICS } from '../src/control/describe.ts';
import type { InfoTopic } from '../src/control/describe.ts';
import { helpText, parseQemuOptions } from '../src/config/qemu-options.ts';
import { describeHostDrivers, findHostDisks } from './runner/host-disks.ts';
import { findGuestFiles } from './runner/guest-files.ts';
import { whenOrphaned } from './runner/orphan.ts';
import type { Runner, RunnerOptions } from './runner/runner.ts';
import { connectTerminal, writeOut } from './runner/terminal.ts';
import { ensureWasm } from './runner/wasm.ts';

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;
const EXIT_TIMEOUT = 124;
const EXIT_SIGNAL = 130;
const EXIT_PIPE = 141;
/**
 * After the end was asked for, this long until the process gives up on a machine that does not answer. Images on their way back to
 * their files take as long as they take: an image of which only a part is written is lost.
 */
const GRACE_MS = 10_000;

/** `pipe`: nobody reads stdout any more. */
type Told = 'timeout' | 'quit' | 'signal' | 'pipe';

function fail(code: number, message: string): never {
  process.stderr.write(`vm: ${message}\n`);
  process.exit(code);
}

function isInfoTopic(topic: string): topic is InfoTopic {
  return INFO_TOPICS.some((known) => known === topic);
}

function endMessage(result: SessionResult): { readonly code: number; readonly message?: string } {
  const { status } = result;
  switch (status.state) {
    case 'off': {
      const { problem } = status;
      if (problem === undefined) return { code: EXIT_FAILURE, message: 'The machine did not start.' };
      const report = problem.report === undefined ? '' : `\n\n${problem.report}`;
      return { code: EXIT_FAILURE, message: `${problem.message}\n    ${problem.advice}${report}` };
    }
    case 'crashed':
      return { code: EXIT_FAILURE, message: `${status.problem.message}\n\n${status.report}` };
    case 'shutdown':
      break;
    default:
      return { code: 0 };
  }
  const { reason } = status;
  switch (reason.kind) {
    case 'power-off':
    case 'unplugged':
    // As QEMU with -no-reboot: a guest that resets itself ends the machine in good order.
    case 'reset-refused':
      return { code: 0 };
    case 'debug-exit':
      return { code: reason.status & 0xff };
    case 'triple-fault':
      return {
        code: EXIT_FAILURE,
        message: `The guest caused a triple fault at rip 0x${reason.rip} (-no-reboot ends the machine then).\n\n${status.report ?? ''}`,
      };
  }
}

function writeStats(file: string, result: SessionResult, runner: Runner): void {
  const { stats, figures } = result;
  const record = {
    ended: result.ended,
    status: result.status.state === 'shutdown' ? result.status.reason.kind : result.status.state,
    instructions: stats?.instructions ?? 0,
    exits: figures?.exits ?? {},
    decodeMs: figures?.decodeMs,
    interpretMs: figures?.interpretMs,
    haltedMs: figures?.haltedMs,
    jit: figures?.jit,
    verify: figures?.verify,
    resetToFirstOutputMs: result.resetToFirstOutputMs,
    resetToUntilMs: result.resetToUntilMs,
    runMs: result.runMs,
    /** Not part of the machine: browser and page, then loading until reset. */
    pageStartMs: runner.pageStartMs,
    startToResetMs: result.startToResetMs,
    counters: stats,
    info: result.info,
  };
  writeFileSync(file, `${JSON.stringify(record, undefined, 2)}\n`);
}

function exitCodeOf(told: Told): number {
  switch (told) {
    case 'timeout':
      return EXIT_TIMEOUT;
    case 'signal':
      return EXIT_SIGNAL;
    case 'pipe':
      return EXIT_PIPE;
    case 'quit':
      return 0;
  }
}

async function startRunner(inNode: boolean, options: RunnerOptions): Promise<Runner> {
  // Either side is loaded only when it is used: Playwright and Vite take their time.
  if (inNode) {
    await ensureWasm(false);
    return await (await import('./runner/run-in-node.ts')).runInNode(options);
  }
  return await (await import('./runner/run-in-chromium.ts')).runInChromium(options);
}

async function main(): Promise<number> {
  const parsed = parseQemuOptions(process.argv.slice(2));
  if (!parsed.ok) fail(EXIT_USAGE, `${parsed.error.message}\n    ${parsed.error.advice}`);
  const { config, run } = parsed.value;
  if (run.help) {
    process.stdout.write(helpText());
    return 0;
  }
  if (config.drives.some(({ aio }) => aio === '?')) {
    process.stdout.write(`${describeHostDrivers()}\n`);
    return 0;
  }
  const unknown = run.info.find((topic) => !isInfoTopic(topic));
  if (unknown !== undefined) fail(EXIT_USAGE, `--info ${unknown}: the topics are ${INFO_TOPICS.join(', ')}.`);
  const disks = findHostDisks(config);
  if (!disks.ok) fail(EXIT_USAGE, disks.error);
  const files = await findGuestFiles(config);
  if (!files.ok) fail(EXIT_USAGE, files.error);
  const { kernel, initrd, modules, commandLine } = files.value;

  const control: { runner?: Runner; told?: Told; grace?: NodeJS.Timeout } = {};
  const tell = (why: Told): void => {
    if (control.told !== undefined) return;
    control.told = why;
    // While the browser starts there is no machine to stop; it ends with this process.
    if (control.runner === undefined) process.exit(exitCodeOf(why));
    control.runner.end();
    const giveUp = (): never => fail(EXIT_FAILURE, 'the machine did not stop when it was told to.');
    control.grace = setTimeout(giveUp, GRACE_MS).unref();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => tell('signal'));
  whenOrphaned(() => tell('signal'));

  const runner = await startRunner(run.node, {
    config: { ...config, commandLine },
    kernel,
    disks: disks.value,
    ...(initrd === undefined ? {} : { initrd }),
    ...(modules === undefined ? {} : { modules }),
    ...(run.until === undefined ? {} : { until: run.until }),
    profile: run.info.includes('jit'),
    onWarning: (message) => process.stderr.write(`vm: ${message}\n`),
    onSaving: () => control.grace?.refresh(),
    onOutput: (bytes) => {
      if (!writeOut(bytes)) tell('pipe');
    },
  });
  control.runner = runner;
  const disconnect = connectTerminal({ send: (bytes) => runner.send(bytes), quit: () => tell('quit') });
  if (run.timeoutSeconds !== undefined) setTimeout(() => tell('timeout'), run.timeoutSeconds * 1000).unref();

  let result: SessionResult;
  try {
    result = await runner.finished;
  } finally {
    disconnect();
    await runner.close();
  }
  const { info } = result;
  if (info !== undefined) {
    for (const topic of run.info.filter(isInfoTopic))
      process.stderr.write(`\ninfo ${topic}\n${describeInfo(info, topic)}\n`);
  }
  if (run.statsFile !== undefined) writeStats(run.statsFile, result, runner);

  if (result.ended === 'told') {
    const { told } = control;
    if (told === 'timeout') {
      const registers = result.registers === undefined ? '' : `\n${result.registers}\n`;
      process.stderr.write(`\nvm: the time of ${run.timeoutSeconds} s (--timeout) is over.${registers}\n`);
    }
    return exitCodeOf(told ?? 'quit');
  }
  if (result.ended === 'until') return 0;
  const end = endMessage(result);
  if (end.message !== undefined) process.stderr.write(`\nvm: ${end.message}\n`);
  return end.code;
}

try {
  process.exit(await main());
} catch (error) {
  fail(EXIT_FAILURE, error instanceof Error ? (error.stack ?? error.message) : String(error));
}
