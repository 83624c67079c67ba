/** The page of the command-line runner: a machine, and a bridge to the process that opened the page. */
import type { Result } from './base/result.ts';
import type { VmConfig } from './config/vm-config.ts';
import type { Command } from './control/commands.ts';
import type { MachineInfo } from './control/info.ts';
import type { MachineStats } from './control/stats.ts';
import type { VcpuFigures } from './control/figures.ts';
import { browserHost } from './machine/browser-host.ts';
import { fileFromUrl } from './machine/boot-file.ts';
import { openDiskStore } from './machine/disk-store.ts';
import { Session } from './machine/session.ts';
import type { SessionResult } from './machine/session.ts';

export interface RunnerRequest {
  readonly config: VmConfig;
  readonly kernel: RunnerFile;
  readonly initrd?: RunnerFile;
  /** Images that are fetched into storage before the run, and sent back to where they came from after it. */
  readonly disks: readonly (RunnerFile & { readonly readOnly: boolean })[];
  readonly modules?: readonly RunnerFile[];
  readonly until?: string;
  readonly marker?: string;
  readonly profile?: boolean;
}

export interface RunnerFile {
  readonly name: string;
  readonly url: string;
}

export interface RunnerBridge {
  run(request: RunnerRequest): Promise<SessionResult>;
  /** Bytes as the characters U+0000 to U+00FF. */
  send(text: string): void;
  info(): Promise<MachineInfo | undefined>;
  /** Counters of now; times and exits as of the last `info`. */
  counters(): RunnerCounters | undefined;
  execute(command: Command): Promise<Result<void>>;
  end(): void;
}

export interface RunnerCounters {
  readonly stats: MachineStats | undefined;
  readonly figures: VcpuFigures | undefined;
}

declare global {
  interface Window {
    virtabRunner?: RunnerBridge;
    /** Installed by the runner: takes the guest's output, bytes as the characters U+0000 to U+00FF. */
    virtabOutput?: (text: string) => Promise<void>;
  }
}

/** String.fromCharCode takes its characters as arguments, of which there can be only so many. */
const PIECE = 8192;

function toText(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += PIECE)
    text += String.fromCharCode(...bytes.subarray(at, at + PIECE));
  return text;
}

function done(result: Result<undefined>): void {
  if (!result.ok) throw new Error(result.error);
}

let session: Session | undefined;

window.virtabRunner = {
  run: async ({ config, kernel, initrd, modules, disks, until, marker, profile }) => {
    const store = openDiskStore();
    for (const { name, url } of disks) done(await store.importUrl(name, url));
    let delivered: Promise<unknown> = Promise.resolve();
    session = new Session({
      parts: {
        config,
        kernel: fileFromUrl(kernel.name, kernel.url),
        ...(initrd === undefined ? {} : { initrd: fileFromUrl(initrd.name, initrd.url) }),
        ...(modules === undefined ? {} : { modules: modules.map(({ name, url }) => fileFromUrl(name, url)) }),
        host: browserHost,
      },
      ...(until === undefined ? {} : { until }),
      ...(marker === undefined ? {} : { marker }),
      ...(profile === undefined ? {} : { profile }),
      onWarning: (message) => console.warn(message),
      onOutput: (bytes) => {
        delivered = Promise.all([delivered, window.virtabOutput?.(toText(bytes))]);
      },
    });
    const result = await session.run();
    for (const { name, url, readOnly } of disks) if (!readOnly) done(await store.exportTo(name, url));
    store.close();
    await delivered;
    return result;
  },
  send: (text) => session?.send(Uint8Array.from(text, (character) => character.charCodeAt(0))),
  info: () => Promise.resolve(session?.machine.info()),
  counters: () => session && { stats: session.machine.readStats(), figures: session.machine.figures },
  execute: (command) =>
    session?.machine.execute(command) ?? Promise.resolve({ ok: false, error: 'There is no machine.' }),
  end: () => session?.end(),
};
