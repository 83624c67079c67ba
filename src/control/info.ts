/** What `info block`, `info aio`, `info ioeventfd`, `info exits` and `info stats` tell, as data: texts are made of it where they are shown. */
import type { JitFigures, VerifyFigures } from './figures.ts';
import type { Profile } from './regions.ts';

/** In microseconds; of the requests since power-on. */
export interface LatencyInfo {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface DiskQueueInfo {
  readonly name: string;
  /** Whether the guest works through it, or a job of the user. */
  readonly priority: 'guest' | 'job';
  readonly inFlight: number;
  readonly reads: number;
  readonly writes: number;
  readonly flushes: number;
  readonly discards: number;
  readonly zeroes: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly merges: number;
  readonly errors: number;
  readonly cancelled: number;
  readonly latency: LatencyInfo;
}

export interface DiskInfo {
  readonly drive: string;
  /** Undefined: there is no medium in the drive. */
  readonly medium?: MediumInfo;
}

export interface MediumInfo {
  /** What the user called it. */
  readonly name: string;
  readonly format: string;
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly aio: string;
  /** Why it is this AIO driver, in a sentence. */
  readonly aioReason: string;
  readonly cache: string;
  /** Whether a write may complete before it is on the medium. */
  readonly writeCache: boolean;
  readonly discardGranularity: number;
  readonly paused: boolean;
  /** The guest has written what is not on the medium yet. */
  readonly dirty: boolean;
  readonly lastProblem: string;
  readonly warning?: string;
  readonly driver: {
    readonly operations: number;
    readonly flushes: number;
    readonly flushesSkipped: number;
    readonly copies: number;
    readonly copiedBytes: number;
    readonly readBytes: number;
    readonly writtenBytes: number;
    readonly errors: number;
    readonly pauses: number;
    readonly deepest: number;
    readonly latency: LatencyInfo;
    readonly flushLatency: LatencyInfo;
  };
  readonly queues: readonly DiskQueueInfo[];
}

export interface NetInfo {
  readonly device: string;
  readonly hub: number;
  readonly mac: string;
  readonly linkUp: boolean;
  readonly sentFrames: number;
  readonly sentBytes: number;
  readonly receivedFrames: number;
  readonly receivedBytes: number;
  readonly dropped: number;
  readonly malformed: number;
  readonly tooLarge: number;
  readonly filtered: number;
}

export interface IoeventfdInfo {
  readonly device: string;
  readonly setting: 'on' | 'off' | 'auto';
  readonly enabled: boolean;
  /** Why, in a sentence. */
  readonly reason: string;
  /** Waits of the vCPU for this device: to look at a queue, and for anything else. */
  readonly synchronousKicks: number;
  readonly synchronousExits: number;
  readonly queues: readonly {
    readonly queue: number;
    readonly state: 'deassigned' | 'assigned' | 'offlimits';
    /** Wanted, but the table was full. */
    readonly lacksSlot: boolean;
    /** Kicks that rang a doorbell, without leaving WebAssembly. */
    readonly kicks: number;
    /** Kicks that had to wake the thread. */
    readonly notifies: number;
    readonly chains: number;
    readonly interrupts: number;
    /** Used buffers that the driver wanted no interrupt for. */
    readonly suppressed: number;
  }[];
}

export interface IothreadInfo {
  readonly name: string;
  readonly wakeups: number;
  /** Sleeps that polling has spared. */
  readonly pollHits: number;
  readonly doorbells: number;
  readonly exits: number;
  /** In ms since it started: how long it slept, and how long it is there. */
  readonly waitedMs: number;
  readonly aliveMs: number;
}

/**
 * Accesses that left the guest's code for a device, by range of addresses; and what of them went on to the thread that owns the
 * device.
 */
export interface ExitInfo {
  readonly name: string;
  /** On the vCPU's thread; by the device's, for which the vCPU waits; by the device's, while the guest runs on. */
  readonly served: 'vcpu' | 'ordered' | 'posted';
  /** `thread`: `start` is the number of the thread that was asked. */
  readonly space: 'port' | 'memory' | 'thread';
  readonly start: number;
  readonly size: number;
  readonly reads: number;
  readonly writes: number;
  /** 0 for what is posted: a doorbell is rung without a look at the clock. */
  readonly nanoseconds: number;
}

export interface DeviceInfo {
  readonly disks: readonly DiskInfo[];
  readonly net: readonly NetInfo[];
  readonly ioeventfd: readonly IoeventfdInfo[];
  readonly iothreads: readonly IothreadInfo[];
}

export interface MachineInfo extends DeviceInfo {
  readonly exits: readonly ExitInfo[];
  /** Undefined until the vCPU's thread has been asked. */
  readonly jit: JitFigures | undefined;
  readonly verify?: VerifyFigures | undefined;
  /** Only while it is taken (`Machine.startProfile`). */
  readonly profile?: Profile;
}
