/** What a machine is doing, as the page, the runner and their users see it. */

/** What is being done before the first guest instruction, in this order. */
export type LoadStep = 'memory' | 'core' | 'kernel' | 'initrd' | 'processor';

export interface LoadProgress {
  readonly step: LoadStep;
  readonly receivedBytes: number;
  /** Absent while the length is not known (compressed transfer, step without bytes). */
  readonly totalBytes?: number;
}

/**
 * Why a machine that ran does not run any more.
 * - `power-off`: the guest entered ACPI S5. `unplugged`: the user turned the machine off.
 * - `reset-refused`: the guest asked for a reset and the configuration says not to (`-no-reboot`).
 * - `debug-exit`: the guest wrote to isa-debug-exit; `status` is QEMU's exit status, (value << 1) | 1.
 * - `triple-fault`: an exception while a double fault was delivered; the CPU entered shutdown.
 */
export type ShutdownReason =
  | { readonly kind: 'power-off' }
  | { readonly kind: 'unplugged' }
  | { readonly kind: 'reset-refused' }
  | { readonly kind: 'debug-exit'; readonly status: number }
  | { readonly kind: 'triple-fault'; readonly rip: string };

/** A failure in a person's words: what happened, and what to do about it. */
export interface Problem {
  /** Stable name, for tests and for the choice of a page state. */
  readonly kind: ProblemKind;
  readonly message: string;
  readonly advice: string;
  /** Details for an issue, where we are to blame. */
  readonly report?: string;
}

export type ProblemKind =
  | 'no-isolation'
  | 'missing-features'
  | 'no-guest'
  | 'bad-address'
  | 'bad-kernel'
  | 'bad-initrd'
  | 'not-found'
  | 'memory-too-small'
  | 'memory-refused'
  | 'core-missing'
  | 'unsupported'
  /** A disk cannot be opened. */
  | 'bad-disk'
  /** A disk has no room, or failed: the machine waits. */
  | 'disk-paused'
  | 'page-failed'
  | 'worker-lost'
  /** `-jit verify` found a disagreement. */
  | 'translation-wrong';

export type MachineStatus =
  /** Never started, or `problem` kept it from starting. */
  | { readonly state: 'off'; readonly problem?: Problem }
  | { readonly state: 'loading'; readonly progress: LoadProgress }
  | { readonly state: 'running' }
  /** `problem`: why it was not the user who paused it; to be mended before `resume`. */
  | { readonly state: 'paused'; readonly problem?: Problem }
  | { readonly state: 'shutdown'; readonly reason: ShutdownReason; readonly report?: string }
  /** A defect of ours, or a worker that the browser took away. */
  | { readonly state: 'crashed'; readonly problem: Problem; readonly report: string };

export type MachineState = MachineStatus['state'];
