/**
 * Results of SSE arithmetic that raise no exception flag, by the host's own floating point: the operands are normal
 * or zero, so is the result, and it is exact, or PE is set and masked already. Guests whose
 * numbers are integers in disguise never set PE, so this is what they run on.
 */
import { MXCSR_PE, MXCSR_PM, MXCSR_RC, SSE_ADD, SSE_DIV, SSE_MUL, SSE_SQRT, SSE_SUB } from './generated/layout';

/** The bits of the last result found by `exactLane`. */
export let exactResult: u64 = 0;

/** Rounding to nearest, as the host rounds: asked once for all lanes. */
// @ts-ignore: decorator
@inline export function roundsAsHost(mxcsr: u32): bool {
  return (mxcsr & MXCSR_RC) == 0;
}

/** Whether a further inexact result would change nothing. */
// @ts-ignore: decorator
@inline function inexactIsSilent(mxcsr: u32): bool {
  return (mxcsr & (MXCSR_PE | MXCSR_PM)) == (MXCSR_PE | MXCSR_PM);
}

// @ts-ignore: decorator
@inline const MINIMUM_64: f64 = 2.2250738585072014e-308;
// @ts-ignore: decorator
@inline const MINIMUM_32: f64 = 1.1754943508222875e-38;

// @ts-ignore: decorator
@inline function isPlain(value: f64, minimum: f64): bool {
  const size = abs<f64>(value);
  return (size >= minimum && size < Infinity) || size == 0;
}

/** Trailing zero bits of the significand, of which 53 are there. */
// @ts-ignore: decorator
@inline function spareBits(value: f64): u64 {
  return min<u64>(ctz<u64>(reinterpret<u64>(value) | 0x0010000000000000), 52);
}

/** a + b = sum without an error (Knuth's TwoSum; nothing here over- or underflows unseen). */
// @ts-ignore: decorator
@inline function sumIsExact(a: f64, b: f64, sum: f64): bool {
  const part = sum - a;
  return a - (sum - part) + (b - part) == 0;
}

/** The significands of a and b have no more than 53 bits between them. */
// @ts-ignore: decorator
@inline function productIsExact(a: f64, b: f64): bool {
  return spareBits(a) + spareBits(b) >= 53;
}

/** True if the result of this lane is `exactResult` and raises nothing. `rounded` on in single precision. */
export function exactLane(operation: u32, double: bool, aBits: u64, bBits: u64, mxcsr: u32): bool {
  const a = double ? reinterpret<f64>(aBits) : <f64>reinterpret<f32>(<u32>aBits);
  const b = double ? reinterpret<f64>(bBits) : <f64>reinterpret<f32>(<u32>bBits);
  const minimum = double ? MINIMUM_64 : MINIMUM_32;
  if (!isPlain(b, minimum) || (operation != SSE_SQRT && !isPlain(a, minimum))) return false;
  let result: f64;
  let exact: bool;
  switch (operation) {
    case SSE_ADD:
      result = a + b;
      exact = sumIsExact(a, b, result);
      break;
    case SSE_SUB:
      result = a - b;
      exact = sumIsExact(a, -b, result);
      break;
    case SSE_MUL:
      result = a * b;
      if (result == 0 && a != 0 && b != 0) return false;
      exact = result == 0 || !double || productIsExact(a, b);
      break;
    case SSE_DIV:
      if (b == 0) return false;
      result = a / b;
      if (!double) result = <f64>(<f32>result);
      if (result == 0 && a != 0) return false;
      exact = result == 0 || ((!double || productIsExact(result, b)) && result * b == a);
      break;
    case SSE_SQRT:
      if (b < 0) return false;
      result = sqrt<f64>(b);
      if (!double) result = <f64>(<f32>result);
      exact = result == 0 || ((!double || productIsExact(result, result)) && result * result == b);
      break;
    default:
      return false;
  }
  if (!double) {
    // Rounding the double again is innocent: it has more than twice the bits of a single, plus two.
    const rounded = <f32>result;
    if (rounded == 0 && result != 0) return false;
    if (<f64>rounded != result) exact = false;
    result = <f64>rounded;
    exactResult = reinterpret<u32>(rounded);
  } else {
    exactResult = reinterpret<u64>(result);
  }
  // The smallest normal number may be the rounded form of a smaller one.
  const size = abs<f64>(result);
  if (size != 0 && !(size > minimum && size < Infinity)) return false;
  return exact || inexactIsSilent(mxcsr);
}
