/** Far jumps, calls and returns, IRET, SYSCALL and SYSENTER: AMD64 APM vol. 2, chapters 4, 6 and 8. */
import {
  CR0_PE,
  CR4_VME,
  EFER_SCE,
  EXCEPTION_GP,
  EXCEPTION_NP,
  EXCEPTION_TS,
  EXCEPTION_UD,
  FLAG_IF,
  FLAG_IOPL,
  FLAG_NT,
  FLAG_RF,
  FLAG_TF,
  FLAG_VIF,
  FLAG_VIP,
  FLAG_VM,
  REG_RCX,
  REG_RDX,
  REG_RSP,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
  SEG_SS,
  SEG_TR,
  STATUS_BRANCH,
  STATUS_FAULT,
  STATUS_NEXT,
  VCPU_cstar,
  VCPU_eflags,
  VCPU_kernelGsBase,
  VCPU_lstar,
  VCPU_nmiBlocked,
  VCPU_rip,
  VCPU_segEffective,
  VCPU_sfmask,
  VCPU_star,
  VCPU_sysenterCs,
  VCPU_sysenterEip,
  VCPU_sysenterEsp,
} from './generated/layout';
import {
  countDelivery,
  cpl,
  cr0,
  cr4,
  efer,
  eflags,
  faulted,
  getReg,
  in64BitMode,
  inLongMode,
  inProtectedMode,
  inVirtual8086,
  iopl,
  isCanonical,
  raise,
  segBase,
  segLimit,
  segSelector,
  setReg,
  setSegBase,
  setSegment,
  setStackPointer,
  yieldIfAttention,
  yieldToRunLoop,
} from './cpu';
import {
  ATTR_CODE,
  ATTR_CONFORMING,
  ATTR_DB,
  ATTR_FLAT_CODE32,
  ATTR_FLAT_CODE64,
  ATTR_FLAT_DATA,
  ATTR_L,
  ATTR_P,
  ATTR_RW,
  ATTR_S,
  attrDpl,
  descriptorAttr,
  descriptorBase,
  descriptorLimit,
  fetchDescriptor,
  fetchDescriptorHigh,
  isCode,
  isNull,
  setAccessed,
  setFromDescriptor,
  TYPE_BUSY,
  TYPE_CALL_GATE16,
  TYPE_CALL_GATE32,
  TYPE_TASK_GATE,
  TYPE_TSS16,
} from './descriptor';
import { getFlags, setFlags } from './flags';
import { ownAccess, readSystem } from './mmu';
import { updateMode } from './mode';
import { ACCESS_WRAP32 } from './paging';
import { dropInnerSegments, loadNullSegment, loadRealSegment, stackDescriptor } from './segments';
import { canPush, canPushHere, canPushLong, peek, push, pushHere, stackMask, stackMaskOf } from './stack';
import {
  innerStackPointer,
  innerStackSelector,
  switchTask,
  SWITCH_CALL,
  SWITCH_JUMP,
  SWITCH_RETURN,
} from './task';

// @ts-ignore: decorator
@inline function maskOf(bytes: i32): u64 {
  return bytes == 2 ? 0xffff : bytes == 4 ? 0xffffffff : -1;
}

/** Goes on at `rip` with whatever CS, SS and flags now hold. */
function branch(cpu: usize, rip: u64): i32 {
  store<u64>(cpu, rip, VCPU_rip);
  updateMode(cpu);
  return STATUS_BRANCH;
}

/** As `branch`, after RFLAGS were loaded: a pending interrupt or the trap flag is looked at first. */
function branchWithFlags(cpu: usize, rip: u64): i32 {
  branch(cpu, rip);
  if ((eflags(cpu) & FLAG_TF) != 0) yieldToRunLoop(cpu);
  else yieldIfAttention(cpu);
  return STATUS_BRANCH;
}

// @ts-ignore: decorator
@inline function is64BitCode(cpu: usize, attr: u32): bool {
  return inLongMode(cpu) && (attr & ATTR_L) != 0;
}

/** The target must be canonical, or inside the code segment's limit; false with #GP(0) raised. */
function checkTarget(cpu: usize, code: u64, target: u64): bool {
  const inside = is64BitCode(cpu, descriptorAttr(code))
    ? isCanonical(target)
    : target <= <u64>descriptorLimit(code);
  if (!inside) raise(cpu, EXCEPTION_GP, 0);
  return inside;
}

/** L and D both set is reserved in long mode: APM vol. 2, 4.8.1. */
// @ts-ignore: decorator
@inline function reservedSize(cpu: usize, attr: u32): bool {
  return inLongMode(cpu) && (attr & (ATTR_L | ATTR_DB)) == (ATTR_L | ATTR_DB);
}

/** Real mode keeps the limit of CS (unreal mode's may be larger), virtual-8086 mode has 64 KiB. */
// @ts-ignore: decorator
@inline function realLimit(cpu: usize): u64 {
  return inVirtual8086(cpu) ? 0xffff : segLimit(cpu, SEG_CS);
}

/** Real and virtual-8086 mode: no descriptor, only the limit of CS. */
function jumpReal(cpu: usize, selector: u32, offset: u64): i32 {
  if (offset > realLimit(cpu)) return raise(cpu, EXCEPTION_GP, 0);
  loadCodeReal(cpu, selector);
  return branch(cpu, offset);
}

function loadCodeReal(cpu: usize, selector: u32): void {
  loadRealSegment(cpu, SEG_CS, selector);
  if (!inVirtual8086(cpu)) return;
  const attr = ATTR_P | ATTR_S | ATTR_CODE | ATTR_RW | 1 | (3 << 5);
  setSegment(cpu, SEG_CS, selector & 0xffff, (selector & 0xffff) << 4, 0xffff, attr);
}

/**
 * The code descriptor behind a gate: checked for type, presence and (`mayEnter`: a CALL may go to an
 * inner level) privilege. Test `faulted` after it.
 */
function gateTarget(cpu: usize, selector: u32, mayEnter: bool): u64 {
  if (isNull(selector)) {
    raise(cpu, EXCEPTION_GP, 0);
    return 0;
  }
  const error = selector & 0xfffc;
  const code = fetchDescriptor(cpu, selector, EXCEPTION_GP, 0);
  if (faulted(cpu)) return 0;
  const attr = descriptorAttr(code);
  const level = <u32>cpl(cpu);
  const dpl = attrDpl(attr);
  const allowed = (attr & ATTR_CONFORMING) != 0 || mayEnter ? dpl <= level : dpl == level;
  const wrongSize = inLongMode(cpu) && (attr & (ATTR_L | ATTR_DB)) != ATTR_L;
  if (!isCode(attr) || !allowed || wrongSize) raise(cpu, EXCEPTION_GP, error);
  else if ((attr & ATTR_P) == 0) raise(cpu, EXCEPTION_NP, error);
  return code;
}

/** Where a call gate leads; in long mode its 16-byte form. Test `faulted` after it. */
function gateOffset(cpu: usize, selector: u32, gate: u64): u64 {
  const attr = descriptorAttr(gate);
  const low = gate & 0xffff;
  if ((attr & 0xf) == TYPE_CALL_GATE16) return low;
  const offset = low | ((gate >> 32) & 0xffff0000);
  if (!inLongMode(cpu)) return offset;
  const high = fetchDescriptorHigh(cpu, selector, EXCEPTION_GP, 0);
  if (faulted(cpu)) return 0;
  if (((high >> 40) & 0x1f) != 0) {
    raise(cpu, EXCEPTION_GP, selector & 0xfffc);
    return 0;
  }
  return offset | (high << 32);
}

/** Far jumps and calls to a system descriptor: gates and tasks. */
function transferToSystem(cpu: usize, selector: u32, descriptor: u64, call: bool): i32 {
  const error = selector & 0xfffc;
  const attr = descriptorAttr(descriptor);
  const type = attr & 0xf;
  const isGate = type == TYPE_CALL_GATE32 || (type == TYPE_CALL_GATE16 && !inLongMode(cpu));
  const isTss = !inLongMode(cpu) && (type & ~TYPE_BUSY & 7) == TYPE_TSS16;
  const isTaskGate = !inLongMode(cpu) && type == TYPE_TASK_GATE;
  if (!isGate && !isTss && !isTaskGate) return raise(cpu, EXCEPTION_GP, error);
  if (attrDpl(attr) < max(<u32>cpl(cpu), selector & 3)) return raise(cpu, EXCEPTION_GP, error);
  const reason = call ? SWITCH_CALL : SWITCH_JUMP;
  if (isTss) return switchTask(cpu, selector, reason, 0);
  if ((attr & ATTR_P) == 0) return raise(cpu, EXCEPTION_NP, error);
  const target = <u32>(descriptor >> 16) & 0xffff;
  if (isTaskGate) return switchTask(cpu, target, reason, 0);

  const code = gateTarget(cpu, target, call);
  if (faulted(cpu)) return STATUS_FAULT;
  const offset = gateOffset(cpu, selector, descriptor);
  if (faulted(cpu)) return STATUS_FAULT;
  if (!checkTarget(cpu, code, offset)) return STATUS_FAULT;
  const codeAttr = descriptorAttr(code);
  const level = <u32>cpl(cpu);
  if (call) {
    const bytes = inLongMode(cpu) ? 8 : type == TYPE_CALL_GATE32 ? 4 : 2;
    const enters = (codeAttr & ATTR_CONFORMING) == 0 && attrDpl(codeAttr) < level;
    if (enters) {
      const parameters = <i32>(descriptor >> 32) & 31;
      return inLongMode(cpu)
        ? callInnerLong(cpu, target, code, offset)
        : callInner(cpu, target, code, offset, bytes, parameters);
    }
    if (!pushReturn(cpu, target, code, bytes)) return STATUS_FAULT;
  } else if (!setAccessed(cpu, target, code)) {
    return STATUS_FAULT;
  }
  setFromDescriptor(cpu, SEG_CS, (target & 0xfffc) | level, code);
  return branch(cpu, offset);
}

/** Pushes CS and rIP on the current stack, after the target's accessed bit; false after a fault. */
function pushReturn(cpu: usize, selector: u32, code: u64, bytes: i32): bool {
  if (is64BitCode(cpu, descriptorAttr(code)) && !in64BitMode(cpu)) return pushReturnLong(cpu, selector, code, bytes);
  if (!canPushHere(cpu, 2, bytes, 0)) return false;
  if (!setAccessed(cpu, selector, code)) return false;
  let sp = pushHere(cpu, getReg(cpu, REG_RSP), bytes, segSelector(cpu, SEG_CS));
  sp = pushHere(cpu, sp, bytes, load<u64>(cpu, VCPU_rip));
  setStackPointer(cpu, sp, stackMask(cpu));
  return true;
}

/** From compatibility mode to 64-bit code: the stack already is that of 64-bit mode, without a base. */
function pushReturnLong(cpu: usize, selector: u32, code: u64, bytes: i32): bool {
  const access = ownAccess(cpu) & ~ACCESS_WRAP32;
  let sp = getReg(cpu, REG_RSP);
  if (!canPushLong(cpu, sp, 2, bytes, access)) return false;
  if (!setAccessed(cpu, selector, code)) return false;
  sp = push(cpu, 0, -1, sp, bytes, access, segSelector(cpu, SEG_CS));
  sp = push(cpu, 0, -1, sp, bytes, access, load<u64>(cpu, VCPU_rip));
  setReg(cpu, REG_RSP, sp);
  return true;
}

/** A call gate to an inner level in long mode: 64-bit stack, no parameters (APM vol. 2, 4.11.2). */
function callInnerLong(cpu: usize, selector: u32, code: u64, offset: u64): i32 {
  const level = attrDpl(descriptorAttr(code));
  const slot: u32 = 4 + level * 8;
  if (slot + 7 > segLimit(cpu, SEG_TR)) {
    return raise(cpu, EXCEPTION_TS, segSelector(cpu, SEG_TR) & 0xfffc);
  }
  let sp = readSystem(cpu, segBase(cpu, SEG_TR) + slot, 8);
  if (faulted(cpu)) return STATUS_FAULT;
  if (!canPushLong(cpu, sp, 4, 8, 0)) return STATUS_FAULT;
  if (!setAccessed(cpu, selector, code)) return STATUS_FAULT;
  sp = push(cpu, 0, -1, sp, 8, 0, segSelector(cpu, SEG_SS));
  sp = push(cpu, 0, -1, sp, 8, 0, getReg(cpu, REG_RSP));
  sp = push(cpu, 0, -1, sp, 8, 0, segSelector(cpu, SEG_CS));
  sp = push(cpu, 0, -1, sp, 8, 0, load<u64>(cpu, VCPU_rip));
  setReg(cpu, REG_RSP, sp);
  loadNullSegment(cpu, SEG_SS, level, level);
  setFromDescriptor(cpu, SEG_CS, (selector & 0xfffc) | level, code);
  return branch(cpu, offset);
}

/** A call gate to an inner level in legacy mode: parameters are copied (APM vol. 2, 4.11.2). */
function callInner(
  cpu: usize,
  selector: u32,
  code: u64,
  offset: u64,
  bytes: i32,
  parameters: i32,
): i32 {
  const level = attrDpl(descriptorAttr(code));
  const stackSelector = innerStackSelector(cpu, level, 0);
  if (faulted(cpu)) return STATUS_FAULT;
  let sp = innerStackPointer(cpu, level, 0);
  if (faulted(cpu)) return STATUS_FAULT;
  if (isNull(stackSelector)) return raise(cpu, EXCEPTION_TS, 0);
  const stack = stackDescriptor(cpu, stackSelector, level, EXCEPTION_TS, 0);
  if (faulted(cpu)) return STATUS_FAULT;
  const attr = descriptorAttr(stack);
  const base = descriptorBase(stack);
  const mask = stackMaskOf(attr);
  const error = stackSelector & 0xfffc;
  const limit = descriptorLimit(stack);
  if (!canPush(cpu, base, limit, attr, sp, 4 + parameters, bytes, 0, error)) return STATUS_FAULT;
  for (let i = 0; i < parameters; i++) {
    peek(cpu, i * bytes, bytes);
    if (faulted(cpu)) return STATUS_FAULT;
  }
  if (!setAccessed(cpu, selector, code)) return STATUS_FAULT;
  sp = push(cpu, base, mask, sp, bytes, ACCESS_WRAP32, segSelector(cpu, SEG_SS));
  sp = push(cpu, base, mask, sp, bytes, ACCESS_WRAP32, getReg(cpu, REG_RSP));
  for (let i = parameters - 1; i >= 0; i--) {
    sp = push(cpu, base, mask, sp, bytes, ACCESS_WRAP32, peek(cpu, i * bytes, bytes));
  }
  sp = push(cpu, base, mask, sp, bytes, ACCESS_WRAP32, segSelector(cpu, SEG_CS));
  sp = push(cpu, base, mask, sp, bytes, ACCESS_WRAP32, load<u64>(cpu, VCPU_rip));
  setFromDescriptor(cpu, SEG_SS, stackSelector, stack);
  setFromDescriptor(cpu, SEG_CS, (selector & 0xfffc) | level, code);
  updateMode(cpu);
  setStackPointer(cpu, sp, mask);
  return branch(cpu, offset);
}

/** The descriptor that a far jump or call names; test `faulted` after it. */
function farDescriptor(cpu: usize, selector: u32): u64 {
  if (isNull(selector)) {
    raise(cpu, EXCEPTION_GP, 0);
    return 0;
  }
  return fetchDescriptor(cpu, selector, EXCEPTION_GP, 0);
}

/** Rights to go directly to a code segment; false after a fault. */
function checkDirect(cpu: usize, selector: u32, code: u64): bool {
  const attr = descriptorAttr(code);
  const level = <u32>cpl(cpu);
  const dpl = attrDpl(attr);
  const allowed =
    (attr & ATTR_CONFORMING) != 0 ? dpl <= level : dpl == level && (selector & 3) <= level;
  if (!isCode(attr) || !allowed || reservedSize(cpu, attr)) {
    raise(cpu, EXCEPTION_GP, selector & 0xfffc);
    return false;
  }
  if ((attr & ATTR_P) == 0) {
    raise(cpu, EXCEPTION_NP, selector & 0xfffc);
    return false;
  }
  return true;
}

export function jumpFar(cpu: usize, selector: u32, offset: u64, bytes: i32): i32 {
  selector &= 0xffff;
  offset &= maskOf(bytes);
  if (!inProtectedMode(cpu)) return jumpReal(cpu, selector, offset);
  const code = farDescriptor(cpu, selector);
  if (faulted(cpu)) return STATUS_FAULT;
  if ((descriptorAttr(code) & ATTR_S) == 0) return transferToSystem(cpu, selector, code, false);
  if (!checkDirect(cpu, selector, code)) return STATUS_FAULT;
  if (!checkTarget(cpu, code, offset)) return STATUS_FAULT;
  if (!setAccessed(cpu, selector, code)) return STATUS_FAULT;
  setFromDescriptor(cpu, SEG_CS, (selector & 0xfffc) | cpl(cpu), code);
  return branch(cpu, offset);
}

export function callFar(cpu: usize, selector: u32, offset: u64, bytes: i32): i32 {
  selector &= 0xffff;
  offset &= maskOf(bytes);
  if (!inProtectedMode(cpu)) {
    if (offset > realLimit(cpu)) return raise(cpu, EXCEPTION_GP, 0);
    if (!canPushHere(cpu, 2, bytes, 0)) return STATUS_FAULT;
    let sp = pushHere(cpu, getReg(cpu, REG_RSP), bytes, segSelector(cpu, SEG_CS));
    sp = pushHere(cpu, sp, bytes, load<u64>(cpu, VCPU_rip));
    setStackPointer(cpu, sp, stackMask(cpu));
    loadCodeReal(cpu, selector);
    return branch(cpu, offset);
  }
  const code = farDescriptor(cpu, selector);
  if (faulted(cpu)) return STATUS_FAULT;
  if ((descriptorAttr(code) & ATTR_S) == 0) return transferToSystem(cpu, selector, code, true);
  if (!checkDirect(cpu, selector, code)) return STATUS_FAULT;
  if (!checkTarget(cpu, code, offset)) return STATUS_FAULT;
  if (!pushReturn(cpu, selector, code, bytes)) return STATUS_FAULT;
  setFromDescriptor(cpu, SEG_CS, (selector & 0xfffc) | cpl(cpu), code);
  return branch(cpu, offset);
}

/** The code segment that RETF or IRET goes back to; test `faulted` after it. */
function returnDescriptor(cpu: usize, selector: u32): u64 {
  if (isNull(selector)) {
    raise(cpu, EXCEPTION_GP, 0);
    return 0;
  }
  const code = fetchDescriptor(cpu, selector, EXCEPTION_GP, 0);
  if (faulted(cpu)) return 0;
  const attr = descriptorAttr(code);
  const level = selector & 3;
  const dpl = attrDpl(attr);
  const allowed = (attr & ATTR_CONFORMING) != 0 ? dpl <= level : dpl == level;
  if (!isCode(attr) || level < <u32>cpl(cpu) || !allowed || reservedSize(cpu, attr)) {
    raise(cpu, EXCEPTION_GP, selector & 0xfffc);
  } else if ((attr & ATTR_P) == 0) {
    raise(cpu, EXCEPTION_NP, selector & 0xfffc);
  }
  return code;
}

/** SS for a return to `level`: 0 stands for an allowed null selector. Test `faulted` after it. */
function returnStack(cpu: usize, selector: u32, level: u32, code: u64): u64 {
  if (!isNull(selector)) return stackDescriptor(cpu, selector, level, EXCEPTION_GP, 0);
  // Only 64-bit code inside the kernel can do without a stack segment: APM vol. 3, RETF.
  const allowed = is64BitCode(cpu, descriptorAttr(code)) && level != 3 && (selector & 3) == level;
  if (!allowed) raise(cpu, EXCEPTION_GP, 0);
  return 0;
}

/** Loads CS, SS and the stack pointer of a return that pops a stack pointer. */
function leaveTo(
  cpu: usize,
  selector: u32,
  code: u64,
  stackSelector: u32,
  stack: u64,
  pointer: u64,
): void {
  const level = selector & 3;
  const outer = level > <u32>cpl(cpu);
  setFromDescriptor(cpu, SEG_CS, selector, code);
  if (stack == 0) loadNullSegment(cpu, SEG_SS, stackSelector, level);
  else setFromDescriptor(cpu, SEG_SS, stackSelector, stack);
  if (outer) dropInnerSegments(cpu, level);
  updateMode(cpu);
  setStackPointer(cpu, pointer, stackMask(cpu));
}

/** RETF, with `extra` bytes of parameters to drop. */
export function returnFar(cpu: usize, bytes: i32, extra: i32): i32 {
  const offset = peek(cpu, 0, bytes);
  if (faulted(cpu)) return STATUS_FAULT;
  const selector = <u32>peek(cpu, bytes, bytes) & 0xffff;
  if (faulted(cpu)) return STATUS_FAULT;
  if (!inProtectedMode(cpu)) {
    if (offset > realLimit(cpu)) return raise(cpu, EXCEPTION_GP, 0);
    setStackPointer(cpu, getReg(cpu, REG_RSP) + 2 * bytes + extra, stackMask(cpu));
    loadCodeReal(cpu, selector);
    return branch(cpu, offset);
  }
  const code = returnDescriptor(cpu, selector);
  if (faulted(cpu)) return STATUS_FAULT;
  const level = selector & 3;
  if (level == <u32>cpl(cpu)) {
    if (!checkTarget(cpu, code, offset)) return STATUS_FAULT;
    if (!setAccessed(cpu, selector, code)) return STATUS_FAULT;
    setStackPointer(cpu, getReg(cpu, REG_RSP) + 2 * bytes, stackMask(cpu));
    setFromDescriptor(cpu, SEG_CS, selector, code);
    branch(cpu, offset);
    // The parameters are dropped from the stack of the new mode: 64-bit code has no 16-bit stack.
    setStackPointer(cpu, getReg(cpu, REG_RSP) + extra, stackMask(cpu));
    return STATUS_BRANCH;
  }
  const pointer = peek(cpu, 2 * bytes + extra, bytes);
  if (faulted(cpu)) return STATUS_FAULT;
  const stackSelector = <u32>peek(cpu, 3 * bytes + extra, bytes) & 0xffff;
  if (faulted(cpu)) return STATUS_FAULT;
  const stack = returnStack(cpu, stackSelector, level, code);
  if (faulted(cpu)) return STATUS_FAULT;
  if (!checkTarget(cpu, code, offset)) return STATUS_FAULT;
  if (!setAccessed(cpu, selector, code)) return STATUS_FAULT;
  leaveTo(cpu, selector, code, stackSelector, stack, pointer);
  setStackPointer(cpu, getReg(cpu, REG_RSP) + extra, stackMask(cpu));
  return branch(cpu, offset);
}

/** The flags that IRET replaces at a CPL and IOPL: APM vol. 3, IRET. */
function returnedFlags(cpu: usize, image: u32, bytes: i32, level: i32): u32 {
  let writable: u32 = bytes == 2 ? 0x4dd5 : 0x254dd5 & ~FLAG_VM;
  if (level == 0) writable |= FLAG_IOPL | (bytes == 2 ? 0 : FLAG_VIF | FLAG_VIP);
  if (level <= iopl(cpu)) writable |= FLAG_IF;
  return (getFlags(cpu) & ~writable) | (image & writable);
}

/** IRET to a virtual-8086 task from CPL 0: APM vol. 2, 8.7.3. */
function returnToVirtual8086(cpu: usize, ip: u64, selector: u32, flags: u32): i32 {
  const pointer = peek(cpu, 12, 4);
  if (faulted(cpu)) return STATUS_FAULT;
  const ss = <u32>peek(cpu, 16, 4);
  if (faulted(cpu)) return STATUS_FAULT;
  const es = <u32>peek(cpu, 20, 4);
  if (faulted(cpu)) return STATUS_FAULT;
  const ds = <u32>peek(cpu, 24, 4);
  if (faulted(cpu)) return STATUS_FAULT;
  const fs = <u32>peek(cpu, 28, 4);
  if (faulted(cpu)) return STATUS_FAULT;
  const gs = <u32>peek(cpu, 32, 4);
  if (faulted(cpu)) return STATUS_FAULT;
  if (ip > 0xffff) return raise(cpu, EXCEPTION_GP, 0);
  setFlags(cpu, flags);
  loadRealSegment(cpu, SEG_ES, es);
  loadRealSegment(cpu, SEG_SS, ss);
  loadRealSegment(cpu, SEG_DS, ds);
  loadRealSegment(cpu, SEG_FS, fs);
  loadRealSegment(cpu, SEG_GS, gs);
  loadCodeReal(cpu, selector);
  setReg(cpu, REG_RSP, pointer);
  return branchWithFlags(cpu, ip);
}

/** Real mode, and virtual-8086 mode with IOPL 3 or CR4.VME. */
function returnReal(cpu: usize, bytes: i32): i32 {
  const virtual = inVirtual8086(cpu);
  const extended = virtual && iopl(cpu) < 3;
  if (extended && (bytes != 2 || (cr4(cpu) & CR4_VME) == 0)) return raise(cpu, EXCEPTION_GP, 0);
  const offset = peek(cpu, 0, bytes);
  if (faulted(cpu)) return STATUS_FAULT;
  const selector = <u32>peek(cpu, bytes, bytes);
  if (faulted(cpu)) return STATUS_FAULT;
  const image = <u32>peek(cpu, 2 * bytes, bytes);
  if (faulted(cpu)) return STATUS_FAULT;
  if (offset > realLimit(cpu)) return raise(cpu, EXCEPTION_GP, 0);

  let flags: u32;
  if (extended) {
    // IF of the image goes to VIF: APM vol. 2, 8.10.2.
    const wantsInterrupts = (image & FLAG_IF) != 0;
    if ((image & FLAG_TF) != 0 || (wantsInterrupts && (eflags(cpu) & FLAG_VIP) != 0)) {
      return raise(cpu, EXCEPTION_GP, 0);
    }
    flags = (getFlags(cpu) & ~(0x4dd5 | FLAG_VIF)) | (image & 0x4dd5) | (wantsInterrupts ? FLAG_VIF : 0);
  } else {
    const kept = FLAG_VIF | FLAG_VIP | (virtual ? FLAG_IOPL : 0);
    flags = (returnedFlags(cpu, image, bytes, 0) & ~kept) | (eflags(cpu) & kept);
  }
  setStackPointer(cpu, getReg(cpu, REG_RSP) + 3 * bytes, stackMask(cpu));
  setFlags(cpu, flags);
  loadCodeReal(cpu, selector);
  return branchWithFlags(cpu, offset);
}

export function iret(cpu: usize, bytes: i32): i32 {
  if (!inProtectedMode(cpu)) {
    const status = returnReal(cpu, bytes);
    if (status == STATUS_BRANCH) store<u32>(cpu, 0, VCPU_nmiBlocked);
    return status;
  }
  store<u32>(cpu, 0, VCPU_nmiBlocked);
  const long = inLongMode(cpu);
  if ((eflags(cpu) & FLAG_NT) != 0) {
    if (long) return raise(cpu, EXCEPTION_GP, 0);
    const link = <u32>readSystem(cpu, segBase(cpu, SEG_TR), 2);
    if (faulted(cpu)) return STATUS_FAULT;
    return switchTask(cpu, link, SWITCH_RETURN, 0);
  }
  const offset = peek(cpu, 0, bytes);
  if (faulted(cpu)) return STATUS_FAULT;
  const selector = <u32>peek(cpu, bytes, bytes) & 0xffff;
  if (faulted(cpu)) return STATUS_FAULT;
  const image = <u32>peek(cpu, 2 * bytes, bytes);
  if (faulted(cpu)) return STATUS_FAULT;
  const level = cpl(cpu);
  if (!long && bytes == 4 && level == 0 && (image & FLAG_VM) != 0) {
    return returnToVirtual8086(cpu, offset, selector, image);
  }
  const code = returnDescriptor(cpu, selector);
  if (faulted(cpu)) return STATUS_FAULT;
  const flags = returnedFlags(cpu, image, bytes, level);
  const newLevel = selector & 3;
  // 64-bit mode always pops a stack pointer: APM vol. 2, 8.9.4.
  if (newLevel == <u32>level && !in64BitMode(cpu)) {
    if (!checkTarget(cpu, code, offset)) return STATUS_FAULT;
    if (!setAccessed(cpu, selector, code)) return STATUS_FAULT;
    setStackPointer(cpu, getReg(cpu, REG_RSP) + 3 * bytes, stackMask(cpu));
    setFromDescriptor(cpu, SEG_CS, selector, code);
    setFlags(cpu, flags);
    return branchWithFlags(cpu, offset);
  }
  const pointer = peek(cpu, 3 * bytes, bytes);
  if (faulted(cpu)) return STATUS_FAULT;
  const stackSelector = <u32>peek(cpu, 4 * bytes, bytes) & 0xffff;
  if (faulted(cpu)) return STATUS_FAULT;
  const stack = returnStack(cpu, stackSelector, newLevel, code);
  if (faulted(cpu)) return STATUS_FAULT;
  if (!checkTarget(cpu, code, offset)) return STATUS_FAULT;
  if (!setAccessed(cpu, selector, code)) return STATUS_FAULT;
  setFlags(cpu, flags);
  leaveTo(cpu, selector, code, stackSelector, stack, pointer);
  return branchWithFlags(cpu, offset);
}

/** Loads CS and SS as the fast system calls do: flat, from no descriptor. */
function loadFlat(cpu: usize, code: u32, codeAttr: u32, stack: u32, level: u32): void {
  setSegment(cpu, SEG_CS, (code & 0xfffc) | level, 0, 0xffffffff, codeAttr | (level << 5));
  setSegment(cpu, SEG_SS, (stack & 0xfffc) | level, 0, 0xffffffff, ATTR_FLAT_DATA | (level << 5));
}

/** As on AMD also in compatibility and legacy mode: APM vol. 2, 6.1.1. */
export function syscall(cpu: usize): i32 {
  if ((efer(cpu) & EFER_SCE) == 0 || (cr0(cpu) & CR0_PE) == 0) return raise(cpu, EXCEPTION_UD, 0);
  const star = load<u64>(cpu, VCPU_star);
  const selector = <u32>(star >> 32) & 0xffff;
  const next = load<u64>(cpu, VCPU_rip);
  if (!inLongMode(cpu)) {
    setReg(cpu, REG_RCX, next & 0xffffffff);
    loadFlat(cpu, selector, ATTR_FLAT_CODE32, selector + 8, 0);
    store<u32>(cpu, eflags(cpu) & ~(FLAG_VM | FLAG_IF | FLAG_RF), VCPU_eflags);
    return branch(cpu, star & 0xffffffff);
  }
  const target = in64BitMode(cpu) ? load<u64>(cpu, VCPU_lstar) : load<u64>(cpu, VCPU_cstar);
  const flags = getFlags(cpu);
  setReg(cpu, REG_RCX, next);
  setReg(cpu, 11, flags);
  const mask = <u32>load<u64>(cpu, VCPU_sfmask);
  setFlags(cpu, flags & ~mask);
  // A SYSCALL that clears TF is not single-stepped.
  if ((mask & FLAG_TF) != 0) countDelivery(cpu);
  loadFlat(cpu, selector, ATTR_FLAT_CODE64, selector + 8, 0);
  return branch(cpu, target);
}

/**
 * APM vol. 2, 6.1.1. AMD leaves the attributes of SS as they are; here it becomes a flat segment as
 * on Intel, which 64-bit code cannot tell apart and 32-bit code always wants.
 */
export function sysret(cpu: usize, bytes: i32): i32 {
  if ((efer(cpu) & EFER_SCE) == 0 || (cr0(cpu) & CR0_PE) == 0) return raise(cpu, EXCEPTION_UD, 0);
  if (cpl(cpu) != 0) return raise(cpu, EXCEPTION_GP, 0);
  const selector = <u32>(load<u64>(cpu, VCPU_star) >> 48);
  const target = getReg(cpu, REG_RCX);
  const wide = bytes == 8;
  if (inLongMode(cpu)) setFlags(cpu, <u32>getReg(cpu, 11) & ~(FLAG_VM | FLAG_RF));
  else store<u32>(cpu, eflags(cpu) | FLAG_IF, VCPU_eflags);
  if (wide) loadFlat(cpu, selector + 16, ATTR_FLAT_CODE64, selector + 8, 3);
  else loadFlat(cpu, selector, ATTR_FLAT_CODE32, selector + 8, 3);
  return branchWithFlags(cpu, wide ? target : target & 0xffffffff);
}

/** AMD knows it in legacy mode only: APM vol. 2, 6.1.2. */
export function sysenter(cpu: usize): i32 {
  if (inLongMode(cpu)) return raise(cpu, EXCEPTION_UD, 0);
  const selector = load<u32>(cpu, VCPU_sysenterCs) & 0xffff;
  if ((cr0(cpu) & CR0_PE) == 0 || isNull(selector)) return raise(cpu, EXCEPTION_GP, 0);
  store<u32>(cpu, eflags(cpu) & ~(FLAG_VM | FLAG_IF | FLAG_RF), VCPU_eflags);
  loadFlat(cpu, selector, ATTR_FLAT_CODE32, selector + 8, 0);
  setReg(cpu, REG_RSP, load<u32>(cpu, VCPU_sysenterEsp));
  return branch(cpu, load<u32>(cpu, VCPU_sysenterEip));
}

export function sysexit(cpu: usize, bytes: i32): i32 {
  if (inLongMode(cpu)) return raise(cpu, EXCEPTION_UD, 0);
  const selector = load<u32>(cpu, VCPU_sysenterCs) & 0xffff;
  const allowed = inProtectedMode(cpu) && cpl(cpu) == 0 && !isNull(selector);
  if (!allowed) return raise(cpu, EXCEPTION_GP, 0);
  loadFlat(cpu, selector + 16, ATTR_FLAT_CODE32, selector + 24, 3);
  setReg(cpu, REG_RSP, getReg(cpu, REG_RCX) & 0xffffffff);
  return branch(cpu, getReg(cpu, REG_RDX) & 0xffffffff);
}

/** SWAPGS: APM vol. 2, 6.4. */
export function swapgs(cpu: usize): i32 {
  if (!in64BitMode(cpu)) return raise(cpu, EXCEPTION_UD, 0);
  if (cpl(cpu) != 0) return raise(cpu, EXCEPTION_GP, 0);
  const base = load<u64>(cpu, VCPU_kernelGsBase);
  store<u64>(cpu, segBase(cpu, SEG_GS), VCPU_kernelGsBase);
  setSegBase(cpu, SEG_GS, base);
  store<u64>(cpu, base, VCPU_segEffective + SEG_GS * 8);
  return STATUS_NEXT;
}
