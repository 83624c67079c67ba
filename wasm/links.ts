/**
 * Links: from an address straight to its translation (docs/jit.md, Links). They hold as long as the numbers in `VCPU.linksOf` stay what
 * they are, which change whenever an address may lead elsewhere: translations, mappings, mode. User code and the kernel have
 * a number each, so that a system call leaves both valid.
 */
import {
  JUMP_LINKS,
  JUMP_LINKS_OFFSET,
  LINKS_LOCAL,
  LINKS_LOW,
  LINK_SIZE,
  LINK_links,
  LINK_region,
  LINK_rip,
  RAM_BASE,
  REGION_CACHE_address,
  REGION_CACHE_mode,
  REGION_CACHE_region,
  REG_PAGE_RIP,
  RETURN_LINKS,
  RETURN_LINKS_OFFSET,
  SEG_CS,
  TLB_ENTRY_addend,
  TLB_ENTRY_executeTag,
  VCPU_linearMask,
  VCPU_links,
  VCPU_linksKernel,
  VCPU_linksLast,
  VCPU_linksMode,
  VCPU_linksOf,
  VCPU_mode,
  VCPU_tlb,
} from './generated/layout';
import { cpl, segEffective, setReg } from './cpu';
import { regionCache } from './blocks';
import { tlbOffset } from './tlb';

// Indices of `VCPU.linksOf`.
// @ts-ignore: decorator
@inline const USER: usize = 0;
// @ts-ignore: decorator
@inline const KERNEL: usize = 1;

// @ts-ignore: decorator
@inline function privilege(cpu: usize): usize {
  return cpl(cpu) == 3 ? USER : KERNEL;
}

function renew(cpu: usize, who: usize): void {
  let number = load<u32>(cpu, VCPU_linksLast) + 1;
  if (number == 0) {
    // Links of the first time around may still stand there.
    memory.fill(cpu + RETURN_LINKS_OFFSET, 0, RETURN_LINKS * LINK_SIZE);
    memory.fill(cpu + JUMP_LINKS_OFFSET, 0, JUMP_LINKS * LINK_SIZE);
    number = 1;
  }
  store<u32>(cpu, number, VCPU_linksLast);
  store<u32>(cpu + (who << 2), number, VCPU_linksOf);
  if (privilege(cpu) == who) store<u32>(cpu, number, VCPU_links);
}

/** Translations have changed. */
export function dropLinks(cpu: usize): void {
  renew(cpu, USER);
  renew(cpu, KERNEL);
}

/** `VCPU.links`, after CPL or the mode may have changed. */
export function updateLinks(cpu: usize): void {
  const who = privilege(cpu);
  const mode = load<u32>(cpu, VCPU_mode);
  if (load<u32>(cpu + (who << 2), VCPU_linksMode) != mode) {
    store<u32>(cpu + (who << 2), mode, VCPU_linksMode);
    renew(cpu, who);
  }
  store<u32>(cpu, load<u32>(cpu + (who << 2), VCPU_linksOf), VCPU_links);
}

/** The kernel may execute the page of `linear` from now on. */
export function noteKernelCode(cpu: usize, linear: u64, isGlobal: bool): void {
  const flags = (isGlobal ? 0 : LINKS_LOCAL) | (linear >> 63 == 0 ? LINKS_LOW : 0);
  store<u32>(cpu, load<u32>(cpu, VCPU_linksKernel) | flags, VCPU_linksKernel);
}

/** The TLB was flushed; `keepGlobal`: all but the global entries. */
export function dropMappedLinks(cpu: usize, keepGlobal: i32): void {
  renew(cpu, USER);
  const flags = load<u32>(cpu, VCPU_linksKernel);
  if (keepGlobal != 0 && (flags & LINKS_LOCAL) == 0) return;
  renew(cpu, KERNEL);
  store<u32>(cpu, keepGlobal != 0 ? flags & ~LINKS_LOCAL : 0, VCPU_linksKernel);
}

/** A page was flushed. */
export function dropPageLinks(cpu: usize, linear: u64): void {
  renew(cpu, USER);
  if (linear >> 63 != 0 || (load<u32>(cpu, VCPU_linksKernel) & LINKS_LOW) != 0) renew(cpu, KERNEL);
}

/** The translation that `rip` leads to in the current mode, as BLOCK.region, or 0; notes it in `link`, if that is not 0. */
export function findRegion(cpu: usize, rip: u64, link: usize): u32 {
  const linear = (rip + segEffective(cpu, SEG_CS)) & load<u64>(cpu, VCPU_linearMask);
  const entry = <usize>load<u32>(cpu, VCPU_tlb) + tlbOffset(linear);
  if (load<i64>(entry, TLB_ENTRY_executeTag) != (<i64>linear & ~4095)) return 0;
  const address = <u32>linear + load<u32>(entry, TLB_ENTRY_addend) - RAM_BASE;
  const route = regionCache(cpu, address);
  const region = load<u32>(route, REGION_CACHE_region);
  if (region == 0 || load<u32>(route, REGION_CACHE_address) != address) return 0;
  if (load<u32>(route, REGION_CACHE_mode) != load<u32>(cpu, VCPU_mode)) return 0;
  setReg(cpu, REG_PAGE_RIP, rip - (linear & 4095));
  if (link != 0) {
    store<u64>(link, rip, LINK_rip);
    store<u32>(link, load<u32>(cpu, VCPU_links), LINK_links);
    store<u32>(link, region, LINK_region);
  }
  return region;
}
