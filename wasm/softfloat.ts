/**
 * Single and double precision as SSE computes them (IEEE 754; AMD64 APM vol. 1, 4.6 and 4.7): all rounding modes,
 * denormals as zeros (DAZ), flush to zero (FTZ) and the six exception flags. One code for both formats: an
 * operand is unpacked to sign, exponent and a 64-bit significand with bit 63 set, and `pack` rounds to a format.
 * Nothing here touches the vCPU: the control is in `control`, exceptions are collected in `flags`.
 */
import {
  MXCSR_DAZ,
  MXCSR_DE,
  MXCSR_FTZ,
  MXCSR_IE,
  MXCSR_OE,
  MXCSR_PE,
  MXCSR_UE,
  MXCSR_ZE,
} from './generated/layout';
import { divide128, lastRemainder, low, multiply64 } from './softfloat80';

/** MXCSR, as the caller sets it, and the flags of the operations since. */
export let control: u32 = 0;
export let flags: u32 = 0;

export function begin(mxcsr: u32): void {
  control = mxcsr;
  flags = 0;
}

export function signal(flag: u32): void {
  flags |= flag;
}

// @ts-ignore: decorator
@inline const ZERO: i32 = 0;
// @ts-ignore: decorator
@inline const FINITE: i32 = 1;
// @ts-ignore: decorator
@inline const INFINITE: i32 = 2;
// @ts-ignore: decorator
@inline const NAN: i32 = 3;

// @ts-ignore: decorator
@inline const NEAREST: u32 = 0;
// @ts-ignore: decorator
@inline const DOWN: u32 = 1;
// @ts-ignore: decorator
@inline const UP: u32 = 2;
// @ts-ignore: decorator
@inline const TOP: u64 = 0x8000000000000000;
/** Beyond any exponent: what is out of range for a shift. */
// @ts-ignore: decorator
@inline const MASK_SHIFT: u32 = 7;

/** The operand that `unpack` saw last. Value = significand * 2^(exponent - 63). */
let kind: i32 = 0;
let sign: u32 = 0;
let exponent: i32 = 0;
let significand: u64 = 0;
let denormal: bool = false;

// @ts-ignore: decorator
@inline function rounding(): u32 {
  return (control >> 13) & 3;
}

// @ts-ignore: decorator
@inline function fractionBits(double: bool): u32 {
  return double ? 52 : 23;
}

// @ts-ignore: decorator
@inline function quietBit(double: bool): u64 {
  return double ? 0x0008000000000000 : 0x00400000;
}

// @ts-ignore: decorator
@inline function infinity(double: bool): u64 {
  return double ? 0x7ff0000000000000 : 0x7f800000;
}

// @ts-ignore: decorator
@inline function signBit(negative: u32, double: bool): u64 {
  return (<u64>negative) << (double ? 63 : 31);
}

/** The default NaN is negative. */
// @ts-ignore: decorator
@inline function indefinite(double: bool): u64 {
  return double ? 0xfff8000000000000 : 0xffc00000;
}

export function isNaN64(bits: u64, double: bool): bool {
  return (bits & (double ? 0x7fffffffffffffff : 0x7fffffff)) > infinity(double);
}

export function isSignaling(bits: u64, double: bool): bool {
  return isNaN64(bits, double) && (bits & quietBit(double)) == 0;
}

/** Not NaN, not zero, exponent field zero. */
export function isDenormal(bits: u64, double: bool): bool {
  const magnitude = bits & (double ? 0x7fffffffffffffff : 0x7fffffff);
  const normal: u64 = double ? 0x0010000000000000 : 0x00800000;
  return magnitude != 0 && magnitude < normal;
}

/** A denormal becomes a zero of its sign under DAZ. */
export function withoutDenormal(bits: u64, double: bool): u64 {
  if ((control & MXCSR_DAZ) == 0 || !isDenormal(bits, double)) return bits;
  return bits & (double ? TOP : 0x80000000);
}

function unpack(raw: u64, double: bool): void {
  const bits = withoutDenormal(raw, double);
  const width = fractionBits(double);
  const maximum: i32 = double ? 0x7ff : 0xff;
  const fraction = bits & (((<u64>1) << width) - 1);
  const field = <i32>(bits >> width) & maximum;
  sign = <u32>(bits >> (double ? 63 : 31)) & 1;
  denormal = false;
  if (field == maximum) {
    kind = fraction == 0 ? INFINITE : NAN;
    return;
  }
  const bias: i32 = double ? 1023 : 127;
  if (field == 0) {
    if (fraction == 0) {
      kind = ZERO;
      return;
    }
    denormal = true;
    const shift = clz<u64>(fraction);
    significand = fraction << shift;
    exponent = 1 - bias - (<i32>shift - (63 - <i32>width));
  } else {
    significand = (fraction << (63 - width)) | TOP;
    exponent = field - bias;
  }
  kind = FINITE;
}

// @ts-ignore: decorator
@inline function shiftRightJam(value: u64, count: i32): u64 {
  if (count == 0) return value;
  if (count > 63) return u64(value != 0);
  return (value >> <u64>count) | u64(value << <u64>(64 - count) != 0);
}

/** Whether rounding adds a unit, for the discarded part `rest` of which `half` is one half unit. */
// @ts-ignore: decorator
@inline function roundsUp(mode: u32, negative: u32, odd: bool, rest: u64, half: u64): bool {
  if (mode == NEAREST) return rest > half || (rest == half && odd);
  if (mode == DOWN) return negative != 0 && rest != 0;
  if (mode == UP) return negative == 0 && rest != 0;
  return false;
}

/** Rounds to a format: `value` has bit 63 set, its bit 0 stands for everything below it too. */
function pack(negative: u32, power: i32, value: u64, double: bool): u64 {
  const width = fractionBits(double);
  const drop = 63 - width;
  const unit = (<u64>1) << drop;
  const minimum: i32 = double ? -1022 : -126;
  const bias: i32 = double ? 1023 : 127;
  const mode = rounding();
  let rest = value & (unit - 1);
  let kept = value >> drop;
  let up = roundsUp(mode, negative, (kept & 1) != 0, rest, unit >> 1);
  const inexact = rest != 0;
  if (power < minimum) {
    const masked = ((control >> MASK_SHIFT) & MXCSR_UE) != 0;
    // Tiny after rounding: with an unbounded exponent, would the result still be below the smallest normal number?
    const carries = up && kept + 1 == (<u64>2) << width;
    const tiny = !(power == minimum - 1 && carries);
    const shifted = shiftRightJam(value, minimum - power);
    rest = shifted & (unit - 1);
    kept = shifted >> drop;
    up = roundsUp(mode, negative, (kept & 1) != 0, rest, unit >> 1);
    if (tiny && !masked) {
      // The result that the handler would see has an unbounded exponent: only its rounding counts as inexact.
      flags |= inexact ? MXCSR_UE | MXCSR_PE : MXCSR_UE;
      return 0;
    }
    if (tiny) {
      if ((control & MXCSR_FTZ) != 0) {
        flags |= MXCSR_UE | MXCSR_PE;
        return signBit(negative, double);
      }
      if (rest != 0) flags |= MXCSR_UE;
    }
    if (rest != 0) flags |= MXCSR_PE;
    return signBit(negative, double) | (kept + u64(up));
  }
  if (up) kept++;
  if (kept >> (width + 1) != 0) {
    kept >>= 1;
    power++;
  }
  if (inexact) flags |= MXCSR_PE;
  if (power > bias) {
    const masked = ((control >> MASK_SHIFT) & MXCSR_OE) != 0;
    flags |= masked ? MXCSR_OE | MXCSR_PE : MXCSR_OE;
    const toInfinity = mode == NEAREST || mode == (negative != 0 ? DOWN : UP);
    return signBit(negative, double) | (infinity(double) - u64(!toInfinity));
  }
  return signBit(negative, double) | (((<u64>(power + bias)) << width) + (kept & (((<u64>1) << width) - 1)));
}

function invalid(double: bool): u64 {
  flags |= MXCSR_IE;
  return indefinite(double);
}

/** The result where an operand is NaN: the first NaN, quiet (APM vol. 1, table 4-8). */
function propagate(a: u64, b: u64, double: bool): u64 {
  if (isSignaling(a, double) || isSignaling(b, double)) flags |= MXCSR_IE;
  return (isNaN64(a, double) ? a : b) | quietBit(double);
}

/** a + b, or a - b. */
export function add(a: u64, b: u64, subtract: bool, double: bool): u64 {
  if (isNaN64(a, double) || isNaN64(b, double)) return propagate(a, b, double);
  unpack(a, double);
  const aKind = kind;
  const aSign = sign;
  const aExponent = exponent;
  const aSignificand = significand;
  const aDenormal = denormal;
  unpack(b, double);
  const bSign = sign ^ u32(subtract);
  if (aKind == INFINITE && kind == INFINITE && aSign != bSign) return invalid(double);
  if (aDenormal || denormal) flags |= MXCSR_DE;
  if (aKind == INFINITE) return signBit(aSign, double) | infinity(double);
  if (kind == INFINITE) return signBit(bSign, double) | infinity(double);
  if (aKind == ZERO) {
    if (kind == FINITE) return pack(bSign, exponent, significand, double);
    return signBit(aSign == bSign ? aSign : u32(rounding() == DOWN), double);
  }
  if (kind == ZERO) return pack(aSign, aExponent, aSignificand, double);
  let bigSign = aSign;
  let bigExponent = aExponent;
  let big = aSignificand;
  let small = significand;
  let distance = aExponent - exponent;
  if (distance < 0 || (distance == 0 && small > big)) {
    distance = -distance;
    bigSign = bSign;
    bigExponent = exponent;
    small = big;
    big = significand;
  }
  // One bit of room for the carry; the formats leave at least ten more for guard bits.
  big >>= 1;
  small = shiftRightJam(small >> 1, distance);
  const sum = aSign == bSign ? big + small : big - small;
  if (sum == 0) return signBit(u32(rounding() == DOWN), double);
  const shift = <i32>clz<u64>(sum);
  return pack(bigSign, bigExponent + 1 - shift, sum << <u64>shift, double);
}

export function multiply(a: u64, b: u64, double: bool): u64 {
  if (isNaN64(a, double) || isNaN64(b, double)) return propagate(a, b, double);
  unpack(a, double);
  const aKind = kind;
  const aExponent = exponent;
  const aSignificand = significand;
  const aDenormal = denormal;
  const aSign = sign;
  unpack(b, double);
  const negative = aSign ^ sign;
  if ((aKind == INFINITE && kind == ZERO) || (aKind == ZERO && kind == INFINITE)) return invalid(double);
  if (aDenormal || denormal) flags |= MXCSR_DE;
  if (aKind == INFINITE || kind == INFINITE) return signBit(negative, double) | infinity(double);
  if (aKind == ZERO || kind == ZERO) return signBit(negative, double);
  let high = multiply64(aSignificand, significand);
  let rest = low;
  let power = aExponent + exponent + 1;
  if (high >> 63 == 0) {
    high = (high << 1) | (rest >> 63);
    rest <<= 1;
    power--;
  }
  return pack(negative, power, high | u64(rest != 0), double);
}

export function divide(a: u64, b: u64, double: bool): u64 {
  if (isNaN64(a, double) || isNaN64(b, double)) return propagate(a, b, double);
  unpack(a, double);
  const aKind = kind;
  const aExponent = exponent;
  const aSignificand = significand;
  const aDenormal = denormal;
  const aSign = sign;
  unpack(b, double);
  const negative = aSign ^ sign;
  if (aKind == kind && (kind == ZERO || kind == INFINITE)) return invalid(double);
  if (kind == ZERO) {
    if (aKind == FINITE) flags |= MXCSR_ZE;
    return signBit(negative, double) | infinity(double);
  }
  if (aDenormal || denormal) flags |= MXCSR_DE;
  if (aKind == INFINITE) return signBit(negative, double) | infinity(double);
  if (aKind == ZERO || kind == INFINITE) return signBit(negative, double);
  let power = aExponent - exponent;
  let quotient: u64;
  if (aSignificand < significand) {
    quotient = divide128(aSignificand, 0, significand);
    power--;
  } else {
    quotient = divide128(aSignificand >> 1, aSignificand << 63, significand);
  }
  return pack(negative, power, quotient | u64(lastRemainder() != 0), double);
}

/** Bits of the root that are computed: enough for double precision, a guard bit and the sticky remainder. */
// @ts-ignore: decorator
@inline const ROOT_BITS: i32 = 58;

export function squareRoot(bits: u64, double: bool): u64 {
  if (isNaN64(bits, double)) return propagate(bits, bits, double);
  unpack(bits, double);
  if (kind == ZERO) return signBit(sign, double);
  if (sign != 0) return invalid(double);
  if (denormal) flags |= MXCSR_DE;
  if (kind == INFINITE) return infinity(double);
  // Digit by digit, two bits of the radicand for each of the root; an odd exponent puts its first bit alone.
  let radicand = (exponent & 1) != 0 ? significand : significand >> 1;
  let spare: u64 = (exponent & 1) != 0 ? 0 : significand << 63;
  let rest: u64 = 0;
  let root: u64 = 0;
  for (let i = 0; i < ROOT_BITS; i++) {
    rest = (rest << 2) | (radicand >> 62);
    radicand = (radicand << 2) | (spare >> 62);
    spare <<= 2;
    const trial = (root << 2) | 1;
    root <<= 1;
    if (rest >= trial) {
      rest -= trial;
      root |= 1;
    }
  }
  return pack(0, exponent >> 1, (root << (64 - ROOT_BITS)) | u64(rest != 0), double);
}

/** MIN or MAX: the second operand unless the first is strictly smaller or larger. */
export function choose(rawA: u64, rawB: u64, larger: bool, double: bool): u64 {
  const a = withoutDenormal(rawA, double);
  const b = withoutDenormal(rawB, double);
  if (isNaN64(a, double) || isNaN64(b, double)) {
    flags |= MXCSR_IE;
    return b;
  }
  if (isDenormal(a, double) || isDenormal(b, double)) flags |= MXCSR_DE;
  const x = toHost(a, double);
  const y = toHost(b, double);
  return (larger ? x > y : x < y) ? a : b;
}

// @ts-ignore: decorator
@inline function toHost(bits: u64, double: bool): f64 {
  return double ? reinterpret<f64>(bits) : <f64>reinterpret<f32>(<u32>bits);
}

/** 0 greater, 1 less, 2 equal, 3 unordered. A quiet NaN is invalid only if it is `signaling`ly compared. */
export function compare(rawA: u64, rawB: u64, signaling: bool, double: bool): u32 {
  const a = withoutDenormal(rawA, double);
  const b = withoutDenormal(rawB, double);
  if (isNaN64(a, double) || isNaN64(b, double)) {
    if (signaling || isSignaling(a, double) || isSignaling(b, double)) flags |= MXCSR_IE;
    return 3;
  }
  if (isDenormal(a, double) || isDenormal(b, double)) flags |= MXCSR_DE;
  const x = toHost(a, double);
  const y = toHost(b, double);
  return x < y ? 1 : x == y ? 2 : 0;
}

/** To an integral value in the same format. */
export function roundToIntegral(bits: u64, mode: u32, quiet: bool, double: bool): u64 {
  if (isNaN64(bits, double)) return propagate(bits, bits, double);
  unpack(bits, double);
  if (kind == INFINITE) return bits;
  if (kind == ZERO) return signBit(sign, double);
  const width = <i32>fractionBits(double);
  if (exponent >= width) return bits;
  const magnitude = integerPart(mode);
  if (integerRest != 0 && !quiet) flags |= MXCSR_PE;
  if (magnitude == 0) return signBit(sign, double);
  const shift = <i32>clz<u64>(magnitude);
  const bias: i32 = double ? 1023 : 127;
  const fraction = ((magnitude << <u64>shift) & ~TOP) >> <u64>(63 - width);
  return signBit(sign, double) | ((<u64>(63 - shift + bias)) << <u64>width) | fraction;
}

/** What `integerPart` cut off, jammed. */
let integerRest: u64 = 0;
/** The unpacked operand, whose exponent is below 64, as a magnitude. */
function integerPart(mode: u32): u64 {
  let whole: u64 = 0;
  let rest: u64;
  if (exponent < -1) {
    rest = 1;
  } else if (exponent == -1) {
    rest = significand;
  } else if (exponent == 63) {
    whole = significand;
    rest = 0;
  } else {
    whole = significand >> <u64>(63 - exponent);
    rest = significand << <u64>(exponent + 1);
  }
  integerRest = rest;
  if (roundsUp(mode, sign, (whole & 1) != 0, rest, TOP)) whole++;
  return whole;
}

/** To a signed integer of 32 or 64 bits; out of range and NaN give the integer indefinite. */
export function toInteger(bits: u64, truncate: bool, wide: bool, double: bool): u64 {
  const none: u64 = wide ? TOP : 0x80000000;
  if (!isNaN64(bits, double)) {
    unpack(bits, double);
    if (kind == ZERO) return 0;
    if (kind == FINITE && exponent < 64) {
      const magnitude = integerPart(truncate ? 3 : rounding());
      const limit = (wide ? TOP : 0x80000000) - u64(sign == 0);
      if (magnitude <= limit && !(exponent == 63 && magnitude == 0)) {
        if (integerRest != 0) flags |= MXCSR_PE;
        const value = sign != 0 ? 0 - magnitude : magnitude;
        return wide ? value : value & 0xffffffff;
      }
    }
  }
  flags |= MXCSR_IE;
  return none;
}

export function fromInteger(value: i64, double: bool): u64 {
  if (value == 0) return 0;
  const magnitude: u64 = value < 0 ? 0 - value : value;
  const shift = <i32>clz<u64>(magnitude);
  return pack(u32(value < 0), 63 - shift, magnitude << <u64>shift, double);
}

/** From one format to the other; NaNs keep the upper bits of their payload. */
export function convert(bits: u64, fromDouble: bool): u64 {
  if (isNaN64(bits, fromDouble)) {
    if (isSignaling(bits, fromDouble)) flags |= MXCSR_IE;
    if (fromDouble) {
      return (((bits >> 63) << 31) | 0x7f800000 | ((bits >> 29) & 0x7fffff)) | quietBit(false);
    }
    return (((bits >> 31) << 63) | infinity(true) | ((bits & 0x7fffff) << 29)) | quietBit(true);
  }
  unpack(bits, fromDouble);
  if (denormal) flags |= MXCSR_DE;
  if (kind == ZERO) return signBit(sign, !fromDouble);
  if (kind == INFINITE) return signBit(sign, !fromDouble) | infinity(!fromDouble);
  return pack(sign, exponent, significand, !fromDouble);
}
