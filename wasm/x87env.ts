/**
 * The x87 environment and state images of FNSTENV, FLDENV, FNSAVE and FRSTOR: 16- and 32-bit formats,
 * each with selectors (protected mode) or linear addresses (real and virtual-8086 mode): APM volume 2,
 * 11.4.4.
 */
import { inProtectedMode } from './cpu';
import { misaligned, ownAccess } from './mmu';
import {
  STATUS_FAULT,
  STATUS_NEXT,
  VCPU_fpu,
  VCPU_fpuCodeOffset,
  VCPU_fpuCodeSelector,
  VCPU_fpuDataOffset,
  VCPU_fpuDataSelector,
  VCPU_fpuOpcode,
  VCPU_fpuStatus,
  VCPU_fpuTag,
} from './generated/layout';
import { canRead, canWrite, partForRead, partForWrite, stored } from './x87memory';
import {
  controlWord,
  initialize,
  registerAt,
  seOf,
  setControl,
  setPointers,
  sigOf,
  statusWord,
  tagsOf,
} from './x87state';

// @ts-ignore: decorator
@inline const UPPER_ONES: u32 = 0xffff0000;

// @ts-ignore: decorator
@inline function environmentBytes(bytes: i32): i32 {
  return bytes == 2 ? 14 : 28;
}

/** The two-bit tags: 0 valid, 1 zero, 2 special, 3 empty, by physical register. */
function fullTags(cpu: i32): u32 {
  const tag = tagsOf(cpu);
  let tags: u32 = 0;
  for (let physical: u32 = 0; physical < 8; physical++) {
    let kind: u32;
    if (((tag >> physical) & 1) == 0) {
      kind = 3;
    } else {
      const at = cpu + <i32>(physical << 4);
      const exponent = load<u16>(at, VCPU_fpu + 8) & 0x7fff;
      const sig = load<u64>(at, VCPU_fpu);
      if (exponent == 0x7fff) kind = 2;
      else if (exponent == 0) kind = sig == 0 ? 1 : 2;
      else kind = sig >> 63 != 0 ? 0 : 2;
    }
    tags |= kind << (physical * 2);
  }
  return tags;
}

/** Images are aligned as the words that they consist of. */
// @ts-ignore: decorator
@inline function isMisaligned(cpu: i32, linear: i64, bytes: i32): bool {
  return misaligned(cpu, linear, bytes == 2 ? 2 : 4, ownAccess(cpu));
}

function writeEnvironment(cpu: i32, host: i32, bytes: i32): void {
  const control = controlWord(cpu);
  const status = statusWord(cpu);
  const tags = fullTags(cpu);
  const opcode: u32 = load<u16>(cpu, VCPU_fpuOpcode);
  let code = load<u32>(cpu, VCPU_fpuCodeOffset);
  let data = load<u32>(cpu, VCPU_fpuDataOffset);
  const cs: u32 = load<u16>(cpu, VCPU_fpuCodeSelector);
  const ds: u32 = load<u16>(cpu, VCPU_fpuDataSelector);
  const selectors = inProtectedMode(cpu);
  if (!selectors) {
    code += cs << 4;
    data += ds << 4;
  }
  if (bytes == 2) {
    store<u16>(host, control);
    store<u16>(host, status, 2);
    store<u16>(host, tags, 4);
    store<u16>(host, code, 6);
    store<u16>(host, selectors ? cs : ((code >> 4) & 0xf000) | opcode, 8);
    store<u16>(host, data, 10);
    store<u16>(host, selectors ? ds : (data >> 4) & 0xf000, 12);
    return;
  }
  store<u32>(host, control | UPPER_ONES);
  store<u32>(host, status | UPPER_ONES, 4);
  store<u32>(host, tags | UPPER_ONES, 8);
  if (selectors) {
    store<u32>(host, code, 12);
    store<u32>(host, cs | (opcode << 16), 16);
    store<u32>(host, data, 20);
    store<u32>(host, ds | UPPER_ONES, 24);
  } else {
    store<u32>(host, (code & 0xffff) | UPPER_ONES, 12);
    store<u32>(host, ((code >> 4) & 0x0ffff000) | opcode, 16);
    store<u32>(host, (data & 0xffff) | UPPER_ONES, 20);
    store<u32>(host, (data >> 4) & 0x0ffff000, 24);
  }
}

function readEnvironment(cpu: i32, host: i32, bytes: i32): void {
  const selectors = inProtectedMode(cpu);
  let control: u32;
  let status: u32;
  let tags: u32;
  if (bytes == 2) {
    control = load<u16>(host);
    status = load<u16>(host, 2);
    tags = load<u16>(host, 4);
    const code: u32 = load<u16>(host, 6);
    const second: u32 = load<u16>(host, 8);
    const data: u32 = load<u16>(host, 10);
    const last: u32 = load<u16>(host, 12);
    if (selectors) setPointers(cpu, 0, second, code, last, data);
    else setPointers(cpu, second, 0, code | ((second & 0xf000) << 4), 0, data | ((last & 0xf000) << 4));
  } else {
    control = load<u16>(host);
    status = load<u16>(host, 4);
    tags = load<u16>(host, 8);
    const code = load<u32>(host, 12);
    const second = load<u32>(host, 16);
    const data = load<u32>(host, 20);
    const last = load<u32>(host, 24);
    if (selectors) {
      setPointers(cpu, second >> 16, second & 0xffff, code, last & 0xffff, data);
    } else {
      const codeLinear = (code & 0xffff) | ((second & 0x0ffff000) << 4);
      setPointers(cpu, second, 0, codeLinear, 0, (data & 0xffff) | ((last & 0x0ffff000) << 4));
    }
  }
  let tag: u32 = 0;
  for (let physical: u32 = 0; physical < 8; physical++) {
    if (((tags >> (physical * 2)) & 3) != 3) tag |= 1 << physical;
  }
  store<u8>(cpu, tag, VCPU_fpuTag);
  store<u16>(cpu, status, VCPU_fpuStatus);
  setControl(cpu, control);
}

/** FNSTENV: afterwards all exceptions are masked. */
export function storeEnvironment(cpu: i32, linear: i64, segment: i32, bytes: i32): i32 {
  if (isMisaligned(cpu, linear, bytes)) return STATUS_FAULT;
  const host = partForWrite(cpu, linear, environmentBytes(bytes), segment);
  if (host == 0) return STATUS_FAULT;
  writeEnvironment(cpu, host, bytes);
  stored(cpu, host);
  setControl(cpu, controlWord(cpu) | 0x3f);
  return STATUS_NEXT;
}

/** FLDENV. */
export function loadEnvironment(cpu: i32, linear: i64, segment: i32, bytes: i32): i32 {
  if (isMisaligned(cpu, linear, bytes)) return STATUS_FAULT;
  const host = partForRead(cpu, linear, environmentBytes(bytes), segment);
  if (host == 0) return STATUS_FAULT;
  readEnvironment(cpu, host, bytes);
  return STATUS_NEXT;
}

/** FNSAVE: the environment, ST(0) to ST(7), then FNINIT. */
export function saveState(cpu: i32, linear: i64, segment: i32, bytes: i32): i32 {
  if (isMisaligned(cpu, linear, bytes)) return STATUS_FAULT;
  const head = environmentBytes(bytes);
  if (!canWrite(cpu, linear, head + 80, segment)) return STATUS_FAULT;
  let host = partForWrite(cpu, linear, head, segment);
  if (host == 0) return STATUS_FAULT;
  writeEnvironment(cpu, host, bytes);
  stored(cpu, host);
  for (let i: u32 = 0; i < 8; i++) {
    host = partForWrite(cpu, linear + head + i * 10, 10, segment);
    if (host == 0) return STATUS_FAULT;
    store<u64>(host, sigOf(cpu, i));
    store<u16>(host, seOf(cpu, i), 8);
    stored(cpu, host);
  }
  initialize(cpu);
  return STATUS_NEXT;
}

/** FRSTOR. */
export function restoreState(cpu: i32, linear: i64, segment: i32, bytes: i32): i32 {
  if (isMisaligned(cpu, linear, bytes)) return STATUS_FAULT;
  const head = environmentBytes(bytes);
  if (!canRead(cpu, linear, head + 80, segment)) return STATUS_FAULT;
  let host = partForRead(cpu, linear, head, segment);
  if (host == 0) return STATUS_FAULT;
  readEnvironment(cpu, host, bytes);
  for (let i: u32 = 0; i < 8; i++) {
    host = partForRead(cpu, linear + head + i * 10, 10, segment);
    if (host == 0) return STATUS_FAULT;
    const at = registerAt(cpu, i);
    store<u64>(at, load<u64>(host), VCPU_fpu);
    store<u64>(at, load<u16>(host, 8), VCPU_fpu + 8);
  }
  return STATUS_NEXT;
}
