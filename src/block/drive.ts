/**
 * A drive: what a disk device is connected to for as long as it exists. A medium may be put in and taken out while the guest runs;
 * without one, the disk has no sectors and every request fails.
 */
import type {
  BlockBackend,
  BlockClient,
  BlockPause,
  BlockProperties,
  BlockRequest,
  BlockStats,
  BlockStatus,
  QueueCounters,
  RequestSource,
  SourcePriority,
} from './block-backend.ts';
import { SECTOR_BYTES } from './block-backend.ts';
import { newQueueCounters } from './counters.ts';
import { Listeners } from './listeners.ts';
import type { OpenDisk } from './open-disk.ts';

/** One source, which keeps its place when the medium changes. */
class DriveClient implements BlockClient {
  readonly source: RequestSource;
  readonly name: string;
  readonly priority: SourcePriority;
  /** What was counted on media that are gone. */
  readonly #past: QueueCounters = newQueueCounters();
  readonly #onDetach: () => void;
  client: BlockClient | undefined;

  constructor(source: RequestSource, name: string, priority: SourcePriority, onDetach: () => void) {
    this.source = source;
    this.name = name;
    this.priority = priority;
    this.#onDetach = onDetach;
  }

  connect(backend: BlockBackend): void {
    this.client = backend.attach(this.source, this.name, this.priority);
  }

  /** The medium goes: what it has not carried out is cancelled. */
  disconnect(then: () => void): void {
    const { client } = this;
    this.client = undefined;
    if (client === undefined) return then();
    client.detach(() => {
      const last = client.counters;
      for (const key of Object.keys(last) as (keyof QueueCounters)[]) this.#past[key] += last[key];
      then();
    });
  }

  /** Without a medium `kick` refuses them, which takes no time. */
  take(): void {
    this.client?.take();
  }

  kick(): void {
    if (this.client === undefined) this.#refuse();
    else this.client.kick();
  }

  /** No medium: as QEMU answers. */
  #refuse(): void {
    for (let request = this.source.next(); request !== undefined; request = this.source.next()) {
      this.#past.errors++;
      request.complete('io-error');
    }
    this.source.batchDone();
  }

  cancel(request: BlockRequest): boolean {
    return this.client?.cancel(request) ?? false;
  }

  drain(then: () => void): void {
    if (this.client === undefined) then();
    else this.client.drain(then);
  }

  reset(then: () => void): void {
    if (this.client === undefined) then();
    else this.client.reset(then);
  }

  get inFlight(): number {
    return this.client?.inFlight ?? 0;
  }

  get counters(): QueueCounters {
    const sum = { ...this.#past };
    const now = this.client?.counters;
    if (now !== undefined)
      for (const key of Object.keys(sum) as (keyof QueueCounters)[]) sum[key] += now[key];
    return sum;
  }

  detach(then: () => void): void {
    this.#onDetach();
    this.disconnect(then);
  }
}

export class Drive implements BlockBackend {
  readonly id: string;
  /** What the guest is told when it starts, and every medium is opened as. */
  readonly isReadOnly: boolean;
  readonly #clients = new Set<DriveClient>();
  readonly #resized = new Listeners<undefined>();
  readonly #pauses = new Listeners<BlockPause>();
  #disk: OpenDisk | undefined;
  #forget: (() => void)[] = [];
  #guestCache = true;

  constructor(id: string, isReadOnly: boolean) {
    this.id = id;
    this.isReadOnly = isReadOnly;
  }

  get medium(): OpenDisk | undefined {
    return this.#disk;
  }

  /** There must be none yet. */
  insert(disk: OpenDisk): void {
    const { backend } = disk;
    this.#disk = disk;
    this.#forget = [
      backend.onResize(() => this.#resized.emit(undefined)),
      backend.onPause((pause) => this.#pauses.emit(pause)),
    ];
    if (!this.#guestCache) backend.setWriteCache(false);
    for (const client of this.#clients) client.connect(backend);
    // A disk of another size, as far as the guest can see.
    this.#resized.emit(undefined);
  }

  /** Cancels what is under way, flushes and closes the medium. */
  eject(then: (status: BlockStatus) => void): void {
    const disk = this.#disk;
    if (disk === undefined) return then('ok');
    this.#disk = undefined;
    for (const forget of this.#forget.splice(0)) forget();
    let left = this.#clients.size + 1;
    const gone = (): void => {
      if (--left === 0) disk.close(then);
    };
    for (const client of this.#clients) client.disconnect(gone);
    this.#resized.emit(undefined);
    gone();
  }

  /** To be called on the disk's thread when it was woken. */
  poll(): void {
    this.#disk?.poll();
  }

  get properties(): BlockProperties {
    return this.#disk?.backend.properties ?? noMedium(this);
  }

  attach(source: RequestSource, name: string, priority: SourcePriority = 'guest'): BlockClient {
    const client: DriveClient = new DriveClient(source, name, priority, () => this.#clients.delete(client));
    this.#clients.add(client);
    if (this.#disk !== undefined) client.connect(this.#disk.backend);
    return client;
  }

  setWriteCache(enabled: boolean): void {
    this.#guestCache = enabled;
    this.#disk?.backend.setWriteCache(enabled);
  }

  get writeCache(): boolean {
    return this.#disk?.backend.writeCache ?? this.#guestCache;
  }

  onResize(listener: () => void): () => void {
    return this.#resized.add(listener);
  }

  onPause(listener: (pause: BlockPause) => void): () => void {
    return this.#pauses.add(listener);
  }

  get paused(): BlockPause | undefined {
    return this.#disk?.backend.paused;
  }

  resume(): void {
    this.#disk?.backend.resume();
  }

  service(): void {
    this.#disk?.backend.service();
  }

  resize(sizeBytes: number, then: (status: BlockStatus) => void): void {
    if (this.#disk === undefined) then('unsupported');
    else this.#disk.backend.resize(sizeBytes, then);
  }

  drain(then: (status: BlockStatus) => void): void {
    if (this.#disk === undefined) then('ok');
    else this.#disk.backend.drain(then);
  }

  close(then: (status: BlockStatus) => void): void {
    this.eject(then);
  }

  stats(): BlockStats {
    return this.#disk?.backend.stats() ?? { ...NO_STATS, properties: noMedium(this) };
  }
}

function noMedium({ id, isReadOnly }: Drive): BlockProperties {
  return {
    id,
    sizeBytes: 0,
    readOnly: isReadOnly,
    blockSize: SECTOR_BYTES,
    physicalBlockSize: 0,
    discardGranularity: 0,
    fastZeroes: false,
    format: 'none',
    driver: 'none',
    driverReason: 'There is no medium in the drive.',
    cache: 'writeback',
  };
}

const NO_LATENCY = { count: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 };
const NO_STATS: Omit<BlockStats, 'properties'> = {
  paused: false,
  dirty: false,
  driver: {
    operations: 0,
    flushes: 0,
    flushesSkipped: 0,
    copies: 0,
    copiedBytes: 0,
    readBytes: 0,
    writtenBytes: 0,
    errors: 0,
    pauses: 0,
    deepest: 0,
  },
  operationLatency: NO_LATENCY,
  flushLatency: NO_LATENCY,
  queues: [],
  lastProblem: '',
};
