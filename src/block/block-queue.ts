/**
 * The request queue of a disk: takes requests from its sources in their order, merges neighbours, keeps the driver
 * busy up to its depth, and completes each request exactly once.
 *
 * Life of a request: in its source -> taken (validated, perhaps held as the rest of a run) -> in the driver as part of an operation ->
 * completed. A large operation goes through the driver in pieces and waits between them in `#unfinished`. One that failed
 * for a reason to pause for waits in `#failed` until `resume()` or a reset. With write-through, a written one waits in
 * `#unflushed` for a flush.
 */
import { success } from '../base/result.ts';
import type { Result } from '../base/result.ts';
import type {
  BlockBackend,
  BlockClient,
  BlockPause,
  BlockProperties,
  BlockRequest,
  BlockStats,
  BlockStatus,
  CacheMode,
  RequestSource,
  SourcePriority,
} from './block-backend.ts';
import type { BlockDriver, DriverFacts, DriverHost } from './block-driver.ts';
import { ClientHandle } from './client-handle.ts';
import type { ClientActions } from './client-handle.ts';
import { ClientTurns } from './client-turns.ts';
import { CompletionBatch } from './completion-batch.ts';
import { DriverPort } from './driver-port.ts';
import { DEFAULT_ERROR_POLICY, pauseMessage, pauseStatus } from './error-policy.ts';
import type { ErrorPolicy } from './error-policy.ts';
import { FlushState } from './flush-state.ts';
import { Listeners } from './listeners.ts';
import { Operation } from './operation.ts';
import { QueueClient } from './queue-client.ts';
import type { Run, Taken } from './queue-client.ts';
import { RecentClock } from './recent-clock.ts';
import { requestProblem } from './request-check.ts';

export interface QueueOptions {
  readonly id: string;
  readonly driver: BlockDriver;
  readonly driverReason: string;
  readonly format: string;
  readonly cache: CacheMode;
  readonly readOnly: boolean;
  readonly blockSize?: number;
  readonly errorPolicy?: ErrorPolicy;
  /** Milliseconds, as performance.now(). */
  readonly now: () => number;
  /**
   * Asks the thread to call `service()` soon, after a look at its other events: there is more to do than should be done
   * at a stretch.
   */
  readonly defer: () => void;
  /** Somebody waits for this thread's answer: no further request is begun before `defer` has let it look. */
  readonly isWanted?: () => boolean;
  /** The guest sleeps until something completes: it is told at once, and not of several together. */
  readonly isGuestHalted?: () => boolean;
  /** Most requests of the guest that are taken and not completed. */
  readonly bound?: number;
}

/** As many as a virtqueue of the usual size holds. */
export const DEFAULT_BOUND = 256;
/** One call of 1 MiB takes 0.1 to 0.2 ms; beyond that larger ones gain nothing. */
const GUEST_MERGES = { bytes: 1024 * 1024, requests: 128 };
const JOB_MERGES = { bytes: 0, requests: 1 };
/** A thread must see a STOP within 5 ms. */
const SLICE_MS = 2;

export class BlockQueue implements BlockBackend {
  readonly #options: QueueOptions;
  readonly #clock: RecentClock;
  readonly #port: DriverPort;
  readonly #policy: ErrorPolicy;
  readonly #bound: number;
  readonly #flushes: FlushState;
  readonly #clients = new ClientTurns();
  readonly #batch = new CompletionBatch(
    () => this.#report(),
    () => this.#options.isGuestHalted?.() === true,
  );
  readonly #actions: ClientActions = {
    take: (client) => this.#takeAll(client),
    kick: (client) => this.#kick(client),
    cancel: (client, request) => this.#cancel(client, request),
    drain: (client, then) => this.#drain(client, then),
    reset: (client, then) => this.#reset(client, then),
    detach: (client, then) => this.#detach(client, then),
  };
  readonly #resized = new Listeners<undefined>();
  readonly #pauses = new Listeners<BlockPause>();
  #properties: BlockProperties;
  /** Requests of guest clients that were taken and have not completed. */
  #taken = 0;
  #sequence = 0;
  /** To submit again, by `sequence`. */
  #failed: readonly Operation[] = [];
  /** Of which pieces are still to be done, oldest first. */
  #unfinished: readonly Operation[] = [];
  /** A piece went last, so that something else goes now. */
  #pieceWasLast = false;
  /** Written, and waiting for a flush before they complete. */
  #unflushed: Operation[] = [];
  #throughFlush = false;
  #guestCache = true;
  #paused: BlockPause | undefined;
  #resumes = 0;
  #lastProblem = '';
  #pumping = false;
  #pumpAgain = false;
  /** When the thread must look at its other events. */
  #sliceEnd = 0;
  #closed = false;

  /** Opens the driver and gives the queue above it, or the driver's reason why not. */
  static open(options: QueueOptions, then: (result: Result<BlockQueue>) => void): void {
    const slot: { queue?: BlockQueue } = {};
    const host: DriverHost = {
      batch: (work) => (slot.queue === undefined ? work() : slot.queue.#batch.run(work)),
    };
    options.driver.init(host, (result) => {
      if (!result.ok) return then(result);
      slot.queue = new BlockQueue(options, result.value);
      then(success(slot.queue));
    });
  }

  private constructor(options: QueueOptions, facts: DriverFacts) {
    this.#options = options;
    this.#clock = new RecentClock(options.now);
    this.#policy = options.errorPolicy ?? DEFAULT_ERROR_POLICY;
    this.#bound = options.bound ?? DEFAULT_BOUND;
    this.#properties = propertiesOf(options, facts);
    this.#flushes = new FlushState(this.#properties.readOnly);
    this.#port = new DriverPort(options.driver, facts, this.#flushes, this.#clock);
  }

  get properties(): BlockProperties {
    return this.#properties;
  }

  get paused(): BlockPause | undefined {
    return this.#paused;
  }

  get writeCache(): boolean {
    const { cache } = this.#options;
    return cache === 'unsafe' || (cache !== 'writethrough' && this.#guestCache);
  }

  setWriteCache(enabled: boolean): void {
    this.#guestCache = enabled;
  }

  attach(source: RequestSource, name: string, priority: SourcePriority = 'guest'): BlockClient {
    const client = new QueueClient(source, name, priority);
    this.#clients.add(client);
    return new ClientHandle(client, this.#actions);
  }

  onResize(listener: () => void): () => void {
    return this.#resized.add(listener);
  }

  onPause(listener: (pause: BlockPause) => void): () => void {
    return this.#pauses.add(listener);
  }

  resume(): void {
    if (this.#paused === undefined) return;
    this.#paused = undefined;
    this.#resumes++;
    this.#pump();
  }

  service(): void {
    this.#pump();
  }

  resize(sizeBytes: number, then: (status: BlockStatus) => void): void {
    const { blockSize, readOnly, sizeBytes: before } = this.#properties;
    const valid = Number.isSafeInteger(sizeBytes) && sizeBytes % blockSize === 0 && sizeBytes >= before;
    if (this.#closed || readOnly || !valid) return then('unsupported');
    this.#port.resize(sizeBytes, (status, problem) => {
      if (status !== 'ok') {
        this.#note(status, problem);
        return then(status);
      }
      // On the medium before the guest counts on it.
      this.#flushNow((flushed) => {
        if (flushed === 'ok') {
          this.#properties = { ...this.#properties, sizeBytes };
          this.#resized.emit(undefined);
        }
        then(flushed);
      });
    });
  }

  drain(then: (status: BlockStatus) => void): void {
    this.#forAll(
      (client, done) => this.#drain(client, done),
      () => this.#flushNow(then),
    );
  }

  close(then: (status: BlockStatus) => void): void {
    if (this.#closed) return then('ok');
    this.#closed = true;
    this.#forAll(
      (client, done) => this.#detach(client, done),
      () =>
        this.#flushNow((flushed) =>
          this.#port.close((closed, problem) => {
            if (closed !== 'ok') this.#note(closed, problem);
            then(flushed === 'ok' ? closed : flushed);
          }),
        ),
    );
  }

  stats(): BlockStats {
    const { counters, driver, operationLatency, flushLatency } = this.#port;
    return {
      properties: this.#properties,
      paused: this.#paused !== undefined,
      dirty: this.#flushes.isDirty,
      driver: { ...counters, ...driver.copied },
      operationLatency: operationLatency.summary(),
      flushLatency: flushLatency.summary(),
      queues: this.#clients.all.map((client) => ({
        name: client.name,
        priority: client.priority,
        inFlight: client.inFlight,
        counters: { ...client.counters },
        latency: client.latency.summary(),
      })),
      lastProblem: this.#lastProblem,
    };
  }

  // --- what clients do

  #takeAll(client: QueueClient): void {
    if (!this.#makeReady(client)) return;
    this.#startSlice();
    this.#batch.run(() => client.hold(() => this.#take(client)));
  }

  #kick(client: QueueClient): void {
    if (this.#makeReady(client)) this.#pump();
  }

  #makeReady(client: QueueClient): boolean {
    if (client.detached) return false;
    client.ready = true;
    if (client.waiters.length === 0) client.stopped = false;
    return true;
  }

  #cancel(client: QueueClient, request: BlockRequest): boolean {
    const isIt = (part: Taken): boolean => part.request === request;
    const cancelled = [...client.unhold(request)];
    const operation = [...this.#failed, ...this.#unfinished].find(({ parts }) => parts.some(isIt));
    if (operation !== undefined) {
      cancelled.push(...operation.takeOut(isIt));
      this.#forget(operation);
      // The others begin anew: what was done of them is done again, which does no harm.
      if (operation.kind !== 'flush') this.#keep(operation.singly());
      else if (operation.parts.length > 0) this.#keep([operation]);
    }
    if (cancelled.length > 0) {
      this.#complete(cancelled, 'cancelled');
      return true;
    }
    for (const inDriver of this.#port.operations) {
      if (inDriver.parts.length === 1 && inDriver.parts.some(isIt)) this.#port.cancel(inDriver);
    }
    return false;
  }

  #drain(client: QueueClient, then: () => void): void {
    client.stopped = true;
    client.waiters.push(then);
    if (!this.#batch.isOpen) this.#settle(client);
  }

  #reset(client: QueueClient, then: () => void): void {
    const isIts = (part: Taken): boolean => part.owner === client;
    this.#batch.run(() => {
      client.stopped = true;
      client.ready = false;
      client.resetting = true;
      client.waiters.push(then);
      const cancelled = [...client.unhold()];
      for (const operation of [...this.#failed, ...this.#unfinished]) {
        cancelled.push(...operation.takeOut(isIts));
        if (operation.parts.length === 0) this.#forget(operation);
      }
      this.#complete(cancelled, 'cancelled');
      for (const operation of this.#port.operations) {
        if (operation.owner === client) this.#port.cancel(operation);
      }
    });
  }

  #detach(client: QueueClient, then: () => void): void {
    client.detached = true;
    this.#reset(client, () => {
      this.#clients.remove(client);
      then();
    });
  }

  // --- taking and submitting

  /** Submits whatever can be submitted now. Re-entered from completions: then the outer call goes on. */
  #pump(): void {
    this.#pumpAgain = true;
    if (this.#pumping) return;
    this.#pumping = true;
    this.#startSlice();
    try {
      while (this.#pumpAgain) {
        if (this.#isSliceOver) {
          this.#pumpAgain = false;
          this.#options.defer();
          break;
        }
        this.#pumpAgain = false;
        this.#batch.run(() => this.#submitSlice());
      }
    } finally {
      this.#pumping = false;
    }
  }

  #startSlice(): void {
    this.#sliceEnd = this.#clock.look() + SLICE_MS;
  }

  #submitSlice(): void {
    while (this.#submitNext()) {
      // After one at least: who asks all the time must not stop the disk.
      if (this.#options.isWanted?.() === true) this.#sliceEnd = 0;
      if (!this.#isSliceOver) continue;
      this.#pumpAgain = true;
      return;
    }
  }

  get #isSliceOver(): boolean {
    return this.#clock.recent >= this.#sliceEnd;
  }

  /** False if there is nothing to submit, or no room in the driver. */
  #submitNext(): boolean {
    if (this.#paused !== undefined || this.#closed || this.#port.isFull) return false;
    const failed = this.#failed[0];
    if (failed !== undefined) {
      this.#forget(failed);
      this.#submit(failed);
      return true;
    }
    const pieceFirst = this.#unfinished.length > 0 && !this.#pieceWasLast;
    if (!pieceFirst && this.#submitNew(this.#clients.nextGuest(this.#taken < this.#bound))) return true;
    const unfinished = this.#unfinished[0];
    if (unfinished !== undefined) {
      this.#forget(unfinished);
      this.#pieceWasLast = true;
      this.#submit(unfinished);
      return true;
    }
    return this.#port.hasRoomForJob && this.#submitNew(this.#clients.nextJob());
  }

  #submitNew(client: QueueClient | undefined): boolean {
    if (client === undefined) return false;
    this.#pieceWasLast = false;
    const limits = client.priority === 'job' ? JOB_MERGES : GUEST_MERGES;
    const run = client.nextRun(() => this.#take(client), limits);
    if (run.length === 0) return true;
    client.counters.merges += run.length - 1;
    const operation = new Operation(client, run, this.#sequence++);
    if (operation.kind === 'flush') this.#startFlush(operation);
    else this.#submit(operation);
    return true;
  }

  /** The next valid request of a source; invalid and empty ones complete at once. */
  #take(client: QueueClient): Taken | undefined {
    while (client.mayTake && (client.priority === 'job' || this.#taken < this.#bound)) {
      const request = client.source.next();
      if (request === undefined) {
        client.ready = false;
        return undefined;
      }
      const taken: Taken = { request, owner: client, takenAt: this.#clock.recent };
      client.inFlight++;
      if (client.priority === 'guest') this.#taken++;
      client.count(request);
      const problem = requestProblem(request, this.#properties, client.priority);
      if (problem === undefined) return taken;
      if (problem.status !== 'ok') this.#note(problem.status, problem.text);
      this.#complete([taken], problem.status);
      // A guest can make such requests faster than they are refused.
      this.#clock.look();
      if (this.#isSliceOver) break;
    }
    return undefined;
  }

  #startFlush(flush: Operation): void {
    if (this.#options.cache === 'unsafe' || this.#flushes.isClean) {
      this.#port.counters.flushesSkipped += flush.parts.length;
      this.#complete(flush.parts, 'ok');
      this.#clock.look();
      return;
    }
    for (const active of this.#port.operations) {
      // Submitted after the last completed write: it covers what a new one would.
      if (active.kind === 'flush' && active.covers === this.#flushes.covers) {
        this.#port.counters.flushesSkipped += flush.parts.length;
        active.parts.push(...flush.parts);
        return;
      }
    }
    this.#submit(flush);
  }

  #submit(operation: Operation): void {
    operation.submittedIn = this.#resumes;
    this.#port.submit(operation, (status, problem) =>
      this.#batch.run(() => {
        if (status === 'ok') this.#succeeded(operation);
        else this.#unsuccessful(operation, status, problem);
        this.#pump();
      }),
    );
  }

  // --- completing

  #succeeded(operation: Operation): void {
    const { counters } = this.#port;
    if (operation.kind === 'read') counters.readBytes += operation.piece?.length ?? 0;
    if (operation.kind === 'write') counters.writtenBytes += operation.piece?.length ?? 0;
    if (operation.advance()) this.#goOn(operation);
    else if (operation.writes && !this.writeCache) {
      this.#unflushed.push(operation);
      this.#flushThrough();
    } else this.#complete(operation.parts, 'ok');
  }

  /** Another piece, unless nobody wants it any more. */
  #goOn(operation: Operation): void {
    this.#complete(operation.takeOut(isUnwanted(this.#closed)), 'cancelled');
    if (operation.parts.length > 0) this.#unfinished = [...this.#unfinished, operation];
  }

  #unsuccessful(operation: Operation, status: BlockStatus, problem: string | undefined): void {
    if (status !== 'cancelled') {
      this.#port.counters.errors++;
      this.#note(status, problem);
    }
    // Once an owner wants to be rid of its requests, none of them is kept.
    this.#complete(operation.takeOut(isUnwanted(this.#closed)), status);
    if (operation.parts.length === 0) return;
    const pause = pauseStatus(this.#policy, operation.kind, status);
    if (pause !== undefined) {
      this.#keep([operation]);
      // One that was submitted before the user said continue tells nothing about the room that there is now.
      if (operation.submittedIn === this.#resumes) this.#pause(pause);
    } else if (operation.kind !== 'flush' && operation.parts.length > 1) {
      // Only the request at fault shall fail: each goes again, alone.
      this.#keep(operation.singly());
    } else this.#complete(operation.parts, status);
  }

  /** To be submitted again before anything new, in the order of the first time. */
  #keep(operations: readonly Operation[]): void {
    this.#failed = [...this.#failed, ...operations].sort((a, b) => a.sequence - b.sequence);
  }

  #forget(operation: Operation): void {
    this.#failed = this.#failed.filter((other) => other !== operation);
    this.#unfinished = this.#unfinished.filter((other) => other !== operation);
  }

  /** Write-through: one flush for all that was written since the last one was submitted. */
  #flushThrough(): void {
    if (this.#throughFlush || this.#unflushed.length === 0) return;
    const operations = this.#unflushed;
    this.#unflushed = [];
    this.#throughFlush = true;
    this.#port.flush((status, problem) =>
      this.#batch.run(() => {
        this.#throughFlush = false;
        for (const operation of operations) {
          if (status === 'ok') this.#complete(operation.parts, 'ok');
          else this.#unsuccessful(operation, status, problem);
        }
        this.#flushThrough();
        this.#pump();
      }),
    );
  }

  #complete(run: Run, status: BlockStatus): void {
    if (run.length === 0) return;
    const now = this.#clock.recent;
    this.#batch.run(() => {
      for (const taken of run) {
        if (taken.owner.priority === 'guest') this.#taken--;
        taken.owner.complete(taken, status, now);
      }
      this.#batch.completed(now);
    });
  }

  /** Tells the devices of their completions, and those who wait for quiet that it is quiet. */
  #report(): void {
    for (const client of this.#clients.all) {
      if (!client.unreported) continue;
      client.unreported = false;
      client.source.batchDone();
    }
    for (const client of this.#clients.all) this.#settle(client);
  }

  #settle(client: QueueClient): void {
    if (client.inFlight > 0 || client.waiters.length === 0) return;
    const { waiters } = client;
    client.waiters = [];
    client.resetting = false;
    for (const waiter of waiters) waiter();
  }

  #pause(status: BlockPause['status']): void {
    if (this.#paused !== undefined) return;
    const { id } = this.#properties;
    this.#paused = { id, status, message: pauseMessage(id, status, this.#lastProblem) };
    this.#port.counters.pauses++;
    this.#pauses.emit(this.#paused);
  }

  #forAll(act: (client: QueueClient, done: () => void) => void, then: () => void): void {
    const clients = this.#clients.all;
    let left = clients.length + 1;
    const done = (): void => {
      if (--left === 0) then();
    };
    for (const client of clients) act(client, done);
    done();
  }

  #flushNow(then: (status: BlockStatus) => void): void {
    if (this.#flushes.isClean) return then('ok');
    this.#port.flush((status, problem) => {
      if (status !== 'ok') this.#note(status, problem);
      then(status);
    });
  }

  #note(status: BlockStatus, problem: string | undefined): void {
    this.#lastProblem = problem ?? status;
  }
}

function isUnwanted(closed: boolean): (part: Taken) => boolean {
  return (part) => closed || part.owner.resetting;
}

function propertiesOf(options: QueueOptions, facts: DriverFacts): BlockProperties {
  const blockSize = options.blockSize ?? 512;
  return {
    id: options.id,
    sizeBytes: facts.sizeBytes - (facts.sizeBytes % blockSize),
    readOnly: options.readOnly || facts.readOnly,
    blockSize,
    physicalBlockSize: facts.physicalBlockSize,
    discardGranularity: facts.discardGranularity,
    fastZeroes: facts.fastZeroes,
    format: options.format,
    driver: options.driver.name,
    driverReason: options.driverReason,
    cache: options.cache,
  };
}
