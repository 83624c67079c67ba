/** What SSE instructions need beyond the operators of WebAssembly; `layout/sse.ts` has the codes of `sseCompute`. */
import { cr4, raise } from './cpu';
import {
  CR4_OSXMMEXCPT,
  EXCEPTION_UD,
  EXCEPTION_XM,
  MXCSR_DE,
  MXCSR_IE,
  MXCSR_ZE,
  SSE_ADD,
  SSE_ADDSUB,
  SSE_COMPARE,
  SSE_DIV,
  SSE_DOT,
  SSE_DOUBLE,
  SSE_FROM_F32,
  SSE_FROM_F64,
  SSE_FROM_I32,
  SSE_FROM_I64,
  SSE_IMMEDIATE_SHIFT,
  SSE_LANES_SHIFT,
  SSE_MAX,
  SSE_MIN,
  SSE_MUL,
  SSE_ORDER,
  SSE_RECIPROCAL,
  SSE_RECIPROCAL_ROOT,
  SSE_ROUND,
  SSE_SQRT,
  SSE_SUB,
  SSE_TO_I32,
  SSE_TO_I64,
  STATUS_FAULT,
  STATUS_NEXT,
  VCPU_mxcsr,
  VCPU_scratch,
} from './generated/layout';
import {
  add,
  begin,
  choose,
  compare,
  control,
  convert,
  divide,
  flags,
  fromInteger,
  multiply,
  roundToIntegral,
  squareRoot,
  toInteger,
} from './softfloat';
import { exactLane, exactResult, roundsAsHost } from './sse-exact';
import { hostForWrite, stored } from './x87memory';

/** Exceptions found before the operation: unmasked, they hide those of the result. */
// @ts-ignore: decorator
@inline const BEFORE: u32 = MXCSR_IE | MXCSR_DE | MXCSR_ZE;

/** Flags at their EFLAGS positions by the result of `compare`: greater, less, equal, unordered. */
// @ts-ignore: decorator
@inline function orderFlags(order: u32): u64 {
  return order == 0 ? 0 : order == 1 ? 1 : order == 2 ? 0x40 : 0x45;
}

/** Predicates of CMPPS: 0 EQ, 1 LT, 2 LE, 3 UNORD, 4-7 their negations. LT and LE are signaling. */
function satisfies(a: u64, b: u64, predicate: u32, double: bool): bool {
  const basic = predicate & 3;
  const order = compare(a, b, basic == 1 || basic == 2, double);
  let holds: bool;
  if (basic == 0) holds = order == 2;
  else if (basic == 1) holds = order == 1;
  else if (basic == 2) holds = order == 1 || order == 2;
  else holds = order == 3;
  return holds != ((predicate & 4) != 0);
}

function roundingMode(immediate: u32): u32 {
  return (immediate & 4) != 0 ? (control >> 13) & 3 : immediate & 3;
}

function lane(operation: u32, immediate: u32, odd: bool, double: bool, a: u64, b: u64): u64 {
  switch (operation) {
    case SSE_ADD:
      return add(a, b, false, double);
    case SSE_SUB:
      return add(a, b, true, double);
    case SSE_ADDSUB:
      return add(a, b, !odd, double);
    case SSE_MUL:
      return multiply(a, b, double);
    case SSE_DIV:
      return divide(a, b, double);
    case SSE_SQRT:
      return squareRoot(b, double);
    case SSE_MIN:
      return choose(a, b, false, double);
    case SSE_MAX:
      return choose(a, b, true, double);
    case SSE_COMPARE:
      return satisfies(a, b, immediate & 7, double) ? 0xffffffffffffffff : 0;
    case SSE_ROUND:
      return roundToIntegral(b, roundingMode(immediate), (immediate & 8) != 0, double);
    case SSE_RECIPROCAL:
      return reciprocal(b);
    case SSE_RECIPROCAL_ROOT:
      return reciprocalRoot(b);
    case SSE_ORDER:
      return orderFlags(compare(a, b, (immediate & 1) == 0, double));
    case SSE_FROM_F32:
      return convert(b, false);
    case SSE_FROM_F64:
      return convert(b, true);
    case SSE_FROM_I32:
      return fromInteger(<i32>b, double);
    case SSE_FROM_I64:
      return fromInteger(b, double);
    case SSE_TO_I32:
      return toInteger(b, immediate != 0, false, double);
    case SSE_TO_I64:
      return toInteger(b, immediate != 0, true, double);
    default:
      return 0;
  }
}

/**
 * RCPPS and RSQRTPS may be off by 1.5 * 2^-12 (APM vol. 4, RCPPS) and every maker's are different. Like AMD's, these
 * depend on the upper 12 bits of the significand and have 12 bits behind the point: the value in the middle
 * of the operands that share those bits. Denormal operands count as zero, and no exception is noted.
 */
function middle(bits: u32): f64 {
  return <f64>reinterpret<f32>((bits & 0xfffff800) | 0x400);
}

/** Rounds a positive number to 12 bits behind the point of its significand; what would be denormal is 0. */
function coarse(value: f64): u32 {
  const bits = reinterpret<u32>(<f32>value);
  return bits < 0x00800000 ? 0 : (bits + 0x400) & 0xfffff800;
}

function reciprocal(operand: u64): u64 {
  const bits = <u32>operand;
  const magnitude = bits & 0x7fffffff;
  const signBit = bits & 0x80000000;
  if (magnitude > 0x7f800000) return bits | 0x00400000;
  if (magnitude == 0x7f800000) return signBit;
  if (magnitude < 0x00800000) return signBit | 0x7f800000;
  return signBit | coarse(1.0 / middle(magnitude));
}

function reciprocalRoot(operand: u64): u64 {
  const bits = <u32>operand;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return bits | 0x00400000;
  if (magnitude < 0x00800000) return (bits & 0x80000000) | 0x7f800000;
  if ((bits & 0x80000000) != 0) return 0xffc00000;
  if (magnitude == 0x7f800000) return 0;
  return coarse(1.0 / sqrt<f64>(middle(magnitude)));
}

/**
 * Accounts for the exceptions of one instruction, over all its lanes (APM vol. 1, 4.9 and 4.10): true if none
 * is unmasked; else #XM is raised, or #UD if the system does not expect it.
 */
function settle(cpu: i32): bool {
  if (flags == 0) return true;
  const mxcsr = load<u32>(cpu, VCPU_mxcsr);
  const unmasked = flags & ~(mxcsr >> 7) & 0x3f;
  const seen = (unmasked & BEFORE) != 0 ? flags & BEFORE : flags;
  store<u32>(cpu, mxcsr | seen, VCPU_mxcsr);
  if (unmasked == 0) return true;
  raise(cpu, (cr4(cpu) & CR4_OSXMMEXCPT) != 0 ? EXCEPTION_XM : EXCEPTION_UD, 0);
  return false;
}

export function sseCompute(cpu: i32, code: i32, aLow: i64, aHigh: i64, bLow: i64, bHigh: i64): i64 {
  const operation = <u32>code & 0xff;
  const double = (code & SSE_DOUBLE) != 0;
  const lanes = (code >> SSE_LANES_SHIFT) & 7;
  const immediate = (<u32>code >> SSE_IMMEDIATE_SHIFT) & 0xff;
  begin(load<u32>(cpu, VCPU_mxcsr));
  if (operation == SSE_DOT) return dotProduct(cpu, immediate, double, aLow, aHigh, bLow, bHigh);
  const quick = operation <= <u32>SSE_SQRT && roundsAsHost(control);
  if (lanes == 1) {
    if (quick && exactLane(operation, double, aLow, bLow, control)) return exactResult;
    const result = lane(operation, immediate, false, double, aLow, bLow);
    settle(cpu);
    return result;
  }
  // Widths of a lane in the source and in the result, in bits.
  const from: u32 =
    operation == SSE_FROM_F32 || operation == SSE_FROM_I32 ? 32
    : operation == SSE_FROM_F64 ? 64
    : double ? 64
    : 32;
  const to: u32 = operation == SSE_TO_I32 ? 32 : double ? 64 : 32;
  let low: u64 = 0;
  let high: u64 = 0;
  for (let i: i32 = 0; i < lanes; i++) {
    const a = laneOf(aLow, aHigh, i, from);
    const b = laneOf(bLow, bHigh, i, from);
    let r: u64;
    if (quick && exactLane(operation, double, a, b, control)) r = exactResult;
    else r = lane(operation, immediate, (i & 1) != 0, double, a, b);
    if (to == 64) {
      if (i == 0) low = r;
      else high = r;
    } else {
      const placed = (r & 0xffffffff) << ((<u64>i & 1) << 5);
      if (i < 2) low |= placed;
      else high |= placed;
    }
  }
  settle(cpu);
  store<u64>(cpu, high, VCPU_scratch);
  return low;
}

// @ts-ignore: decorator
@inline function laneOf(lowHalf: u64, highHalf: u64, index: i32, width: u32): u64 {
  if (width == 64) return index == 0 ? lowHalf : highHalf;
  const half = index < 2 ? lowHalf : highHalf;
  return (half >> ((<u64>index & 1) << 5)) & 0xffffffff;
}

/**
 * DPPS and DPPD: immediate bits 7-4 choose the products, bits 3-0 where their sum goes; the others count as
 * and become +0. Products are summed in pairs, then the pairs.
 */
function dotProduct(cpu: i32, immediate: u32, double: bool, aLow: u64, aHigh: u64, bLow: u64, bHigh: u64): i64 {
  const lanes = double ? 2 : 4;
  const width: u32 = double ? 64 : 32;
  const p0 = product(immediate, 0, width, aLow, aHigh, bLow, bHigh);
  const p1 = product(immediate, 1, width, aLow, aHigh, bLow, bHigh);
  let sum: u64;
  if (double) {
    if (!settle(cpu)) return 0;
    sum = add(p0, p1, false, true);
  } else {
    const p2 = product(immediate, 2, width, aLow, aHigh, bLow, bHigh);
    const p3 = product(immediate, 3, width, aLow, aHigh, bLow, bHigh);
    if (!settle(cpu)) return 0;
    const first = add(p0, p1, false, false);
    const second = add(p2, p3, false, false);
    if (!settle(cpu)) return 0;
    sum = add(first, second, false, false);
  }
  if (!settle(cpu)) return 0;
  let low: u64 = 0;
  let high: u64 = 0;
  for (let i = 0; i < lanes; i++) {
    if (((immediate >> i) & 1) == 0) continue;
    if (double) {
      if (i == 0) low = sum;
      else high = sum;
    } else {
      const placed = sum << ((<u64>i & 1) << 5);
      if (i < 2) low |= placed;
      else high |= placed;
    }
  }
  store<u64>(cpu, high, VCPU_scratch);
  return low;
}

function product(immediate: u32, i: i32, width: u32, aLow: u64, aHigh: u64, bLow: u64, bHigh: u64): u64 {
  if (((immediate >> (4 + i)) & 1) == 0) return 0;
  return multiply(laneOf(aLow, aHigh, i, width), laneOf(bLow, bHigh, i, width), width == 64);
}

/** MASKMOVQ and MASKMOVDQU. AMD's fault as a write of the whole operand would, whatever the mask is. */
export function maskedStore(
  cpu: i32,
  linear: i64,
  segment: i32,
  bytes: i32,
  dataLow: i64,
  dataHigh: i64,
  maskLow: i64,
  maskHigh: i64,
): i32 {
  if (hostForWrite(cpu, linear, bytes, segment) == 0) return STATUS_FAULT;
  for (let i = 0; i < bytes; i++) {
    const shift: u64 = (<u64>i & 7) << 3;
    if ((((i < 8 ? maskLow : maskHigh) >> shift) & 0x80) == 0) continue;
    const host = hostForWrite(cpu, linear + i, 1, segment);
    if (host == 0) return STATUS_FAULT;
    store<u8>(host, <u8>((i < 8 ? dataLow : dataHigh) >> shift));
    stored(cpu, host);
  }
  return STATUS_NEXT;
}
