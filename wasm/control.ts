/** System registers and the instructions that only privileged code may use: AMD64 APM vol. 2, chapter 3. */
import {
  CR0_AM,
  CR0_CD,
  CR0_EM,
  CR0_ET,
  CR0_MP,
  CR0_NE,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR0_TS,
  CR0_WP,
  CR4_DE,
  CR4_OSFXSR,
  CR4_OSXSAVE,
  CR4_PAE,
  CR4_PCE,
  CR4_PGE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  CR4_TSD,
  DR6_BD,
  DR7_GD,
  EFER_LMA,
  EFER_LME,
  EFER_NXE,
  EXCEPTION_DB,
  EXCEPTION_GP,
  EXCEPTION_MF,
  EXCEPTION_NM,
  EXCEPTION_UD,
  EXIT_HLT,
  REG_RAX,
  REG_RCX,
  REG_RDX,
  SEG_CS,
  SEG_FS,
  SEG_GS,
  SEG_TR,
  STATUS_BRANCH,
  STATUS_EXIT,
  STATUS_FAULT,
  STATUS_NEXT,
  VCPU_cr0,
  VCPU_cr2,
  VCPU_cr3,
  VCPU_cr4,
  VCPU_cr4Allowed,
  VCPU_cstar,
  VCPU_dr,
  VCPU_efer,
  VCPU_eferAllowed,
  VCPU_exitReason,
  VCPU_fpuStatus,
  VCPU_halted,
  VCPU_kernelGsBase,
  VCPU_linearMask,
  VCPU_lstar,
  VCPU_pat,
  VCPU_scratch,
  VCPU_rip,
  VCPU_segEffective,
  VCPU_sfmask,
  VCPU_star,
  VCPU_sysenterCs,
  VCPU_sysenterEip,
  VCPU_sysenterEsp,
  VCPU_tscAux,
  VCPU_xcr0,
} from './generated/layout';
import { sortBreakpoints } from './breakpoints';
import {
  cpl,
  cr0,
  cr4,
  efer,
  getReg,
  inLongMode,
  inProtectedMode,
  isCanonical,
  raise,
  segAttr,
  segBase,
  segEffective,
  setReg,
  setSegBase,
  yieldIfAttention,
} from './cpu';
import { ATTR_L, TYPE_TSS16 } from './descriptor';
import { hostCpuid, hostRandom, readMsr, setTaskPriority, taskPriority, writeMsr } from './host';
import { timeStamp } from './time-stamp';
import { updateMode } from './mode';
import { pdpteReservedBits, PHYSICAL_RESERVED } from './paging';
import { flushPage, flushTlb, knowsCode } from './tlb';

// @ts-ignore: decorator
@inline const CR0_IMPLEMENTED: u32 =
  CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG;
/** Bits of CR4 on which the meaning of a TLB entry depends. */
// @ts-ignore: decorator
@inline const CR4_TRANSLATION: u32 = CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP | CR4_SMAP;

// Model-specific registers that live in the vCPU block: APM vol. 2, appendix A.
// @ts-ignore: decorator
@inline const MSR_SYSENTER_CS: u32 = 0x174;
// @ts-ignore: decorator
@inline const MSR_SYSENTER_ESP: u32 = 0x175;
// @ts-ignore: decorator
@inline const MSR_SYSENTER_EIP: u32 = 0x176;
// @ts-ignore: decorator
@inline const MSR_PAT: u32 = 0x277;
// @ts-ignore: decorator
@inline const MSR_EFER: u32 = 0xc0000080;
// @ts-ignore: decorator
@inline const MSR_STAR: u32 = 0xc0000081;
// @ts-ignore: decorator
@inline const MSR_LSTAR: u32 = 0xc0000082;
// @ts-ignore: decorator
@inline const MSR_CSTAR: u32 = 0xc0000083;
// @ts-ignore: decorator
@inline const MSR_SFMASK: u32 = 0xc0000084;
// @ts-ignore: decorator
@inline const MSR_FS_BASE: u32 = 0xc0000100;
// @ts-ignore: decorator
@inline const MSR_GS_BASE: u32 = 0xc0000101;
// @ts-ignore: decorator
@inline const MSR_KERNEL_GS_BASE: u32 = 0xc0000102;
// @ts-ignore: decorator
@inline const MSR_TSC: u32 = 0x10;
// @ts-ignore: decorator
@inline const MSR_TSC_AUX: u32 = 0xc0000103;

/** XCR0 bits that exist: x87 and SSE. */
// @ts-ignore: decorator
@inline const XCR0_IMPLEMENTED: u64 = 3;

/** WBINVD, INVD: caches do not exist here, privilege does. */
export function checkCpl0(cpu: usize): i32 {
  return cpl(cpu) == 0 ? STATUS_NEXT : raise(cpu, EXCEPTION_GP, 0);
}

/** CR0: APM vol. 2, 3.1.1; long mode is entered and left with PG: 14.6. */
function writeCr0(cpu: usize, value: u64): i32 {
  if ((value >> 32) != 0) return raise(cpu, EXCEPTION_GP, 0);
  const old = cr0(cpu);
  const next = (<u32>value & CR0_IMPLEMENTED) | CR0_ET;
  if ((next & (CR0_PG | CR0_PE)) == CR0_PG) return raise(cpu, EXCEPTION_GP, 0);
  if ((next & (CR0_NW | CR0_CD)) == CR0_NW) return raise(cpu, EXCEPTION_GP, 0);
  let mode = efer(cpu);
  if ((next & ~old & CR0_PG) != 0) {
    if ((mode & EFER_LME) != 0) {
      const code64 = (segAttr(cpu, SEG_CS) & ATTR_L) != 0;
      const tss16 = (segAttr(cpu, SEG_TR) & 0xd) == TYPE_TSS16;
      if ((cr4(cpu) & CR4_PAE) == 0 || code64 || tss16) return raise(cpu, EXCEPTION_GP, 0);
      mode |= EFER_LMA;
    } else if ((cr4(cpu) & CR4_PAE) != 0 && pdpteReservedBits(cpu, load<u64>(cpu, VCPU_cr3))) {
      return raise(cpu, EXCEPTION_GP, 0);
    }
  } else if ((old & ~next & CR0_PG) != 0) {
    const code64 = (mode & EFER_LMA) != 0 && (segAttr(cpu, SEG_CS) & ATTR_L) != 0;
    if (code64) return raise(cpu, EXCEPTION_GP, 0);
    mode &= ~EFER_LMA;
  }
  store<u32>(cpu, next, VCPU_cr0);
  store<u32>(cpu, mode, VCPU_efer);
  if (((old ^ next) & (CR0_PG | CR0_WP | CR0_PE)) != 0) flushTlb(cpu, 0);
  updateMode(cpu);
  return STATUS_BRANCH;
}

/** CR3: APM vol. 2, 5.5.2. */
function writeCr3(cpu: usize, value: u64): i32 {
  if (inLongMode(cpu)) {
    if ((value & (PHYSICAL_RESERVED | 0xfff0000000000000)) != 0) return raise(cpu, EXCEPTION_GP, 0);
  } else {
    value &= 0xffffffff;
    const pae = (cr0(cpu) & CR0_PG) != 0 && (cr4(cpu) & CR4_PAE) != 0;
    if (pae && pdpteReservedBits(cpu, value)) return raise(cpu, EXCEPTION_GP, 0);
  }
  store<u64>(cpu, value, VCPU_cr3);
  flushTlb(cpu, (cr4(cpu) & CR4_PGE) != 0 ? 1 : 0);
  return STATUS_BRANCH;
}

/** CR4: APM vol. 2, 3.1.3. */
function writeCr4(cpu: usize, value: u64): i32 {
  if ((value & ~(<u64>load<u32>(cpu, VCPU_cr4Allowed))) != 0) return raise(cpu, EXCEPTION_GP, 0);
  const old = cr4(cpu);
  const next = <u32>value;
  if (inLongMode(cpu)) {
    if ((next & CR4_PAE) == 0) return raise(cpu, EXCEPTION_GP, 0);
  } else {
    const pae = (cr0(cpu) & CR0_PG) != 0 && (next & ~old & CR4_PAE) != 0;
    if (pae && pdpteReservedBits(cpu, load<u64>(cpu, VCPU_cr3))) return raise(cpu, EXCEPTION_GP, 0);
  }
  store<u32>(cpu, next, VCPU_cr4);
  if (((old ^ next) & CR4_TRANSLATION) != 0) flushTlb(cpu, 0);
  if (((old ^ next) & CR4_DE) != 0) sortBreakpoints(cpu);
  updateMode(cpu);
  return STATUS_BRANCH;
}

/** MOV to CRn, CLTS and LMSW. */
export function writeControl(cpu: usize, number: i32, value: u64): i32 {
  if (cpl(cpu) != 0) return raise(cpu, EXCEPTION_GP, 0);
  switch (number) {
    case 0:
      return writeCr0(cpu, value);
    case 2:
      store<u64>(cpu, value, VCPU_cr2);
      return STATUS_NEXT;
    case 3:
      return writeCr3(cpu, value);
    case 4:
      return writeCr4(cpu, value);
    case 8:
      if (value > 15) return raise(cpu, EXCEPTION_GP, 0);
      setTaskPriority(cpu, <i32>value);
      return yieldIfAttention(cpu) ? STATUS_BRANCH : STATUS_NEXT;
    default:
      return raise(cpu, EXCEPTION_UD, 0);
  }
}

export function readControl(cpu: usize, number: i32): u64 {
  if (cpl(cpu) != 0) {
    raise(cpu, EXCEPTION_GP, 0);
    return 0;
  }
  switch (number) {
    case 0:
      return load<u64>(cpu, VCPU_cr0);
    case 2:
      return load<u64>(cpu, VCPU_cr2);
    case 3:
      return load<u64>(cpu, VCPU_cr3);
    case 4:
      return load<u64>(cpu, VCPU_cr4);
    case 8:
      return taskPriority(cpu);
    default:
      raise(cpu, EXCEPTION_UD, 0);
      return 0;
  }
}

/**
 * The register that a debug register number stands for, or -1 with an exception raised: DR4 and DR5
 * name DR6 and DR7 unless CR4.DE is set, and DR7.GD guards them all (APM vol. 2, 13.1.1).
 */
function debugRegister(cpu: usize, number: i32): i32 {
  if ((number == 4 || number == 5) && (cr4(cpu) & CR4_DE) != 0) {
    raise(cpu, EXCEPTION_UD, 0);
    return -1;
  }
  if (number > 7) {
    raise(cpu, EXCEPTION_UD, 0);
    return -1;
  }
  if (cpl(cpu) != 0) {
    raise(cpu, EXCEPTION_GP, 0);
    return -1;
  }
  const control = load<u64>(cpu, VCPU_dr + 7 * 8);
  if ((control & DR7_GD) != 0) {
    store<u64>(cpu, control & ~(<u64>DR7_GD), VCPU_dr + 7 * 8);
    store<u64>(cpu, load<u64>(cpu, VCPU_dr + 6 * 8) | DR6_BD, VCPU_dr + 6 * 8);
    raise(cpu, EXCEPTION_DB, 0);
    return -1;
  }
  return number == 4 || number == 5 ? number + 2 : number;
}

/** After a change of DR0-DR3, DR7 or CR4.DE. True if blocks and translations of before must not be used any more. */
export function updateBreakpoints(cpu: usize): bool {
  if (!sortBreakpoints(cpu)) return false;
  flushTlb(cpu, 0);
  updateMode(cpu);
  return true;
}

export function writeDebug(cpu: usize, number: i32, value: u64): i32 {
  const register = debugRegister(cpu, number);
  if (register < 0) return STATUS_FAULT;
  if (register >= 6 && (value >> 32) != 0) return raise(cpu, EXCEPTION_GP, 0);
  if (register == 6) value = (value & 0xe00f) | 0xffff0ff0;
  else if (register == 7) value = (value & 0xffff2bff) | 0x400;
  store<u64>(cpu + (<usize>register << 3), value, VCPU_dr);
  return register != 6 && updateBreakpoints(cpu) ? STATUS_BRANCH : STATUS_NEXT;
}

export function readDebug(cpu: usize, number: i32): u64 {
  const register = debugRegister(cpu, number);
  return register < 0 ? 0 : load<u64>(cpu + (<usize>register << 3), VCPU_dr);
}

export function invlpg(cpu: usize, linear: u64): i32 {
  if (cpl(cpu) != 0) return raise(cpu, EXCEPTION_GP, 0);
  flushPage(cpu, linear);
  // Was it the page, or the large page, of the code that runs? Then it goes on wherever that is now.
  const rip = (load<u64>(cpu, VCPU_rip) + segEffective(cpu, SEG_CS)) & load<u64>(cpu, VCPU_linearMask);
  return knowsCode(cpu, rip) ? STATUS_NEXT : STATUS_BRANCH;
}

export function hlt(cpu: usize): i32 {
  if (cpl(cpu) != 0) return raise(cpu, EXCEPTION_GP, 0);
  store<u32>(cpu, 1, VCPU_halted);
  store<u32>(cpu, EXIT_HLT, VCPU_exitReason);
  return STATUS_EXIT;
}

export function cpuid(cpu: usize): i32 {
  hostCpuid(cpu);
  return STATUS_NEXT;
}

function setEdxEax(cpu: usize, value: u64): i32 {
  setReg(cpu, REG_RAX, value & 0xffffffff);
  setReg(cpu, REG_RDX, value >> 32);
  return STATUS_NEXT;
}

// @ts-ignore: decorator
@inline function edxEax(cpu: usize): u64 {
  return (getReg(cpu, REG_RDX) << 32) | (getReg(cpu, REG_RAX) & 0xffffffff);
}

export function rdmsr(cpu: usize): i32 {
  if (cpl(cpu) != 0) return raise(cpu, EXCEPTION_GP, 0);
  switch (<u32>getReg(cpu, REG_RCX)) {
    case MSR_SYSENTER_CS:
      return setEdxEax(cpu, load<u64>(cpu, VCPU_sysenterCs));
    case MSR_SYSENTER_ESP:
      return setEdxEax(cpu, load<u64>(cpu, VCPU_sysenterEsp));
    case MSR_SYSENTER_EIP:
      return setEdxEax(cpu, load<u64>(cpu, VCPU_sysenterEip));
    case MSR_PAT:
      return setEdxEax(cpu, load<u64>(cpu, VCPU_pat));
    case MSR_EFER:
      return setEdxEax(cpu, load<u64>(cpu, VCPU_efer));
    case MSR_STAR:
      return setEdxEax(cpu, load<u64>(cpu, VCPU_star));
    case MSR_LSTAR:
      return setEdxEax(cpu, load<u64>(cpu, VCPU_lstar));
    case MSR_CSTAR:
      return setEdxEax(cpu, load<u64>(cpu, VCPU_cstar));
    case MSR_SFMASK:
      return setEdxEax(cpu, load<u64>(cpu, VCPU_sfmask));
    case MSR_FS_BASE:
      return setEdxEax(cpu, segBase(cpu, SEG_FS));
    case MSR_GS_BASE:
      return setEdxEax(cpu, segBase(cpu, SEG_GS));
    case MSR_KERNEL_GS_BASE:
      return setEdxEax(cpu, load<u64>(cpu, VCPU_kernelGsBase));
    case MSR_TSC:
      return setEdxEax(cpu, timeStamp(cpu));
    case MSR_TSC_AUX:
      return setEdxEax(cpu, load<u64>(cpu, VCPU_tscAux));
    default:
      return readMsr(cpu) == 0 ? STATUS_NEXT : raise(cpu, EXCEPTION_GP, 0);
  }
}

/** EFER: APM vol. 2, 3.1.7; LMA follows CR0.PG and ignores writes. */
function writeEfer(cpu: usize, value: u64): i32 {
  if ((value & ~(<u64>load<u32>(cpu, VCPU_eferAllowed))) != 0) return raise(cpu, EXCEPTION_GP, 0);
  const old = efer(cpu);
  const next = (<u32>value & ~EFER_LMA) | (old & EFER_LMA);
  if (((old ^ next) & EFER_LME) != 0 && (cr0(cpu) & CR0_PG) != 0) return raise(cpu, EXCEPTION_GP, 0);
  store<u32>(cpu, next, VCPU_efer);
  if (((old ^ next) & EFER_NXE) != 0) flushTlb(cpu, 0);
  updateMode(cpu);
  return STATUS_BRANCH;
}

/** A register that holds a linear address. */
function writeAddressMsr(cpu: usize, at: usize, value: u64): i32 {
  if (!isCanonical(value)) return raise(cpu, EXCEPTION_GP, 0);
  store<u64>(cpu + at, value);
  return STATUS_NEXT;
}

function writeBaseMsr(cpu: usize, segment: i32, value: u64): i32 {
  if (!isCanonical(value)) return raise(cpu, EXCEPTION_GP, 0);
  setSegBase(cpu, segment, value);
  store<u64>(cpu + (<usize>segment << 3), value, VCPU_segEffective);
  return STATUS_NEXT;
}

/** Memory types 0, 1, 4, 5, 6 and 7 in each byte: APM vol. 2, 7.8.1. */
function writePat(cpu: usize, value: u64): i32 {
  for (let shift: u64 = 0; shift < 64; shift += 8) {
    const type = (value >> shift) & 0xff;
    if (type > 7 || type == 2 || type == 3) return raise(cpu, EXCEPTION_GP, 0);
  }
  store<u64>(cpu, value, VCPU_pat);
  return STATUS_NEXT;
}

export function wrmsr(cpu: usize): i32 {
  if (cpl(cpu) != 0) return raise(cpu, EXCEPTION_GP, 0);
  const value = edxEax(cpu);
  switch (<u32>getReg(cpu, REG_RCX)) {
    case MSR_SYSENTER_CS:
      store<u64>(cpu, value & 0xffffffff, VCPU_sysenterCs);
      return STATUS_NEXT;
    case MSR_SYSENTER_ESP:
      return writeAddressMsr(cpu, VCPU_sysenterEsp, value);
    case MSR_SYSENTER_EIP:
      return writeAddressMsr(cpu, VCPU_sysenterEip, value);
    case MSR_PAT:
      return writePat(cpu, value);
    case MSR_EFER:
      return writeEfer(cpu, value);
    case MSR_STAR:
      store<u64>(cpu, value, VCPU_star);
      return STATUS_NEXT;
    case MSR_LSTAR:
      return writeAddressMsr(cpu, VCPU_lstar, value);
    case MSR_CSTAR:
      return writeAddressMsr(cpu, VCPU_cstar, value);
    case MSR_SFMASK:
      store<u64>(cpu, value & 0xffffffff, VCPU_sfmask);
      return STATUS_NEXT;
    case MSR_FS_BASE:
      return writeBaseMsr(cpu, SEG_FS, value);
    case MSR_GS_BASE:
      return writeBaseMsr(cpu, SEG_GS, value);
    case MSR_KERNEL_GS_BASE:
      return writeAddressMsr(cpu, VCPU_kernelGsBase, value);
    case MSR_TSC_AUX:
      if ((value >> 32) != 0) return raise(cpu, EXCEPTION_GP, 0);
      store<u64>(cpu, value, VCPU_tscAux);
      return STATUS_NEXT;
    default:
      if (writeMsr(cpu) != 0) return raise(cpu, EXCEPTION_GP, 0);
      // An end of interrupt, an interrupt to oneself or a deadline in the past.
      return yieldIfAttention(cpu) ? STATUS_BRANCH : STATUS_NEXT;
  }
}

// @ts-ignore: decorator
@inline function tscAllowed(cpu: usize): bool {
  return (cr4(cpu) & CR4_TSD) == 0 || cpl(cpu) == 0;
}

export function rdtsc(cpu: usize): i32 {
  if (!tscAllowed(cpu)) return raise(cpu, EXCEPTION_GP, 0);
  return setEdxEax(cpu, timeStamp(cpu));
}

export function rdtscp(cpu: usize): i32 {
  if (!tscAllowed(cpu)) return raise(cpu, EXCEPTION_GP, 0);
  setReg(cpu, REG_RCX, load<u64>(cpu, VCPU_tscAux) & 0xffffffff);
  return setEdxEax(cpu, timeStamp(cpu));
}

/** RDRAND, RDSEED. */
export function random(cpu: usize): u64 {
  hostRandom(cpu);
  return load<u64>(cpu, VCPU_scratch);
}

/** Four counters, none of which can be made to count: APM vol. 3, RDPMC. */
export function rdpmc(cpu: usize): i32 {
  if ((cr4(cpu) & CR4_PCE) == 0 && cpl(cpu) != 0) return raise(cpu, EXCEPTION_GP, 0);
  if (<u32>getReg(cpu, REG_RCX) > 3) return raise(cpu, EXCEPTION_GP, 0);
  return setEdxEax(cpu, 0);
}

export function xgetbv(cpu: usize): i32 {
  if ((cr4(cpu) & CR4_OSXSAVE) == 0) return raise(cpu, EXCEPTION_UD, 0);
  if (<u32>getReg(cpu, REG_RCX) != 0) return raise(cpu, EXCEPTION_GP, 0);
  return setEdxEax(cpu, load<u64>(cpu, VCPU_xcr0));
}

/** XSETBV: APM vol. 2, 11.5.2. */
export function xsetbv(cpu: usize): i32 {
  if ((cr4(cpu) & CR4_OSXSAVE) == 0) return raise(cpu, EXCEPTION_UD, 0);
  const value = edxEax(cpu);
  const valid = (value & ~XCR0_IMPLEMENTED) == 0 && (value & 1) != 0;
  if (cpl(cpu) != 0 || <u32>getReg(cpu, REG_RCX) != 0 || !valid) return raise(cpu, EXCEPTION_GP, 0);
  store<u64>(cpu, value, VCPU_xcr0);
  return STATUS_NEXT;
}

/** Whether FPU (0), MMX (1) or SSE (2) instructions may run: APM vol. 2, 11.3 and table 11-1. */
export function checkFpu(cpu: usize, kind: i32): i32 {
  const control = cr0(cpu);
  if (kind == 0) {
    return (control & (CR0_EM | CR0_TS)) != 0 ? raise(cpu, EXCEPTION_NM, 0) : STATUS_NEXT;
  }
  if ((control & CR0_EM) != 0) return raise(cpu, EXCEPTION_UD, 0);
  if (kind == 2 && (cr4(cpu) & CR4_OSFXSR) == 0) return raise(cpu, EXCEPTION_UD, 0);
  if ((control & CR0_TS) != 0) return raise(cpu, EXCEPTION_NM, 0);
  // Status bit ES: an unmasked x87 exception waits, which MMX instructions report.
  if (kind == 1 && (load<u16>(cpu, VCPU_fpuStatus) & 0x80) != 0) return raise(cpu, EXCEPTION_MF, 0);
  return STATUS_NEXT;
}
