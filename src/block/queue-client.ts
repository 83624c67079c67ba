/** One source of requests as the block queue sees it: what was taken from it, and how that is grouped. */
import type { BlockRequest, BlockStatus, RequestSource, SourcePriority } from './block-backend.ts';
import { newQueueCounters } from './counters.ts';
import { LatencyHistogram } from './latency.ts';

/** A request that was taken and has not completed. */
export interface Taken {
  readonly request: BlockRequest;
  readonly owner: QueueClient;
  readonly takenAt: number;
}

/** Requests that go to the driver as one operation. */
export type Run = readonly Taken[];

export interface MergeLimits {
  readonly bytes: number;
  readonly requests: number;
}

export class QueueClient {
  readonly source: RequestSource;
  readonly name: string;
  readonly priority: SourcePriority;
  readonly counters = newQueueCounters();
  readonly latency = new LatencyHistogram();
  /** The source may have requests: kicked, and not found empty since. */
  ready = false;
  /** Takes no more requests: `drain` or `reset` was called, and no kick came after it was done. */
  stopped = false;
  detached = false;
  /** What it has taken is unwanted: nothing of it is kept for a later try. */
  resetting = false;
  inFlight = 0;
  /** Operations of this client that are in the driver. */
  operations = 0;
  /** Completions that `batchDone` has not told of. */
  unreported = false;
  waiters: (() => void)[] = [];
  /** Taken, but not in the driver: the second half of a run, what ended one, or what was taken early (`hold`). */
  #held: Taken[] = [];
  /** The last run was the first half of a stream; the rest goes as a whole. */
  #halved = false;

  constructor(source: RequestSource, name: string, priority: SourcePriority) {
    this.source = source;
    this.name = name;
    this.priority = priority;
  }

  get holds(): boolean {
    return this.#held.length > 0;
  }

  get mayTake(): boolean {
    return this.ready && !this.stopped;
  }

  /** Takes all that `take` gives, for a later run. */
  hold(take: () => Taken | undefined): void {
    for (let next = take(); next !== undefined; next = take()) this.#held.push(next);
  }

  /** Takes what is held back out again, all of it or one request. */
  unhold(request?: BlockRequest): readonly Taken[] {
    const out = request === undefined ? this.#held : this.#held.filter((taken) => taken.request === request);
    this.#held = this.#held.filter((taken) => !out.includes(taken));
    return out;
  }

  /**
   * The oldest request with those behind it that continue it. `take` takes one from the source, undefined if there is none or it may
   * not. Nothing is waited for.
   *
   * A stream is not merged into one operation while none of it is in the driver: its first half goes alone, so that the guest
   * can deal with that (and add to the queue) while the rest is under way.
   */
  nextRun(take: () => Taken | undefined, limits: MergeLimits): Run {
    const first = this.#held.shift() ?? take();
    if (first === undefined) return [];
    const run = [first];
    let last = first.request;
    let bytes = last.length;
    while (run.length < limits.requests) {
      const next = this.#peek(take);
      if (next === undefined || !continues(last, next.request)) break;
      if (bytes + next.request.length > limits.bytes) break;
      this.#held.shift();
      run.push(next);
      last = next.request;
      bytes += last.length;
    }
    const halve = run.length > 1 && last.operation !== 'flush' && this.operations === 0 && !this.#halved;
    this.#halved = halve;
    if (halve) this.#held.unshift(...run.splice(run.length >> 1));
    return run;
  }

  #peek(take: () => Taken | undefined): Taken | undefined {
    if (this.#held.length === 0) {
      const next = take();
      if (next !== undefined) this.#held.push(next);
    }
    return this.#held[0];
  }

  complete(taken: Taken, status: BlockStatus, now: number): void {
    this.inFlight--;
    this.unreported = true;
    this.latency.record((now - taken.takenAt) * 1000);
    if (status === 'cancelled') this.counters.cancelled++;
    else if (status !== 'ok') this.counters.errors++;
    taken.request.complete(status);
  }

  count(request: BlockRequest): void {
    const { counters } = this;
    switch (request.operation) {
      case 'read':
        counters.reads++;
        counters.readBytes += request.length;
        break;
      case 'write':
        counters.writes++;
        counters.writtenBytes += request.length;
        break;
      case 'flush':
        counters.flushes++;
        break;
      case 'discard':
        counters.discards++;
        break;
      case 'write-zeroes':
        counters.zeroes++;
        break;
    }
  }
}

/** True if `next` can travel with `last`: the same kind on the bytes behind it. Flushes in a row are one flush. */
function continues(last: BlockRequest, next: BlockRequest): boolean {
  if (next.operation !== last.operation) return false;
  if (next.operation === 'flush') return true;
  return next.offset === last.offset + last.length && next.unmap === last.unmap;
}
