import { describe, expect, it } from 'vitest';
import {
  ARENA_BASE,
  BLOCK_HASH_ENTRIES,
  BLOCK_HASH_OFFSET,
  CODE_BITMAP_BASE,
  DIRTY_BITMAP_BASE,
  JOURNAL_BASE,
  JOURNAL_BYTES,
  MAX_RAM_BYTES,
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
  WRITE_TAGS_BASE,
  WRITE_TAGS_BYTES,
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
    ['the scratch block', SCRATCH_BLOCK_OFFSET + PAGE_SIZE, 'the region cache', REGION_CACHE_OFFSET],
    [
      'the region cache',
      REGION_CACHE_OFFSET + REGION_CACHE_ENTRIES * REGION_CACHE.size,
      'the empty TLB',
      TLB_NONE_OFFSET,
    ],
    ['the empty TLB', TLB_NONE_OFFSET + TLB_BYTES, 'the next vCPU', VCPU_STRIDE],
  ])('%s ends (%i) before %s begins (%i)', (_name, end, _next, start) => {
    expect(end).toBeLessThanOrEqual(start);
  });
});

it('the journals end before the code bitmap begins', () => {
  expect(JOURNAL_BASE + MAX_VCPUS * JOURNAL_BYTES).toBeLessThanOrEqual(CODE_BITMAP_BASE);
  expect(vcpuAddress(MAX_VCPUS)).toBeLessThanOrEqual(JOURNAL_BASE);
});

it('the counts of write tags cover all RAM and end before the arena begins', () => {
  expect(MAX_RAM_BYTES / PAGE_SIZE).toBeLessThanOrEqual(WRITE_TAGS_BYTES);
  expect(DIRTY_BITMAP_BASE + MAX_RAM_BYTES / PAGE_SIZE / 8).toBeLessThanOrEqual(WRITE_TAGS_BASE);
  expect(WRITE_TAGS_BASE + MAX_VCPUS * WRITE_TAGS_BYTES).toBeLessThanOrEqual(ARENA_BASE);
});
