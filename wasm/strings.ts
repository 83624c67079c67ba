/**
 * String instructions: AMD64 APM vol. 1, 3.3.11 and vol. 3. A repeated one works through whole runs
 * inside a page; registers are exact before each access that can fault, so that it resumes there.
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
  VCPU_addressMask,
  VCPU_breakpointsCode,
  VCPU_debugPending,
  VCPU_eflags,
  VCPU_exceptionAddress,
  VCPU_flagA,
  VCPU_flagB,
  VCPU_flagKind,
  VCPU_flagResult,
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

/** Accesses that are looked at one by one. */
// @ts-ignore: decorator
@inline const ACCESS_SINGLE: u32 = ACCESS_ALIGNED | ACCESS_WATCHED;
/** How much one call may do, in bytes of RAM, before interrupts are looked at. */
// @ts-ignore: decorator
@inline const WORK_LIMIT: i32 = 0x10000;
/** What an element costs that cannot go with a run: a device, a page crossing. */
// @ts-ignore: decorator
@inline const WORK_SINGLE: i32 = 64;
/** What a comparison costs. */
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
function faultAt(cpu: usize, linear: u64): i32 {
  store<u64>(cpu, in64BitMode(cpu) ? linear : linear & 0xffffffff, VCPU_exceptionAddress);
  return STATUS_FAULT;
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

/** Copies a run as if element by element: a destination that overlaps ahead repeats the pattern. */
function copyRun(from: usize, to: usize, bytes: i32, elements: i32, down: bool): void {
  const span = <usize>(elements * bytes);
  if (down) {
    if (to >= from || to + span <= from) {
      memory.copy(to, from, span);
      return;
    }
    for (let at = span; at != 0; ) {
      at -= bytes;
      storeChunk(to + at, bytes, loadChunk(from + at, bytes));
    }
    return;
  }
  const distance = to - from;
  if (to <= from || distance >= span) {
    memory.copy(to, from, span);
  } else if (distance == 1 && bytes == 1) {
    memory.fill(to, load<u8>(from), span);
  } else if (distance >= 32) {
    // Each piece's source is complete before it is copied.
    for (let at: usize = 0; at < span; at += distance) {
      memory.copy(to + at, from + at, min(distance, span - at));
    }
  } else {
    for (let at: usize = 0; at < span; at += bytes) {
      storeChunk(to + at, bytes, loadChunk(from + at, bytes));
    }
  }
}

export function movs(cpu: usize, bytes: i32, rep: i32, addressSize: i32, segment: i32): i32 {
  const mask = maskFor(cpu, addressSize);
  const down = goesDown(cpu);
  const access = ownAccess(cpu);
  let left = rep != 0 ? getReg(cpu, REG_RCX) & mask : 1;
  let work = 0;
  while (left != 0) {
    if (work >= WORK_LIMIT || trapped(cpu)) return again(cpu, work);
    const si = getReg(cpu, REG_RSI) & mask;
    const di = getReg(cpu, REG_RDI) & mask;
    const source = elementLinear(cpu, segment, si, bytes, 0);
    if (segmentFaulted(cpu, source)) return STATUS_FAULT;
    const target = elementLinear(cpu, SEG_ES, di, bytes, 1);
    if (segmentFaulted(cpu, target)) return STATUS_FAULT;
    let n: u64 = 1;
    if (left > 1 && (access & ACCESS_SINGLE) == 0) {
      n = min(runLength(source, si, mask, bytes, left, down), runLength(target, di, mask, bytes, left, down));
      const inside =
        runInside(cpu, segment, si, bytes, n, down, 0) && runInside(cpu, SEG_ES, di, bytes, n, down, 1);
      if (!inside) n = 1;
    }
    if (n > 1) {
      const span = <i32>n * bytes;
      const back = down ? span - bytes : 0;
      const from = readableRun(cpu, source - back, span, segment, access);
      if (from == 0) return faultAt(cpu, source);
      let to = NOT_RAM;
      if (from != NOT_RAM) {
        to = writableRun(cpu, target - back, span, SEG_ES, access);
        if (to == 0) return faultAt(cpu, target);
      }
      if (to != NOT_RAM) {
        copyRun(from, to, bytes, <i32>n, down);
        work += span;
      } else {
        n = 1;
      }
    }
    if (n == 1) {
      const from = prepareRead(cpu, source, bytes, segment, access);
      if (from == 0) return STATUS_FAULT;
      const value = loadChunk(from, bytes);
      const to = prepareWrite(cpu, target, bytes, SEG_ES, access, false);
      if (to == 0) return STATUS_FAULT;
      storeChunk(to, bytes, value);
      finishWrite(cpu, to);
      work += WORK_SINGLE;
    }
    const distance = down ? -(<i64>n * bytes) : <i64>n * bytes;
    advance(cpu, REG_RSI, mask, distance);
    advance(cpu, REG_RDI, mask, distance);
    left -= n;
    if (rep != 0) setRegMasked(cpu, REG_RCX, left, mask);
  }
  return done(cpu, work);
}

/** The value in all elements of 8 bytes. */
function replicate(value: u64, bytes: i32): u64 {
  if (bytes == 1) value = (value & 0xff) * 0x0101010101010101;
  else if (bytes == 2) value = (value & 0xffff) * 0x0001000100010001;
  else if (bytes == 4) value = (value & 0xffffffff) * 0x0000000100000001;
  return value;
}

function fillRun(to: usize, bytes: i32, elements: i32, value: u64): void {
  const pattern = replicate(value, bytes);
  const span = <usize>(elements * bytes);
  if (pattern == replicate(value, 1)) {
    memory.fill(to, <u8>value, span);
    return;
  }
  const whole = span & ~7;
  for (let at: usize = 0; at < whole; at += 8) store<u64>(to + at, pattern);
  for (let at = whole; at < span; at += bytes) storeChunk(to + at, bytes, value);
}

export function stos(cpu: usize, bytes: i32, rep: i32, addressSize: i32, segment: i32): i32 {
  const mask = maskFor(cpu, addressSize);
  const down = goesDown(cpu);
  const access = ownAccess(cpu);
  const value = getReg(cpu, REG_RAX);
  let left = rep != 0 ? getReg(cpu, REG_RCX) & mask : 1;
  let work = 0;
  while (left != 0) {
    if (work >= WORK_LIMIT || trapped(cpu)) return again(cpu, work);
    const di = getReg(cpu, REG_RDI) & mask;
    const target = elementLinear(cpu, SEG_ES, di, bytes, 1);
    if (segmentFaulted(cpu, target)) return STATUS_FAULT;
    let n: u64 = 1;
    if (left > 1 && (access & ACCESS_SINGLE) == 0) {
      n = runLength(target, di, mask, bytes, left, down);
      if (!runInside(cpu, SEG_ES, di, bytes, n, down, 1)) n = 1;
    }
    if (n > 1) {
      const span = <i32>n * bytes;
      const to = writableRun(cpu, target - (down ? span - bytes : 0), span, SEG_ES, access);
      if (to == 0) return faultAt(cpu, target);
      if (to != NOT_RAM) {
        fillRun(to, bytes, <i32>n, value);
        work += span;
      } else {
        n = 1;
      }
    }
    if (n == 1) {
      const to = prepareWrite(cpu, target, bytes, SEG_ES, access, false);
      if (to == 0) return STATUS_FAULT;
      storeChunk(to, bytes, value);
      finishWrite(cpu, to);
      work += WORK_SINGLE;
    }
    advance(cpu, REG_RDI, mask, down ? -(<i64>n * bytes) : <i64>n * bytes);
    left -= n;
    if (rep != 0) setRegMasked(cpu, REG_RCX, left, mask);
  }
  return done(cpu, work);
}

/** Puts a loaded element into AL, AX, EAX or RAX. */
function setAccumulator(cpu: usize, bytes: i32, value: u64): void {
  if (bytes == 4) setReg(cpu, REG_RAX, value);
  else storeChunk(regAddress(cpu, REG_RAX), bytes, value);
}

export function lods(cpu: usize, bytes: i32, rep: i32, addressSize: i32, segment: i32): i32 {
  const mask = maskFor(cpu, addressSize);
  const access = ownAccess(cpu);
  const step: i64 = goesDown(cpu) ? -bytes : bytes;
  let left = rep != 0 ? getReg(cpu, REG_RCX) & mask : 1;
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
    if (rep != 0) setRegMasked(cpu, REG_RCX, left, mask);
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
  const down = goesDown(cpu);
  const access = ownAccess(cpu);
  const untilEqual = rep == REPEAT_WHILE_NOT_EQUAL;
  let left = rep != 0 ? getReg(cpu, REG_RCX) & mask : 1;
  let work = 0;
  while (left != 0) {
    if (work >= WORK_LIMIT || trapped(cpu)) return again(cpu, work);
    const si = getReg(cpu, REG_RSI) & mask;
    const di = getReg(cpu, REG_RDI) & mask;
    const source = elementLinear(cpu, segment, si, bytes, 0);
    if (segmentFaulted(cpu, source)) return STATUS_FAULT;
    const target = elementLinear(cpu, SEG_ES, di, bytes, 0);
    if (segmentFaulted(cpu, target)) return STATUS_FAULT;
    let n: u64 = 1;
    if (left > 1 && (access & ACCESS_SINGLE) == 0) {
      n = min(runLength(source, si, mask, bytes, left, down), runLength(target, di, mask, bytes, left, down));
      const inside =
        runInside(cpu, segment, si, bytes, n, down, 0) && runInside(cpu, SEG_ES, di, bytes, n, down, 0);
      if (!inside) n = 1;
    }
    const first = prepareRead(cpu, source, bytes, segment, access);
    if (first == 0) return STATUS_FAULT;
    let a = loadChunk(first, bytes);
    const firstIsRam = first != scratchAddress(cpu);
    const second = prepareRead(cpu, target, bytes, SEG_ES, access);
    if (second == 0) return STATUS_FAULT;
    let b = loadChunk(second, bytes);
    if (!firstIsRam || second == scratchAddress(cpu)) n = 1;

    // The first pair is at hand; the others of the run follow in RAM.
    let compared: u64 = 1;
    const step = down ? -bytes : bytes;
    let at = step;
    let stop = (a == b) == untilEqual;
    while (compared < n && !stop) {
      a = loadChunk(first + at, bytes);
      b = loadChunk(second + at, bytes);
      stop = (a == b) == untilEqual;
      at += step;
      compared++;
    }
    work += WORK_SINGLE + <i32>compared * WORK_COMPARE;
    const distance = <i64>compared * step;
    advance(cpu, REG_RSI, mask, distance);
    advance(cpu, REG_RDI, mask, distance);
    left -= compared;
    if (rep != 0) setRegMasked(cpu, REG_RCX, left, mask);
    // Now, as the next element may fault.
    setCompareFlags(cpu, a, b, bytes);
    if (rep == 0 || stop || left == 0) break;
  }
  return done(cpu, work);
}

export function scas(cpu: usize, bytes: i32, rep: i32, addressSize: i32, segment: i32): i32 {
  const mask = maskFor(cpu, addressSize);
  const down = goesDown(cpu);
  const access = ownAccess(cpu);
  const untilEqual = rep == REPEAT_WHILE_NOT_EQUAL;
  const a = loadChunk(regAddress(cpu, REG_RAX), bytes);
  let left = rep != 0 ? getReg(cpu, REG_RCX) & mask : 1;
  let work = 0;
  while (left != 0) {
    if (work >= WORK_LIMIT || trapped(cpu)) return again(cpu, work);
    const di = getReg(cpu, REG_RDI) & mask;
    const target = elementLinear(cpu, SEG_ES, di, bytes, 0);
    if (segmentFaulted(cpu, target)) return STATUS_FAULT;
    let n: u64 = 1;
    if (left > 1 && (access & ACCESS_SINGLE) == 0) {
      n = runLength(target, di, mask, bytes, left, down);
      if (!runInside(cpu, SEG_ES, di, bytes, n, down, 0)) n = 1;
    }
    const host = prepareRead(cpu, target, bytes, SEG_ES, access);
    if (host == 0) return STATUS_FAULT;
    if (host == scratchAddress(cpu)) n = 1;
    let b = loadChunk(host, bytes);
    let compared: u64 = 1;
    const step = down ? -bytes : bytes;
    let at = step;
    let stop = (a == b) == untilEqual;
    while (compared < n && !stop) {
      b = loadChunk(host + at, bytes);
      stop = (a == b) == untilEqual;
      at += step;
      compared++;
    }
    work += WORK_SINGLE + <i32>compared * WORK_COMPARE;
    advance(cpu, REG_RDI, mask, <i64>compared * step);
    left -= compared;
    if (rep != 0) setRegMasked(cpu, REG_RCX, left, mask);
    // Now, as the next element may fault.
    setCompareFlags(cpu, a, b, bytes);
    if (rep == 0 || stop || left == 0) break;
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
