/**
 * The TLB that generated code checks inline: three contexts of 4,096 entries with a tag each for
 * reads, writes and execution (docs/core.md, TLB), and translation through it.
 */
import {
  RAM_BASE,
  TLB_BYTES,
  TLB_CONTEXTS,
  TLB_CONTEXT_KERNEL,
  TLB_CONTEXT_KERNEL_AC,
  TLB_CONTEXT_USER,
  TLB_EMPTY,
  TLB_ENTRIES,
  TLB_ENTRY_SIZE,
  TLB_ENTRY_addend,
  TLB_ENTRY_executeTag,
  TLB_ENTRY_flags,
  TLB_ENTRY_readTag,
  TLB_ENTRY_writeTag,
  TLB_FILLED_BYTES,
  TLB_FILLED_OFFSET,
  TLB_OFFSET,
  VCPU_countTlbFills,
  VCPU_tlbFilled,
} from './generated/layout';
import { a20, count, cpl, cr4, CR4_SMAP, eflags, FLAG_AC } from './cpu';
import {
  ACCESS_FETCH,
  ACCESS_SYSTEM,
  ACCESS_USER,
  ACCESS_WRITE,
  PAGE_GLOBAL,
  PAGE_WRITABLE,
  walk,
  WALK_FAULT,
} from './paging';
import { codeBits, inRam, isDirty, setDirty } from './physical';

/** `TLB_ENTRY.flags`. */
// @ts-ignore: decorator
@inline const ENTRY_GLOBAL: u32 = 1;

// @ts-ignore: decorator
@inline export function contextBase(cpu: usize, context: i32): usize {
  return cpu + TLB_OFFSET + <usize>context * TLB_BYTES;
}

/** The context that the CPU's own accesses use at present. */
export function currentContext(cpu: usize): i32 {
  if (cpl(cpu) == 3) return TLB_CONTEXT_USER;
  return (cr4(cpu) & CR4_SMAP) != 0 && (eflags(cpu) & FLAG_AC) != 0
    ? TLB_CONTEXT_KERNEL_AC
    : TLB_CONTEXT_KERNEL;
}

/** System accesses (GDT, IDT, TSS) are supervisor accesses that EFLAGS.AC does not help: APM vol. 2, 5.6.6. */
function contextFor(cpu: usize, access: u32): i32 {
  if ((access & ACCESS_USER) != 0) return TLB_CONTEXT_USER;
  if ((access & ACCESS_SYSTEM) != 0) return TLB_CONTEXT_KERNEL;
  return (cr4(cpu) & CR4_SMAP) != 0 && (eflags(cpu) & FLAG_AC) != 0
    ? TLB_CONTEXT_KERNEL_AC
    : TLB_CONTEXT_KERNEL;
}

function fill(cpu: usize, context: i32, linear: u64, gpa: u32, page: u64, access: u32): void {
  count(cpu, VCPU_countTlbFills);
  const index = <u32>(linear >> 12) & (TLB_ENTRIES - 1);
  const entry = contextBase(cpu, context) + <usize>index * TLB_ENTRY_SIZE;
  const tag = <i64>linear & ~4095;
  const addend = RAM_BASE + (gpa & ~4095) - <u32>tag;

  let readTag = load<i64>(entry, TLB_ENTRY_readTag);
  let writeTag = load<i64>(entry, TLB_ENTRY_writeTag);
  let executeTag = load<i64>(entry, TLB_ENTRY_executeTag);
  const wasEmpty = (readTag & writeTag & executeTag) == TLB_EMPTY;
  const same = load<u32>(entry, TLB_ENTRY_addend) == addend;
  if (!same || readTag != tag) readTag = TLB_EMPTY;
  if (!same || writeTag != tag) writeTag = TLB_EMPTY;
  if (!same || executeTag != tag) executeTag = TLB_EMPTY;

  if ((access & ACCESS_FETCH) != 0) {
    executeTag = tag;
  } else {
    readTag = tag;
    if ((page & PAGE_WRITABLE) != 0 && atomic.load<u64>(codeBits(gpa)) == 0) {
      // Writes through the tag are not seen one by one: the first one makes the page dirty.
      if ((access & ACCESS_WRITE) != 0) setDirty(gpa);
      if (isDirty(gpa)) writeTag = tag;
    }
  }
  store<i64>(entry, readTag, TLB_ENTRY_readTag);
  store<i64>(entry, writeTag, TLB_ENTRY_writeTag);
  store<i64>(entry, executeTag, TLB_ENTRY_executeTag);
  store<u32>(entry, addend, TLB_ENTRY_addend);
  store<u32>(entry, (page & PAGE_GLOBAL) != 0 ? ENTRY_GLOBAL : 0, TLB_ENTRY_flags);

  if (wasEmpty) {
    const counter = cpu + VCPU_tlbFilled + (<usize>context << 2);
    const filled = load<u32>(counter);
    if (filled < <u32>TLB_ENTRIES) {
      store<u16>(cpu + TLB_FILLED_OFFSET + <usize>context * TLB_FILLED_BYTES + (filled << 1), <u16>index);
    }
    store<u32>(counter, filled + 1);
  }
}

/** The guest-physical address of `linear`, or WALK_FAULT with the #PF raised. Fills the TLB. */
export function translate(cpu: usize, linear: u64, access: u32): i64 {
  const context = contextFor(cpu, access);
  const entry =
    contextBase(cpu, context) + <usize>(<u32>(linear >> 12) & (TLB_ENTRIES - 1)) * TLB_ENTRY_SIZE;
  let tag: i64;
  if ((access & ACCESS_FETCH) != 0) tag = load<i64>(entry, TLB_ENTRY_executeTag);
  else if ((access & ACCESS_WRITE) != 0) tag = load<i64>(entry, TLB_ENTRY_writeTag);
  else tag = load<i64>(entry, TLB_ENTRY_readTag);
  if (tag == (<i64>linear & ~4095)) {
    return <i64>(<u32>linear + load<u32>(entry, TLB_ENTRY_addend) - RAM_BASE);
  }
  const page = walk(cpu, linear, access);
  if (page == WALK_FAULT) return WALK_FAULT;
  const gpa = a20(cpu, (<u64>page & ~4095) | (linear & 4095));
  if (inRam(cpu, gpa)) fill(cpu, context, linear, <u32>gpa, page, access);
  return <i64>gpa;
}

function clearEntry(entry: usize): void {
  store<i64>(entry, TLB_EMPTY, TLB_ENTRY_readTag);
  store<i64>(entry, TLB_EMPTY, TLB_ENTRY_writeTag);
  store<i64>(entry, TLB_EMPTY, TLB_ENTRY_executeTag);
}

/** Empties one context; with `keepGlobal` only what is not global, and the list keeps the rest. */
function flushContext(cpu: usize, context: i32, keepGlobal: bool): void {
  const base = contextBase(cpu, context);
  const list = cpu + TLB_FILLED_OFFSET + <usize>context * TLB_FILLED_BYTES;
  const counter = cpu + VCPU_tlbFilled + (<usize>context << 2);
  const filled = load<u32>(counter);
  const overflowed = filled > <u32>TLB_ENTRIES;
  if (overflowed && !keepGlobal) {
    memory.fill(base, 0xff, TLB_BYTES);
    store<u32>(counter, 0);
    return;
  }
  const entries = overflowed ? <u32>TLB_ENTRIES : filled;
  let kept: u32 = 0;
  for (let i: u32 = 0; i < entries; i++) {
    const index = overflowed ? i : <u32>load<u16>(list + (i << 1));
    const entry = base + <usize>index * TLB_ENTRY_SIZE;
    const empty =
      (load<i64>(entry, TLB_ENTRY_readTag) &
        load<i64>(entry, TLB_ENTRY_writeTag) &
        load<i64>(entry, TLB_ENTRY_executeTag)) ==
      TLB_EMPTY;
    if (empty) continue;
    if (keepGlobal && (load<u32>(entry, TLB_ENTRY_flags) & ENTRY_GLOBAL) != 0) {
      // `kept` never overtakes `i`, so what is written here has been read.
      store<u16>(list + (kept << 1), <u16>index);
      kept++;
    } else {
      clearEntry(entry);
    }
  }
  store<u32>(counter, kept);
}

export function flushTlb(cpu: usize, keepGlobal: i32): void {
  for (let context = 0; context < TLB_CONTEXTS; context++) flushContext(cpu, context, keepGlobal != 0);
}

/** Power-on: whatever the memory holds. */
export function resetTlb(cpu: usize): void {
  memory.fill(cpu + TLB_OFFSET, 0xff, TLB_BYTES * TLB_CONTEXTS);
  memory.fill(cpu + VCPU_tlbFilled, 0, TLB_CONTEXTS * 4);
}

/** INVLPG: one page in all contexts, global or not. */
export function flushPage(cpu: usize, linear: u64): void {
  const offset = <usize>(<u32>(linear >> 12) & (TLB_ENTRIES - 1)) * TLB_ENTRY_SIZE;
  for (let context = 0; context < TLB_CONTEXTS; context++) {
    clearEntry(contextBase(cpu, context) + offset);
  }
}

/** Makes writes to the page of `gpa` miss, in every context and at every linear address. */
export function dropWriteTags(cpu: usize, gpa: u32): void {
  const host = RAM_BASE + (gpa & ~4095);
  for (let context = 0; context < TLB_CONTEXTS; context++) {
    const base = contextBase(cpu, context);
    const list = cpu + TLB_FILLED_OFFSET + <usize>context * TLB_FILLED_BYTES;
    const filled = load<u32>(cpu + VCPU_tlbFilled + (<usize>context << 2));
    const overflowed = filled > <u32>TLB_ENTRIES;
    const entries = overflowed ? <u32>TLB_ENTRIES : filled;
    for (let i: u32 = 0; i < entries; i++) {
      const index = overflowed ? i : <u32>load<u16>(list + (i << 1));
      const entry = base + <usize>index * TLB_ENTRY_SIZE;
      const tag = load<i64>(entry, TLB_ENTRY_writeTag);
      if (tag != TLB_EMPTY && <u32>tag + load<u32>(entry, TLB_ENTRY_addend) == <u32>host) {
        store<i64>(entry, TLB_EMPTY, TLB_ENTRY_writeTag);
      }
    }
  }
}
