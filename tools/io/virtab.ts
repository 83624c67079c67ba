/** Virtab in Chromium, with its images in the browser's private file system (OPFS). */
import { statSync } from 'node:fs';
import type { JitMode } from '../../src/config/vm-config.ts';
import { parseQemuOptions } from '../../src/config/qemu-options.ts';
import { runInChromium } from '../runner/run-in-chromium.ts';
import type { Runner } from '../runner/runner.ts';
import { dropCache, imagesInProfiles } from './host-cache.ts';
import type { IoMachine, KickCounts, StartMachine } from './machine.ts';

/** What all workers' threads of a page are called in /proc. */
export const WORKER = 'DedicatedWorker';

const POWER_OFF_MS = 60_000;

export interface VirtabMachine extends IoMachine {
  readonly runner: Runner;
}

/** `device`: further options of each disk, for example `,event_idx=off`. */
export function startVirtab(jit: JitMode, device = ''): StartMachine<VirtabMachine> {
  return async (options) => {
    const parsed = parseQemuOptions([
      '-m',
      `${options.memoryMib}M`,
      '-append',
      options.commandLine,
      '-jit',
      jit,
      '-no-reboot',
      ...options.disks.flatMap((file, index) => [
        '-drive',
        `file=${file},format=raw,if=none,id=d${index}`,
        '-device',
        `virtio-blk-pci,drive=d${index},ioeventfd=on${device}`,
      ]),
    ]);
    if (!parsed.ok) throw new Error(parsed.error.message);
    const runner = await runInChromium({
      config: parsed.value.config,
      kernel: options.kernel,
      initrd: options.initrd,
      disks: options.disks.map((path, index) => ({ drive: `d${index}`, path, readOnly: false })),
      onOutput: (bytes) => options.onOutput(Buffer.from(bytes).toString('latin1')),
      onWarning: (message) => console.error(`virtab: ${message}`),
    });
    const finished = runner.finished.finally(() => options.onOutput(undefined));
    // Looked at in `end`.
    finished.catch(() => undefined);
    return {
      runner,
      vcpuThread: WORKER,
      send: (text) => runner.send(Buffer.from(text, 'latin1')),
      countKicks: () => countKicks(runner),
      setIoeventfd: async (setting) => {
        const done = await runner.execute({ kind: 'setIoeventfd', setting });
        if (!done.ok) throw new Error(`ioeventfd could not be switched: ${done.error}`);
      },
      dropCache: (processes) => {
        for (const { size } of options.disks.map((file) => statSync(file)))
          for (const file of imagesInProfiles(processes, size)) dropCache(file);
      },
      end: async () => {
        const timer = setTimeout(() => runner.end(), POWER_OFF_MS);
        try {
          await finished;
        } finally {
          clearTimeout(timer);
          await runner.close();
        }
      },
      discard: () => runner.close(),
    };
  };
}

async function countKicks(runner: Runner): Promise<KickCounts> {
  const devices = (await runner.info())?.ioeventfd ?? [];
  const queues = devices.flatMap((device) => device.queues);
  const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);
  return {
    kicks: sum(devices.map((device) => device.synchronousKicks)) + sum(queues.map(({ kicks }) => kicks)),
    notifies: sum(queues.map(({ notifies }) => notifies)),
  };
}
