/** What tools/vm.ts drives, in a browser or in this process. */
import type { Result } from '../../src/base/result.ts';
import type { VmConfig } from '../../src/config/vm-config.ts';
import type { Command } from '../../src/control/commands.ts';
import type { MachineInfo } from '../../src/control/info.ts';
import type { RunnerCounters } from '../../src/runner.ts';
import type { SessionResult } from '../../src/machine/session.ts';

export interface RunnerOptions {
  readonly config: VmConfig;
  /** Paths of local files. */
  readonly kernel: string;
  readonly initrd?: string;
  /** The drives of `config` whose images are files of the host. */
  readonly disks?: readonly HostDisk[];
  /** What the user must know; the machine goes on. */
  readonly onWarning?: (message: string) => void;
  /** Of a multiboot kernel, in place of the initrd. */
  readonly modules?: readonly ModuleFile[];
  readonly until?: string;
  /** Lines of output with this text are noted in the result. */
  readonly marker?: string;
  /** Look where the vCPU's time goes; `info` has it. */
  readonly profile?: boolean;
  readonly onOutput: (bytes: Uint8Array) => void;
  /** The machine has ended, and another piece of an image is in its file again. */
  readonly onSaving?: () => void;
}

/** A drive whose image is a file of the host. */
export interface HostDisk {
  readonly drive: string;
  /** Absolute. */
  readonly path: string;
  readonly readOnly: boolean;
}

export interface ModuleFile {
  readonly path: string;
  /** As the kernel sees it: the file's name as it was given, and what stands behind it. */
  readonly commandLine: string;
}

export interface Runner {
  readonly finished: Promise<SessionResult>;
  /** From the start of the runner to the page being ready, in ms; absent without a browser. */
  readonly pageStartMs?: number;
  send(bytes: Uint8Array): void;
  /** What the machine tells of its devices; undefined where there is no machine yet or any more. */
  info(): Promise<MachineInfo | undefined>;
  /** Counters of now; times and exits as of the last `info`. */
  counters(): Promise<RunnerCounters | undefined>;
  execute(command: Command): Promise<Result<void>>;
  /** Ends the run: `finished` resolves. */
  end(): void;
  close(): Promise<void>;
}
