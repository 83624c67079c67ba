/** What the test asks the disk's worker in the page, and what that answers. */
import type { BlockStatus } from '../../src/block/block-backend.ts';
import type { StorageFacts } from '../../src/block/storage-facts.ts';

export type TargetName = 'opfs' | 'threads' | 'memory' | 'file';

export interface CaseResult {
  readonly name: string;
  /** Empty if it passed. */
  readonly problem: string;
}

export interface DiskAnswer {
  /** Empty if it is open. */
  readonly problem: string;
  readonly driver: string;
  readonly reason: string;
  readonly warning: string;
}

export interface WriteAnswer {
  readonly statuses: readonly BlockStatus[];
  /** The message of the pause that the disk is in. */
  readonly paused: string;
}

export interface SpeedAnswer {
  readonly name: string;
  readonly perSecond: number;
  readonly latency: string;
}

/** One function per command; the page calls them by name. */
export interface DiskCommands {
  probe(): Promise<StorageFacts>;
  contract(target: TargetName): Promise<readonly CaseResult[]>;
  open(name: string, aio: string, createBytes: number, cores: number): Promise<DiskAnswer>;
  /** The same over a file that starts empty and grows with the writes. */
  openSparse(name: string, aio: string, sizeBytes: number): Promise<void>;
  /** Writes `count` blocks of `bytes`, all at once, and waits until they are done or the disk pauses. */
  write(count: number, bytes: number, seed: number): Promise<WriteAnswer>;
  resume(): Promise<WriteAnswer>;
  /** True if what `write` wrote is there. */
  verify(count: number, bytes: number, seed: number): Promise<boolean>;
  close(): Promise<BlockStatus>;
  speed(aio: string): Promise<readonly SpeedAnswer[]>;
}

export interface Call {
  readonly id: number;
  readonly command: keyof DiskCommands;
  readonly args: readonly unknown[];
}

export interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** To a helper: serve this file. */
export interface HelperStart {
  readonly port: SharedArrayBuffer;
  readonly memory: SharedArrayBuffer;
  readonly wake: SharedArrayBuffer;
  readonly name: string;
  readonly mode: 'readwrite' | 'readwrite-unsafe' | 'read-only';
  readonly readOnly: boolean;
}
