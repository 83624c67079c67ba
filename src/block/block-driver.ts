/**
 * What carries requests out: the one interface of all AIO drivers (what the bytes are stored in) and of the image formats
 * above them (what the bytes mean). The request queue stands above both.
 *
 * The contract, which block-driver-contract.ts tests on each of them:
 * - `submit` and `flush` call `done` exactly once, at once or later, always on the disk's thread, and never throw.
 * - What is read past the end of the medium is zero. What is written there makes it longer, up to what its format allows.
 * - A transfer that is not complete is not `ok`.
 * - Operations may complete in any order. A flush covers all writes that completed before it was submitted.
 * - After `close` nothing touches a segment any more.
 */
import type { Result } from '../base/result.ts';
import type { BlockStatus } from './block-backend.ts';

/** `problem` says what went wrong, in a sentence for people; absent where the status says it all. */
export type DriverDone = (status: BlockStatus, problem?: string) => void;

export type DriverOperationKind = 'read' | 'write' | 'discard' | 'write-zeroes';

export interface DriverOperation {
  readonly kind: DriverOperationKind;
  readonly offset: number;
  readonly length: number;
  /** Of reads and writes: exactly `length` bytes, in order. */
  readonly segments: readonly Uint8Array[];
  /** Of `write-zeroes`: the space may be freed. */
  readonly unmap: boolean;
  readonly done: DriverDone;
}

export interface DriverFacts {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  /** How many operations it can make use of at once; 1 = `submit` does not return before it is done. */
  readonly depth: number;
  /** Unit of discard; 0 = none. */
  readonly discardGranularity: number;
  readonly fastZeroes: boolean;
  readonly physicalBlockSize: number;
}

/** Data that could not be transferred in place. */
export interface CopyCounters {
  copies: number;
  copiedBytes: number;
}

export interface DriverHost {
  /** Runs `work`, in which several operations complete: their devices then raise one interrupt for all. */
  batch(work: () => void): void;
}

export interface BlockDriver {
  /** As in `aio=`. */
  readonly name: string;
  readonly copied: Readonly<CopyCounters>;
  /** Called once, before anything else. */
  init(host: DriverHost, done: (result: Result<DriverFacts>) => void): void;
  submit(operation: DriverOperation): void;
  flush(done: DriverDone): void;
  /** True if the operation was taken out; it then completes as `cancelled`. False if it will complete by itself. */
  cancel(operation: DriverOperation): boolean;
  /** Makes the medium longer; the new bytes are zero. */
  resize(sizeBytes: number, done: DriverDone): void;
  /** Called once, with nothing in flight. */
  close(done: DriverDone): void;
}
