/** What a vCPU's thread offers to the page, carried by comlink. While the guest runs, only the shared words reach it. */
import type { DebugExitConfig } from '../config/vm-config.ts';

/** How a stay of the vCPU ended. */
export type VcpuStop =
  /** A STOP_* request was obeyed: registers and device state are in memory. */
  | { readonly kind: 'stopped' }
  | { readonly kind: 'power-off' }
  | { readonly kind: 'reset' }
  | { readonly kind: 'debug-exit'; readonly status: number }
  | { readonly kind: 'triple-fault' }
  /** A broken invariant of ours; the text goes into the report. */
  | { readonly kind: 'defect'; readonly message: string };

/** Where the time of the vCPU's thread went, in ms, and why it left generated code. */
export interface VcpuFigures {
  readonly decodeMs: number;
  readonly interpretMs: number;
  readonly haltedMs: number;
  readonly exits: Readonly<Record<string, number>>;
}

export interface VcpuSetup {
  readonly index: number;
  readonly memory: WebAssembly.Memory;
  readonly ramBytes: number;
  readonly vcpus: number;
  /** `performance.timeOrigin` of the page: the common zero of all threads' clocks. */
  readonly timeOrigin: number;
  readonly coreModule: WebAssembly.Module;
  readonly interpreterModule: WebAssembly.Module;
  readonly serialPorts: number;
  readonly jit: boolean;
  readonly debugExit?: DebugExitConfig;
}

/** `Entry` is the boot protocol's start state of the CPU; this folder only passes it on. */
export interface VcpuControl<Entry> {
  /** Builds the CPU and the devices of its thread. */
  prepare(setup: VcpuSetup): void;
  /** Power-on or reset: CPU and devices in their reset state, then the boot protocol's start state. */
  reset(entry: Entry): void;
  /** Runs the guest until it stops. */
  run(): Promise<VcpuStop>;
  figures(): VcpuFigures;
}
