/**
 * A random guest, a random driver and a model of what must hold between them, for tests of the block queue. Nothing here knows how
 * the queue works: it sees what the guest asked, what the driver was given, and what completed.
 *
 * The driver is as hostile as its contract allows: it completes in any order, applies a write only when it completes, and a flush
 * makes durable only what had completed when it was submitted.
 */
import { success } from '../base/result.ts';
import type { Result } from '../base/result.ts';
import type {
  BlockClient,
  BlockOperation,
  BlockRequest,
  BlockStatus,
  CacheMode,
  RequestSource,
} from './block-backend.ts';
import type { BlockDriver, DriverDone, DriverFacts, DriverHost, DriverOperation } from './block-driver.ts';
import { BlockQueue } from './block-queue.ts';
import type { ErrorPolicy } from './error-policy.ts';
import { Random } from './random.ts';

export interface SimulationOptions {
  readonly seed: number;
  readonly steps: number;
  readonly clients: number;
  readonly depth: number;
  readonly bound: number;
  readonly cache: CacheMode;
  readonly errorPolicy: ErrorPolicy;
  /** Percent of completions that fail, and of which sort. */
  readonly errors: number;
  readonly noSpace: number;
}

export interface SimulationResult {
  /** What did not hold, in words. */
  readonly violations: readonly string[];
  readonly requests: number;
  readonly merges: number;
  readonly pauses: number;
  readonly resets: number;
  readonly cancelled: number;
}

const SECTOR = 512;
const SECTORS = 96;

interface Asked {
  readonly id: number;
  readonly client: number;
  readonly operation: BlockOperation;
  readonly first: number;
  readonly sectors: number;
  readonly request: BlockRequest;
  /** Of a flush: what each sector must at least hold on the medium when it completes. */
  acknowledged: Uint32Array | undefined;
  submitted: boolean;
  status: BlockStatus | undefined;
  cancelSaidTrue: boolean;
}

interface Pending {
  readonly operation: DriverOperation | undefined;
  readonly requests: readonly Asked[];
  /** Of a flush: the sectors as they were when it was submitted. */
  readonly snapshot: Uint32Array;
  readonly done: DriverDone;
}

class Simulation implements BlockDriver {
  readonly name = 'simulated';
  readonly copied = { copies: 0, copiedBytes: 0 };
  readonly options: SimulationOptions;
  readonly random: Random;
  readonly violations: string[] = [];
  /** By id. A sector holds the id of the request that wrote it last. */
  readonly asked: Asked[] = [];
  readonly #bySegment = new Map<ArrayBufferLike, Asked>();
  readonly #sectors = new Uint32Array(SECTORS);
  readonly #durable = new Uint32Array(SECTORS);
  /** What a write that completed left in each sector. */
  readonly #acknowledged = new Uint32Array(SECTORS);
  /** Sectors that some request which has not completed covers. */
  readonly #busy = new Uint8Array(SECTORS);
  readonly #available: Asked[][];
  readonly #lastSubmitted: number[];
  readonly #clients: BlockClient[];
  readonly #queue: BlockQueue;
  #pending: Pending[] = [];
  #clock = 0;
  #deferred = false;
  resets = 0;
  #resetting: boolean[];

  constructor(options: SimulationOptions) {
    this.options = options;
    this.random = new Random(options.seed);
    this.#available = Array.from({ length: options.clients }, () => []);
    this.#lastSubmitted = Array.from({ length: options.clients }, () => -1);
    this.#resetting = Array.from({ length: options.clients }, () => false);
    const opened: BlockQueue[] = [];
    BlockQueue.open(
      {
        id: 'simulated',
        driver: this,
        driverReason: '',
        format: 'raw',
        cache: options.cache,
        readOnly: false,
        errorPolicy: options.errorPolicy,
        bound: options.bound,
        now: () => (this.#clock += 0.001),
        defer: () => (this.#deferred = true),
      },
      (result) => {
        if (result.ok) opened.push(result.value);
      },
    );
    this.#queue = opened[0]!;
    this.#clients = this.#available.map((available, index) =>
      this.#queue.attach(sourceOf(available), `q${index}`),
    );
  }

  run(): SimulationResult {
    for (let step = 0; step < this.options.steps && this.violations.length === 0; step++) this.#step();
    this.#settle();
    return {
      violations: this.violations,
      requests: this.asked.length,
      merges: this.#clients.reduce((sum, client) => sum + client.counters.merges, 0),
      pauses: this.#queue.stats().driver.pauses,
      resets: this.resets,
      cancelled: this.asked.filter(({ status }) => status === 'cancelled').length,
    };
  }

  // --- the guest

  #step(): void {
    const { random } = this;
    const roll = random.below(100);
    if (roll < 45) this.#ask(random.below(this.options.clients));
    else if (roll < 55) this.#clients[random.below(this.options.clients)]!.kick();
    else if (roll < 88) this.#finishOne(true);
    else if (roll < 92) this.#cancelOne();
    else if (roll < 93) this.#resetOne(random.below(this.options.clients));
    else if (roll < 94) this.#drainOne(random.below(this.options.clients));
    else if (this.#deferred) {
      this.#deferred = false;
      this.#queue.service();
    } else if (random.chance(40)) this.#queue.resume();
  }

  /** One request, or a stream of some that continue each other. */
  #ask(client: number): void {
    const { random } = this;
    const operation = random.pick<BlockOperation>([
      'read',
      'read',
      'write',
      'write',
      'write',
      'flush',
      'write-zeroes',
    ]);
    const count = random.chance(50) ? 1 : 1 + random.below(8);
    let first = random.below(SECTORS);
    for (let index = 0; index < count; index++) {
      const sectors = 1 + random.below(3);
      if (operation !== 'flush' && !this.#free(first, sectors)) return;
      this.#add(client, operation, first, operation === 'flush' ? 0 : sectors);
      first += sectors;
      if (operation === 'flush') return;
    }
    if (random.chance(70)) this.#clients[client]!.kick();
  }

  /** Requests that overlap are in no order, so what they leave could not be told: the guest avoids them, as a file system does. */
  #free(first: number, sectors: number): boolean {
    for (let sector = first; sector < first + sectors; sector++) {
      if (sector >= SECTORS || this.#busy[sector] === 1) return false;
    }
    return true;
  }

  #add(client: number, operation: BlockOperation, first: number, sectors: number): void {
    const data = operation === 'read' || operation === 'write';
    const memory = new Uint8Array(data ? sectors * SECTOR : 0);
    const entry: Asked = {
      id: this.asked.length + 1,
      client,
      operation,
      first,
      sectors,
      request: {
        operation,
        offset: first * SECTOR,
        length: sectors * SECTOR,
        segments: data ? [memory] : [],
        unmap: false,
        complete: (status) => this.#completed(entry, status),
      },
      acknowledged: undefined,
      submitted: false,
      status: undefined,
      cancelSaidTrue: false,
    };
    if (operation === 'write') fill(memory, entry.id);
    if (data) this.#bySegment.set(memory.buffer, entry);
    // The guest makes it available now: what it knows to be written by now, the flush must cover.
    if (operation === 'flush') entry.acknowledged = Uint32Array.from(this.#acknowledged);
    this.#busy.fill(1, first, first + sectors);
    this.asked.push(entry);
    this.#available[client]!.push(entry);
  }

  #cancelOne(): void {
    const open = this.asked
      .filter(({ status }) => status === undefined)
      .filter((entry) => !this.#inSource(entry));
    if (open.length === 0) return;
    const entry = this.random.pick(open);
    const submitted = this.#pending.some(({ requests }) => requests.includes(entry));
    const said = this.#clients[entry.client]!.cancel(entry.request);
    if (said && submitted) this.#violation(`cancel of ${name(entry)} said true while it was in the driver`);
    if (said && entry.status !== 'cancelled')
      this.#violation(`cancel of ${name(entry)} said true without cancelling`);
  }

  #inSource(entry: Asked): boolean {
    return this.#available[entry.client]!.includes(entry);
  }

  #resetOne(client: number): void {
    if (this.#resetting[client]) return;
    this.resets++;
    this.#resetting[client] = true;
    this.#clients[client]!.reset(() => {
      this.#resetting[client] = false;
      const alive = this.#pending.some(({ requests }) => requests.some((entry) => entry.client === client));
      if (alive) this.#violation('a reset was over while the driver had a request');
      // As a device does: what was made available before the reset is forgotten.
      for (const entry of this.#available[client]!.splice(0)) this.#completed(entry, 'cancelled');
    });
  }

  #drainOne(client: number): void {
    this.#clients[client]!.drain(() => {
      if (this.#clients[client]!.inFlight > 0) this.#violation('a drain was over with requests in flight');
    });
  }

  #completed(entry: Asked, status: BlockStatus): void {
    if (entry.status !== undefined) return this.#violation(`${name(entry)} completed twice`);
    entry.status = status;
    this.#busy.fill(0, entry.first, entry.first + entry.sectors);
    if (status !== 'ok') return;
    const { first, sectors } = entry;
    for (let sector = first; sector < first + sectors; sector++) {
      switch (entry.operation) {
        case 'read':
          this.#checkRead(entry, sector);
          break;
        case 'write':
        case 'write-zeroes':
          this.#acknowledged[sector] = entry.id;
          this.#checkThrough(entry, sector);
          break;
        default:
          break;
      }
    }
    if (entry.operation === 'flush') this.#checkFlush(entry);
  }

  #checkRead(entry: Asked, sector: number): void {
    const memory = entry.request.segments[0]!;
    const at = (sector - entry.first) * SECTOR;
    const value = new DataView(memory.buffer).getUint32(at, true);
    if (value !== contentOf(this.asked, this.#sectors[sector]!)) {
      this.#violation(`${name(entry)} read ${value} in sector ${sector}`);
    }
  }

  #checkThrough(entry: Asked, sector: number): void {
    if (this.options.cache !== 'writethrough') return;
    if (this.#durable[sector]! < entry.id)
      this.#violation(`${name(entry)} completed without being on the medium`);
  }

  #checkFlush(entry: Asked): void {
    if (this.options.cache === 'unsafe') return;
    for (let sector = 0; sector < SECTORS; sector++) {
      if (this.#durable[sector]! < entry.acknowledged![sector]!) {
        return this.#violation(`${name(entry)} completed, but sector ${sector} is not on the medium`);
      }
    }
  }

  // --- the driver

  init(_host: DriverHost, done: (result: Result<DriverFacts>) => void): void {
    done(
      success({
        sizeBytes: SECTORS * SECTOR,
        readOnly: false,
        depth: this.options.depth,
        discardGranularity: 0,
        fastZeroes: false,
        physicalBlockSize: SECTOR,
      }),
    );
  }

  submit(operation: DriverOperation): void {
    const requests = this.#requestsOf(operation);
    if (this.#queue.paused !== undefined) this.#violation('submitted while paused');
    const again = requests.every(({ submitted }) => submitted);
    if (!again) this.#checkOrder(requests);
    for (const entry of requests) {
      if (entry.status !== undefined) this.#violation(`${name(entry)} was submitted after it completed`);
      entry.submitted = true;
    }
    const bytes = requests.reduce((sum, entry) => sum + entry.request.length, 0);
    if (bytes !== operation.length) this.#violation(`an operation of ${operation.length} bytes has ${bytes}`);
    this.#start({ operation, requests, snapshot: NOTHING, done: operation.done });
  }

  flush(done: DriverDone): void {
    this.#start({
      operation: undefined,
      requests: [],
      snapshot: Uint32Array.from(this.#sectors),
      done,
    });
  }

  cancel(operation: DriverOperation): boolean {
    const found = this.#pending.find((pending) => pending.operation === operation);
    if (found === undefined || this.random.chance(50)) return false;
    this.#pending = this.#pending.filter((pending) => pending !== found);
    found.done('cancelled');
    return true;
  }

  resize(_sizeBytes: number, done: DriverDone): void {
    done('unsupported');
  }

  close(done: DriverDone): void {
    if (this.#pending.length > 0) this.#violation('closed with operations in flight');
    done('ok');
  }

  #start(pending: Pending): void {
    this.#pending.push(pending);
    // Flushes of write-through are the queue's own and come on top.
    const data = this.#pending.filter(({ operation }) => operation !== undefined).length;
    if (data > this.options.depth) this.#violation(`${data} operations in the driver`);
    const taken = this.#clients.reduce((sum, client) => sum + client.inFlight, 0);
    if (taken > this.options.bound) this.#violation(`${taken} requests taken`);
    if (this.options.depth === 1) this.#finish(pending, false);
  }

  /** The guest's requests that an operation carries, told by their memory or, of zeroes, by their place. */
  #requestsOf(operation: DriverOperation): readonly Asked[] {
    if (operation.kind !== 'write-zeroes') {
      return operation.segments.map((segment) => this.#bySegment.get(segment.buffer)!);
    }
    const first = operation.offset / SECTOR;
    const end = first + operation.length / SECTOR;
    return this.asked.filter(
      (entry) =>
        entry.operation === 'write-zeroes' &&
        entry.status === undefined &&
        entry.first >= first &&
        entry.first < end,
    );
  }

  /** In the order of the source, and one operation never spans a flush or any other request in between. */
  #checkOrder(requests: readonly Asked[]): void {
    const { client } = requests[0]!;
    let last = this.#lastSubmitted[client]!;
    for (const [index, entry] of requests.entries()) {
      if (entry.client !== client) this.#violation('an operation has requests of two clients');
      if (entry.id <= last) this.#violation(`${name(entry)} was submitted after request ${last}`);
      if (index > 0) {
        const between = this.asked
          .slice(requests[index - 1]!.id, entry.id - 1)
          .filter((other) => other.client === client && other.status === undefined);
        if (between.length > 0) this.#violation(`${name(entry)} was merged across ${name(between[0]!)}`);
      }
      last = entry.id;
    }
    this.#lastSubmitted[client] = last;
  }

  #finishOne(mayFail: boolean): void {
    if (this.#pending.length > 0) this.#finish(this.random.pick(this.#pending), mayFail);
  }

  #finish(pending: Pending, mayFail: boolean): void {
    this.#pending = this.#pending.filter((other) => other !== pending);
    const { operation } = pending;
    if (mayFail && this.random.chance(this.options.errors)) return pending.done('io-error', 'a random error');
    if (mayFail && operation?.kind !== 'read' && this.random.chance(this.options.noSpace)) {
      return pending.done('no-space');
    }
    if (operation === undefined) {
      // A later flush may have completed first: what is on the medium stays there.
      for (let sector = 0; sector < SECTORS; sector++) {
        this.#durable[sector] = Math.max(this.#durable[sector]!, pending.snapshot[sector]!);
      }
    }
    for (const entry of pending.requests) {
      for (let sector = entry.first; sector < entry.first + entry.sectors; sector++) {
        if (entry.operation === 'read') {
          const memory = entry.request.segments[0]!;
          const value = contentOf(this.asked, this.#sectors[sector]!);
          new DataView(memory.buffer).setUint32((sector - entry.first) * SECTOR, value, true);
        } else this.#sectors[sector] = entry.id;
      }
    }
    pending.done('ok');
  }

  /** The end: errors stop, everything must come back. */
  #settle(): void {
    if (this.violations.length > 0) return;
    for (let round = 0; round < 10_000; round++) {
      if (this.#queue.paused !== undefined) this.#queue.resume();
      for (const client of this.#clients) client.kick();
      if (this.#pending.length === 0 && this.asked.every(({ status }) => status !== undefined)) break;
      this.#finishOne(false);
    }
    const lost = this.asked.filter(({ status }) => status === undefined);
    if (lost.length > 0) this.#violation(`${lost.length} requests never completed, first ${name(lost[0]!)}`);
    const closed: BlockStatus[] = [];
    this.#queue.close((status) => closed.push(status));
    while (this.#pending.length > 0) this.#finishOne(false);
    if (closed[0] !== 'ok') this.#violation(`the close gave ${closed[0]}`);
    for (let sector = 0; sector < SECTORS; sector++) {
      if (this.#durable[sector]! < this.#acknowledged[sector]!) {
        return this.#violation(`after the close sector ${sector} is not on the medium`);
      }
    }
  }

  #violation(text: string): void {
    this.violations.push(text);
  }
}

const NOTHING = new Uint32Array(0);

function sourceOf(available: Asked[]): RequestSource {
  return { next: () => available.shift()?.request, batchDone: () => {} };
}

function name(entry: Asked): string {
  return `${entry.operation} ${entry.id} of q${entry.client}`;
}

function fill(memory: Uint8Array, id: number): void {
  const data = new DataView(memory.buffer);
  for (let at = 0; at < memory.length; at += SECTOR) data.setUint32(at, id, true);
}

/** What a sector reads as that the request `id` wrote: its id, or zero. */
function contentOf(asked: readonly Asked[], id: number): number {
  return id === 0 || asked[id - 1]!.operation === 'write-zeroes' ? 0 : id;
}

export function simulateQueue(options: SimulationOptions): SimulationResult {
  return new Simulation(options).run();
}
