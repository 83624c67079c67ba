/** What a vCPU's thread offers to the page, carried by comlink. While the guest runs, only the shared words reach it. */
import type { CpuFeature } from '../base/cpu-features.ts';
import type { DebugExitConfig, JitMode } from '../config/vm-config.ts';
import type { Hardware } from './hardware.ts';
import type { ExitInfo } from './info.ts';

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

/** What was translated; times in ms. */
export interface JitFigures {
  /** Translated since power-on; instructions are the guest's, bytes WebAssembly. */
  readonly regions: number;
  readonly modules: number;
  readonly bytes: number;
  readonly instructions: number;
  /** Of these, what is installed now. */
  readonly liveRegions: number;
  readonly liveModules: number;
  readonly liveBytes: number;
  /** Modules that had to go for newer ones. */
  readonly evicted: number;
  /** Pages whose code changed before their translation was there; pages translated again after their code changed. */
  readonly dropped: number;
  readonly retranslated: number;
  /** Pages whose regions were merged into one. */
  readonly merged: number;
  /** Hot blocks that were sent back as too many were waiting or their page is written often. */
  readonly postponed: number;
  /** Pages that wait or are being compiled: now, and at most. */
  readonly queue: number;
  readonly longestQueue: number;
  /** Turns of the event loop that answers of the compile worker were worth; 0 without one. */
  readonly turns: number;
  /** In the compiler, which may be another thread. */
  readonly translateMs: number;
  readonly compileMs: number;
  /** On the vCPU's thread. */
  readonly requestMs: number;
  readonly installMs: number;
}

/** Of `-jit verify`. */
export interface VerifyFigures {
  /** Runs of regions that were compared, and their instructions. */
  readonly runs: number;
  readonly instructions: number;
  /** Runs that were repeated as memory changed meanwhile. */
  readonly repeated: number;
  /** Runs that wrote too much to be compared. */
  readonly unverified: number;
}

/** Where the time of the vCPU's thread went, in ms, and why it left generated code. */
export interface VcpuFigures {
  readonly decodeMs: number;
  readonly interpretMs: number;
  readonly haltedMs: number;
  readonly jit: JitFigures;
  readonly verify?: VerifyFigures;
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
}
