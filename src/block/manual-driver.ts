/** A driver for tests of the queue: operations wait until the test completes them, in any order and with any status. */
import { success } from '../base/result.ts';
import type { Result } from '../base/result.ts';
import type { BlockStatus } from './block-backend.ts';
import type { BlockDriver, DriverDone, DriverFacts, DriverHost, DriverOperation } from './block-driver.ts';

export interface Waiting {
  readonly text: string;
  /** Undefined for a flush. */
  readonly operation: DriverOperation | undefined;
  readonly done: DriverDone;
}

export class ManualDriver implements BlockDriver {
  readonly name = 'manual';
  readonly copied = { copies: 0, copiedBytes: 0 };
  readonly facts: DriverFacts;
  /** Everything that was ever submitted, as `read 0+512` or `flush`. */
  readonly log: string[] = [];
  waiting: Waiting[] = [];
  host: DriverHost | undefined;
  /** What `cancel` does: takes operations out, or says that it cannot. */
  cancels = false;
  /** Set: submissions complete at once with this. */
  immediate: BlockStatus | undefined;
  /** Set: `submit` throws. */
  broken = false;
  closed = false;

  constructor(facts: Partial<DriverFacts> = {}) {
    this.facts = {
      sizeBytes: 1024 * 1024,
      readOnly: false,
      depth: 4,
      discardGranularity: 4096,
      fastZeroes: false,
      physicalBlockSize: 4096,
      ...facts,
    };
  }

  init(host: DriverHost, done: (result: Result<DriverFacts>) => void): void {
    this.host = host;
    done(success(this.facts));
  }

  submit(operation: DriverOperation): void {
    if (this.broken) throw new Error('broken');
    this.#add(`${operation.kind} ${operation.offset}+${operation.length}`, operation, operation.done);
  }

  flush(done: DriverDone): void {
    this.#add('flush', undefined, done);
  }

  cancel(operation: DriverOperation): boolean {
    const found = this.waiting.find((waiting) => waiting.operation === operation);
    if (!this.cancels || found === undefined) return false;
    this.finish(this.waiting.indexOf(found), 'cancelled');
    return true;
  }

  resize(sizeBytes: number, done: DriverDone): void {
    this.#add(`resize ${sizeBytes}`, undefined, done);
  }

  close(done: DriverDone): void {
    this.closed = true;
    done('ok');
  }

  get inFlight(): readonly string[] {
    return this.waiting.map(({ text }) => text);
  }

  /** Completes the one at `index` of those that wait. */
  finish(index = 0, status: BlockStatus = 'ok', problem?: string): void {
    const [waiting] = this.waiting.splice(index, 1);
    if (waiting === undefined) throw new Error(`nothing waits at ${index}`);
    waiting.done(status, problem);
  }

  /** Completes everything, also what comes meanwhile. */
  finishAll(status: BlockStatus = 'ok'): void {
    while (this.waiting.length > 0) this.finish(0, status);
  }

  #add(text: string, operation: DriverOperation | undefined, done: DriverDone): void {
    this.log.push(text);
    if (this.immediate !== undefined) done(this.immediate);
    else this.waiting.push({ text, operation, done });
  }
}
