/**
 * The `code` of the core function `sseCompute`: an operation SSE_*, a format, the number of lanes and an
 * immediate. It is called wherever the operators of WebAssembly alone do not give the result, an exception
 * flag or a rounding mode of the SSE instruction.
 */

/** Bits 0-7: the operation. Lane by lane, a and b in the format, unless it says otherwise. */
export const SSE_ADD = 0;
export const SSE_SUB = 1;
export const SSE_MUL = 2;
export const SSE_DIV = 3;
/** Of b. */
export const SSE_SQRT = 4;
export const SSE_MIN = 5;
export const SSE_MAX = 6;
/** Immediate: predicate 0-7 of CMPPS. */
export const SSE_COMPARE = 7;
/** Of b; immediate as ROUNDPS. */
export const SSE_ROUND = 8;
/** Immediate as DPPS. */
export const SSE_DOT = 9;
/** Even lanes subtract, odd lanes add. */
export const SSE_ADDSUB = 10;
/** Of b. */
export const SSE_RECIPROCAL = 11;
export const SSE_RECIPROCAL_ROOT = 12;
/** Scalar; the result is the flags image of COMISS. Immediate 1: quiet NaNs are no exception (UCOMISS). */
export const SSE_ORDER = 13;
/** Conversions of b, named by their source; the format is that of the result. */
export const SSE_FROM_F32 = 14;
export const SSE_FROM_F64 = 15;
export const SSE_FROM_I32 = 16;
export const SSE_FROM_I64 = 17;
/** Conversions of b to integers; the format is that of the source. Immediate 1: truncate. */
export const SSE_TO_I32 = 18;
export const SSE_TO_I64 = 19;

/** Bit 8: the format is double, else single precision. */
export const SSE_DOUBLE = 0x100;
/** Bits 12-14: number of lanes. */
export const SSE_LANES_SHIFT = 12;
/** Bits 16-23: immediate. */
export const SSE_IMMEDIATE_SHIFT = 16;

export const MXCSR_IE = 1;
export const MXCSR_DE = 2;
export const MXCSR_ZE = 4;
export const MXCSR_OE = 8;
export const MXCSR_UE = 0x10;
export const MXCSR_PE = 0x20;
export const MXCSR_DAZ = 0x40;
/** The six masks, in the order of the flags. */
export const MXCSR_MASKS = 0x1f80;
export const MXCSR_PM = 0x1000;
export const MXCSR_RC = 0x6000;
export const MXCSR_FTZ = 0x8000;
