/**
 * Guest memory by linear address: the slow paths behind the inline TLB check, and what the core's
 * own functions use. An access that crosses a page, or goes to a device or to decoded code, travels
 * through `VCPU.scratch`; both pages are checked before anything changes.
 */
import {
  ACCESS_CHARGED_SHIFT,
  ACCESS_LENGTH_MASK,
  ACCESS_LENGTH_SHIFT,
  ACCESS_OFFSET_MASK,
  ACCESS_OFFSET_SHIFT,
  ACCESS_SEGMENT_MASK,
  ACCESS_SEGMENT_SHIFT,
  ACCESS_SIZE_MASK,
  BUDGET_USED_UP,
  EXCEPTION_AC,
  EXCEPTION_GP,
  EXCEPTION_SS,
  IOEVENTFD_SPACE_MEMORY,
  MODE_CODE64,
  MODE_CODE_MASK,
  MODE_FLAT,
  RAM_BASE,
  REG_PAGE_RIP,
  SEG_CS,
  SEG_DS,
  SEG_FS,
  SEG_SS,
  STATUS_BRANCH,
  STATUS_FAULT,
  STATUS_FAULT_AT_RIP,
  STATUS_NEXT,
  STATUS_REPEAT,
  TLB_NONE_OFFSET,
  VCPU_breakpointsCode,
  VCPU_breakpointsData,
  VCPU_budget,
  VCPU_countInvalidations,
  VCPU_exitArg0,
  VCPU_mode,
  VCPU_refund,
  VCPU_regs,
  VCPU_rip,
  VCPU_ripMask,
  VCPU_scratch,
  VCPU_scratchFirst,
  VCPU_scratchKind,
  VCPU_scratchLinear,
  VCPU_scratchSecond,
  VCPU_scratchSize,
  VCPU_scratchSplit,
  VCPU_tlb,
} from './generated/layout';
import {
  a20,
  cpl,
  in64BitMode,
  inLongMode,
  isCanonical,
  raise,
  segBase,
  segLimit,
  yieldIfAttention,
} from './cpu';
import { mayFetch, watchData } from './breakpoints';
import { mmioRead, mmioWrite } from './host';
import { ringsDoorbell } from './ioeventfd';
import { isNoting, noteWrite } from './journal';
import {
  ACCESS_ALIGNED,
  ACCESS_DEBUG,
  ACCESS_FETCH,
  ACCESS_SYSTEM,
  ACCESS_USER,
  ACCESS_WATCHED,
  ACCESS_WRAP32,
  ACCESS_WRITE,
  walk,
  WALK_FAULT,
} from './paging';
import { codeBits, codeMask, inRam, ramHost, setDirty, wrote } from './physical';
import { segmentLinear } from './segments';
import { translate } from './tlb';

// Where a part of a prepared write goes; in `scratchKind`, bits 0-1 for the first part, 2-3 for the second.
// @ts-ignore: decorator
@inline const PART_NONE: u32 = 0;
// @ts-ignore: decorator
@inline const PART_RAM: u32 = 1;
// @ts-ignore: decorator
@inline const PART_DEVICE: u32 = 2;
/** Above 4 GiB nothing answers: reads give ones, writes are lost. */
// @ts-ignore: decorator
@inline const PART_NOWHERE: u32 = 3;

/** The access flags of the running code's own accesses, at its CPL. */
// @ts-ignore: decorator
@inline export function ownAccess(cpu: usize): u32 {
  const aligned = load<u32>(cpu, VCPU_tlb) == <u32>(cpu + TLB_NONE_OFFSET) ? ACCESS_ALIGNED : 0;
  const watched = load<u32>(cpu, VCPU_breakpointsData) != 0 ? ACCESS_WATCHED : 0;
  return (cpl(cpu) == 3 ? ACCESS_USER : 0) | (in64BitMode(cpu) ? 0 : ACCESS_WRAP32) | aligned | watched;
}

/** The access flags of the CPU's accesses to its tables. */
// @ts-ignore: decorator
@inline export function systemAccess(cpu: usize): u32 {
  return ACCESS_SYSTEM | (inLongMode(cpu) ? 0 : ACCESS_WRAP32);
}

// @ts-ignore: decorator
@inline export function scratchAddress(cpu: usize): usize {
  return cpu + VCPU_scratch;
}

/** Non-canonical addresses raise #SS for stack references and #GP for others: APM vol. 2, 8.2.13, 8.2.14. */
function checkCanonical(cpu: usize, linear: u64, size: i32, segment: i32): bool {
  if (isCanonical(linear) && isCanonical(linear + size - 1)) return true;
  raise(cpu, segment == SEG_SS ? EXCEPTION_SS : EXCEPTION_GP, 0);
  return false;
}

/**
 * Whether an access is misaligned where that matters: #AC(0) is raised, before any page is looked at (APM vol. 2,
 * 8.2.18; only sizes that are a power of two have an alignment of their own).
 */
export function misaligned(cpu: usize, linear: u64, size: i32, access: u32): bool {
  if ((access & ACCESS_ALIGNED) == 0) return false;
  const alignment = size == 10 ? 8 : (size & (size - 1)) == 0 ? size : 4;
  if ((linear & (alignment - 1)) == 0) return false;
  raise(cpu, EXCEPTION_AC, 0);
  return true;
}

/** A segment of 4 GiB does not wrap around: flat accesses, whose offset is their linear address, fault instead. */
export function beyondFlat(cpu: usize, linear: u64, size: i32, segment: i32): bool {
  if (linear + size <= 0x100000000 || segment >= SEG_FS) return false;
  const mode = load<u32>(cpu, VCPU_mode);
  if ((mode & MODE_FLAT) == 0 || (mode & MODE_CODE_MASK) == MODE_CODE64) return false;
  raise(cpu, segment == SEG_SS ? EXCEPTION_SS : EXCEPTION_GP, 0);
  return true;
}

// @ts-ignore: decorator
@inline function wrap(linear: u64, access: u32): u64 {
  return (access & ACCESS_WRAP32) != 0 ? linear & 0xffffffff : linear;
}

/** The largest access that devices are asked for: a power of two up to 8. */
// @ts-ignore: decorator
@inline function deviceChunk(left: i32): i32 {
  return left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

export function storeChunk(at: usize, size: i32, value: u64): void {
  if (size == 8) store<u64>(at, value);
  else if (size == 4) store<u32>(at, <u32>value);
  else if (size == 2) store<u16>(at, <u16>value);
  else store<u8>(at, <u8>value);
}

export function loadChunk(at: usize, size: i32): u64 {
  if (size == 8) return load<u64>(at);
  if (size == 4) return load<u32>(at);
  if (size == 2) return load<u16>(at);
  return load<u8>(at);
}

/** Reads a device's bytes into scratch + `at`. The host hands them over at the start of the scratch. */
function readDevice(cpu: usize, gpa: u64, size: i32, at: i32): void {
  const scratch = scratchAddress(cpu);
  while (size > 0) {
    const chunk = deviceChunk(size);
    const saved = load<u64>(scratch);
    let value: u64 = -1;
    if (gpa <= 0xffffffff) {
      mmioRead(cpu, <u32>gpa, chunk);
      value = load<u64>(scratch);
    }
    store<u64>(scratch, saved);
    storeChunk(scratch + at, chunk, value);
    gpa += chunk;
    at += chunk;
    size -= chunk;
  }
}

function writeDevice(cpu: usize, gpa: u32, size: i32, at: i32): void {
  const scratch = scratchAddress(cpu);
  while (size > 0) {
    const chunk = deviceChunk(size);
    if (isNoting(cpu) || !ringsDoorbell(cpu, IOEVENTFD_SPACE_MEMORY, gpa, chunk, loadChunk(scratch + at, chunk))) {
      const saved = load<u64>(scratch);
      store<u64>(scratch, loadChunk(scratch + at, chunk));
      mmioWrite(cpu, gpa, chunk);
      store<u64>(scratch, saved);
    }
    gpa += chunk;
    at += chunk;
    size -= chunk;
  }
  // A device may have raised a line, or an end-of-interrupt have let the next one through.
  yieldIfAttention(cpu);
}

function readPart(cpu: usize, gpa: u64, size: i32, at: i32): void {
  if (inRam(cpu, gpa)) memory.copy(scratchAddress(cpu) + at, ramHost(gpa), size);
  else readDevice(cpu, gpa, size, at);
}

/** Where `size` bytes (1 to 64) can be read: RAM, or the scratch filled with them; 0 = fault. */
export function prepareRead(cpu: usize, linear: u64, size: i32, segment: i32, access: u32): usize {
  linear = wrap(linear, access);
  if ((access & ACCESS_WRAP32) == 0 && !checkCanonical(cpu, linear, size, segment)) return 0;
  if (misaligned(cpu, linear, size, access)) return 0;
  const inPage = 4096 - <i32>(linear & 4095);
  const first = translate(cpu, linear, access);
  if (first == WALK_FAULT) return 0;
  if (size <= inPage) {
    if ((access & ACCESS_WATCHED) != 0) watchData(cpu, linear, size, false);
    if (inRam(cpu, first)) return ramHost(first);
    readDevice(cpu, first, size, 0);
    return scratchAddress(cpu);
  }
  const second = translate(cpu, wrap(linear + inPage, access), access);
  if (second == WALK_FAULT) return 0;
  if ((access & ACCESS_WATCHED) != 0) watchData(cpu, linear, size, false);
  readPart(cpu, first, inPage, 0);
  readPart(cpu, second, size - inPage, inPage);
  return scratchAddress(cpu);
}

// @ts-ignore: decorator
@inline function partKind(cpu: usize, gpa: u64): u32 {
  return inRam(cpu, gpa) ? PART_RAM : gpa <= 0xffffffff ? PART_DEVICE : PART_NOWHERE;
}

// @ts-ignore: decorator
@inline function partAddress(cpu: usize, gpa: u64): u32 {
  return inRam(cpu, gpa) ? <u32>ramHost(gpa) : <u32>gpa;
}

/** Where to put `size` bytes: RAM, or the scratch if `commitWrite` has to carry them out; 0 = fault. */
export function prepareWrite(
  cpu: usize,
  linear: u64,
  size: i32,
  segment: i32,
  access: u32,
  withContents: bool,
): usize {
  access |= ACCESS_WRITE;
  linear = wrap(linear, access);
  if ((access & ACCESS_WRAP32) == 0 && !checkCanonical(cpu, linear, size, segment)) return 0;
  if (misaligned(cpu, linear, size, access)) return 0;
  const inPage = 4096 - <i32>(linear & 4095);
  const first = translate(cpu, linear, access);
  if (first == WALK_FAULT) return 0;
  let second: i64 = 0;
  if (size <= inPage) {
    if ((access & ACCESS_WATCHED) != 0) watchData(cpu, linear, size, true);
    if (inRam(cpu, first)) {
      const gpa = <u32>first;
      if ((load<u64>(codeBits(gpa)) & codeMask(gpa, size)) == 0) {
        setDirty(gpa);
        noteWrite(cpu, ramHost(gpa), size);
        return ramHost(gpa);
      }
    }
  } else {
    second = translate(cpu, wrap(linear + inPage, access), access);
    if (second == WALK_FAULT) return 0;
    if ((access & ACCESS_WATCHED) != 0) watchData(cpu, linear, size, true);
  }
  const split = min(size, inPage);
  if (withContents) {
    readPart(cpu, first, split, 0);
    if (size > split) readPart(cpu, second, size - split, split);
  }
  store<u64>(cpu, linear, VCPU_scratchLinear);
  store<u32>(cpu, size, VCPU_scratchSize);
  store<u32>(cpu, split, VCPU_scratchSplit);
  store<u32>(cpu, partAddress(cpu, first), VCPU_scratchFirst);
  store<u32>(cpu, partAddress(cpu, second), VCPU_scratchSecond);
  const secondKind = size > split ? partKind(cpu, second) : PART_NONE;
  store<u32>(cpu, partKind(cpu, first) | (secondKind << 2), VCPU_scratchKind);
  return scratchAddress(cpu);
}

/** Instead of a run's host address: a device is there. */
// @ts-ignore: decorator
@inline export const NOT_RAM: usize = 1;

/** Where a string instruction can read `size` bytes (inside one page), without asking a device. 0 = fault. */
export function readableRun(cpu: usize, linear: u64, size: i32, segment: i32, access: u32): usize {
  linear = wrap(linear, access);
  if ((access & ACCESS_WRAP32) == 0 && !checkCanonical(cpu, linear, size, segment)) return 0;
  const gpa = translate(cpu, linear, access);
  if (gpa == WALK_FAULT) return 0;
  return inRam(cpu, gpa) ? ramHost(gpa) : NOT_RAM;
}

/**
 * Where a string instruction can put `size` bytes (inside one page) that it is about to write; code
 * that they replace is dropped beforehand. 0 = fault.
 */
export function writableRun(cpu: usize, linear: u64, size: i32, segment: i32, access: u32): usize {
  linear = wrap(linear, access);
  if ((access & ACCESS_WRAP32) == 0 && !checkCanonical(cpu, linear, size, segment)) return 0;
  const gpa = translate(cpu, linear, access | ACCESS_WRITE);
  if (gpa == WALK_FAULT) return 0;
  if (!inRam(cpu, gpa)) return NOT_RAM;
  noteWrite(cpu, ramHost(gpa), size);
  wrote(cpu, <u32>gpa, size);
  return ramHost(gpa);
}

function writePart(cpu: usize, kind: u32, address: u32, size: i32, at: i32): void {
  if (kind == PART_RAM) {
    noteWrite(cpu, address, size);
    memory.copy(address, scratchAddress(cpu) + at, size);
    wrote(cpu, address - RAM_BASE, size);
  } else if (kind == PART_DEVICE) {
    writeDevice(cpu, address, size, at);
  }
}

/** Carries out the write that `prepareWrite` directed to the scratch. */
export function carryOut(cpu: usize): void {
  const kind = load<u32>(cpu, VCPU_scratchKind);
  const size = load<i32>(cpu, VCPU_scratchSize);
  const split = load<i32>(cpu, VCPU_scratchSplit);
  store<u32>(cpu, PART_NONE, VCPU_scratchKind);
  writePart(cpu, kind & 3, load<u32>(cpu, VCPU_scratchFirst), split, 0);
  writePart(cpu, (kind >> 2) & 3, load<u32>(cpu, VCPU_scratchSecond), size - split, split);
}

/** Completes a write whose bytes are at `host`. */
// @ts-ignore: decorator
@inline export function finishWrite(cpu: usize, host: usize): void {
  if (host == scratchAddress(cpu)) carryOut(cpu);
}

// @ts-ignore: decorator
@inline function accessSize(access: u32): i32 {
  return access & ACCESS_SIZE_MASK;
}

// @ts-ignore: decorator
@inline function accessSegment(access: u32): i32 {
  return (access >> ACCESS_SEGMENT_SHIFT) & ACCESS_SEGMENT_MASK;
}

function leaveRegion(cpu: usize, access: u32, behind: u32, executed: i32): void {
  const offset = ((access >> ACCESS_OFFSET_SHIFT) & ACCESS_OFFSET_MASK) + behind;
  const rip = load<u64>(cpu, VCPU_regs + REG_PAGE_RIP * 8) + offset;
  store<u64>(cpu, rip & load<u64>(cpu, VCPU_ripMask), VCPU_rip);
  store<i32>(cpu, <i32>(access >> ACCESS_CHARGED_SHIFT) - executed, VCPU_refund);
}

export function faultAt(cpu: usize, access: u32): void {
  leaveRegion(cpu, access, 0, 0);
}

export function segmentSlow(cpu: usize, offset: u64, access: u32, kind: i32): i64 {
  const linear = segmentLinear(cpu, accessSegment(access), offset, accessSize(access), kind);
  if (linear == -1) faultAt(cpu, access);
  return linear;
}

export function leaveAt(cpu: usize, access: u32, status: i32): i32 {
  if (status == STATUS_FAULT || status == STATUS_REPEAT) {
    leaveRegion(cpu, access, 0, 0);
    return status == STATUS_FAULT ? STATUS_FAULT_AT_RIP : status;
  }
  // What sets rip itself has executed its instruction, unless a task switch faulted.
  const executed = status == STATUS_FAULT_AT_RIP ? 0 : 1;
  store<i32>(cpu, <i32>(access >> ACCESS_CHARGED_SHIFT) - executed, VCPU_refund);
  return status;
}

/** Carries a write out; whether the code that is running may go on behind it as it was translated. */
export function commitWrite(cpu: usize, access: u32): i32 {
  const invalidations = load<u64>(cpu, VCPU_countInvalidations);
  const budget = load<i32>(cpu, VCPU_budget);
  carryOut(cpu);
  const usedUp = load<i32>(cpu, VCPU_budget) != budget;
  if (!usedUp && load<u64>(cpu, VCPU_countInvalidations) == invalidations) return STATUS_NEXT;
  leaveRegion(cpu, access, (access >> ACCESS_LENGTH_SHIFT) & ACCESS_LENGTH_MASK, 1);
  // Translated code has its own copy of the budget: what a device took out of this one goes along.
  if (usedUp) store<i32>(cpu, load<i32>(cpu, VCPU_refund) - BUDGET_USED_UP, VCPU_refund);
  return STATUS_BRANCH;
}

export function readSlow(cpu: usize, linear: u64, access: u32): usize {
  const size = accessSize(access);
  const segment = accessSegment(access);
  if (!beyondFlat(cpu, linear, size, segment)) {
    const host = prepareRead(cpu, linear, size, segment, ownAccess(cpu));
    if (host != 0) return host;
  }
  faultAt(cpu, access);
  return 0;
}

function writable(cpu: usize, linear: u64, access: u32, withContents: bool): usize {
  const size = accessSize(access);
  const segment = accessSegment(access);
  if (!beyondFlat(cpu, linear, size, segment)) {
    const host = prepareWrite(cpu, linear, size, segment, ownAccess(cpu), withContents);
    if (host != 0) return host;
  }
  faultAt(cpu, access);
  return 0;
}

export function writeSlow(cpu: usize, linear: u64, access: u32): usize {
  return writable(cpu, linear, access, false);
}

export function rmwSlow(cpu: usize, linear: u64, access: u32): usize {
  return writable(cpu, linear, access, true);
}

export function storeSlow(cpu: usize, linear: u64, access: u32, value: u64): i32 {
  const host = writable(cpu, linear, access, false);
  if (host == 0) return STATUS_FAULT_AT_RIP;
  storeChunk(host, accessSize(access), value);
  return host == scratchAddress(cpu) ? commitWrite(cpu, access) : STATUS_NEXT;
}

/** Host address of the code at `linear`; 0 = fault, 1 = not RAM, and exitArg0 is the gpa. */
export function fetchSlow(cpu: usize, linear: u64): usize {
  const access = ownAccess(cpu) | ACCESS_FETCH;
  if ((access & ACCESS_WRAP32) == 0) {
    if (!isCanonical(linear)) {
      raise(cpu, EXCEPTION_GP, 0);
      return 0;
    }
  } else {
    linear &= 0xffffffff;
    if (<u32>(linear - segBase(cpu, SEG_CS)) > segLimit(cpu, SEG_CS)) {
      raise(cpu, EXCEPTION_GP, 0);
      return 0;
    }
  }
  if (load<u32>(cpu, VCPU_breakpointsCode) != 0 && !mayFetch(cpu, linear)) return 0;
  const gpa = translate(cpu, linear, access);
  if (gpa == WALK_FAULT) return 0;
  if (inRam(cpu, gpa)) return ramHost(gpa);
  store<u32>(cpu, <u32>gpa, VCPU_exitArg0);
  return 1;
}

/** One value of 1, 2, 4 or 8 bytes; test `faulted` after it. */
export function readValue(cpu: usize, linear: u64, size: i32, segment: i32, access: u32): u64 {
  const host = prepareRead(cpu, linear, size, segment, access);
  return host != 0 ? loadChunk(host, size) : 0;
}

/** Writes one value of 1, 2, 4 or 8 bytes; false after a fault. */
export function writeValue(
  cpu: usize,
  linear: u64,
  size: i32,
  segment: i32,
  access: u32,
  value: u64,
): bool {
  const host = prepareWrite(cpu, linear, size, segment, access, false);
  if (host == 0) return false;
  storeChunk(host, size, value);
  finishWrite(cpu, host);
  return true;
}

/** Reads one of the CPU's tables; test `faulted` after it. */
export function readSystem(cpu: usize, linear: u64, size: i32): u64 {
  return readValue(cpu, linear, size, SEG_DS, systemAccess(cpu));
}

export function writeSystem(cpu: usize, linear: u64, size: i32, value: u64): bool {
  return writeValue(cpu, linear, size, SEG_DS, systemAccess(cpu), value);
}

/** Whether `size` bytes (any number) from `linear` can be written; false after a fault. */
export function probeWrite(cpu: usize, linear: u64, size: i32, segment: i32, access: u32): bool {
  if ((access & ACCESS_WRAP32) == 0 && !checkCanonical(cpu, linear, size, segment)) return false;
  if (misaligned(cpu, linear, size, access)) return false;
  while (size > 0) {
    const inPage = min(size, 4096 - <i32>(linear & 4095));
    const at = wrap(linear, access);
    if (translate(cpu, at, access | ACCESS_WRITE) == WALK_FAULT) return false;
    linear += inPage;
    size -= inPage;
  }
  return true;
}

/** For tools: the gpa of a linear address, or -1; no side effects. */
export function translateDebug(cpu: usize, linear: u64): i32 {
  if (!inLongMode(cpu)) linear &= 0xffffffff;
  if (!isCanonical(linear)) return -1;
  const page = walk(cpu, linear, ACCESS_DEBUG);
  if (page == WALK_FAULT) return -1;
  const gpa = a20(cpu, (<u64>page & ~4095) | (linear & 4095));
  return gpa <= 0xffffffff ? <i32>gpa : -1;
}
