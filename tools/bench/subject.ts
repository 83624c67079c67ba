/** What is compared (subjects) and on what (workloads): bench.ts runs each of the first on each of the second. */
import type { Result } from '../../src/base/result.ts';
import type { Log } from '../guest/apt.ts';
import type { CpuUse } from './cpu-time.ts';
import type { Mark } from './program-marks.ts';

/** A guest that is booted, and the output that ends the measurement. */
export interface Boot {
  readonly kernel: string;
  readonly initrd: string;
  readonly commandLine: string;
  /** In words, for the report. */
  readonly description: string;
  readonly until: string;
  /** Lines with this text are measured too. */
  readonly marker?: string;
  readonly timeoutMs?: number;
  /** For the subject that boots nothing: the programs that the guest runs, and where they are. */
  readonly native?: { readonly folder: string; readonly programs: readonly NativeProgram[] };
}

export interface NativeProgram {
  readonly id: string;
  readonly scale: number;
}

export interface Workload {
  readonly id: string;
  readonly name: string;
  /** Code that the guest runs: not every subject can. */
  readonly bits: 32 | 64;
  prepare(log: Log): Promise<Result<Boot>>;
}

export interface Measurement {
  /** From reset, with everything loaded, to the output that ends it. */
  readonly timeMs: number;
  /** Before that: process, browser, page, files. */
  readonly startMs: number;
  /** Absent where the host does not tell. */
  readonly cpu?: CpuUse;
  /** Guest instructions, where the subject counts them. */
  readonly instructions?: number;
  /** Figures that only this subject has, in ms unless the name says otherwise. */
  readonly details: Readonly<Record<string, number>>;
  /** The lines with the boot's marker. */
  readonly marks: readonly Mark[];
}

export interface Subject {
  readonly id: string;
  readonly name: string;
  readonly bits: readonly (32 | 64)[];
  /** Versions and options, for the report. */
  describe(): Promise<string>;
  /** Throws with the reason if it cannot. */
  measure(boot: Boot): Promise<Measurement>;
}

/** Longer than the slowest subject takes on a busy machine. */
export const TIMEOUT_MS = 300_000;
export const MEMORY_MIB = 512;
