/**
 * Arithmetic on the 80-bit extended-precision format, bit-exact with the x87: IEEE 754-1985 with the
 * x87's own rules for precision control, pseudo-denormals, unsupported encodings, NaNs and unmasked
 * overflow and underflow (AMD64 APM volume 1, chapter 6; Intel SDM volume 1, chapter 8).
 *
 * A number travels as `se` (sign in bit 15, biased exponent in bits 0-14) and `sig` (integer bit in
 * bit 63). A result is left in the globals `rSe`, `rSig` and `rFlags`, because WebAssembly functions of
 * AssemblyScript return one value and there is no heap.
 */

/** Exception flags at their places in the status word. */
// @ts-ignore: decorator
@inline export const IE: u32 = 0x01;
// @ts-ignore: decorator
@inline export const DE: u32 = 0x02;
// @ts-ignore: decorator
@inline export const ZE: u32 = 0x04;
// @ts-ignore: decorator
@inline export const OE: u32 = 0x08;
// @ts-ignore: decorator
@inline export const UE: u32 = 0x10;
// @ts-ignore: decorator
@inline export const PE: u32 = 0x20;
/** Condition code C1: the result was rounded away from zero. */
// @ts-ignore: decorator
@inline export const ROUNDED_UP: u32 = 0x200;

// @ts-ignore: decorator
@inline export const ROUND_NEAREST: u32 = 0;
// @ts-ignore: decorator
@inline export const ROUND_DOWN: u32 = 1;
// @ts-ignore: decorator
@inline export const ROUND_UP: u32 = 2;
// @ts-ignore: decorator
@inline export const ROUND_CHOP: u32 = 3;

// @ts-ignore: decorator
@inline export const INTEGER_BIT: u64 = 0x8000000000000000;
// @ts-ignore: decorator
@inline const QUIET_BIT: u64 = 0x4000000000000000;
/** The "real indefinite" QNaN. */
// @ts-ignore: decorator
@inline export const INDEFINITE_SE: u32 = 0xffff;
// @ts-ignore: decorator
@inline export const INDEFINITE_SIG: u64 = 0xc000000000000000;
// @ts-ignore: decorator
@inline const BIAS: i32 = 16383;
/** What an unmasked overflow or underflow adds to or takes from the exponent of its result. */
// @ts-ignore: decorator
@inline const WRAP: i32 = 24576;

/** The result of the last operation, and the exceptions that it met. */
export let rSe: u32 = 0;
export let rSig: u64 = 0;
export let rFlags: u32 = 0;

/** The second half of a 128-bit result whose first half was returned. */
export let low: u64 = 0;
/** The remainder of the last `divide128`. */
let remainder: u64 = 0;

/** Exponent and significand of the last operand that `unpack` normalised. */
let uExp: i32 = 0;
let uSig: u64 = 0;

export function setResult(se: u32, sig: u64): void {
  rSe = se;
  rSig = sig;
}

export function clearFlags(): void {
  rFlags = 0;
}

export function addFlags(flags: u32): void {
  rFlags |= flags;
}

export function dropFlags(flags: u32): void {
  rFlags &= ~flags;
}

export function invalid(): void {
  rSe = INDEFINITE_SE;
  rSig = INDEFINITE_SIG;
  rFlags |= IE;
}

/** High 64 bits of a 128-bit product; the low ones go to `low`. */
export function multiply64(a: u64, b: u64): u64 {
  const aLow = a & 0xffffffff;
  const aHigh = a >> 32;
  const bLow = b & 0xffffffff;
  const bHigh = b >> 32;
  const ll = aLow * bLow;
  const lh = aLow * bHigh;
  const hl = aHigh * bLow;
  const middle = (ll >> 32) + (lh & 0xffffffff) + (hl & 0xffffffff);
  low = (middle << 32) | (ll & 0xffffffff);
  return aHigh * bHigh + (lh >> 32) + (hl >> 32) + (middle >> 32);
}

/**
 * (high:lowPart) / divisor for high < divisor and divisor with bit 63 set: Knuth's algorithm D with
 * 32-bit digits. The remainder goes to `remainder`.
 */
export function divide128(high: u64, lowPart: u64, divisor: u64): u64 {
  const dHigh = divisor >> 32;
  const dLow = divisor & 0xffffffff;
  let q1 = high / dHigh;
  let r = high - q1 * dHigh;
  const next = lowPart >> 32;
  while (q1 >> 32 != 0 || q1 * dLow > ((r << 32) | next)) {
    q1--;
    r += dHigh;
    if (r >> 32 != 0) break;
  }
  const rest = ((high << 32) | next) - q1 * divisor;
  let q0 = rest / dHigh;
  r = rest - q0 * dHigh;
  const last = lowPart & 0xffffffff;
  while (q0 >> 32 != 0 || q0 * dLow > ((r << 32) | last)) {
    q0--;
    r += dHigh;
    if (r >> 32 != 0) break;
  }
  remainder = ((rest << 32) | last) - q0 * divisor;
  return (q1 << 32) + q0;
}

export function lastRemainder(): u64 {
  return remainder;
}

// @ts-ignore: decorator
@inline export function isNaN80(se: u32, sig: u64): bool {
  return (se & 0x7fff) == 0x7fff && sig << 1 != 0 && sig >> 63 != 0;
}

// @ts-ignore: decorator
@inline export function isSignaling(se: u32, sig: u64): bool {
  return isNaN80(se, sig) && (sig & QUIET_BIT) == 0;
}

// @ts-ignore: decorator
@inline export function isInfinity(se: u32, sig: u64): bool {
  return (se & 0x7fff) == 0x7fff && sig == INTEGER_BIT;
}

/** Unnormals, pseudo-infinities and pseudo-NaNs: an exponent without its integer bit. */
// @ts-ignore: decorator
@inline export function isUnsupported(se: u32, sig: u64): bool {
  return (se & 0x7fff) != 0 && sig >> 63 == 0;
}

// @ts-ignore: decorator
@inline export function isZero(se: u32, sig: u64): bool {
  return (se & 0x7fff) == 0 && sig == 0;
}

/** Denormals and pseudo-denormals. */
// @ts-ignore: decorator
@inline export function isDenormal(se: u32, sig: u64): bool {
  return (se & 0x7fff) == 0 && sig != 0;
}

/** Splits a finite nonzero number so that bit 63 of `uSig` is set. */
// @ts-ignore: decorator
@inline function unpack(se: u32, sig: u64): void {
  const exp = <i32>(se & 0x7fff);
  if (exp == 0) {
    rFlags |= DE;
    const shift = clz<u64>(sig);
    uExp = 1 - <i32>shift;
    uSig = sig << shift;
  } else {
    uExp = exp;
    uSig = sig;
  }
}

/** A NaN as the single operand: itself, quiet. */
export function propagateOne(se: u32, sig: u64): void {
  if ((sig & QUIET_BIT) == 0) rFlags |= IE;
  rSe = se;
  rSig = sig | QUIET_BIT;
}

/**
 * Deals with unsupported encodings and NaNs among two operands (APM volume 1, 6.3.4): true if the
 * result is decided. Of two NaNs the one with the larger significand wins, of equal ones the positive;
 * a quiet one wins over a signaling one.
 */
export function decideByNaN(aSe: u32, aSig: u64, bSe: u32, bSig: u64): bool {
  if (isUnsupported(aSe, aSig) || isUnsupported(bSe, bSig)) {
    invalid();
    return true;
  }
  const aNaN = isNaN80(aSe, aSig);
  const bNaN = isNaN80(bSe, bSig);
  if (!aNaN && !bNaN) return false;
  const aSignals = aNaN && (aSig & QUIET_BIT) == 0;
  const bSignals = bNaN && (bSig & QUIET_BIT) == 0;
  if (aSignals || bSignals) rFlags |= IE;
  let takeA = aNaN;
  if (aNaN && bNaN) {
    if (aSignals != bSignals) takeA = bSignals;
    else if (aSig != bSig) takeA = aSig > bSig;
    else takeA = aSe < bSe;
  }
  rSe = takeA ? aSe : bSe;
  rSig = (takeA ? aSig : bSig) | QUIET_BIT;
  return true;
}

/** Significant bits that precision control (control word bits 8-9) asks for; the reserved value means 64. */
// @ts-ignore: decorator
@inline function precisionOf(cw: u32): u32 {
  const pc = (cw >> 8) & 3;
  return pc == 0 ? 24 : pc == 2 ? 53 : 64;
}

/** Whether rounding adds one unit, for the discarded part `rest` of which `half` is one half unit. */
// @ts-ignore: decorator
@inline function roundsUp(rc: u32, sign: u32, odd: bool, rest: u64, half: u64): bool {
  if (rc == ROUND_NEAREST) return rest > half || (rest == half && odd);
  if (rc == ROUND_DOWN) return sign != 0 && rest != 0;
  if (rc == ROUND_UP) return sign == 0 && rest != 0;
  return false;
}

/** Shifts high:low right by `count` > 0; bits that fall out of the low word stay visible in its bit 0. */
let jamLow: u64 = 0;
function shiftRightJam(high: u64, lowPart: u64, count: u32): u64 {
  if (count < 64) {
    const lost = lowPart << (64 - count);
    jamLow = (high << (64 - count)) | (lowPart >> count) | u64(lost != 0);
    return high >> count;
  }
  if (count == 64) {
    jamLow = high | u64(lowPart != 0);
    return 0;
  }
  if (count < 128) {
    const lost = (high << (128 - count)) | lowPart;
    jamLow = (high >> (count - 64)) | u64(lost != 0);
    return 0;
  }
  jamLow = u64((high | lowPart) != 0);
  return 0;
}

/** Rounded significand of the last `roundAt` and whether it carried out of bit 63. */
let roundedSig: u64 = 0;
let roundedCarry: bool = false;
let roundedInexact: bool = false;
let roundedUp: bool = false;
function roundAt(rc: u32, sign: u32, high: u64, lowPart: u64, precision: u32): void {
  let up: bool;
  let kept: u64;
  let unit: u64;
  let rest: u64;
  if (precision == 64) {
    rest = lowPart;
    kept = high;
    unit = 1;
    up = roundsUp(rc, sign, (high & 1) != 0, rest, INTEGER_BIT);
  } else {
    unit = (<u64>1) << (64 - precision);
    rest = (high & (unit - 1)) | u64(lowPart != 0);
    kept = high & ~(unit - 1);
    up = roundsUp(rc, sign, (high & unit) != 0, rest, unit >> 1);
  }
  roundedInexact = rest != 0;
  roundedUp = up;
  roundedCarry = false;
  if (up) {
    kept += unit;
    if (kept == 0) roundedCarry = true;
  }
  roundedSig = kept;
}

/**
 * Rounds sign, exponent (biased, of a significand high:low with bit 127 set) to the precision and
 * leaves it in the result globals, with OE, UE, PE and C1. Underflow is detected after rounding.
 */
export function roundPack(sign: u32, exp: i32, high: u64, lowPart: u64, cw: u32, precision: u32): void {
  const rc = (cw >> 10) & 3;
  const signBit = sign << 15;
  roundAt(rc, sign, high, lowPart, precision);
  if (exp < 1 && !(exp == 0 && roundedCarry)) {
    if ((cw & UE) == 0) {
      rFlags |= UE;
      exp += WRAP;
      if (exp < 1) {
        // Too small even for the wrapped exponent: only FSCALE gets here.
        rSe = signBit;
        rSig = 0;
        rFlags |= PE;
        return;
      }
    } else {
      const shifted = shiftRightJam(high, lowPart, <u32>(1 - exp));
      roundAt(rc, sign, shifted, jamLow, precision);
      if (roundedInexact) rFlags |= UE | PE;
      if (roundedUp) rFlags |= ROUNDED_UP;
      rSe = signBit | u32(roundedSig >> 63);
      rSig = roundedSig;
      return;
    }
  }
  if (roundedCarry) {
    roundedSig = INTEGER_BIT;
    exp++;
  }
  if (exp > 0x7ffe) {
    rFlags |= OE;
    if ((cw & OE) == 0) {
      exp -= WRAP;
      if (exp > 0x7ffe) {
        rSe = signBit | 0x7fff;
        rSig = INTEGER_BIT;
        rFlags |= PE | ROUNDED_UP;
        return;
      }
    } else {
      rFlags |= PE;
      if (rc == ROUND_NEAREST || (rc == ROUND_DOWN && sign != 0) || (rc == ROUND_UP && sign == 0)) {
        rSe = signBit | 0x7fff;
        rSig = INTEGER_BIT;
        rFlags |= ROUNDED_UP;
      } else {
        rSe = signBit | 0x7ffe;
        rSig = precision == 64 ? ~(<u64>0) : ~(((<u64>1) << (64 - precision)) - 1);
      }
      return;
    }
  }
  if (roundedInexact) rFlags |= PE;
  if (roundedUp) rFlags |= ROUNDED_UP;
  rSe = signBit | <u32>exp;
  rSig = roundedSig;
}

/** a + b, or a - b with `subtract` = 1. */
export function add80(aSe: u32, aSig: u64, bSe: u32, bSig: u64, subtract: u32, cw: u32): void {
  rFlags = 0;
  if (decideByNaN(aSe, aSig, bSe, bSig)) return;
  const aSign = aSe >> 15;
  const bSign = (bSe >> 15) ^ subtract;
  const rc = (cw >> 10) & 3;
  const aInfinite = isInfinity(aSe, aSig);
  const bInfinite = isInfinity(bSe, bSig);
  if (aInfinite || bInfinite) {
    if (aInfinite && bInfinite && aSign != bSign) {
      invalid();
      return;
    }
    if (isDenormal(aSe, aSig) || isDenormal(bSe, bSig)) rFlags |= DE;
    rSe = ((aInfinite ? aSign : bSign) << 15) | 0x7fff;
    rSig = INTEGER_BIT;
    return;
  }
  const aZero = isZero(aSe, aSig);
  const bZero = isZero(bSe, bSig);
  if (aZero && bZero) {
    rSe = (aSign == bSign ? aSign : u32(rc == ROUND_DOWN)) << 15;
    rSig = 0;
    return;
  }
  const precision = precisionOf(cw);
  if (aZero) {
    unpack(bSe, bSig);
    roundPack(bSign, uExp, uSig, 0, cw, precision);
    return;
  }
  unpack(aSe, aSig);
  let exp = uExp;
  let big = uSig;
  if (bZero) {
    roundPack(aSign, exp, big, 0, cw, precision);
    return;
  }
  unpack(bSe, bSig);
  let sign = aSign;
  let difference = exp - uExp;
  let small = uSig;
  if (difference < 0 || (difference == 0 && small > big)) {
    difference = -difference;
    small = big;
    big = uSig;
    exp = uExp;
    sign = bSign;
  }
  let otherHigh = small;
  let otherLow: u64 = 0;
  if (difference != 0) {
    otherHigh = shiftRightJam(small, 0, <u32>difference);
    otherLow = jamLow;
  }
  if (aSign == bSign) {
    const sum = big + otherHigh;
    if (sum < big) {
      const lost = otherLow & 1;
      roundPack(sign, exp + 1, INTEGER_BIT | (sum >> 1), (sum << 63) | (otherLow >> 1) | lost, cw, precision);
    } else {
      roundPack(sign, exp, sum, otherLow, cw, precision);
    }
    return;
  }
  let high = big - otherHigh - u64(otherLow != 0);
  let lowPart = -otherLow;
  if ((high | lowPart) == 0) {
    rSe = u32(rc == ROUND_DOWN) << 15;
    rSig = 0;
    return;
  }
  if (high == 0) {
    high = lowPart;
    lowPart = 0;
    exp -= 64;
  }
  const shift = clz<u64>(high);
  if (shift != 0) {
    high = (high << shift) | (lowPart >> (64 - shift));
    lowPart <<= shift;
    exp -= <i32>shift;
  }
  roundPack(sign, exp, high, lowPart, cw, precision);
}

export function multiply80(aSe: u32, aSig: u64, bSe: u32, bSig: u64, cw: u32): void {
  rFlags = 0;
  if (decideByNaN(aSe, aSig, bSe, bSig)) return;
  const sign = (aSe ^ bSe) >> 15;
  const aZero = isZero(aSe, aSig);
  const bZero = isZero(bSe, bSig);
  const aInfinite = isInfinity(aSe, aSig);
  const bInfinite = isInfinity(bSe, bSig);
  if (aInfinite || bInfinite) {
    if (aZero || bZero) {
      invalid();
      return;
    }
    if (isDenormal(aSe, aSig) || isDenormal(bSe, bSig)) rFlags |= DE;
    rSe = (sign << 15) | 0x7fff;
    rSig = INTEGER_BIT;
    return;
  }
  if (aZero || bZero) {
    if (isDenormal(aSe, aSig) || isDenormal(bSe, bSig)) rFlags |= DE;
    rSe = sign << 15;
    rSig = 0;
    return;
  }
  unpack(aSe, aSig);
  let exp = uExp;
  const a = uSig;
  unpack(bSe, bSig);
  exp += uExp - BIAS;
  let high = multiply64(a, uSig);
  let lowPart = low;
  if (high >> 63 == 0) {
    high = (high << 1) | (lowPart >> 63);
    lowPart <<= 1;
  } else {
    exp++;
  }
  roundPack(sign, exp, high, lowPart, cw, precisionOf(cw));
}

/** a / b. */
export function divide80(aSe: u32, aSig: u64, bSe: u32, bSig: u64, cw: u32): void {
  rFlags = 0;
  if (decideByNaN(aSe, aSig, bSe, bSig)) return;
  const sign = (aSe ^ bSe) >> 15;
  const aZero = isZero(aSe, aSig);
  const bZero = isZero(bSe, bSig);
  const aInfinite = isInfinity(aSe, aSig);
  const bInfinite = isInfinity(bSe, bSig);
  if ((aZero && bZero) || (aInfinite && bInfinite)) {
    invalid();
    return;
  }
  if (aInfinite || bZero) {
    if (!aInfinite) rFlags |= ZE;
    else if (isDenormal(bSe, bSig)) rFlags |= DE;
    rSe = (sign << 15) | 0x7fff;
    rSig = INTEGER_BIT;
    return;
  }
  if (aZero || bInfinite) {
    if (isDenormal(aSe, aSig) || isDenormal(bSe, bSig)) rFlags |= DE;
    rSe = sign << 15;
    rSig = 0;
    return;
  }
  unpack(aSe, aSig);
  let exp = uExp;
  const a = uSig;
  unpack(bSe, bSig);
  const b = uSig;
  exp += BIAS - uExp;
  let quotient: u64;
  if (a >= b) {
    quotient = divide128(a >> 1, a << 63, b);
  } else {
    quotient = divide128(a, 0, b);
    exp--;
  }
  roundPack(sign, exp, quotient, fractionOf(remainder, b), cw, precisionOf(cw));
}

/** remainder / divisor as a 64-bit fraction that rounds the same: below, at or above one half. */
// @ts-ignore: decorator
@inline function fractionOf(rest: u64, divisor: u64): u64 {
  if (rest == 0) return 0;
  const other = divisor - rest;
  return rest == other ? INTEGER_BIT : rest > other ? INTEGER_BIT | 1 : 1;
}

export function sqrt80(se: u32, sig: u64, cw: u32): void {
  rFlags = 0;
  if (isUnsupported(se, sig)) {
    invalid();
    return;
  }
  if (isNaN80(se, sig)) {
    propagateOne(se, sig);
    return;
  }
  if (isZero(se, sig)) {
    rSe = se;
    rSig = 0;
    return;
  }
  if (se >> 15 != 0) {
    invalid();
    return;
  }
  if (isInfinity(se, sig)) {
    rSe = se;
    rSig = sig;
    return;
  }
  unpack(se, sig);
  const unbiased = uExp - BIAS;
  // The radicand as a 128-bit integer with an even exponent, so that its root has 64 bits.
  let high: u64;
  let lowPart: u64 = 0;
  if ((unbiased & 1) != 0) {
    high = uSig;
  } else {
    high = uSig >> 1;
    lowPart = uSig << 63;
  }
  const root = squareRoot128(high, lowPart);
  roundPack(0, (unbiased >> 1) + BIAS, root, rootFraction, cw, precisionOf(cw));
}

/** What follows the integer root, as a fraction that rounds the same. */
export let rootFraction: u64 = 0;

/**
 * Integer square root of high:low, with high >= 2^62: that of the upper half, and 32 more bits by one division (Zimmermann,
 * "Karatsuba Square Root", algorithm SqrtRem).
 */
export function squareRoot128(high: u64, lowPart: u64): u64 {
  let upper = <u64>Math.sqrt(<f64>high);
  // The rounding of `high` may have made it one too large or too small.
  if (upper >> 32 != 0 || upper * upper > high) upper--;
  let rest = high - upper * upper;
  if (rest > upper << 1) {
    rest -= (upper << 1) | 1;
    upper++;
  }
  // rest : next 32 bits = 2 * upper * lower + over
  const dividend = (rest << 31) | (lowPart >> 33);
  let lower = dividend / upper;
  let over = ((dividend - lower * upper) << 1) | ((lowPart >> 32) & 1);
  while (lower >> 32 != 0) {
    lower--;
    over += upper << 1;
  }
  let root = (upper << 32) | lower;
  const square = lower * lower;
  let restLow = (over << 32) | (lowPart & 0xffffffff);
  let restHigh = <i64>(over >> 32) - i64(restLow < square);
  restLow -= square;
  while (restHigh < 0) {
    root--;
    const odd = (root << 1) | 1;
    restLow += odd;
    restHigh += <i64>(root >> 63) + i64(restLow < odd);
  }
  rootFraction = (<u64>restHigh | restLow) == 0 ? 0 : restHigh != 0 || restLow > root ? INTEGER_BIT | 1 : 1;
  return root;
}

/** Results of a comparison at their places in the status word: C3, C2, C0. */
// @ts-ignore: decorator
@inline export const COMPARE_GREATER: u32 = 0;
// @ts-ignore: decorator
@inline export const COMPARE_LESS: u32 = 0x100;
// @ts-ignore: decorator
@inline export const COMPARE_EQUAL: u32 = 0x4000;
// @ts-ignore: decorator
@inline export const COMPARE_UNORDERED: u32 = 0x4500;

/** Compares; a quiet NaN is invalid unless `quiet`. */
export function compare80(aSe: u32, aSig: u64, bSe: u32, bSig: u64, quiet: bool): u32 {
  rFlags = 0;
  const unsupported = isUnsupported(aSe, aSig) || isUnsupported(bSe, bSig);
  if (unsupported || isNaN80(aSe, aSig) || isNaN80(bSe, bSig)) {
    if (unsupported || !quiet || isSignaling(aSe, aSig) || isSignaling(bSe, bSig)) rFlags |= IE;
    return COMPARE_UNORDERED;
  }
  if (isDenormal(aSe, aSig) || isDenormal(bSe, bSig)) rFlags |= DE;
  if (isZero(aSe, aSig) && isZero(bSe, bSig)) return COMPARE_EQUAL;
  const aSign = aSe >> 15;
  if (aSign != bSe >> 15) return aSign != 0 ? COMPARE_LESS : COMPARE_GREATER;
  const aExp = exponentForOrder(aSe, aSig);
  const bExp = exponentForOrder(bSe, bSig);
  if (aExp == bExp && aSig == bSig) return COMPARE_EQUAL;
  const less = aExp < bExp || (aExp == bExp && aSig < bSig);
  return less != (aSign != 0) ? COMPARE_LESS : COMPARE_GREATER;
}

/** Pseudo-denormals have the value of exponent 1. */
// @ts-ignore: decorator
@inline function exponentForOrder(se: u32, sig: u64): u32 {
  const exp = se & 0x7fff;
  return exp == 0 && sig >> 63 != 0 ? 1 : exp;
}

/** FRNDINT. */
export function roundToInteger80(se: u32, sig: u64, cw: u32): void {
  rFlags = 0;
  if (isUnsupported(se, sig)) {
    invalid();
    return;
  }
  if (isNaN80(se, sig)) {
    propagateOne(se, sig);
    return;
  }
  const exp = <i32>(se & 0x7fff);
  if (exp >= BIAS + 63 || isZero(se, sig)) {
    rSe = se;
    rSig = sig;
    return;
  }
  if (isDenormal(se, sig)) rFlags |= DE;
  const sign = se >> 15;
  const magnitude = integerPart(se, sig, (cw >> 10) & 3);
  if (integerInexact) rFlags |= PE;
  if (integerUp) rFlags |= ROUNDED_UP;
  packInteger(sign, magnitude);
}

/** What the last `integerPart` dropped. */
export let integerInexact: bool = false;
export let integerUp: bool = false;
export let integerOverflow: bool = false;

/** The magnitude of a finite number, rounded to an integer; `integerOverflow`: it has more than 64 bits. */
export function integerPart(se: u32, sig: u64, rc: u32): u64 {
  integerInexact = false;
  integerUp = false;
  integerOverflow = false;
  const exp = <i32>(se & 0x7fff) - BIAS;
  if (exp >= 64) {
    integerOverflow = true;
    return 0;
  }
  if (exp == 63 || sig == 0) return sig;
  let whole: u64;
  let fraction: u64;
  if (exp >= 0) {
    whole = sig >> <u64>(63 - exp);
    fraction = sig << (<u64>(exp + 1));
  } else {
    whole = 0;
    fraction = exp == -1 ? sig : 1;
  }
  if (fraction == 0) return whole;
  integerInexact = true;
  if (roundsUp(rc, se >> 15, (whole & 1) != 0, fraction, INTEGER_BIT)) {
    integerUp = true;
    whole++;
  }
  return whole;
}

/** An integer magnitude as a result, exactly. */
export function packInteger(sign: u32, magnitude: u64): void {
  if (magnitude == 0) {
    rSe = sign << 15;
    rSig = 0;
    return;
  }
  const shift = clz<u64>(magnitude);
  rSe = (sign << 15) | <u32>(BIAS + 63 - <i32>shift);
  rSig = magnitude << shift;
}

export function fromInt64(value: i64): void {
  rFlags = 0;
  packInteger(u32(value < 0), value < 0 ? -(<u64>value) : <u64>value);
}

/**
 * FIST, FISTP, FISTTP: to a signed integer of `bits` bits, or the integer indefinite (1 followed by
 * zeros) with IE.
 */
export function toInteger(se: u32, sig: u64, bits: u32, rc: u32): i64 {
  rFlags = 0;
  const indefinite = <i64>(~(<u64>0) << (bits - 1));
  if ((se & 0x7fff) == 0x7fff || isUnsupported(se, sig)) {
    rFlags |= IE;
    return indefinite;
  }
  const magnitude = integerPart(se, sig, rc);
  const negative = se >> 15 != 0;
  const limit = ((<u64>1) << (bits - 1)) - u64(!negative);
  if (integerOverflow || magnitude > limit) {
    rFlags |= IE;
    return indefinite;
  }
  if (integerInexact) rFlags |= PE;
  if (integerUp) rFlags |= ROUNDED_UP;
  return negative ? -(<i64>magnitude) : <i64>magnitude;
}

/** Widens exactly; DE for a denormal. A signaling NaN stays one. */
export function fromFloat32(bits: u32): void {
  rFlags = 0;
  const sign = (bits >> 31) << 15;
  const exp = (bits >> 23) & 0xff;
  const fraction = (<u64>(bits & 0x7fffff)) << 40;
  widen(sign, exp, fraction, 0xff, BIAS - 127);
}

export function fromFloat64(bits: u64): void {
  rFlags = 0;
  const sign = (<u32>(bits >> 63)) << 15;
  const exp = <u32>(bits >> 52) & 0x7ff;
  const fraction = (bits & 0xfffffffffffff) << 11;
  widen(sign, exp, fraction, 0x7ff, BIAS - 1023);
}

/** Fraction bits stand below the integer bit's place. */
function widen(sign: u32, exp: u32, fraction: u64, special: u32, rebias: i32): void {
  if (exp == special) {
    rSe = sign | 0x7fff;
    rSig = fraction | INTEGER_BIT;
    return;
  }
  if (exp != 0) {
    rSe = sign | (exp + <u32>rebias);
    rSig = fraction | INTEGER_BIT;
    return;
  }
  if (fraction == 0) {
    rSe = sign;
    rSig = 0;
    return;
  }
  rFlags |= DE;
  const shift = clz<u64>(fraction);
  rSe = sign | <u32>(rebias + 1 - <i32>shift);
  rSig = fraction << shift;
}

export function toFloat32(se: u32, sig: u64, cw: u32): u32 {
  return <u32>narrow(se, sig, cw, 24, 127);
}

export function toFloat64(se: u32, sig: u64, cw: u32): u64 {
  return narrow(se, sig, cw, 53, 1023);
}

/** Rounds to an IEEE format of `precision` bits, with the flags in `rFlags`. */
function narrow(se: u32, sig: u64, cw: u32, precision: u32, bias: i32): u64 {
  rFlags = 0;
  const sign = se >> 15;
  const fractionBits = <u64>(precision - 1);
  const special = <u64>(2 * bias + 1);
  // The sign follows the exponent: bit 31 or 63.
  const signBit = (<u64>sign) << (precision == 24 ? 31 : 63);
  if (isUnsupported(se, sig)) {
    rFlags |= IE;
    return (
      ((<u64>1) << (precision == 24 ? 31 : 63)) | (special << fractionBits) | ((<u64>1) << (fractionBits - 1))
    );
  }
  const drop = <u64>(64 - precision);
  if (isNaN80(se, sig)) {
    if ((sig & QUIET_BIT) == 0) rFlags |= IE;
    return signBit | (special << fractionBits) | (((sig | QUIET_BIT) << 1) >> (drop + 1));
  }
  if ((se & 0x7fff) == 0x7fff) return signBit | (special << fractionBits);
  if (sig == 0) return signBit;
  const rc = (cw >> 10) & 3;
  // Denormals of the extended format are far below any format: their exponent needs no care.
  let exp = <i32>(se & 0x7fff) - BIAS + bias;
  roundAt(rc, sign, sig, 0, precision);
  if (exp < 1 && !(exp == 0 && roundedCarry)) {
    if ((cw & UE) == 0) {
      rFlags |= UE;
      return 0;
    }
    const shifted = shiftRightJam(sig, 0, <u32>(1 - exp));
    roundAt(rc, sign, shifted, jamLow, precision);
    if (roundedInexact) rFlags |= UE | PE;
    if (roundedUp) rFlags |= ROUNDED_UP;
    // A carry into the integer bit makes the exponent 1 by itself.
    return signBit | (roundedSig >> drop);
  }
  if (roundedCarry) {
    roundedSig = INTEGER_BIT;
    exp++;
  }
  if (exp >= <i32>special) {
    rFlags |= OE;
    if ((cw & OE) == 0) return 0;
    rFlags |= PE;
    if (rc == ROUND_NEAREST || (rc == ROUND_DOWN && sign != 0) || (rc == ROUND_UP && sign == 0)) {
      rFlags |= ROUNDED_UP;
      return signBit | (special << fractionBits);
    }
    return signBit | ((special << fractionBits) - 1);
  }
  if (roundedInexact) rFlags |= PE;
  if (roundedUp) rFlags |= ROUNDED_UP;
  return signBit | ((<u64>exp) << fractionBits) | ((roundedSig << 1) >> (drop + 1));
}

/** FSCALE: a times 2 to the integer part of b. */
export function scale80(aSe: u32, aSig: u64, bSe: u32, bSig: u64, cw: u32): void {
  rFlags = 0;
  if (decideByNaN(aSe, aSig, bSe, bSig)) return;
  const sign = aSe >> 15;
  if (isInfinity(bSe, bSig)) {
    const up = bSe >> 15 == 0;
    if (up ? isZero(aSe, aSig) : isInfinity(aSe, aSig)) {
      invalid();
      return;
    }
    if (isDenormal(aSe, aSig)) rFlags |= DE;
    rSe = (sign << 15) | (up ? 0x7fff : 0);
    rSig = up ? INTEGER_BIT : 0;
    return;
  }
  if (isInfinity(aSe, aSig) || isZero(aSe, aSig)) {
    if (isDenormal(bSe, bSig)) rFlags |= DE;
    rSe = aSe;
    rSig = aSig;
    return;
  }
  if (isDenormal(bSe, bSig)) rFlags |= DE;
  let scale: i32 = 0;
  const bExp = <i32>(bSe & 0x7fff) - BIAS;
  if (bExp >= 16) {
    scale = 0x10000;
  } else if (bExp >= 0) {
    scale = <i32>(bSig >> <u64>(63 - bExp));
  }
  if (bSe >> 15 != 0) scale = -scale;
  unpack(aSe, aSig);
  roundPack(sign, uExp + scale, uSig, 0, cw, 64);
}

/** FXTRACT: the significand as the result; the exponent as a number in `extractedSe` and `extractedSig`. */
export let extractedSe: u32 = 0;
export let extractedSig: u64 = 0;
export function extract80(se: u32, sig: u64): void {
  rFlags = 0;
  if (isUnsupported(se, sig)) {
    invalid();
    extractedSe = rSe;
    extractedSig = rSig;
    return;
  }
  if (isNaN80(se, sig)) {
    propagateOne(se, sig);
    extractedSe = rSe;
    extractedSig = rSig;
    return;
  }
  if (isInfinity(se, sig)) {
    rSe = se;
    rSig = sig;
    extractedSe = 0x7fff;
    extractedSig = INTEGER_BIT;
    return;
  }
  if (isZero(se, sig)) {
    rFlags |= ZE;
    rSe = se;
    rSig = 0;
    extractedSe = 0xffff;
    extractedSig = INTEGER_BIT;
    return;
  }
  unpack(se, sig);
  const exponent = uExp - BIAS;
  const significand = uSig;
  packInteger(u32(exponent < 0), <u64>(exponent < 0 ? -exponent : exponent));
  extractedSe = rSe;
  extractedSig = rSig;
  rSe = (se & 0x8000) | <u32>BIAS;
  rSig = significand;
}

/** FPREM and FPREM1: the reduction is not complete (C2). */
export let remainderPartial: bool = false;
/** Low bits of the quotient. */
export let remainderQuotient: u64 = 0;

/**
 * FPREM (truncating) and FPREM1 (`nearest`): a modulo b, exactly. With exponents 64 or more apart only
 * a part of the quotient is removed, as the CPU does: 32 to 63 bits.
 */
export function remainder80(aSe: u32, aSig: u64, bSe: u32, bSig: u64, nearest: bool, cw: u32): void {
  rFlags = 0;
  remainderPartial = false;
  remainderQuotient = 0;
  if (decideByNaN(aSe, aSig, bSe, bSig)) return;
  if (isInfinity(aSe, aSig) || isZero(bSe, bSig)) {
    invalid();
    return;
  }
  if (isZero(aSe, aSig)) {
    if (isDenormal(bSe, bSig)) rFlags |= DE;
    rSe = aSe;
    rSig = 0;
    return;
  }
  if (isInfinity(bSe, bSig)) {
    unpack(aSe, aSig);
    roundPack(aSe >> 15, uExp, uSig, 0, cw, 64);
    return;
  }
  let sign = aSe >> 15;
  unpack(aSe, aSig);
  const aExp = uExp;
  let rest = uSig;
  unpack(bSe, bSig);
  const bExp = uExp;
  const divisor = uSig;
  const difference = aExp - bExp;
  const least: i32 = nearest ? -1 : 0;
  if (difference < least) {
    roundPack(sign, aExp, rest, 0, cw, 64);
    return;
  }
  if (difference < 0) {
    // |a| is between one quarter and all of |b|: FPREM1 takes b once if it is more than half.
    if (rest > divisor) {
      // a - b, with a = rest * 2^-1 relative to b: 2b - a in units of half an ulp of b.
      subtractDoubled(sign ^ 1, divisor, rest, aExp, cw);
      remainderQuotient = 1;
      return;
    }
    roundPack(sign, aExp, rest, 0, cw, 64);
    return;
  }
  let quotient: u64 = 0;
  let steps = difference;
  if (difference >= 64) {
    steps = 32 + (difference & 31);
    remainderPartial = true;
  }
  // rest = rest * 2^steps mod divisor; the quotient's low 64 bits.
  if (rest >= divisor) {
    rest -= divisor;
    quotient = 1;
  }
  if (steps != 0) {
    const part = divide128(rest >> <u64>(64 - steps), rest << (<u64>steps), divisor);
    quotient = (quotient << (<u64>steps)) + part;
    rest = remainder;
  }
  let exp = bExp;
  if (remainderPartial) {
    exp = aExp - steps;
  } else if (nearest && rest != 0) {
    const other = divisor - rest;
    if (rest > other || (rest == other && (quotient & 1) != 0)) {
      rest = other;
      sign ^= 1;
      quotient++;
    }
  }
  remainderQuotient = quotient;
  if (rest == 0) {
    rSe = (aSe >> 15) << 15;
    rSig = 0;
    return;
  }
  const shift = clz<u64>(rest);
  roundPack(sign, exp - <i32>shift, rest << shift, 0, cw, 64);
}

/** 2 * doubled - other, as a significand with `other`'s exponent; positive and below 2^64. */
function subtractDoubled(sign: u32, doubled: u64, other: u64, exp: i32, cw: u32): void {
  const difference = (doubled << 1) - other;
  const shift = clz<u64>(difference);
  roundPack(sign, exp - <i32>shift, difference << shift, 0, cw, 64);
}
