/** Exceptions and interrupts: AMD64 APM vol. 2, chapter 8. */
import {
  CR0_PE,
  CR4_VME,
  EXCEPTION_AC,
  EXCEPTION_DB,
  EXCEPTION_DE,
  EXCEPTION_DF,
  EXCEPTION_GP,
  EXCEPTION_NMI,
  EXCEPTION_NP,
  EXCEPTION_PF,
  EXCEPTION_SS,
  EXCEPTION_TS,
  EXIT_SHUTDOWN,
  FLAG_AC,
  FLAG_IF,
  FLAG_IOPL,
  FLAG_NT,
  FLAG_RF,
  FLAG_TF,
  FLAG_VIF,
  FLAG_VM,
  REG_RSP,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
  SEG_SS,
  SEG_TR,
  STATUS_BRANCH,
  STATUS_EXIT,
  STATUS_FAULT,
  STATUS_FAULT_AT_RIP,
  VCPU_countExceptions,
  VCPU_countInterrupts,
  VCPU_cr2,
  VCPU_eflags,
  VCPU_debugPending,
  VCPU_exception,
  VCPU_exceptionAddress,
  VCPU_exceptionError,
  VCPU_exitReason,
  VCPU_halted,
  VCPU_idtBase,
  VCPU_idtLimit,
  VCPU_nmiBlocked,
  VCPU_rip,
  VCPU_shadow,
} from './generated/layout';
import {
  charge,
  clearFault,
  count,
  countDelivery,
  cpl,
  cr0,
  cr4,
  eflags,
  faulted,
  getReg,
  inLongMode,
  inVirtual8086,
  iopl,
  isCanonical,
  raise,
  segAttr,
  segBase,
  segLimit,
  segSelector,
  setReg,
  setStackPointer,
} from './cpu';
import {
  ATTR_CONFORMING,
  ATTR_DB,
  ATTR_L,
  ATTR_P,
  attrDpl,
  descriptorAttr,
  descriptorBase,
  descriptorLimit,
  fetchDescriptor,
  isCode,
  isNull,
  setAccessed,
  setFromDescriptor,
  TYPE_INTERRUPT_GATE16,
  TYPE_INTERRUPT_GATE32,
  TYPE_TASK_GATE,
  TYPE_TRAP_GATE16,
  TYPE_TRAP_GATE32,
} from './descriptor';
import { getFlags } from './flags';
import { readSystem } from './mmu';
import { updateMode } from './mode';
import { ACCESS_USER, ACCESS_WRAP32 } from './paging';
import { loadNullSegment, loadRealSegment, stackDescriptor } from './segments';
import { canPush, canPushHere, canPushLong, push, pushHere, stackMask, stackMaskOf } from './stack';
import { innerStackPointer, innerStackSelector, switchTask, SWITCH_EVENT } from './task';

// What kind of event is delivered.
/** INT n, INT3, INTO: the gate's DPL is checked, and faults meanwhile are the program's own. */
// @ts-ignore: decorator
@inline const EVENT_SOFTWARE: u32 = 1;
/** An error code goes onto the stack. */
// @ts-ignore: decorator
@inline const EVENT_ERROR: u32 = 2;
/** A fault: the saved RFLAGS have RF set (APM vol. 2, 8.2). */
// @ts-ignore: decorator
@inline const EVENT_RESTARTS: u32 = 4;

/** Exceptions with an error code: APM vol. 2, table 8-1. */
// @ts-ignore: decorator
@inline function hasErrorCode(vector: i32): bool {
  return (
    vector == EXCEPTION_DF || (vector >= EXCEPTION_TS && vector <= EXCEPTION_PF) || vector == EXCEPTION_AC
  );
}

/** #DE, #TS, #NP, #SS, #GP: APM vol. 2, 8.2.9. */
// @ts-ignore: decorator
@inline function isContributory(vector: i32): bool {
  return vector == EXCEPTION_DE || (vector >= EXCEPTION_TS && vector <= EXCEPTION_GP);
}

/** Returns false with an exception raised. */
function refuse(cpu: usize, vector: i32, error: u32): bool {
  raise(cpu, vector, error);
  return false;
}

function shutdown(cpu: usize): i32 {
  clearFault(cpu);
  store<u32>(cpu, EXIT_SHUTDOWN, VCPU_exitReason);
  return STATUS_EXIT;
}

/** RFLAGS as they are saved on the handler's stack. */
// @ts-ignore: decorator
@inline function savedFlags(cpu: usize, event: u32): u32 {
  return getFlags(cpu) | ((event & EVENT_RESTARTS) != 0 ? FLAG_RF : 0);
}

// @ts-ignore: decorator
@inline function clearFlags(cpu: usize, flags: u32): void {
  store<u32>(cpu, eflags(cpu) & ~flags, VCPU_eflags);
}

/** Real mode: APM vol. 2, 8.6. `vectors` is where the table of far pointers is. */
function deliverReal(cpu: usize, vector: i32, vectors: u64, flags: u32): bool {
  const target = <u32>readSystem(cpu, vectors + (vector << 2), 4);
  if (faulted(cpu)) return false;
  if (!canPushHere(cpu, 3, 2, 0)) return false;
  let sp = getReg(cpu, REG_RSP);
  sp = pushHere(cpu, sp, 2, flags);
  sp = pushHere(cpu, sp, 2, segSelector(cpu, SEG_CS));
  sp = pushHere(cpu, sp, 2, load<u64>(cpu, VCPU_rip));
  setStackPointer(cpu, sp, stackMask(cpu));
  loadRealSegment(cpu, SEG_CS, target >> 16);
  store<u64>(cpu, target & 0xffff, VCPU_rip);
  return true;
}

/** 64-bit and compatibility mode: APM vol. 2, 8.9. */
function deliverLong(cpu: usize, vector: i32, event: u32, error: u32): bool {
  const external: u32 = (event & EVENT_SOFTWARE) != 0 ? 0 : 1;
  const idtError = (<u32>vector << 3) | 2 | external;
  const at = <u32>vector << 4;
  if (at + 15 > load<u32>(cpu, VCPU_idtLimit)) return refuse(cpu, EXCEPTION_GP, idtError);
  const gate = load<u64>(cpu, VCPU_idtBase) + at;
  const low = readSystem(cpu, gate, 8);
  if (faulted(cpu)) return false;
  const high = readSystem(cpu, gate + 8, 8);
  if (faulted(cpu)) return false;
  const gateAttr = descriptorAttr(low);
  const type = gateAttr & 0x1f;
  if (type != TYPE_INTERRUPT_GATE32 && type != TYPE_TRAP_GATE32) return refuse(cpu, EXCEPTION_GP, idtError);
  const level = <u32>cpl(cpu);
  if ((event & EVENT_SOFTWARE) != 0 && attrDpl(gateAttr) < level) {
    return refuse(cpu, EXCEPTION_GP, idtError);
  }
  if ((gateAttr & ATTR_P) == 0) return refuse(cpu, EXCEPTION_NP, idtError);

  const selector = <u32>(low >> 16) & 0xffff;
  if (isNull(selector)) return refuse(cpu, EXCEPTION_GP, external);
  const selectorError = (selector & 0xfffc) | external;
  const code = fetchDescriptor(cpu, selector, EXCEPTION_GP, external);
  if (faulted(cpu)) return false;
  const attr = descriptorAttr(code);
  const codeLevel = attrDpl(attr);
  if (!isCode(attr) || (attr & (ATTR_L | ATTR_DB)) != ATTR_L || codeLevel > level) {
    return refuse(cpu, EXCEPTION_GP, selectorError);
  }
  if ((attr & ATTR_P) == 0) return refuse(cpu, EXCEPTION_NP, selectorError);
  const newLevel = (attr & ATTR_CONFORMING) != 0 ? level : codeLevel;
  const target = (low & 0xffff) | ((low >> 32) & 0xffff0000) | (high << 32);
  if (!isCanonical(target)) return refuse(cpu, EXCEPTION_GP, external);

  const oldPointer = getReg(cpu, REG_RSP);
  let sp = oldPointer;
  const ist = <u32>(low >> 32) & 7;
  if (ist != 0 || newLevel < level) {
    const slot: u32 = ist != 0 ? 0x1c + ist * 8 : 4 + newLevel * 8;
    if (slot + 7 > segLimit(cpu, SEG_TR)) {
      return refuse(cpu, EXCEPTION_TS, (segSelector(cpu, SEG_TR) & 0xfffc) | external);
    }
    sp = readSystem(cpu, segBase(cpu, SEG_TR) + slot, 8);
    if (faulted(cpu)) return false;
  }
  sp &= ~15;
  const values = (event & EVENT_ERROR) != 0 ? 6 : 5;
  const access: u32 = newLevel == 3 ? ACCESS_USER : 0;
  // The new stack's non-canonical address gives #SS with EXT; canPushLong would raise it without.
  if (!isCanonical(sp - values * 8) || !isCanonical(sp - 1)) return refuse(cpu, EXCEPTION_SS, external);
  if (!canPushLong(cpu, sp, values, 8, access)) return false;
  if (!setAccessed(cpu, selector, code)) return false;

  sp = push(cpu, 0, -1, sp, 8, access, segSelector(cpu, SEG_SS));
  sp = push(cpu, 0, -1, sp, 8, access, oldPointer);
  sp = push(cpu, 0, -1, sp, 8, access, savedFlags(cpu, event));
  sp = push(cpu, 0, -1, sp, 8, access, segSelector(cpu, SEG_CS));
  sp = push(cpu, 0, -1, sp, 8, access, load<u64>(cpu, VCPU_rip));
  if ((event & EVENT_ERROR) != 0) sp = push(cpu, 0, -1, sp, 8, access, error);

  setReg(cpu, REG_RSP, sp);
  if (newLevel < level) loadNullSegment(cpu, SEG_SS, newLevel, newLevel);
  setFromDescriptor(cpu, SEG_CS, (selector & 0xfffc) | newLevel, code);
  store<u64>(cpu, target, VCPU_rip);
  clearFlags(cpu, FLAG_TF | FLAG_NT | FLAG_RF | (type == TYPE_INTERRUPT_GATE32 ? FLAG_IF : 0));
  return true;
}

/** A task gate in the IDT: the handler is a task, and gets the error code on its stack. */
function deliverToTask(cpu: usize, selector: u32, event: u32, error: u32, external: u32): bool {
  if (switchTask(cpu, selector, SWITCH_EVENT, external) != STATUS_BRANCH) return false;
  if ((event & EVENT_ERROR) == 0) return true;
  // The TSS decides the width: types 9 and 11 are 32-bit ones.
  const bytes = (segAttr(cpu, SEG_TR) & 8) != 0 ? 4 : 2;
  if (!canPushHere(cpu, 1, bytes, external)) return false;
  const sp = pushHere(cpu, getReg(cpu, REG_RSP), bytes, error);
  setStackPointer(cpu, sp, stackMaskOf(segAttr(cpu, SEG_SS)));
  return true;
}

/** Legacy protected and virtual-8086 mode: APM vol. 2, 8.7 and 8.8. */
function deliverProtected(cpu: usize, vector: i32, event: u32, error: u32): bool {
  const external: u32 = (event & EVENT_SOFTWARE) != 0 ? 0 : 1;
  const idtError = (<u32>vector << 3) | 2 | external;
  const at = <u32>vector << 3;
  if (at + 7 > load<u32>(cpu, VCPU_idtLimit)) return refuse(cpu, EXCEPTION_GP, idtError);
  const gate = readSystem(cpu, load<u64>(cpu, VCPU_idtBase) + at, 8);
  if (faulted(cpu)) return false;
  const gateAttr = descriptorAttr(gate);
  const type = gateAttr & 0x1f;
  const isTaskGate = type == TYPE_TASK_GATE;
  const wide = type == TYPE_INTERRUPT_GATE32 || type == TYPE_TRAP_GATE32;
  if (!isTaskGate && !wide && type != TYPE_INTERRUPT_GATE16 && type != TYPE_TRAP_GATE16) {
    return refuse(cpu, EXCEPTION_GP, idtError);
  }
  const level = <u32>cpl(cpu);
  if ((event & EVENT_SOFTWARE) != 0 && attrDpl(gateAttr) < level) {
    return refuse(cpu, EXCEPTION_GP, idtError);
  }
  if ((gateAttr & ATTR_P) == 0) return refuse(cpu, EXCEPTION_NP, idtError);
  const selector = <u32>(gate >> 16) & 0xffff;
  if (isTaskGate) return deliverToTask(cpu, selector, event, error, external);

  if (isNull(selector)) return refuse(cpu, EXCEPTION_GP, external);
  const selectorError = (selector & 0xfffc) | external;
  const code = fetchDescriptor(cpu, selector, EXCEPTION_GP, external);
  if (faulted(cpu)) return false;
  const attr = descriptorAttr(code);
  const codeLevel = attrDpl(attr);
  if (!isCode(attr) || codeLevel > level) return refuse(cpu, EXCEPTION_GP, selectorError);
  if ((attr & ATTR_P) == 0) return refuse(cpu, EXCEPTION_NP, selectorError);
  const newLevel = (attr & ATTR_CONFORMING) != 0 ? level : codeLevel;
  const virtual = inVirtual8086(cpu);
  // A handler of virtual-8086 code runs at CPL 0: APM vol. 2, 8.7.3.
  if (virtual && newLevel != 0) return refuse(cpu, EXCEPTION_GP, selectorError);
  let target = <u32>gate & 0xffff;
  if (wide) target |= <u32>(gate >> 32) & 0xffff0000;
  if (target > descriptorLimit(code)) return refuse(cpu, EXCEPTION_GP, external);

  const bytes = wide ? 4 : 2;
  const flags = savedFlags(cpu, event);
  const oldPointer = getReg(cpu, REG_RSP);
  const withError = (event & EVENT_ERROR) != 0 ? 1 : 0;
  let sp = oldPointer;
  if (newLevel < level) {
    const stackSelector = innerStackSelector(cpu, newLevel, external);
    if (faulted(cpu)) return false;
    sp = innerStackPointer(cpu, newLevel, external);
    if (faulted(cpu)) return false;
    if (isNull(stackSelector)) return refuse(cpu, EXCEPTION_TS, external);
    const stack = stackDescriptor(cpu, stackSelector, newLevel, EXCEPTION_TS, external);
    if (faulted(cpu)) return false;
    const stackAttr = descriptorAttr(stack);
    const base = descriptorBase(stack);
    const limit = descriptorLimit(stack);
    const mask = stackMaskOf(stackAttr);
    const stackError = (stackSelector & 0xfffc) | external;
    const values = (virtual ? 9 : 5) + withError;
    // newLevel is below 3: the pushes are a supervisor's.
    if (!canPush(cpu, base, limit, stackAttr, sp, values, bytes, 0, stackError)) return false;
    if (!setAccessed(cpu, selector, code)) return false;
    const access = ACCESS_WRAP32;
    if (virtual) {
      sp = push(cpu, base, mask, sp, bytes, access, segSelector(cpu, SEG_GS));
      sp = push(cpu, base, mask, sp, bytes, access, segSelector(cpu, SEG_FS));
      sp = push(cpu, base, mask, sp, bytes, access, segSelector(cpu, SEG_DS));
      sp = push(cpu, base, mask, sp, bytes, access, segSelector(cpu, SEG_ES));
    }
    sp = push(cpu, base, mask, sp, bytes, access, segSelector(cpu, SEG_SS));
    sp = push(cpu, base, mask, sp, bytes, access, oldPointer);
    sp = push(cpu, base, mask, sp, bytes, access, flags);
    sp = push(cpu, base, mask, sp, bytes, access, segSelector(cpu, SEG_CS));
    sp = push(cpu, base, mask, sp, bytes, access, load<u64>(cpu, VCPU_rip));
    if (withError != 0) sp = push(cpu, base, mask, sp, bytes, access, error);
    if (virtual) {
      loadNullSegment(cpu, SEG_GS, 0, 0);
      loadNullSegment(cpu, SEG_FS, 0, 0);
      loadNullSegment(cpu, SEG_DS, 0, 0);
      loadNullSegment(cpu, SEG_ES, 0, 0);
    }
    setFromDescriptor(cpu, SEG_SS, stackSelector, stack);
    setStackPointer(cpu, sp, mask);
  } else {
    if (!canPushHere(cpu, 3 + withError, bytes, external)) return false;
    if (!setAccessed(cpu, selector, code)) return false;
    sp = pushHere(cpu, sp, bytes, flags);
    sp = pushHere(cpu, sp, bytes, segSelector(cpu, SEG_CS));
    sp = pushHere(cpu, sp, bytes, load<u64>(cpu, VCPU_rip));
    if (withError != 0) sp = pushHere(cpu, sp, bytes, error);
    setStackPointer(cpu, sp, stackMaskOf(segAttr(cpu, SEG_SS)));
  }
  setFromDescriptor(cpu, SEG_CS, (selector & 0xfffc) | newLevel, code);
  store<u64>(cpu, target, VCPU_rip);
  const isInterruptGate = type == TYPE_INTERRUPT_GATE32 || type == TYPE_INTERRUPT_GATE16;
  clearFlags(cpu, FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM | (isInterruptGate ? FLAG_IF : 0));
  return true;
}

/** One attempt; false with the exception that it met raised, and nothing else changed. */
function deliver(cpu: usize, vector: i32, event: u32, error: u32): bool {
  let done: bool;
  if ((cr0(cpu) & CR0_PE) == 0) {
    if ((<u32>vector << 2) + 3 > load<u32>(cpu, VCPU_idtLimit)) {
      return refuse(cpu, EXCEPTION_GP, (<u32>vector << 3) | 2);
    }
    done = deliverReal(cpu, vector, load<u64>(cpu, VCPU_idtBase), getFlags(cpu));
    if (done) clearFlags(cpu, FLAG_TF | FLAG_IF | FLAG_AC | FLAG_RF);
  } else if (inLongMode(cpu)) {
    done = deliverLong(cpu, vector, event, error);
  } else {
    done = deliverProtected(cpu, vector, event, error);
  }
  if (done) {
    store<u32>(cpu, 0, VCPU_shadow);
    countDelivery(cpu);
    updateMode(cpu);
  }
  return done;
}

/**
 * Delivers `VCPU.exception`. What goes wrong meanwhile is delivered instead, as a double fault, or
 * shuts the CPU down: APM vol. 2, table 8-3.
 */
export function deliverException(cpu: usize): i32 {
  let vector = <i32>load<u32>(cpu, VCPU_exception) - 1;
  let error = load<u32>(cpu, VCPU_exceptionError);
  count(cpu, VCPU_countExceptions);
  // A handler whose first instruction faults goes on for ever, and the run loop must hear of that.
  charge(cpu, 1);
  // An instruction that faults has not got to its debug trap.
  store<u32>(cpu, 0, VCPU_debugPending);
  for (;;) {
    clearFault(cpu);
    let event: u32 = hasErrorCode(vector) ? EVENT_ERROR : 0;
    if (vector != EXCEPTION_DB && vector != EXCEPTION_DF) event |= EVENT_RESTARTS;
    if (vector == EXCEPTION_PF) store<u64>(cpu, load<u64>(cpu, VCPU_exceptionAddress), VCPU_cr2);
    if (deliver(cpu, vector, event, error)) break;

    const second = <i32>load<u32>(cpu, VCPU_exception) - 1;
    const secondError = load<u32>(cpu, VCPU_exceptionError);
    const serious = isContributory(second) || second == EXCEPTION_PF;
    if (vector == EXCEPTION_DF && serious) return shutdown(cpu);
    const doubles =
      (isContributory(vector) && isContributory(second)) || (vector == EXCEPTION_PF && serious);
    if (doubles) {
      // CR2 holds the address of the second page fault by now.
      if (second == EXCEPTION_PF) store<u64>(cpu, load<u64>(cpu, VCPU_exceptionAddress), VCPU_cr2);
      vector = EXCEPTION_DF;
      error = 0;
    } else {
      vector = second;
      error = secondError;
    }
  }
  return STATUS_BRANCH;
}

/** An event that is no exception: whatever it meets is delivered as an exception of its own. */
function deliverOrFault(cpu: usize, vector: i32): i32 {
  clearFault(cpu);
  count(cpu, VCPU_countInterrupts);
  store<u32>(cpu, 0, VCPU_halted);
  if (deliver(cpu, vector, 0, 0)) return STATUS_BRANCH;
  return deliverException(cpu);
}

/** An external interrupt that the controller has acknowledged. */
export function interruptVector(cpu: usize, vector: i32): i32 {
  return deliverOrFault(cpu, vector & 0xff);
}

/** NMI; the next one waits for an IRET: APM vol. 2, 8.2.3. */
export function nonMaskableInterrupt(cpu: usize): i32 {
  store<u32>(cpu, 1, VCPU_nmiBlocked);
  return deliverOrFault(cpu, EXCEPTION_NMI);
}

/** Linear address of a byte of the interrupt redirection bitmap, the 32 bytes below the I/O bitmap. */
function redirectionByte(cpu: usize, vector: i32): u64 {
  const base = segBase(cpu, SEG_TR);
  if (segLimit(cpu, SEG_TR) < 0x67) {
    raise(cpu, EXCEPTION_GP, 0);
    return 0;
  }
  const bitmap = <u32>readSystem(cpu, base + 0x66, 2);
  if (faulted(cpu)) return 0;
  const at = bitmap - 32 + (<u32>vector >> 3);
  if (at > segLimit(cpu, SEG_TR)) {
    raise(cpu, EXCEPTION_GP, 0);
    return 0;
  }
  return base + at;
}

/** INT n in virtual-8086 mode: IOPL, and with CR4.VME the redirection bitmap (APM vol. 2, 8.10). */
function softwareInVirtual8086(cpu: usize, vector: i32): i32 {
  const sensitive = iopl(cpu) < 3;
  if ((cr4(cpu) & CR4_VME) == 0) {
    if (sensitive) return raise(cpu, EXCEPTION_GP, 0);
  } else {
    const at = redirectionByte(cpu, vector);
    if (faulted(cpu)) return STATUS_FAULT;
    const bits = <u32>readSystem(cpu, at, 1);
    if (faulted(cpu)) return STATUS_FAULT;
    if (((bits >> (vector & 7)) & 1) == 0) {
      // The guest's own handler, through the table at linear address 0.
      let flags = getFlags(cpu);
      if (sensitive) {
        flags = (flags & ~FLAG_IF) | FLAG_IOPL | ((flags & FLAG_VIF) != 0 ? FLAG_IF : 0);
      }
      if (!deliverReal(cpu, vector, 0, flags)) return STATUS_FAULT;
      clearFlags(cpu, FLAG_TF | FLAG_NT | (sensitive ? FLAG_VIF : FLAG_IF));
      countDelivery(cpu);
      updateMode(cpu);
      return STATUS_BRANCH;
    }
    if (sensitive) return raise(cpu, EXCEPTION_GP, 0);
  }
  return deliverSoftware(cpu, vector, EVENT_SOFTWARE);
}

/** A fault behind the commit point of a task switch belongs to the new task. */
function deliverSoftware(cpu: usize, vector: i32, event: u32): i32 {
  const task = segSelector(cpu, SEG_TR);
  if (deliver(cpu, vector, event, 0)) return STATUS_BRANCH;
  return segSelector(cpu, SEG_TR) == task ? STATUS_FAULT : STATUS_FAULT_AT_RIP;
}

/** INT n; with bit 8 set INT1, INT3 or INTO, which IOPL does not concern. */
export function softwareInterrupt(cpu: usize, vector: i32): i32 {
  const oneByte = (vector & 0x100) != 0;
  vector &= 0xff;
  if (inVirtual8086(cpu) && !oneByte) return softwareInVirtual8086(cpu, vector);
  // INT1 is no software interrupt to its gate.
  const event: u32 = oneByte && vector == EXCEPTION_DB ? 0 : EVENT_SOFTWARE;
  return deliverSoftware(cpu, vector, event);
}
