/** Small accessors on the vCPU block. `cpu` is its host address everywhere in this folder. */
import {
  REG_RSP,
  STATUS_FAULT,
  VCPU_a20Mask,
  VCPU_attention,
  VCPU_budget,
  VCPU_budgetStart,
  VCPU_cpl,
  VCPU_cr0,
  VCPU_cr4,
  VCPU_efer,
  VCPU_eflags,
  VCPU_exception,
  VCPU_exceptionAddress,
  VCPU_exceptionError,
  VCPU_mode,
  VCPU_regs,
  VCPU_segAttr,
  VCPU_segBase,
  VCPU_segEffective,
  VCPU_segLimit,
  VCPU_segSelector,
  ATTENTION_INTERRUPT,
  MODE_CODE64,
  MODE_CODE_MASK,
} from './generated/layout';

// Exception vectors: AMD64 APM vol. 2, table 8-1.
// @ts-ignore: decorator
@inline export const EXCEPTION_DE: i32 = 0;
// @ts-ignore: decorator
@inline export const EXCEPTION_DB: i32 = 1;
// @ts-ignore: decorator
@inline export const EXCEPTION_NMI: i32 = 2;
// @ts-ignore: decorator
@inline export const EXCEPTION_UD: i32 = 6;
// @ts-ignore: decorator
@inline export const EXCEPTION_NM: i32 = 7;
// @ts-ignore: decorator
@inline export const EXCEPTION_DF: i32 = 8;
// @ts-ignore: decorator
@inline export const EXCEPTION_TS: i32 = 10;
// @ts-ignore: decorator
@inline export const EXCEPTION_NP: i32 = 11;
// @ts-ignore: decorator
@inline export const EXCEPTION_SS: i32 = 12;
// @ts-ignore: decorator
@inline export const EXCEPTION_GP: i32 = 13;
// @ts-ignore: decorator
@inline export const EXCEPTION_PF: i32 = 14;
// @ts-ignore: decorator
@inline export const EXCEPTION_MF: i32 = 16;
// @ts-ignore: decorator
@inline export const EXCEPTION_AC: i32 = 17;

// CR0: APM vol. 2, 3.1.1.
// @ts-ignore: decorator
@inline export const CR0_PE: u32 = 1;
// @ts-ignore: decorator
@inline export const CR0_MP: u32 = 1 << 1;
// @ts-ignore: decorator
@inline export const CR0_EM: u32 = 1 << 2;
// @ts-ignore: decorator
@inline export const CR0_TS: u32 = 1 << 3;
// @ts-ignore: decorator
@inline export const CR0_ET: u32 = 1 << 4;
// @ts-ignore: decorator
@inline export const CR0_NE: u32 = 1 << 5;
// @ts-ignore: decorator
@inline export const CR0_WP: u32 = 1 << 16;
// @ts-ignore: decorator
@inline export const CR0_AM: u32 = 1 << 18;
// @ts-ignore: decorator
@inline export const CR0_NW: u32 = 1 << 29;
// @ts-ignore: decorator
@inline export const CR0_CD: u32 = 1 << 30;
// @ts-ignore: decorator
@inline export const CR0_PG: u32 = 1 << 31;

// CR4: APM vol. 2, 3.1.3.
// @ts-ignore: decorator
@inline export const CR4_VME: u32 = 1;
// @ts-ignore: decorator
@inline export const CR4_PVI: u32 = 1 << 1;
// @ts-ignore: decorator
@inline export const CR4_TSD: u32 = 1 << 2;
// @ts-ignore: decorator
@inline export const CR4_DE: u32 = 1 << 3;
// @ts-ignore: decorator
@inline export const CR4_PSE: u32 = 1 << 4;
// @ts-ignore: decorator
@inline export const CR4_PAE: u32 = 1 << 5;
// @ts-ignore: decorator
@inline export const CR4_MCE: u32 = 1 << 6;
// @ts-ignore: decorator
@inline export const CR4_PGE: u32 = 1 << 7;
// @ts-ignore: decorator
@inline export const CR4_PCE: u32 = 1 << 8;
// @ts-ignore: decorator
@inline export const CR4_OSFXSR: u32 = 1 << 9;
// @ts-ignore: decorator
@inline export const CR4_OSXMMEXCPT: u32 = 1 << 10;
// @ts-ignore: decorator
@inline export const CR4_UMIP: u32 = 1 << 11;
// @ts-ignore: decorator
@inline export const CR4_FSGSBASE: u32 = 1 << 16;
// @ts-ignore: decorator
@inline export const CR4_PCIDE: u32 = 1 << 17;
// @ts-ignore: decorator
@inline export const CR4_OSXSAVE: u32 = 1 << 18;
// @ts-ignore: decorator
@inline export const CR4_SMEP: u32 = 1 << 20;
// @ts-ignore: decorator
@inline export const CR4_SMAP: u32 = 1 << 21;

// EFER: APM vol. 2, 3.1.7.
// @ts-ignore: decorator
@inline export const EFER_SCE: u32 = 1;
// @ts-ignore: decorator
@inline export const EFER_LME: u32 = 1 << 8;
// @ts-ignore: decorator
@inline export const EFER_LMA: u32 = 1 << 10;
// @ts-ignore: decorator
@inline export const EFER_NXE: u32 = 1 << 11;

// RFLAGS: APM vol. 2, 3.1.6.
// @ts-ignore: decorator
@inline export const FLAG_CF: u32 = 1;
// @ts-ignore: decorator
@inline export const FLAG_PF: u32 = 1 << 2;
// @ts-ignore: decorator
@inline export const FLAG_AF: u32 = 1 << 4;
// @ts-ignore: decorator
@inline export const FLAG_ZF: u32 = 1 << 6;
// @ts-ignore: decorator
@inline export const FLAG_SF: u32 = 1 << 7;
// @ts-ignore: decorator
@inline export const FLAG_TF: u32 = 1 << 8;
// @ts-ignore: decorator
@inline export const FLAG_IF: u32 = 1 << 9;
// @ts-ignore: decorator
@inline export const FLAG_DF: u32 = 1 << 10;
// @ts-ignore: decorator
@inline export const FLAG_OF: u32 = 1 << 11;
// @ts-ignore: decorator
@inline export const FLAG_IOPL: u32 = 3 << 12;
// @ts-ignore: decorator
@inline export const FLAG_NT: u32 = 1 << 14;
// @ts-ignore: decorator
@inline export const FLAG_RF: u32 = 1 << 16;
// @ts-ignore: decorator
@inline export const FLAG_VM: u32 = 1 << 17;
// @ts-ignore: decorator
@inline export const FLAG_AC: u32 = 1 << 18;
// @ts-ignore: decorator
@inline export const FLAG_VIF: u32 = 1 << 19;
// @ts-ignore: decorator
@inline export const FLAG_VIP: u32 = 1 << 20;
// @ts-ignore: decorator
@inline export const FLAG_ID: u32 = 1 << 21;

/** The six arithmetic flags, which live outside `VCPU.eflags`. */
// @ts-ignore: decorator
@inline export const FLAGS_ARITHMETIC: u32 = 0x8d5;
/** Every bit of RFLAGS that this CPU implements, bit 1 included. */
// @ts-ignore: decorator
@inline export const FLAGS_IMPLEMENTED: u32 = 0x3f7fd7;

/** Host address of register slot `index`. */
// @ts-ignore: decorator
@inline export function regAddress(cpu: usize, index: i32): usize {
  return cpu + VCPU_regs + ((<usize>index) << 3);
}

// @ts-ignore: decorator
@inline export function getReg(cpu: usize, index: i32): u64 {
  return load<u64>(regAddress(cpu, index));
}

// @ts-ignore: decorator
@inline export function setReg(cpu: usize, index: i32, value: u64): void {
  store<u64>(regAddress(cpu, index), value);
}

/** Replaces the part of a register that an address size covers: 32 bits clear the upper half. */
export function setRegMasked(cpu: usize, index: i32, value: u64, mask: u64): void {
  const old = getReg(cpu, index);
  setReg(cpu, index, mask == 0xffff ? (old & ~mask) | (value & mask) : value & mask);
}

/** Sets the stack pointer as a stack of the given width does: a 16-bit one keeps the upper bits. */
// @ts-ignore: decorator
@inline export function setStackPointer(cpu: usize, value: u64, mask: u64): void {
  setRegMasked(cpu, REG_RSP, value, mask);
}

// @ts-ignore: decorator
@inline export function cr0(cpu: usize): u32 {
  return load<u32>(cpu, VCPU_cr0);
}

// @ts-ignore: decorator
@inline export function cr4(cpu: usize): u32 {
  return load<u32>(cpu, VCPU_cr4);
}

// @ts-ignore: decorator
@inline export function efer(cpu: usize): u32 {
  return load<u32>(cpu, VCPU_efer);
}

// @ts-ignore: decorator
@inline export function eflags(cpu: usize): u32 {
  return load<u32>(cpu, VCPU_eflags);
}

// @ts-ignore: decorator
@inline export function cpl(cpu: usize): i32 {
  return load<i32>(cpu, VCPU_cpl);
}

// @ts-ignore: decorator
@inline export function iopl(cpu: usize): i32 {
  return <i32>((eflags(cpu) >> 12) & 3);
}

// @ts-ignore: decorator
@inline export function a20(cpu: usize, gpa: u64): u64 {
  return gpa & ((<u64>0xffffffff << 32) | load<u32>(cpu, VCPU_a20Mask));
}

/** CR0.PE, not in virtual-8086 mode: selectors name descriptors. */
// @ts-ignore: decorator
@inline export function inProtectedMode(cpu: usize): bool {
  return (cr0(cpu) & CR0_PE) != 0 && (eflags(cpu) & FLAG_VM) == 0;
}

// @ts-ignore: decorator
@inline export function inVirtual8086(cpu: usize): bool {
  return (eflags(cpu) & FLAG_VM) != 0;
}

// @ts-ignore: decorator
@inline export function inLongMode(cpu: usize): bool {
  return (efer(cpu) & EFER_LMA) != 0;
}

// @ts-ignore: decorator
@inline export function in64BitMode(cpu: usize): bool {
  return (load<u32>(cpu, VCPU_mode) & MODE_CODE_MASK) == MODE_CODE64;
}

// @ts-ignore: decorator
@inline export function segBase(cpu: usize, segment: i32): u64 {
  return load<u64>(cpu + ((<usize>segment) << 3), VCPU_segBase);
}

// @ts-ignore: decorator
@inline export function segEffective(cpu: usize, segment: i32): u64 {
  return load<u64>(cpu + ((<usize>segment) << 3), VCPU_segEffective);
}

// @ts-ignore: decorator
@inline export function segLimit(cpu: usize, segment: i32): u32 {
  return load<u32>(cpu + ((<usize>segment) << 2), VCPU_segLimit);
}

// @ts-ignore: decorator
@inline export function segAttr(cpu: usize, segment: i32): u32 {
  return load<u32>(cpu + ((<usize>segment) << 2), VCPU_segAttr);
}

// @ts-ignore: decorator
@inline export function segSelector(cpu: usize, segment: i32): u32 {
  return load<u32>(cpu + ((<usize>segment) << 2), VCPU_segSelector);
}

// @ts-ignore: decorator
@inline export function setSegBase(cpu: usize, segment: i32, value: u64): void {
  store<u64>(cpu + ((<usize>segment) << 3), value, VCPU_segBase);
}

// @ts-ignore: decorator
@inline export function setSegSelector(cpu: usize, segment: i32, value: u32): void {
  store<u32>(cpu + ((<usize>segment) << 2), value, VCPU_segSelector);
}

// @ts-ignore: decorator
@inline export function setSegAttr(cpu: usize, segment: i32, value: u32): void {
  store<u32>(cpu + ((<usize>segment) << 2), value, VCPU_segAttr);
}

export function setSegment(
  cpu: usize,
  segment: i32,
  selector: u32,
  base: u64,
  limit: u32,
  attr: u32,
): void {
  setSegSelector(cpu, segment, selector);
  setSegBase(cpu, segment, base);
  store<u32>(cpu + ((<usize>segment) << 2), limit, VCPU_segLimit);
  setSegAttr(cpu, segment, attr);
}

/** Bits 48-63 equal bit 47: APM vol. 2, 5.3.1. */
// @ts-ignore: decorator
@inline export function isCanonical(address: u64): bool {
  return <u64>((<i64>address << 16) >> 16) == address;
}

// @ts-ignore: decorator
@inline export function faulted(cpu: usize): bool {
  return load<u32>(cpu, VCPU_exception) != 0;
}

/** Raises an exception; always STATUS_FAULT, so that a function can end with it. */
export function raise(cpu: usize, vector: i32, error: u32): i32 {
  store<u32>(cpu, vector + 1, VCPU_exception);
  store<u32>(cpu, error, VCPU_exceptionError);
  return STATUS_FAULT;
}

export function raisePageFault(cpu: usize, linear: u64, error: u32): void {
  raise(cpu, EXCEPTION_PF, error);
  store<u64>(cpu, linear, VCPU_exceptionAddress);
}

// @ts-ignore: decorator
@inline export function clearFault(cpu: usize): void {
  store<u32>(cpu, 0, VCPU_exception);
}

/** Takes `amount` out of the budget without counting it as instructions. */
// @ts-ignore: decorator
@inline export function charge(cpu: usize, amount: i32): void {
  store<i32>(cpu, load<i32>(cpu, VCPU_budget) - amount, VCPU_budget);
  store<i32>(cpu, load<i32>(cpu, VCPU_budgetStart) - amount, VCPU_budgetStart);
}

/** Uses the budget up, so that the interpreter returns to the run loop; docs/core.md, Interrupts. */
export function yieldToRunLoop(cpu: usize): void {
  const left = load<i32>(cpu, VCPU_budget);
  if (left > 0) charge(cpu, left);
}

/**
 * To be called by whatever may have opened the interrupt window or raised a line: true, and the
 * budget is used up, if the run loop has something to do now.
 */
export function yieldIfAttention(cpu: usize): bool {
  const attention = atomic.load<u32>(cpu, VCPU_attention);
  if (attention == 0) return false;
  if ((eflags(cpu) & FLAG_IF) == 0 && (attention & ~ATTENTION_INTERRUPT) == 0) return false;
  yieldToRunLoop(cpu);
  return true;
}

// @ts-ignore: decorator
@inline export function count(cpu: usize, counter: usize): void {
  store<u64>(cpu + counter, load<u64>(cpu + counter) + 1);
}
