/** Stacks as far transfers and event delivery use them: the current one, and one about to be loaded. */
import { EXCEPTION_SS, REG_RSP, SEG_SS, VCPU_stackMask } from './generated/layout';
import { getReg, in64BitMode, raise, segAttr, segBase, segEffective, segLimit } from './cpu';
import { ATTR_DB } from './descriptor';
import { ownAccess, probeWrite, readValue, writeValue } from './mmu';
import { ACCESS_WRAP32 } from './paging';
import { insideLimit, segmentLinear } from './segments';

// @ts-ignore: decorator
@inline export function stackMask(cpu: usize): u64 {
  return load<u64>(cpu, VCPU_stackMask);
}

// @ts-ignore: decorator
@inline export function stackMaskOf(attr: u32): u64 {
  return (attr & ATTR_DB) != 0 ? 0xffffffff : 0xffff;
}

/** The value `offset` bytes above the stack pointer; test `faulted` after it. */
export function peek(cpu: usize, offset: i32, bytes: i32): u64 {
  const sp = (getReg(cpu, REG_RSP) + offset) & stackMask(cpu);
  let linear = segEffective(cpu, SEG_SS) + sp;
  if (!in64BitMode(cpu)) {
    const checked = segmentLinear(cpu, SEG_SS, sp, bytes, 0);
    if (checked == -1) return 0;
    linear = checked;
  }
  return readValue(cpu, linear, bytes, SEG_SS, ownAccess(cpu));
}

/**
 * Whether `count` values of `bytes` can be pushed below `sp` on a stack outside 64-bit mode, each
 * checked against limit and page; false with #SS(error) or #PF raised.
 */
export function canPush(
  cpu: usize,
  base: u64,
  limit: u32,
  attr: u32,
  sp: u64,
  count: i32,
  bytes: i32,
  access: u32,
  error: u32,
): bool {
  const mask = stackMaskOf(attr);
  for (let i = 0; i < count; i++) {
    sp = (sp - bytes) & mask;
    if (!insideLimit(limit, attr, sp, bytes)) {
      raise(cpu, EXCEPTION_SS, error);
      return false;
    }
    if (!probeWrite(cpu, base + sp, bytes, SEG_SS, access | ACCESS_WRAP32)) return false;
  }
  return true;
}

/**
 * As canPush, on a 64-bit stack: false with the fault of the first push that cannot be made, so that CR2
 * is its address.
 */
export function canPushLong(cpu: usize, sp: u64, count: i32, bytes: i32, access: u32): bool {
  for (let i = 1; i <= count; i++) {
    const at = sp - i * bytes;
    if (!probeWrite(cpu, at, bytes, SEG_SS, access)) return false;
    // The others are in the same page.
    if (((at ^ (sp - count * bytes)) & ~4095) == 0 && ((at ^ (at + bytes - 1)) & ~4095) == 0) return true;
  }
  return true;
}

/** As canPush, on the current stack, in any mode. */
export function canPushHere(cpu: usize, count: i32, bytes: i32, error: u32): bool {
  const sp = getReg(cpu, REG_RSP);
  if (in64BitMode(cpu)) {
    return canPushLong(cpu, sp, count, bytes, ownAccess(cpu));
  }
  const attr = segAttr(cpu, SEG_SS);
  const base = segBase(cpu, SEG_SS);
  return canPush(cpu, base, segLimit(cpu, SEG_SS), attr, sp, count, bytes, ownAccess(cpu), error);
}

/** Pushes onto a stack that has been checked: the new stack pointer. */
export function push(
  cpu: usize,
  base: u64,
  mask: u64,
  sp: u64,
  bytes: i32,
  access: u32,
  value: u64,
): u64 {
  sp = (sp - bytes) & mask;
  writeValue(cpu, base + sp, bytes, SEG_SS, access, value);
  return sp;
}

/** As push, on the current stack; `sp` starts as the stack pointer, which the caller sets at the end. */
export function pushHere(cpu: usize, sp: u64, bytes: i32, value: u64): u64 {
  return push(cpu, segEffective(cpu, SEG_SS), stackMask(cpu), sp, bytes, ownAccess(cpu), value);
}
