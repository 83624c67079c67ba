/** Segment checks, and loads of segment registers: AMD64 APM vol. 2, chapter 4. */
import {
  EXCEPTION_GP,
  EXCEPTION_NP,
  EXCEPTION_SS,
  EXCEPTION_UD,
  SEGMENT_ALIGNED,
  SEGMENT_WRITE,
  SEG_CS,
  SEG_ES,
  SEG_GS,
  SEG_LDTR,
  SEG_SS,
  SEG_TR,
  STATUS_BRANCH,
  STATUS_FAULT,
  STATUS_NEXT,
  VCPU_mode,
  SHADOW_STACK,
} from './generated/layout';
import {
  castShadow,
  cpl,
  faulted,
  in64BitMode,
  inLongMode,
  inProtectedMode,
  inVirtual8086,
  isCanonical,
  raise,
  segAttr,
  segBase,
  segEffective,
  segLimit,
  setSegAttr,
  setSegBase,
  setSegment,
  setSegSelector,
} from './cpu';
import {
  ATTR_CODE,
  ATTR_CONFORMING,
  ATTR_DB,
  ATTR_EXPAND_DOWN,
  ATTR_P,
  ATTR_RW,
  ATTR_S,
  attrDpl,
  descriptorAddress,
  descriptorAttr,
  descriptorBase,
  descriptorLimit,
  fetchDescriptor,
  fetchDescriptorHigh,
  isCode,
  isNull,
  isWritableData,
  setAccessed,
  setFromDescriptor,
  TYPE_BUSY,
  TYPE_LDT,
  TYPE_TSS16,
  TYPE_TSS32,
  writeDescriptorType,
} from './descriptor';
import { setZeroFlag } from './flags';
import { readSystem } from './mmu';
import { updateMode } from './mode';

/** Whether `size` bytes from `offset` lie inside a segment with this limit and these attributes. */
export function insideLimit(limit: u32, attr: u32, offset: u64, size: i32): bool {
  const last = offset + size - 1;
  if ((attr & (ATTR_S | ATTR_CODE | ATTR_EXPAND_DOWN)) == (ATTR_S | ATTR_EXPAND_DOWN)) {
    // Valid offsets are those above the limit: APM vol. 2, 4.12.2.
    return offset > limit && last <= ((attr & ATTR_DB) != 0 ? 0xffffffff : 0xffff);
  }
  return last <= limit;
}

function segmentFault(cpu: usize, segment: i32): i64 {
  raise(cpu, segment == SEG_SS ? EXCEPTION_SS : EXCEPTION_GP, 0);
  return -1;
}

/**
 * Linear address of `size` bytes at `offset`, or -1 with #GP or #SS raised: APM vol. 2, 4.12. (The
 * last byte of the 64-bit address space cannot be told from a fault and raises one.)
 */
export function segmentLinear(cpu: usize, segment: i32, offset: u64, size: i32, access: i32): i64 {
  if (in64BitMode(cpu)) {
    const linear = segEffective(cpu, segment) + offset;
    if (!isCanonical(linear) || !isCanonical(linear + size - 1) || linear == <u64>-1) {
      return segmentFault(cpu, segment);
    }
    return <i64>linear;
  }
  offset &= 0xffffffff;
  if ((access & SEGMENT_ALIGNED) != 0 && ((segBase(cpu, segment) + offset) & 15) != 0) {
    raise(cpu, EXCEPTION_GP, 0);
    return -1;
  }
  const attr = segAttr(cpu, segment);
  if (inProtectedMode(cpu)) {
    if ((attr & ATTR_P) == 0) return segmentFault(cpu, segment);
    if ((access & SEGMENT_WRITE) != 0) {
      if (!isWritableData(attr)) return segmentFault(cpu, segment);
    } else if ((attr & (ATTR_CODE | ATTR_RW)) == ATTR_CODE) {
      return segmentFault(cpu, segment);
    }
  }
  if (!insideLimit(segLimit(cpu, segment), attr, offset, size)) return segmentFault(cpu, segment);
  return <i64>((segBase(cpu, segment) + offset) & 0xffffffff);
}

/** Branch targets outside 64-bit mode: 0 with #GP(0) raised beyond the limit of CS, else 1. */
export function checkCodeOffset(cpu: usize, offset: u64): i32 {
  if (in64BitMode(cpu) || offset <= <u64>segLimit(cpu, SEG_CS)) return 1;
  raise(cpu, EXCEPTION_GP, 0);
  return 0;
}

/** Real and virtual-8086 mode: the base is the paragraph; limit and size stay in real mode. */
export function loadRealSegment(cpu: usize, segment: i32, selector: u32): void {
  selector &= 0xffff;
  if (inVirtual8086(cpu)) {
    setSegment(cpu, segment, selector, selector << 4, 0xffff, ATTR_P | ATTR_S | ATTR_RW | 1 | (3 << 5));
    return;
  }
  const kept = segAttr(cpu, segment) & 0xf000;
  setSegSelector(cpu, segment, selector);
  setSegBase(cpu, segment, selector << 4);
  setSegAttr(cpu, segment, kept | ATTR_P | ATTR_S | ATTR_RW | 1 | (segment == SEG_CS ? ATTR_CODE : 0));
}

/**
 * A null selector in a data segment register makes the segment unusable. As on AMD, base and limit
 * stay: APM vol. 2, 4.5.1, which 64-bit code sees in FS and GS.
 */
export function loadNullSegment(cpu: usize, segment: i32, selector: u32, dpl: u32): void {
  setSegSelector(cpu, segment, selector & 0xffff);
  setSegAttr(cpu, segment, dpl << 5);
}

/**
 * The descriptor of a selector that SS is to get at privilege level `level`, checked and marked
 * accessed: faults are of kind `vector`, or #SS if it is not present. Test `faulted` after it.
 */
export function stackDescriptor(cpu: usize, selector: u32, level: i32, vector: i32, external: u32): u64 {
  const error = (selector & 0xfffc) | external;
  const descriptor = fetchDescriptor(cpu, selector, vector, external);
  if (faulted(cpu)) return 0;
  const attr = descriptorAttr(descriptor);
  if (<i32>(selector & 3) != level || !isWritableData(attr) || <i32>attrDpl(attr) != level) {
    raise(cpu, vector, error);
  } else if ((attr & ATTR_P) == 0) {
    raise(cpu, EXCEPTION_SS, error);
  } else {
    setAccessed(cpu, selector, descriptor);
  }
  return descriptor;
}

/** Checks and loads ES, DS, FS or GS with a selector that is not null; false after a fault. */
export function loadDataSegment(cpu: usize, segment: i32, selector: u32, vector: i32): bool {
  const error = selector & 0xfffc;
  const descriptor = fetchDescriptor(cpu, selector, vector, 0);
  if (faulted(cpu)) return false;
  const attr = descriptorAttr(descriptor);
  // Data, or code that can be read.
  let valid = (attr & ATTR_S) != 0 && (attr & (ATTR_CODE | ATTR_RW)) != ATTR_CODE;
  if ((attr & (ATTR_CODE | ATTR_CONFORMING)) != (ATTR_CODE | ATTR_CONFORMING)) {
    const level = max(<u32>cpl(cpu), selector & 3);
    valid = valid && attrDpl(attr) >= level;
  }
  if (!valid) {
    raise(cpu, vector, error);
    return false;
  }
  if ((attr & ATTR_P) == 0) {
    raise(cpu, EXCEPTION_NP, error);
    return false;
  }
  if (!setAccessed(cpu, selector, descriptor)) return false;
  setFromDescriptor(cpu, segment, selector, descriptor);
  return true;
}

/** MOV and POP to a segment register. */
export function loadSegment(cpu: usize, segment: i32, selector: u32): i32 {
  selector &= 0xffff;
  const mode = load<u32>(cpu, VCPU_mode);
  if (!inProtectedMode(cpu)) {
    loadRealSegment(cpu, segment, selector);
  } else if (segment == SEG_SS) {
    if (isNull(selector)) {
      const level = cpl(cpu);
      if (!in64BitMode(cpu) || level == 3 || <i32>(selector & 3) != level) {
        return raise(cpu, EXCEPTION_GP, 0);
      }
      loadNullSegment(cpu, SEG_SS, selector, level);
    } else {
      const descriptor = stackDescriptor(cpu, selector, cpl(cpu), EXCEPTION_GP, 0);
      if (faulted(cpu)) return STATUS_FAULT;
      setFromDescriptor(cpu, SEG_SS, selector, descriptor);
    }
  } else if (isNull(selector)) {
    loadNullSegment(cpu, segment, selector, 0);
  } else if (!loadDataSegment(cpu, segment, selector, EXCEPTION_GP)) {
    return STATUS_FAULT;
  }
  updateMode(cpu);
  if (segment == SEG_SS) {
    // Interrupts wait for the instruction that loads the stack pointer: APM vol. 3, MOV.
    castShadow(cpu, SHADOW_STACK);
    return STATUS_BRANCH;
  }
  return load<u32>(cpu, VCPU_mode) != mode ? STATUS_BRANCH : STATUS_NEXT;
}

/** On a return to an outer level: data segments that it may not use become null (APM vol. 2, 4.7.3.5). */
export function dropInnerSegments(cpu: usize, level: u32): void {
  for (let segment = SEG_ES; segment <= SEG_GS; segment++) {
    if (segment == SEG_CS || segment == SEG_SS) continue;
    const attr = segAttr(cpu, segment);
    if ((attr & ATTR_P) == 0) continue;
    if ((attr & (ATTR_CODE | ATTR_CONFORMING)) == (ATTR_CODE | ATTR_CONFORMING)) continue;
    if (attrDpl(attr) < level) loadNullSegment(cpu, segment, 0, 0);
  }
}

/** Checks a selector of an LDT or TSS and gives its base; test `faulted` after it. */
function systemBase(cpu: usize, selector: u32, descriptor: u64): u64 {
  let base = descriptorBase(descriptor);
  if (!inLongMode(cpu)) return base;
  const high = fetchDescriptorHigh(cpu, selector, EXCEPTION_GP, 0);
  if (faulted(cpu)) return 0;
  base |= high << 32;
  // Bits 8-12 of the last word are the type of what would be the next descriptor: 0.
  if (((high >> 40) & 0x1f) != 0) raise(cpu, EXCEPTION_GP, selector & 0xfffc);
  else if (!isCanonical(base)) raise(cpu, EXCEPTION_GP, selector & 0xfffc);
  return base;
}

/** LLDT. */
export function loadLdt(cpu: usize, selector: u32): i32 {
  selector &= 0xffff;
  if (!inProtectedMode(cpu)) return raise(cpu, EXCEPTION_UD, 0);
  if (cpl(cpu) != 0) return raise(cpu, EXCEPTION_GP, 0);
  if (isNull(selector)) {
    loadNullSegment(cpu, SEG_LDTR, selector, 0);
    return STATUS_NEXT;
  }
  if (!loadLdtFrom(cpu, selector, EXCEPTION_GP, EXCEPTION_NP)) return STATUS_FAULT;
  return STATUS_NEXT;
}

/** Loads LDTR with a selector that is not null; false after a fault. */
export function loadLdtFrom(cpu: usize, selector: u32, vector: i32, absent: i32): bool {
  const error = selector & 0xfffc;
  if ((selector & 4) != 0) {
    raise(cpu, vector, error);
    return false;
  }
  const descriptor = fetchDescriptor(cpu, selector, vector, 0);
  if (faulted(cpu)) return false;
  const attr = descriptorAttr(descriptor);
  if ((attr & (ATTR_S | 0xf)) != TYPE_LDT) {
    raise(cpu, vector, error);
    return false;
  }
  if ((attr & ATTR_P) == 0) {
    raise(cpu, absent, error);
    return false;
  }
  const base = systemBase(cpu, selector, descriptor);
  if (faulted(cpu)) return false;
  setSegment(cpu, SEG_LDTR, selector, base, descriptorLimit(descriptor), attr);
  return true;
}

/** LTR. */
export function loadTask(cpu: usize, selector: u32): i32 {
  selector &= 0xffff;
  if (!inProtectedMode(cpu)) return raise(cpu, EXCEPTION_UD, 0);
  if (cpl(cpu) != 0) return raise(cpu, EXCEPTION_GP, 0);
  const error = selector & 0xfffc;
  if (isNull(selector)) return raise(cpu, EXCEPTION_GP, 0);
  if ((selector & 4) != 0) return raise(cpu, EXCEPTION_GP, error);
  const descriptor = fetchDescriptor(cpu, selector, EXCEPTION_GP, 0);
  if (faulted(cpu)) return STATUS_FAULT;
  const attr = descriptorAttr(descriptor);
  const type = attr & (ATTR_S | 0xf);
  if (type != TYPE_TSS32 && (type != TYPE_TSS16 || inLongMode(cpu))) return raise(cpu, EXCEPTION_GP, error);
  if ((attr & ATTR_P) == 0) return raise(cpu, EXCEPTION_NP, error);
  const base = systemBase(cpu, selector, descriptor);
  if (faulted(cpu)) return STATUS_FAULT;
  if (!writeDescriptorType(cpu, selector, attr | TYPE_BUSY)) return STATUS_FAULT;
  setSegment(cpu, SEG_TR, selector, base, descriptorLimit(descriptor), attr | TYPE_BUSY);
  return STATUS_NEXT;
}

/** Whether LAR (bit set in its mask) or LSL knows a system descriptor type: APM vol. 3, tables 4-1, 4-2. */
// @ts-ignore: decorator
@inline function typeIn(mask: u32, attr: u32): bool {
  return ((mask >> (attr & 15)) & 1) != 0;
}

/**
 * The descriptor that LAR, LSL, VERR and VERW may look at, or 0; `systemTypes` has a bit per system
 * type that is valid. Test `faulted` after it.
 */
function visibleDescriptor(cpu: usize, selector: u32, systemTypes: u32): u64 {
  if (isNull(selector)) return 0;
  const address = descriptorAddress(cpu, selector, 8);
  if (address == <u64>-1) return 0;
  const descriptor = readSystem(cpu, address, 8);
  if (faulted(cpu)) return 0;
  const attr = descriptorAttr(descriptor);
  if ((attr & ATTR_S) == 0) {
    if (!typeIn(systemTypes, attr)) return 0;
  } else if ((attr & (ATTR_CODE | ATTR_CONFORMING)) == (ATTR_CODE | ATTR_CONFORMING)) {
    return descriptor;
  }
  return attrDpl(attr) >= max(<u32>cpl(cpu), selector & 3) ? descriptor : 0;
}

/** System types: 1, 2, 3, 4, 5, 9, 11, 12; in long mode 2, 9, 11, 12. */
export function lar(cpu: usize, selector: u32): u64 {
  if (!inProtectedMode(cpu)) {
    raise(cpu, EXCEPTION_UD, 0);
    return 0;
  }
  selector &= 0xffff;
  const descriptor = visibleDescriptor(cpu, selector, inLongMode(cpu) ? 0x1a04 : 0x1a3e);
  if (faulted(cpu)) return 0;
  setZeroFlag(cpu, descriptor != 0);
  return descriptor != 0 ? (descriptor >> 32) & 0x00ffff00 : 0;
}

/** System types: 1, 2, 3, 9, 11; in long mode 2, 9, 11. */
export function lsl(cpu: usize, selector: u32): u64 {
  if (!inProtectedMode(cpu)) {
    raise(cpu, EXCEPTION_UD, 0);
    return 0;
  }
  selector &= 0xffff;
  const descriptor = visibleDescriptor(cpu, selector, inLongMode(cpu) ? 0x0a04 : 0x0a0e);
  if (faulted(cpu)) return 0;
  setZeroFlag(cpu, descriptor != 0);
  return descriptor != 0 ? descriptorLimit(descriptor) : 0;
}

/** VERR and VERW. */
export function verify(cpu: usize, selector: u32, write: i32): i32 {
  if (!inProtectedMode(cpu)) return raise(cpu, EXCEPTION_UD, 0);
  const descriptor = visibleDescriptor(cpu, selector & 0xffff, 0);
  if (faulted(cpu)) return STATUS_FAULT;
  const attr = descriptorAttr(descriptor);
  const usable =
    write != 0 ? isWritableData(attr) : (attr & ATTR_S) != 0 && (!isCode(attr) || (attr & ATTR_RW) != 0);
  setZeroFlag(cpu, descriptor != 0 && usable);
  return STATUS_NEXT;
}
