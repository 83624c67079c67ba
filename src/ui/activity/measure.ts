/**
 * The same short read of a disk with ioeventfd off and on, by typing at the guest's shell: how fast it is by the guest's own
 * clock, and what it costs in kicks and exits.
 */
import type { VirtualMachine } from '../../api/create-machine.ts';
import { failure, success } from '../../base/result.ts';
import type { Result } from '../../base/result.ts';
import type { Switch } from '../../config/devices.ts';
import type { Sample } from './samples.ts';

/** So that a run takes about a second. */
const BLOCK_BYTES = 4096;
const BLOCKS = 2048;
const ROUNDS = 3;
/** A shell that does not answer for so long is none. */
const ANSWER_MS = 30_000;
/** Linux's own. */
const USUAL_READ_AHEAD_KB = 128;

export interface Figures {
  readonly megabytesPerSecond: number;
  readonly kicks: number;
  readonly exits: number;
  /** In percent of one core, while the guest read. */
  readonly vcpu: number;
  readonly worker: number;
}

export interface Measured {
  readonly off: Figures;
  readonly on: Figures;
  readonly description: string;
}

export interface MeasureOptions {
  readonly machine: VirtualMachine;
  /** Of the disk: what the guest calls it, and what the machine calls its device. */
  readonly guestName: string;
  readonly device: string;
  /** What it is set to afterwards. */
  readonly setting: Switch;
  /** What the counters say now. */
  readonly sample: () => Promise<Sample>;
  readonly progress: (text: string) => void;
}

export async function measure(options: MeasureOptions): Promise<Result<Measured>> {
  const { machine, guestName, device, setting, progress } = options;
  const runs: { readonly off: Figures[]; readonly on: Figures[] } = { off: [], on: [] };
  const readAhead = `/sys/block/${guestName}/queue/read_ahead_kb`;
  try {
    // Each 4 KiB is a request of its own only if the kernel reads nothing ahead.
    await say(machine, `echo 0 > ${readAhead}`);
    for (let round = 1; round <= ROUNDS; round++) {
      for (const way of ['off', 'on'] as const) {
        progress(`Round ${round} of ${ROUNDS}, ioeventfd=${way}`);
        const flipped = await machine.setIoeventfd(way, device);
        if (!flipped.ok) return failure(flipped.error);
        const figures = await readOnce(options);
        if (!figures.ok) return figures;
        runs[way].push(figures.value);
      }
    }
    await say(machine, `echo ${USUAL_READ_AHEAD_KB} > ${readAhead}`);
    return success({
      off: median(runs.off),
      on: median(runs.on),
      description: `${BLOCKS} reads of ${BLOCK_BYTES / 1024} KiB from /dev/${guestName}, one after the other; median of ${ROUNDS} rounds`,
    });
  } catch {
    return failure(
      'The guest’s shell did not answer. The measurement types at the console: log in as root, leave the prompt empty, and try again.',
    );
  } finally {
    await machine.setIoeventfd(setting, device);
  }
}

async function readOnce({ machine, guestName, sample }: MeasureOptions): Promise<Result<Figures>> {
  await say(machine, 'echo 3 > /proc/sys/vm/drop_caches');
  const before = await sample();
  const command = `cat /proc/uptime; dd if=/dev/${guestName} of=/dev/null bs=${BLOCK_BYTES} count=${BLOCKS}; cat /proc/uptime`;
  const seconds = secondsOf(await say(machine, command));
  const after = await sample();
  if (seconds === undefined) {
    return failure(
      `The guest could not read 8 MiB from /dev/${guestName}. Attach a disk of that size or more.`,
    );
  }
  const looks = after.looks - before.looks;
  return success({
    megabytesPerSecond: (BLOCKS * BLOCK_BYTES) / seconds / 1e6,
    kicks: after.kicks - before.kicks,
    exits: after.exits - before.exits,
    vcpu: looks === 0 ? 0 : (100 * (after.busyLooks - before.busyLooks)) / looks,
    worker: Math.min(100, (100 * (after.workerMs - before.workerMs)) / (after.time - before.time)),
  });
}

let marks = 0;

/** Types a command, and returns what it printed. */
async function say(machine: VirtualMachine, command: string): Promise<string> {
  const number = ++marks;
  let output = '';
  const decoder = new TextDecoder();
  const end = machine.on('serialOutput', ({ bytes }) => {
    output += decoder.decode(bytes, { stream: true });
  });
  try {
    const done = machine.serial.waitFor(`virtab-done-${number}-`, AbortSignal.timeout(ANSWER_MS));
    // The quotes keep the echo of what is typed from looking like the answer.
    machine.serial.write(` ${command}; echo virtab-'done'-${number}-\n`);
    await done;
    return output;
  } finally {
    end();
  }
}

/** From /proc/uptime before and after, in seconds with two digits, and what every `dd` says of the records that it wrote. */
export function secondsOf(output: string): number | undefined {
  const [before, after] = [...output.matchAll(/^(\d+\.\d\d) \d+\.\d\d\r?$/gm)].map(([, seconds]) =>
    Number(seconds),
  );
  const isWhole = output.includes(`${BLOCKS}+0 records out`);
  return isWhole && before !== undefined && after !== undefined && after > before
    ? after - before
    : undefined;
}

/** The round whose speed lies in the middle. */
export function median(rounds: readonly Figures[]): Figures {
  return rounds.toSorted((a, b) => a.megabytesPerSecond - b.megabytesPerSecond)[rounds.length >> 1]!;
}
