/** What functions of the core do to the guest state that translated code keeps in locals. */
import type { CoreName } from '../layout/core-abi.ts';
import { REG_RAX, REG_RBP, REG_RBX, REG_RCX, REG_RDI, REG_RDX, REG_RSI, REG_RSP } from '../layout/vcpu.ts';

export interface Effects {
  /** General registers that it may write. */
  readonly registers: readonly number[];
  /** It may write XMM registers. */
  readonly vectors: boolean;
  readonly readsFlags: boolean;
  readonly writesFlags: boolean;
  /** It may run a device or use up the budget, so that has to be in memory. */
  readonly budget: boolean;
  /** It may change the current TLB, the mode or what FPU instructions may do. */
  readonly context: boolean;
  /** It writes guest memory and goes on, also if that was code. */
  readonly writesMemory: boolean;
  /** Its status is never STATUS_NEXT. */
  readonly terminal: boolean;
}

const NOTHING: Effects = {
  registers: [],
  vectors: false,
  readsFlags: false,
  writesFlags: false,
  budget: false,
  context: false,
  writesMemory: false,
  terminal: false,
};
const EVERYTHING: Effects = {
  registers: Array.from({ length: 16 }, (_, i) => i),
  vectors: true,
  readsFlags: true,
  writesFlags: true,
  budget: true,
  context: true,
  writesMemory: false,
  terminal: false,
};
const TRANSFER: Effects = { ...EVERYTHING, terminal: true };

const STRING = { ...NOTHING, budget: true };
const TSC = { ...NOTHING, registers: [REG_RAX, REG_RCX, REG_RDX], budget: true };

/** All that is not listed may do everything. */
const EFFECTS: Partial<Record<CoreName, Effects>> = {
  softwareInterrupt: TRANSFER,
  iret: TRANSFER,
  returnFar: TRANSFER,
  jumpFar: TRANSFER,
  callFar: TRANSFER,
  syscall: TRANSFER,
  sysret: TRANSFER,
  sysenter: TRANSFER,
  sysexit: TRANSFER,
  hlt: TRANSFER,
  loadSegment: { ...NOTHING, budget: true, context: true },
  segmentLinear: NOTHING,
  segmentSlow: NOTHING,
  checkCodeOffset: NOTHING,
  mulHighUnsigned: NOTHING,
  mulHighSigned: NOTHING,
  depositBits: NOTHING,
  random: NOTHING,
  extractBits: NOTHING,
  divide64: { ...NOTHING, registers: [REG_RAX, REG_RDX] },
  divideSigned64: { ...NOTHING, registers: [REG_RAX, REG_RDX] },
  materializeFlags: { ...NOTHING, readsFlags: true },
  readFlags: { ...NOTHING, readsFlags: true },
  writeFlags: { ...NOTHING, writesFlags: true, readsFlags: true, budget: true, context: true },
  cli: { ...NOTHING, budget: true },
  sti: { ...NOTHING, budget: true },
  writeAc: { ...NOTHING, context: true },
  checkFpu: NOTHING,
  checkCpl0: NOTHING,
  checkTail: NOTHING,
  sseCompute: NOTHING,
  compareStrings: NOTHING,
  maskedStore: { ...NOTHING, budget: true, writesMemory: true },
  loadMxcsr: NOTHING,
  fxsave: { ...NOTHING, budget: true, writesMemory: true },
  xsave: { ...NOTHING, budget: true, writesMemory: true },
  // FNSTSW AX, and FCOMI and its kind.
  x87Register: { ...NOTHING, registers: [REG_RAX], readsFlags: true, writesFlags: true },
  x87Memory: { ...NOTHING, budget: true, writesMemory: true },
  x87Add: NOTHING,
  x87Multiply: NOTHING,
  x87Divide: NOTHING,
  x87SquareRoot: NOTHING,
  x87Compare: NOTHING,
  x87CompareFlags: { ...NOTHING, writesFlags: true },
  x87LoadRegister: NOTHING,
  x87LoadConstant: NOTHING,
  x87Exchange: NOTHING,
  x87StoreRegister: NOTHING,
  x87Sign: NOTHING,
  x87StatusWord: { ...NOTHING, registers: [REG_RAX] },
  x87ConditionalMove: { ...NOTHING, readsFlags: true },
  x87Other: NOTHING,
  x87LoadExtended: { ...NOTHING, budget: true },
  x87LoadFloat: { ...NOTHING, budget: true },
  x87LoadInteger: { ...NOTHING, budget: true },
  x87StoreExtended: { ...NOTHING, budget: true, writesMemory: true },
  x87StoreFloat: { ...NOTHING, budget: true, writesMemory: true },
  x87StoreInteger: { ...NOTHING, budget: true, writesMemory: true },
  x87Operate: { ...NOTHING, budget: true },
  x87LoadControl: { ...NOTHING, budget: true },
  x87StoreWord: { ...NOTHING, budget: true, writesMemory: true },
  movs: { ...STRING, registers: [REG_RCX, REG_RSI, REG_RDI], writesMemory: true },
  stos: { ...STRING, registers: [REG_RCX, REG_RDI], writesMemory: true },
  lods: { ...STRING, registers: [REG_RAX, REG_RCX, REG_RSI] },
  cmps: { ...STRING, registers: [REG_RCX, REG_RSI, REG_RDI], readsFlags: true, writesFlags: true },
  scas: { ...STRING, registers: [REG_RCX, REG_RDI], readsFlags: true, writesFlags: true },
  enter: { ...NOTHING, registers: [REG_RSP, REG_RBP], budget: true, writesMemory: true },
  rdtsc: TSC,
  rdtscp: TSC,
  cpuid: { ...NOTHING, registers: [REG_RAX, REG_RBX, REG_RCX, REG_RDX], budget: true },
  readControl: { ...NOTHING, budget: true },
  invlpg: { ...NOTHING, context: true },
  swapgs: NOTHING,
  portIn: { ...NOTHING, budget: true },
  // A20 changes where addresses lead.
  portOut: { ...NOTHING, budget: true, context: true },
};

export function effectsOf(name: CoreName): Effects {
  return EFFECTS[name] ?? EVERYTHING;
}
