/** What a thread that owns devices offers to the page, carried by comlink. */
import type { Result } from '../base/result.ts';
import type { Switch } from '../config/devices.ts';
import type { Hardware } from './hardware.ts';
import type { DiskInfo, IoeventfdInfo, IothreadInfo, NetInfo } from './info.ts';

export interface IoSetup {
  readonly thread: number;
  readonly memory: WebAssembly.Memory;
  readonly ramBytes: number;
  readonly vcpus: number;
  /** `performance.timeOrigin` of the page. */
  readonly timeOrigin: number;
  readonly hardware: Hardware;
  /** Files that the user gave to the machine, by the name in `DriveConfig.file`. */
  readonly files: Readonly<Record<string, File>>;
  /** The most that a disk in memory, or a cache, may take. */
  readonly memoryLimitBytes: number;
}

/** A medium for a drive. */
export type Medium =
  /** An image in the browser's storage; made with so many bytes if there is none. */
  | { readonly kind: 'image'; readonly name: string; readonly createBytes?: number }
  /** A file of the user, read in place. */
  | { readonly kind: 'file'; readonly file: File }
  | { readonly kind: 'memory'; readonly bytes: number };

/** To the thread that owns the disk. */
export type DriveCommand =
  /** A read-only medium needs a drive that the guest takes for read-only. */
  | { readonly kind: 'attach'; readonly drive: string; readonly medium: Medium; readonly readOnly: boolean }
  | { readonly kind: 'eject'; readonly drive: string }
  | { readonly kind: 'resize'; readonly drive: string; readonly bytes: number };

export type IoCommand =
  | DriveCommand
  /** After `device` a device's name, or all of them. */
  | { readonly kind: 'ioeventfd'; readonly device?: string; readonly setting: Switch }
  /** Disks that stopped on an error try again. */
  | { readonly kind: 'resume-disks' }
  /** Everything that the devices hold is given up: nothing of them touches guest memory any more when it resolves. */
  | { readonly kind: 'reset-devices' };

export interface IoInfo {
  readonly disks: readonly DiskInfo[];
  readonly net: readonly NetInfo[];
  readonly ioeventfd: readonly IoeventfdInfo[];
  readonly thread: IothreadInfo;
}

/** Why a thread of devices needs attention; sent as messages of their own, as the thread waits in `Atomics.wait`. */
export type IoEvent =
  /** Something that the user must know before relying on a disk. */
  | { readonly kind: 'disk-warning'; readonly drive: string; readonly message: string }
  /** A disk has stopped on an error; everything is kept until `resume-disks`. */
  | { readonly kind: 'disk-paused'; readonly drive: string; readonly message: string }
  /** A driver in the guest did what its device cannot go on from. */
  | { readonly kind: 'device-problem'; readonly message: string };

export interface IoControl {
  /** Opens the disks and builds the devices. */
  prepare(setup: IoSetup): Promise<Result<undefined>>;
  /** Serves the devices until the thread is told to quit; the disks are closed then. */
  run(): Promise<void>;
  /** At any time: while the thread waits, give it CAUSE_MAIL after the call. */
  command(command: IoCommand): Promise<Result<undefined>>;
  info(): Promise<IoInfo>;
  /** Flushes and closes the disks: nothing is served any more. */
  close(): Promise<Result<undefined>>;
}
