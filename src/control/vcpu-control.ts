/** What a vCPU's thread offers to the page, carried by comlink. While the guest runs, only the shared words reach it. */
import type { CpuFeature } from '../base/cpu-features.ts';
import type { DebugExitConfig, JitMode } from '../config/vm-config.ts';
import type { VcpuFigures } from './figures.ts';
import type { Hardware } from './hardware.ts';
import type { ExitInfo } from './info.ts';
import type { InstalledRegion } from './regions.ts';

/** How a stay of the vCPU ended. */
export type VcpuStop =
  /** A STOP_* request was obeyed: registers and device state are in memory. */
  | { readonly kind: 'stopped' }
  | { readonly kind: 'power-off' }
  | { readonly kind: 'reset' }
  | { readonly kind: 'debug-exit'; readonly status: number }
  | { readonly kind: 'triple-fault' }
  /** `-jit verify`: translated code did not what the interpreter does. */
  | { readonly kind: 'disagreement'; readonly report: string }
  /** A broken invariant of ours; the text goes into the report. */
  | { readonly kind: 'defect'; readonly message: string };

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
  readonly jit: JitMode;
  /** Leads to the compile worker; without it the vCPU's thread compiles. */
  readonly compiler?: MessagePort;
  readonly hardware: Hardware;
  readonly cpuFeatures: ReadonlySet<CpuFeature>;
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
  /** Between stays, as `figures`. */
  exits(): readonly ExitInfo[];
  regions(): readonly InstalledRegion[];
}
