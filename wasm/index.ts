/** The exports of core.wasm: CORE_FUNCTIONS and CORE_CONTROL of src/layout/core-abi.ts. */
export { divide64, divideSigned64, mulHighSigned, mulHighUnsigned } from './arith';
export { flushBlocks, insertBlock, invalidateCode, markCode } from './blocks';
export { materializeFlags } from './flags';
export { commitWrite, fetchSlow, readSlow, rmwSlow, translateDebug, writeSlow } from './mmu';
export { reset, updateMode } from './mode';
export {
  checkCodeOffset,
  lar,
  loadLdt,
  loadSegment,
  loadTask,
  lsl,
  segmentLinear,
  verify,
} from './segments';
export { flushTlb } from './tlb';
export { x87Memory, x87Register } from './x87';
export { fxrstor, fxsave, loadMxcsr, xrstor, xsave } from './fxstate';
export * from './stubs';
