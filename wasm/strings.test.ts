import { beforeEach, describe, expect, it } from 'vitest';
import { STATUS_FAULT, STATUS_NEXT, STATUS_REPEAT } from '../src/layout/exits.ts';
import { REG_RAX, REG_RCX, REG_RDI, REG_RDX, REG_RSI, SEG_DS, SEG_ES } from '../src/layout/vcpu.ts';
import { P, RAM_BYTES, TestCore, W } from './testing/core.ts';

const PAGE = 0x4000_0000n;
const REP = 1;
const REPNE = 2;
const ADDRESS16 = 0;
const ADDRESS32 = 1;
const ADDRESS64 = 2;
const DF = 0x402;
let core: TestCore;

function point(source: number | bigint, target: number | bigint, count = 0): void {
  core.setReg(REG_RSI, source);
  core.setReg(REG_RDI, target);
  core.setReg(REG_RCX, count);
}

function registers(): bigint[] {
  return [core.reg(REG_RSI), core.reg(REG_RDI), core.reg(REG_RCX)];
}

function movs(bytes: number, addressSize = ADDRESS64): number {
  return core.call('movs', bytes, addressSize, SEG_DS);
}

function zeroFlag(): boolean {
  return (core.call64('materializeFlags') & 0x40n) !== 0n;
}

beforeEach(() => {
  core = new TestCore().longMode();
  core.set('budget', 100000);
  core.set('budgetStart', 100000);
});

describe('MOVS', () => {
  it('moves one element and steps both indices', () => {
    core.fill(0x300000, '1122334455667788');
    point(0x300000, 0x301000, 1);
    expect(movs(8)).toBe(STATUS_NEXT);
    expect(core.dump(0x301000, 8)).toBe('1122334455667788');
    expect(registers()).toEqual([0x300008n, 0x301008n, 0n]);
  });

  it('does nothing for a count of 0', () => {
    point(0, 0);
    expect(movs(8)).toBe(STATUS_NEXT);
    expect(registers()).toEqual([0n, 0n, 0n]);
  });

  it('copies runs across page ends, elements that straddle one included', () => {
    core.fill(0x300ff0, '000102030405060708090a0b0c0d0e0f1011121314151617');
    point(0x300ff0, 0x301ffd, 6);
    expect(movs(4)).toBe(STATUS_NEXT);
    expect(core.dump(0x301ffd, 24)).toBe('000102030405060708090a0b0c0d0e0f1011121314151617');
    expect(registers()).toEqual([0x301008n, 0x302015n, 0n]);
  });

  it.each([
    ['bytes one apart', 1, 1, 6, 'abcdab00', 'ababababababab'],
    ['bytes three apart', 1, 3, 6, 'abcdef00', 'abcdefabcdefabcdef'],
    ['dwords two bytes apart', 4, 2, 2, 'ab01cd02ef030405', 'ab01ab01cd02cd020405'],
  ])(
    'into an overlapping destination ahead repeats the pattern: %s',
    (_name, bytes, distance, count, start, expected) => {
      core.fill(0x300000, start);
      point(0x300000, 0x300000 + distance, count);
      movs(bytes);
      expect(core.dump(0x300000, expected.length / 2)).toBe(expected);
    },
  );

  it('with a distant overlap repeats whole pieces', () => {
    core.fill(0x300000, '11'.repeat(20) + '22'.repeat(20));
    point(0x300000, 0x300028, 100);
    movs(1);
    expect(core.dump(0x300000, 140)).toBe(('11'.repeat(20) + '22'.repeat(20)).repeat(4).slice(0, 280));
  });

  it('to a destination below copies as it was', () => {
    core.fill(0x300004, '0102030405060708090a0b0c');
    point(0x300004, 0x300000, 12);
    movs(1);
    expect(core.dump(0x300000, 12)).toBe('0102030405060708090a0b0c');
  });

  it('goes down with DF', () => {
    core.set('eflags', DF);
    core.fill(0x300ff8, '000102030405060708090a0b0c0d0e0f');
    point(0x301004, 0x302004, 4);
    movs(4);
    expect(core.dump(0x301ff8, 16)).toBe('000102030405060708090a0b0c0d0e0f');
    expect(registers()).toEqual([0x300ff4n, 0x301ff4n, 0n]);
  });

  it('with DF and an overlap behind repeats the pattern downwards', () => {
    core.set('eflags', DF);
    core.fill(0x300000, '0000000000000000000000aa');
    point(0x30000b, 0x30000a, 11);
    movs(1);
    expect(core.dump(0x300000, 12)).toBe('aa'.repeat(12));
  });

  it('stops exactly at a page that cannot be written', () => {
    core.map(PAGE, 0x345000n | P | W);
    core.fill(0x300000, '0102030405060708');
    point(0x300000, PAGE + 0xffcn, 8);
    expect(movs(1)).toBe(STATUS_FAULT);
    expect(core.fault()).toEqual({ vector: 14, error: 2 });
    expect(core.get('exceptionAddress')).toBe(PAGE + 0x1000n);
    expect(registers()).toEqual([0x300004n, PAGE + 0x1000n, 4n]);
    expect(core.dump(0x345ffc, 4)).toBe('01020304');
  });

  it('changes nothing when an element straddles into a missing page', () => {
    core.map(PAGE, 0x345000n | P | W);
    point(0x300000, PAGE + 0xffcn, 1);
    expect(movs(8)).toBe(STATUS_FAULT);
    expect(registers()).toEqual([0x300000n, PAGE + 0xffcn, 1n]);
  });

  it('gives the run loop a chance after 64 KiB and charges the budget, not the count', () => {
    point(0x300000, 0x400000, 0x20000);
    expect(movs(1)).toBe(STATUS_REPEAT);
    expect(core.reg(REG_RCX)).toBe(0x10000n);
    expect(core.get('budget')).toBe(100000n - 4096n);
    expect(core.get('budgetStart')).toBe(100000n - 4096n);
  });

  it('with 32-bit addresses clears the upper halves', () => {
    point(0xffff_ffff_0030_0000n, 0xffff_ffff_0030_1000n, 2);
    core.setReg(REG_RCX, 0xffff_ffff_0000_0002n);
    movs(1, ADDRESS32);
    expect(registers()).toEqual([0x300002n, 0x301002n, 0n]);
  });

  it('reads a device element by element', () => {
    core.map(PAGE, BigInt(RAM_BYTES) | P | W);
    core.device.set(RAM_BYTES, 0x11n);
    core.device.set(RAM_BYTES + 1, 0x22n);
    point(PAGE, 0x301000, 2);
    movs(1);
    expect(core.log).toEqual(['read 1000000 1', 'read 1000001 1']);
    expect(core.dump(0x301000, 2)).toBe('1122');
  });

  it('drops decoded code that it overwrites, and only then writes through', () => {
    core.call('markCode', 0x301000, 64);
    core.fill(0x300000, 'aabb');
    point(0x300000, 0x301000, 2);
    movs(1);
    expect(core.codeBits(0x301000)).toBe(0n);
    expect(core.dump(0x301000, 2)).toBe('aabb');
  });
});

describe('STOS', () => {
  it.each([
    [1, 5, 0xffn, 'ffffffffff'],
    [2, 3, 0x1234n, '341234123412'],
    [4, 2, 0x12345678n, '7856341278563412'],
    [8, 2, 0x1122334455667788n, '88776655443322118877665544332211'],
  ])('fills with %i-byte elements', (bytes, count, value, expected) => {
    core.setReg(REG_RAX, value);
    point(0, 0x300ffe, count);
    core.call('stos', bytes, ADDRESS64);
    expect(core.dump(0x300ffe, expected.length / 2)).toBe(expected);
    expect(core.reg(REG_RDI)).toBe(BigInt(0x300ffe + bytes * count));
  });

  it('goes down with DF', () => {
    core.set('eflags', DF);
    core.setReg(REG_RAX, 0x1234n);
    point(0, 0x300004, 2);
    core.call('stos', 2, ADDRESS64);
    expect(core.dump(0x300000, 8)).toBe('0000341234120000');
    expect(core.reg(REG_RDI)).toBe(0x300000n);
  });
});

describe('LODS', () => {
  it('loads EAX and clears the upper half', () => {
    core.setReg(REG_RAX, -1n);
    core.fill(0x300000, '11223344');
    point(0x300000, 0, 1);
    core.call('lods', 4, ADDRESS64, SEG_DS);
    expect(core.reg(REG_RAX)).toBe(0x44332211n);
  });

  it('loads AL and leaves the rest', () => {
    core.setReg(REG_RAX, 0x1234);
    core.fill(0x300000, '99');
    point(0x300000, 0, 1);
    core.call('lods', 1, ADDRESS64, SEG_DS);
    expect(core.reg(REG_RAX)).toBe(0x1299n);
  });
});

describe('CMPS and SCAS', () => {
  it('REPE CMPS stops behind the first difference, with its flags', () => {
    core.fill(0x300000, '0102030405');
    core.fill(0x301000, '0102090405');
    point(0x300000, 0x301000, 5);
    core.call('cmps', 1, REP, ADDRESS64, SEG_DS);
    expect(registers()).toEqual([0x300003n, 0x301003n, 2n]);
    expect(core.call64('materializeFlags') & 0x41n).toBe(1n);
  });

  it('REPE CMPS of equal strings ends with ZF and a count of 0', () => {
    core.fill(0x300ffe, '01020304');
    core.fill(0x301fff, '01020304');
    point(0x300ffe, 0x301fff, 4);
    core.call('cmps', 1, REP, ADDRESS64, SEG_DS);
    expect(core.reg(REG_RCX)).toBe(0n);
    expect(zeroFlag()).toBe(true);
  });

  it('REPNE SCASB finds the end of a string', () => {
    core.fill(0x300ffd, '414243444500');
    core.setReg(REG_RAX, 0);
    point(0, 0x300ffd, -1);
    core.setReg(REG_RCX, -1n);
    core.call('scas', 1, REPNE, ADDRESS64);
    expect(core.reg(REG_RCX)).toBe(BigInt.asUintN(64, -7n));
    expect(core.reg(REG_RDI)).toBe(0x301003n);
    expect(zeroFlag()).toBe(true);
  });

  it('leaves the flags alone for a count of 0', () => {
    core.set('flagKind', 0);
    core.set('flagA', 0x40);
    point(0, 0);
    core.call('cmps', 1, REP, ADDRESS64, SEG_DS);
    expect(zeroFlag()).toBe(true);
  });
});

describe('INS and OUTS', () => {
  it('check the destination before the port is read', () => {
    core.setReg(REG_RDX, 0x1f0);
    point(0, PAGE, 4);
    expect(core.call('ins', 2, REP, ADDRESS64, SEG_ES)).toBe(STATUS_FAULT);
    expect(core.log).toEqual([]);
  });

  it('move elements between port and memory', () => {
    core.setReg(REG_RDX, 0x1f0);
    core.fill(0x300000, '11223344');
    point(0x300000, 0, 2);
    core.call('outs', 2, REP, ADDRESS64, SEG_DS);
    expect(core.log).toEqual(['out 1f0 2 2211', 'out 1f0 2 4433']);
  });

  it('need IOPL or the bitmap', () => {
    core.userMode();
    core.setReg(REG_RDX, 0x1f0);
    point(0x300000, 0, 2);
    expect(core.call('outs', 2, REP, ADDRESS64, SEG_DS)).toBe(STATUS_FAULT);
    expect(core.fault()).toEqual({ vector: 13, error: 0 });
  });
});

describe('in 16-bit segments', () => {
  beforeEach(() => {
    core = new TestCore();
    core.setSegment(SEG_DS, 0x1000, 0x10000, 0xffff, 0x93);
    core.setSegment(SEG_ES, 0x2000, 0x20000, 0xffff, 0x93);
    core.call('updateMode');
  });

  it('indices wrap at 64 KiB', () => {
    core.fill(0x1fffe, 'aabb');
    core.fill(0x10000, 'ccdd');
    point(0xfffe, 0, 4);
    movs(1, ADDRESS16);
    expect(core.dump(0x20000, 4)).toBe('aabbccdd');
    expect(registers()).toEqual([2n, 4n, 0n]);
  });

  it('a limit stops a run where it is', () => {
    core.setSegment(SEG_ES, 0x2000, 0x20000, 0x1003, 0x93);
    core.call('updateMode');
    core.fill(0x10000, '0102030405060708');
    point(0, 0x1000, 8);
    expect(movs(1, ADDRESS16)).toBe(STATUS_FAULT);
    expect(core.fault()).toEqual({ vector: 13, error: 0 });
    expect(registers()).toEqual([4n, 0x1004n, 4n]);
  });
});
