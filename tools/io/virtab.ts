/** Virtab in Chromium, with its images in the browser's private file system (OPFS). */
import { statSync } from 'node:fs';
import type { JitMode } from '../../src/config/vm-config.ts';
import { parseQemuOptions } from '../../src/config/qemu-options.ts';
import { runInChromium } from '../runner/run-in-chromium.ts';
import { MachineCpu } from './cpu.ts';
import { dropCache, imagesInProfiles } from './host-cache.ts';
import type { IoMachine, IoMachineOptions, StartMachine } from './machine.ts';

/** What all workers' threads of a page are called in /proc. */
const WORKER = 'DedicatedWorker';

export function startVirtab(jit: JitMode): StartMachine {
  return async (options: IoMachineOptions): Promise<IoMachine> => {
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
        `virtio-blk-pci,drive=d${index},ioeventfd=on`,
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
    finished.catch(() => undefined);
    const cpu = new MachineCpu(process.pid, false, WORKER);
    return {
      send: (text) => runner.send(Buffer.from(text, 'latin1')),
      sample: async () => {
        const queues = (await runner.info())?.ioeventfd ?? [];
        const sum = (of: (device: (typeof queues)[number]) => number): number =>
          queues.reduce((total, device) => total + of(device), 0);
        return {
          ...cpu.sample(),
          kicks: sum(
            (device) => device.synchronousKicks + device.queues.reduce((all, { kicks }) => all + kicks, 0),
          ),
          notifies: sum((device) => device.queues.reduce((all, { notifies }) => all + notifies, 0)),
        };
      },
      setIoeventfd: async (setting) => {
        const done = await runner.execute({ kind: 'setIoeventfd', setting });
        if (!done.ok) throw new Error(`ioeventfd could not be switched: ${done.error}`);
      },
      dropCache: () => {
        for (const { size } of options.disks.map((file) => statSync(file)))
          for (const file of imagesInProfiles(size)) dropCache(file);
      },
      end: async () => {
        const timer = setTimeout(() => runner.end(), 60_000);
        try {
          await finished;
        } finally {
          clearTimeout(timer);
          await runner.close();
        }
      },
    };
  };
}
