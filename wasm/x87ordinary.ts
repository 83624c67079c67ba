/**
 * Arithmetic of the x87 for the ordinary case: rounding to nearest with 64 bits, all exceptions masked, operands and
 * results that are normalised numbers (or zeros, where that is said). Nothing has been written if a function answers
 * NOT_ORDINARY; softfloat80.ts knows all cases.
 */
import { VCPU_fpu, VCPU_fpuControl } from './generated/layout';
import {
  COMPARE_EQUAL,
  COMPARE_GREATER,
  COMPARE_LESS,
  INTEGER_BIT,
  PE,
  ROUNDED_UP,
  rootFraction,
  squareRoot128,
} from './softfloat80';
import { STATUS_C1 } from './x87state';

/** Control word: all exceptions masked, precision of 64 bits, to nearest. */
// @ts-ignore: decorator
@inline const CONTROL_MASK: u32 = 0x0f3f;
// @ts-ignore: decorator
@inline const CONTROL_ORDINARY: u32 = 0x033f;
// @ts-ignore: decorator
@inline export const BIAS: u32 = 16383;
/** In place of a status word: the operands or the result are not ordinary. */
// @ts-ignore: decorator
@inline export const NOT_ORDINARY: u32 = 0xffffffff;

/** Whether the control word asks for what the functions here do. */
// @ts-ignore: decorator
@inline export function ordinaryControl(cpu: i32): bool {
  return (load<u16>(cpu, VCPU_fpuControl) & CONTROL_MASK) == CONTROL_ORDINARY;
}

/** Writes a number to the register at an address (for offset VCPU_fpu). */
// @ts-ignore: decorator
@inline export function put(register: i32, se: u32, sig: u64): void {
  store<u64>(register, sig, VCPU_fpu);
  store<u64>(register, se, VCPU_fpu + 8);
}

/** Two finite numbers that are neither zero nor denormal, in their normal form. */
// @ts-ignore: decorator
@inline function areOrdinary(aSe: u32, aSig: u64, bSe: u32, bSig: u64): bool {
  return isOrdinaryExponent(aSe & 0x7fff) && isOrdinaryExponent(bSe & 0x7fff) && <i64>(aSig & bSig) < 0;
}

// @ts-ignore: decorator
@inline export function isOrdinaryExponent(exp: u32): bool {
  return exp - 1 < 0x7ffe;
}

// @ts-ignore: decorator
@inline export function isZero(se: u32, sig: u64): bool {
  return (<u64>(se & 0x7fff) | sig) == 0;
}

/** Whether a number whose discarded bits are `rest` is rounded up to nearest, ties to even: 1 or 0. */
// @ts-ignore: decorator
@inline export function roundsUp(high: u64, rest: u64): u64 {
  return (rest >> 63) & (u64(rest << 1 != 0) | (high & 1));
}

/** Writes a result, rounded by adding `up`, to a physical register. The new status word, or NOT_ORDINARY. */
// @ts-ignore: decorator
@inline function conclude(
  status: u32,
  register: i32,
  sign: u32,
  exp: u32,
  high: u64,
  up: u64,
  inexact: bool,
): u32 {
  let sig = high + up;
  if (sig < up) {
    sig = INTEGER_BIT;
    exp++;
  }
  if (!isOrdinaryExponent(exp)) return NOT_ORDINARY;
  put(register, sign | exp, sig);
  return (status & ~STATUS_C1) | (inexact ? PE : 0) | (<u32>up * ROUNDED_UP);
}

/** a + b into a physical register; b may be zero, or a, or both. */
// @ts-ignore: decorator
@inline export function sum(status: u32, register: i32, aSe: u32, aSig: u64, bSe: u32, bSig: u64): u32 {
  if (!areOrdinary(aSe, aSig, bSe, bSig)) return sumWithZero(status, register, aSe, aSig, bSe, bSig);
  let exp = aSe & 0x7fff;
  let distance = <i32>exp - <i32>(bSe & 0x7fff);
  let big = aSig;
  let small = bSig;
  let sign = aSe & 0x8000;
  if (distance < 0 || (distance == 0 && small > big)) {
    big = bSig;
    small = aSig;
    sign = bSe & 0x8000;
    exp = bSe & 0x7fff;
    distance = -distance;
  }
  // The smaller one, shifted to the exponent of the larger; what falls out stays visible in the last bit.
  let high: u64;
  let rest: u64;
  if (distance < 64) {
    high = small >> <u64>distance;
    rest = distance == 0 ? 0 : small << <u64>-distance;
  } else {
    high = 0;
    rest = distance == 64 ? small : distance < 128 ? (small >> <u64>distance) | u64(small << <u64>-distance != 0) : 1;
  }
  if (((aSe ^ bSe) & 0x8000) == 0) {
    high += big;
    if (high < big) {
      rest = (high << 63) | (rest >> 1) | (rest & 1);
      high = (high >> 1) | INTEGER_BIT;
      exp++;
    }
  } else {
    high = big - high - u64(rest != 0);
    rest = -rest;
    if (<i64>high >= 0) {
      if (high == 0) {
        if (rest == 0) {
          put(register, 0, 0);
          return status & ~STATUS_C1;
        }
        high = rest;
        rest = 0;
        exp -= 64;
      }
      const shift = clz<u64>(high);
      if (shift != 0) {
        high = (high << shift) | (rest >> (64 - shift));
        rest <<= shift;
        exp -= <u32>shift;
      }
    }
  }
  return conclude(status, register, sign, exp, high, roundsUp(high, rest), rest != 0);
}

function sumWithZero(status: u32, register: i32, aSe: u32, aSig: u64, bSe: u32, bSig: u64): u32 {
  const aZero = isZero(aSe, aSig);
  const bZero = isZero(bSe, bSig);
  if (aZero && bZero) {
    // A negative zero needs two of them.
    put(register, aSe & bSe & 0x8000, 0);
    return status & ~STATUS_C1;
  }
  if (bZero && isOrdinaryExponent(aSe & 0x7fff) && <i64>aSig < 0) {
    put(register, aSe, aSig);
    return status & ~STATUS_C1;
  }
  if (aZero && isOrdinaryExponent(bSe & 0x7fff) && <i64>bSig < 0) {
    put(register, bSe, bSig);
    return status & ~STATUS_C1;
  }
  return NOT_ORDINARY;
}

/** The upper half of a product. */
// @ts-ignore: decorator
@inline function upperProduct(a: u64, b: u64): u64 {
  const aLow = a & 0xffffffff;
  const aHigh = a >> 32;
  const bLow = b & 0xffffffff;
  const bHigh = b >> 32;
  const middle = aHigh * bLow + ((aLow * bLow) >> 32);
  return aHigh * bHigh + (middle >> 32) + ((aLow * bHigh + (middle & 0xffffffff)) >> 32);
}

/** a * b into a physical register. */
// @ts-ignore: decorator
@inline export function product(status: u32, register: i32, aSe: u32, aSig: u64, bSe: u32, bSig: u64): u32 {
  const sign = (aSe ^ bSe) & 0x8000;
  if (!areOrdinary(aSe, aSig, bSe, bSig)) return NOT_ORDINARY;
  let exp = (aSe & 0x7fff) + (bSe & 0x7fff) - (BIAS - 1);
  let high = upperProduct(aSig, bSig);
  let rest = aSig * bSig;
  if (<i64>high >= 0) {
    high = (high << 1) | (rest >> 63);
    rest <<= 1;
    exp--;
  }
  return conclude(status, register, sign, exp, high, roundsUp(high, rest), rest != 0);
}

/** One 32-bit digit of a quotient, by Knuth's algorithm D: rest : next / divisor, with rest < divisor. */
// @ts-ignore: decorator
@inline function digit(rest: u64, next: u64, divisor: u64): u64 {
  const upper = divisor >> 32;
  const lower = divisor & 0xffffffff;
  let q = rest / upper;
  let r = rest - q * upper;
  // At most two steps.
  while (q >> 32 != 0 || q * lower > ((r << 32) | next)) {
    q--;
    r += upper;
    if (r >> 32 != 0) break;
  }
  return q;
}

/** a / b into a physical register. */
export function quotient(status: u32, register: i32, aSe: u32, aSig: u64, bSe: u32, bSig: u64): u32 {
  if (!areOrdinary(aSe, aSig, bSe, bSig)) return NOT_ORDINARY;
  const sign = (aSe ^ bSe) & 0x8000;
  let exp = (aSe & 0x7fff) - (bSe & 0x7fff) + BIAS;
  let rest = aSig;
  let next: u64 = 0;
  if (aSig >= bSig) {
    rest = aSig >> 1;
    next = aSig << 63 >> 32;
  } else {
    exp--;
  }
  const first = digit(rest, next, bSig);
  rest = ((rest << 32) | next) - first * bSig;
  const second = digit(rest, 0, bSig);
  rest = (rest << 32) - second * bSig;
  // Half way between two numbers no quotient of such numbers can be.
  const up = u64(rest > bSig - rest);
  return conclude(status, register, sign, exp, (first << 32) + second, up, rest != 0);
}

/** The order of two ordinary numbers or zeros, as condition codes. */
// @ts-ignore: decorator
@inline export function order(aSe: u32, aSig: u64, bSe: u32, bSig: u64): u32 {
  if (aSe == bSe && aSig == bSig) return COMPARE_EQUAL;
  if (((aSe ^ bSe) & 0x8000) != 0) {
    if ((aSig | bSig) == 0) return COMPARE_EQUAL;
    return (aSe & 0x8000) != 0 ? COMPARE_LESS : COMPARE_GREATER;
  }
  const less = aSe == bSe ? aSig < bSig : aSe < bSe;
  return less != ((aSe & 0x8000) != 0) ? COMPARE_LESS : COMPARE_GREATER;
}

// @ts-ignore: decorator
@inline export function isComparable(se: u32, sig: u64): bool {
  return (isOrdinaryExponent(se & 0x7fff) && <i64>sig < 0) || isZero(se, sig);
}


/** The square root of an ordinary number that is not negative, into a physical register. */
export function squareRoot(status: u32, register: i32, exp: u32, sig: u64): u32 {
  const unbiased = <i32>exp - <i32>BIAS;
  const odd = (unbiased & 1) != 0;
  const root = squareRoot128(odd ? sig : sig >> 1, odd ? 0 : sig << 63);
  const rest = rootFraction;
  const result = <u32>((unbiased >> 1) + <i32>BIAS);
  return conclude(status, register, 0, result, root, roundsUp(root, rest), rest != 0);
}
