import { beforeEach, describe, expect, it } from 'vitest';
import {
  JUMP_LINKS_OFFSET,
  RAM_BASE,
  REGION_CACHE_ENTRIES,
  REGION_CACHE_OFFSET,
  RETURN_LINKS_OFFSET,
} from '../src/layout/map.ts';
import { BLOCK, blockHash, LINK, REG_PAGE_RIP, REGION_CACHE } from '../src/layout/vcpu.ts';
import { CR4_PAE, CR4_PGE, G, P, TestCore, U, W } from './testing/core.ts';

const USER_PAGE = 0x4000_0000n;
const KERNEL_PAGE = 0xffff_8000_0010_0000n;
/** The code of both. */
const FRAME = 0x345000;
const ENTRY = 0x123n;
const REGION = 0x4502;

let core: TestCore;
let link: number;

/** Makes FRAME + ENTRY lead to REGION in the current mode. */
function translate(): void {
  const address = FRAME + Number(ENTRY);
  const index = blockHash(address) & (REGION_CACHE_ENTRIES - 1);
  const route = core.cpu + REGION_CACHE_OFFSET + index * REGION_CACHE.size;
  core.view.setUint32(route + REGION_CACHE.at.address, address, true);
  core.view.setUint32(route + REGION_CACHE.at.mode, Number(core.get('mode')), true);
  core.view.setUint32(route + REGION_CACHE.at.region, REGION, true);
}

/** Fetches from a page and links to it. */
function follow(page: bigint): number {
  expect(core.call('fetchSlow', page + ENTRY) >>> 0).toBe(RAM_BASE + FRAME + Number(ENTRY));
  translate();
  return core.call('findRegion', page + ENTRY, link);
}

/** Whether translated code would take the link to a page now. */
function isGood(page: bigint): boolean {
  return (
    core.view.getBigUint64(link + LINK.at.rip, true) === page + ENTRY &&
    BigInt(core.view.getUint32(link + LINK.at.links, true)) === core.get('links')
  );
}

beforeEach(() => {
  core = new TestCore().longMode();
  core.set('cr4', CR4_PAE | CR4_PGE);
  link = core.cpu + JUMP_LINKS_OFFSET;
  core.map(USER_PAGE, BigInt(FRAME) | P | W | U);
  core.map(KERNEL_PAGE, BigInt(FRAME) | P | W | G);
});

describe('findRegion', () => {
  it('gives the region, its page, and a link to both', () => {
    expect(follow(KERNEL_PAGE)).toBe(REGION);
    expect(core.get('regs', REG_PAGE_RIP)).toBe(KERNEL_PAGE);
    expect(core.view.getUint32(link + LINK.at.region, true)).toBe(REGION);
    expect(isGood(KERNEL_PAGE)).toBe(true);
  });

  it('notes nothing where there is no link', () => {
    follow(KERNEL_PAGE);
    expect(core.call('findRegion', KERNEL_PAGE + ENTRY, 0)).toBe(REGION);
    expect(core.view.getBigUint64(LINK.at.rip, true)).toBe(0n);
  });

  it('knows nothing of a page that was flushed', () => {
    follow(KERNEL_PAGE);
    core.call('invlpg', KERNEL_PAGE);
    expect(core.call('findRegion', KERNEL_PAGE + ENTRY, link)).toBe(0);
  });

  it('knows nothing of a page that was not fetched from', () => {
    translate();
    expect(core.call('findRegion', KERNEL_PAGE + ENTRY, link)).toBe(0);
    expect(isGood(KERNEL_PAGE)).toBe(false);
  });

  it('knows nothing of an address whose entry in the cache another one has', () => {
    follow(KERNEL_PAGE);
    const sameEntry = ENTRY ^ 0x10n;
    core.map(KERNEL_PAGE + 0x1000n, BigInt(FRAME ^ 0x10000) | P | W | G);
    core.call('fetchSlow', KERNEL_PAGE + 0x1000n);
    expect(core.call('findRegion', KERNEL_PAGE + 0x1000n + sameEntry, 0)).toBe(0);
  });

  it('knows nothing of what was translated for another mode', () => {
    follow(KERNEL_PAGE);
    core.protectedMode();
    core.set('linearMask', -1n);
    expect(core.call('findRegion', KERNEL_PAGE + ENTRY, 0)).toBe(0);
  });
});

describe('a link of the kernel', () => {
  it.each([
    ['a system call and the return from it', true, () => void core.userMode().kernelMode()],
    ['another address space', true, () => void core.call('writeControl', 3, core.get('cr3'))],
    ['a flush of a user page', true, () => void core.call('invlpg', USER_PAGE)],
    ['a flush of its page', false, () => void core.call('invlpg', KERNEL_PAGE)],
    ['a flush of all pages', false, () => void core.call('flushTlb', 0)],
    ['new translations', false, () => void core.call('dropLinks')],
    ['the end of all blocks', false, () => void core.call('flushBlocks')],
    ['a reset', false, () => void core.call('reset')],
  ])('after %s is good: %s', (_event, expected, event) => {
    follow(KERNEL_PAGE);
    event();
    expect(isGood(KERNEL_PAGE)).toBe(expected);
  });

  it('is no link of user code', () => {
    follow(KERNEL_PAGE);
    core.userMode();
    expect(isGood(KERNEL_PAGE)).toBe(false);
  });

  it('to a page that is not global ends with the address space', () => {
    core.map(KERNEL_PAGE, BigInt(FRAME) | P | W);
    follow(KERNEL_PAGE);
    core.call('writeControl', 3, core.get('cr3'));
    expect(isGood(KERNEL_PAGE)).toBe(false);
  });

  it('to a page in the lower half ends with any flush of one there', () => {
    core.map(USER_PAGE, BigInt(FRAME) | P | W | G);
    follow(USER_PAGE);
    core.call('invlpg', USER_PAGE + 0x10000n);
    expect(isGood(USER_PAGE)).toBe(false);
  });

  it('ends when a block that was translated is forgotten', () => {
    follow(KERNEL_PAGE);
    const block = Number(core.get('arenaNext'));
    core.call('markCode', FRAME, 16);
    core.view.setUint32(block + BLOCK.at.address, FRAME, true);
    core.view.setUint32(block + BLOCK.at.region, REGION, true);
    core.call('insertBlock', block);
    core.call('invalidateCode', FRAME, 1);
    expect(isGood(KERNEL_PAGE)).toBe(false);
  });
});

describe('a link of user code', () => {
  beforeEach(() => {
    core.userMode();
    follow(USER_PAGE);
  });

  it.each([
    ['a system call and the return from it', true, () => void core.kernelMode().userMode()],
    ['another address space', false, () => void core.call('flushTlb', 1)],
    ['a flush of another page', false, () => void core.kernelMode().call('invlpg', USER_PAGE + 0x10000n)],
    ['code of another mode', false, () => void core.userMode(0x1b).userMode()],
    ['new translations', false, () => void core.call('dropLinks')],
  ])('after %s is good: %s', (_event, expected, event) => {
    event();
    core.userMode();
    expect(isGood(USER_PAGE)).toBe(expected);
  });

  it('is no link of the kernel', () => {
    core.kernelMode();
    expect(isGood(USER_PAGE)).toBe(false);
  });
});

it.each([
  ['returns', RETURN_LINKS_OFFSET],
  ['jumps', JUMP_LINKS_OFFSET],
])('links of %s of the first time around are gone when the numbers begin anew', (_table, offset) => {
  link = core.cpu + offset;
  core.set('linksLast', 0);
  core.call('dropLinks');
  follow(KERNEL_PAGE);
  const number = core.get('links');
  core.set('linksLast', 0xffff_ffffn);
  core.call('dropLinks');
  expect(core.get('links')).toBe(number);
  expect(isGood(KERNEL_PAGE)).toBe(false);
});
