/**
 * The x87 instructions that programs mostly consist of, for the ordinary case: neither #NM nor #MF, no register empty
 * that is read or full that is pushed to, all exceptions masked, rounding to nearest with 64 bits, and operands and
 * results that are normalised numbers. Whatever is different is left to x87.ts before anything has changed, so each
 * function here does what `x87Register` or `x87Memory` would do with the same code.
 */
import { cr0 } from './cpu';
import {
  CR0_EM,
  CR0_TS,
  FLAGS_EXPLICIT,
  STATUS_NEXT,
  VCPU_flagA,
  VCPU_flagKind,
  VCPU_fpu,
  VCPU_fpuControl,
  VCPU_fpuStatus,
  VCPU_fpuTag,
} from './generated/layout';
import { fromFloat32, fromFloat64, fromInt64, INTEGER_BIT, PE, rFlags, rSe, rSig, ROUND_CHOP, ROUNDED_UP, toInteger } from './softfloat80';
import { loadOperand, memoryForm, registerForm, withOperand } from './x87';
import { quickHostForRead, quickHostForWrite, stored } from './x87memory';
import {
  BIAS,
  isComparable,
  isOrdinaryExponent,
  isZero,
  NOT_ORDINARY,
  order,
  ordinaryControl,
  product,
  put,
  quotient,
  roundsUp,
  squareRoot,
  sum,
} from './x87ordinary';
import {
  noteInstruction,
  noteOperand,
  setControl,
  STATUS_C0,
  STATUS_C1,
  STATUS_C2,
  STATUS_C3,
  STATUS_ES,
} from './x87state';

/** The same without the precision, which stores do not look at. */
// @ts-ignore: decorator
@inline const STORE_MASK: u32 = 0x0c3f;
// @ts-ignore: decorator
@inline const STORE_ORDINARY: u32 = 0x003f;
// @ts-ignore: decorator
@inline const TOP_MASK: u32 = 0x3800;
// @ts-ignore: decorator
@inline const TOP_UNIT: u32 = 0x0800;
/** Whether an x87 instruction may run now, so far as the status word `status` and CR0 say. */
// @ts-ignore: decorator
@inline function available(cpu: i32, status: u32): bool {
  return ((cr0(cpu) & (CR0_EM | CR0_TS)) | (status & STATUS_ES)) == 0;
}

// @ts-ignore: decorator
@inline function topOf(status: u32): u32 {
  return (status >> 11) & 7;
}

/** Whether the physical registers `a` and `b` are both not empty. */
// @ts-ignore: decorator
@inline function bothFull(tags: u32, a: u32, b: u32): bool {
  return ((tags >> a) & (tags >> b) & 1) != 0;
}

/** Address of a physical register, for offset VCPU_fpu. */
// @ts-ignore: decorator
@inline function at(cpu: i32, physical: u32): i32 {
  return cpu + <i32>(physical << 4);
}

// @ts-ignore: decorator
@inline function sigAt(register: i32): u64 {
  return load<u64>(register, VCPU_fpu);
}

// @ts-ignore: decorator
@inline function seAt(register: i32): u32 {
  return load<u16>(register, VCPU_fpu + 8);
}

/** Completes an instruction whose new status word is `status`; `pops` is 0 or 1. */
// @ts-ignore: decorator
@inline function complete(cpu: i32, code: i32, status: u32, tags: u32, top: u32, pops: u32): i32 {
  noteInstruction(cpu, code);
  if (pops != 0) {
    store<u8>(cpu, tags & ~((<u32>1) << top), VCPU_fpuTag);
    status = (status & ~TOP_MASK) | ((status + TOP_UNIT) & TOP_MASK);
  }
  store<u16>(cpu, status, VCPU_fpuStatus);
  return STATUS_NEXT;
}

/** Of arithmetic with registers (D8, DC, DE): bit 2 of the opcode puts the result into ST(i), bit 1 pops. */
// @ts-ignore: decorator
@inline function target(code: i32, top: u32, other: u32): u32 {
  return (code & 0x400) != 0 ? other : top;
}

// @ts-ignore: decorator
@inline function popsAfter(code: i32): u32 {
  return (code >> 9) & 1;
}

/** FADD, FSUB, FSUBR with registers. */
export function x87Add(cpu: i32, code: i32): i32 {
  const status: u32 = load<u16>(cpu, VCPU_fpuStatus);
  const tags: u32 = load<u8>(cpu, VCPU_fpuTag);
  const top = topOf(status);
  const other = (top + code) & 7;
  if (available(cpu, status) && ordinaryControl(cpu) && bothFull(tags, top, other)) {
    const a = at(cpu, top);
    const b = at(cpu, other);
    // ModRM.reg is 0, 4 (the second is subtracted) or 5 (the first is).
    const subtracts = (code >> 5) & 1;
    const reversed = (code >> 3) & 1;
    const aSe = seAt(a) ^ ((subtracts & reversed) << 15);
    const bSe = seAt(b) ^ ((subtracts & ~reversed) << 15);
    const now = sum(status, at(cpu, target(code, top, other)), aSe, sigAt(a), bSe, sigAt(b));
    if (now != NOT_ORDINARY) return complete(cpu, code, now, tags, top, popsAfter(code));
  }
  return registerForm(cpu, code);
}

/** FMUL with registers. */
export function x87Multiply(cpu: i32, code: i32): i32 {
  const status: u32 = load<u16>(cpu, VCPU_fpuStatus);
  const tags: u32 = load<u8>(cpu, VCPU_fpuTag);
  const top = topOf(status);
  const other = (top + code) & 7;
  if (available(cpu, status) && ordinaryControl(cpu) && bothFull(tags, top, other)) {
    const a = at(cpu, top);
    const b = at(cpu, other);
    const now = product(status, at(cpu, target(code, top, other)), seAt(a), sigAt(a), seAt(b), sigAt(b));
    if (now != NOT_ORDINARY) return complete(cpu, code, now, tags, top, popsAfter(code));
  }
  return registerForm(cpu, code);
}

/** FDIV, FDIVR with registers. */
export function x87Divide(cpu: i32, code: i32): i32 {
  const status: u32 = load<u16>(cpu, VCPU_fpuStatus);
  const tags: u32 = load<u8>(cpu, VCPU_fpuTag);
  const top = topOf(status);
  const other = (top + code) & 7;
  if (available(cpu, status) && ordinaryControl(cpu) && bothFull(tags, top, other)) {
    // ModRM.reg is 6, or 7 (ST(i) / ST(0)).
    const reversed = (code & 8) != 0;
    const a = at(cpu, reversed ? other : top);
    const b = at(cpu, reversed ? top : other);
    const now = quotient(status, at(cpu, target(code, top, other)), seAt(a), sigAt(a), seAt(b), sigAt(b));
    if (now != NOT_ORDINARY) return complete(cpu, code, now, tags, top, popsAfter(code));
  }
  return registerForm(cpu, code);
}

/** FSQRT. */
export function x87SquareRoot(cpu: i32, code: i32): i32 {
  const status: u32 = load<u16>(cpu, VCPU_fpuStatus);
  const tags: u32 = load<u8>(cpu, VCPU_fpuTag);
  const top = topOf(status);
  const register = at(cpu, top);
  const exp = seAt(register);
  const sig = sigAt(register);
  // A negative number has no ordinary exponent here.
  if (
    available(cpu, status) &&
    ordinaryControl(cpu) &&
    bothFull(tags, top, top) &&
    isOrdinaryExponent(exp) &&
    <i64>sig < 0
  ) {
    const now = squareRoot(status, register, exp, sig);
    return complete(cpu, code, now, tags, top, 0);
  }
  return registerForm(cpu, code);
}

/** FCOM, FCOMP, FCOMPP, FUCOM, FUCOMP, FUCOMPP with registers. */
export function x87Compare(cpu: i32, code: i32): i32 {
  const status: u32 = load<u16>(cpu, VCPU_fpuStatus);
  const tags: u32 = load<u8>(cpu, VCPU_fpuTag);
  const top = topOf(status);
  const other = (top + code) & 7;
  const a = at(cpu, top);
  const b = at(cpu, other);
  if (
    available(cpu, status) &&
    bothFull(tags, top, other) &&
    isComparable(seAt(a), sigAt(a)) &&
    isComparable(seAt(b), sigAt(b))
  ) {
    const codes = order(seAt(a), sigAt(a), seAt(b), sigAt(b));
    const opcode = (code >> 8) & 7;
    const row = <u32>(code >> 3) & 7;
    // DA E9 and DE D9 pop twice; DE D0 once; elsewhere odd rows do.
    const pops = opcode == 2 ? 2 : opcode == 6 ? row - 1 : row & 1;
    let now = (status & ~(STATUS_C0 | STATUS_C1 | STATUS_C2 | STATUS_C3)) | codes;
    let left = tags;
    if (pops == 2) {
      left &= ~((<u32>1) << top);
      now = (now & ~TOP_MASK) | ((now + TOP_UNIT) & TOP_MASK);
    }
    return complete(cpu, code, now, left, topOf(now), <u32>(pops != 0));
  }
  return registerForm(cpu, code);
}

/** FCOMI, FCOMIP, FUCOMI, FUCOMIP. */
export function x87CompareFlags(cpu: i32, code: i32): i32 {
  const status: u32 = load<u16>(cpu, VCPU_fpuStatus);
  const tags: u32 = load<u8>(cpu, VCPU_fpuTag);
  const top = topOf(status);
  const other = (top + code) & 7;
  const a = at(cpu, top);
  const b = at(cpu, other);
  if (
    available(cpu, status) &&
    bothFull(tags, top, other) &&
    isComparable(seAt(a), sigAt(a)) &&
    isComparable(seAt(b), sigAt(b))
  ) {
    // C0, C2, C3 are at bits 8, 10, 14: CF, PF, ZF stand eight lower. C1 stays.
    store<u64>(cpu, order(seAt(a), sigAt(a), seAt(b), sigAt(b)) >> 8, VCPU_flagA);
    store<u32>(cpu, FLAGS_EXPLICIT, VCPU_flagKind);
    return complete(cpu, code, status, tags, top, (code >> 10) & 1);
  }
  return registerForm(cpu, code);
}

/** Completes an instruction that pushes a number: its place is known to be empty. */
// @ts-ignore: decorator
@inline function completePush(cpu: i32, code: i32, status: u32, tags: u32, se: u32, sig: u64): i32 {
  const now = (status - TOP_UNIT) & TOP_MASK;
  noteInstruction(cpu, code);
  put(at(cpu, now >> 11), se, sig);
  store<u8>(cpu, tags | ((<u32>1) << (now >> 11)), VCPU_fpuTag);
  store<u16>(cpu, (status & ~(TOP_MASK | STATUS_C1)) | now, VCPU_fpuStatus);
  return STATUS_NEXT;
}

/** Whether the register that is pushed to is empty. */
// @ts-ignore: decorator
@inline function hasRoom(status: u32, tags: u32): bool {
  return ((tags >> ((topOf(status) - 1) & 7)) & 1) == 0;
}

/** FLD ST(i). */
export function x87LoadRegister(cpu: i32, code: i32): i32 {
  const status: u32 = load<u16>(cpu, VCPU_fpuStatus);
  const tags: u32 = load<u8>(cpu, VCPU_fpuTag);
  const source = (topOf(status) + code) & 7;
  if (available(cpu, status) && hasRoom(status, tags) && bothFull(tags, source, source)) {
    const a = at(cpu, source);
    return completePush(cpu, code, status, tags, seAt(a), sigAt(a));
  }
  return registerForm(cpu, code);
}

/** FLD1 and FLDZ. */
export function x87LoadConstant(cpu: i32, code: i32): i32 {
  const status: u32 = load<u16>(cpu, VCPU_fpuStatus);
  const tags: u32 = load<u8>(cpu, VCPU_fpuTag);
  if (available(cpu, status) && hasRoom(status, tags)) {
    const one = (code & 7) == 0;
    return completePush(cpu, code, status, tags, one ? BIAS : 0, one ? INTEGER_BIT : 0);
  }
  return registerForm(cpu, code);
}

/** FXCH. */
export function x87Exchange(cpu: i32, code: i32): i32 {
  const status: u32 = load<u16>(cpu, VCPU_fpuStatus);
  const tags: u32 = load<u8>(cpu, VCPU_fpuTag);
  const top = topOf(status);
  const other = (top + code) & 7;
  if (available(cpu, status) && bothFull(tags, top, other)) {
    const a = at(cpu, top);
    const b = at(cpu, other);
    const se = seAt(a);
    const sig = sigAt(a);
    put(a, seAt(b), sigAt(b));
    put(b, se, sig);
    return complete(cpu, code, status & ~STATUS_C1, tags, top, 0);
  }
  return registerForm(cpu, code);
}

/** FST ST(i) and FSTP ST(i). */
export function x87StoreRegister(cpu: i32, code: i32): i32 {
  const status: u32 = load<u16>(cpu, VCPU_fpuStatus);
  const tags: u32 = load<u8>(cpu, VCPU_fpuTag);
  const top = topOf(status);
  const other = (top + code) & 7;
  if (available(cpu, status) && bothFull(tags, top, top)) {
    const a = at(cpu, top);
    put(at(cpu, other), seAt(a), sigAt(a));
    const now = tags | ((<u32>1) << other);
    store<u8>(cpu, now, VCPU_fpuTag);
    // Of the two only FST (DD D0) has an even ModRM.reg, but DF D0 is another FSTP.
    const pops = (code & 8) != 0 || (code & 0x700) == 0x700;
    return complete(cpu, code, status & ~STATUS_C1, now, top, u32(pops));
  }
  return registerForm(cpu, code);
}

/** FCHS and FABS. */
export function x87Sign(cpu: i32, code: i32): i32 {
  const status: u32 = load<u16>(cpu, VCPU_fpuStatus);
  const tags: u32 = load<u8>(cpu, VCPU_fpuTag);
  const top = topOf(status);
  if (available(cpu, status) && bothFull(tags, top, top)) {
    const a = at(cpu, top);
    const se = seAt(a);
    store<u64>(a, (code & 1) != 0 ? se & 0x7fff : se ^ 0x8000, VCPU_fpu + 8);
    return complete(cpu, code, status & ~STATUS_C1, tags, top, 0);
  }
  return registerForm(cpu, code);
}

/** FLD m80. */
export function x87LoadExtended(cpu: i32, code: i32, linear: i64, segment: i32): i32 {
  const status: u32 = load<u16>(cpu, VCPU_fpuStatus);
  const tags: u32 = load<u8>(cpu, VCPU_fpuTag);
  if (available(cpu, status) && hasRoom(status, tags)) {
    const host = quickHostForRead(cpu, linear, 10, segment);
    if (host == 0) return 1;
    noteOperand(cpu, linear, segment);
    return completePush(cpu, code, status, tags, load<u16>(host, 8), load<u64>(host));
  }
  return memoryForm(cpu, code, linear, segment, 0);
}

/** FSTP m80. */
export function x87StoreExtended(cpu: i32, code: i32, linear: i64, segment: i32): i32 {
  const status: u32 = load<u16>(cpu, VCPU_fpuStatus);
  const tags: u32 = load<u8>(cpu, VCPU_fpuTag);
  const top = topOf(status);
  if (available(cpu, status) && bothFull(tags, top, top)) {
    const host = quickHostForWrite(cpu, linear, 10, segment);
    if (host == 0) return 1;
    noteOperand(cpu, linear, segment);
    const a = at(cpu, top);
    store<u64>(host, sigAt(a));
    store<u16>(host, seAt(a), 8);
    stored(cpu, host);
    return complete(cpu, code, status & ~STATUS_C1, tags, top, 1);
  }
  return memoryForm(cpu, code, linear, segment, 0);
}

/** FLD m32 (D9) and m64 (DD). */
export function x87LoadFloat(cpu: i32, code: i32, linear: i64, segment: i32): i32 {
  const status: u32 = load<u16>(cpu, VCPU_fpuStatus);
  const tags: u32 = load<u8>(cpu, VCPU_fpuTag);
  if (!available(cpu, status) || !hasRoom(status, tags)) return memoryForm(cpu, code, linear, segment, 0);
  const wide = (code & 0x400) != 0;
  const host = quickHostForRead(cpu, linear, wide ? 8 : 4, segment);
  if (host == 0) return 1;
  noteOperand(cpu, linear, segment);
  // The sign is the highest bit, behind it exponent and fraction.
  const bits = wide ? load<u64>(host) : (<u64>load<u32>(host)) << 32;
  const sign = <u32>(bits >> 48) & 0x8000;
  if (bits << 1 == 0) return completePush(cpu, code, status, tags, sign, 0);
  if (wide) {
    const exp = <u32>(bits >> 52) & 0x7ff;
    if (exp - 1 < 0x7fe) {
      return completePush(cpu, code, status, tags, sign | (exp + BIAS - 1023), (bits << 11) | INTEGER_BIT);
    }
    fromFloat64(bits);
  } else {
    const exp = <u32>(bits >> 55) & 0xff;
    if (exp - 1 < 0xfe) {
      return completePush(cpu, code, status, tags, sign | (exp + BIAS - 127), (bits << 8) | INTEGER_BIT);
    }
    fromFloat32(<u32>(bits >> 32));
  }
  noteInstruction(cpu, code);
  loadOperand(cpu);
  return STATUS_NEXT;
}

/** FILD m16 (DF /0), m32 (DB /0), m64 (DF /5). */
export function x87LoadInteger(cpu: i32, code: i32, linear: i64, segment: i32): i32 {
  const status: u32 = load<u16>(cpu, VCPU_fpuStatus);
  const tags: u32 = load<u8>(cpu, VCPU_fpuTag);
  if (!available(cpu, status) || !hasRoom(status, tags)) return memoryForm(cpu, code, linear, segment, 0);
  const size = (code & 0x400) == 0 ? 4 : (code & 0x20) != 0 ? 8 : 2;
  const host = quickHostForRead(cpu, linear, size, segment);
  if (host == 0) return 1;
  noteOperand(cpu, linear, segment);
  const value = size == 8 ? load<i64>(host) : size == 4 ? <i64>load<i32>(host) : <i64>load<i16>(host);
  if (value == 0) return completePush(cpu, code, status, tags, 0, 0);
  const magnitude = <u64>(value < 0 ? -value : value);
  const shift = clz<u64>(magnitude);
  const se = (<u32>(value >>> 48) & 0x8000) | (BIAS + 63 - <u32>shift);
  return completePush(cpu, code, status, tags, se, magnitude << shift);
}

/** FST and FSTP m32 (D9) and m64 (DD): ModRM.reg is 2 or 3. */
export function x87StoreFloat(cpu: i32, code: i32, linear: i64, segment: i32): i32 {
  const status: u32 = load<u16>(cpu, VCPU_fpuStatus);
  const tags: u32 = load<u8>(cpu, VCPU_fpuTag);
  const top = topOf(status);
  const se = seAt(at(cpu, top));
  const sig = sigAt(at(cpu, top));
  const zero = isZero(se, sig);
  if (
    !available(cpu, status) ||
    !bothFull(tags, top, top) ||
    (load<u16>(cpu, VCPU_fpuControl) & STORE_MASK) != STORE_ORDINARY ||
    (<i64>sig >= 0 && !zero)
  ) {
    return memoryForm(cpu, code, linear, segment, 0);
  }
  const wide = (code & 0x400) != 0;
  const exp: u32 = zero ? 1 : (se & 0x7fff) - (wide ? BIAS - 1023 : BIAS - 127);
  // A carry of the rounding may make the largest exponent that of infinity.
  if (exp - 1 >= <u32>(wide ? 0x7fd : 0xfd)) return memoryForm(cpu, code, linear, segment, 0);
  const host = quickHostForWrite(cpu, linear, wide ? 8 : 4, segment);
  if (host == 0) return 1;
  noteOperand(cpu, linear, segment);
  const dropped: u64 = wide ? 11 : 40;
  const kept = sig >> dropped;
  const rest = sig << (64 - dropped);
  const up = roundsUp(kept, rest);
  // The integer bit adds one to the exponent.
  const magnitude = zero ? 0 : (((<u64>exp - 1) << (63 - dropped)) + kept + up);
  if (wide) store<u64>(host, magnitude | ((<u64>se >> 15) << 63));
  else store<u32>(host, <u32>magnitude | ((se >> 15) << 31));
  stored(cpu, host);
  const now = (status & ~STATUS_C1) | (rest != 0 ? PE : 0) | (<u32>up * ROUNDED_UP);
  return complete(cpu, code, now, tags, top, (code >> 3) & 1);
}

/** FIST, FISTP and FISTTP m16 (DF), m32 (DB) and m64 (DD /1, DF /7). */
export function x87StoreInteger(cpu: i32, code: i32, linear: i64, segment: i32): i32 {
  const status: u32 = load<u16>(cpu, VCPU_fpuStatus);
  const control: u32 = load<u16>(cpu, VCPU_fpuControl);
  const tags: u32 = load<u8>(cpu, VCPU_fpuTag);
  const top = topOf(status);
  if (!available(cpu, status) || !bothFull(tags, top, top) || (control & 0x3f) != 0x3f) {
    return memoryForm(cpu, code, linear, segment, 0);
  }
  const opcode = (code >> 8) & 7;
  const row = (code >> 3) & 7;
  const size = opcode == 3 ? 4 : opcode == 5 || row == 7 ? 8 : 2;
  const rounding = row == 1 ? ROUND_CHOP : (control >> 10) & 3;
  const value = toInteger(seAt(at(cpu, top)), sigAt(at(cpu, top)), size << 3, rounding);
  const flags = rFlags;
  const host = quickHostForWrite(cpu, linear, size, segment);
  if (host == 0) return 1;
  noteOperand(cpu, linear, segment);
  if (size == 2) store<u16>(host, <u16>value);
  else if (size == 4) store<u32>(host, <u32>value);
  else store<i64>(host, value);
  stored(cpu, host);
  return complete(cpu, code, (status & ~STATUS_C1) | flags, tags, top, u32(row != 2));
}

/** Arithmetic and comparison with m32 and m64 (D8, DC), and with integers of 32 and 16 bits (DA, DE). */
export function x87Operate(cpu: i32, code: i32, linear: i64, segment: i32): i32 {
  const status: u32 = load<u16>(cpu, VCPU_fpuStatus);
  const tags: u32 = load<u8>(cpu, VCPU_fpuTag);
  const top = topOf(status);
  if (!available(cpu, status) || !bothFull(tags, top, top)) return memoryForm(cpu, code, linear, segment, 0);
  const opcode = (code >> 8) & 7;
  const host = quickHostForRead(cpu, linear, opcode == 4 ? 8 : opcode == 6 ? 2 : 4, segment);
  if (host == 0) return 1;
  noteInstruction(cpu, code);
  noteOperand(cpu, linear, segment);
  let se: u32;
  let sig: u64;
  if ((opcode & 2) == 0) {
    // The sign is the highest bit, behind it exponent and fraction.
    const bits = opcode == 4 ? load<u64>(host) : (<u64>load<u32>(host)) << 32;
    const fraction = opcode == 4 ? bits << 11 : bits << 8;
    const exp = opcode == 4 ? <u32>(bits >> 52) & 0x7ff : <u32>(bits >> 55) & 0xff;
    se = <u32>(bits >> 48) & 0x8000;
    sig = 0;
    if (exp - 1 < <u32>(opcode == 4 ? 0x7fe : 0xfe)) {
      se |= exp + (opcode == 4 ? BIAS - 1023 : BIAS - 127);
      sig = fraction | INTEGER_BIT;
    } else if (bits << 1 != 0) {
      if (opcode == 4) fromFloat64(bits);
      else fromFloat32(<u32>(bits >> 32));
      withOperand(cpu, (code >> 3) & 7, rSe, rSig, rFlags);
      return STATUS_NEXT;
    }
  } else {
    fromInt64(opcode == 2 ? <i64>load<i32>(host) : <i64>load<i16>(host));
    se = rSe;
    sig = rSig;
  }
  withOperand(cpu, (code >> 3) & 7, se, sig, 0);
  return STATUS_NEXT;
}

/** FLDCW. */
export function x87LoadControl(cpu: i32, code: i32, linear: i64, segment: i32): i32 {
  const status: u32 = load<u16>(cpu, VCPU_fpuStatus);
  if (!available(cpu, status)) return memoryForm(cpu, code, linear, segment, 0);
  const host = quickHostForRead(cpu, linear, 2, segment);
  if (host == 0) return 1;
  setControl(cpu, load<u16>(host));
  return STATUS_NEXT;
}

/** FNSTCW and FNSTSW m16: D9 and DD /7. */
export function x87StoreWord(cpu: i32, code: i32, linear: i64, segment: i32): i32 {
  if (!available(cpu, 0)) return memoryForm(cpu, code, linear, segment, 0);
  const host = quickHostForWrite(cpu, linear, 2, segment);
  if (host == 0) return 1;
  store<u16>(host, (code & 0x400) != 0 ? load<u16>(cpu, VCPU_fpuStatus) : load<u16>(cpu, VCPU_fpuControl));
  stored(cpu, host);
  return STATUS_NEXT;
}

/** FNSTSW AX. */
export function x87StatusWord(cpu: i32, code: i32): i32 {
  return registerForm(cpu, code);
}

/** FCMOVcc. */
export function x87ConditionalMove(cpu: i32, code: i32): i32 {
  return registerForm(cpu, code);
}

/** Whatever else touches neither general registers nor flags. */
export function x87Other(cpu: i32, code: i32): i32 {
  return registerForm(cpu, code);
}

/** ModRM.reg of the arithmetic opcodes: ADD, MUL, COM, COMP, SUB, SUBR, DIV, DIVR. */
// @ts-ignore: decorator
@inline function arithmetic(cpu: i32, code: i32): i32 {
  const row = (code >> 3) & 7;
  if (row == 1) return x87Multiply(cpu, code);
  if (row >= 6) return x87Divide(cpu, code);
  return row == 2 || row == 3 ? x87Compare(cpu, code) : x87Add(cpu, code);
}

/**
 * Any x87 instruction with register operands. `code`: opcode byte (D8h-DFh) << 8 | ModRM byte; bits 16-19 may hold
 * the instruction's length, from which the last-instruction pointer follows.
 */
export function x87Register(cpu: i32, code: i32): i32 {
  const row = (code >> 3) & 7;
  switch ((code >> 8) & 0xff) {
    case 0xd8:
    case 0xdc:
      return arithmetic(cpu, code);
    case 0xde:
      return row == 3 ? registerForm(cpu, code) : arithmetic(cpu, code);
    case 0xd9:
      if (row == 0) return x87LoadRegister(cpu, code);
      if (row == 1) return x87Exchange(cpu, code);
      break;
    case 0xdb:
      if (row == 5 || row == 6) return x87CompareFlags(cpu, code);
      break;
    case 0xdd:
      if (row == 2 || row == 3) return x87StoreRegister(cpu, code);
      if (row == 4 || row == 5) return x87Compare(cpu, code);
      break;
    case 0xdf:
      if (row == 5 || row == 6) return x87CompareFlags(cpu, code);
  }
  return registerForm(cpu, code);
}

/**
 * Any x87 instruction with a memory operand at `linear`. `code` is as for x87Register; `bytes` is the operand size
 * (2, 4 or 8), which selects the format of an environment.
 */
export function x87Memory(cpu: i32, code: i32, linear: i64, segment: i32, bytes: i32): i32 {
  const row = (code >> 3) & 7;
  switch ((code >> 8) & 0xff) {
    case 0xd8:
    case 0xda:
    case 0xdc:
    case 0xde:
      return x87Operate(cpu, code, linear, segment);
    case 0xd9:
      if (row == 0) return x87LoadFloat(cpu, code, linear, segment);
      if (row == 2 || row == 3) return x87StoreFloat(cpu, code, linear, segment);
      break;
    case 0xdb:
      if (row == 0) return x87LoadInteger(cpu, code, linear, segment);
      if (row == 5) return x87LoadExtended(cpu, code, linear, segment);
      if (row == 7) return x87StoreExtended(cpu, code, linear, segment);
      if (row >= 1 && row <= 3) return x87StoreInteger(cpu, code, linear, segment);
      break;
    case 0xdd:
      if (row == 0) return x87LoadFloat(cpu, code, linear, segment);
      if (row == 2 || row == 3) return x87StoreFloat(cpu, code, linear, segment);
  }
  return memoryForm(cpu, code, linear, segment, bytes);
}
