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
  REG_PAGE_RIP,
  SEG_CS,
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
  TLB_FILLED_LISTS,
  TLB_FILLED_OFFSET,
  TLB_GLOBAL,
  TLB_HUGE,
  TLB_LARGE,
  TLB_LISTED_GLOBAL,
  TLB_LISTED_LOCAL,
  TLB_NONE_OFFSET,
  TLB_OFFSET,
  TLB_WRITABLE,
  VCPU_breakpointsCode,
  VCPU_breakpointsData,
  VCPU_countTlbFills,
  VCPU_journal,
  VCPU_tlb,
  VCPU_tlbFilled,
  VCPU_regs,
  VCPU_tlbLarge,
  WRITE_TAGS_ENTRIES,
  WRITE_TAGS_OFFSET,
} from './generated/layout';
import { isWatchedPage } from './breakpoints';
import { a20, count, cpl, cr4, eflags, segEffective } from './cpu';
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
import { dropMappedLinks, dropPageLinks, noteKernelCode } from './links';
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

// The fill lists of a context, and halves of `VCPU.tlbLarge`.
// @ts-ignore: decorator
@inline const LOCAL: i32 = 0;
// @ts-ignore: decorator
@inline const GLOBAL: i32 = 1;

// @ts-ignore: decorator
@inline function filledList(cpu: usize, context: i32, list: i32): usize {
  return cpu + TLB_FILLED_OFFSET + <usize>(context * 2 + list) * TLB_FILLED_BYTES;
}

// @ts-ignore: decorator
@inline function filledCounter(cpu: usize, context: i32, list: i32): usize {
  return cpu + VCPU_tlbFilled + (<usize>(context * 2 + list) << 2);
}

// @ts-ignore: decorator
@inline function largeBits(cpu: usize, list: i32, half: u64): usize {
  return cpu + VCPU_tlbLarge + (<usize>(list * 2 + <i32>half) << 2);
}

/** Notes where INVLPG has to look for the pieces of a large page. */
function noteLarge(cpu: usize, context: i32, list: i32, linear: u64, flags: u32): void {
  const bits = largeBits(cpu, list, linear >> 63);
  const group = <i32>(linear >> 21) & (LARGE_GROUPS - 1);
  const bit = (flags & TLB_HUGE) != 0 ? LARGE_HUGE_BIT + context : context * LARGE_GROUPS + group;
  store<u32>(bits, load<u32>(bits) | (<u32>1 << bit));
}

// @ts-ignore: decorator
@inline function forgetLarge(cpu: usize, context: i32, list: i32): void {
  const kept = ~((<u32>0xff << (context * LARGE_GROUPS)) | (<u32>1 << (LARGE_HUGE_BIT + context)));
  for (let half: u64 = 0; half < 2; half++) {
    const bits = largeBits(cpu, list, half);
    store<u32>(bits, load<u32>(bits) & kept);
  }
}

/** The count of write tags for the page of `gpa` and those that share it. */
// @ts-ignore: decorator
@inline function writeTags(cpu: usize, gpa: u32): usize {
  return cpu + WRITE_TAGS_OFFSET + ((gpa >> 12) & (WRITE_TAGS_ENTRIES - 1));
}
// @ts-ignore: decorator
@inline const ANY_NUMBER: u32 = 255;

/** Lets writes through, if no code was decoded from the page. Its first write makes it dirty. */
function openForWriting(cpu: usize, entry: usize, tag: i64, gpa: u32, access: u32): void {
  if (atomic.load<u64>(codeBits(gpa)) != 0 || load<u32>(cpu, VCPU_journal) == JOURNAL_CLOSED) return;
  // Writes through the tag are not seen one by one.
  if ((access & ACCESS_WRITE) != 0) setDirty(gpa);
  if (!isDirty(gpa) || load<i64>(entry, TLB_ENTRY_writeTag) == tag) return;
  store<i64>(entry, tag, TLB_ENTRY_writeTag);
  const counter = writeTags(cpu, gpa);
  const tags = <u32>load<u8>(counter);
  if (tags != ANY_NUMBER) store<u8>(counter, <u8>(tags + 1));
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
  const kept = load<u32>(entry, TLB_ENTRY_flags);
  let flags = kept & (TLB_WRITABLE | TLB_LISTED_LOCAL | TLB_LISTED_GLOBAL);
  if (entryPage(entry) != tag || load<u32>(entry, TLB_ENTRY_addend) != addend) {
    clearEntry(entry);
    store<u32>(entry, addend, TLB_ENTRY_addend);
    flags &= ~TLB_WRITABLE;
  }
  const list = (page & PAGE_GLOBAL) != 0 ? GLOBAL : LOCAL;
  if (list == GLOBAL) flags |= TLB_GLOBAL;
  if ((page & (PAGE_LARGE | PAGE_HUGE)) != 0) {
    flags |= (page & PAGE_HUGE) != 0 ? TLB_HUGE : TLB_LARGE;
    noteLarge(cpu, context, list, linear, flags);
  }
  if ((access & ACCESS_FETCH) != 0) {
    store<i64>(entry, tag, TLB_ENTRY_executeTag);
    if (context != TLB_CONTEXT_USER) noteKernelCode(cpu, linear, list == GLOBAL);
  } else {
    store<i64>(entry, tag, TLB_ENTRY_readTag);
    if ((page & PAGE_WRITABLE) != 0) {
      flags |= TLB_WRITABLE;
      openForWriting(cpu, entry, tag, gpa, access);
    }
  }
  const listed: u32 = TLB_LISTED_LOCAL << list;
  if ((flags & listed) == 0) {
    flags |= listed;
    const counter = filledCounter(cpu, context, list);
    const filled = load<u32>(counter);
    store<u16>(filledList(cpu, context, list) + (filled << 1), <u16>index);
    store<u32>(counter, filled + 1);
  }
  store<u32>(entry, flags, TLB_ENTRY_flags);
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

/** Whether code may run on in the page of `linear` without a look at the page tables. */
export function knowsCode(cpu: usize, linear: u64): bool {
  const entry = <usize>load<u32>(cpu, VCPU_tlb) + tlbOffset(linear);
  return load<i64>(entry, TLB_ENTRY_executeTag) == (<i64>linear & ~4095);
}

function clearEntry(entry: usize): void {
  store<i64>(entry, TLB_EMPTY, TLB_ENTRY_readTag);
  store<i64>(entry, TLB_EMPTY, TLB_ENTRY_writeTag);
  store<i64>(entry, TLB_EMPTY, TLB_ENTRY_executeTag);
}

/** Empties the entries of one fill list that are still what the list is for. */
function flushList(cpu: usize, context: i32, list: i32): void {
  const base = contextBase(cpu, context);
  const counter = filledCounter(cpu, context, list);
  const first = filledList(cpu, context, list);
  const end = first + (<usize>load<u32>(counter) << 1);
  const listed: u32 = TLB_LISTED_LOCAL << list;
  for (let at = first; at < end; at += 2) {
    const entry = base + <usize>load<u16>(at) * TLB_ENTRY_SIZE;
    const flags = load<u32>(entry, TLB_ENTRY_flags);
    store<u32>(entry, flags & ~listed, TLB_ENTRY_flags);
    // A page of the other kind may have taken the entry: that one stands in the other list too.
    if (((flags & TLB_GLOBAL) != 0) == (list == GLOBAL)) clearEntry(entry);
  }
  store<u32>(counter, 0);
  forgetLarge(cpu, context, list);
}

export function flushTlb(cpu: usize, keepGlobal: i32): void {
  for (let context = 0; context < TLB_CONTEXTS; context++) {
    flushList(cpu, context, LOCAL);
    if (keepGlobal == 0) flushList(cpu, context, GLOBAL);
  }
  dropMappedLinks(cpu, keepGlobal);
}

/** Power-on: whatever the memory holds. */
export function resetTlb(cpu: usize): void {
  const end = contextBase(cpu, TLB_CONTEXTS);
  memory.fill(contextBase(cpu, 0), 0xff, end - contextBase(cpu, 0));
  for (let entry = contextBase(cpu, 0); entry < end; entry += TLB_ENTRY_SIZE) {
    store<u32>(entry, 0, TLB_ENTRY_flags);
  }
  memory.fill(cpu + TLB_NONE_OFFSET, 0xff, TLB_BYTES);
  memory.fill(cpu + VCPU_tlbFilled, 0, TLB_FILLED_LISTS * 4);
  memory.fill(cpu + VCPU_tlbLarge, 0, 16);
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
  dropPageLinks(cpu, linear);
  const offset = tlbOffset(linear);
  for (let context = 0; context < TLB_CONTEXTS; context++) {
    clearEntry(contextBase(cpu, context) + offset);
  }
  const half = linear >> 63;
  const large = load<u32>(largeBits(cpu, LOCAL, half)) | load<u32>(largeBits(cpu, GLOBAL, half));
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

/** Host address of the page that an entry lets writes to, or 0. */
// @ts-ignore: decorator
@inline function writtenPage(entry: usize): u32 {
  const tag = load<i64>(entry, TLB_ENTRY_writeTag);
  return tag == TLB_EMPTY ? 0 : <u32>tag + load<u32>(entry, TLB_ENTRY_addend);
}

/** Makes writes to the page of `gpa`, where code is about to run, miss in every context and at every linear address. */
export function dropWriteTags(cpu: usize, gpa: u32): void {
  const counter = writeTags(cpu, gpa);
  const tags = <u32>load<u8>(counter);
  if (tags == 0) return;
  const host = <u32>RAM_BASE + (gpa & ~4095);
  // Mostly it is written where it runs, and nowhere else.
  const offset = tlbOffset(load<u64>(cpu, VCPU_regs + REG_PAGE_RIP * 8) + segEffective(cpu, SEG_CS));
  let dropped: u32 = 0;
  for (let context = 0; context < TLB_CONTEXTS; context++) {
    const entry = contextBase(cpu, context) + offset;
    if (writtenPage(entry) != host) continue;
    store<i64>(entry, TLB_EMPTY, TLB_ENTRY_writeTag);
    dropped++;
  }
  if (dropped == tags && tags != ANY_NUMBER) {
    store<u8>(counter, 0);
    return;
  }
  let others: u32 = 0;
  for (let context = 0; context < TLB_CONTEXTS; context++) {
    const base = contextBase(cpu, context);
    for (let list = LOCAL; list <= GLOBAL; list++) {
      const first = filledList(cpu, context, list);
      const end = first + (<usize>load<u32>(filledCounter(cpu, context, list)) << 1);
      for (let at = first; at < end; at += 2) {
        const entry = base + <usize>load<u16>(at) * TLB_ENTRY_SIZE;
        const page = writtenPage(entry);
        if (page == host) store<i64>(entry, TLB_EMPTY, TLB_ENTRY_writeTag);
        else if (page != 0 && writeTags(cpu, page - RAM_BASE) == counter) others++;
      }
    }
  }
  store<u8>(counter, <u8>min<u32>(others, ANY_NUMBER));
}
