/**
 * Hardware breakpoints: AMD64 APM vol. 2, 13.1. While any on code or data is enabled, blocks are single instructions
 * (MODE_DEBUG) and the TLB has no tags for the pages concerned, so that each access there passes one of these functions; while
 * none is, nothing here is called.
 */
import {
  CR4_DE,
  EXCEPTION_DB,
  SEG_CS,
  SHADOW_STACK,
  VCPU_breakpointsCode,
  VCPU_breakpointsData,
  VCPU_breakpointsIo,
  VCPU_debugPending,
  VCPU_debugResume,
  VCPU_dr,
  VCPU_linearMask,
  VCPU_rip,
  VCPU_shadow,
} from './generated/layout';
import { cr4, raise, segEffective, yieldToRunLoop } from './cpu';

// DR7.R/Wn.
// @ts-ignore: decorator
@inline const ON_EXECUTION: u32 = 0;
// @ts-ignore: decorator
@inline const ON_WRITE: u32 = 1;
// @ts-ignore: decorator
@inline const ON_IO: u32 = 2;

// @ts-ignore: decorator
@inline export function debugControl(cpu: usize): u32 {
  return load<u32>(cpu, VCPU_dr + 7 * 8);
}

// @ts-ignore: decorator
@inline function condition(control: u32, n: u32): u32 {
  return (control >> (16 + n * 4)) & 3;
}

/** LENn 0 to 3: 1, 2, 8 and 4 bytes. */
// @ts-ignore: decorator
@inline function lengthOf(control: u32, n: u32): u64 {
  const code = (control >> (18 + n * 4)) & 3;
  return code == 2 ? 8 : code + 1;
}

// @ts-ignore: decorator
@inline function addressOf(cpu: usize, n: u32): u64 {
  return load<u64>(cpu + (<usize>n << 3), VCPU_dr);
}

/** Sorts the enabled breakpoints by what they watch; true if code or data were or are watched. */
export function sortBreakpoints(cpu: usize): bool {
  const control = debugControl(cpu);
  const before = load<u32>(cpu, VCPU_breakpointsCode) | load<u32>(cpu, VCPU_breakpointsData);
  let code: u32 = 0;
  let data: u32 = 0;
  let io: u32 = 0;
  for (let n: u32 = 0; n < 4; n++) {
    if (((control >> (n * 2)) & 3) == 0) continue;
    const kind = condition(control, n);
    if (kind == ON_EXECUTION) code |= 1 << n;
    else if (kind != ON_IO) data |= 1 << n;
    else if ((cr4(cpu) & CR4_DE) != 0) io |= 1 << n;
  }
  store<u32>(cpu, code, VCPU_breakpointsCode);
  store<u32>(cpu, data, VCPU_breakpointsData);
  store<u32>(cpu, io, VCPU_breakpointsIo);
  return (before | code | data) != 0;
}

/** Whether a breakpoint of `set` is in the page of `linear`. */
export function isWatchedPage(cpu: usize, set: u32, linear: u64): bool {
  for (let n: u32 = 0; n < 4; n++) {
    if (((set >> n) & 1) != 0 && ((addressOf(cpu, n) ^ linear) & ~4095) == 0) return true;
  }
  return false;
}

/** The breakpoints of `set` whose bytes overlap with `size` bytes from `at`. */
function hits(cpu: usize, set: u32, at: u64, size: i32, write: bool): u32 {
  const control = debugControl(cpu);
  let found: u32 = 0;
  for (let n: u32 = 0; n < 4; n++) {
    if (((set >> n) & 1) == 0) continue;
    const length = lengthOf(control, n);
    const from = addressOf(cpu, n) & ~(length - 1);
    if (from >= at + size || at >= from + length) continue;
    if (condition(control, n) == ON_WRITE && !write) continue;
    found |= 1 << n;
  }
  return found;
}

/** A trap: it follows the instruction, which thus must be the last one of its stay. */
function trap(cpu: usize, found: u32): void {
  if (found == 0) return;
  store<u32>(cpu, load<u32>(cpu, VCPU_debugPending) | found, VCPU_debugPending);
  // Of an earlier instruction; a load of SS sets it again after its access.
  store<u32>(cpu, 0, VCPU_shadow);
  yieldToRunLoop(cpu);
}

/** An access to data that will not fault any more. */
export function watchData(cpu: usize, linear: u64, size: i32, write: bool): void {
  trap(cpu, hits(cpu, load<u32>(cpu, VCPU_breakpointsData), linear, size, write));
}

/** An access to ports, CR4.DE being set. */
export function watchPort(cpu: usize, port: i32, bytes: i32): void {
  trap(cpu, hits(cpu, load<u32>(cpu, VCPU_breakpointsIo), <u64>port, bytes, true));
}

/**
 * Before an instruction is fetched: false with #DB raised where it has a breakpoint, unless RF lets it pass. `linear` may also be
 * where the second page of an instruction starts.
 */
export function mayFetch(cpu: usize, linear: u64): bool {
  if (load<u32>(cpu, VCPU_debugResume) != 0) {
    store<u32>(cpu, 0, VCPU_debugResume);
    return true;
  }
  const rip = (load<u64>(cpu, VCPU_rip) + segEffective(cpu, SEG_CS)) & load<u64>(cpu, VCPU_linearMask);
  if (rip != linear) return true;
  const found = hits(cpu, load<u32>(cpu, VCPU_breakpointsCode), linear, 1, true);
  if (found == 0) return true;
  store<u32>(cpu, load<u32>(cpu, VCPU_dr + 6 * 8) | found, VCPU_dr + 6 * 8);
  raise(cpu, EXCEPTION_DB, 0);
  return false;
}
