/** The TSS: inner stacks, and task switches of legacy protected mode. AMD64 APM vol. 2, chapter 12. */
import {
  CR0_PG,
  CR0_TS,
  DR6_BT,
  DR7_LOCAL,
  EXCEPTION_DB,
  EXCEPTION_GP,
  EXCEPTION_NP,
  EXCEPTION_TS,
  FLAG_NT,
  FLAG_VM,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_GS,
  SEG_LDTR,
  SEG_SS,
  SEG_TR,
  STATUS_BRANCH,
  STATUS_FAULT,
  STATUS_FAULT_AT_RIP,
  VCPU_cr0,
  VCPU_cr3,
  VCPU_dr,
  VCPU_rip,
} from './generated/layout';
import {
  cr0,
  faulted,
  getReg,
  raise,
  segAttr,
  segBase,
  segLimit,
  segSelector,
  setReg,
  setSegment,
} from './cpu';
import { updateBreakpoints } from './control';
import {
  ATTR_CODE,
  ATTR_CONFORMING,
  ATTR_P,
  ATTR_RW,
  ATTR_S,
  attrDpl,
  descriptorAttr,
  descriptorBase,
  descriptorLimit,
  fetchDescriptor,
  isCode,
  isNull,
  setAccessed,
  setFromDescriptor,
  TYPE_BUSY,
  TYPE_TSS16,
  TYPE_TSS32,
  writeDescriptorType,
} from './descriptor';
import { getFlags, setFlags } from './flags';
import { probeWrite, readSystem, systemAccess, writeSystem } from './mmu';
import { updateMode } from './mode';
import { loadDataSegment, loadLdtFrom, loadNullSegment, loadRealSegment, stackDescriptor } from './segments';
import { flushTlb } from './tlb';

// Why a task is entered.
// @ts-ignore: decorator
@inline export const SWITCH_JUMP: i32 = 0;
// @ts-ignore: decorator
@inline export const SWITCH_CALL: i32 = 1;
// @ts-ignore: decorator
@inline export const SWITCH_RETURN: i32 = 2;
// @ts-ignore: decorator
@inline export const SWITCH_EVENT: i32 = 3;

// Offsets in a 32-bit TSS (APM vol. 2, figure 12-6) and in a 16-bit one (figure 12-7).
// @ts-ignore: decorator
@inline const TSS32_CR3: i32 = 0x1c;
// @ts-ignore: decorator
@inline const TSS32_EIP: i32 = 0x20;
// @ts-ignore: decorator
@inline const TSS32_EFLAGS: i32 = 0x24;
// @ts-ignore: decorator
@inline const TSS32_REGISTERS: i32 = 0x28;
// @ts-ignore: decorator
@inline const TSS32_SEGMENTS: i32 = 0x48;
// @ts-ignore: decorator
@inline const TSS32_LDT: i32 = 0x60;
// @ts-ignore: decorator
@inline const TSS32_TRAP: i32 = 0x64;
// @ts-ignore: decorator
@inline const TSS16_IP: i32 = 0x0e;
// @ts-ignore: decorator
@inline const TSS16_FLAGS: i32 = 0x10;
// @ts-ignore: decorator
@inline const TSS16_REGISTERS: i32 = 0x12;
// @ts-ignore: decorator
@inline const TSS16_SEGMENTS: i32 = 0x22;
// @ts-ignore: decorator
@inline const TSS16_LDT: i32 = 0x2a;
// @ts-ignore: decorator
@inline const TSS32_BYTES: u32 = 0x68;
// @ts-ignore: decorator
@inline const TSS16_BYTES: u32 = 0x2c;

/** Bit 3 of the type tells a 32-bit TSS from a 16-bit one. */
// @ts-ignore: decorator
@inline function isWide(attr: u32): bool {
  return (attr & 8) != 0;
}

/** One value of the current TSS, or #TS with the TSS's selector; test `faulted` after it. */
function readStackSlot(cpu: usize, offset: u32, bytes: i32, external: u32): u64 {
  if (offset + bytes - 1 > segLimit(cpu, SEG_TR)) {
    raise(cpu, EXCEPTION_TS, (segSelector(cpu, SEG_TR) & 0xfffc) | external);
    return 0;
  }
  return readSystem(cpu, segBase(cpu, SEG_TR) + offset, bytes);
}

/** SSn of the current TSS (legacy mode); test `faulted` after it. */
export function innerStackSelector(cpu: usize, level: u32, external: u32): u32 {
  return isWide(segAttr(cpu, SEG_TR))
    ? <u32>readStackSlot(cpu, 8 + level * 8, 2, external)
    : <u32>readStackSlot(cpu, 4 + level * 4, 2, external);
}

/** ESPn or SPn of the current TSS (legacy mode); test `faulted` after it. */
export function innerStackPointer(cpu: usize, level: u32, external: u32): u64 {
  return isWide(segAttr(cpu, SEG_TR))
    ? readStackSlot(cpu, 4 + level * 8, 4, external)
    : readStackSlot(cpu, 2 + level * 4, 2, external);
}

/** Writes the running task's registers into its TSS, which has been checked to be writable. */
function saveTask(cpu: usize, flags: u32): void {
  const base = segBase(cpu, SEG_TR);
  if (isWide(segAttr(cpu, SEG_TR))) {
    writeSystem(cpu, base + TSS32_EIP, 4, load<u64>(cpu, VCPU_rip));
    writeSystem(cpu, base + TSS32_EFLAGS, 4, flags);
    for (let i = 0; i < 8; i++) writeSystem(cpu, base + TSS32_REGISTERS + i * 4, 4, getReg(cpu, i));
    for (let i = SEG_ES; i <= SEG_GS; i++) {
      writeSystem(cpu, base + TSS32_SEGMENTS + i * 4, 2, segSelector(cpu, i));
    }
  } else {
    writeSystem(cpu, base + TSS16_IP, 2, load<u64>(cpu, VCPU_rip));
    writeSystem(cpu, base + TSS16_FLAGS, 2, flags);
    for (let i = 0; i < 8; i++) writeSystem(cpu, base + TSS16_REGISTERS + i * 2, 2, getReg(cpu, i));
    for (let i = SEG_ES; i <= SEG_DS; i++) {
      writeSystem(cpu, base + TSS16_SEGMENTS + i * 2, 2, segSelector(cpu, i));
    }
  }
}

/** CS of the new task; false after a fault. Its RPL is the new CPL. */
function loadTaskCode(cpu: usize, selector: u32): bool {
  const error = selector & 0xfffc;
  if (isNull(selector)) {
    raise(cpu, EXCEPTION_TS, error);
    return false;
  }
  const descriptor = fetchDescriptor(cpu, selector, EXCEPTION_TS, 0);
  if (faulted(cpu)) return false;
  const attr = descriptorAttr(descriptor);
  const level = selector & 3;
  const allowed = (attr & ATTR_CONFORMING) != 0 ? attrDpl(attr) <= level : attrDpl(attr) == level;
  if (!isCode(attr) || !allowed) {
    raise(cpu, EXCEPTION_TS, error);
    return false;
  }
  if ((attr & ATTR_P) == 0) {
    raise(cpu, EXCEPTION_NP, error);
    return false;
  }
  if (!setAccessed(cpu, selector, descriptor)) return false;
  setFromDescriptor(cpu, SEG_CS, selector, descriptor);
  return true;
}

/**
 * Segment registers of the new task, in an order that leaves the CPL right if one faults: SS
 * first. All of them hold their selectors already.
 */
function loadTaskSegments(cpu: usize): bool {
  const level = segSelector(cpu, SEG_CS) & 3;
  const stackSelector = segSelector(cpu, SEG_SS);
  if (isNull(stackSelector)) {
    raise(cpu, EXCEPTION_TS, 0);
    return false;
  }
  const stack = stackDescriptor(cpu, stackSelector, level, EXCEPTION_TS, 0);
  if (faulted(cpu)) return false;
  setFromDescriptor(cpu, SEG_SS, stackSelector, stack);
  updateMode(cpu);
  if (!loadTaskCode(cpu, segSelector(cpu, SEG_CS))) return false;
  for (let segment = SEG_ES; segment <= SEG_GS; segment++) {
    if (segment == SEG_CS || segment == SEG_SS) continue;
    const selector = segSelector(cpu, segment);
    if (!isNull(selector) && !loadDataSegment(cpu, segment, selector, EXCEPTION_TS)) return false;
  }
  return true;
}

/**
 * Leaves the running task for that of TSS `selector`: STATUS_BRANCH, STATUS_FAULT while nothing has
 * changed yet, or STATUS_FAULT_AT_RIP in the new task. `rip` is where the old task goes on.
 */
export function switchTask(cpu: usize, selector: u32, reason: i32, external: u32): i32 {
  const returns = reason == SWITCH_RETURN;
  const nests = reason == SWITCH_CALL || reason == SWITCH_EVENT;
  const vector = returns ? EXCEPTION_TS : EXCEPTION_GP;
  const error = (selector & 0xfffc) | external;
  if ((selector & 4) != 0 || isNull(selector)) return raise(cpu, vector, error);
  const descriptor = fetchDescriptor(cpu, selector, vector, external);
  if (faulted(cpu)) return STATUS_FAULT;
  const attr = descriptorAttr(descriptor);
  const type = attr & (ATTR_S | 0xf);
  const expected = returns ? TYPE_BUSY : 0;
  if (type != (TYPE_TSS16 | expected) && type != (TYPE_TSS32 | expected)) return raise(cpu, vector, error);
  if ((attr & ATTR_P) == 0) return raise(cpu, EXCEPTION_NP, error);
  const wide = isWide(attr);
  const bytes = wide ? TSS32_BYTES : TSS16_BYTES;
  const limit = descriptorLimit(descriptor);
  if (limit < bytes - 1) return raise(cpu, EXCEPTION_TS, error);

  // Both segments are checked before anything changes.
  const base = descriptorBase(descriptor);
  const access = systemAccess(cpu);
  if (!probeWrite(cpu, base, bytes, SEG_DS, access)) return STATUS_FAULT;
  const oldSelector = segSelector(cpu, SEG_TR);
  const oldBytes = isWide(segAttr(cpu, SEG_TR)) ? TSS32_BYTES : TSS16_BYTES;
  if (segLimit(cpu, SEG_TR) < oldBytes - 1) {
    return raise(cpu, EXCEPTION_TS, (oldSelector & 0xfffc) | external);
  }
  if (!probeWrite(cpu, segBase(cpu, SEG_TR), oldBytes, SEG_DS, access)) return STATUS_FAULT;

  let flags = getFlags(cpu);
  if (returns) flags &= ~FLAG_NT;
  if (!nests) {
    const oldAttr = segAttr(cpu, SEG_TR);
    if (!writeDescriptorType(cpu, oldSelector, oldAttr & ~TYPE_BUSY)) return STATUS_FAULT;
  }
  if (!returns && !writeDescriptorType(cpu, selector, attr | TYPE_BUSY)) return STATUS_FAULT;
  saveTask(cpu, flags);
  if (nests) writeSystem(cpu, base, 2, oldSelector);

  // What the new TSS holds is read before CR3 changes.
  const code = <u32>readSystem(cpu, base + (wide ? TSS32_SEGMENTS + 4 : TSS16_SEGMENTS + 2), 2);
  const ldt = <u32>readSystem(cpu, base + (wide ? TSS32_LDT : TSS16_LDT), 2);
  let newFlags: u32;
  let rip: u64;
  let trap: u64 = 0;
  let cr3 = load<u64>(cpu, VCPU_cr3);
  if (wide) {
    newFlags = <u32>readSystem(cpu, base + TSS32_EFLAGS, 4);
    rip = readSystem(cpu, base + TSS32_EIP, 4);
    trap = readSystem(cpu, base + TSS32_TRAP, 1) & 1;
    if ((cr0(cpu) & CR0_PG) != 0) cr3 = readSystem(cpu, base + TSS32_CR3, 4);
    for (let i = 0; i < 8; i++) setReg(cpu, i, readSystem(cpu, base + TSS32_REGISTERS + i * 4, 4));
  } else {
    newFlags = <u32>readSystem(cpu, base + TSS16_FLAGS, 2);
    rip = readSystem(cpu, base + TSS16_IP, 2);
    for (let i = 0; i < 8; i++) {
      // A 16-bit TSS fills the upper halves with ones.
      setReg(cpu, i, 0xffff0000 | readSystem(cpu, base + TSS16_REGISTERS + i * 2, 2));
    }
  }
  if (nests) newFlags |= FLAG_NT;
  for (let i = SEG_ES; i <= SEG_GS; i++) {
    let value: u32 = 0;
    if (wide) value = <u32>readSystem(cpu, base + TSS32_SEGMENTS + i * 4, 2);
    else if (i <= SEG_DS) value = <u32>readSystem(cpu, base + TSS16_SEGMENTS + i * 2, 2);
    // Unusable until its descriptor is loaded; the privilege level is the new one already.
    loadNullSegment(cpu, i, value, code & 3);
  }
  setSegment(cpu, SEG_TR, selector, base, limit, attr | TYPE_BUSY);
  setFlags(cpu, newFlags);
  store<u64>(cpu, rip, VCPU_rip);
  store<u32>(cpu, cr0(cpu) | CR0_TS, VCPU_cr0);
  if (cr3 != load<u64>(cpu, VCPU_cr3)) {
    store<u64>(cpu, cr3, VCPU_cr3);
    flushTlb(cpu, 1);
  }
  // Local breakpoints belong to the old task: APM vol. 2, 13.1.1.4.
  store<u64>(cpu, load<u64>(cpu, VCPU_dr + 7 * 8) & ~(<u64>DR7_LOCAL), VCPU_dr + 7 * 8);
  updateBreakpoints(cpu);
  loadNullSegment(cpu, SEG_LDTR, ldt, 0);

  const virtual = (newFlags & FLAG_VM) != 0;
  if (virtual) {
    for (let i = SEG_ES; i <= SEG_GS; i++) loadRealSegment(cpu, i, segSelector(cpu, i));
    setSegment(cpu, SEG_CS, code, code << 4, 0xffff, ATTR_P | ATTR_S | ATTR_CODE | ATTR_RW | 1 | (3 << 5));
  }
  // Tables that overlap what was just written can still fault here.
  let ok = !faulted(cpu);
  if (ok && !isNull(ldt)) ok = loadLdtFrom(cpu, ldt, EXCEPTION_TS, EXCEPTION_TS);
  if (ok && !virtual) ok = loadTaskSegments(cpu);
  updateMode(cpu);
  if (ok && rip > <u64>segLimit(cpu, SEG_CS)) {
    raise(cpu, EXCEPTION_GP, 0);
    ok = false;
  }
  if (ok && trap != 0) {
    // The T bit of the TSS: #DB with DR6.BT (APM vol. 2, 13.1.1.3).
    store<u64>(cpu, load<u64>(cpu, VCPU_dr + 6 * 8) | DR6_BT, VCPU_dr + 6 * 8);
    raise(cpu, EXCEPTION_DB, 0);
    ok = false;
  }
  return ok ? STATUS_BRANCH : STATUS_FAULT_AT_RIP;
}
