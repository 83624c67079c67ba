/**
 * What string instructions do to a run of elements in RAM, by host address: many bytes at a time, and still as if
 * element by element. What is read before a write never depends on how many are taken at once.
 */
import { loadChunk, storeChunk } from './mmu';

/** From here on the built-in copy and fill are worth their call (4 ns in V8). */
// @ts-ignore: decorator
@inline const BULK: usize = 64;

/** Copies up to 64 bytes, or more that may be copied in any order: all is read before anything is written. */
function moveBytes(to: usize, from: usize, span: usize): void {
  if (span > BULK) {
    memory.copy(to, from, span);
  } else if (span > 32) {
    const a = v128.load(from);
    const b = v128.load(from, 16);
    const c = v128.load(from + span - 32);
    const d = v128.load(from + span - 16);
    v128.store(to, a);
    v128.store(to, b, 16);
    v128.store(to + span - 32, c);
    v128.store(to + span - 16, d);
  } else if (span >= 16) {
    const a = v128.load(from);
    const b = v128.load(from + span - 16);
    v128.store(to, a);
    v128.store(to + span - 16, b);
  } else if (span >= 8) {
    const a = load<u64>(from);
    const b = load<u64>(from + span - 8);
    store<u64>(to, a);
    store<u64>(to + span - 8, b);
  } else if (span >= 4) {
    const a = load<u32>(from);
    const b = load<u32>(from + span - 4);
    store<u32>(to, a);
    store<u32>(to + span - 4, b);
  } else if (span >= 2) {
    const a = load<u16>(from);
    const b = load<u8>(from + span - 1);
    store<u16>(to, a);
    store<u8>(to + span - 1, b);
  } else {
    store<u8>(to, load<u8>(from));
  }
}

/** Copies a run upwards as if element by element: a destination that overlaps ahead repeats the pattern. */
export function copyUp(to: usize, from: usize, bytes: i32, span: usize): void {
  const distance = to - from;
  // One below is far ahead, modulo 2^32.
  if (distance >= span || distance == 0) {
    moveBytes(to, from, span);
  } else if (distance == 1 && bytes == 1) {
    fillUp(to, 1, span, load<u8>(from));
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

/** The same for a run that goes down; `to` and `from` are its lowest addresses. */
export function copyDown(to: usize, from: usize, bytes: i32, span: usize): void {
  if (to >= from || to + span <= from) {
    memory.copy(to, from, span);
    return;
  }
  for (let at = span; at != 0; ) {
    at -= bytes;
    storeChunk(to + at, bytes, loadChunk(from + at, bytes));
  }
}

/** The value in all elements of 8 bytes. */
// @ts-ignore: decorator
@inline function replicate(value: u64, bytes: i32): u64 {
  if (bytes == 1) return (value & 0xff) * 0x0101010101010101;
  if (bytes == 2) return (value & 0xffff) * 0x0001000100010001;
  if (bytes == 4) return (value & 0xffffffff) * 0x0000000100000001;
  return value;
}

/** Fills a whole number of elements; the last 16, 8 or 4 bytes begin with one, too. */
export function fillUp(to: usize, bytes: i32, span: usize, value: u64): void {
  const pattern = replicate(value, bytes);
  if (span >= 16) {
    if (span > BULK && pattern == replicate(value, 1)) {
      memory.fill(to, <u8>value, span);
      return;
    }
    const wide = i64x2.splat(pattern);
    const end = to + span - 16;
    for (; to + 48 <= end; to += 64) {
      v128.store(to, wide);
      v128.store(to, wide, 16);
      v128.store(to, wide, 32);
      v128.store(to, wide, 48);
    }
    for (; to < end; to += 16) v128.store(to, wide);
    v128.store(end, wide);
  } else if (span >= 8) {
    store<u64>(to, pattern);
    store<u64>(to + span - 8, pattern);
  } else if (span >= 4) {
    store<u32>(to, <u32>pattern);
    store<u32>(to + span - 4, <u32>pattern);
  } else if (span >= 2) {
    store<u16>(to, <u16>pattern);
    if (span == 3) store<u8>(to, <u8>pattern, 2);
  } else {
    store<u8>(to, <u8>pattern);
  }
}

/** Bits of a mask with one bit per byte of a vector. */
// @ts-ignore: decorator
@inline const ALL_BYTES: i32 = 0xffff;

/**
 * How many bytes of `span` hold elements that surely do not stop a comparison which goes on while they are equal, or
 * while they differ. The caller looks at the next one itself: memory may change meanwhile.
 */
// @ts-ignore: decorator
@inline function pairsOf<T>(first: usize, second: usize, span: usize, untilEqual: bool): usize {
  const stop = untilEqual ? 0 : ALL_BYTES;
  let at: usize = 0;
  for (; at + 16 <= span; at += 16) {
    const stops = i8x16.bitmask(v128.eq<T>(v128.load(first + at), v128.load(second + at))) ^ stop;
    if (stops != 0) return at + ctz(stops);
  }
  return at;
}

// @ts-ignore: decorator
@inline function elementsOf<T>(from: usize, span: usize, pattern: u64, untilEqual: bool): usize {
  const stop = untilEqual ? 0 : ALL_BYTES;
  const wanted = i64x2.splat(pattern);
  let at: usize = 0;
  for (; at + 16 <= span; at += 16) {
    const stops = i8x16.bitmask(v128.eq<T>(v128.load(from + at), wanted)) ^ stop;
    if (stops != 0) return at + ctz(stops);
  }
  return at;
}

export function skipPairs(first: usize, second: usize, bytes: i32, span: usize, untilEqual: bool): usize {
  if (bytes == 1) return pairsOf<i8>(first, second, span, untilEqual);
  if (bytes == 2) return pairsOf<i16>(first, second, span, untilEqual);
  if (bytes == 4) return pairsOf<i32>(first, second, span, untilEqual);
  return pairsOf<i64>(first, second, span, untilEqual);
}

export function skipElements(
  from: usize,
  bytes: i32,
  span: usize,
  value: u64,
  untilEqual: bool,
): usize {
  const pattern = replicate(value, bytes);
  if (bytes == 1) return elementsOf<i8>(from, span, pattern, untilEqual);
  if (bytes == 2) return elementsOf<i16>(from, span, pattern, untilEqual);
  if (bytes == 4) return elementsOf<i32>(from, span, pattern, untilEqual);
  return elementsOf<i64>(from, span, pattern, untilEqual);
}
