/** A disk in memory for device tests: pulls as the block queue does, and completes at once or when told. */
import type {
  BlockBackend,
  BlockClient,
  BlockProperties,
  BlockRequest,
  BlockStatus,
  RequestSource,
} from '../../block/block-backend.ts';

export class TestDisk {
  readonly data: Uint8Array;
  readonly log: string[] = [];
  readonly held: BlockRequest[] = [];
  /** Requests are kept until `release`. */
  holds = false;
  /** How many it takes before they complete. */
  bound = Infinity;
  status: BlockStatus = 'ok';
  writeCache = true;
  properties: BlockProperties;
  readonly #sources: RequestSource[] = [];
  /** Taken early, and not begun. */
  #taken: BlockRequest[] = [];
  #resized: () => void = () => {};
  #waiting: (() => void)[] = [];

  constructor(sectors: number, properties: Partial<BlockProperties> = {}) {
    this.data = new Uint8Array(sectors * 512);
    this.properties = {
      id: 'test',
      sizeBytes: sectors * 512,
      readOnly: false,
      blockSize: 512,
      physicalBlockSize: 4096,
      discardGranularity: 4096,
      fastZeroes: true,
      format: 'raw',
      driver: 'memory',
      driverReason: '',
      cache: 'writeback',
      ...properties,
    };
  }

  /** The parts of the interface that a device uses. */
  get backend(): BlockBackend {
    // oxlint-disable-next-line typescript/no-this-alias -- the getters below need the disk
    const disk = this;
    const used: Pick<BlockBackend, 'properties' | 'writeCache' | 'setWriteCache' | 'attach' | 'onResize'> = {
      get properties() {
        return disk.properties;
      },
      get writeCache() {
        return disk.writeCache;
      },
      setWriteCache: (enabled) => {
        disk.writeCache = enabled;
      },
      onResize: (listener) => {
        disk.#resized = listener;
        return () => {};
      },
      attach: (source) => disk.#attach(source),
    };
    return used as BlockBackend;
  }

  #attach(source: RequestSource): BlockClient {
    this.#sources.push(source);
    const client: Pick<BlockClient, 'take' | 'kick' | 'reset'> = {
      take: () => {
        for (let next = source.next(); next !== undefined; next = source.next()) this.#taken.push(next);
      },
      kick: () => this.#pull(source),
      reset: (then) => {
        if (this.held.length === 0) then();
        else this.#waiting.push(then);
      },
    };
    return client as BlockClient;
  }

  #pull(source: RequestSource): void {
    let completed = false;
    while (this.held.length < this.bound) {
      const request = this.#taken.shift() ?? source.next();
      if (request === undefined) break;
      this.log.push(`${request.operation} ${request.offset / 512}+${request.length / 512}`);
      if (this.holds) {
        this.held.push(request);
        continue;
      }
      this.carryOut(request);
      completed = true;
    }
    if (completed) source.batchDone();
  }

  carryOut(request: BlockRequest): void {
    let at = request.offset;
    if (this.status === 'ok') {
      for (const segment of request.segments) {
        if (request.operation === 'read') segment.set(this.data.subarray(at, at + segment.length));
        else this.data.set(segment, at);
        at += segment.length;
      }
      if (request.operation === 'write-zeroes')
        this.data.fill(0, request.offset, request.offset + request.length);
    }
    request.complete(this.status);
  }

  /** Completes what was held, in any order. */
  release(order: readonly number[] = this.held.map((_, n) => n)): void {
    const requests = order.map((n) => this.held[n]!);
    this.held.length = 0;
    for (const request of requests) this.carryOut(request);
    for (const source of this.#sources) source.batchDone();
    for (const then of this.#waiting.splice(0)) then();
    for (const source of this.#sources) this.#pull(source);
  }

  resize(sectors: number): void {
    this.properties = { ...this.properties, sizeBytes: sectors * 512 };
    this.#resized();
  }
}
