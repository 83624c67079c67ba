/**
 * The TLB that generated code checks inline: three contexts of 4,096 entries with a tag each for
 * reads, writes and execution (docs/core.md, TLB), and translation through it.
 */
import {
  CR4_PAE,
  CR4_SMAP,
  FLAG_AC,
  JOURNAL_CLOSED,
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
  TLB_GLOBAL,
  TLB_HUGE,
  TLB_LARGE,
  TLB_NONE_OFFSET,
  TLB_OFFSET,
  TLB_WRITABLE,
  VCPU_breakpointsCode,
  VCPU_breakpointsData,
  VCPU_countTlbFills,
  VCPU_journal,
  VCPU_tlbFilled,
  VCPU_tlbLarge,
} from './generated/layout';
import { isWatchedPage } from './breakpoints';
import { a20, count, cpl, cr4, eflags } from './cpu';
import {
  ACCESS_FETCH,
  ACCESS_SYSTEM,
  ACCESS_USER,
  ACCESS_WRITE,
  PAGE_GLOBAL,
  PAGE_HUGE,
  PAGE_LARGE,
  PAGE_WRITABLE,
  walk,
  WALK_FAULT,
} from './paging';
import { codeBits, inRam, isDirty, setDirty } from './physical';

// `VCPU.tlbLarge`.
// @ts-ignore: decorator
@inline const LARGE_GROUPS: i32 = 8;
// @ts-ignore: decorator
@inline const LARGE_HUGE_BIT: i32 = 24;
/** Entries that the pieces of one 2 MiB page fill. */
// @ts-ignore: decorator
@inline const GROUP_ENTRIES: i32 = 512;

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

/** Accesses to GDT, IDT and TSS are supervisor accesses that RFLAGS.AC does not help: APM vol. 2, 5.6.6. */
function contextFor(cpu: usize, access: u32): i32 {
  if ((access & ACCESS_USER) != 0) return TLB_CONTEXT_USER;
  if ((access & ACCESS_SYSTEM) != 0) return TLB_CONTEXT_KERNEL;
  return (cr4(cpu) & CR4_SMAP) != 0 && (eflags(cpu) & FLAG_AC) != 0
    ? TLB_CONTEXT_KERNEL_AC
    : TLB_CONTEXT_KERNEL;
}

/** Where a context's TLB has the entry for `linear`. */
// @ts-ignore: decorator
@inline export function tlbOffset(linear: u64): u32 {
  return (<u32>(linear >> 12) & (TLB_ENTRIES - 1)) * TLB_ENTRY_SIZE;
}

/** The page that an entry is for, or TLB_EMPTY: each tag is that page or has all bits set. */
// @ts-ignore: decorator
@inline function entryPage(entry: usize): i64 {
  return (
    load<i64>(entry, TLB_ENTRY_readTag) &
    load<i64>(entry, TLB_ENTRY_writeTag) &
    load<i64>(entry, TLB_ENTRY_executeTag)
  );
}

/** Notes where INVLPG has to look for the pieces of a large page. */
function noteLarge(cpu: usize, context: i32, linear: u64, flags: u32): void {
  const half = cpu + VCPU_tlbLarge + (<usize>(linear >> 63) << 2);
  const group = <i32>(linear >> 21) & (LARGE_GROUPS - 1);
  const bit = (flags & TLB_HUGE) != 0 ? LARGE_HUGE_BIT + context : context * LARGE_GROUPS + group;
  store<u32>(half, load<u32>(half) | (<u32>1 << bit));
}

// @ts-ignore: decorator
@inline function forgetLarge(cpu: usize, context: i32): void {
  const kept = ~((<u32>0xff << (context * LARGE_GROUPS)) | (<u32>1 << (LARGE_HUGE_BIT + context)));
  store<u32>(cpu, load<u32>(cpu, VCPU_tlbLarge) & kept, VCPU_tlbLarge);
  store<u32>(cpu, load<u32>(cpu, VCPU_tlbLarge + 4) & kept, VCPU_tlbLarge + 4);
}

/** Lets writes through, if no code was decoded from the page. Its first write makes it dirty. */
function openForWriting(cpu: usize, entry: usize, tag: i64, gpa: u32, access: u32): void {
  if (atomic.load<u64>(codeBits(gpa)) != 0 || load<u32>(cpu, VCPU_journal) == JOURNAL_CLOSED) return;
  // Writes through the tag are not seen one by one.
  if ((access & ACCESS_WRITE) != 0) setDirty(gpa);
  if (isDirty(gpa)) store<i64>(entry, tag, TLB_ENTRY_writeTag);
}

function fill(cpu: usize, context: i32, linear: u64, gpa: u32, page: u64, access: u32): void {
  // Without a tag every access comes here.
  const set = (access & ACCESS_FETCH) != 0 ? VCPU_breakpointsCode : VCPU_breakpointsData;
  const watched = load<u32>(cpu + set);
  if (watched != 0 && isWatchedPage(cpu, watched, linear)) return;
  count(cpu, VCPU_countTlbFills);
  const index = <u32>(linear >> 12) & (TLB_ENTRIES - 1);
  const entry = contextBase(cpu, context) + <usize>index * TLB_ENTRY_SIZE;
  const tag = <i64>linear & ~4095;
  const addend = RAM_BASE + (gpa & ~4095) - <u32>tag;
  const before = entryPage(entry);
  let flags = load<u32>(entry, TLB_ENTRY_flags) & TLB_WRITABLE;
  if (before != tag || load<u32>(entry, TLB_ENTRY_addend) != addend) {
    clearEntry(entry);
    store<u32>(entry, addend, TLB_ENTRY_addend);
    flags = 0;
  }
  if ((page & PAGE_GLOBAL) != 0) flags |= TLB_GLOBAL;
  if ((page & (PAGE_LARGE | PAGE_HUGE)) != 0) {
    flags |= (page & PAGE_HUGE) != 0 ? TLB_HUGE : TLB_LARGE;
    noteLarge(cpu, context, linear, flags);
  }
  if ((access & ACCESS_FETCH) != 0) {
    store<i64>(entry, tag, TLB_ENTRY_executeTag);
  } else {
    store<i64>(entry, tag, TLB_ENTRY_readTag);
    if ((page & PAGE_WRITABLE) != 0) {
      flags |= TLB_WRITABLE;
      openForWriting(cpu, entry, tag, gpa, access);
    }
  }
  store<u32>(entry, flags, TLB_ENTRY_flags);

  if (before == TLB_EMPTY) {
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
  const entry = contextBase(cpu, context) + tlbOffset(linear);
  const wanted = <i64>linear & ~4095;
  const known = <u32>linear + load<u32>(entry, TLB_ENTRY_addend) - RAM_BASE;
  if ((access & ACCESS_FETCH) != 0) {
    if (load<i64>(entry, TLB_ENTRY_executeTag) == wanted) return <i64>known;
  } else if ((access & ACCESS_WRITE) != 0) {
    if (load<i64>(entry, TLB_ENTRY_writeTag) == wanted) return <i64>known;
    // A page with decoded code: the tables have been asked before.
    const readable = load<i64>(entry, TLB_ENTRY_readTag) == wanted;
    if (readable && (load<u32>(entry, TLB_ENTRY_flags) & TLB_WRITABLE) != 0) {
      openForWriting(cpu, entry, wanted, known, access);
      return <i64>known;
    }
  } else if (load<i64>(entry, TLB_ENTRY_readTag) == wanted) {
    return <i64>known;
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
  forgetLarge(cpu, context);
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
    const page = entryPage(entry);
    if (page == TLB_EMPTY) continue;
    const flags = load<u32>(entry, TLB_ENTRY_flags);
    if (keepGlobal && (flags & TLB_GLOBAL) != 0) {
      if ((flags & (TLB_LARGE | TLB_HUGE)) != 0) noteLarge(cpu, context, page, flags);
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
  memory.fill(cpu + TLB_NONE_OFFSET, 0xff, TLB_BYTES);
  memory.fill(cpu + VCPU_tlbFilled, 0, TLB_CONTEXTS * 4);
  store<u64>(cpu, 0, VCPU_tlbLarge);
}

/** Clears the pieces of the large page around `linear` among `entries` entries from `first`. */
function flushPieces(first: usize, entries: i32, linear: u64, largeShift: u64): void {
  const end = first + <usize>entries * TLB_ENTRY_SIZE;
  for (let entry = first; entry < end; entry += TLB_ENTRY_SIZE) {
    const flags = load<u32>(entry, TLB_ENTRY_flags);
    if ((flags & (TLB_LARGE | TLB_HUGE)) == 0) continue;
    const shift: u64 = (flags & TLB_HUGE) != 0 ? 30 : largeShift;
    const page = entryPage(entry);
    if (page != TLB_EMPTY && ((<u64>page ^ linear) >> shift) == 0) clearEntry(entry);
  }
}

/** INVLPG: a page in all contexts, global or not, all of it if it is a large one (APM vol. 2, 5.5.3). */
export function flushPage(cpu: usize, linear: u64): void {
  const offset = tlbOffset(linear);
  for (let context = 0; context < TLB_CONTEXTS; context++) {
    clearEntry(contextBase(cpu, context) + offset);
  }
  const large = load<u32>(cpu + VCPU_tlbLarge + (<usize>(linear >> 63) << 2));
  if (large == 0) return;
  // A 4 MiB page of two-level paging fills two groups.
  const isPae = (cr4(cpu) & CR4_PAE) != 0;
  const group = (<i32>(linear >> 21) & (LARGE_GROUPS - 1)) & (isPae ? -1 : -2);
  const groups = isPae ? 1 : 2;
  for (let context = 0; context < TLB_CONTEXTS; context++) {
    const base = contextBase(cpu, context);
    if (((large >> (LARGE_HUGE_BIT + context)) & 1) != 0) {
      flushPieces(base, TLB_ENTRIES, linear, isPae ? 21 : 22);
    } else if (((large >> (context * LARGE_GROUPS + group)) & (isPae ? 1 : 3)) != 0) {
      const first = base + <usize>(group * GROUP_ENTRIES) * TLB_ENTRY_SIZE;
      flushPieces(first, groups * GROUP_ENTRIES, linear, isPae ? 21 : 22);
    }
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
