import { describe, expect, it } from 'vitest';
import {
  ARENA_BASE,
  BLOCK_HASH_ENTRIES,
  BLOCK_HASH_OFFSET,
  CODE_BITMAP_BASE,
  DIRTY_BITMAP_BASE,
  JOURNAL_BASE,
  JOURNAL_BYTES,
  MAX_VCPUS,
  PAGE_HASH_ENTRIES,
  PAGE_HASH_OFFSET,
  PAGE_SIZE,
  REGION_CACHE_ENTRIES,
  REGION_CACHE_OFFSET,
  SCRATCH_BLOCK_OFFSET,
  TLB_BYTES,
  TLB_CONTEXTS,
  TLB_FILLED_BYTES,
  TLB_FILLED_LISTS,
  TLB_FILLED_OFFSET,
  TLB_NONE_OFFSET,
  TLB_OFFSET,
  vcpuAddress,
  WRITE_TAGS_ENTRIES,
  WRITE_TAGS_OFFSET,
  VCPU_STRIDE,
} from './map.ts';
import { REGION_CACHE, VCPU } from './vcpu.ts';

describe('the area of a vCPU', () => {
  it.each([
    ['VCPU', VCPU.size, 'the TLBs', TLB_OFFSET],
    ['the TLBs', TLB_OFFSET + TLB_CONTEXTS * TLB_BYTES, 'their fill lists', TLB_FILLED_OFFSET],
    [
      'the fill lists',
      TLB_FILLED_OFFSET + TLB_FILLED_LISTS * TLB_FILLED_BYTES,
      'the block hash',
      BLOCK_HASH_OFFSET,
    ],
    ['the block hash', BLOCK_HASH_OFFSET + BLOCK_HASH_ENTRIES * 4, 'the page hash', PAGE_HASH_OFFSET],
    ['the page hash', PAGE_HASH_OFFSET + PAGE_HASH_ENTRIES * 4, 'the scratch block', SCRATCH_BLOCK_OFFSET],
    ['the scratch block', SCRATCH_BLOCK_OFFSET + PAGE_SIZE, 'the empty TLB', TLB_NONE_OFFSET],
    ['the empty TLB', TLB_NONE_OFFSET + TLB_BYTES, 'the region cache', REGION_CACHE_OFFSET],
    [
      'the region cache',
      REGION_CACHE_OFFSET + REGION_CACHE_ENTRIES * REGION_CACHE.size,
      'the counts of write tags',
      WRITE_TAGS_OFFSET,
    ],
    ['the counts of write tags', WRITE_TAGS_OFFSET + WRITE_TAGS_ENTRIES, 'the next vCPU', VCPU_STRIDE],
  ])('%s ends (%i) before %s begins (%i)', (_name, end, _next, start) => {
    expect(end).toBeLessThanOrEqual(start);
  });
});

it('the vCPUs end before the code bitmap begins, and the journals lie between the dirty bitmap and the arena', () => {
  expect(vcpuAddress(MAX_VCPUS)).toBeLessThanOrEqual(CODE_BITMAP_BASE);
  // A bit for each page of 4 GiB.
  expect(DIRTY_BITMAP_BASE + 2 ** 20 / 8).toBeLessThanOrEqual(JOURNAL_BASE);
  expect(JOURNAL_BASE + MAX_VCPUS * JOURNAL_BYTES).toBeLessThanOrEqual(ARENA_BASE);
});
