/**
 * 128-bit fractions for the transcendental functions, in the globals `wH` and `wL`. "Q" numbers have
 * one integer bit: value = w / 2^127, below 2. Products are truncated: each loses under 4 units of 2^-127.
 */
import { divide128, lastRemainder, low, multiply64 } from './softfloat80';

export let wH: u64 = 0;
export let wL: u64 = 0;
/** Power of two that goes with the normalised result of `divideWide` and `normalize`. */
export let wExp: i32 = 0;

export function setWide(high: u64, lowPart: u64): void {
  wH = high;
  wL = lowPart;
}

/** w = (w * b) >> 128. */
export function multiplyWide(bH: u64, bL: u64): void {
  const aH = wH;
  const aL = wL;
  let high = multiply64(aH, bH);
  let sum = low;
  if (bL != 0) {
    const part = multiply64(aH, bL);
    sum += part;
    high += u64(sum < part);
  }
  if (aL != 0) {
    const part = multiply64(aL, bH);
    sum += part;
    high += u64(sum < part);
  }
  wH = high;
  wL = sum;
}

/** w = w * b for Q numbers. */
// @ts-ignore: decorator
@inline function multiplyQ(bH: u64, bL: u64): void {
  multiplyWide(bH, bL);
  wH = (wH << 1) | (wL >> 63);
  wL <<= 1;
}

/** w = w / n for 0 < n < 2^32. */
function divideSmall(n: u64): void {
  const h = wH / n;
  let rest = ((wH - h * n) << 32) | (wL >> 32);
  const upper = rest / n;
  rest = ((rest - upper * n) << 32) | (wL & 0xffffffff);
  wH = h;
  wL = (upper << 32) | (rest / n);
}

/** w = w >> count, 0 <= count. */
export function shiftRightWide(count: i32): void {
  if (count == 0) return;
  if (count >= 128) {
    wH = 0;
    wL = 0;
  } else if (count >= 64) {
    wL = wH >> <u64>(count - 64);
    wH = 0;
  } else {
    wL = (wL >> <u64>count) | (wH << (<u64>(64 - count)));
    wH >>= <u64>count;
  }
}

/** Shifts w left until bit 127 is set; `wExp` = minus the shift. w is not 0. */
export function normalizeWide(): void {
  let shift: i32 = 0;
  if (wH == 0) {
    wH = wL;
    wL = 0;
    shift = 64;
  }
  const count = clz<u64>(wH);
  if (count != 0) {
    wH = (wH << count) | (wL >> (64 - count));
    wL <<= count;
  }
  wExp = -(shift + <i32>count);
}

/** w = w + q or w - q. */
export function addWide(high: u64, lowPart: u64): void {
  const sum = wL + lowPart;
  wH += high + u64(sum < lowPart);
  wL = sum;
}

export function subtractWide(high: u64, lowPart: u64): void {
  wH -= high + u64(wL < lowPart);
  wL -= lowPart;
}

/** w = (high:lowPart) - w. */
export function subtractFromWide(high: u64, lowPart: u64): void {
  const difference = lowPart - wL;
  wH = high - wH - u64(lowPart < wL);
  wL = difference;
}

/** One 64-bit digit of a long division: the remainder is in rH:rL, the divisor in bH:bL, rH:rL < bH:bL. */
let rH: u64 = 0;
let rL: u64 = 0;
function quotientDigit(bH: u64, bL: u64): u64 {
  // rH:rL:0 / bH:bL
  let digit: u64;
  let next: u64;
  if (rH >= bH) {
    digit = ~(<u64>0);
    // rest = rH:rL - digit * bH, in two words with rH == bH
    next = rL + bH;
    if (next < bH) {
      // The remainder does not fit 64 bits: digit is right already.
      const overHigh = multiply64(digit, bL);
      const overLow = low;
      rL = -overLow;
      rH = next - overHigh - u64(overLow != 0);
      return digit;
    }
  } else {
    digit = divide128(rH, rL, bH);
    next = lastRemainder();
  }
  let overHigh = multiply64(digit, bL);
  let overLow = low;
  // next:0 - digit * bL must not be negative.
  while (overHigh > next || (overHigh == next && overLow != 0)) {
    digit--;
    const borrow = u64(overLow < bL);
    overLow -= bL;
    overHigh -= borrow;
    const sum = next + bH;
    if (sum < bH) {
      rL = -overLow;
      rH = sum - overHigh - u64(overLow != 0);
      return digit;
    }
    next = sum;
  }
  rL = -overLow;
  rH = next - overHigh - u64(overLow != 0);
  return digit;
}

/** w = a / b for normalised a and b, normalised: the quotient is w / 2^127 * 2^wExp, with wExp 0 or -1. */
export function divideWide(aH: u64, aL: u64, bH: u64, bL: u64): void {
  if (aH > bH || (aH == bH && aL >= bL)) {
    rH = aH >> 1;
    rL = (aL >> 1) | (aH << 63);
    wExp = 0;
    // The bit that the shift lost is below what a 128-bit quotient shows.
  } else {
    rH = aH;
    rL = aL;
    wExp = -1;
  }
  const first = quotientDigit(bH, bL);
  wL = quotientDigit(bH, bL);
  wH = first;
}

// @ts-ignore: decorator
@inline const ONE: u64 = 0x8000000000000000;

/** How many terms of a series in z with factorials below give 90 bits. */
// @ts-ignore: decorator
@inline function factorialTerms(zH: u64): i32 {
  const zeros = clz<u64>(zH);
  return zeros < 5 ? 13 : zeros < 17 ? 9 : zeros < 41 ? 5 : 3;
}

/** w = sin(r) / r for z = r^2 (Q), r^2 < 0.62: 1 - z/3! + z^2/5! - ... */
export function sineSeries(zH: u64, zL: u64): void {
  setWide(ONE, 0);
  for (let n = factorialTerms(zH); n > 0; n--) {
    multiplyQ(zH, zL);
    divideSmall(<u64>(2 * n * (2 * n + 1)));
    subtractFromWide(ONE, 0);
  }
}

/** w = cos(r) for z = r^2 (Q): 1 - z/2! + z^2/4! - ... */
export function cosineSeries(zH: u64, zL: u64): void {
  setWide(ONE, 0);
  for (let n = factorialTerms(zH); n > 0; n--) {
    multiplyQ(zH, zL);
    divideSmall(<u64>(2 * n * (2 * n - 1)));
    subtractFromWide(ONE, 0);
  }
}

/** w = (e^y - 1) / y for |y| <= 0.7 (Q): 1 + y/2! + y^2/3! + ... */
export function exponentialSeries(yH: u64, yL: u64, negative: bool): void {
  const zeros = clz<u64>(yH);
  setWide(ONE, 0);
  for (let n = zeros < 4 ? 24 : zeros < 12 ? 16 : zeros < 30 ? 8 : 4; n > 1; n--) {
    multiplyQ(yH, yL);
    divideSmall(<u64>n);
    if (negative) subtractFromWide(ONE, 0);
    else addWide(ONE, 0);
  }
}

/** 1 / n as a Q number. */
// @ts-ignore: decorator
@inline function reciprocal(n: u64): void {
  setWide(ONE, 0);
  divideSmall(n);
}

/** w = atanh(s) / s for z = s^2 (Q) < 0.03, or atan(s) / s if `alternating`: 1 +- z/3 + z^2/5 +- ... */
export function oddSeries(zH: u64, zL: u64, alternating: bool): void {
  const zeros = clz<u64>(zH);
  let n = zeros < 8 ? 18 : zeros < 16 ? 12 : zeros < 40 ? 6 : 3;
  reciprocal(<u64>(2 * n + 1));
  for (; n > 0; n--) {
    multiplyQ(zH, zL);
    const tH = wH;
    const tL = wL;
    reciprocal(<u64>(2 * n - 1));
    if (alternating) subtractWide(tH, tL);
    else addWide(tH, tL);
  }
}

/** w = the square, as a Q number, of r = (w / 2^127) * 2^exp with exp < 0. */
export function squareWide(high: u64, lowPart: u64, exp: i32): void {
  setWide(high, lowPart);
  multiplyWide(high, lowPart);
  shiftRightWide(-2 * exp - 1);
}
