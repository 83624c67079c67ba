/** 128-bit products and quotients: wasm's wide-arithmetic instructions are not enabled in browsers. */
import { EXCEPTION_DE, REG_RAX, REG_RDX, STATUS_NEXT } from './generated/layout';
import { getReg, raise, setReg } from './cpu';

/** High half of a * b, unsigned, from four 32-bit products. */
export function mulHighUnsigned(cpu: usize, a: u64, b: u64): u64 {
  const aLow = a & 0xffffffff;
  const aHigh = a >> 32;
  const bLow = b & 0xffffffff;
  const bHigh = b >> 32;
  const middle = aHigh * bLow + ((aLow * bLow) >> 32);
  const carry = (middle & 0xffffffff) + aLow * bHigh;
  return aHigh * bHigh + (middle >> 32) + (carry >> 32);
}

/** High half of a * b, signed: a negative factor counts as itself + 2^64 in the unsigned product. */
export function mulHighSigned(cpu: usize, a: i64, b: i64): i64 {
  return <i64>mulHighUnsigned(cpu, <u64>a, <u64>b) - ((a >> 63) & b) - ((b >> 63) & a);
}

/** One 32-bit digit of a quotient: how often `divisor` (normalised) goes into remainder:next. */
function quotientDigit(remainder: u64, next: u64, divisor: u64): u64 {
  const top = divisor >> 32;
  let digit = remainder / top;
  let rest = remainder - digit * top;
  // The estimate from the divisor's upper half is too large by two at most.
  while (digit > 0xffffffff || digit * (divisor & 0xffffffff) > ((rest << 32) | next)) {
    digit--;
    rest += top;
    if (rest > 0xffffffff) break;
  }
  return digit;
}

/** high:low / divisor for high < divisor; the remainder follows from the quotient. */
function quotient128(high: u64, low: u64, divisor: u64): u64 {
  if (high == 0) return low / divisor;
  const shift = clz<u64>(divisor);
  const d = divisor << shift;
  let r = high;
  if (shift != 0) r = (high << shift) | (low >> (64 - shift));
  const l = low << shift;
  const first = quotientDigit(r, l >> 32, d);
  // Mod 2^64: the true value is below d.
  r = ((r << 32) | (l >> 32)) - first * d;
  const second = quotientDigit(r, l & 0xffffffff, d);
  return (first << 32) | second;
}

/** DIV r/m64. */
export function divide64(cpu: usize, divisor: u64): i32 {
  const high = getReg(cpu, REG_RDX);
  const low = getReg(cpu, REG_RAX);
  // Also catches a divisor of 0.
  if (high >= divisor) return raise(cpu, EXCEPTION_DE, 0);
  const quotient = quotient128(high, low, divisor);
  setReg(cpu, REG_RAX, quotient);
  setReg(cpu, REG_RDX, low - quotient * divisor);
  return STATUS_NEXT;
}

/** IDIV r/m64: the quotient is rounded towards 0, the remainder has the dividend's sign. */
export function divideSigned64(cpu: usize, divisor: i64): i32 {
  let high = getReg(cpu, REG_RDX);
  let low = getReg(cpu, REG_RAX);
  const negative = <i64>high < 0;
  if (negative) {
    high = ~high + <u64>(low == 0);
    low = 0 - low;
  }
  const magnitude: u64 = divisor < 0 ? 0 - <u64>divisor : <u64>divisor;
  if (high >= magnitude) return raise(cpu, EXCEPTION_DE, 0);
  const quotient = quotient128(high, low, magnitude);
  const opposite = negative != divisor < 0;
  const largest: u64 = opposite ? 1 << 63 : (<u64>1 << 63) - 1;
  if (quotient > largest) return raise(cpu, EXCEPTION_DE, 0);
  const remainder = low - quotient * magnitude;
  setReg(cpu, REG_RAX, opposite ? 0 - quotient : quotient);
  setReg(cpu, REG_RDX, negative ? 0 - remainder : remainder);
  return STATUS_NEXT;
}

/** PDEP: the low bits of `a`, one for each set bit of `mask`, at those places. */
export function depositBits(cpu: usize, a: u64, mask: u64): u64 {
  let result: u64 = 0;
  for (let rest = mask; rest != 0; rest &= rest - 1) {
    if ((a & 1) != 0) result |= rest & (0 - rest);
    a >>= 1;
  }
  return result;
}

/** PEXT: the bits of `a` at the set bits of `mask`, packed. */
export function extractBits(cpu: usize, a: u64, mask: u64): u64 {
  let result: u64 = 0;
  let at: u64 = 1;
  for (let rest = mask; rest != 0; rest &= rest - 1) {
    if ((a & (rest & (0 - rest))) != 0) result |= at;
    at <<= 1;
  }
  return result;
}
