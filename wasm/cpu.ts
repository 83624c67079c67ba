/** Small accessors on the vCPU block. `cpu` is its host address everywhere in this folder. */
import {
  BUDGET_USED_UP,
  REG_RSP,
  STATUS_FAULT,
  VCPU_a20Mask,
  VCPU_attention,
  VCPU_budget,
  VCPU_budgetStart,
  VCPU_cpl,
  VCPU_cr0,
  VCPU_cr4,
  VCPU_delivered,
  VCPU_efer,
  VCPU_eflags,
  VCPU_exception,
  VCPU_exceptionAddress,
  VCPU_exceptionError,
  VCPU_mode,
  VCPU_regs,
  VCPU_rip,
  VCPU_segAttr,
  VCPU_segBase,
  VCPU_segEffective,
  VCPU_segLimit,
  VCPU_segSelector,
  VCPU_segStale,
  VCPU_shadow,
  VCPU_shadowRip,
  ATTENTION_INTERRUPT,
  MODE_CODE64,
  MODE_CODE_MASK,
  EXCEPTION_PF,
  CR0_PE,
  EFER_LMA,
  FLAG_IF,
  FLAG_VM,
} from './generated/layout';

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
  store<u32>(cpu, load<u32>(cpu, VCPU_segStale) | (1 << segment), VCPU_segStale);
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
  if (left > 0) store<i32>(cpu, left - BUDGET_USED_UP, VCPU_budget);
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

/** For the instruction at `rip`, the one behind STI or a load of SS. */
export function castShadow(cpu: usize, kind: u32): void {
  store<u32>(cpu, kind, VCPU_shadow);
  store<u64>(cpu, load<u64>(cpu, VCPU_rip), VCPU_shadowRip);
}

// @ts-ignore: decorator
@inline export function count(cpu: usize, counter: usize): void {
  store<u64>(cpu + counter, load<u64>(cpu + counter) + 1);
}

/** The single step counts an instruction that causes an event as done with it (VCPU.delivered). */
export function countDelivery(cpu: usize): void {
  store<u32>(cpu, load<u32>(cpu, VCPU_delivered) + 1, VCPU_delivered);
}
