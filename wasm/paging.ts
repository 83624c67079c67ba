/**
 * Page translation: AMD64 APM vol. 2, chapter 5. A walk returns the page's physical address with
 * PAGE_* in its low bits; it checks rights, sets accessed and dirty bits and raises #PF.
 */
import {
  CR0_PG,
  CR0_WP,
  CR4_PAE,
  CR4_PGE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  EFER_LMA,
  EFER_NXE,
  FLAG_AC,
  PHYSICAL_ADDRESS_BITS,
} from './generated/layout';
import { a20, cr0, cr4, efer, eflags, raisePageFault } from './cpu';
import { noteWrite } from './journal';
import { inRam, ramHost, wrote } from './physical';
import { VCPU_cr3 } from './generated/layout';

// Bits of a #PF error code (APM vol. 2, 8.4.2); those of an access have the same place.
// @ts-ignore: decorator
@inline export const PF_PRESENT: u32 = 1;
// @ts-ignore: decorator
@inline export const PF_RESERVED: u32 = 8;
// @ts-ignore: decorator
@inline export const ACCESS_WRITE: u32 = 2;
// @ts-ignore: decorator
@inline export const ACCESS_USER: u32 = 4;
// @ts-ignore: decorator
@inline export const ACCESS_FETCH: u32 = 16;
/** The CPU reads its own tables (GDT, IDT, TSS): a supervisor access at any CPL. */
// @ts-ignore: decorator
@inline export const ACCESS_SYSTEM: u32 = 32;
/** Linear addresses have 32 bits: everywhere but in 64-bit mode and for tables in long mode. */
// @ts-ignore: decorator
@inline export const ACCESS_WRAP32: u32 = 64;
/** For tools: raises nothing, sets no bit, asks for no right. */
// @ts-ignore: decorator
@inline export const ACCESS_DEBUG: u32 = 128;
/** Misaligned accesses raise #AC. */
// @ts-ignore: decorator
@inline export const ACCESS_ALIGNED: u32 = 256;
/** Breakpoints on data are enabled: the access is compared with them. */
// @ts-ignore: decorator
@inline export const ACCESS_WATCHED: u32 = 512;

/** The access that was asked for may be filled for writing: right and dirty bit are there. */
// @ts-ignore: decorator
@inline export const PAGE_WRITABLE: i64 = 1;
// @ts-ignore: decorator
@inline export const PAGE_GLOBAL: i64 = 2;
/** The entry maps 2 or 4 MiB, or 1 GiB. */
// @ts-ignore: decorator
@inline export const PAGE_LARGE: i64 = 4;
// @ts-ignore: decorator
@inline export const PAGE_HUGE: i64 = 8;
// @ts-ignore: decorator
@inline export const WALK_FAULT: i64 = -1;
/** Another CPU has changed an entry that was being updated. */
// @ts-ignore: decorator
@inline const WALK_AGAIN: i64 = -2;

// Bits of an entry: APM vol. 2, 5.4.1.
// @ts-ignore: decorator
@inline const ENTRY_PRESENT: u64 = 1;
// @ts-ignore: decorator
@inline const ENTRY_WRITE: u64 = 2;
// @ts-ignore: decorator
@inline const ENTRY_USER: u64 = 4;
// @ts-ignore: decorator
@inline const ENTRY_ACCESSED: u64 = 0x20;
// @ts-ignore: decorator
@inline const ENTRY_DIRTY: u64 = 0x40;
// @ts-ignore: decorator
@inline const ENTRY_LARGE: u64 = 0x80;
// @ts-ignore: decorator
@inline const ENTRY_GLOBAL: u64 = 0x100;
// @ts-ignore: decorator
@inline const ENTRY_NX: u64 = 1 << 63;
// @ts-ignore: decorator
@inline const ENTRY_ADDRESS: u64 = 0x000ffffffffff000;
// @ts-ignore: decorator
@inline const ENTRY_AVAILABLE_HIGH: u64 = 0x7ff0000000000000;

/** Address bits that this CPU's physical addresses do not have. */
// @ts-ignore: decorator
@inline export const PHYSICAL_RESERVED: u64 =
  0x000fffffffffffff & ~((<u64>1 << PHYSICAL_ADDRESS_BITS) - 1);

function fault(cpu: usize, linear: u64, access: u32, code: u32): i64 {
  if ((access & ACCESS_DEBUG) == 0) {
    let error = code | (access & (ACCESS_WRITE | ACCESS_USER));
    if ((access & ACCESS_FETCH) != 0) {
      const nx = (efer(cpu) & EFER_NXE) != 0 && (cr4(cpu) & CR4_PAE) != 0;
      if (nx || (cr4(cpu) & CR4_SMEP) != 0) error |= ACCESS_FETCH;
    }
    raisePageFault(cpu, linear, error);
  }
  return WALK_FAULT;
}

/** Whether `rights` (the AND of R/W and U/S on the way down, ENTRY_NX as found) allow the access. */
function permits(cpu: usize, rights: u64, access: u32): bool {
  if ((access & ACCESS_FETCH) != 0 && (rights & ENTRY_NX) != 0) return false;
  if ((access & ACCESS_USER) != 0) {
    return (rights & ENTRY_USER) != 0 && ((access & ACCESS_WRITE) == 0 || (rights & ENTRY_WRITE) != 0);
  }
  if ((rights & ENTRY_USER) != 0) {
    if ((access & ACCESS_FETCH) != 0) {
      if ((cr4(cpu) & CR4_SMEP) != 0) return false;
    } else if ((cr4(cpu) & CR4_SMAP) != 0) {
      if ((access & ACCESS_SYSTEM) != 0 || (eflags(cpu) & FLAG_AC) == 0) return false;
    }
  }
  if ((access & ACCESS_WRITE) == 0) return true;
  return (rights & ENTRY_WRITE) != 0 || (cr0(cpu) & CR0_WP) == 0;
}

/** What a leaf gives: its page, and whether it may be filled for writing and as global. */
function leaf(cpu: usize, page: u64, entry: u64, rights: u64, access: u32): i64 {
  let result = page & ENTRY_ADDRESS;
  if ((entry & ENTRY_DIRTY) != 0 && (access & ACCESS_FETCH) == 0) {
    if (permits(cpu, rights, access | ACCESS_WRITE)) result |= PAGE_WRITABLE;
  }
  if ((entry & ENTRY_GLOBAL) != 0 && (cr4(cpu) & CR4_PGE) != 0) result |= PAGE_GLOBAL;
  return <i64>result;
}

// @ts-ignore: decorator
@inline function leafBits(access: u32): u64 {
  return (access & ACCESS_WRITE) != 0 ? ENTRY_ACCESSED | ENTRY_DIRTY : ENTRY_ACCESSED;
}

/**
 * Sets bits of an entry unless it has changed since it was read: another CPU's change must neither
 * be lost nor be used unchecked, so the walk then starts again.
 */
function update64(cpu: usize, gpa: u64, entry: u64, bits: u64): bool {
  if ((entry & bits) == bits) return true;
  noteWrite(cpu, ramHost(gpa), 8);
  if (atomic.cmpxchg<u64>(ramHost(gpa), entry, entry | bits) != entry) return false;
  wrote(cpu, <u32>gpa, 8);
  return true;
}

function update32(cpu: usize, gpa: u64, entry: u32, bits: u32): bool {
  if ((entry & bits) == bits) return true;
  noteWrite(cpu, ramHost(gpa), 4);
  if (atomic.cmpxchg<u32>(ramHost(gpa), entry, entry | bits) != entry) return false;
  wrote(cpu, <u32>gpa, 4);
  return true;
}

/** Four levels in long mode (APM vol. 2, 5.3), three in legacy PAE paging (5.2.3). */
function walk64(cpu: usize, linear: u64, access: u32): i64 {
  const long = (efer(cpu) & EFER_LMA) != 0;
  const reservedAlways =
    PHYSICAL_RESERVED |
    ((efer(cpu) & EFER_NXE) != 0 ? 0 : ENTRY_NX) |
    (long ? 0 : ENTRY_AVAILABLE_HIGH);
  let table = load<u64>(cpu, VCPU_cr3) & (long ? ENTRY_ADDRESS : 0xffffffe0);
  let rights = ENTRY_WRITE | ENTRY_USER;
  for (let shift: u64 = long ? 39 : 30; ; shift -= 9) {
    const gpa = a20(cpu, table + (((linear >> shift) & (long || shift != 30 ? 511 : 3)) << 3));
    // Where there is no memory the bus reads all ones: present, reserved bits set.
    if (!inRam(cpu, gpa)) return fault(cpu, linear, access, PF_PRESENT | PF_RESERVED);
    const entry = atomic.load<u64>(ramHost(gpa));
    if ((entry & ENTRY_PRESENT) == 0) return fault(cpu, linear, access, 0);

    if (!long && shift == 30) {
      // A legacy page-directory-pointer entry has no rights and no accessed bit.
      if ((entry & (PHYSICAL_RESERVED | ENTRY_NX | ENTRY_AVAILABLE_HIGH | 0x1e6)) != 0) {
        return fault(cpu, linear, access, PF_PRESENT | PF_RESERVED);
      }
      table = entry & ENTRY_ADDRESS;
      continue;
    }
    let reserved = reservedAlways;
    const isLeaf = shift == 12 || (shift <= 30 && (entry & ENTRY_LARGE) != 0);
    if (shift == 39) reserved |= ENTRY_LARGE;
    // Bit 12 of a large page's entry is PAT.
    else if (isLeaf && shift != 12) reserved |= (((<u64>1) << shift) - 1) & ~0x1fff;
    if ((entry & reserved) != 0) return fault(cpu, linear, access, PF_PRESENT | PF_RESERVED);
    rights = (rights & entry) | ((rights | entry) & ENTRY_NX);

    if (!isLeaf) {
      if ((access & ACCESS_DEBUG) == 0 && !update64(cpu, gpa, entry, ENTRY_ACCESSED)) return WALK_AGAIN;
      table = entry & ENTRY_ADDRESS;
      continue;
    }
    const offsetMask = ((<u64>1) << shift) - 1;
    const page = (entry & ENTRY_ADDRESS & ~offsetMask) | (linear & offsetMask);
    if ((access & ACCESS_DEBUG) != 0) return <i64>(page & ~4095);
    if (!permits(cpu, rights, access)) return fault(cpu, linear, access, PF_PRESENT);
    const bits = leafBits(access);
    if (!update64(cpu, gpa, entry, bits)) return WALK_AGAIN;
    const size = shift == 12 ? 0 : shift == 21 ? PAGE_LARGE : PAGE_HUGE;
    return leaf(cpu, page, entry | bits, rights, access) | size;
  }
}

/** Two levels of 32-bit entries, 4 MiB pages with PSE-36: APM vol. 2, 5.2.1 and 5.2.2. */
function walk32(cpu: usize, linear: u64, access: u32): i64 {
  const directory = a20(cpu, (<u64>load<u32>(cpu, VCPU_cr3) & 0xfffff000) | ((linear >> 20) & 0xffc));
  if (!inRam(cpu, directory)) return fault(cpu, linear, access, PF_PRESENT | PF_RESERVED);
  const upper = atomic.load<u32>(ramHost(directory));
  if ((upper & <u32>ENTRY_PRESENT) == 0) return fault(cpu, linear, access, 0);
  if ((upper & <u32>ENTRY_LARGE) != 0 && (cr4(cpu) & CR4_PSE) != 0) {
    if ((upper & (1 << 21)) != 0) return fault(cpu, linear, access, PF_PRESENT | PF_RESERVED);
    const page =
      (<u64>(upper & 0xffc00000) | (<u64>(upper & 0x1fe000) << 19)) | (linear & 0x3fffff);
    if ((access & ACCESS_DEBUG) != 0) return <i64>(page & ~4095);
    if (!permits(cpu, upper & 6, access)) return fault(cpu, linear, access, PF_PRESENT);
    const bits = leafBits(access);
    if (!update32(cpu, directory, upper, <u32>bits)) return WALK_AGAIN;
    return leaf(cpu, page, upper | bits, upper & 6, access) | PAGE_LARGE;
  }
  if ((access & ACCESS_DEBUG) == 0 && !update32(cpu, directory, upper, <u32>ENTRY_ACCESSED)) {
    return WALK_AGAIN;
  }
  const table = a20(cpu, <u64>(upper & 0xfffff000) | ((linear >> 10) & 0xffc));
  if (!inRam(cpu, table)) return fault(cpu, linear, access, PF_PRESENT | PF_RESERVED);
  const entry = atomic.load<u32>(ramHost(table));
  if ((entry & <u32>ENTRY_PRESENT) == 0) return fault(cpu, linear, access, 0);
  if ((access & ACCESS_DEBUG) != 0) return <i64>(entry & 0xfffff000);
  const rights = <u64>(upper & entry & 6);
  if (!permits(cpu, rights, access)) return fault(cpu, linear, access, PF_PRESENT);
  const bits = leafBits(access);
  if (!update32(cpu, table, entry, <u32>bits)) return WALK_AGAIN;
  return leaf(cpu, <u64>(entry & 0xfffff000), entry | bits, rights, access);
}

/** The physical page of `linear` (which is canonical) with PAGE_* bits, or WALK_FAULT. */
export function walk(cpu: usize, linear: u64, access: u32): i64 {
  if ((cr0(cpu) & CR0_PG) == 0) return <i64>(linear & 0xfffff000) | PAGE_WRITABLE;
  let page: i64;
  do {
    page = (cr4(cpu) & CR4_PAE) != 0 ? walk64(cpu, linear, access) : walk32(cpu, linear, access);
  } while (page == WALK_AGAIN);
  return page;
}

/**
 * MOV CR3 and CR0 under legacy PAE paging: #GP if a present one of the four
 * page-directory-pointer entries has a reserved bit set.
 */
export function pdpteReservedBits(cpu: usize, cr3: u64): bool {
  for (let index: u64 = 0; index < 4; index++) {
    const gpa = a20(cpu, (cr3 & 0xffffffe0) + (index << 3));
    if (!inRam(cpu, gpa)) continue;
    const entry = load<u64>(ramHost(gpa));
    if ((entry & ENTRY_PRESENT) == 0) continue;
    if ((entry & (PHYSICAL_RESERVED | ENTRY_NX | ENTRY_AVAILABLE_HIGH | 0x1e6)) != 0) return true;
  }
  return false;
}
