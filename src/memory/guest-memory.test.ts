import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { viewsOf } from '../base/views.ts';
import type { Views } from '../base/views.ts';
import { CODE_BITMAP_BASE, DIRTY_BITMAP_BASE, RAM_BASE } from '../layout/map.ts';
import { GuestMemory } from './guest-memory.ts';
import { isRam } from './physical-map.ts';

const RAM_BYTES = 0x200000;

describe('the physical map', () => {
  it.each([
    [0, 0xa0000, true],
    [0x9ffff, 2, false],
    [0xa0000, 1, false],
    [0xbffff, 1, false],
    [0xc0000, 4, true],
    [RAM_BYTES - 4, 4, true],
    [RAM_BYTES - 4, 5, false],
    [RAM_BYTES, 0, true],
    [RAM_BYTES, 1, false],
    [-1, 1, false],
    [0x1000, -1, false],
    [NaN, 1, false],
    [0, 2 ** 53, false],
  ])('says of %d, %d bytes: RAM is %s', (gpa, bytes, expected) => {
    expect(isRam(gpa, bytes, RAM_BYTES)).toBe(expected);
  });
});

describe('guest memory', () => {
  let views: Views;
  let memory: GuestMemory;
  let codeWrites: [gpa: number, bytes: number][];

  beforeAll(() => {
    views = viewsOf(new SharedArrayBuffer(RAM_BASE + RAM_BYTES));
  });

  beforeEach(() => {
    codeWrites = [];
    memory = new GuestMemory(views, RAM_BYTES, (gpa, bytes) => codeWrites.push([gpa, bytes]));
    views.u8.fill(0, CODE_BITMAP_BASE, CODE_BITMAP_BASE + 0x2000);
    views.u8.fill(0, DIRTY_BITMAP_BASE, DIRTY_BITMAP_BASE + 0x100);
  });

  it('reads what it wrote, little-endian, at any alignment', () => {
    expect(memory.writeU32(0x1001, 0xdeadbeef)).toBe(true);
    expect(memory.writeU64(0x1011, 0x89abcdef, 0x12345)).toBe(true);
    expect(memory.readU32(0x1001)).toBe(0xdeadbeef);
    expect(memory.readU16(0x1002)).toBe(0xadbe);
    expect(memory.readU8(0x1001)).toBe(0xef);
    expect(memory.readU64(0x1011)).toBe(0x1234589abcdef);
    expect([...memory.read(0x1001, 2)!]).toEqual([0xef, 0xbe]);
  });

  it('writes nothing of what does not fit', () => {
    memory.fill(RAM_BYTES - 4, 4, 0x55);
    expect(memory.write(RAM_BYTES - 2, Uint8Array.of(1, 2, 3))).toBe(false);
    expect(memory.writeU64(RAM_BYTES - 4, 0, 0)).toBe(false);
    expect(memory.readU32(RAM_BYTES - 4)).toBe(0x55555555);
    expect(memory.read(RAM_BYTES - 4, 5)).toBeUndefined();
  });

  it('publishes and loads aligned words only', () => {
    expect([memory.storeU16(0x1002, 0xbeef), memory.loadU16(0x1002), memory.isDirty(1)]).toEqual([
      true,
      0xbeef,
      true,
    ]);
    expect([memory.storeU16(0x1003, 1), memory.loadU16(0x1003)]).toEqual([false, undefined]);
    expect([memory.storeU16(RAM_BYTES, 1), memory.loadU16(RAM_BYTES)]).toEqual([false, undefined]);
  });

  it('marks every page that a write touches as dirty', () => {
    memory.write(0x2fff, new Uint8Array(0x1002));
    expect([1, 2, 3, 4, 5].map((page) => memory.isDirty(page))).toEqual([false, true, true, true, false]);
  });

  it('reports only writes to bytes that were decoded as code', () => {
    // Bytes 40h-7Fh and FC0h-FFFh of page 5.
    views.u32[(CODE_BITMAP_BASE >>> 2) + 5 * 2] = 1 << 1;
    views.u32[(CODE_BITMAP_BASE >>> 2) + 5 * 2 + 1] = 1 << 31;
    memory.writeU8(0x503f, 1);
    memory.writeU8(0x5080, 1);
    expect(codeWrites).toEqual([]);
    memory.writeU16(0x503f, 1);
    memory.writeU8(0x5fff, 1);
    memory.write(0x5f00, new Uint8Array(0x200));
    expect(codeWrites).toEqual([
      [0x503f, 2],
      [0x5fff, 1],
      [0x5f00, 0x100],
    ]);
  });

  it('accounts for what was written through a view', () => {
    views.u32[(CODE_BITMAP_BASE >>> 2) + 6 * 2] = 1;
    memory.wroteView(0x6000, 0x2000);
    memory.wroteView(RAM_BYTES, 1);
    expect([memory.isDirty(6), memory.isDirty(7), memory.isDirty(8)]).toEqual([true, true, false]);
    expect(codeWrites).toEqual([[0x6000, 0x1000]]);
  });

  it('accounts for a write in place even if the writer fails', () => {
    views.u32[(CODE_BITMAP_BASE >>> 2) + 6 * 2] = 1;
    const failing = () =>
      memory.writeInPlace(0x6000, 8, (target) => {
        target[0] = 1;
        throw new Error('disk');
      });
    expect(failing).toThrow('disk');
    expect(memory.isDirty(6)).toBe(true);
    expect(codeWrites).toEqual([[0x6000, 8]]);
  });
});
