/**
 * Between a device type (block, network, ...) and what hosts it. A device type knows neither transport nor doorbells:
 * it is told that a queue may have something, takes chains, and returns them.
 */
import type { GuestMemory } from '../memory/guest-memory.ts';
import type { DescriptorChain, QueueCounters } from './queue.ts';

export interface ConfigRange {
  readonly offset: number;
  readonly bytes: number;
}

/** What the driver can see of a device before it talks to it. */
export interface DeviceIdentity {
  /** For messages and `info`: `virtio-blk0`. */
  readonly name: string;
  /** Device ID (virtio 1.2, chapter 5). */
  readonly type: number;
  /** Largest size of each queue, a power of two. */
  readonly queueSizes: readonly number[];
  /** Feature bits offered beside those of ring and transport. */
  readonly features: readonly number[];
  /** Device configuration space as it is at power-on. */
  readonly config: Uint8Array;
  /** What the driver may write of it. */
  readonly writableConfig?: readonly ConfigRange[];
}

/** A queue as its device uses it. */
export interface DeviceQueue {
  readonly index: number;
  readonly size: number;
  /**
   * The next chain. When there is none (undefined) the driver has been asked for a kick, so the device need not look
   * again before that.
   */
  next(): DescriptorChain | undefined;
  /** Gives back the chain that was taken last. */
  giveBack(chain: DescriptorChain): void;
  /** Returns a chain; the driver sees it at the next `expose` or `flush`. */
  complete(chain: DescriptorChain, written: number): void;
  /** Shows the driver what was completed, for the case that it looks before the interrupt that `flush` decides on. */
  expose(): void;
  /** Shows the driver what was completed, with one interrupt if it wants one. */
  flush(): void;
  readonly inFlight: number;
  readonly counters: QueueCounters;
}

/** What a device may take of one queue before others on its thread get theirs. */
export interface ServingTurn {
  /** After a chain of so many bytes: false ends the turn. The device then calls `serveAgain` and returns. */
  goesOn(bytes: number): boolean;
}

/** What a device may do while a driver uses it: from `start` to the end of `stop`. */
export interface DeviceContext {
  readonly memory: GuestMemory;
  /** Negotiated. */
  hasFeature(bit: number): boolean;
  /** Undefined: the driver has not enabled it. */
  queue(index: number): DeviceQueue | undefined;
  /** A driver on another CPU can fill a queue for as long as it likes, and the thread has other devices and a STOP to look at. */
  turn(): ServingTurn;
  serveAgain(index: number): void;
  /** The driver did what makes it impossible to go on (2.1.2). */
  needsReset(reason: string): void;
}

/** What a device may do at any time. */
export interface DeviceHostLink {
  /** Changes configuration space, bumps its generation and tells the driver. */
  updateConfig(change: (config: DataView) => void): void;
}

export interface VirtioDevice {
  readonly identity: DeviceIdentity;
  /** Called once, before the machine runs. */
  connect(host: DeviceHostLink): void;
  /** The driver is ready (DRIVER_OK), or kicked as if it were (legacy). */
  start(context: DeviceContext): void;
  /**
   * Queue `index` may have chains: it was kicked or enabled. Only between `start` and `stop`. `popped`: a vCPU waits until the device
   * has popped the queue. A device whose work may keep the thread calls it before that; for others it is called when `serve` returns.
   */
  serve(index: number, popped?: () => void): void;
  /**
   * Reset: takes no more chains, and calls `then` once nothing touches guest memory any more. Chains that the
   * device still holds may be dropped.
   */
  stop(then: () => void): void;
  /** The driver wrote to a writable part of configuration space. */
  configWritten?(config: DataView): void;
}
