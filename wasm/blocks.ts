/** Decoded blocks: their hashes, and what happens when the code below them changes (docs/core.md). */
import {
  BLOCK_DEAD,
  BLOCK_HASH_ENTRIES,
  BLOCK_HASH_OFFSET,
  BLOCK_SIZE,
  BLOCK_address,
  BLOCK_count,
  BLOCK_hashNext,
  BLOCK_mode,
  BLOCK_pageNext,
  BLOCK_region,
  HANDLER_LOOKUP,
  MACHINE_BASE,
  MACHINE_vcpuCount,
  PAGE_HASH_ENTRIES,
  PAGE_HASH_OFFSET,
  RECORD_SIZE,
  REGION_CACHE_ENTRIES,
  REGION_CACHE_OFFSET,
  REGION_CACHE_SIZE,
  REGION_CACHE_region,
  RECORD_handler,
  RETURNS,
  VCPU_arenaNext,
  VCPU_arenaStart,
  VCPU_countInvalidations,
  VCPU_returns,
} from './generated/layout';
import { count } from './cpu';
import { codeBits, codeMask } from './physical';
import { dropLinks } from './links';
import { dropWriteTags } from './tlb';

/** `blockHash` of src/layout/vcpu.ts. */
// @ts-ignore: decorator
@inline function blockBucket(cpu: usize, address: u32): usize {
  return cpu + BLOCK_HASH_OFFSET + ((address ^ (address >> 12)) & (BLOCK_HASH_ENTRIES - 1)) * 4;
}

// @ts-ignore: decorator
@inline function pageBucket(cpu: usize, address: u32): usize {
  return cpu + PAGE_HASH_OFFSET + ((address >> 12) & (PAGE_HASH_ENTRIES - 1)) * 4;
}

/**
 * The bytes [gpa, gpa + bytes) of one page are about to be decoded: sets their code bits and makes
 * this vCPU's writes to the page miss the TLB. A page that has a bit set never has a write tag.
 */
export function markCode(cpu: usize, gpa: u32, bytes: u32): void {
  const at = codeBits(gpa);
  // Other threads test and set bits of the same word.
  const before = atomic.or<u64>(at, codeMask(gpa, bytes));
  if (before == 0) dropWriteTags(cpu, gpa);
}

/** Links a finished block into the hashes and moves `arenaNext` behind it. */
export function insertBlock(cpu: usize, block: usize): void {
  const address = load<u32>(block, BLOCK_address);
  const hash = blockBucket(cpu, address);
  store<u32>(block, load<u32>(hash), BLOCK_hashNext);
  store<u32>(hash, <u32>block);
  const page = pageBucket(cpu, address);
  store<u32>(block, load<u32>(page), BLOCK_pageNext);
  store<u32>(page, <u32>block);
  const end = <u32>block + BLOCK_SIZE + (<u32>load<u16>(block, BLOCK_count) + 1) * RECORD_SIZE;
  if (load<u32>(cpu, VCPU_arenaNext) < end) store<u32>(cpu, end, VCPU_arenaNext);
}

function unlinkFromBlockHash(cpu: usize, block: usize): void {
  let link = blockBucket(cpu, load<u32>(block, BLOCK_address));
  for (;;) {
    const next = <usize>load<u32>(link);
    if (next == 0) return;
    if (next == block) {
      store<u32>(link, load<u32>(block, BLOCK_hashNext));
      return;
    }
    link = next + BLOCK_hashNext;
  }
}

// @ts-ignore: decorator
@inline export function regionCache(cpu: usize, address: u32): usize {
  return cpu + REGION_CACHE_OFFSET + ((address ^ (address >> 12)) & (REGION_CACHE_ENTRIES - 1)) * REGION_CACHE_SIZE;
}

function kill(cpu: usize, block: usize): void {
  store<u32>(block, BLOCK_DEAD, BLOCK_mode);
  if (load<u32>(block, BLOCK_region) != 0) dropLinks(cpu);
  store<u32>(block, 0, BLOCK_region);
  // Another address may have taken the entry; dropping that as well does no harm.
  store<u32>(regionCache(cpu, load<u32>(block, BLOCK_address)), 0, REGION_CACHE_region);
  const end = block + BLOCK_SIZE + (<usize>load<u16>(block, BLOCK_count)) * RECORD_SIZE;
  for (let record = block + BLOCK_SIZE; record < end; record += RECORD_SIZE) {
    store<u16>(record, HANDLER_LOOKUP, RECORD_handler);
  }
}

/** Forgets one block. Its code bits stay. */
export function dropBlock(cpu: usize, block: usize): void {
  unlinkFromBlockHash(cpu, block);
  let link = pageBucket(cpu, load<u32>(block, BLOCK_address));
  for (;;) {
    const next = <usize>load<u32>(link);
    if (next == 0) break;
    if (next == block) {
      store<u32>(link, load<u32>(block, BLOCK_pageNext));
      break;
    }
    link = next + BLOCK_pageNext;
  }
  kill(cpu, block);
}

/** Drops every block of one page and its code bits. */
export function invalidatePage(cpu: usize, gpa: u32): void {
  count(cpu, VCPU_countInvalidations);
  let link = pageBucket(cpu, gpa);
  for (;;) {
    const block = <usize>load<u32>(link);
    if (block == 0) break;
    if (((load<u32>(block, BLOCK_address) ^ gpa) & ~4095) == 0) {
      unlinkFromBlockHash(cpu, block);
      store<u32>(link, load<u32>(block, BLOCK_pageNext));
      kill(cpu, block);
    } else {
      link = block + BLOCK_pageNext;
    }
  }
  // With no block left, writes to the page may be filled into the TLB again.
  atomic.store<u64>(codeBits(gpa), 0);
}

/** Somebody wrote to [gpa, gpa + bytes), in any number of pages: drops the blocks of those whose code it hit. */
export function invalidateCode(cpu: usize, gpa: u32, bytes: u32): void {
  while (bytes != 0) {
    const inPage = min<u32>(4096 - (gpa & 4095), bytes);
    if ((atomic.load<u64>(codeBits(gpa)) & codeMask(gpa, inPage)) != 0) invalidatePage(cpu, gpa);
    gpa += inPage;
    bytes -= inPage;
  }
}

/** Forgets every block, and reuses the arena from its start: no block may be running. */
export function flushBlocks(cpu: usize): void {
  // Code bits that another vCPU's blocks rely on stay; too many only make writes slow.
  if (load<u32>(MACHINE_BASE, MACHINE_vcpuCount) <= 1) {
    const end = cpu + PAGE_HASH_OFFSET + PAGE_HASH_ENTRIES * 4;
    for (let bucket = cpu + PAGE_HASH_OFFSET; bucket < end; bucket += 4) {
      for (let block: usize = load<u32>(bucket); block != 0; block = load<u32>(block, BLOCK_pageNext)) {
        atomic.store<u64>(codeBits(load<u32>(block, BLOCK_address)), 0);
      }
    }
  }
  memory.fill(cpu + PAGE_HASH_OFFSET, 0, PAGE_HASH_ENTRIES * 4);
  memory.fill(cpu + BLOCK_HASH_OFFSET, 0, BLOCK_HASH_ENTRIES * 4);
  memory.fill(cpu + REGION_CACHE_OFFSET, 0, REGION_CACHE_ENTRIES * REGION_CACHE_SIZE);
  memory.fill(cpu + VCPU_returns, 0, RETURNS * 4);
  dropLinks(cpu);
  store<u32>(cpu, load<u32>(cpu, VCPU_arenaStart), VCPU_arenaNext);
}
