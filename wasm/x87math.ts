/**
 * The transcendental instructions: computed to about 100 bits, rounded once. The last place may differ
 * from a given CPU's, as it does between makers (APM volume 1, 6.4.5 asks for one unit).
 */
import {
  addFlags,
  clearFlags,
  DE,
  decideByNaN,
  divide128,
  dropFlags,
  INTEGER_BIT,
  invalid,
  isDenormal,
  isInfinity,
  isNaN80,
  isUnsupported,
  isZero,
  low,
  multiply64,
  PE,
  propagateOne,
  ROUNDED_UP,
  roundPack,
  rSe,
  rSig,
  setResult,
  UE,
  ZE,
} from './softfloat80';
import {
  addWide,
  cosineSeries,
  divideWide,
  exponentialSeries,
  multiplyWide,
  normalizeWide,
  oddSeries,
  setWide,
  shiftRightWide,
  sineSeries,
  squareWide,
  subtractFromWide,
  subtractWide,
  wExp,
  wH,
  wL,
} from './x87wide';

// @ts-ignore: decorator
@inline const BIAS: i32 = 16383;

/** The trigonometric instructions reduce by pi rounded to 66 bits; these are the first 64 of them. */
// @ts-ignore: decorator
@inline const PI_HIGH: u64 = 0xc90fdaa22168c234;
/** pi / 2 in units of 2^-65 is the 66-bit number HALF_PI_TOP:HALF_PI_LOW. */
// @ts-ignore: decorator
@inline const HALF_PI_TOP: u64 = 3;
// @ts-ignore: decorator
@inline const HALF_PI_LOW: u64 = 0x243f6a8885a308d3;

/** The second result of FSINCOS (cosine) and FPTAN (1.0). */
export let secondSe: u32 = 0;
export let secondSig: u64 = 0;

/** Rounds sign * w / 2^127 * 2^exp, which is never exact, to 64 bits. */
function finish(sign: u32, exp: i32, cw: u32): void {
  normalizeWide();
  roundPack(sign, exp + wExp + BIAS, wH, wL | 1, cw, 64);
}

/** Exponent and normalised significand of a finite nonzero operand, DE noted. */
let uExp: i32 = 0;
let uSig: u64 = 0;
function unpack(se: u32, sig: u64): void {
  const exp = <i32>(se & 0x7fff);
  if (exp != 0) {
    uExp = exp - BIAS;
    uSig = sig;
    return;
  }
  addFlags(DE);
  const shift = clz<u64>(sig);
  uExp = 1 - BIAS - <i32>shift;
  uSig = sig << shift;
}

/** Whether FSIN, FCOS, FSINCOS and FPTAN accept the operand: |x| < 2^63, or infinite, NaN or unsupported. */
export function reductionRange(se: u32, sig: u64): bool {
  const exp = se & 0x7fff;
  return exp < 0x403e || exp == 0x7fff || isUnsupported(se, sig);
}

/** The reduced argument, |r| <= pi/4: sign, normalised significand, exponent, and the quadrant taken off. */
let aSign: u32 = 0;
let aH: u64 = 0;
let aL: u64 = 0;
let aExp: i32 = 0;
let quadrant: u32 = 0;

function reduce(se: u32, sig: u64): void {
  unpack(se, sig);
  aSign = se >> 15;
  quadrant = 0;
  if (uExp < -2) {
    aH = uSig;
    aL = 0;
    aExp = uExp;
    return;
  }
  // x in units of 2^-65, at most 128 bits.
  const shift = <u32>(uExp + 2);
  let xH: u64 = 0;
  let xL = uSig;
  if (shift >= 64) {
    xH = uSig << (<u64>(shift - 64));
    xL = 0;
  } else if (shift != 0) {
    xH = uSig >> <u64>(64 - shift);
    xL = uSig << (<u64>shift);
  }
  let n = divide128(xH >> 2, (xH << 62) | (xL >> 2), PI_HIGH);
  // x - n * pi/2; n is at most one too large.
  let productH = multiply64(n, HALF_PI_LOW);
  let productL = low;
  productH += n * HALF_PI_TOP;
  let restH = xH - productH - u64(xL < productL);
  let restL = xL - productL;
  if (<i64>restH < 0) {
    n--;
    const sum = restL + HALF_PI_LOW;
    restH += HALF_PI_TOP + u64(sum < restL);
    restL = sum;
  }
  // The nearer multiple of pi/2.
  const otherL = HALF_PI_LOW - restL;
  const otherH = HALF_PI_TOP - restH - u64(HALF_PI_LOW < restL);
  let flip: u32 = 0;
  if (otherH < restH || (otherH == restH && otherL < restL)) {
    n++;
    restH = otherH;
    restL = otherL;
    flip = 1;
  }
  // sin and cos of -x follow from symmetry: the quadrant of a negative angle counts down.
  quadrant = <u32>(aSign != 0 ? -n : n) & 3;
  aSign ^= flip;
  setWide(restH, restL);
  normalizeWide();
  aH = wH;
  aL = wL;
  // rest / 2^65 = w / 2^127 * 2^(127 - 65 + wExp)
  aExp = 62 + wExp;
}

/** w (normalised, with exponent returned) = |sin| of the reduced argument. */
function reducedSine(): i32 {
  squareWide(aH, aL, aExp);
  sineSeries(wH, wL);
  multiplyWide(aH, aL);
  normalizeWide();
  return aExp + 1 + wExp;
}

function reducedCosine(): i32 {
  squareWide(aH, aL, aExp);
  cosineSeries(wH, wL);
  normalizeWide();
  return wExp;
}

function finishSine(extraQuadrants: u32, cw: u32): void {
  const q = (quadrant + extraQuadrants) & 3;
  const sign = q >> 1;
  if ((q & 1) == 0) {
    const exp = reducedSine();
    finish(sign ^ aSign, exp, cw);
  } else {
    const exp = reducedCosine();
    finish(sign, exp, cw);
  }
}

/** NaN, infinite and unsupported operands of the trigonometric instructions: true if one was answered. */
function trigonometricSpecial(se: u32, sig: u64): bool {
  clearFlags();
  if (isUnsupported(se, sig) || isInfinity(se, sig)) {
    invalid();
    return true;
  }
  if (isNaN80(se, sig)) {
    propagateOne(se, sig);
    return true;
  }
  return false;
}

/**
 * A result that rounds to a neighbour of x itself, slightly smaller in magnitude: x * (1 - tiny).
 * Used where x^2 is below what the series resolves.
 */
function finishNearOperand(se: u32, cw: u32): void {
  setWide(uSig - 1, ~(<u64>0));
  finish(se >> 15, uExp, cw);
}

/** Below this exponent, x^2/6 is under 2^-128. */
// @ts-ignore: decorator
@inline const TINY: i32 = -64;

function sineOfFinite(se: u32, sig: u64, cw: u32): void {
  if (isZero(se, sig)) {
    setResult(se, 0);
    return;
  }
  reduce(se, sig);
  if (aExp < TINY && quadrant == 0 && uExp < TINY) finishNearOperand(se, cw);
  else finishSine(0, cw);
}

function cosineOfFinite(se: u32, sig: u64, cw: u32): void {
  if (isZero(se, sig)) {
    setResult(0x3fff, INTEGER_BIT);
    return;
  }
  reduce(se, sig);
  if (uExp < TINY) {
    setWide(~(<u64>0), ~(<u64>0));
    finish(0, -1, cw);
  } else {
    finishSine(1, cw);
  }
}

/** FSIN. */
export function sine(se: u32, sig: u64, cw: u32): void {
  if (!trigonometricSpecial(se, sig)) sineOfFinite(se, sig, cw);
}

/** FCOS. */
export function cosine(se: u32, sig: u64, cw: u32): void {
  if (!trigonometricSpecial(se, sig)) cosineOfFinite(se, sig, cw);
}

/** FSINCOS: the sine as the result, the cosine as the second one. */
export function sineAndCosine(se: u32, sig: u64, cw: u32): void {
  if (trigonometricSpecial(se, sig)) {
    secondSe = rSe;
    secondSig = rSig;
    return;
  }
  cosineOfFinite(se, sig, cw);
  secondSe = rSe;
  secondSig = rSig;
  // C1 tells how the sine was rounded.
  dropFlags(ROUNDED_UP);
  sineOfFinite(se, sig, cw);
}

/** FPTAN: the tangent as the result, 1.0 as the second one. */
export function tangent(se: u32, sig: u64, cw: u32): void {
  if (trigonometricSpecial(se, sig)) {
    secondSe = rSe;
    secondSig = rSig;
    return;
  }
  secondSe = 0x3fff;
  secondSig = INTEGER_BIT;
  if (isZero(se, sig)) {
    setResult(se, 0);
    return;
  }
  reduce(se, sig);
  if (uExp < TINY) {
    setWide(uSig, 0);
    finish(se >> 15, uExp, cw);
    return;
  }
  const sineExp = reducedSine();
  const sH = wH;
  const sL = wL;
  const cosineExp = reducedCosine();
  if ((quadrant & 1) == 0) {
    divideWide(sH, sL, wH, wL);
    finishQuotient(aSign, sineExp - cosineExp, cw);
  } else {
    divideWide(wH, wL, sH, sL);
    finishQuotient(aSign ^ 1, cosineExp - sineExp, cw);
  }
}

function finishQuotient(sign: u32, exp: i32, cw: u32): void {
  roundPack(sign, exp + wExp + BIAS, wH, wL | 1, cw, 64);
}

/** F2XM1: 2^x - 1. */
export function exponentialMinusOne(se: u32, sig: u64, cw: u32): void {
  clearFlags();
  if (isUnsupported(se, sig)) {
    invalid();
    return;
  }
  if (isNaN80(se, sig)) {
    propagateOne(se, sig);
    return;
  }
  if (isInfinity(se, sig)) {
    if (se >> 15 != 0) setResult(0xbfff, INTEGER_BIT);
    else setResult(se, sig);
    return;
  }
  if (isZero(se, sig)) {
    setResult(se, sig);
    return;
  }
  unpack(se, sig);
  const negative = se >> 15 != 0;
  if (uExp >= 0) {
    // Defined for |x| <= 1 only; beyond, the operand comes back as an inexact result, as on AMD's CPUs.
    if (uExp == 0 && uSig == INTEGER_BIT && !negative) {
      // The CPU finds a number just below 1.
      setWide(~(<u64>0), ~(<u64>0));
      finish(0, -1, cw);
    } else if (uExp == 0 && uSig == INTEGER_BIT) {
      addFlags(PE);
      setResult(0xbffe, INTEGER_BIT);
    } else {
      addFlags(PE);
      setResult(se, sig);
    }
    return;
  }
  // y = x ln 2
  setWide(0xb17217f7d1cf79ab, 0xc9e3b39803f2f6af);
  multiplyWide(uSig, 0);
  normalizeWide();
  // x / 2^63 * 2^uExp times ln 2 * 2^128: the product over 2^128 has the scale 2^(uExp - 127).
  const yH = wH;
  const yL = wL;
  const exp = uExp + wExp;
  shiftRightWide(-exp);
  exponentialSeries(wH, wL, negative);
  multiplyWide(yH, yL);
  finish(se >> 15, exp + 1, cw);
}

/** The logarithm found last: w is normalised, its exponent and sign. */
let logExp: i32 = 0;
let logSign: u32 = 0;

/** 2 / ln 2 / 2 as a Q number: log2(e). */
// @ts-ignore: decorator
@inline const LOG2E_H: u64 = 0xb8aa3b295c17f0bb;
// @ts-ignore: decorator
@inline const LOG2E_L: u64 = 0xbe87fed0691d3e89;

/** w = log2 from s = (num / den), given normalised with its exponent: 2 log2(e) atanh(s). */
function logFromRatio(sH: u64, sL: u64, exp: i32): void {
  squareWide(sH, sL, exp);
  oddSeries(wH, wL, false);
  multiplyWide(sH, sL);
  multiplyWide(LOG2E_H, LOG2E_L);
  normalizeWide();
  // s (Q) * series (Q) * log2e (Q), each product halved: 2^2; and the factor 2.
  logExp = exp + 3 + wExp;
}

/** log2 of a positive finite number that is not 1, with significand sig:sigLow. */
function logOf(exp: i32, sig: u64, sigLow: u64): void {
  let k = exp;
  let below: bool;
  if (sig > 0xb504f333f9de6484) {
    // m = sig / 2^64 in (0.707, 1): s = (1 - m) / (1 + m)
    k++;
    below = true;
    setWide(0, 0);
    subtractWide(sig, sigLow);
  } else {
    // m = sig / 2^63 in [1, 1.414]: s = (m - 1) / (m + 1)
    below = false;
    setWide(sig - INTEGER_BIT, sigLow);
  }
  // m + 1 in the same units carries out of 128 bits: halved, which costs at most its last bit.
  const sum = below ? sig : sig + INTEGER_BIT;
  const denH = INTEGER_BIT | (sum >> 1);
  const denL = (sum << 63) | (sigLow >> 1);
  if ((wH | wL) == 0) {
    // An exact power of two.
    logSign = u32(k < 0);
    setWide(<u64>(k < 0 ? -k : k), 0);
    normalizeWide();
    logExp = 63 + wExp;
    return;
  }
  normalizeWide();
  const numExp = wExp;
  divideWide(wH, wL, denH, denL);
  logFromRatio(wH, wL, wExp + numExp - 1);
  if (k == 0) {
    logSign = u32(below);
    return;
  }
  // |k| +- f with 112 fraction bits; f = w / 2^127 * 2^logExp.
  shiftRightWide(15 - logExp);
  const whole = (<u64>(k < 0 ? -k : k)) << 48;
  if (k < 0 == below) addWide(whole, 0);
  else subtractFromWide(whole, 0);
  normalizeWide();
  logSign = u32(k < 0);
  logExp = 15 + wExp;
}

/** y times the logarithm in w: always reported as inexact, as on AMD's CPUs. */
function timesLog(ySe: u32, ySig: u64, exact: bool, cw: u32): void {
  unpack(ySe, ySig);
  multiplyWide(uSig, 0);
  normalizeWide();
  roundPack(logSign ^ (ySe >> 15), logExp + uExp + 1 + wExp + BIAS, wH, exact ? wL : wL | 1, cw, 64);
  addFlags((rSe & 0x7fff) == 0 ? UE | PE : PE);
}

/** FYL2X: y log2(x). */
export function logarithm(ySe: u32, ySig: u64, xSe: u32, xSig: u64, cw: u32): void {
  clearFlags();
  if (decideByNaN(ySe, ySig, xSe, xSig)) return;
  const ySign = ySe & 0x8000;
  const yZero = isZero(ySe, ySig);
  const yInfinite = isInfinity(ySe, ySig);
  if (isZero(xSe, xSig)) {
    if (yZero) {
      invalid();
      return;
    }
    if (!yInfinite) addFlags(ZE);
    setResult((ySign ^ 0x8000) | 0x7fff, INTEGER_BIT);
    return;
  }
  if (xSe >> 15 != 0) {
    invalid();
    return;
  }
  if (isInfinity(xSe, xSig)) {
    if (yZero) {
      invalid();
      return;
    }
    if (isDenormal(ySe, ySig)) addFlags(DE);
    setResult(ySign | 0x7fff, INTEGER_BIT);
    return;
  }
  const isOne = xSe == 0x3fff && xSig == INTEGER_BIT;
  if (yInfinite) {
    if (isOne) {
      invalid();
      return;
    }
    if (isDenormal(xSe, xSig)) addFlags(DE);
    setResult((xSe < 0x3fff ? ySign ^ 0x8000 : ySign) | 0x7fff, INTEGER_BIT);
    return;
  }
  if (yZero || isOne) {
    if (isDenormal(xSe, xSig) || isDenormal(ySe, ySig)) addFlags(DE);
    setResult(xSe < 0x3fff ? ySign ^ 0x8000 : ySign, 0);
    return;
  }
  unpack(xSe, xSig);
  const power = uSig == INTEGER_BIT;
  logOf(uExp, uSig, 0);
  timesLog(ySe, ySig, power, cw);
}

/** FYL2XP1: y log2(x + 1). */
export function logarithmPlusOne(ySe: u32, ySig: u64, xSe: u32, xSig: u64, cw: u32): void {
  clearFlags();
  if (decideByNaN(ySe, ySig, xSe, xSig)) return;
  const ySign = ySe & 0x8000;
  const xSign = xSe & 0x8000;
  const yInfinite = isInfinity(ySe, ySig);
  if (isZero(xSe, xSig)) {
    if (yInfinite) {
      invalid();
      return;
    }
    if (isDenormal(ySe, ySig)) addFlags(DE);
    setResult(ySign ^ xSign, 0);
    return;
  }
  if (isInfinity(xSe, xSig)) {
    if (xSign != 0 || isZero(ySe, ySig)) {
      invalid();
      return;
    }
    if (isDenormal(ySe, ySig)) addFlags(DE);
    setResult(ySign | 0x7fff, INTEGER_BIT);
    return;
  }
  if (yInfinite) {
    if (isDenormal(xSe, xSig)) addFlags(DE);
    setResult((ySign ^ xSign) | 0x7fff, INTEGER_BIT);
    return;
  }
  if (isZero(ySe, ySig)) {
    if (isDenormal(xSe, xSig)) addFlags(DE);
    setResult(ySign ^ xSign, 0);
    return;
  }
  // Outside of the defined range (1 - sqrt(1/2)): at and below -1 the operand comes back, as on AMD's CPUs.
  if (xSign != 0 && (xSe & 0x7fff) >= 0x3fff) {
    addFlags(isDenormal(ySe, ySig) ? DE | PE : PE);
    setResult(xSe, xSig);
    return;
  }
  unpack(xSe, xSig);
  if (uExp < TINY) {
    // log2(1 + x) = x log2(e)
    setWide(LOG2E_H, LOG2E_L);
    multiplyWide(uSig, 0);
    normalizeWide();
    logExp = uExp + 1 + wExp;
    logSign = xSign >> 15;
  } else if (uExp < -1) {
    // s = x / (2 + x), den in Q2.126
    setWide(uSig, 0);
    shiftRightWide(1 - uExp);
    if (xSign != 0) subtractFromWide(INTEGER_BIT, 0);
    else addWide(INTEGER_BIT, 0);
    normalizeWide();
    const denExp = 1 + wExp;
    const exp = uExp;
    divideWide(uSig, 0, wH, wL);
    logFromRatio(wH, wL, exp - denExp + wExp);
    logSign = xSign >> 15;
  } else {
    logOfSum(xSign != 0);
  }
  timesLog(ySe, ySig, false, cw);
}

/** log2(1 + x) for |x| >= 1/2 in uSig and uExp, beyond the range for which FYL2XP1 is defined. */
function logOfSum(negative: bool): void {
  if (negative) {
    // 1 - x, x in [1/2, 1): exact.
    const difference = -uSig;
    const shift = clz<u64>(difference);
    logOf(-1 - <i32>shift, difference << shift, 0);
    return;
  }
  if (uExp > 126) {
    logOf(uExp, uSig, 0);
    return;
  }
  if (uExp < 0) {
    logOf(0, INTEGER_BIT | (uSig >> 1), uSig << 63);
    return;
  }
  setWide(INTEGER_BIT, 0);
  shiftRightWide(uExp);
  addWide(uSig, 0);
  if (wH < uSig) logOf(uExp + 1, INTEGER_BIT | (wH >> 1), (wH << 63) | (wL >> 1));
  else logOf(uExp, wH, wL);
}

/** atan(i / 8) as a Q number, i = 1 to 8. */
function arctangentOfEighths(i: u32): void {
  switch (i) {
    case 1:
      setWide(0x0feadd4d5617b6e3, 0x2c897989f3e888ef);
      break;
    case 2:
      setWide(0x1f5b75f92c80dd62, 0xadb8f3debef442fd);
      break;
    case 3:
      setWide(0x2dec3283c9bde11c, 0xe2a8c848b73f9121);
      break;
    case 4:
      setWide(0x3b58ce0ac3769ed1, 0x5bf9117b2f0ea341);
      break;
    case 5:
      setWide(0x47802eaf7bfacfcd, 0xae41af0b32e21ba4);
      break;
    case 6:
      setWide(0x525e3e8c9a7b8492, 0x0cd43f9522bed64f);
      break;
    case 7:
      setWide(0x5c029f15e118cf39, 0xe596d2a90852221f);
      break;
    default:
      setWide(0x6487ed5110b4611a, 0x62633145c06e0e69);
  }
}

/** pi / 4 times 1 to 4 as the result, rounded; all inexact. */
function multipleOfPi(sign: u32, quarters: u32, cw: u32): void {
  // pi as w / 2^127 * 2^1 * 2^... : normalised significand of pi, exponent 1.
  setWide(0xc90fdaa22168c234, 0xc4c6628b80dc1cd1);
  if (quarters == 3) {
    // 3 pi / 4 = 3 * (pi / 4); 3 w / 4 keeps bit 127 set.
    const half = wH >> 1;
    const halfLow = (wL >> 1) | (wH << 63);
    shiftRightWide(2);
    addWide(half, halfLow);
  }
  finish(sign, quarters == 4 || quarters == 3 ? 1 : quarters == 2 ? 0 : -1, cw);
}

/** FPATAN: the angle of the point (x, y). */
export function arctangent(ySe: u32, ySig: u64, xSe: u32, xSig: u64, cw: u32): void {
  clearFlags();
  if (decideByNaN(ySe, ySig, xSe, xSig)) return;
  const sign = ySe >> 15;
  const xNegative = xSe >> 15 != 0;
  const yZero = isZero(ySe, ySig);
  const xZero = isZero(xSe, xSig);
  const yInfinite = isInfinity(ySe, ySig);
  const xInfinite = isInfinity(xSe, xSig);
  if (isDenormal(ySe, ySig) || isDenormal(xSe, xSig)) addFlags(DE);
  if (yInfinite) {
    multipleOfPi(sign, xInfinite ? (xNegative ? 3 : 1) : 2, cw);
    return;
  }
  if (yZero || xInfinite) {
    if (xNegative) multipleOfPi(sign, 4, cw);
    else setResult(ySe & 0x8000, 0);
    return;
  }
  if (xZero) {
    multipleOfPi(sign, 2, cw);
    return;
  }
  unpack(ySe, ySig);
  let numExp = uExp;
  let num = uSig;
  unpack(xSe, xSig);
  let denExp = uExp;
  let den = uSig;
  const swapped = numExp > denExp || (numExp == denExp && num > den);
  if (swapped) {
    const e = numExp;
    numExp = denExp;
    denExp = e;
    const s = num;
    num = den;
    den = s;
  }
  const difference = denExp - numExp;
  // t = num / den <= 1; i = the nearest eighth.
  let i: u32 = 0;
  if (difference <= 4) {
    const t = <f64>num / (<f64>den * <f64>((<u64>1) << (<u64>difference)));
    i = <u32>(t * 8.0 + 0.5);
  }
  let angleExp: i32 = 0;
  if (i == 0) {
    divideWide(num, 0, den, 0);
    const tExp = wExp - difference;
    const tH = wH;
    const tL = wL;
    if (tExp < TINY) {
      if (!swapped && !xNegative) {
        // atan(t) = t: exact only if the quotient is, which rounding must not show.
        setWide(tH, tL);
        const exact = tL == 0 && (tH & 1) == 0;
        if (exact) setWide(tH - 1, ~(<u64>0));
        finish(sign, tExp, cw);
        return;
      }
    }
    squareWide(tH, tL, tExp);
    oddSeries(wH, wL, true);
    multiplyWide(tH, tL);
    angleExp = tExp + 1;
    if (!swapped && !xNegative) {
      finish(sign, angleExp, cw);
      return;
    }
    // To the scale 2^-127.
    if (angleExp <= 0) {
      shiftRightWide(-angleExp);
    }
  } else {
    // r = (t - i/8) / (1 + t i/8) = (8 num - i den) / (8 den + i num), exact in 128 bits.
    const dH = den >> 8;
    const dL = den << 56;
    const shift = <u64>(8 + difference);
    const nH = num >> shift;
    const nL = num << (64 - shift);
    // i * den and 8 * num, etc.
    multiplySmall(dH, dL, i);
    const iDenH = smallH;
    const iDenL = smallL;
    multiplySmall(nH, nL, 8);
    let topH = smallH - iDenH - u64(smallL < iDenL);
    let topL = smallL - iDenL;
    const below = <i64>topH < 0;
    if (below) {
      topL = -topL;
      topH = ~topH + u64(topL == 0);
    }
    multiplySmall(nH, nL, i);
    const iNumH = smallH;
    const iNumL = smallL;
    multiplySmall(dH, dL, 8);
    setWide(smallH, smallL);
    addWide(iNumH, iNumL);
    normalizeWide();
    const bottomH = wH;
    const bottomL = wL;
    const bottomExp = wExp;
    if ((topH | topL) == 0) {
      arctangentOfEighths(i);
    } else {
      setWide(topH, topL);
      normalizeWide();
      const topExp = wExp;
      divideWide(wH, wL, bottomH, bottomL);
      const rExp = topExp - bottomExp + wExp;
      const rH = wH;
      const rL = wL;
      squareWide(rH, rL, rExp);
      oddSeries(wH, wL, true);
      multiplyWide(rH, rL);
      // w / 2^126 * 2^rExp, to the scale 2^-127.
      shiftRightWide(-rExp - 1);
      const fH = wH;
      const fL = wL;
      arctangentOfEighths(i);
      if (below) subtractWide(fH, fL);
      else addWide(fH, fL);
    }
  }
  // w is the angle in [0, pi/4] as a Q number. pi / 2 as a Q number:
  if (swapped) {
    if (xNegative) addWide(0xc90fdaa22168c234, 0xc4c6628b80dc1cd1);
    else subtractFromWide(0xc90fdaa22168c234, 0xc4c6628b80dc1cd1);
    if (xNegative && wH < 0xc90fdaa22168c234) {
      // The sum left the Q range: at most 3 pi / 4 = 2.36.
      setWide((wH >> 1) | INTEGER_BIT, (wL >> 1) | (wH << 63));
      finish(sign, 1, cw);
      return;
    }
    finish(sign, 0, cw);
    return;
  }
  if (xNegative) {
    // pi - angle, with 126 fraction bits.
    shiftRightWide(1);
    subtractFromWide(0xc90fdaa22168c234, 0xc4c6628b80dc1cd1);
    finish(sign, 1, cw);
    return;
  }
  finish(sign, 0, cw);
}

/** (high:lowPart) * n for a product below 2^128. */
let smallH: u64 = 0;
let smallL: u64 = 0;
function multiplySmall(high: u64, lowPart: u64, n: u64): void {
  smallH = high * n + multiply64(lowPart, n);
  smallL = low;
}
