/** A guest with the disk that is measured, which does nothing but what it is asked for. */
import { rmSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { root } from '../runner/stale.ts';
import { benchDisk, MEMORY_MIB } from './guest.ts';
import type { IoGuest } from './guest.ts';
import type { IoMachine, StartMachine } from './machine.ts';
import { startGuest } from './running-guest.ts';
import type { RunningGuest } from './running-guest.ts';

export interface BenchGuestOptions<Machine extends IoMachine> {
  readonly start: StartMachine<Machine>;
  readonly guest: IoGuest;
  /** `/dev/vda` or `/dev/sda`. */
  readonly disk: string;
  /** Of the image, among those that are there at once. */
  readonly name: string;
}

export interface BenchGuest<Machine extends IoMachine = IoMachine> extends RunningGuest<Machine> {
  close(): Promise<void>;
}

/** After a stop the guest's clock jumps and its timers are due; then it has nothing to do again. */
const SETTLE_MS = 300;

/** Its disk is mounted and its data were read once. A machine that does not rest is stopped (`awake`). */
export async function bootBenchGuest<Machine extends IoMachine>(
  options: BenchGuestOptions<Machine>,
): Promise<BenchGuest<Machine>> {
  const image = join(root, 'build/io', `disk-${process.pid}-${options.name}.img`);
  process.once('exit', () => rmSync(image, { force: true }));
  await copyFile(await benchDisk(), image);
  const running = await startGuest(options.start, {
    ...options.guest,
    memoryMib: MEMORY_MIB,
    disks: [image],
  });
  const close = async (): Promise<void> => {
    signal(running, 'SIGCONT');
    await running.machine.discard();
  };
  try {
    await running.ask(`attach ${options.disk}`);
    await running.ask(`measure seqread 1 /mnt/data 2`);
    if (running.machine.isRestless === true) signal(running, 'SIGSTOP');
    return { ...running, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Lets machines go on that were stopped because they do not rest; they are stopped again after `action`. */
export async function awake<T>(guests: readonly RunningGuest[], action: () => Promise<T>): Promise<T> {
  const restless = guests.filter(({ machine }) => machine.isRestless);
  if (restless.length === 0) return await action();
  for (const guest of restless) signal(guest, 'SIGCONT');
  await sleep(SETTLE_MS);
  try {
    return await action();
  } finally {
    for (const guest of restless) signal(guest, 'SIGSTOP');
  }
}

function signal({ cpu }: RunningGuest, name: 'SIGSTOP' | 'SIGCONT'): void {
  for (const pid of cpu.processes) {
    try {
      process.kill(pid, name);
    } catch {
      // It has ended.
    }
  }
}
