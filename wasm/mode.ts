/** What derives from CR0, CR4, EFER, RFLAGS and the segment registers, and the power-on state. */
import {
  CR0_AM,
  CR0_CD,
  CR0_EM,
  CR0_ET,
  CR0_NW,
  CR0_PE,
  CR0_TS,
  CR4_OSFXSR,
  EFER_LMA,
  FLAG_AC,
  FLAG_VM,
  FPU_BLOCKED_MMX,
  FPU_BLOCKED_SSE,
  FPU_BLOCKED_X87,
  JOURNAL_CLOSED,
  MODE_CODE16,
  MODE_CODE32,
  MODE_CODE64,
  MODE_CODE_MASK,
  MODE_DEBUG,
  MODE_FLAT,
  MODE_REAL,
  MODE_REPLAY,
  MODE_STACK16,
  REG_RAX,
  REG_RDI,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
  SEG_LDTR,
  SEG_SS,
  SEG_TR,
  TLB_NONE_OFFSET,
  VCPU_a20Mask,
  VCPU_addressMask,
  VCPU_arenaEnd,
  VCPU_arenaStart,
  VCPU_attention,
  VCPU_breakpointsCode,
  VCPU_breakpointsData,
  VCPU_countInstructions,
  VCPU_cpl,
  VCPU_cr0,
  VCPU_cr4,
  VCPU_dr,
  VCPU_eflags,
  VCPU_fpuBlocked,
  VCPU_fpuControl,
  VCPU_gdtLimit,
  VCPU_idtLimit,
  VCPU_heatMask,
  VCPU_journal,
  VCPU_linearMask,
  VCPU_mode,
  VCPU_mxcsr,
  VCPU_pat,
  VCPU_ramBytes,
  VCPU_rip,
  VCPU_ripMask,
  VCPU_segEffective,
  VCPU_segReadable,
  VCPU_segStale,
  VCPU_segWritable,
  VCPU_stackBytes,
  VCPU_stackMask,
  VCPU_tlb,
  VCPU_tscOffset,
  VCPU_xcr0,
} from './generated/layout';
import { cpl, cr0, efer, eflags, getReg, segAttr, segBase, segLimit, setReg, setSegment } from './cpu';
import {
  ATTR_CODE,
  ATTR_DB,
  ATTR_EXPAND_DOWN,
  ATTR_L,
  ATTR_P,
  ATTR_RW,
  ATTR_S,
  attrDpl,
  isWritableData,
} from './descriptor';
import { flushBlocks } from './blocks';
import { updateLinks } from './links';
import { contextBase, currentContext, resetTlb } from './tlb';

// @ts-ignore: decorator
@inline const ALL_SEGMENTS: u32 = (1 << (SEG_GS + 1)) - 1;

/** Whether accesses through a data segment need neither base, limit nor rights, in protected mode. */
function isFlatData(cpu: usize, segment: i32): bool {
  const attr = segAttr(cpu, segment);
  return (
    (attr & (ATTR_P | ATTR_S | ATTR_CODE | ATTR_EXPAND_DOWN | ATTR_RW)) == (ATTR_P | ATTR_S | ATTR_RW) &&
    segBase(cpu, segment) == 0 &&
    segLimit(cpu, segment) == 0xffffffff
  );
}

/**
 * `segReadable` and `segWritable`: what `segmentLinear` would allow of an expand-up segment, so that generated code asks
 * it about the others only.
 */
function updateWindows(cpu: usize, stale: u32, checkTypes: bool): void {
  for (stale &= ALL_SEGMENTS; stale != 0; stale &= stale - 1) {
    const segment = ctz(stale);
    const attr = segAttr(cpu, segment);
    const expandDown = (attr & (ATTR_S | ATTR_CODE | ATTR_EXPAND_DOWN)) == (ATTR_S | ATTR_EXPAND_DOWN);
    const bytes: u64 = expandDown ? 0 : <u64>segLimit(cpu, segment) + 1;
    const present = (attr & ATTR_P) != 0;
    const readable = !checkTypes || (present && (attr & (ATTR_CODE | ATTR_RW)) != ATTR_CODE);
    const writable = !checkTypes || (present && isWritableData(attr));
    store<u64>(cpu + (<usize>segment << 3), readable ? bytes : 0, VCPU_segReadable);
    store<u64>(cpu + (<usize>segment << 3), writable ? bytes : 0, VCPU_segWritable);
  }
}

/**
 * Out of 64-bit mode the upper halves of the general registers are not preserved (APM vol. 1, 3.1.2). Here they become
 * zero, so that code for the other modes may take a register for its 32 bits. R8 to R15 stay (SDM vol. 1, 3.4.1.1).
 */
function dropUpperHalves(cpu: usize): void {
  for (let register = REG_RAX; register <= REG_RDI; register++) {
    setReg(cpu, register, getReg(cpu, register) & 0xffffffff);
  }
}

function isFlat(cpu: usize): bool {
  if (segBase(cpu, SEG_CS) != 0 || segLimit(cpu, SEG_CS) != 0xffffffff) return false;
  // A code segment that cannot be read needs its check.
  if ((segAttr(cpu, SEG_CS) & ATTR_RW) == 0) return false;
  return isFlatData(cpu, SEG_DS) && isFlatData(cpu, SEG_ES) && isFlatData(cpu, SEG_SS);
}

// @ts-ignore: decorator
@inline function setEffective(cpu: usize, segment: i32, base: u64): void {
  store<u64>(cpu + (<usize>segment << 3), base, VCPU_segEffective);
}

/** `VCPU.tlb`, after CPL, CR0.AM, CR4.SMAP or EFLAGS.AC may have changed. */
export function updateContext(cpu: usize): void {
  const aligned = cpl(cpu) == 3 && (cr0(cpu) & CR0_AM) != 0 && (eflags(cpu) & FLAG_AC) != 0;
  const tlb = aligned ? cpu + TLB_NONE_OFFSET : contextBase(cpu, currentContext(cpu));
  store<u32>(cpu, <u32>tlb, VCPU_tlb);
  updateLinks(cpu);
}

/**
 * CPL is the DPL of SS: every transfer keeps them equal, a null SS of 64-bit mode and virtual-8086
 * mode included, and real mode loads leave a DPL of 0.
 */
export function updateMode(cpu: usize): void {
  const code = segAttr(cpu, SEG_CS);
  const protectedMode = (cr0(cpu) & CR0_PE) != 0;
  const long = (efer(cpu) & EFER_LMA) != 0;
  store<u32>(cpu, protectedMode ? attrDpl(segAttr(cpu, SEG_SS)) : 0, VCPU_cpl);
  const breakpoints = load<u32>(cpu, VCPU_breakpointsCode) | load<u32>(cpu, VCPU_breakpointsData);
  const replay = load<u32>(cpu, VCPU_journal) == JOURNAL_CLOSED ? MODE_REPLAY : 0;
  const debug = (breakpoints != 0 ? MODE_DEBUG : 0) | replay;
  if (long && (code & ATTR_L) != 0) {
    store<u32>(cpu, MODE_CODE64 | MODE_FLAT | debug, VCPU_mode);
    store<u64>(cpu, -1, VCPU_ripMask);
    store<u64>(cpu, -1, VCPU_linearMask);
    store<u32>(cpu, 8, VCPU_stackBytes);
    store<u64>(cpu, -1, VCPU_stackMask);
    setEffective(cpu, SEG_ES, 0);
    setEffective(cpu, SEG_CS, 0);
    setEffective(cpu, SEG_SS, 0);
    setEffective(cpu, SEG_DS, 0);
  } else {
    const before = load<u32>(cpu, VCPU_mode);
    const leaves64 = (before & MODE_CODE_MASK) == MODE_CODE64;
    if (leaves64) dropUpperHalves(cpu);
    const wide = (code & ATTR_DB) != 0;
    const flat = isFlat(cpu) ? MODE_FLAT : 0;
    const real = !protectedMode || (eflags(cpu) & FLAG_VM) != 0 ? MODE_REAL : 0;
    const wideStack = (segAttr(cpu, SEG_SS) & ATTR_DB) != 0;
    const stack = wideStack ? 0 : MODE_STACK16;
    store<u32>(cpu, (wide ? MODE_CODE32 : MODE_CODE16) | flat | real | stack | debug, VCPU_mode);
    // Also in 16-bit code: running on behind FFFFh meets the limit of CS, if that is there. Branches wrap by themselves.
    store<u64>(cpu, 0xffffffff, VCPU_ripMask);
    store<u64>(cpu, 0xffffffff, VCPU_linearMask);
    store<u32>(cpu, wideStack ? 4 : 2, VCPU_stackBytes);
    store<u64>(cpu, wideStack ? 0xffffffff : 0xffff, VCPU_stackMask);
    setEffective(cpu, SEG_ES, segBase(cpu, SEG_ES));
    setEffective(cpu, SEG_CS, segBase(cpu, SEG_CS));
    setEffective(cpu, SEG_SS, segBase(cpu, SEG_SS));
    setEffective(cpu, SEG_DS, segBase(cpu, SEG_DS));
    const isNew = leaves64 || ((before ^ real) & MODE_REAL) != 0;
    updateWindows(cpu, isNew ? ALL_SEGMENTS : load<u32>(cpu, VCPU_segStale), real == 0);
    store<u32>(cpu, 0, VCPU_segStale);
  }
  setEffective(cpu, SEG_FS, segBase(cpu, SEG_FS));
  setEffective(cpu, SEG_GS, segBase(cpu, SEG_GS));
  updateContext(cpu);
  updateFpuGates(cpu);
}

/** `fpuBlocked`: what CR0.EM, CR0.TS and CR4.OSFXSR hold off (AMD64 APM vol. 2, table 11-1). */
function updateFpuGates(cpu: usize): void {
  const x87 = (load<u32>(cpu, VCPU_cr0) & (CR0_EM | CR0_TS)) != 0;
  const sse = x87 || (load<u32>(cpu, VCPU_cr4) & CR4_OSFXSR) == 0;
  const blocked = x87 ? FPU_BLOCKED_X87 | FPU_BLOCKED_MMX : 0;
  store<u32>(cpu, blocked | (sse ? FPU_BLOCKED_SSE : 0), VCPU_fpuBlocked);
}

/** For the run loop, which may have set any part of the state. */
export function recomputeMode(cpu: usize): void {
  store<u32>(cpu, ALL_SEGMENTS, VCPU_segStale);
  updateMode(cpu);
}

/** Power-on state: AMD64 APM vol. 2, table 14-1. EDX, the processor's signature, is left to the run loop. */
export function reset(cpu: usize): void {
  const ramBytes = load<u32>(cpu, VCPU_ramBytes);
  const arenaStart = load<u32>(cpu, VCPU_arenaStart);
  const arenaEnd = load<u32>(cpu, VCPU_arenaEnd);
  const tscOffset = load<u64>(cpu, VCPU_tscOffset);
  const heatMask = load<u32>(cpu, VCPU_heatMask);
  // Around the one word that other threads set: a bit set meanwhile must not be lost.
  const behindAttention = VCPU_attention + 4;
  memory.fill(cpu, 0, VCPU_attention);
  memory.fill(cpu + behindAttention, 0, VCPU_countInstructions - behindAttention);
  store<u32>(cpu, ramBytes, VCPU_ramBytes);
  store<u32>(cpu, arenaStart, VCPU_arenaStart);
  store<u32>(cpu, arenaEnd, VCPU_arenaEnd);
  store<u64>(cpu, tscOffset, VCPU_tscOffset);
  store<u32>(cpu, heatMask, VCPU_heatMask);

  store<u32>(cpu, -1, VCPU_a20Mask);
  store<u64>(cpu, 0xffff, VCPU_addressMask);
  store<u64>(cpu, 0xffffffff, VCPU_addressMask + 8);
  store<u64>(cpu, -1, VCPU_addressMask + 16);

  store<u32>(cpu, 2, VCPU_eflags);
  store<u32>(cpu, CR0_CD | CR0_NW | CR0_ET, VCPU_cr0);
  store<u64>(cpu, 0xffff0ff0, VCPU_dr + 6 * 8);
  store<u64>(cpu, 0x400, VCPU_dr + 7 * 8);
  store<u64>(cpu, 1, VCPU_xcr0);
  store<u64>(cpu, 0x0007040600070406, VCPU_pat);
  store<u32>(cpu, 0x1f80, VCPU_mxcsr);
  store<u16>(cpu, 0x40, VCPU_fpuControl);

  for (let segment = SEG_ES; segment <= SEG_GS; segment++) {
    setSegment(cpu, segment, 0, 0, 0xffff, ATTR_P | ATTR_S | ATTR_RW | 1);
  }
  setSegment(cpu, SEG_CS, 0xf000, 0xffff0000, 0xffff, ATTR_P | ATTR_S | ATTR_CODE | ATTR_RW | 1);
  setSegment(cpu, SEG_LDTR, 0, 0, 0xffff, ATTR_P | 2);
  setSegment(cpu, SEG_TR, 0, 0, 0xffff, ATTR_P | 11);
  store<u32>(cpu, 0xffff, VCPU_gdtLimit);
  store<u32>(cpu, 0xffff, VCPU_idtLimit);
  store<u64>(cpu, 0xfff0, VCPU_rip);

  resetTlb(cpu);
  flushBlocks(cpu);
  updateMode(cpu);
}
