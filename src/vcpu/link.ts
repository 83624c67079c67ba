/** Instantiates the core and the interpreter for one vCPU over the shared memory. */

import { tableFingerprint } from '../isa/pairs.ts';

/**
 * What the core calls on its vCPU's thread (`HOST_IMPORTS` in layout/core-abi.ts). Values of up to
 * 8 bytes travel in `VCPU.scratch`; addresses arrive as i32 and are unsigned.
 */
export interface HostCalls {
  mmioRead(cpu: number, gpa: number, size: number): void;
  mmioWrite(cpu: number, gpa: number, size: number): void;
  portRead(cpu: number, port: number, size: number): number;
  portWrite(cpu: number, port: number, size: number, value: number): void;
  cpuid(cpu: number): void;
  /** 0 = done, 1 = #GP. */
  readMsr(cpu: number): number;
  writeMsr(cpu: number): number;
  /** The guest's TSC, an integer. */
  tsc(cpu: number): number;
  /** 8 bytes. */
  random(cpu: number): void;
  taskPriority(cpu: number): number;
  setTaskPriority(cpu: number, value: number): void;
}

/** The exports of the core that TypeScript calls (`CORE_CONTROL`), and what tests call. */
export interface CoreExports {
  reset(cpu: number): void;
  updateMode(cpu: number): void;
  flushTlb(cpu: number, keepGlobal: number): void;
  flushBlocks(cpu: number): void;
  dropLinks(cpu: number): void;
  markCode(cpu: number, gpa: number, bytes: number): void;
  insertBlock(cpu: number, block: number): void;
  invalidateCode(cpu: number, gpa: number, bytes: number): void;
  /** STATUS_*. */
  interruptVector(cpu: number, vector: number): number;
  nonMaskableInterrupt(cpu: number): number;
  /** Guest-physical address or -1. */
  translateDebug(cpu: number, linear: bigint): number;
  deliverException(cpu: number): number;
  fetchSlow(cpu: number, linear: bigint): number;
  materializeFlags(cpu: number): bigint;
  swapBack(cpu: number, from: number, to: number): void;
  swapForward(cpu: number, from: number, to: number): void;
  kick(cpu: number, space: number, gpa: number, bytes: number, value: bigint): number;
}

export interface InterpreterExports {
  /** Runs from rip until an EXIT_*. */
  run(cpu: number): number;
  /** The same, entering `block` first. */
  runBlock(cpu: number, block: number): number;
  tableFingerprint(): number;
}

export interface Linked {
  readonly core: CoreExports;
  readonly interpreter: InterpreterExports;
  /** Translated regions by slot. */
  readonly regions: Pick<WebAssembly.Table, 'set'>;
  /** What a module of regions imports. */
  readonly regionImports: WebAssembly.Imports;
}

/** Slots for translated regions; slot 0 stays empty, as 0 means that a block has none. */
export const REGION_SLOTS = 16384;

export function link(
  memory: WebAssembly.Memory,
  coreModule: WebAssembly.Module,
  interpreterModule: WebAssembly.Module,
  host: HostCalls,
): Linked {
  const regions = new WebAssembly.Table({ element: 'anyfunc', initial: REGION_SLOTS });
  const env = { memory, regions };
  const imports = host as unknown as WebAssembly.ModuleImports;
  const core = new WebAssembly.Instance(coreModule, { env, host: imports }).exports;
  const interpreter = new WebAssembly.Instance(interpreterModule, { env, core }).exports;
  if ((interpreter as unknown as InterpreterExports).tableFingerprint() !== tableFingerprint()) {
    throw new Error('interpreter.wasm belongs to another instruction table: build it anew (npm run setup)');
  }
  return {
    core: core as unknown as CoreExports,
    interpreter: interpreter as unknown as InterpreterExports,
    regions,
    regionImports: { env, core, interpreter },
  };
}
