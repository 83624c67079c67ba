/** What a machine is made of, as its user asks for it. Names and units follow QEMU's options. */
import type { CpuFeature } from '../base/cpu-features.ts';
import { MIB } from '../base/units.ts';
import type { DeviceConfig, DriveConfig, NetdevConfig } from './devices.ts';

/** Where a serial port's other end is: the terminal (page or standard streams), or nowhere: no port. */
export type SerialBackend = 'stdio' | 'none';

/** QEMU's isa-debug-exit: a write of `value` ends the machine with exit code `(value << 1) | 1`. */
export interface DebugExitConfig {
  readonly port: number;
  readonly bytes: number;
}

/** `verify`: translated code is compared with the interpreter as it runs. */
export const JIT_MODES = ['off', 'on', 'verify'] as const;
export type JitMode = (typeof JIT_MODES)[number];

export interface FeatureChange {
  readonly feature: CpuFeature;
  readonly on: boolean;
}

export interface VmConfig {
  readonly memoryBytes: number;
  readonly cpus: number;
  /** What differs from the default CPU model. */
  readonly cpuFeatures: readonly FeatureChange[];
  /** File name or URL; the default guest's kernel if absent. */
  readonly kernel?: string;
  readonly initrd?: string;
  /** The default guest's command line if absent. */
  readonly commandLine?: string;
  /** By port: COM1 first. */
  readonly serial: readonly SerialBackend[];
  readonly debugExit?: DebugExitConfig;
  /** A reset ends the machine. */
  readonly noReboot: boolean;
  /** Whether hot guest code is translated; everything else is interpreted. */
  readonly jit: JitMode;
  readonly drives: readonly DriveConfig[];
  readonly netdevs: readonly NetdevConfig[];
  /** In the order in which they were given; drives with `if=virtio` have theirs behind these. */
  readonly devices: readonly DeviceConfig[];
  /** Threads for devices, by name, beside those that are there anyway. */
  readonly iothreads: readonly string[];
}

export const DEFAULT_CONFIG: VmConfig = {
  memoryBytes: 512 * MIB,
  cpus: 1,
  cpuFeatures: [],
  serial: ['stdio'],
  noReboot: false,
  jit: 'on',
  drives: [],
  netdevs: [],
  devices: [],
  iothreads: [],
};

/** Enough for a small kernel by PVH; Debian's needs 64 MiB to start at all. */
export const MEMORY_MIN_BYTES = 2 * MIB;
/** RAM ends below the PCI hole at 3 GiB, and the emulator's own state takes the first 64 MiB of the memory they share. */
export const MEMORY_MAX_BYTES = 3008 * MIB;
export const CPUS_MAX = 1;
export const SERIAL_PORTS_MAX = 1;
