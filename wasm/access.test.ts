import { beforeEach, describe, expect, it } from 'vitest';
import { accessOf } from '../src/layout/access.ts';
import { ARENA_BASE, RAM_BASE } from '../src/layout/map.ts';
import {
  BLOCK,
  BLOCK_DEAD,
  BUDGET_USED_UP,
  blockHash,
  RECORD,
  REG_PAGE_RIP,
  SEG_DS,
  VCPU,
} from '../src/layout/vcpu.ts';
import { BLOCK_HASH_OFFSET } from '../src/layout/map.ts';
import { P, PF_P, PF_W, RAM_BYTES, TestCore, W } from './testing/core.ts';

const PAGE = 0x4000_0000n;
let core: TestCore;
let scratch: number;

beforeEach(() => {
  core = new TestCore().longMode();
  scratch = core.cpu + VCPU.at.scratch;
});

function read(linear: bigint, size: number): number {
  return core.call('readSlow', linear, accessOf(size, SEG_DS)) >>> 0;
}

function write(linear: bigint, size: number): number {
  return core.call('writeSlow', linear, accessOf(size, SEG_DS)) >>> 0;
}

describe('an access that crosses a page', () => {
  beforeEach(() => {
    core.map(PAGE, 0x345000n | P | W);
    core.map(PAGE + 0x1000n, 0x501000n | P | W);
  });

  it('reads both parts into the scratch', () => {
    core.fill(0x345ffd, '010203');
    core.fill(0x501000, '0405060708');
    expect(read(PAGE + 0xffdn, 8)).toBe(scratch);
    expect(core.view.getBigUint64(scratch, true)).toBe(0x0807060504030201n);
  });

  it('writes both parts at commitWrite and not before', () => {
    expect(write(PAGE + 0xffdn, 8)).toBe(scratch);
    core.view.setBigUint64(scratch, 0x8877665544332211n, true);
    expect(core.read(0x345ffd, 3)).toBe(0n);
    core.call('commitWrite', 0);
    expect(core.read(0x345ffd, 3)).toBe(0x332211n);
    expect(core.read(0x501000, 5)).toBe(0x8877665544n);
  });

  it('offers the present contents for a read-modify-write', () => {
    core.fill(0x345ffe, '0102');
    core.fill(0x501000, '0304');
    expect(core.call('rmwSlow', PAGE + 0xffen, accessOf(4, SEG_DS))).toBe(scratch);
    expect(core.view.getUint32(scratch, true)).toBe(0x04030201);
  });

  it('faults with the second page and W = 1 when only that one cannot be written', () => {
    core.map(PAGE + 0x1000n, 0x501000n | P);
    expect(core.call('rmwSlow', PAGE + 0xffdn, accessOf(8, SEG_DS))).toBe(0);
    expect(core.fault()).toEqual({ vector: 14, error: PF_P | PF_W });
    expect(core.get('exceptionAddress')).toBe(PAGE + 0x1000n);
  });

  it('faults with the address of the first byte when the first page is missing', () => {
    core.map(PAGE, 0n);
    expect(read(PAGE + 0xffdn, 8)).toBe(0);
    expect(core.get('exceptionAddress')).toBe(PAGE + 0xffdn);
  });
});

describe('RAM above 2 GiB', () => {
  it('is reached with unsigned host addresses, from the tables and from the TLB', () => {
    const gpa = 0xb000_0000;
    core.memory.grow((0xc000_0000 - core.memory.buffer.byteLength) / 65536);
    core.set('ramBytes', 0xc000_0000 - RAM_BASE);
    core.map(PAGE, BigInt(gpa) | P | W);
    expect([write(PAGE, 8), write(PAGE, 8), read(PAGE, 8)]).toEqual(Array(3).fill(RAM_BASE + gpa));
    expect(core.call('translateDebug', PAGE) >>> 0).toBe(gpa);
    expect(core.call('fetchSlow', PAGE) >>> 0).toBe(RAM_BASE + gpa);
  });
});

describe('memory-mapped devices', () => {
  beforeEach(() => {
    core.map(PAGE, BigInt(RAM_BYTES) | P | W);
    core.map(PAGE + 0x1000n, 0x345000n | P | W);
  });

  it('are read with the size of the access', () => {
    core.device.set(RAM_BYTES + 4, 0xaabbccddn);
    expect(read(PAGE + 4n, 4)).toBe(scratch);
    expect(core.view.getUint32(scratch, true)).toBe(0xaabbccdd);
    expect(core.log).toEqual(['read 1000004 4']);
  });

  it('are written at commitWrite', () => {
    expect(write(PAGE, 2)).toBe(scratch);
    core.view.setUint16(scratch, 0x1234, true);
    core.call('commitWrite', 0);
    expect(core.log).toEqual(['write 1000000 2 1234']);
  });

  it('see a 64-byte write as eight of 8 bytes', () => {
    write(PAGE, 64);
    core.view.setBigUint64(scratch + 8, 0x99n, true);
    core.call('commitWrite', 0);
    expect(core.log).toHaveLength(8);
    expect(core.log[1]).toBe('write 1000008 8 99');
  });

  it('give 16 bytes in two reads', () => {
    core.device.set(RAM_BYTES, 0x1111n);
    core.device.set(RAM_BYTES + 8, 0x2222n);
    read(PAGE, 16);
    expect(core.view.getBigUint64(scratch, true)).toBe(0x1111n);
    expect(core.view.getBigUint64(scratch + 8, true)).toBe(0x2222n);
  });

  it('share a crossing read with RAM', () => {
    core.device.set(RAM_BYTES + 0xffe, 0x2211n);
    core.fill(0x345000, '3344');
    read(PAGE + 0xffen, 4);
    expect(core.view.getUint32(scratch, true)).toBe(0x44332211);
  });

  it.each([
    ['the VGA hole', 0xa0000n, ['read a0000 4']],
    ['nothing above 4 GiB', 0x1_0000_0000n, []],
  ])('answer in %s', (_name, gpa, log) => {
    core.map(PAGE, gpa | P | W);
    read(PAGE, 4);
    expect(core.log).toEqual(log);
  });

  it('read as ones above 4 GiB', () => {
    core.map(PAGE, 0x1_0000_0000n | P | W);
    read(PAGE, 4);
    expect(core.view.getUint32(scratch, true)).toBe(0xffffffff);
  });

  it('make the interpreter return when they raise a line', () => {
    core.set('eflags', 0x202);
    core.set('budget', 500);
    core.set('budgetStart', 800);
    core.set('attention', 1);
    write(PAGE, 4);
    core.call('commitWrite', 0);
    expect(Number(BigInt.asIntN(32, core.get('budget')))).toBe(500 - BUDGET_USED_UP);
    expect(core.get('budgetStart')).toBe(800n);
  });
});

/** A block of `count` records with handlers 7 at the next free place of the arena, linked in. */
function addBlock(address: number, count: number): number {
  const block = Number(core.get('arenaNext'));
  core.view.setUint32(block + BLOCK.at.address, address, true);
  core.view.setUint32(block + BLOCK.at.mode, Number(core.get('mode')), true);
  core.view.setUint16(block + BLOCK.at.count, count, true);
  for (let i = 0; i <= count; i++) core.view.setUint16(block + BLOCK.size + i * RECORD.size, 7, true);
  core.call('markCode', address, 16);
  core.call('insertBlock', block);
  return block;
}

function handler(block: number, index: number): number {
  return core.view.getUint16(block + BLOCK.size + index * RECORD.size + RECORD.at.handler, true);
}

function blockAt(address: number): number {
  return core.view.getUint32(core.cpu + BLOCK_HASH_OFFSET + blockHash(address) * 4, true);
}

function writeAfterFlushes(flushes: number, pages: readonly bigint[]): void {
  for (let i = 0; i < flushes; i++) {
    core.call('flushTlb', 0);
    for (const page of pages) write(page, 8);
  }
}

describe('decoded code', () => {
  it('is found through the hash, and moves the arena on', () => {
    const block = addBlock(0x345010, 3);
    expect(blockAt(0x345010)).toBe(block);
    expect(core.get('arenaNext')).toBe(BigInt(ARENA_BASE + BLOCK.size + 4 * RECORD.size));
  });

  it('sets one bit for each 64 bytes that it covers', () => {
    core.call('markCode', 0x345030, 0x60);
    expect(core.codeBits(0x345000)).toBe(0b111n);
  });

  it('makes the next write miss a TLB that had the page', () => {
    core.map(PAGE, 0x345000n | P | W);
    write(PAGE, 8);
    addBlock(0x345010, 1);
    expect(write(PAGE + 0x10n, 8)).toBe(scratch);
  });

  it('makes the next write miss at every address that the page has', () => {
    core.map(PAGE, 0x345000n | P | W);
    core.map(PAGE + 0x9000n, 0x345000n | P | W);
    write(PAGE, 8);
    write(PAGE + 0x9000n, 8);
    addBlock(0x345010, 1);
    expect([write(PAGE + 0x10n, 8), write(PAGE + 0x9010n, 8)]).toEqual([scratch, scratch]);
  });

  it('makes the next write miss, whether it runs at that address or at another', () => {
    core.map(PAGE, 0x345000n | P | W);
    core.map(PAGE + 0x9000n, 0x345000n | P | W);
    write(PAGE, 8);
    write(PAGE + 0x9000n, 8);
    core.set('regs', PAGE + 0x9000n, REG_PAGE_RIP);
    addBlock(0x345010, 1);
    expect([write(PAGE + 0x10n, 8), write(PAGE + 0x9010n, 8)]).toEqual([scratch, scratch]);
  });

  it('makes the next write miss a TLB that has had the page hundreds of times', () => {
    core.map(PAGE, 0x345000n | P | W);
    core.map(PAGE + 0x9000n, 0x345000n | P | W);
    writeAfterFlushes(256, [PAGE, PAGE + 0x9000n]);
    core.set('regs', PAGE, REG_PAGE_RIP);
    addBlock(0x345010, 1);
    expect([write(PAGE + 0x10n, 8), write(PAGE + 0x9010n, 8)]).toEqual([scratch, scratch]);
  });

  it('lets a write beside it through', () => {
    core.map(PAGE, 0x345000n | P | W);
    const block = addBlock(0x345010, 1);
    expect(write(PAGE + 0x80n, 8)).toBe(RAM_BASE + 0x345080);
    expect(handler(block, 0)).toBe(7);
  });

  it('turns into look-ups in the whole page when a write hits it', () => {
    core.map(PAGE, 0x345000n | P | W);
    const hit = addBlock(0x345010, 2);
    const beside = addBlock(0x345800, 1);
    const elsewhere = addBlock(0x346000, 1);
    write(PAGE + 0x14n, 4);
    core.call('commitWrite', 0);
    expect([handler(hit, 0), handler(hit, 1), handler(beside, 0), handler(elsewhere, 0)]).toEqual([
      0, 0, 0, 7,
    ]);
    expect(core.view.getUint32(hit + BLOCK.at.mode, true)).toBe(BLOCK_DEAD);
    expect([blockAt(0x345010), blockAt(0x345800), blockAt(0x346000)]).toEqual([0, 0, elsewhere]);
    expect(core.codeBits(0x345000)).toBe(0n);
  });

  it('goes when a device has written over it', () => {
    const block = addBlock(0x345ff0, 1);
    core.call('invalidateCode', 0x340000, 0x8000);
    expect(handler(block, 0)).toBe(0);
  });

  it('stays when a device has written beside it', () => {
    const block = addBlock(0x345010, 1);
    core.call('invalidateCode', 0x345040, 64);
    expect(handler(block, 0)).toBe(7);
  });

  it('goes when the CPU sets an accessed bit in its bytes', () => {
    const leaf = core.map(PAGE, 0x345000n | P | W);
    const block = addBlock(leaf & ~63, 1);
    read(PAGE, 8);
    expect(handler(block, 0)).toBe(0);
  });

  it('is forgotten with the arena', () => {
    addBlock(0x345010, 1);
    core.call('flushBlocks');
    expect(blockAt(0x345010)).toBe(0);
    expect(core.codeBits(0x345000)).toBe(0n);
    expect(core.get('arenaNext')).toBe(BigInt(ARENA_BASE));
  });

  it('is fetched from RAM, and elsewhere reported with its gpa', () => {
    core.map(PAGE, BigInt(RAM_BYTES) | P);
    expect(core.call('fetchSlow', 0x345678n)).toBe(RAM_BASE + 0x345678);
    expect(core.call('fetchSlow', PAGE + 0x10n)).toBe(1);
    expect(core.get('exitArg0')).toBe(BigInt(RAM_BYTES + 0x10));
  });
});
