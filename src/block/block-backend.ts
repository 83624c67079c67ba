/**
 * What a disk device sees of its disk. The device parses descriptors into requests; the backend carries them out and knows
 * neither descriptors nor guest addresses.
 *
 * Requests are *pulled*: a device offers a `RequestSource` per queue and says with `kick()` that it may have
 * something. The backend takes a request only when it can submit it now, or merge it into what it submits now.
 * Everything runs on the thread that owns the disk, by callbacks: that thread sleeps in `Atomics.wait`, where
 * no promise resolves.
 */

/** Everything in a request is counted in bytes; devices whose unit is the sector use this one. */
export const SECTOR_BYTES = 512;

/**
 * - `read`, `write`: `segments` hold exactly `length` bytes.
 * - `flush`: everything that *completed* before it was submitted is on the medium when it completes. It orders nothing
 *   else and holds up nothing. No offset, length or segments.
 * - `discard`: the bytes are no longer needed; what they read as afterwards is not defined. No segments.
 * - `write-zeroes`: the bytes read as zero afterwards. `unmap` allows freeing their space. No segments.
 */
export type BlockOperation = 'read' | 'write' | 'flush' | 'discard' | 'write-zeroes';

/**
 * - `io-error`: the medium failed, or the range lies outside the disk.
 * - `no-space`: the host has no room. Only seen by devices where `werror=report`; else the backend pauses instead.
 * - `unsupported`: the disk cannot do this (a write to a read-only disk, discard where it is not offered).
 * - `cancelled`: taken out before it was carried out, on request.
 */
export type BlockStatus = 'ok' | 'io-error' | 'no-space' | 'unsupported' | 'cancelled';

export interface BlockRequest {
  readonly operation: BlockOperation;
  /** In bytes from the start of the disk; a multiple of `blockSize`, as is `length`. */
  readonly offset: number;
  readonly length: number;
  /**
   * Where the data goes or comes from, in order: views of the shared memory (or of any other), used in place. They must stay
   * valid until `complete`. The guest may write to them meanwhile: nothing here decides by their contents.
   */
  readonly segments: readonly Uint8Array[];
  /** Of `write-zeroes`: the space may be freed. */
  readonly unmap: boolean;
  /**
   * Called exactly once, on the disk's thread, possibly from within `kick()`. Whatever the status, bytes of a read's segments may
   * have changed: the device accounts for that (dirty pages, decoded code) here, before it publishes the result.
   * May call anything of the backend.
   */
  complete(status: BlockStatus): void;
}

/** A queue of requests, oldest first: one virtqueue, or one job of the user. */
export interface RequestSource {
  /** Takes the oldest request out of the queue; undefined if there is none. The backend now owes it a `complete`. */
  next(): BlockRequest | undefined;
  /** A batch of completions is over: the place to raise one interrupt for all of them. */
  batchDone(): void;
}

/**
 * - `guest`: served in turn, one request of each at a time.
 * - `job`: import, export, prefetch: served while no guest source has anything, one request at a time (JOB_BYTES at most).
 */
export type SourcePriority = 'guest' | 'job';

/** The most that a request of a job may carry, so that the guest never waits long behind one. */
export const JOB_BYTES = 256 * 1024;

/** A source's connection to the disk. */
export interface BlockClient {
  /**
   * Takes what the source has now and begins none of it: a `kick()` must follow. For a source that must be empty before the work, which
   * a driver may do at once, is done.
   */
  take(): void;
  /** The source may have requests. Also ends the state that `drain` leaves behind. */
  kick(): void;
  /**
   * Takes a request out if it has not reached the driver: completes it with `cancelled` and returns true.
   * Otherwise false: it completes by itself, as `cancelled` where the driver could stop it.
   */
  cancel(request: BlockRequest): boolean;
  /**
   * Takes no more requests until the next `kick()`, and calls `then` once all those taken have completed
   * (at once if there are none). While the disk is paused for want of space this waits for `resume()`.
   */
  drain(then: () => void): void;
  /**
   * The same, but what is not in the driver is cancelled, also while paused: for a device reset. When `then` runs, nothing
   * touches any segment any more.
   */
  reset(then: () => void): void;
  /** Requests that were taken and have not completed. */
  readonly inFlight: number;
  readonly counters: QueueCounters;
  /** Ends the connection: `reset`, and no `kick` works any more. */
  detach(then: () => void): void;
}

export const CACHE_MODES = ['writeback', 'writethrough', 'none', 'unsafe'] as const;
export type CacheMode = (typeof CACHE_MODES)[number];

export interface BlockProperties {
  /** The disk's name, for messages and `info block`. */
  readonly id: string;
  /** Multiple of `blockSize`. */
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  /** Logical block: offsets and lengths are multiples of it. */
  readonly blockSize: number;
  /** Below this size a write costs a read-modify-write or a whole call; 0 = nothing known. */
  readonly physicalBlockSize: number;
  /** Alignment and unit of discard, in bytes; 0 = the disk has no discard and must not offer it. */
  readonly discardGranularity: number;
  /** Zeroing takes no longer than a write of the same size, and may free space. Always possible on a writable disk. */
  readonly fastZeroes: boolean;
  readonly format: string;
  /** Name of the AIO driver in use, and a sentence that says why it is that one. */
  readonly driver: string;
  readonly driverReason: string;
  readonly cache: CacheMode;
}

/** A disk that stopped because a request failed and `werror` or `rerror` says so. */
export interface BlockPause {
  readonly id: string;
  readonly status: 'no-space' | 'io-error';
  /** A sentence for the user. */
  readonly message: string;
}

export interface BlockBackend {
  /** The present ones; only the size changes. */
  readonly properties: BlockProperties;
  attach(source: RequestSource, name: string, priority?: SourcePriority): BlockClient;
  /**
   * False = write-through: a write completes when it is on the medium. For guests that did not negotiate FLUSH or
   * switched the cache off. True at start, unless `cache=writethrough`. No effect with `cache=unsafe`.
   */
  setWriteCache(enabled: boolean): void;
  readonly writeCache: boolean;
  /** Called after the size has changed, on the disk's thread; returns what ends that. */
  onResize(listener: () => void): () => void;
  onPause(listener: (pause: BlockPause) => void): () => void;
  /** Set while the disk is paused: requests are kept, in order, until `resume()`. */
  readonly paused: BlockPause | undefined;
  /** Submits again what failed, in order, and goes on. */
  resume(): void;
  /** Continues work that was cut short to let the thread look at its other events; see `QueueOptions.defer`. */
  service(): void;
  /** Grows the disk. */
  resize(sizeBytes: number, then: (status: BlockStatus) => void): void;
  /** All clients drained, then everything flushed to the medium. */
  drain(then: (status: BlockStatus) => void): void;
  /** Resets all clients, flushes, and closes the driver. */
  close(then: (status: BlockStatus) => void): void;
  stats(): BlockStats;
}

/** Counted per source. Plain numbers that only grow. */
export interface QueueCounters {
  reads: number;
  writes: number;
  flushes: number;
  discards: number;
  zeroes: number;
  readBytes: number;
  writtenBytes: number;
  /** Requests that travelled in another one's driver call. */
  merges: number;
  errors: number;
  cancelled: number;
}

/** Times in microseconds from the moment when a request was taken until its completion. */
export interface LatencySummary {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** Counted per driver. */
export interface DriverCounters {
  /** Operations submitted to the driver, flushes apart. */
  operations: number;
  flushes: number;
  /** Flushes that had nothing to do: no write had completed since the last one, or `cache=unsafe`. */
  flushesSkipped: number;
  /** Operations whose data went through a bounce buffer, and their bytes. */
  copies: number;
  copiedBytes: number;
  readBytes: number;
  writtenBytes: number;
  errors: number;
  /** Times that the disk paused for want of space or on an error. */
  pauses: number;
  /** Most operations that were in the driver at once. */
  deepest: number;
}

export interface BlockStats {
  readonly properties: BlockProperties;
  readonly paused: boolean;
  /** Writes have completed that are not on the medium yet, as far as we know. */
  readonly dirty: boolean;
  readonly driver: Readonly<DriverCounters>;
  /** Per driver operation. */
  readonly operationLatency: LatencySummary;
  readonly flushLatency: LatencySummary;
  readonly queues: readonly {
    readonly name: string;
    readonly priority: SourcePriority;
    readonly inFlight: number;
    readonly counters: Readonly<QueueCounters>;
    readonly latency: LatencySummary;
  }[];
  /** What last went wrong, in words; empty if nothing did. */
  readonly lastProblem: string;
}
