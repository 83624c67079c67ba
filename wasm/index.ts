/** The exports of core.wasm: CORE_FUNCTIONS and CORE_CONTROL of src/layout/core-abi.ts. */
export { divide64, divideSigned64, mulHighSigned, mulHighUnsigned } from './arith';
export { materializeFlags } from './flags';
export * from './stubs';
