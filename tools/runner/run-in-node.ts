/** Runs a session in this process, without a browser. */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import type { BootFile } from '../../src/machine/boot-file.ts';
import { Session } from '../../src/machine/session.ts';
import { renameFiles } from './host-disks.ts';
import { nodeHost } from './node-host.ts';
import type { Runner, RunnerOptions } from './runner.ts';

function fileFromDisk(path: string, name = basename(path)): BootFile {
  return {
    name,
    read: async (progress) => {
      const bytes = await readFile(path);
      progress(bytes.length, bytes.length);
      return { ok: true, value: Uint8Array.from(bytes) };
    },
  };
}

export function runInNode(options: RunnerOptions, host = nodeHost()): Promise<Runner> {
  const session = new Session({
    parts: {
      config: renameFiles(options.config, options.disks ?? [], ({ path }) => path),
      kernel: fileFromDisk(options.kernel),
      ...(options.initrd === undefined ? {} : { initrd: fileFromDisk(options.initrd) }),
      ...(options.modules === undefined
        ? {}
        : { modules: options.modules.map(({ path, commandLine }) => fileFromDisk(path, commandLine)) }),
      host,
    },
    ...(options.until === undefined ? {} : { until: options.until }),
    ...(options.marker === undefined ? {} : { marker: options.marker }),
    ...(options.profile === undefined ? {} : { profile: options.profile }),
    onOutput: options.onOutput,
    ...(options.onWarning === undefined ? {} : { onWarning: options.onWarning }),
  });
  return Promise.resolve({
    finished: session.run(),
    send: (bytes) => session.send(bytes),
    info: () => session.machine.info(),
    counters: () => Promise.resolve({ stats: session.machine.readStats(), figures: session.machine.figures }),
    execute: (command) => session.machine.execute(command),
    end: () => session.end(),
    close: () => Promise.resolve(),
  });
}
