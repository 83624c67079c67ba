/** What tools/vm.ts drives, in a browser or in this process. */
import type { VmConfig } from '../../src/config/vm-config.ts';
import type { SessionResult } from '../../src/machine/session.ts';

export interface RunnerOptions {
  readonly config: VmConfig;
  /** Paths of local files. */
  readonly kernel: string;
  readonly initrd?: string;
  readonly until?: string;
  /** Lines of output with this text are noted in the result. */
  readonly marker?: string;
  readonly onOutput: (bytes: Uint8Array) => void;
}

export interface Runner {
  readonly finished: Promise<SessionResult>;
  /** From the start of the runner to the page being ready, in ms; absent without a browser. */
  readonly pageStartMs?: number;
  send(bytes: Uint8Array): void;
  /** Ends the run: `finished` resolves. */
  end(): void;
  close(): Promise<void>;
}
