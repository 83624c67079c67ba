/**
 * Repeated string instructions: AMD64 APM vol. 1, 3.3.11 and vol. 3. They work through whole runs inside a page;
 * registers are exact before each access that can fault, so that they resume there. Without REP, only INS and OUTS
 * come here.
 */
import {
  FLAGS_SUB,
  FLAG_DF,
  FLAG_RF,
  REG_RAX,
  REG_RCX,
  REG_RDI,
  REG_RDX,
  REG_RSI,
  SEG_ES,
  STATUS_BRANCH,
  STATUS_FAULT,
  STATUS_NEXT,
  STATUS_REPEAT,
  TLB_ENTRY_addend,
  TLB_ENTRY_readTag,
  TLB_ENTRY_writeTag,
  VCPU_addressMask,
  VCPU_breakpointsCode,
  VCPU_debugPending,
  VCPU_eflags,
  VCPU_exceptionAddress,
  VCPU_flagA,
  VCPU_flagB,
  VCPU_flagKind,
  VCPU_flagResult,
  VCPU_segReadable,
  VCPU_segWritable,
  VCPU_tlb,
} from './generated/layout';
import {
  charge,
  clearFault,
  eflags,
  getReg,
  in64BitMode,
  regAddress,
  segEffective,
  setReg,
  setRegMasked,
  yieldIfAttention,
  yieldToRunLoop,
} from './cpu';
import { portRead, portWrite } from './host';
import { noteWrite } from './journal';
import {
  finishWrite,
  loadChunk,
  NOT_RAM,
  ownAccess,
  prepareRead,
  prepareWrite,
  readableRun,
  scratchAddress,
  storeChunk,
  writableRun,
} from './mmu';
import { ACCESS_ALIGNED, ACCESS_WATCHED } from './paging';
import { checkPort } from './privilege';
import { segmentLinear } from './segments';
import { copyDown, copyUp, fillUp, skipElements, skipPairs } from './string-runs';
import { tlbOffset } from './tlb';

/** Accesses that are looked at one by one. */
// @ts-ignore: decorator
@inline const ACCESS_SINGLE: u32 = ACCESS_ALIGNED | ACCESS_WATCHED;
/** How much one call may do, in bytes of RAM, before interrupts are looked at. */
// @ts-ignore: decorator
@inline const WORK_LIMIT: i32 = 0x10000;
/** What an element costs that cannot go with a run: a device, a page crossing. */
// @ts-ignore: decorator
@inline const WORK_SINGLE: i32 = 64;
/** What a comparison of a run that goes down costs: one by one. */
// @ts-ignore: decorator
@inline const WORK_COMPARE: i32 = 8;
/** Bytes of work that take as long as one instruction of the budget. */
// @ts-ignore: decorator
@inline const WORK_PER_INSTRUCTION_SHIFT: i32 = 4;

// @ts-ignore: decorator
@inline const REPEAT_WHILE_NOT_EQUAL: i32 = 2;

// @ts-ignore: decorator
@inline function maskFor(cpu: usize, addressSize: i32): u64 {
  return load<u64>(cpu + (<usize>addressSize << 3), VCPU_addressMask);
}

// @ts-ignore: decorator
@inline function goesDown(cpu: usize): bool {
  return (eflags(cpu) & FLAG_DF) != 0;
}

/** Linear address of one element, or -1 after a fault; 64-bit addresses are checked at the access. */
function elementLinear(cpu: usize, segment: i32, offset: u64, bytes: i32, write: i32): u64 {
  if (in64BitMode(cpu)) return segEffective(cpu, segment) + offset;
  return segmentLinear(cpu, segment, offset, bytes, write);
}

/** In 64-bit mode -1 is an address like any other (the access will find what is wrong with it). */
// @ts-ignore: decorator
@inline function segmentFaulted(cpu: usize, linear: u64): bool {
  return linear == -1 && !in64BitMode(cpu);
}

/** How many elements from this one lie inside its page and before the index register wraps around. */
function runLength(linear: u64, offset: u64, mask: u64, bytes: i32, left: u64, down: bool): u64 {
  const inPage = linear & 4095;
  if (inPage + bytes > 4096) return 1;
  const page = down ? inPage / bytes + 1 : (4096 - inPage) / bytes;
  const room = down ? offset / bytes + 1 : (mask - offset) / bytes + 1;
  return max<u64>(min(left, min(page, room)), 1);
}

/** Whether the segment covers a whole run, given that it covers its first element. */
function runInside(
  cpu: usize,
  segment: i32,
  offset: u64,
  bytes: i32,
  elements: u64,
  down: bool,
  write: i32,
): bool {
  if (in64BitMode(cpu)) return true;
  const span = <i32>elements * bytes;
  const low = down ? offset - (span - bytes) : offset;
  if (segmentLinear(cpu, segment, low, span, write) != -1) return true;
  clearFault(cpu);
  return false;
}

/** A run that goes down faults at its first element, not at its lowest address. */
function faultAt(cpu: usize, linear: u64): u64 {
  store<u64>(cpu, in64BitMode(cpu) ? linear : linear & 0xffffffff, VCPU_exceptionAddress);
  return 0;
}

// @ts-ignore: decorator
@inline function advance(cpu: usize, register: i32, mask: u64, distance: i64): void {
  setRegMasked(cpu, register, getReg(cpu, register) + distance, mask);
}

/** An element was one that a breakpoint watches: the trap comes before the next one. */
// @ts-ignore: decorator
@inline function trapped(cpu: usize): bool {
  return load<u32>(cpu, VCPU_debugPending) != 0;
}

/** RF: a breakpoint on this instruction was taken when it began. */
function restartQuietly(cpu: usize): void {
  store<u32>(cpu, eflags(cpu) | FLAG_RF, VCPU_eflags);
  yieldToRunLoop(cpu);
}

/** What a call that has done `work` returns with elements left. */
function again(cpu: usize, work: i32): i32 {
  if (load<u32>(cpu, VCPU_breakpointsCode) != 0) restartQuietly(cpu);
  charge(cpu, work >> WORK_PER_INSTRUCTION_SHIFT);
  return STATUS_REPEAT;
}

function done(cpu: usize, work: i32): i32 {
  if (work > WORK_SINGLE) charge(cpu, work >> WORK_PER_INSTRUCTION_SHIFT);
  return STATUS_NEXT;
}

/** log2 of an element's size. */
// @ts-ignore: decorator
@inline function shiftOf(bytes: i32): u64 {
  return <u64>ctz(bytes);
}

/** How many elements from here on end in the same page: none if the first one crosses into the next. */
// @ts-ignore: decorator
@inline function upToPageEnd(linear: u64, shift: u64): u64 {
  return (4096 - (linear & 4095)) >> shift;
}

/** Linear address of an offset in a segment, which nobody has checked. */
// @ts-ignore: decorator
@inline function linearOf(cpu: usize, is64: bool, segment: i32, offset: u64): u64 {
  const linear = segEffective(cpu, segment) + offset;
  return is64 ? linear : linear & 0xffffffff;
}

/**
 * Where a run that goes up and stays in the page of `linear` lies in RAM, if it needs nothing but that: the TLB has
 * its `tag`, the index does not wrap around, and the segment covers the run (`window`). Else 0.
 */
// @ts-ignore: decorator
@inline function openRun(
  cpu: usize,
  is64: bool,
  tag: usize,
  window: usize,
  segment: i32,
  offset: u64,
  linear: u64,
  span: u64,
  mask: u64,
): usize {
  const entry = <usize>load<u32>(cpu, VCPU_tlb) + tlbOffset(linear);
  if (load<u64>(entry + tag) != (linear & ~4095) || offset + span - 1 > mask) return 0;
  if (!is64 && offset + span > load<u64>(cpu + window + (<usize>segment << 3))) return 0;
  return <usize>(<u32>linear + load<u32>(entry, TLB_ENTRY_addend));
}

/** Moves what can be moved in one go, with all checks: how many elements, or 0 after a fault. */
function moveNext(cpu: usize, bytes: i32, mask: u64, down: bool, segment: i32, left: u64): u64 {
  const access = ownAccess(cpu);
  const si = getReg(cpu, REG_RSI) & mask;
  const di = getReg(cpu, REG_RDI) & mask;
  const source = elementLinear(cpu, segment, si, bytes, 0);
  if (segmentFaulted(cpu, source)) return 0;
  const target = elementLinear(cpu, SEG_ES, di, bytes, 1);
  if (segmentFaulted(cpu, target)) return 0;
  if (left > 1 && (access & ACCESS_SINGLE) == 0) {
    const n = min(
      runLength(source, si, mask, bytes, left, down),
      runLength(target, di, mask, bytes, left, down),
    );
    if (
      n > 1 &&
      runInside(cpu, segment, si, bytes, n, down, 0) &&
      runInside(cpu, SEG_ES, di, bytes, n, down, 1)
    ) {
      const span = <i32>n * bytes;
      const back = down ? span - bytes : 0;
      const from = readableRun(cpu, source - back, span, segment, access);
      if (from == 0) return faultAt(cpu, source);
      if (from != NOT_RAM) {
        const to = writableRun(cpu, target - back, span, SEG_ES, access);
        if (to == 0) return faultAt(cpu, target);
        if (to != NOT_RAM) {
          if (down) copyDown(to, from, bytes, span);
          else copyUp(to, from, bytes, span);
          return n;
        }
      }
    }
  }
  const from = prepareRead(cpu, source, bytes, segment, access);
  if (from == 0) return 0;
  const value = loadChunk(from, bytes);
  const to = prepareWrite(cpu, target, bytes, SEG_ES, access, false);
  if (to == 0) return 0;
  storeChunk(to, bytes, value);
  finishWrite(cpu, to);
  return 1;
}

// @ts-ignore: decorator
@inline function workOf(n: u64, shift: u64): i32 {
  return n == 1 ? WORK_SINGLE : <i32>(n << shift);
}

export function movs(cpu: usize, bytes: i32, addressSize: i32, segment: i32): i32 {
  const mask = maskFor(cpu, addressSize);
  const shift = shiftOf(bytes);
  const down = goesDown(cpu);
  const is64 = in64BitMode(cpu);
  let left = getReg(cpu, REG_RCX) & mask;
  let work = 0;
  while (left != 0) {
    if (work >= WORK_LIMIT || trapped(cpu)) return again(cpu, work);
    let n: u64 = 0;
    if (!down) {
      const si = getReg(cpu, REG_RSI) & mask;
      const di = getReg(cpu, REG_RDI) & mask;
      const source = linearOf(cpu, is64, segment, si);
      const target = linearOf(cpu, is64, SEG_ES, di);
      n = min(left, min(upToPageEnd(source, shift), upToPageEnd(target, shift)));
      const span = n << shift;
      const from = openRun(cpu, is64, TLB_ENTRY_readTag, VCPU_segReadable, segment, si, source, span, mask);
      const to = openRun(cpu, is64, TLB_ENTRY_writeTag, VCPU_segWritable, SEG_ES, di, target, span, mask);
      if (n != 0 && from != 0 && to != 0) {
        noteWrite(cpu, to, <usize>span);
        copyUp(to, from, bytes, <usize>span);
      } else {
        n = 0;
      }
    }
    if (n == 0) n = moveNext(cpu, bytes, mask, down, segment, left);
    if (n == 0) return STATUS_FAULT;
    work += workOf(n, shift);
    const distance = down ? -<i64>(n << shift) : <i64>(n << shift);
    advance(cpu, REG_RSI, mask, distance);
    advance(cpu, REG_RDI, mask, distance);
    left -= n;
    setRegMasked(cpu, REG_RCX, left, mask);
  }
  return done(cpu, work);
}

/** Stores what can be stored in one go, with all checks: how many elements, or 0 after a fault. */
function storeNext(cpu: usize, bytes: i32, mask: u64, down: bool, left: u64): u64 {
  const access = ownAccess(cpu);
  const value = getReg(cpu, REG_RAX);
  const di = getReg(cpu, REG_RDI) & mask;
  const target = elementLinear(cpu, SEG_ES, di, bytes, 1);
  if (segmentFaulted(cpu, target)) return 0;
  if (left > 1 && (access & ACCESS_SINGLE) == 0) {
    const n = runLength(target, di, mask, bytes, left, down);
    if (n > 1 && runInside(cpu, SEG_ES, di, bytes, n, down, 1)) {
      const span = <i32>n * bytes;
      const to = writableRun(cpu, target - (down ? span - bytes : 0), span, SEG_ES, access);
      if (to == 0) return faultAt(cpu, target);
      if (to != NOT_RAM) {
        fillUp(to, bytes, span, value);
        return n;
      }
    }
  }
  const to = prepareWrite(cpu, target, bytes, SEG_ES, access, false);
  if (to == 0) return 0;
  storeChunk(to, bytes, value);
  finishWrite(cpu, to);
  return 1;
}

export function stos(cpu: usize, bytes: i32, addressSize: i32): i32 {
  const mask = maskFor(cpu, addressSize);
  const shift = shiftOf(bytes);
  const down = goesDown(cpu);
  const is64 = in64BitMode(cpu);
  let left = getReg(cpu, REG_RCX) & mask;
  let work = 0;
  while (left != 0) {
    if (work >= WORK_LIMIT || trapped(cpu)) return again(cpu, work);
    let n: u64 = 0;
    if (!down) {
      const di = getReg(cpu, REG_RDI) & mask;
      const target = linearOf(cpu, is64, SEG_ES, di);
      n = min(left, upToPageEnd(target, shift));
      const span = n << shift;
      const to = openRun(cpu, is64, TLB_ENTRY_writeTag, VCPU_segWritable, SEG_ES, di, target, span, mask);
      if (n != 0 && to != 0) {
        noteWrite(cpu, to, <usize>span);
        fillUp(to, bytes, <usize>span, getReg(cpu, REG_RAX));
      } else {
        n = 0;
      }
    }
    if (n == 0) n = storeNext(cpu, bytes, mask, down, left);
    if (n == 0) return STATUS_FAULT;
    work += workOf(n, shift);
    advance(cpu, REG_RDI, mask, down ? -<i64>(n << shift) : <i64>(n << shift));
    left -= n;
    setRegMasked(cpu, REG_RCX, left, mask);
  }
  return done(cpu, work);
}

/** Puts a loaded element into AL, AX, EAX or RAX. */
function setAccumulator(cpu: usize, bytes: i32, value: u64): void {
  if (bytes == 4) setReg(cpu, REG_RAX, value);
  else storeChunk(regAddress(cpu, REG_RAX), bytes, value);
}

export function lods(cpu: usize, bytes: i32, addressSize: i32, segment: i32): i32 {
  const mask = maskFor(cpu, addressSize);
  const access = ownAccess(cpu);
  const step: i64 = goesDown(cpu) ? -bytes : bytes;
  let left = getReg(cpu, REG_RCX) & mask;
  let work = 0;
  while (left != 0) {
    if (work >= WORK_LIMIT || trapped(cpu)) return again(cpu, work);
    const source = elementLinear(cpu, segment, getReg(cpu, REG_RSI) & mask, bytes, 0);
    if (segmentFaulted(cpu, source)) return STATUS_FAULT;
    const from = prepareRead(cpu, source, bytes, segment, access);
    if (from == 0) return STATUS_FAULT;
    setAccumulator(cpu, bytes, loadChunk(from, bytes));
    work += WORK_SINGLE;
    advance(cpu, REG_RSI, mask, step);
    left--;
    setRegMasked(cpu, REG_RCX, left, mask);
  }
  return done(cpu, work);
}

function signExtend(value: u64, bytes: i32): u64 {
  const shift = 64 - (bytes << 3);
  return <u64>((<i64>value << shift) >> shift);
}

/** The flags of a - b, which CMPS and SCAS leave. */
function setCompareFlags(cpu: usize, a: u64, b: u64, bytes: i32): void {
  store<u32>(cpu, FLAGS_SUB, VCPU_flagKind);
  store<u64>(cpu, signExtend(a - b, bytes), VCPU_flagResult);
  store<u64>(cpu, signExtend(a, bytes), VCPU_flagA);
  store<u64>(cpu, signExtend(b, bytes), VCPU_flagB);
}

export function cmps(cpu: usize, bytes: i32, rep: i32, addressSize: i32, segment: i32): i32 {
  const mask = maskFor(cpu, addressSize);
  const shift = shiftOf(bytes);
  const down = goesDown(cpu);
  const is64 = in64BitMode(cpu);
  const access = ownAccess(cpu);
  const untilEqual = rep == REPEAT_WHILE_NOT_EQUAL;
  let left = getReg(cpu, REG_RCX) & mask;
  let work = 0;
  while (left != 0) {
    if (work >= WORK_LIMIT || trapped(cpu)) return again(cpu, work);
    const si = getReg(cpu, REG_RSI) & mask;
    const di = getReg(cpu, REG_RDI) & mask;
    let n: u64 = 0;
    let first: usize = 0;
    let second: usize = 0;
    let a: u64 = 0;
    let b: u64 = 0;
    if (!down) {
      const source = linearOf(cpu, is64, segment, si);
      const target = linearOf(cpu, is64, SEG_ES, di);
      n = min(left, min(upToPageEnd(source, shift), upToPageEnd(target, shift)));
      const span = n << shift;
      first = openRun(cpu, is64, TLB_ENTRY_readTag, VCPU_segReadable, segment, si, source, span, mask);
      second = openRun(cpu, is64, TLB_ENTRY_readTag, VCPU_segReadable, SEG_ES, di, target, span, mask);
    }
    if (n != 0 && first != 0 && second != 0) {
      a = loadChunk(first, bytes);
      b = loadChunk(second, bytes);
    } else {
      const source = elementLinear(cpu, segment, si, bytes, 0);
      if (segmentFaulted(cpu, source)) return STATUS_FAULT;
      const target = elementLinear(cpu, SEG_ES, di, bytes, 0);
      if (segmentFaulted(cpu, target)) return STATUS_FAULT;
      n = 1;
      if (left > 1 && (access & ACCESS_SINGLE) == 0) {
        n = min(
          runLength(source, si, mask, bytes, left, down),
          runLength(target, di, mask, bytes, left, down),
        );
        const inside =
          runInside(cpu, segment, si, bytes, n, down, 0) && runInside(cpu, SEG_ES, di, bytes, n, down, 0);
        if (!inside) n = 1;
      }
      first = prepareRead(cpu, source, bytes, segment, access);
      if (first == 0) return STATUS_FAULT;
      a = loadChunk(first, bytes);
      const firstIsRam = first != scratchAddress(cpu);
      second = prepareRead(cpu, target, bytes, SEG_ES, access);
      if (second == 0) return STATUS_FAULT;
      b = loadChunk(second, bytes);
      if (!firstIsRam || second == scratchAddress(cpu)) n = 1;
    }

    // The first pair is at hand; the others of the run follow in RAM.
    let compared: u64 = 1;
    let stop = (a == b) == untilEqual;
    while (compared < n && !stop) {
      if (!down) {
        // All but the last pair may be passed over.
        const at = <usize>(compared << shift);
        const skipped = skipPairs(first + at, second + at, bytes, <usize>((n - compared - 1) << shift), untilEqual);
        compared += <u64>skipped >> shift;
      }
      const at = down ? -<i32>(compared << shift) : <i32>(compared << shift);
      a = loadChunk(first + at, bytes);
      b = loadChunk(second + at, bytes);
      stop = (a == b) == untilEqual;
      compared++;
    }
    work += WORK_SINGLE + (down ? <i32>compared * WORK_COMPARE : <i32>(compared << shift));
    const distance = down ? -<i64>(compared << shift) : <i64>(compared << shift);
    advance(cpu, REG_RSI, mask, distance);
    advance(cpu, REG_RDI, mask, distance);
    left -= compared;
    setRegMasked(cpu, REG_RCX, left, mask);
    // Now, as the next element may fault.
    setCompareFlags(cpu, a, b, bytes);
    if (stop) break;
  }
  return done(cpu, work);
}

export function scas(cpu: usize, bytes: i32, rep: i32, addressSize: i32): i32 {
  const mask = maskFor(cpu, addressSize);
  const shift = shiftOf(bytes);
  const down = goesDown(cpu);
  const is64 = in64BitMode(cpu);
  const access = ownAccess(cpu);
  const untilEqual = rep == REPEAT_WHILE_NOT_EQUAL;
  const a = loadChunk(regAddress(cpu, REG_RAX), bytes);
  let left = getReg(cpu, REG_RCX) & mask;
  let work = 0;
  while (left != 0) {
    if (work >= WORK_LIMIT || trapped(cpu)) return again(cpu, work);
    const di = getReg(cpu, REG_RDI) & mask;
    let n: u64 = 0;
    let host: usize = 0;
    if (!down) {
      const target = linearOf(cpu, is64, SEG_ES, di);
      n = min(left, upToPageEnd(target, shift));
      host = openRun(cpu, is64, TLB_ENTRY_readTag, VCPU_segReadable, SEG_ES, di, target, n << shift, mask);
    }
    if (n == 0 || host == 0) {
      const target = elementLinear(cpu, SEG_ES, di, bytes, 0);
      if (segmentFaulted(cpu, target)) return STATUS_FAULT;
      n = 1;
      if (left > 1 && (access & ACCESS_SINGLE) == 0) {
        n = runLength(target, di, mask, bytes, left, down);
        if (!runInside(cpu, SEG_ES, di, bytes, n, down, 0)) n = 1;
      }
      host = prepareRead(cpu, target, bytes, SEG_ES, access);
      if (host == 0) return STATUS_FAULT;
      if (host == scratchAddress(cpu)) n = 1;
    }
    let b = loadChunk(host, bytes);
    let compared: u64 = 1;
    let stop = (a == b) == untilEqual;
    while (compared < n && !stop) {
      if (!down) {
        // All but the last element may be passed over.
        const at = <usize>(compared << shift);
        compared += <u64>skipElements(host + at, bytes, <usize>((n - compared - 1) << shift), a, untilEqual) >> shift;
      }
      b = loadChunk(host + (down ? -<i32>(compared << shift) : <i32>(compared << shift)), bytes);
      stop = (a == b) == untilEqual;
      compared++;
    }
    work += WORK_SINGLE + (down ? <i32>compared * WORK_COMPARE : <i32>(compared << shift));
    advance(cpu, REG_RDI, mask, down ? -<i64>(compared << shift) : <i64>(compared << shift));
    left -= compared;
    setRegMasked(cpu, REG_RCX, left, mask);
    // Now, as the next element may fault.
    setCompareFlags(cpu, a, b, bytes);
    if (stop) break;
  }
  return done(cpu, work);
}

/** The destination is checked before the port is read: what a device gives is not lost to a fault. */
export function ins(cpu: usize, bytes: i32, rep: i32, addressSize: i32, segment: i32): i32 {
  const mask = maskFor(cpu, addressSize);
  const access = ownAccess(cpu);
  const step: i64 = goesDown(cpu) ? -bytes : bytes;
  const port = <i32>getReg(cpu, REG_RDX) & 0xffff;
  if (!checkPort(cpu, port, bytes)) return STATUS_FAULT;
  let left = rep != 0 ? getReg(cpu, REG_RCX) & mask : 1;
  let work = 0;
  while (left != 0) {
    if (work >= WORK_LIMIT || trapped(cpu)) return again(cpu, work);
    const target = elementLinear(cpu, SEG_ES, getReg(cpu, REG_RDI) & mask, bytes, 1);
    if (segmentFaulted(cpu, target)) return STATUS_FAULT;
    const to = prepareWrite(cpu, target, bytes, SEG_ES, access, false);
    if (to == 0) return STATUS_FAULT;
    const value = portRead(cpu, port, bytes);
    storeChunk(to, bytes, value);
    finishWrite(cpu, to);
    work += WORK_SINGLE;
    advance(cpu, REG_RDI, mask, step);
    left--;
    if (rep != 0) setRegMasked(cpu, REG_RCX, left, mask);
  }
  done(cpu, work);
  return yieldIfAttention(cpu) ? STATUS_BRANCH : STATUS_NEXT;
}

export function outs(cpu: usize, bytes: i32, rep: i32, addressSize: i32, segment: i32): i32 {
  const mask = maskFor(cpu, addressSize);
  const access = ownAccess(cpu);
  const step: i64 = goesDown(cpu) ? -bytes : bytes;
  const port = <i32>getReg(cpu, REG_RDX) & 0xffff;
  if (!checkPort(cpu, port, bytes)) return STATUS_FAULT;
  let left = rep != 0 ? getReg(cpu, REG_RCX) & mask : 1;
  let work = 0;
  while (left != 0) {
    if (work >= WORK_LIMIT || trapped(cpu)) return again(cpu, work);
    const source = elementLinear(cpu, segment, getReg(cpu, REG_RSI) & mask, bytes, 0);
    if (segmentFaulted(cpu, source)) return STATUS_FAULT;
    const from = prepareRead(cpu, source, bytes, segment, access);
    if (from == 0) return STATUS_FAULT;
    portWrite(cpu, port, bytes, <u32>loadChunk(from, bytes));
    work += WORK_SINGLE;
    advance(cpu, REG_RSI, mask, step);
    left--;
    if (rep != 0) setRegMasked(cpu, REG_RCX, left, mask);
  }
  done(cpu, work);
  return yieldIfAttention(cpu) ? STATUS_BRANCH : STATUS_NEXT;
}
