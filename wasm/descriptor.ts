/** Segment descriptors: AMD64 APM vol. 2, 4.7 and 4.8. */
import {
  SEG_LDTR,
  VCPU_gdtBase,
  VCPU_gdtLimit,
} from './generated/layout';
import { raise, segAttr, segBase, segLimit, setSegment } from './cpu';
import { readSystem, writeSystem } from './mmu';

// Bits of `VCPU.segAttr`.
// @ts-ignore: decorator
@inline export const ATTR_ACCESSED: u32 = 1;
/** Writable for data, readable for code. */
// @ts-ignore: decorator
@inline export const ATTR_RW: u32 = 2;
/** Expand-down for data, conforming for code. */
// @ts-ignore: decorator
@inline export const ATTR_EXPAND_DOWN: u32 = 4;
// @ts-ignore: decorator
@inline export const ATTR_CONFORMING: u32 = 4;
// @ts-ignore: decorator
@inline export const ATTR_CODE: u32 = 8;
/** 0 for system descriptors. */
// @ts-ignore: decorator
@inline export const ATTR_S: u32 = 0x10;
// @ts-ignore: decorator
@inline export const ATTR_P: u32 = 0x80;
// @ts-ignore: decorator
@inline export const ATTR_L: u32 = 0x2000;
// @ts-ignore: decorator
@inline export const ATTR_DB: u32 = 0x4000;
// @ts-ignore: decorator
@inline export const ATTR_G: u32 = 0x8000;

/** The attributes of a flat segment as SYSCALL and its kin load it, without DPL. */
// @ts-ignore: decorator
@inline export const ATTR_FLAT_DATA: u32 = 0xc093;
// @ts-ignore: decorator
@inline export const ATTR_FLAT_CODE32: u32 = 0xc09b;
// @ts-ignore: decorator
@inline export const ATTR_FLAT_CODE64: u32 = 0xa09b;

// Types of system descriptors: APM vol. 2, tables 4-5 and 4-6.
// @ts-ignore: decorator
@inline export const TYPE_TSS16: u32 = 1;
// @ts-ignore: decorator
@inline export const TYPE_LDT: u32 = 2;
// @ts-ignore: decorator
@inline export const TYPE_CALL_GATE16: u32 = 4;
// @ts-ignore: decorator
@inline export const TYPE_TASK_GATE: u32 = 5;
// @ts-ignore: decorator
@inline export const TYPE_INTERRUPT_GATE16: u32 = 6;
// @ts-ignore: decorator
@inline export const TYPE_TRAP_GATE16: u32 = 7;
/** The 64-bit TSS in long mode. */
// @ts-ignore: decorator
@inline export const TYPE_TSS32: u32 = 9;
/** The 64-bit gates in long mode. */
// @ts-ignore: decorator
@inline export const TYPE_CALL_GATE32: u32 = 12;
// @ts-ignore: decorator
@inline export const TYPE_INTERRUPT_GATE32: u32 = 14;
// @ts-ignore: decorator
@inline export const TYPE_TRAP_GATE32: u32 = 15;
/** ORed into the type of a TSS that is in use. */
// @ts-ignore: decorator
@inline export const TYPE_BUSY: u32 = 2;

// @ts-ignore: decorator
@inline export function attrDpl(attr: u32): u32 {
  return (attr >> 5) & 3;
}

// @ts-ignore: decorator
@inline export function isNull(selector: u32): bool {
  return (selector & 0xfffc) == 0;
}

// @ts-ignore: decorator
@inline export function descriptorAttr(descriptor: u64): u32 {
  return <u32>(descriptor >> 40) & 0xf0ff;
}

// @ts-ignore: decorator
@inline export function descriptorBase(descriptor: u64): u64 {
  return ((descriptor >> 16) & 0xffffff) | ((descriptor >> 32) & 0xff000000);
}

export function descriptorLimit(descriptor: u64): u32 {
  const limit = (<u32>descriptor & 0xffff) | (<u32>(descriptor >> 32) & 0xf0000);
  return (descriptorAttr(descriptor) & ATTR_G) != 0 ? (limit << 12) | 0xfff : limit;
}

/** S = 1 and the code bit. */
// @ts-ignore: decorator
@inline export function isCode(attr: u32): bool {
  return (attr & (ATTR_S | ATTR_CODE)) == (ATTR_S | ATTR_CODE);
}

/** S = 1, data, writable. */
// @ts-ignore: decorator
@inline export function isWritableData(attr: u32): bool {
  return (attr & (ATTR_S | ATTR_CODE | ATTR_RW)) == (ATTR_S | ATTR_RW);
}

/** Linear address of `size` bytes of a selector's entry, or -1 if its table does not reach that far. */
export function descriptorAddress(cpu: usize, selector: u32, size: u32): u64 {
  const offset = selector & 0xfff8;
  if ((selector & 4) != 0) {
    if ((segAttr(cpu, SEG_LDTR) & ATTR_P) == 0) return -1;
    if (offset + size - 1 > segLimit(cpu, SEG_LDTR)) return -1;
    return segBase(cpu, SEG_LDTR) + offset;
  }
  if (offset + size - 1 > load<u32>(cpu, VCPU_gdtLimit)) return -1;
  return load<u64>(cpu, VCPU_gdtBase) + offset;
}

/** A descriptor; outside its table it raises `vector` with the selector. Test `faulted` after it. */
export function fetchDescriptor(cpu: usize, selector: u32, vector: i32, external: u32): u64 {
  const address = descriptorAddress(cpu, selector, 8);
  if (address == -1) {
    raise(cpu, vector, (selector & 0xfffc) | external);
    return 0;
  }
  return readSystem(cpu, address, 8);
}

/** The upper half of a 16-byte descriptor of long mode. */
export function fetchDescriptorHigh(cpu: usize, selector: u32, vector: i32, external: u32): u64 {
  const address = descriptorAddress(cpu, selector, 16);
  if (address == -1) {
    raise(cpu, vector, (selector & 0xfffc) | external);
    return 0;
  }
  return readSystem(cpu, address + 8, 8);
}

/** Writes the attribute byte of a descriptor (accessed bit, busy bit); false after a fault. */
export function writeDescriptorType(cpu: usize, selector: u32, attr: u32): bool {
  const address = descriptorAddress(cpu, selector, 8);
  return writeSystem(cpu, address + 5, 1, attr & 0xff);
}

/** Sets the accessed bit of a code or data descriptor in memory; false after a fault. */
export function setAccessed(cpu: usize, selector: u32, descriptor: u64): bool {
  const attr = descriptorAttr(descriptor);
  if ((attr & ATTR_ACCESSED) != 0) return true;
  return writeDescriptorType(cpu, selector, attr | ATTR_ACCESSED);
}

/** Loads the hidden part from a code or data descriptor. */
export function setFromDescriptor(cpu: usize, segment: i32, selector: u32, descriptor: u64): void {
  setSegment(
    cpu,
    segment,
    selector & 0xffff,
    descriptorBase(descriptor),
    descriptorLimit(descriptor),
    descriptorAttr(descriptor) | ATTR_ACCESSED,
  );
}
