/**
 * The request queue of a disk: takes requests from its sources in their order, merges neighbours, keeps the driver
 * busy up to its depth, and completes each request exactly once.
 *
 * Life of a request: in its source -> taken (validated, perhaps held as the rest of a run) -> in the driver as part of an operation ->
 * completed. An operation that failed for a reason to pause for waits in `#failed` until `resume()` or a reset. With
 * write-through, a written operation waits in `#unflushed` for a flush of its own.
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
  QueueCounters,
  RequestSource,
  SourcePriority,
} from './block-backend.ts';
import type {
  BlockDriver,
  DriverDone,
  DriverFacts,
  DriverHost,
  DriverOperation,
  DriverOperationKind,
} from './block-driver.ts';
import { newOperationCounters } from './counters.ts';
import { DEFAULT_ERROR_POLICY, pauseStatus } from './error-policy.ts';
import type { ErrorPolicy } from './error-policy.ts';
import { LatencyHistogram } from './latency.ts';
import { QueueClient } from './queue-client.ts';
import type { Run, Taken } from './queue-client.ts';
import { requestProblem } from './request-check.ts';
import { joinSegments } from './segments.ts';

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
  /** Most requests that are taken and not completed. */
  readonly bound?: number;
}

/** As many as a virtqueue of the usual size holds. */
export const DEFAULT_BOUND = 256;
/** One call of 1 MiB takes 0.1 to 0.2 ms; beyond that larger ones gain nothing. */
const MERGE_BYTES = 1024 * 1024;
const MERGE_REQUESTS = 128;
/** A thread must see a STOP within 5 ms. */
const SLICE_MS = 2;
/** Completions are collected this long before the device hears of them: a wake-up of the guest costs 10 to 20 us. */
const BATCH_MS = 0.05;

interface Operation {
  readonly kind: DriverOperationKind | 'flush';
  /** In the order of first submission: what failed is submitted again by it. */
  readonly sequence: number;
  readonly owner: QueueClient;
  /** The requests that complete with it. */
  parts: Taken[];
  readonly bytes: number;
  submittedAt: number;
  /** The value of `#resumes` when it was submitted. */
  submittedIn: number;
  /** Of a data operation; undefined for a flush. */
  readonly work: DriverOperation | undefined;
  /** Of a flush: writes that it covers, as a value of `#writes`. */
  covers: number;
  inDriver: boolean;
}

export class BlockQueue implements BlockBackend {
  readonly #options: QueueOptions;
  readonly #driver: BlockDriver;
  readonly #facts: DriverFacts;
  readonly #policy: ErrorPolicy;
  readonly #bound: number;
  readonly #counters = newOperationCounters();
  readonly #operationLatency = new LatencyHistogram();
  readonly #flushLatency = new LatencyHistogram();
  #properties: BlockProperties;
  #clients: QueueClient[] = [];
  /** Index of the guest client that is served next. */
  #turn = 0;
  /** Requests of guest clients that were taken and have not completed. */
  #taken = 0;
  #sequence = 0;
  readonly #inDriver = new Set<Operation>();
  /** To submit again, by `sequence`. */
  #failed: Operation[] = [];
  /** Written, and waiting for a flush before they complete. */
  #unflushed: Operation[] = [];
  #throughFlush = false;
  /** Counts completed writes; `#flushed` is the value that is on the medium. */
  #writes = 0;
  /** What an earlier session wrote may not be on the medium: the first flush is never skipped. */
  #flushed = -1;
  #guestCache = true;
  #paused: BlockPause | undefined;
  #resumes = 0;
  #lastProblem = '';
  #pumping = false;
  #pumpAgain = false;
  #batchDepth = 0;
  #batchStart = -1;
  #closed = false;
  /** Resizes and flushes of our own that are in the driver. */
  #controls = 0;
  #closeDriver: (() => void) | undefined;
  #resizeListeners: (() => void)[] = [];
  #pauseListeners: ((pause: BlockPause) => void)[] = [];

  /** Opens the driver and gives the queue above it, or the driver's reason why not. */
  static open(options: QueueOptions, then: (result: Result<BlockQueue>) => void): void {
    const slot: { queue?: BlockQueue } = {};
    const host: DriverHost = {
      batch: (work) => (slot.queue === undefined ? work() : slot.queue.#batch(work)),
    };
    options.driver.init(host, (result) => {
      if (!result.ok) return then(result);
      slot.queue = new BlockQueue(options, result.value);
      then(success(slot.queue));
    });
  }

  private constructor(options: QueueOptions, facts: DriverFacts) {
    this.#options = options;
    this.#driver = options.driver;
    this.#facts = facts;
    this.#policy = options.errorPolicy ?? DEFAULT_ERROR_POLICY;
    this.#bound = options.bound ?? DEFAULT_BOUND;
    const blockSize = options.blockSize ?? 512;
    this.#properties = {
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
    if (this.#properties.readOnly) this.#flushed = 0;
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
    this.#clients.push(client);
    return new ClientHandle(client, {
      kick: () => this.#kick(client),
      cancel: (request) => this.#cancel(client, request),
      drain: (then) => this.#drainClient(client, then),
      reset: (then) => this.#resetClient(client, then),
      detach: (then) => this.#detach(client, then),
    });
  }

  onResize(listener: () => void): () => void {
    this.#resizeListeners.push(listener);
    return () => {
      this.#resizeListeners = this.#resizeListeners.filter((other) => other !== listener);
    };
  }

  onPause(listener: (pause: BlockPause) => void): () => void {
    this.#pauseListeners.push(listener);
    return () => {
      this.#pauseListeners = this.#pauseListeners.filter((other) => other !== listener);
    };
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
    this.#control((done) =>
      this.#driver.resize(sizeBytes, (status, problem) => {
        if (status === 'ok') {
          // The new length is data of the medium as well.
          this.#writes++;
          this.#properties = { ...this.#properties, sizeBytes };
          for (const listener of this.#resizeListeners) listener();
        } else this.#note(status, problem);
        done(() => then(status));
      }),
    );
  }

  drain(then: (status: BlockStatus) => void): void {
    this.#forAll(
      (client, done) => this.#drainClient(client, done),
      () => this.#flushNow(then),
    );
  }

  close(then: (status: BlockStatus) => void): void {
    if (this.#closed) return then('ok');
    this.#closed = true;
    this.#forAll(
      (client, done) => this.#detach(client, done),
      () =>
        this.#flushNow((flushed) => {
          this.#closeDriver = () =>
            this.#driver.close((closed, problem) => {
              if (closed !== 'ok') this.#note(closed, problem);
              then(flushed === 'ok' ? closed : flushed);
            });
          this.#closeWhenIdle();
        }),
    );
  }

  stats(): BlockStats {
    return {
      properties: this.#properties,
      paused: this.#paused !== undefined,
      driver: { ...this.#counters, ...this.#driver.copied },
      operationLatency: this.#operationLatency.summary(),
      flushLatency: this.#flushLatency.summary(),
      queues: this.#clients.map((client) => ({
        name: client.name,
        priority: client.priority,
        inFlight: client.inFlight,
        counters: { ...client.counters },
        latency: client.latency.summary(),
      })),
      lastProblem: this.#lastProblem,
    };
  }

  // --- taking and submitting

  #kick(client: QueueClient): void {
    if (client.detached) return;
    client.ready = true;
    if (client.waiters.length === 0) client.stopped = false;
    this.#pump();
  }

  /** Submits whatever can be submitted now. Re-entered from completions: then the outer call goes on. */
  #pump(): void {
    this.#pumpAgain = true;
    if (this.#pumping) return;
    this.#pumping = true;
    const end = this.#options.now() + SLICE_MS;
    try {
      while (this.#pumpAgain) {
        if (this.#options.now() >= end) {
          this.#pumpAgain = false;
          this.#options.defer();
          break;
        }
        this.#pumpAgain = false;
        this.#batch(() => this.#submitUntil(end));
      }
    } finally {
      this.#pumping = false;
    }
  }

  #submitUntil(end: number): void {
    while (this.#submitNext()) {
      if (this.#options.now() < end) continue;
      this.#pumpAgain = true;
      return;
    }
  }

  /** False if there is nothing to submit, or no room in the driver. */
  #submitNext(): boolean {
    if (this.#paused !== undefined || this.#closed) return false;
    if (this.#inDriver.size >= this.#facts.depth) return false;
    const failed = this.#failed.shift();
    if (failed !== undefined) {
      this.#submit(failed);
      return true;
    }
    const client = this.#nextClient();
    if (client === undefined) return false;
    const run = client.nextRun(() => this.#take(client), {
      bytes: MERGE_BYTES,
      requests: client.priority === 'job' ? 1 : MERGE_REQUESTS,
    });
    if (run.length > 0) this.#start(client, run);
    return true;
  }

  /** Guest clients in turn; a job only when none of those has anything and the driver is idle or has room for more than it. */
  #nextClient(): QueueClient | undefined {
    const clients = this.#clients;
    for (let step = 0; step < clients.length; step++) {
      const index = (this.#turn + step) % clients.length;
      const client = clients[index]!;
      if (client.priority !== 'guest' || !this.#canServe(client)) continue;
      this.#turn = (index + 1) % clients.length;
      return client;
    }
    if (this.#inDriver.size > 0 && this.#inDriver.size + 1 >= this.#facts.depth) return undefined;
    const jobs = clients.filter((client) => client.priority === 'job');
    if (jobs.some((client) => client.operations > 0)) return undefined;
    const job = jobs.find((client) => client.mayTake);
    // Behind the others for the next time.
    if (job !== undefined) this.#clients = [...clients.filter((client) => client !== job), job];
    return job;
  }

  #canServe(client: QueueClient): boolean {
    return client.holds || (client.mayTake && this.#taken < this.#bound);
  }

  /** The next valid request of a source; invalid and empty ones complete at once. */
  #take(client: QueueClient): Taken | undefined {
    while (client.mayTake && (client.priority === 'job' || this.#taken < this.#bound)) {
      const request = client.source.next();
      if (request === undefined) {
        client.ready = false;
        return undefined;
      }
      const taken: Taken = { request, owner: client, takenAt: this.#options.now() };
      client.inFlight++;
      if (client.priority === 'guest') this.#taken++;
      client.count(request);
      const problem = requestProblem(request, this.#properties, client.priority);
      if (problem === undefined) return taken;
      if (problem.status !== 'ok') this.#note(problem.status, problem.text);
      this.#complete([taken], problem.status);
    }
    return undefined;
  }

  #start(client: QueueClient, run: Run): void {
    client.counters.merges += run.length - 1;
    if (run[0]!.request.operation === 'flush') this.#startFlush(client, run);
    else this.#submit(this.#dataOperation(client, run, this.#sequence++));
  }

  #dataOperation(owner: QueueClient, run: Run, sequence: number): Operation {
    const first = run[0]!.request;
    const last = run.at(-1)!.request;
    const length = last.offset + last.length - first.offset;
    const kind = first.operation as DriverOperationKind;
    const segments = run.length === 1 ? first.segments : run.flatMap((taken) => taken.request.segments);
    const operation: Operation = {
      kind,
      sequence,
      owner,
      parts: [...run],
      bytes: length,
      submittedAt: 0,
      submittedIn: 0,
      work: {
        kind,
        offset: first.offset,
        length,
        segments: joinSegments(segments),
        unmap: first.unmap,
        done: (status, problem) => this.#finished(operation, status, problem),
      },
      covers: 0,
      inDriver: false,
    };
    return operation;
  }

  #startFlush(owner: QueueClient, run: Run): void {
    if (this.#options.cache === 'unsafe' || this.#flushed === this.#writes) {
      this.#counters.flushesSkipped += run.length;
      this.#complete(run, 'ok');
      return;
    }
    // A flush that was submitted after the last completed write covers the same as a new one would.
    const active = this.#activeFlush();
    if (active !== undefined) {
      this.#counters.flushesSkipped += run.length;
      active.parts.push(...run);
      return;
    }
    this.#submit({
      kind: 'flush',
      sequence: this.#sequence++,
      owner,
      parts: [...run],
      bytes: 0,
      submittedAt: 0,
      submittedIn: 0,
      work: undefined,
      covers: 0,
      inDriver: false,
    });
  }

  #activeFlush(): Operation | undefined {
    for (const operation of this.#inDriver) {
      if (operation.kind === 'flush' && operation.covers === this.#writes) return operation;
    }
    return undefined;
  }

  #submit(operation: Operation): void {
    operation.inDriver = true;
    operation.submittedAt = this.#options.now();
    operation.submittedIn = this.#resumes;
    operation.owner.operations++;
    this.#inDriver.add(operation);
    this.#counters.deepest = Math.max(this.#counters.deepest, this.#inDriver.size);
    try {
      if (operation.work === undefined) {
        operation.covers = this.#writes;
        this.#counters.flushes++;
        this.#driver.flush((status, problem) => this.#finished(operation, status, problem));
      } else {
        this.#counters.operations++;
        this.#driver.submit(operation.work);
      }
    } catch (error) {
      // A failed submit is an error of this operation only.
      this.#finished(operation, 'io-error', this.#thrown(error));
    }
  }

  // --- completing

  #finished(operation: Operation, status: BlockStatus, problem: string | undefined): void {
    if (!operation.inDriver) return;
    this.#batch(() => {
      const now = this.#options.now();
      operation.inDriver = false;
      operation.owner.operations--;
      this.#inDriver.delete(operation);
      const latency = operation.kind === 'flush' ? this.#flushLatency : this.#operationLatency;
      latency.record((now - operation.submittedAt) * 1000);
      // Even a write that failed may have changed the medium.
      const writes = operation.kind !== 'read' && operation.kind !== 'flush';
      if (writes) this.#writes++;
      if (status === 'ok') this.#succeeded(operation, writes);
      else this.#unsuccessful(operation, status, problem);
      this.#pump();
    });
  }

  #succeeded(operation: Operation, writes: boolean): void {
    if (operation.kind === 'read') this.#counters.readBytes += operation.bytes;
    if (operation.kind === 'write') this.#counters.writtenBytes += operation.bytes;
    if (operation.kind === 'flush') this.#flushed = Math.max(this.#flushed, operation.covers);
    if (writes && !this.writeCache) {
      this.#unflushed.push(operation);
      this.#flushThrough();
    } else this.#complete(operation.parts, 'ok');
  }

  #unsuccessful(operation: Operation, status: BlockStatus, problem: string | undefined): void {
    if (status !== 'cancelled') {
      this.#counters.errors++;
      this.#note(status, problem);
    }
    // Once an owner wants to be rid of its requests, none of them is kept.
    this.#complete(
      takeOut(operation, (part) => this.#closed || part.owner.resetting),
      status,
    );
    if (operation.parts.length === 0) return;
    const pause = pauseStatus(this.#policy, operation.kind, status);
    if (pause !== undefined) {
      this.#keep([operation]);
      // One that was submitted before the user said continue tells nothing about the room that there is now.
      if (operation.submittedIn === this.#resumes) this.#pause(pause);
    } else if (operation.work !== undefined && operation.parts.length > 1) {
      // Only the request at fault shall fail: each goes again, alone.
      this.#keep(this.#singly(operation));
    } else this.#complete(operation.parts, status);
  }

  /** To be submitted again before anything new, in the order of the first time. */
  #keep(operations: readonly Operation[]): void {
    this.#failed = [...this.#failed, ...operations].sort((a, b) => a.sequence - b.sequence);
  }

  #singly(operation: Operation): readonly Operation[] {
    return operation.parts.map((part) => this.#dataOperation(part.owner, [part], operation.sequence));
  }

  /** Write-through: one flush for all that was written since the last one was submitted. */
  #flushThrough(): void {
    if (this.#throughFlush) return;
    const operations = this.#unflushed;
    if (operations.length === 0) return;
    this.#unflushed = [];
    this.#throughFlush = true;
    this.#flushDriver((status, problem) =>
      this.#batch(() => {
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

  /** A flush of our own, that no request asked for. */
  #flushDriver(done: DriverDone): void {
    const covers = this.#writes;
    const started = this.#options.now();
    let over = false;
    const finish: DriverDone = (status, problem) => {
      if (over) return;
      over = true;
      this.#flushLatency.record((this.#options.now() - started) * 1000);
      if (status === 'ok') this.#flushed = Math.max(this.#flushed, covers);
      done(status, problem);
    };
    this.#counters.flushes++;
    try {
      this.#driver.flush(finish);
    } catch (error) {
      finish('io-error', this.#thrown(error));
    }
  }

  #thrown(error: unknown): string {
    return `The driver ${this.#driver.name} failed: ${String(error)}`;
  }

  #complete(run: Run, status: BlockStatus): void {
    if (run.length === 0) return;
    const now = this.#options.now();
    if (this.#batchStart < 0) this.#batchStart = now;
    this.#batch(() => {
      for (const taken of run) {
        if (taken.owner.priority === 'guest') this.#taken--;
        taken.owner.complete(taken, status, now);
      }
    });
    if (now - this.#batchStart >= BATCH_MS) this.#report();
  }

  /** Completions in `work` are told to their devices together. */
  #batch(work: () => void): void {
    this.#batchDepth++;
    try {
      work();
    } finally {
      this.#endBatch();
    }
  }

  #endBatch(): void {
    if (--this.#batchDepth === 0) this.#report();
  }

  #report(): void {
    this.#batchStart = -1;
    for (const client of this.#clients) {
      if (client.unreported) {
        client.unreported = false;
        client.source.batchDone();
      }
    }
    for (const client of this.#clients) this.#settle(client);
  }

  #settle(client: QueueClient): void {
    if (client.inFlight > 0 || client.waiters.length === 0) return;
    const { waiters } = client;
    client.waiters = [];
    client.resetting = false;
    for (const waiter of waiters) waiter();
  }

  // --- pausing, cancelling, draining

  #pause(status: 'no-space' | 'io-error'): void {
    if (this.#paused !== undefined) return;
    const { id } = this.#properties;
    const message =
      status === 'no-space'
        ? `The browser has no room left for the disk “${id}”. The machine is paused and nothing is lost: make room, then continue.`
        : `The disk “${id}” failed: ${this.#lastProblem || 'the browser gave no reason.'} The machine is paused.`;
    this.#paused = { id, status, message };
    this.#counters.pauses++;
    for (const listener of this.#pauseListeners) listener(this.#paused);
  }

  #cancel(client: QueueClient, request: BlockRequest): boolean {
    const held = client.unhold(request);
    if (held.length > 0) {
      this.#complete(held, 'cancelled');
      return true;
    }
    const operation = this.#failed.find((failed) => failed.parts.some((part) => part.request === request));
    if (operation !== undefined) {
      this.#failed = this.#failed.filter((other) => other !== operation);
      const cancelled = takeOut(operation, (part) => part.request === request);
      if (operation.parts.length > 0) {
        this.#keep(operation.work === undefined ? [operation] : this.#singly(operation));
      }
      this.#complete(cancelled, 'cancelled');
      return true;
    }
    for (const operation of this.#inDriver) {
      if (operation.parts.length === 1 && operation.parts[0]!.request === request)
        this.#cancelOperation(operation);
    }
    return false;
  }

  #cancelOperation(operation: Operation): void {
    if (operation.work !== undefined) this.#driver.cancel(operation.work);
  }

  #drainClient(client: QueueClient, then: () => void): void {
    client.stopped = true;
    client.waiters.push(then);
    if (this.#batchDepth === 0) this.#settle(client);
  }

  #resetClient(client: QueueClient, then: () => void): void {
    this.#batch(() => {
      client.stopped = true;
      client.ready = false;
      client.resetting = true;
      client.waiters.push(then);
      const cancelled = [...client.unhold()];
      for (const operation of this.#failed) {
        cancelled.push(...takeOut(operation, (part) => part.owner === client));
      }
      this.#failed = this.#failed.filter((operation) => operation.parts.length > 0);
      this.#complete(cancelled, 'cancelled');
      for (const operation of this.#inDriver) {
        if (operation.owner === client) this.#cancelOperation(operation);
      }
    });
  }

  #detach(client: QueueClient, then: () => void): void {
    client.detached = true;
    this.#resetClient(client, () => {
      this.#clients = this.#clients.filter((other) => other !== client);
      then();
    });
  }

  #forAll(act: (client: QueueClient, done: () => void) => void, then: () => void): void {
    let left = this.#clients.length + 1;
    const done = (): void => {
      if (--left === 0) then();
    };
    for (const client of this.#clients) act(client, done);
    done();
  }

  #flushNow(then: (status: BlockStatus) => void): void {
    if (this.#flushed === this.#writes) return then('ok');
    this.#control((done) =>
      this.#flushDriver((status, problem) => {
        if (status !== 'ok') this.#note(status, problem);
        done(() => then(status));
      }),
    );
  }

  /** Work in the driver that is no request: the driver is not closed before it is over. */
  #control(work: (done: (then: () => void) => void) => void): void {
    this.#controls++;
    work((then) => {
      this.#controls--;
      then();
      this.#closeWhenIdle();
    });
  }

  #closeWhenIdle(): void {
    const close = this.#closeDriver;
    if (this.#controls > 0 || close === undefined) return;
    this.#closeDriver = undefined;
    close();
  }

  #note(status: BlockStatus, problem: string | undefined): void {
    this.#lastProblem = problem ?? status;
  }
}

/** Removes the parts that `which` names from the operation. */
function takeOut(operation: Operation, which: (part: Taken) => boolean): Run {
  const out = operation.parts.filter(which);
  if (out.length > 0) operation.parts = operation.parts.filter((part) => !which(part));
  return out;
}

interface ClientActions {
  kick(): void;
  cancel(request: BlockRequest): boolean;
  drain(then: () => void): void;
  reset(then: () => void): void;
  detach(then: () => void): void;
}

class ClientHandle implements BlockClient {
  readonly #client: QueueClient;
  readonly #actions: ClientActions;

  constructor(client: QueueClient, actions: ClientActions) {
    this.#client = client;
    this.#actions = actions;
  }

  get inFlight(): number {
    return this.#client.inFlight;
  }

  get counters(): QueueCounters {
    return this.#client.counters;
  }

  kick(): void {
    this.#actions.kick();
  }

  cancel(request: BlockRequest): boolean {
    return this.#actions.cancel(request);
  }

  drain(then: () => void): void {
    this.#actions.drain(then);
  }

  reset(then: () => void): void {
    this.#actions.reset(then);
  }

  detach(then: () => void): void {
    this.#actions.detach(then);
  }
}
