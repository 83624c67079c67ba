/** The exports of core.wasm: CORE_FUNCTIONS and CORE_CONTROL of src/layout/core-abi.ts. */
export { checkTail, holdsTail } from './crossing';
export { depositBits, divide64, divideSigned64, extractBits, mulHighSigned, mulHighUnsigned } from './arith';
export { flushBlocks, insertBlock, invalidateCode, markCode } from './blocks';
export {
  checkCpl0,
  checkFpu,
  cpuid,
  hlt,
  invlpg,
  random,
  rdmsr,
  rdpmc,
  rdtsc,
  rdtscp,
  readControl,
  readDebug,
  writeControl,
  writeDebug,
  wrmsr,
  xgetbv,
  xsetbv,
} from './control';
export { enter } from './enter';
export { deliverException, interruptVector, nonMaskableInterrupt, softwareInterrupt } from './events';
export { materializeFlags } from './flags';
export { fxrstor, fxsave, loadMxcsr, xrstor, xsave } from './fxstate';
export { kick } from './ioeventfd';
export { journal, swapBack, swapForward } from './journal';
export {
  commitWrite,
  faultAt,
  fetchSlow,
  leaveAt,
  readSlow,
  segmentSlow,
  rmwSlow,
  storeSlow,
  translateDebug,
  writeSlow,
} from './mmu';
export { recomputeMode as updateMode, reset } from './mode';
export { dropLinks, findRegion } from './links';
export { cli, portIn, portOut, readFlags, sti, writeAc, writeFlags } from './privilege';
export { checkCodeOffset, lar, loadLdt, loadSegment, loadTask, lsl, segmentLinear, verify } from './segments';
export { maskedStore, sseCompute } from './sse';
export { compareStrings } from './sse-string';
export { cmps, ins, lods, movs, outs, scas, stos } from './strings';
export { flushTlb } from './tlb';
export { callFar, iret, jumpFar, returnFar, swapgs, syscall, sysenter, sysexit, sysret } from './transfer';
export {
  x87Add,
  x87Compare,
  x87CompareFlags,
  x87ConditionalMove,
  x87Divide,
  x87Exchange,
  x87LoadConstant,
  x87LoadControl,
  x87LoadExtended,
  x87LoadFloat,
  x87LoadInteger,
  x87LoadRegister,
  x87Memory,
  x87Multiply,
  x87Operate,
  x87Other,
  x87Register,
  x87Sign,
  x87SquareRoot,
  x87StatusWord,
  x87StoreExtended,
  x87StoreFloat,
  x87StoreInteger,
  x87StoreRegister,
  x87StoreWord,
} from './x87fast';
