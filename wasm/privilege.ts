/** RFLAGS under IOPL, CPL and virtual-8086 mode, and the I/O permission bitmap. */
import {
  IOEVENTFD_SPACE_PORT,
  CR0_PE,
  CR4_PVI,
  CR4_VME,
  EXCEPTION_GP,
  EXCEPTION_UD,
  FLAG_AC,
  FLAG_ID,
  FLAG_IF,
  FLAG_IOPL,
  FLAG_RF,
  FLAG_TF,
  FLAG_VIF,
  FLAG_VIP,
  FLAG_VM,
  SEG_TR,
  STATUS_BRANCH,
  STATUS_FAULT,
  STATUS_NEXT,
  VCPU_eflags,
  SHADOW_STI,
  VCPU_breakpointsIo,
} from './generated/layout';
import {
  cpl,
  cr0,
  cr4,
  eflags,
  faulted,
  inVirtual8086,
  iopl,
  raise,
  segAttr,
  segBase,
  segLimit,
  castShadow,
  yieldIfAttention,
  yieldToRunLoop,
} from './cpu';
import { watchPort } from './breakpoints';
import { ATTR_P } from './descriptor';
import { getFlags, setFlags } from './flags';
import { portRead, portWrite } from './host';
import { ringsDoorbell } from './ioeventfd';
import { isNoting } from './journal';
import { readSystem } from './mmu';
import { updateContext } from './mode';

/** The flags that POPF replaces whatever the privilege: arithmetic, TF, DF, NT. */
// @ts-ignore: decorator
@inline const POPF_ALWAYS: u32 = 0x4dd5;

/** Virtual interrupts: virtual-8086 mode under CR4.VME, CPL 3 under CR4.PVI (APM vol. 2, 8.10). */
// @ts-ignore: decorator
@inline function hasVirtualInterrupts(cpu: usize): bool {
  if (inVirtual8086(cpu)) return (cr4(cpu) & CR4_VME) != 0;
  return (cr4(cpu) & CR4_PVI) != 0 && cpl(cpu) == 3;
}

/** POPF: APM vol. 3; leaves the block when the trap flag or an interrupt wants the run loop. */
export function writeFlags(cpu: usize, value: u64, bytes: i32): i32 {
  const image = <u32>value;
  const old = getFlags(cpu);
  const virtual = inVirtual8086(cpu);
  let writable = POPF_ALWAYS;
  if (bytes != 2) writable |= FLAG_AC | FLAG_ID;
  let next: u32;
  if (virtual && iopl(cpu) < 3) {
    if (bytes != 2 || (cr4(cpu) & CR4_VME) == 0) return raise(cpu, EXCEPTION_GP, 0);
    const enables = (image & FLAG_IF) != 0;
    if ((image & FLAG_TF) != 0 || (enables && (old & FLAG_VIP) != 0)) return raise(cpu, EXCEPTION_GP, 0);
    next = (old & ~(writable | FLAG_VIF)) | (image & writable) | (enables ? FLAG_VIF : 0);
  } else {
    const level = cpl(cpu);
    // In virtual-8086 mode with IOPL 3, IF is the guest's; IOPL stays.
    if (level <= iopl(cpu)) writable |= FLAG_IF;
    if (level == 0) writable |= FLAG_IOPL;
    next = (old & ~writable) | (image & writable);
    if (bytes != 2 && !virtual) next &= ~(FLAG_VIF | FLAG_VIP);
  }
  setFlags(cpu, next);
  if (((old ^ next) & FLAG_AC) != 0) updateContext(cpu);
  if ((next & FLAG_TF) != 0) {
    yieldToRunLoop(cpu);
    return STATUS_BRANCH;
  }
  return (next & FLAG_IF) != 0 && yieldIfAttention(cpu) ? STATUS_BRANCH : STATUS_NEXT;
}

/** PUSHF: RF and VM read as 0; in virtual-8086 mode IOPL 3 is needed, or VIF stands for IF. */
export function readFlags(cpu: usize, bytes: i32): u64 {
  const flags = getFlags(cpu) & ~(FLAG_RF | FLAG_VM);
  if (inVirtual8086(cpu) && iopl(cpu) < 3) {
    if (bytes != 2 || (cr4(cpu) & CR4_VME) == 0) {
      raise(cpu, EXCEPTION_GP, 0);
      return 0;
    }
    return (flags & ~FLAG_IF) | FLAG_IOPL | ((flags & FLAG_VIF) != 0 ? FLAG_IF : 0);
  }
  return flags;
}

export function cli(cpu: usize): i32 {
  const flags = eflags(cpu);
  if (cpl(cpu) <= iopl(cpu)) {
    store<u32>(cpu, flags & ~FLAG_IF, VCPU_eflags);
  } else if (hasVirtualInterrupts(cpu)) {
    store<u32>(cpu, flags & ~FLAG_VIF, VCPU_eflags);
  } else {
    return raise(cpu, EXCEPTION_GP, 0);
  }
  return STATUS_NEXT;
}

/** STI holds interrupts off for one more instruction if they were disabled. */
export function sti(cpu: usize): i32 {
  const flags = eflags(cpu);
  if (cpl(cpu) <= iopl(cpu)) {
    if ((flags & FLAG_IF) != 0) return STATUS_NEXT;
    store<u32>(cpu, flags | FLAG_IF, VCPU_eflags);
    castShadow(cpu, SHADOW_STI);
    return yieldIfAttention(cpu) ? STATUS_BRANCH : STATUS_NEXT;
  }
  if (!hasVirtualInterrupts(cpu) || (flags & FLAG_VIP) != 0) return raise(cpu, EXCEPTION_GP, 0);
  store<u32>(cpu, flags | FLAG_VIF, VCPU_eflags);
  return STATUS_NEXT;
}

/** STAC and CLAC: APM vol. 3; they exist with SMAP, at CPL 0. */
export function writeAc(cpu: usize, value: i32): i32 {
  if (cpl(cpu) != 0) return raise(cpu, EXCEPTION_UD, 0);
  const flags = eflags(cpu) & ~FLAG_AC;
  store<u32>(cpu, value != 0 ? flags | FLAG_AC : flags, VCPU_eflags);
  updateContext(cpu);
  return STATUS_NEXT;
}

/** Whether the running code may use these ports; its breakpoints on them are taken note of. */
export function checkPort(cpu: usize, port: i32, bytes: i32): bool {
  if (!permitsPort(cpu, port, bytes)) return false;
  if (load<u32>(cpu, VCPU_breakpointsIo) != 0) watchPort(cpu, port, bytes);
  return true;
}

/** IOPL, then the I/O permission bitmap of a 32- or 64-bit TSS: APM vol. 2, 12.2.4. */
function permitsPort(cpu: usize, port: i32, bytes: i32): bool {
  if ((cr0(cpu) & CR0_PE) == 0) return true;
  if (!inVirtual8086(cpu) && cpl(cpu) <= iopl(cpu)) return true;
  const attr = segAttr(cpu, SEG_TR);
  const limit = segLimit(cpu, SEG_TR);
  // Bit 3 of the type: not a 16-bit TSS.
  if ((attr & ATTR_P) != 0 && (attr & 8) != 0 && limit >= 0x67) {
    const base = segBase(cpu, SEG_TR);
    const bitmap = <u32>readSystem(cpu, base + 0x66, 2);
    if (faulted(cpu)) return false;
    const at = bitmap + (<u32>port >> 3);
    // Two bytes are always read, so the last one of the bitmap has to be followed by another.
    if (at + 1 <= limit) {
      const bits = <u32>readSystem(cpu, base + at, 2);
      if (faulted(cpu)) return false;
      if (((bits >> (port & 7)) & ((1 << bytes) - 1)) == 0) return true;
    }
  }
  raise(cpu, EXCEPTION_GP, 0);
  return false;
}

export function portIn(cpu: usize, port: i32, bytes: i32): u64 {
  port &= 0xffff;
  if (!checkPort(cpu, port, bytes)) return 0;
  const value = <u64>portRead(cpu, port, bytes);
  return bytes == 4 ? value : value & ((<u64>1 << (bytes << 3)) - 1);
}

export function portOut(cpu: usize, port: i32, bytes: i32, value: u64): i32 {
  port &= 0xffff;
  if (!checkPort(cpu, port, bytes)) return STATUS_FAULT;
  const mask: u32 = bytes == 4 ? 0xffffffff : (1 << (bytes << 3)) - 1;
  if (isNoting(cpu) || !ringsDoorbell(cpu, IOEVENTFD_SPACE_PORT, port, bytes, <u32>value & mask)) {
    portWrite(cpu, port, bytes, <u32>value & mask);
  }
  return yieldIfAttention(cpu) ? STATUS_BRANCH : STATUS_NEXT;
}
