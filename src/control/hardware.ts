/** Which virtio functions a machine has and which thread owns each: the same list on all threads, so that all make the same PCI bus. */
import type { DeviceConfig, DriveConfig, NetdevConfig } from '../config/devices.ts';

export interface VirtioFunction {
  /** Number among the machine's virtio devices: its block of the shared registers. */
  readonly slot: number;
  /** Device number on PCI bus 0. */
  readonly pciDevice: number;
  /** For messages and `info`: its id, or `virtio-blk0`. */
  readonly name: string;
  /** Device ID (virtio 1.2, chapter 5). */
  readonly type: number;
  readonly queues: number;
  /** THREAD_* of the thread that owns it. */
  readonly thread: number;
  readonly device: DeviceConfig;
}

export interface Hardware {
  readonly functions: readonly VirtioFunction[];
  readonly drives: readonly DriveConfig[];
  readonly netdevs: readonly NetdevConfig[];
  /** The threads that own something, with their names: `disk`, `net`, or that of an `-object iothread`. */
  readonly threads: readonly { readonly thread: number; readonly name: string }[];
}
