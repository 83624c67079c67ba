/** The comparisons of PCMPESTRI, PCMPESTRM, PCMPISTRI and PCMPISTRM (Intel SDM vol. 2, 4.1). */

// Fields of the immediate.
// @ts-ignore: decorator
@inline const WORDS: i32 = 1;
// @ts-ignore: decorator
@inline const SIGNED: i32 = 2;
// @ts-ignore: decorator
@inline const EQUAL_ANY: i32 = 0;
// @ts-ignore: decorator
@inline const RANGES: i32 = 1;
// @ts-ignore: decorator
@inline const EQUAL_EACH: i32 = 2;
// @ts-ignore: decorator
@inline const NEGATIVE: i32 = 0x10;
// @ts-ignore: decorator
@inline const MASKED: i32 = 0x20;
// @ts-ignore: decorator
@inline const MOST_SIGNIFICANT: i32 = 0x40;
/** Not part of the immediate: zeros end the strings. */
// @ts-ignore: decorator
@inline const IMPLICIT: i32 = 0x100;

// @ts-ignore: decorator
@inline function vectorOf(low: i64, high: i64): v128 {
  return i64x2.replace_lane(i64x2.splat(low), 1, high);
}

/** One bit a lane that is all ones. */
// @ts-ignore: decorator
@inline function bits(mask: v128, words: bool): i32 {
  return words ? i16x8.bitmask(mask) : i8x16.bitmask(mask);
}

/** Element `i`, in all lanes. */
function element(low: u64, high: u64, i: i32, words: bool): v128 {
  if (words) return i16x8.splat(<i16>((i < 4 ? low : high) >> ((<u64>i & 3) << 4)));
  return i8x16.splat(<i8>((i < 8 ? low : high) >> ((<u64>i & 7) << 3)));
}

// @ts-ignore: decorator
@inline function equal(a: v128, b: v128, words: bool): i32 {
  return bits(words ? i16x8.eq(a, b) : i8x16.eq(a, b), words);
}

function notLess(a: v128, b: v128, words: bool, signed: bool): i32 {
  if (words) return bits(signed ? i16x8.ge_s(a, b) : i16x8.ge_u(a, b), true);
  return bits(signed ? i8x16.ge_s(a, b) : i8x16.ge_u(a, b), false);
}

/** Valid elements of a string: those before the first zero, or as many as its length says, at most all. */
function lengthOf(vector: v128, explicitLength: i64, implicit: bool, words: bool, count: i32): i32 {
  if (implicit) {
    const zeros = equal(vector, i64x2.splat(0), words);
    return zeros == 0 ? count : ctz<i32>(zeros);
  }
  // The magnitude of the most negative number stays negative: it is too large as well.
  const magnitude = explicitLength < 0 ? 0 - explicitLength : explicitLength;
  return magnitude < 0 || magnitude > count ? count : <i32>magnitude;
}

export function compareStrings(
  cpu: i32,
  control: i32,
  aLow: i64,
  aHigh: i64,
  bLow: i64,
  bHigh: i64,
  aLength: i64,
  bLength: i64,
): i64 {
  const words = (control & WORDS) != 0;
  const signed = (control & SIGNED) != 0;
  const implicit = (control & IMPLICIT) != 0;
  const count: i32 = words ? 8 : 16;
  const all: i32 = (1 << count) - 1;
  const a = vectorOf(aLow, aHigh);
  const b = vectorOf(bLow, bHigh);
  const aCount = lengthOf(a, aLength, implicit, words, count);
  const bCount = lengthOf(b, bLength, implicit, words, count);
  const bValid: i32 = (1 << bCount) - 1;

  let result: i32 = 0;
  switch ((control >> 2) & 3) {
    case EQUAL_ANY:
      for (let i = 0; i < aCount; i++) result |= equal(b, element(aLow, aHigh, i, words), words);
      result &= bValid;
      break;
    case RANGES:
      for (let i = 0; i + 1 < aCount; i += 2) {
        const above = notLess(b, element(aLow, aHigh, i, words), words, signed);
        result |= above & notLess(element(aLow, aHigh, i + 1, words), b, words, signed);
      }
      result &= bValid;
      break;
    case EQUAL_EACH: {
      const aValid: i32 = (1 << aCount) - 1;
      result = (equal(a, b, words) & aValid & bValid) | (all & ~aValid & ~bValid);
      break;
    }
    default:
      // Equal ordered: does `a` begin at each place of `b`? What lies behind the end of the vector is not compared.
      result = all;
      for (let i = 0; i < aCount; i++) {
        const matches = equal(b, element(aLow, aHigh, i, words), words) & bValid;
        result &= (matches >> i) | (all & ~(all >> i));
      }
  }
  if ((control & NEGATIVE) != 0) result ^= (control & MASKED) != 0 ? bValid : all;

  const index = result == 0 ? count : (control & MOST_SIGNIFICANT) != 0 ? 31 - clz<i32>(result) : ctz<i32>(result);
  let flags: i64 = 0;
  if (result != 0) flags |= 1;
  if (bCount < count) flags |= 0x40;
  if (aCount < count) flags |= 0x80;
  if ((result & 1) != 0) flags |= 0x800;
  return (flags << 32) | (<i64>index << 16) | <i64>result;
}
