/**
 * `aio=opfs`: one FileSystemSyncAccessHandle, used on the disk's own thread. Every call is synchronous, so an operation is done
 * when `submit` returns, and a flush (0.2 to 8 ms) keeps the thread for as long as it takes.
 */
import { failure, success } from '../../base/result.ts';
import type { Result } from '../../base/result.ts';
import type { BlockDriver, DriverDone, DriverFacts, DriverHost, DriverOperation } from '../block-driver.ts';
import { outcomeOf, probeSharedViews, SyncFileIo } from './sync-file.ts';
import type { Outcome, SyncFile } from './sync-file.ts';

export interface OpfsOptions {
  readonly readOnly: boolean;
}

export class OpfsDriver implements BlockDriver {
  readonly name = 'opfs';
  readonly #file: SyncFile;
  readonly #readOnly: boolean;
  #io: SyncFileIo | undefined;

  /** Takes the handle over: `close` closes it. */
  constructor(file: SyncFile, options: OpfsOptions) {
    this.#file = file;
    this.#readOnly = options.readOnly;
  }

  get copied(): SyncFileIo['copied'] {
    return this.#io?.copied ?? { copies: 0, copiedBytes: 0 };
  }

  init(_host: DriverHost, done: (result: Result<DriverFacts>) => void): void {
    let facts: DriverFacts;
    try {
      this.#io = new SyncFileIo(this.#file, probeSharedViews(this.#file));
      facts = {
        sizeBytes: this.#file.getSize(),
        readOnly: this.#readOnly,
        depth: 1,
        discardGranularity: 0,
        fastZeroes: false,
        physicalBlockSize: 4096,
      };
    } catch (error) {
      return done(failure(outcomeOf(error, 'opening the disk').problem ?? ''));
    }
    done(success(facts));
  }

  submit(operation: DriverOperation): void {
    report(this.#run(operation), operation.done);
  }

  flush(done: DriverDone): void {
    report(this.#io?.flush() ?? NOT_OPEN, done);
  }

  /** Nothing is ever under way when somebody asks. */
  cancel(): boolean {
    return false;
  }

  resize(sizeBytes: number, done: DriverDone): void {
    report(this.#io?.resize(sizeBytes) ?? NOT_OPEN, done);
  }

  close(done: DriverDone): void {
    const outcome = this.#io?.close() ?? NOT_OPEN;
    this.#io = undefined;
    report(outcome, done);
  }

  #run(operation: DriverOperation): Outcome {
    if (this.#readOnly && operation.kind !== 'read') return { status: 'unsupported' };
    return this.#io?.run(operation) ?? NOT_OPEN;
  }
}

const NOT_OPEN: Outcome = { status: 'io-error', problem: 'The disk is not open.' };

function report(outcome: Outcome, done: DriverDone): void {
  done(outcome.status, outcome.problem);
}
