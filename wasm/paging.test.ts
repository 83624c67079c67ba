import { beforeEach, describe, expect, it } from 'vitest';
import { accessOf } from '../src/layout/access.ts';
import { RAM_BASE } from '../src/layout/map.ts';
import { SEG_DS, SEG_FS, SEG_SS } from '../src/layout/vcpu.ts';
import {
  A,
  CR0_PE,
  CR0_PG,
  CR0_WP,
  CR4_PAE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  D,
  G,
  NX,
  P,
  PAGE_TABLES,
  PF_I,
  PF_P,
  PF_RSVD,
  PF_U,
  PF_W,
  PS,
  RAM_BYTES,
  TestCore,
  U,
  W,
} from './testing/core.ts';

const PAGE = 0x4000_0000n;
let core: TestCore;

function read(linear: bigint, size = 8): number {
  return core.call('readSlow', linear, accessOf(size, SEG_DS)) >>> 0;
}

function write(linear: bigint, size = 8): number {
  return core.call('writeSlow', linear, accessOf(size, SEG_DS)) >>> 0;
}

describe('four-level paging', () => {
  beforeEach(() => {
    core = new TestCore().longMode();
  });

  it.each([
    ['a 4 KiB page', 1, 0x345000n | P | W, 0x345008],
    ['a 2 MiB page', 2, 0x600000n | P | W | PS, 0x600008],
    ['a 1 GiB page', 3, 0n | P | W | PS, 8],
  ])('translates through %s', (_name, level, entry, gpa) => {
    core.map(PAGE, entry, level);
    expect(read(PAGE + 8n)).toBe(RAM_BASE + gpa);
  });

  it('sets the accessed bit on every level for a read', () => {
    const leaf = core.map(PAGE, 0x345000n | P | W);
    read(PAGE);
    expect(core.read(leaf, 8)).toBe(0x345000n | P | W | A);
    expect(core.read(PAGE_TABLES, 8) & A).toBe(A);
  });

  it('sets the dirty bit only for a write', () => {
    const leaf = core.map(PAGE, 0x345000n | P | W);
    write(PAGE);
    expect(core.read(leaf, 8)).toBe(0x345000n | P | W | A | D);
  });

  it('marks the physical page dirty when a write is allowed', () => {
    core.map(PAGE, 0x345000n | P | W);
    write(PAGE);
    expect(core.isDirty(0x345000)).toBe(true);
  });

  it.each([
    ['a page that is not present', 0x345000n, 'read', 0],
    ['a write to one that is not present', 0x345000n, 'write', PF_W],
    ['a write to a read-only page under CR0.WP', 0x345000n | P, 'write', PF_P | PF_W],
    ['an address beyond the physical width', (1n << 40n) | P, 'read', PF_P | PF_RSVD],
  ] as const)('raises #PF for %s', (_name, entry, access, error) => {
    core.map(PAGE, entry);
    expect(access === 'read' ? read(PAGE) : write(PAGE)).toBe(0);
    expect(core.fault()).toEqual({ vector: 14, error });
    expect(core.get('exceptionAddress')).toBe(PAGE);
  });

  it.each([
    ['bit 7 of the top level', 4, 0x201000n | P | W | PS],
    ['low address bits of a 2 MiB page', 2, 0x602000n | P | W | PS],
    ['low address bits of a 1 GiB page', 3, 0x200000n | P | W | PS],
  ])('treats %s as reserved', (_name, level, entry) => {
    core.map(PAGE + 0x80_0000_0000n, entry, level);
    expect(read(PAGE + 0x80_0000_0000n)).toBe(0);
    expect(core.fault()).toEqual({ vector: 14, error: PF_P | PF_RSVD });
  });

  it('treats NX as reserved without EFER.NXE', () => {
    core.set('efer', 0x501);
    core.map(PAGE, 0x345000n | P | NX);
    read(PAGE);
    expect(core.fault()).toEqual({ vector: 14, error: PF_P | PF_RSVD });
  });

  it('lets the kernel write to a read-only page without CR0.WP', () => {
    core.set('cr0', CR0_PE | CR0_PG);
    core.map(PAGE, 0x345000n | P);
    expect(write(PAGE)).toBe(RAM_BASE + 0x345000);
  });

  it('does not fetch from a page with NX', () => {
    core.map(PAGE, 0x345000n | P | NX);
    expect(core.call('fetchSlow', PAGE)).toBe(0);
    expect(core.fault()).toEqual({ vector: 14, error: PF_P | PF_I });
  });

  it.each([
    ['a kernel page', 0x345000n | P | W, 'read', PF_P | PF_U],
    ['a read-only user page', 0x345000n | P | U, 'write', PF_P | PF_U | PF_W],
  ] as const)('refuses %s to a user access', (_name, entry, access, error) => {
    core.map(PAGE, entry);
    core.userMode();
    expect(access === 'read' ? read(PAGE) : write(PAGE)).toBe(0);
    expect(core.fault()).toEqual({ vector: 14, error });
  });

  it('does not let the kernel execute a user page under SMEP', () => {
    core.set('cr4', CR4_PAE | CR4_SMEP);
    core.map(PAGE, 0x345000n | P | U);
    expect(core.call('fetchSlow', PAGE)).toBe(0);
    expect(core.fault()).toEqual({ vector: 14, error: PF_P | PF_I });
  });

  it('does not let the kernel read a user page under SMAP', () => {
    core.set('cr4', CR4_PAE | CR4_SMAP);
    core.map(PAGE, 0x345000n | P | U);
    expect(read(PAGE)).toBe(0);
    expect(core.fault()).toEqual({ vector: 14, error: PF_P });
  });

  it('lets the kernel read a user page under SMAP after STAC, and no longer after CLAC', () => {
    core.set('cr4', CR4_PAE | CR4_SMAP);
    core.map(PAGE, 0x345000n | P | U);
    core.call('writeAc', 1);
    expect(read(PAGE)).toBe(RAM_BASE + 0x345000);
    core.call('writeAc', 0);
    expect(read(PAGE)).toBe(0);
  });

  it.each([
    [SEG_DS, 13],
    [SEG_SS, 12],
  ])('raises #GP or, through SS, #SS for a non-canonical address (segment %i)', (segment, vector) => {
    expect(core.call('readSlow', 0x8000_0000_0000n, accessOf(8, segment))).toBe(0);
    expect(core.fault()).toEqual({ vector, error: 0 });
  });

  it('raises #GP for an access that runs over the end of the lower half', () => {
    expect(read(0x7fff_ffff_fffcn)).toBe(0);
    expect(core.fault()).toEqual({ vector: 13, error: 0 });
  });

  it('reports a table outside RAM as an entry with reserved bits', () => {
    core.write(PAGE_TABLES, 8, 0x3000_0000n | P | W);
    core.call('flushTlb', 0);
    read(PAGE);
    expect(core.fault()).toEqual({ vector: 14, error: PF_P | PF_RSVD });
  });

  it('translates for tools without setting bits or faulting', () => {
    const leaf = core.map(PAGE, 0x345000n | P);
    expect(core.call('translateDebug', PAGE + 5n)).toBe(0x345005);
    expect(core.call('translateDebug', PAGE + 0x1000n)).toBe(-1);
    expect(core.read(leaf, 8)).toBe(0x345000n | P);
    expect(core.fault()).toBeUndefined();
  });
});

describe('legacy paging', () => {
  beforeEach(() => {
    core = new TestCore().protectedMode();
    core.set('cr3', PAGE_TABLES);
    core.set('cr0', CR0_PE | CR0_PG | CR0_WP);
    core.set('cr4', CR4_PSE);
  });

  it('walks two levels and sets their bits', () => {
    core.write(PAGE_TABLES + 4 * 256, 4, 0x201000n | P | W);
    core.write(0x201000 + 4 * 3, 4, 0x345000n | P | W);
    expect(write(0x40003008n)).toBe(RAM_BASE + 0x345008);
    expect(core.read(PAGE_TABLES + 4 * 256, 4)).toBe(0x201000n | P | W | A);
    expect(core.read(0x201000 + 4 * 3, 4)).toBe(0x345000n | P | W | A | D);
  });

  it('uses a 4 MiB page under CR4.PSE', () => {
    core.write(PAGE_TABLES + 4 * 256, 4, 0x800000n | P | W | PS);
    expect(read(0x40123456n)).toBe(RAM_BASE + 0x923456);
  });

  it('treats bit 21 of a 4 MiB page as reserved', () => {
    core.write(PAGE_TABLES + 4 * 256, 4, 0xa00000n | P | W | PS);
    read(0x40123456n);
    expect(core.fault()).toEqual({ vector: 14, error: PF_P | PF_RSVD });
  });

  it('combines the rights of both levels', () => {
    core.write(PAGE_TABLES + 4 * 256, 4, 0x201000n | P | U);
    core.write(0x201000, 4, 0x345000n | P | W | U);
    core.userMode(0x1b);
    expect(write(0x40000000n)).toBe(0);
    expect(core.fault()).toEqual({ vector: 14, error: PF_P | PF_W | PF_U });
  });

  it('walks three levels under CR4.PAE', () => {
    core.set('cr4', CR4_PAE);
    core.write(PAGE_TABLES + 8, 8, 0x201000n | P);
    core.write(0x201000, 8, 0x202000n | P | W);
    core.write(0x202000 + 8 * 3, 8, 0x345000n | P | W);
    expect(write(0x40003008n)).toBe(RAM_BASE + 0x345008);
    expect(core.read(PAGE_TABLES + 8, 8)).toBe(0x201000n | P);
    expect(core.read(0x202000 + 8 * 3, 8)).toBe(0x345000n | P | W | A | D);
  });

  it('treats R/W in a PAE page-directory-pointer entry as reserved', () => {
    core.set('cr4', CR4_PAE);
    core.write(PAGE_TABLES + 8, 8, 0x201000n | P | W);
    read(0x40003008n);
    expect(core.fault()).toEqual({ vector: 14, error: PF_P | PF_RSVD });
  });

  it('wraps linear addresses at 4 GiB', () => {
    core.set('cr0', CR0_PE);
    expect(core.call('readSlow', 0x1_0000_1000n, accessOf(8, SEG_FS)) >>> 0).toBe(RAM_BASE + 0x1000);
  });

  it('leaves out address bit 20 when A20 is masked', () => {
    core.set('cr0', CR0_PE);
    core.set('a20Mask', 0xffefffff);
    expect(read(0x101000n)).toBe(RAM_BASE + 0x1000);
  });
});

/** Fills the same entry again and again; each time adds to the fill list. */
function refill(linear: bigint, times: number): void {
  for (let i = 0; i < times; i++) {
    core.call('invlpg', linear);
    read(linear);
  }
}

describe('the TLB', () => {
  beforeEach(() => {
    core = new TestCore().longMode();
  });

  it('keeps a translation until it is flushed', () => {
    core.map(PAGE, 0x345000n | P | W);
    read(PAGE);
    core.map(PAGE, 0x346000n | P | W);
    expect(read(PAGE)).toBe(RAM_BASE + 0x345000);
    core.call('flushTlb', 0);
    expect(read(PAGE)).toBe(RAM_BASE + 0x346000);
  });

  it('drops one page at INVLPG', () => {
    core.map(PAGE, 0x345000n | P | W | G);
    read(PAGE);
    core.map(PAGE, 0x346000n | P | W | G);
    core.call('invlpg', PAGE);
    expect(read(PAGE)).toBe(RAM_BASE + 0x346000);
  });

  it.each([
    ['2 MiB', 2, 0x600000n, 0x123000n],
    ['1 GiB', 3, 0n, 0x723000n],
  ])('drops all pieces of a %s page at INVLPG of any address in it', (_name, level, page, offset) => {
    core.map(PAGE, page | P | W | PS | G, level);
    expect(read(PAGE + offset)).toBe(RAM_BASE + Number(page + offset));
    core.map(PAGE, 0n, level);
    core.call('invlpg', PAGE + 0x5000n);
    expect(read(PAGE + offset)).toBe(0);
  });

  it.each([
    ['keeps global pages', G, 0x345000],
    ['drops others', 0n, 0x346000],
  ])('%s over a write to CR3', (_name, flag, gpa) => {
    core.map(PAGE, 0x345000n | P | W | flag);
    read(PAGE);
    core.map(PAGE, 0x346000n | P | W | flag);
    core.call('writeControl', 3, BigInt(PAGE_TABLES));
    expect(read(PAGE)).toBe(RAM_BASE + gpa);
  });

  it('keeps global pages over a write to CR3 after its fill list has overflowed', () => {
    core.map(PAGE, 0x345000n | P | W | G);
    core.map(PAGE + 0x1000n, 0x345000n | P | W);
    read(PAGE);
    refill(PAGE + 0x1000n, 5000);
    core.map(PAGE, 0x346000n | P | W | G);
    core.map(PAGE + 0x1000n, 0x346000n | P | W);
    core.call('writeControl', 3, BigInt(PAGE_TABLES));
    expect(read(PAGE)).toBe(RAM_BASE + 0x345000);
    expect(read(PAGE + 0x1000n)).toBe(RAM_BASE + 0x346000);
  });

  it('does not let a user access profit from what the kernel has read', () => {
    core.map(PAGE, 0x345000n | P | W);
    read(PAGE);
    core.userMode();
    expect(read(PAGE)).toBe(0);
  });

  it('walks again for the first write, so that the dirty bit is set', () => {
    const leaf = core.map(PAGE, 0x345000n | P | W);
    read(PAGE);
    expect(core.read(leaf, 8) & D).toBe(0n);
    write(PAGE);
    expect(core.read(leaf, 8) & D).toBe(D);
  });

  it('never fills what is not RAM', () => {
    core.map(PAGE, BigInt(RAM_BYTES) | P | W);
    core.device.set(RAM_BYTES, 0x11n);
    read(PAGE, 4);
    read(PAGE, 4);
    expect(core.log).toEqual(['read 1000000 4', 'read 1000000 4']);
  });
});
