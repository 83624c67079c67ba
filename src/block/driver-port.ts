/** The queue's way into its driver: counts and times what goes in, and makes an error of whatever is thrown. */
import type { DriverFacts, BlockDriver, DriverDone } from './block-driver.ts';
import { newOperationCounters } from './counters.ts';
import type { FlushState } from './flush-state.ts';
import { LatencyHistogram } from './latency.ts';
import type { RecentClock } from './recent-clock.ts';
import type { Operation } from './operation.ts';

export class DriverPort {
  readonly driver: BlockDriver;
  readonly facts: DriverFacts;
  readonly counters = newOperationCounters();
  readonly operationLatency = new LatencyHistogram();
  readonly flushLatency = new LatencyHistogram();
  readonly #flushes: FlushState;
  readonly #clock: RecentClock;
  readonly #operations = new Set<Operation>();
  /** Flushes and resizes that no request asked for. */
  #controls = 0;
  #whenIdle: (() => void) | undefined;

  constructor(driver: BlockDriver, facts: DriverFacts, flushes: FlushState, clock: RecentClock) {
    this.driver = driver;
    this.facts = facts;
    this.#flushes = flushes;
    this.#clock = clock;
  }

  /** In the order of submission. */
  get operations(): ReadonlySet<Operation> {
    return this.#operations;
  }

  get isFull(): boolean {
    return this.#operations.size >= this.facts.depth;
  }

  /** There is room, and something left for the guest after one more, if it can be. */
  get hasRoomForJob(): boolean {
    return this.#operations.size === 0 || this.#operations.size + 1 < this.facts.depth;
  }

  submit(operation: Operation, done: DriverDone): void {
    operation.inDriver = true;
    operation.submittedAt = this.#clock.recent;
    operation.owner.operations++;
    this.#operations.add(operation);
    this.counters.deepest = Math.max(this.counters.deepest, this.#operations.size);
    const finish: DriverDone = (status, problem) => {
      if (!operation.inDriver) return;
      operation.inDriver = false;
      operation.owner.operations--;
      this.#operations.delete(operation);
      const latency = operation.kind === 'flush' ? this.flushLatency : this.operationLatency;
      latency.record((this.#clock.look() - operation.submittedAt) * 1000);
      if (operation.writes) this.#flushes.wrote();
      if (operation.kind === 'flush' && status === 'ok') this.#flushes.flushed(operation.covers);
      done(status, problem);
    };
    try {
      if (operation.kind === 'flush') {
        operation.covers = this.#flushes.covers;
        this.counters.flushes++;
        this.driver.flush(finish);
      } else {
        this.counters.operations++;
        this.driver.submit(operation.nextPiece(operation.kind, finish));
      }
    } catch (error) {
      finish('io-error', this.#thrown(error));
    }
  }

  /** Asks the driver to give it back early. */
  cancel(operation: Operation): void {
    if (operation.piece !== undefined) this.driver.cancel(operation.piece);
  }

  /** A flush that no request asked for. */
  flush(done: DriverDone): void {
    const covers = this.#flushes.covers;
    const started = this.#clock.look();
    this.counters.flushes++;
    this.#control(done, (finish) =>
      this.driver.flush((status, problem) => {
        this.flushLatency.record((this.#clock.look() - started) * 1000);
        if (status === 'ok') this.#flushes.flushed(covers);
        finish(status, problem);
      }),
    );
  }

  resize(sizeBytes: number, done: DriverDone): void {
    this.#control(done, (finish) =>
      this.driver.resize(sizeBytes, (status, problem) => {
        // The new length is data of the medium as well.
        this.#flushes.wrote();
        finish(status, problem);
      }),
    );
  }

  /** Closes the driver once nothing of all this is in it. */
  close(done: DriverDone): void {
    this.#whenIdle = () => this.driver.close(done);
    this.#settle();
  }

  #control(done: DriverDone, work: (finish: DriverDone) => void): void {
    let over = false;
    const finish: DriverDone = (status, problem) => {
      if (over) return;
      over = true;
      this.#controls--;
      done(status, problem);
      this.#settle();
    };
    this.#controls++;
    try {
      work(finish);
    } catch (error) {
      finish('io-error', this.#thrown(error));
    }
  }

  #settle(): void {
    const close = this.#whenIdle;
    if (close === undefined || this.#controls > 0 || this.#operations.size > 0) return;
    this.#whenIdle = undefined;
    close();
  }

  #thrown(error: unknown): string {
    return `The driver ${this.driver.name} failed: ${String(error)}`;
  }
}
