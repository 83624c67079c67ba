/**
 * FXSAVE, FXRSTOR, XSAVE, XRSTOR and LDMXCSR (APM volume 2, 11.4.4 and 11.5). Components of XSAVE:
 * x87 (bit 0) and SSE (bit 1). The error pointers behave as on CPUs that report RstrFpErrPtrs (CPUID
 * Fn8000_0008_EBX[2], which belongs into the CPUID table): saved as zeros while no exception is pending
 * (SW.ES = 0), always restored.
 */
import { cr0, cr4, in64BitMode, raise } from './cpu';
import {
  CR0_EM,
  CR0_TS,
  CR4_OSFXSR,
  CR4_OSXSAVE,
  EXCEPTION_GP,
  EXCEPTION_NM,
  EXCEPTION_UD,
  REG_RAX,
  REG_RDX,
  STATUS_FAULT,
  STATUS_NEXT,
  VCPU_fpu,
  VCPU_fpuCodeOffset,
  VCPU_fpuCodeSelector,
  VCPU_fpuControl,
  VCPU_fpuDataOffset,
  VCPU_fpuDataSelector,
  VCPU_fpuOpcode,
  VCPU_fpuStatus,
  VCPU_fpuTag,
  VCPU_mxcsr,
  VCPU_regs,
  VCPU_xcr0,
  VCPU_xmm,
} from './generated/layout';
import { canRead, canWrite, hostForRead, hostForWrite, stored } from './x87memory';
import {
  controlWord,
  initialize,
  registerAt,
  seOf,
  setControl,
  sigOf,
  STATUS_ES,
  statusWord,
  tagsOf,
} from './x87state';

/** Writable bits of MXCSR: all but 16-31 (no misaligned SSE mode). */
// @ts-ignore: decorator
@inline const MXCSR_MASK: u32 = 0xffff;
// @ts-ignore: decorator
@inline const MXCSR_INIT: u32 = 0x1f80;
// @ts-ignore: decorator
@inline const CONTROL_INIT: u32 = 0x037f;
// @ts-ignore: decorator
@inline const COMPONENT_X87: u64 = 1;
// @ts-ignore: decorator
@inline const COMPONENT_SSE: u64 = 2;

/** Offsets in the legacy region (APM volume 2, figures 11-8 and 11-9) and in the header that follows it. */
// @ts-ignore: decorator
@inline const AREA_MXCSR: i32 = 24;
// @ts-ignore: decorator
@inline const AREA_ST: i32 = 32;
// @ts-ignore: decorator
@inline const AREA_XMM: i32 = 160;
// @ts-ignore: decorator
@inline const AREA_HEADER: i32 = 512;
// @ts-ignore: decorator
@inline const FXSAVE_BYTES: i32 = 416;
// @ts-ignore: decorator
@inline const XSAVE_BYTES: i32 = 576;

// @ts-ignore: decorator
@inline function xmmCount(cpu: i32): i32 {
  return in64BitMode(cpu) ? 16 : 8;
}

/** Opcode, instruction and data pointers: bytes 6-23. */
function savePointers(cpu: i32, host: i32, bytes: i32): void {
  if ((statusWord(cpu) & STATUS_ES) == 0) {
    store<u16>(host, 0, 6);
    store<u64>(host, 0, 8);
    store<u64>(host, 0, 16);
    return;
  }
  store<u16>(host, load<u16>(cpu, VCPU_fpuOpcode), 6);
  if (bytes == 8) {
    store<u64>(host, load<u64>(cpu, VCPU_fpuCodeOffset), 8);
    store<u64>(host, load<u64>(cpu, VCPU_fpuDataOffset), 16);
  } else {
    store<u32>(host, load<u32>(cpu, VCPU_fpuCodeOffset), 8);
    store<u32>(host, <u32>load<u16>(cpu, VCPU_fpuCodeSelector), 12);
    store<u32>(host, load<u32>(cpu, VCPU_fpuDataOffset), 16);
    store<u32>(host, <u32>load<u16>(cpu, VCPU_fpuDataSelector), 20);
  }
}

/** Bytes 0-23 and the eight registers of 16 bytes. */
function saveX87(cpu: i32, linear: i64, segment: i32, bytes: i32): bool {
  let host = hostForWrite(cpu, linear, 24, segment);
  if (host == 0) return false;
  store<u16>(host, load<u16>(cpu, VCPU_fpuControl));
  store<u16>(host, load<u16>(cpu, VCPU_fpuStatus), 2);
  store<u16>(host, <u16>load<u8>(cpu, VCPU_fpuTag), 4);
  savePointers(cpu, host, bytes);
  stored(cpu, host);
  for (let i: u32 = 0; i < 8; i++) {
    host = hostForWrite(cpu, linear + AREA_ST + (i << 4), 16, segment);
    if (host == 0) return false;
    store<u64>(host, sigOf(cpu, i));
    store<u64>(host, <u64>seOf(cpu, i), 8);
    stored(cpu, host);
  }
  return true;
}

function restoreX87(cpu: i32, linear: i64, segment: i32, bytes: i32): bool {
  let host = hostForRead(cpu, linear, 24, segment);
  if (host == 0) return false;
  store<u16>(cpu, load<u16>(host, 2), VCPU_fpuStatus);
  store<u8>(cpu, load<u8>(host, 4), VCPU_fpuTag);
  store<u16>(cpu, load<u16>(host, 6) & 0x7ff, VCPU_fpuOpcode);
  if (bytes == 8) {
    store<u64>(cpu, load<u64>(host, 8), VCPU_fpuCodeOffset);
    store<u64>(cpu, load<u64>(host, 16), VCPU_fpuDataOffset);
    store<u16>(cpu, 0, VCPU_fpuCodeSelector);
    store<u16>(cpu, 0, VCPU_fpuDataSelector);
  } else {
    store<u64>(cpu, <u64>load<u32>(host, 8), VCPU_fpuCodeOffset);
    store<u16>(cpu, load<u16>(host, 12), VCPU_fpuCodeSelector);
    store<u64>(cpu, <u64>load<u32>(host, 16), VCPU_fpuDataOffset);
    store<u16>(cpu, load<u16>(host, 20), VCPU_fpuDataSelector);
  }
  setControl(cpu, load<u16>(host));
  for (let i: u32 = 0; i < 8; i++) {
    host = hostForRead(cpu, linear + AREA_ST + (i << 4), 16, segment);
    if (host == 0) return false;
    const at = registerAt(cpu, i);
    store<u64>(at, load<u64>(host), VCPU_fpu);
    store<u64>(at, <u64>load<u16>(host, 8), VCPU_fpu + 8);
  }
  return true;
}

function saveMxcsr(cpu: i32, linear: i64, segment: i32): bool {
  const host = hostForWrite(cpu, linear + AREA_MXCSR, 8, segment);
  if (host == 0) return false;
  store<u32>(host, load<u32>(cpu, VCPU_mxcsr));
  store<u32>(host, MXCSR_MASK, 4);
  stored(cpu, host);
  return true;
}

function saveXmm(cpu: i32, linear: i64, segment: i32): bool {
  const count = xmmCount(cpu);
  for (let i = 0; i < count; i++) {
    const host = hostForWrite(cpu, linear + AREA_XMM + (i << 4), 16, segment);
    if (host == 0) return false;
    v128.store(host, v128.load(cpu + (i << 4), VCPU_xmm));
    stored(cpu, host);
  }
  return true;
}

function restoreXmm(cpu: i32, linear: i64, segment: i32): bool {
  const count = xmmCount(cpu);
  for (let i = 0; i < count; i++) {
    const host = hostForRead(cpu, linear + AREA_XMM + (i << 4), 16, segment);
    if (host == 0) return false;
    v128.store(cpu + (i << 4), v128.load(host), VCPU_xmm);
  }
  return true;
}

export function fxsave(cpu: i32, linear: i64, segment: i32, bytes: i32): i32 {
  if ((cr0(cpu) & (CR0_EM | CR0_TS)) != 0) return raise(cpu, EXCEPTION_NM, 0);
  if ((linear & 15) != 0) return raise(cpu, EXCEPTION_GP, 0);
  if (!canWrite(cpu, linear, FXSAVE_BYTES, segment)) return STATUS_FAULT;
  if (!saveX87(cpu, linear, segment, bytes)) return STATUS_FAULT;
  if (!saveMxcsr(cpu, linear, segment)) return STATUS_FAULT;
  if ((cr4(cpu) & CR4_OSFXSR) != 0 && !saveXmm(cpu, linear, segment)) return STATUS_FAULT;
  return STATUS_NEXT;
}

export function fxrstor(cpu: i32, linear: i64, segment: i32, bytes: i32): i32 {
  if ((cr0(cpu) & (CR0_EM | CR0_TS)) != 0) return raise(cpu, EXCEPTION_NM, 0);
  if ((linear & 15) != 0) return raise(cpu, EXCEPTION_GP, 0);
  if (!canRead(cpu, linear, FXSAVE_BYTES, segment)) return STATUS_FAULT;
  const host = hostForRead(cpu, linear + AREA_MXCSR, 4, segment);
  if (host == 0) return STATUS_FAULT;
  const mxcsr = load<u32>(host);
  if ((mxcsr & ~MXCSR_MASK) != 0) return raise(cpu, EXCEPTION_GP, 0);
  if (!restoreX87(cpu, linear, segment, bytes)) return STATUS_FAULT;
  store<u32>(cpu, mxcsr, VCPU_mxcsr);
  if ((cr4(cpu) & CR4_OSFXSR) != 0 && !restoreXmm(cpu, linear, segment)) return STATUS_FAULT;
  return STATUS_NEXT;
}

/** The requested components: EDX:EAX and XCR0. */
// @ts-ignore: decorator
@inline function requestedComponents(cpu: i32): u64 {
  const eax = <u64>load<u32>(cpu + (REG_RAX << 3), VCPU_regs);
  const edx = <u64>load<u32>(cpu + (REG_RDX << 3), VCPU_regs);
  return ((edx << 32) | eax) & load<u64>(cpu, VCPU_xcr0);
}

function checkXsave(cpu: i32, linear: i64): i32 {
  if ((cr4(cpu) & CR4_OSXSAVE) == 0) return raise(cpu, EXCEPTION_UD, 0);
  if ((cr0(cpu) & CR0_TS) != 0) return raise(cpu, EXCEPTION_NM, 0);
  if ((linear & 63) != 0) return raise(cpu, EXCEPTION_GP, 0);
  return STATUS_NEXT;
}

/** Which of the requested components differ from their initial state (XINUSE). */
function componentsInUse(cpu: i32): u64 {
  let inUse: u64 = 0;
  let registers = i64x2.splat(0);
  for (let i = 0; i < 8; i++) registers = v128.or(registers, v128.load(cpu + (i << 4), VCPU_fpu));
  const fresh = controlWord(cpu) == CONTROL_INIT && statusWord(cpu) == 0 && tagsOf(cpu) == 0;
  if (!fresh || v128.any_true(registers)) inUse |= COMPONENT_X87;
  let xmm = i64x2.splat(0);
  const count = xmmCount(cpu);
  for (let i = 0; i < count; i++) xmm = v128.or(xmm, v128.load(cpu + (i << 4), VCPU_xmm));
  if (load<u32>(cpu, VCPU_mxcsr) != MXCSR_INIT || v128.any_true(xmm)) inUse |= COMPONENT_SSE;
  return inUse;
}

/** XSAVE, standard format. Of the header only XSTATE_BV is written. */
export function xsave(cpu: i32, linear: i64, segment: i32, bytes: i32): i32 {
  const allowed = checkXsave(cpu, linear);
  if (allowed != STATUS_NEXT) return allowed;
  if (!canWrite(cpu, linear, XSAVE_BYTES, segment)) return STATUS_FAULT;
  const requested = requestedComponents(cpu);
  if ((requested & COMPONENT_X87) != 0 && !saveX87(cpu, linear, segment, bytes)) return STATUS_FAULT;
  if ((requested & COMPONENT_SSE) != 0) {
    if (!saveMxcsr(cpu, linear, segment)) return STATUS_FAULT;
    if (!saveXmm(cpu, linear, segment)) return STATUS_FAULT;
  }
  const from = hostForRead(cpu, linear + AREA_HEADER, 8, segment);
  if (from == 0) return STATUS_FAULT;
  const present = (load<u64>(from) & ~requested) | (componentsInUse(cpu) & requested);
  const host = hostForWrite(cpu, linear + AREA_HEADER, 8, segment);
  if (host == 0) return STATUS_FAULT;
  store<u64>(host, present);
  stored(cpu, host);
  return STATUS_NEXT;
}

/** XRSTOR from the standard format; a component that the header does not have gets its initial state. */
export function xrstor(cpu: i32, linear: i64, segment: i32, bytes: i32): i32 {
  const allowed = checkXsave(cpu, linear);
  if (allowed != STATUS_NEXT) return allowed;
  if (!canRead(cpu, linear, XSAVE_BYTES, segment)) return STATUS_FAULT;
  const header = hostForRead(cpu, linear + AREA_HEADER, 24, segment);
  if (header == 0) return STATUS_FAULT;
  const present = load<u64>(header);
  // XCOMP_BV (the compacted format is not offered) and the eight bytes behind it.
  const reserved = load<u64>(header, 8) | load<u64>(header, 16);
  if (reserved != 0 || (present & ~load<u64>(cpu, VCPU_xcr0)) != 0) return raise(cpu, EXCEPTION_GP, 0);
  const requested = requestedComponents(cpu);
  let mxcsr = load<u32>(cpu, VCPU_mxcsr);
  if ((requested & COMPONENT_SSE) != 0) {
    const host = hostForRead(cpu, linear + AREA_MXCSR, 4, segment);
    if (host == 0) return STATUS_FAULT;
    mxcsr = load<u32>(host);
    if ((mxcsr & ~MXCSR_MASK) != 0) return raise(cpu, EXCEPTION_GP, 0);
  }
  if ((requested & COMPONENT_X87) != 0) {
    if ((present & COMPONENT_X87) == 0) initializeX87(cpu);
    else if (!restoreX87(cpu, linear, segment, bytes)) return STATUS_FAULT;
  }
  if ((requested & COMPONENT_SSE) != 0) {
    store<u32>(cpu, mxcsr, VCPU_mxcsr);
    if ((present & COMPONENT_SSE) == 0) clearXmm(cpu);
    else if (!restoreXmm(cpu, linear, segment)) return STATUS_FAULT;
  }
  return STATUS_NEXT;
}

function initializeX87(cpu: i32): void {
  initialize(cpu);
  for (let i = 0; i < 8; i++) v128.store(cpu + (i << 4), i64x2.splat(0), VCPU_fpu);
}

function clearXmm(cpu: i32): void {
  const count = xmmCount(cpu);
  for (let i = 0; i < count; i++) v128.store(cpu + (i << 4), i64x2.splat(0), VCPU_xmm);
}

export function loadMxcsr(cpu: i32, linear: i64, segment: i32): i32 {
  if ((cr0(cpu) & CR0_EM) != 0 || (cr4(cpu) & CR4_OSFXSR) == 0) return raise(cpu, EXCEPTION_UD, 0);
  if ((cr0(cpu) & CR0_TS) != 0) return raise(cpu, EXCEPTION_NM, 0);
  const host = hostForRead(cpu, linear, 4, segment);
  if (host == 0) return STATUS_FAULT;
  const value = load<u32>(host);
  if ((value & ~MXCSR_MASK) != 0) return raise(cpu, EXCEPTION_GP, 0);
  store<u32>(cpu, value, VCPU_mxcsr);
  return STATUS_NEXT;
}
