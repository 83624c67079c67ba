/**
 * The x87 register stack, tags, status and last-instruction pointers inside the vCPU block, and the
 * way exceptions reach the status word (APM volume 1, 6.2 and 6.8).
 */
import { cr0, raise } from './cpu';
import {
  CR0_EM,
  CR0_TS,
  EXCEPTION_MF,
  EXCEPTION_NM,
  SEG_CS,
  STATUS_NEXT,
  VCPU_fpu,
  VCPU_fpuCodeOffset,
  VCPU_fpuCodeSelector,
  VCPU_fpuControl,
  VCPU_fpuDataOffset,
  VCPU_fpuDataSelector,
  VCPU_fpuOpcode,
  VCPU_fpuStatus,
  VCPU_fpuTag,
  VCPU_rip,
  VCPU_ripMask,
  VCPU_segEffective,
  VCPU_segSelector,
} from './generated/layout';
import { DE, IE, INDEFINITE_SE, INDEFINITE_SIG, ROUNDED_UP, rSe, rSig, ZE } from './softfloat80';

// @ts-ignore: decorator
@inline export const STATUS_SF: u32 = 0x40;
// @ts-ignore: decorator
@inline export const STATUS_ES: u32 = 0x80;
// @ts-ignore: decorator
@inline export const STATUS_C0: u32 = 0x100;
// @ts-ignore: decorator
@inline export const STATUS_C1: u32 = 0x200;
// @ts-ignore: decorator
@inline export const STATUS_C2: u32 = 0x400;
// @ts-ignore: decorator
@inline export const STATUS_C3: u32 = 0x4000;
// @ts-ignore: decorator
@inline export const STATUS_BUSY: u32 = 0x8000;
// @ts-ignore: decorator
@inline const EXCEPTIONS: u32 = 0x3f;
// @ts-ignore: decorator
@inline const TOP_MASK: u32 = 0x3800;
/** Bit 6 of the control word is hardwired to 1; bits 13-15 and 7 are reserved. */
// @ts-ignore: decorator
@inline const CONTROL_WRITABLE: u32 = 0x1f3f;
// @ts-ignore: decorator
@inline const CONTROL_FIXED: u32 = 0x0040;
// @ts-ignore: decorator
@inline const CONTROL_INIT: u32 = 0x037f;

/** #NM if CR0.EM or CR0.TS forbids the x87: STATUS_NEXT if not. */
// @ts-ignore: decorator
@inline export function checkAvailable(cpu: i32): i32 {
  return (cr0(cpu) & (CR0_EM | CR0_TS)) != 0 ? raise(cpu, EXCEPTION_NM, 0) : STATUS_NEXT;
}

/** What a waiting instruction checks first: availability, then a pending exception. */
// @ts-ignore: decorator
@inline export function checkWaiting(cpu: i32): i32 {
  if ((cr0(cpu) & (CR0_EM | CR0_TS)) != 0) return raise(cpu, EXCEPTION_NM, 0);
  if ((load<u16>(cpu, VCPU_fpuStatus) & STATUS_ES) != 0) return raise(cpu, EXCEPTION_MF, 0);
  return STATUS_NEXT;
}

// @ts-ignore: decorator
@inline export function controlWord(cpu: i32): u32 {
  return load<u16>(cpu, VCPU_fpuControl);
}

// @ts-ignore: decorator
@inline export function statusWord(cpu: i32): u32 {
  return load<u16>(cpu, VCPU_fpuStatus);
}

/** One bit per physical register: 1 = not empty. */
// @ts-ignore: decorator
@inline export function tagsOf(cpu: i32): u32 {
  return load<u8>(cpu, VCPU_fpuTag);
}

// @ts-ignore: decorator
@inline export function topOf(cpu: i32): u32 {
  return (load<u16>(cpu, VCPU_fpuStatus) >> 11) & 7;
}

/** Stores a status word with ES and B as the exceptions and their masks demand. */
export function setStatus(cpu: i32, status: u32): void {
  let value = status & ~(STATUS_ES | STATUS_BUSY);
  if ((value & ~controlWord(cpu) & EXCEPTIONS) != 0) value |= STATUS_ES | STATUS_BUSY;
  store<u16>(cpu, value, VCPU_fpuStatus);
}

export function setControl(cpu: i32, control: u32): void {
  store<u16>(cpu, (control & CONTROL_WRITABLE) | CONTROL_FIXED, VCPU_fpuControl);
  setStatus(cpu, statusWord(cpu));
}

/** The state after FNINIT. The registers' contents stay. */
export function initialize(cpu: i32): void {
  store<u16>(cpu, CONTROL_INIT, VCPU_fpuControl);
  store<u16>(cpu, 0, VCPU_fpuStatus);
  store<u8>(cpu, 0, VCPU_fpuTag);
  setPointers(cpu, 0, 0, 0, 0, 0);
}

export function setPointers(cpu: i32, opcode: u32, cs: u32, codeOffset: u64, ds: u32, dataOffset: u64): void {
  store<u16>(cpu, opcode & 0x7ff, VCPU_fpuOpcode);
  store<u16>(cpu, cs, VCPU_fpuCodeSelector);
  store<u64>(cpu, codeOffset, VCPU_fpuCodeOffset);
  store<u16>(cpu, ds, VCPU_fpuDataSelector);
  store<u64>(cpu, dataOffset, VCPU_fpuDataOffset);
}

/**
 * Notes the instruction for FNSTENV: `code` is opcode byte << 8 | ModRM, with the instruction's length
 * in bits 16-19 (0 = not told, 2 bytes are assumed); `VCPU.rip` is the next instruction.
 */
export function noteInstruction(cpu: i32, code: u32): void {
  let length = (code >> 16) & 15;
  if (length == 0) length = 2;
  store<u16>(cpu, code & 0x7ff, VCPU_fpuOpcode);
  store<u64>(cpu, (load<u64>(cpu, VCPU_rip) - length) & load<u64>(cpu, VCPU_ripMask), VCPU_fpuCodeOffset);
  store<u16>(cpu, load<u32>(cpu + (SEG_CS << 2), VCPU_segSelector), VCPU_fpuCodeSelector);
}

/** Notes the memory operand for FNSTENV: its offset in its segment. */
export function noteOperand(cpu: i32, linear: i64, segment: i32): void {
  store<u64>(cpu, linear - load<i64>(cpu + (segment << 3), VCPU_segEffective), VCPU_fpuDataOffset);
  store<u16>(cpu, load<u32>(cpu + (segment << 2), VCPU_segSelector), VCPU_fpuDataSelector);
}

/** Address of ST(i), to be used with offset VCPU_fpu. */
// @ts-ignore: decorator
@inline export function registerAt(cpu: i32, i: u32): i32 {
  return cpu + <i32>(((topOf(cpu) + i) & 7) << 4);
}

// @ts-ignore: decorator
@inline export function sigOf(cpu: i32, i: u32): u64 {
  return load<u64>(registerAt(cpu, i), VCPU_fpu);
}

// @ts-ignore: decorator
@inline export function seOf(cpu: i32, i: u32): u32 {
  return load<u16>(registerAt(cpu, i), VCPU_fpu + 8);
}

// @ts-ignore: decorator
@inline export function isEmpty(cpu: i32, i: u32): bool {
  return ((tagsOf(cpu) >> ((topOf(cpu) + i) & 7)) & 1) == 0;
}

/** Writes ST(i) and marks it as not empty. */
// @ts-ignore: decorator
@inline export function writeRegister(cpu: i32, i: u32, se: u32, sig: u64): void {
  const physical = (topOf(cpu) + i) & 7;
  store<u64>(cpu + <i32>(physical << 4), sig, VCPU_fpu);
  store<u64>(cpu + <i32>(physical << 4), se & 0xffff, VCPU_fpu + 8);
  store<u8>(cpu, tagsOf(cpu) | ((<u32>1) << physical), VCPU_fpuTag);
}

/** Writes the result globals to ST(i). */
// @ts-ignore: decorator
@inline export function writeResult(cpu: i32, i: u32): void {
  writeRegister(cpu, i, rSe, rSig);
}

// @ts-ignore: decorator
@inline export function setTop(cpu: i32, top: u32): void {
  store<u16>(cpu, (load<u16>(cpu, VCPU_fpuStatus) & ~TOP_MASK) | ((top & 7) << 11), VCPU_fpuStatus);
}

// @ts-ignore: decorator
@inline export function freeRegister(cpu: i32, i: u32): void {
  store<u8>(cpu, tagsOf(cpu) & ~((<u32>1) << ((topOf(cpu) + i) & 7)), VCPU_fpuTag);
}

// @ts-ignore: decorator
@inline export function pop(cpu: i32): void {
  freeRegister(cpu, 0);
  setTop(cpu, topOf(cpu) + 1);
}

/** Pushes a value; the caller has made sure that ST(7) is empty, or means to overwrite it. */
// @ts-ignore: decorator
@inline export function push(cpu: i32, se: u32, sig: u64): void {
  setTop(cpu, topOf(cpu) - 1);
  writeRegister(cpu, 0, se, sig);
}

/** Sets the condition codes in `mask` to those in `values`. */
// @ts-ignore: decorator
@inline export function setConditions(cpu: i32, mask: u32, values: u32): void {
  store<u16>(cpu, (load<u16>(cpu, VCPU_fpuStatus) & ~mask) | values, VCPU_fpuStatus);
}

/**
 * Accumulates exceptions and C1 (`ROUNDED_UP` set or not). False if an unmasked IE, DE or ZE keeps the
 * instruction from changing its destination; OE, UE and PE come after the result.
 */
export function signal(cpu: i32, flags: u32): bool {
  const status = load<u16>(cpu, VCPU_fpuStatus) & ~STATUS_C1;
  const unmasked = flags & ~controlWord(cpu) & (IE | DE | ZE);
  // An exception that prevents the operation hides those that the result would have had.
  const seen = unmasked != 0 ? flags & (IE | DE | ZE) : flags & (EXCEPTIONS | ROUNDED_UP);
  setStatus(cpu, status | seen);
  return unmasked == 0;
}

/** Stack underflow (C1 = 0) or overflow (C1 = 1): true if the masked response applies. */
export function stackFault(cpu: i32, overflow: bool): bool {
  setStatus(cpu, (statusWord(cpu) & ~STATUS_C1) | IE | STATUS_SF | (overflow ? STATUS_C1 : 0));
  return (controlWord(cpu) & IE) != 0;
}

/** Masked response to a stack underflow whose destination is ST(i). */
export function underflowTo(cpu: i32, i: u32): bool {
  if (!stackFault(cpu, false)) return false;
  writeRegister(cpu, i, INDEFINITE_SE, INDEFINITE_SIG);
  return true;
}

/** Pushes the result globals with their exceptions, or answers a stack overflow. */
export function pushResult(cpu: i32, flags: u32): void {
  if (!isEmpty(cpu, 7)) {
    if (stackFault(cpu, true)) push(cpu, INDEFINITE_SE, INDEFINITE_SIG);
    return;
  }
  const se = rSe;
  const sig = rSig;
  if (signal(cpu, flags)) push(cpu, se, sig);
}
