/** The borders of what a repeated string instruction does many bytes at a time. What is expected comes element by element. */
import { beforeEach, describe, expect, it } from 'vitest';
import { STATUS_FAULT, STATUS_NEXT } from '../src/layout/exits.ts';
import { REG_RAX, REG_RCX, REG_RDI, REG_RSI, SEG_DS, SEG_ES, SEG_FS } from '../src/layout/vcpu.ts';
import { P, RAM_BYTES, TestCore, W } from './testing/core.ts';

const FROM = 0x300100;
const TO = 0x302100;
const PAGE = 0x4000_0000n;
const REPE = 1;
const REPNE = 2;
const ADDRESS16 = 0;
const ADDRESS32 = 1;
const ADDRESS64 = 2;
/** Around each size for which there is a way of its own, and some pages. */
const SPANS = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 112, 200, 5000];
let core: TestCore;

/** Bytes of which no two neighbours, words or dwords are alike. */
function noise(bytes: number): Buffer {
  return Buffer.from(Array.from({ length: bytes }, (_, i) => (i * 167 + (i >> 8) * 29 + 11) & 0xff));
}

function put(gpa: number, bytes: Uint8Array): void {
  core.fill(gpa, Buffer.from(bytes).toString('hex'));
}

function point(source: number | bigint, target: number | bigint, count: number): void {
  core.setReg(REG_RSI, source);
  core.setReg(REG_RDI, target);
  core.setReg(REG_RCX, count);
}

function registers(): bigint[] {
  return [core.reg(REG_RSI), core.reg(REG_RDI), core.reg(REG_RCX)];
}

/** `bytes` from `before` moved to `distance` ahead one element after the other. */
function movedOneByOne(before: Uint8Array, distance: number, bytes: number, span: number): string {
  const memory = Uint8Array.from(before);
  for (let at = 0; at < span; at += bytes) {
    memory.copyWithin(Math.max(distance, 0) + at, Math.max(-distance, 0) + at, Math.max(-distance, 0) + at + bytes);
  }
  return Buffer.from(memory).toString('hex');
}

beforeEach(() => {
  core = new TestCore().longMode();
  core.set('budget', 100000);
  core.set('budgetStart', 100000);
});

describe('MOVS', () => {
  it.each(SPANS)('of %i bytes copies these and no others', (span) => {
    put(FROM, noise(span + 16));
    put(TO - 16, new Uint8Array(span + 32).fill(0xee));
    point(FROM, TO, span);
    expect(core.call('movs', 1, ADDRESS64, SEG_DS)).toBe(STATUS_NEXT);
    const copied = noise(span).toString('hex');
    expect(core.dump(TO - 16, span + 32)).toBe('ee'.repeat(16) + copied + 'ee'.repeat(16));
    expect(registers()).toEqual([BigInt(FROM + span), BigInt(TO + span), 0n]);
  });

  it.each([1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 199])(
    'of bytes to %i bytes ahead repeats them',
    (distance) => {
      put(FROM, noise(400));
      point(FROM, FROM + distance, 200);
      core.call('movs', 1, ADDRESS64, SEG_DS);
      expect(core.dump(FROM, 400)).toBe(movedOneByOne(noise(400), distance, 1, 200));
    },
  );

  it.each([
    [2, 1],
    [2, 3],
    [4, 1],
    [4, 2],
    [4, 6],
    [8, 4],
    [8, 12],
    [8, 33],
  ])('of %i-byte elements to %i bytes ahead repeats them', (bytes, distance) => {
    put(FROM, noise(400));
    point(FROM, FROM + distance, 160 / bytes);
    core.call('movs', bytes, ADDRESS64, SEG_DS);
    expect(core.dump(FROM, 400)).toBe(movedOneByOne(noise(400), distance, bytes, 160));
  });

  it.each(SPANS.filter((span) => span < 1000))('of %i bytes to one byte below moves them as they were', (span) => {
    put(FROM, noise(span + 8));
    point(FROM + 1, FROM, span);
    core.call('movs', 1, ADDRESS64, SEG_DS);
    expect(core.dump(FROM, span + 8)).toBe(movedOneByOne(noise(span + 8), -1, 1, span));
  });

  it('repeats where the two ends only meet in physical memory', () => {
    core.map(PAGE, BigInt(FROM & ~0xfff) | P | W);
    put(FROM, noise(100));
    point(FROM, PAGE + BigInt(FROM & 0xfff) + 3n, 60);
    core.call('movs', 1, ADDRESS64, SEG_DS);
    expect(core.dump(FROM, 100)).toBe(movedOneByOne(noise(100), 3, 1, 60));
  });

  it('drops code that was decoded after an earlier run had opened the page for writing', () => {
    point(FROM, TO, 8);
    core.call('movs', 8, ADDRESS64, SEG_DS);
    core.call('markCode', TO, 64);
    point(FROM, TO, 8);
    core.call('movs', 8, ADDRESS64, SEG_DS);
    expect(core.codeBits(TO)).toBe(0n);
  });

  it('makes the page that it writes dirty', () => {
    point(FROM, TO, 8);
    core.call('movs', 8, ADDRESS64, SEG_DS);
    expect(core.isDirty(TO)).toBe(true);
    expect(core.isDirty(FROM)).toBe(false);
  });

  it('goes on into a device behind RAM element by element', () => {
    core.map(PAGE, BigInt(TO & ~0xfff) | P | W);
    core.map(PAGE + 0x1000n, BigInt(RAM_BYTES) | P | W);
    core.fill(FROM, '0102030405060708' + '11121314' + '21222324' + '31323334');
    point(FROM, PAGE + 0xff8n, 5);
    core.call('movs', 4, ADDRESS64, SEG_DS);
    expect(core.dump((TO & ~0xfff) + 0xff8, 8)).toBe('0102030405060708');
    expect(core.log).toEqual(['write 1000000 4 14131211', 'write 1000004 4 24232221', 'write 1000008 4 34333231']);
  });

  it('stops where the source ends, with everything before it moved', () => {
    core.map(PAGE, BigInt(FROM & ~0xfff) | P | W);
    put((FROM & ~0xfff) + 0xff0, noise(16));
    point(PAGE + 0xff0n, TO, 10);
    expect(core.call('movs', 4, ADDRESS64, SEG_DS)).toBe(STATUS_FAULT);
    expect(core.fault()).toEqual({ vector: 14, error: 0 });
    expect(registers()).toEqual([PAGE + 0x1000n, BigInt(TO + 16), 6n]);
    expect(core.dump(TO, 16)).toBe(noise(16).toString('hex'));
  });

  it('with 32-bit addresses wraps at 4 GiB', () => {
    core.map(0xffff_f000n, BigInt(FROM & ~0xfff) | P | W);
    core.fill((FROM & ~0xfff) + 0xffe, 'aabb');
    core.fill(0, 'ccdd');
    point(0xffff_fffe, TO, 4);
    core.call('movs', 1, ADDRESS32, SEG_DS);
    expect(core.dump(TO, 4)).toBe('aabbccdd');
    expect(registers()).toEqual([2n, BigInt(TO + 4), 0n]);
  });

  it('adds the base of FS to the source only, and wraps the index alone', () => {
    core.setSegment(SEG_FS, 0, 0x123, 0, 0);
    core.call('updateMode');
    core.map(0x1_0000_0000n, BigInt(FROM & ~0xfff) | P | W);
    core.fill((FROM & ~0xfff) + 0x11f, '01020304' + '05060708');
    core.fill(0x123, '0a0b0c0d');
    point(0xffff_fffc, TO, 8);
    core.call('movs', 1, ADDRESS32, SEG_FS);
    expect(core.dump(TO, 8)).toBe('01020304' + '0a0b0c0d');
  });

  it('misaligned under alignment checks raises #AC before the first element, although the pages are known', () => {
    core.map(PAGE, BigInt(FROM & ~0xfff) | P | W | 4n);
    core.userMode();
    point(PAGE, PAGE + 0x100n, 4);
    core.call('movs', 4, ADDRESS64, SEG_DS);
    core.set('cr0', core.get('cr0') | 0x40000n);
    core.set('eflags', 0x40002);
    core.call('updateMode');
    point(PAGE + 2n, PAGE + 0x100n, 4);
    expect(core.call('movs', 4, ADDRESS64, SEG_DS)).toBe(STATUS_FAULT);
    expect(core.fault()).toEqual({ vector: 17, error: 0 });
    expect(registers()).toEqual([PAGE + 2n, PAGE + 0x100n, 4n]);
  });
});

describe('STOS', () => {
  it.each([
    ...SPANS.map((span) => [1, span]),
    ...SPANS.filter((span) => span % 2 === 0).map((span) => [2, span]),
    ...SPANS.filter((span) => span % 4 === 0).map((span) => [4, span]),
    ...SPANS.filter((span) => span % 8 === 0).map((span) => [8, span]),
  ])('of %i-byte elements fills %i bytes and no others', (bytes, span) => {
    put(TO - 16, new Uint8Array(span! + 32).fill(0xee));
    core.setReg(REG_RAX, 0x8877_6655_4433_2211n);
    point(0, TO, span! / bytes!);
    expect(core.call('stos', bytes!, ADDRESS64)).toBe(STATUS_NEXT);
    const element = '1122334455667788'.slice(0, bytes! * 2);
    expect(core.dump(TO - 16, span! + 32)).toBe('ee'.repeat(16) + element.repeat(span! / bytes!) + 'ee'.repeat(16));
    expect(core.reg(REG_RDI)).toBe(BigInt(TO + span!));
  });

  it.each([4, 16, 64, 72, 4096])('of a qword of equal bytes fills %i of them', (count) => {
    put(TO & ~0xfff, new Uint8Array(0x9000).fill(0xee));
    core.setReg(REG_RAX, 0);
    point(0, TO & ~0xfff, count);
    core.call('stos', 8, ADDRESS64);
    expect(core.dump(TO & ~0xfff, count * 8 + 1)).toBe('00'.repeat(count * 8) + 'ee');
  });
});

/** The places of the first element that ends a comparison: in the first pair, around whole vectors, in the rest. */
const PLACES = [0, 1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 50, 98, 99];

describe('REPE CMPS', () => {
  it.each(PLACES.flatMap((place) => [1, 2, 4, 8].map((bytes) => [bytes, place])))(
    'of %i-byte elements stops behind a difference in the last byte of element %i',
    (bytes, place) => {
      put(FROM, noise(800));
      put(TO, noise(800));
      const last = place! * bytes! + bytes! - 1;
      core.write(FROM + last, 1, 0x80);
      core.write(TO + last, 1, 0x7f);
      point(FROM, TO, 100);
      core.call('cmps', bytes!, REPE, ADDRESS64, SEG_DS);
      expect(core.reg(REG_RCX)).toBe(BigInt(99 - place!));
      expect(core.reg(REG_RSI)).toBe(BigInt(FROM + (place! + 1) * bytes!));
      expect(core.reg(REG_RDI)).toBe(BigInt(TO + (place! + 1) * bytes!));
      // Signed below unsigned above: OF, and neither ZF nor CF.
      expect(core.call64('materializeFlags') & 0x841n).toBe(0x800n);
    },
  );

  it('of equal strings over pages at different offsets compares all of them', () => {
    put(0x300ff1, noise(9000));
    put(0x304ffe, noise(9000));
    point(0x300ff1, 0x304ffe, 9000);
    core.call('cmps', 1, REPE, ADDRESS64, SEG_DS);
    expect(registers()).toEqual([BigInt(0x300ff1 + 9000), BigInt(0x304ffe + 9000), 0n]);
    expect(core.call64('materializeFlags') & 0x40n).toBe(0x40n);
  });

  it('leaves the flags of the last pair when the next one faults', () => {
    core.map(PAGE, BigInt(FROM & ~0xfff) | P | W);
    put((FROM & ~0xfff) + 0xfd0, noise(48));
    put(TO, noise(100));
    point(PAGE + 0xfd0n, TO, 100);
    expect(core.call('cmps', 1, REPE, ADDRESS64, SEG_DS)).toBe(STATUS_FAULT);
    expect(registers()).toEqual([PAGE + 0x1000n, BigInt(TO + 48), 52n]);
    expect(core.call64('materializeFlags') & 0x40n).toBe(0x40n);
  });
});

describe('REPNE CMPS', () => {
  it.each(PLACES.flatMap((place) => [1, 2, 4, 8].map((bytes) => [bytes, place])))(
    'of %i-byte elements stops behind an equal element %i, not where only some of the bytes are',
    (bytes, place) => {
      put(FROM, new Uint8Array(800).fill(0x11));
      put(TO, new Uint8Array(800).fill(0x11));
      put(TO, Uint8Array.from({ length: 800 }, (_, i) => (i % bytes! === 0 ? 0x22 : 0x11)));
      core.write(TO + place! * bytes!, 1, 0x11);
      point(FROM, TO, 100);
      core.call('cmps', bytes!, REPNE, ADDRESS64, SEG_DS);
      expect(core.reg(REG_RCX)).toBe(BigInt(99 - place!));
      expect(core.call64('materializeFlags') & 0x40n).toBe(0x40n);
    },
  );
});

describe('SCAS', () => {
  it.each(PLACES.flatMap((place) => [1, 2, 4, 8].map((bytes) => [bytes, place])))(
    'REPNE finds the %i-byte element %i',
    (bytes, place) => {
      put(TO, Uint8Array.from({ length: 800 }, (_, i) => (i % bytes! === 0 ? 0x22 : 0x11)));
      core.write(TO + place! * bytes!, 1, 0x11);
      core.setReg(REG_RAX, 0x1111_1111_1111_1111n);
      point(0, TO, 100);
      core.call('scas', bytes!, REPNE, ADDRESS64);
      expect(registers()).toEqual([0n, BigInt(TO + (place! + 1) * bytes!), BigInt(99 - place!)]);
      expect(core.call64('materializeFlags') & 0x40n).toBe(0x40n);
    },
  );

  it.each(PLACES.flatMap((place) => [1, 2, 4, 8].map((bytes) => [bytes, place])))(
    'REPE stops behind another %i-byte element %i',
    (bytes, place) => {
      put(TO, new Uint8Array(800).fill(0x11));
      core.write(TO + (place! + 1) * bytes! - 1, 1, 0x12);
      core.setReg(REG_RAX, 0x1111_1111_1111_1111n);
      point(0, TO, 100);
      core.call('scas', bytes!, REPE, ADDRESS64);
      expect(registers()).toEqual([0n, BigInt(TO + (place! + 1) * bytes!), BigInt(99 - place!)]);
      expect(core.call64('materializeFlags') & 0x41n).toBe(1n);
    },
  );

  it('that finds nothing ends behind the last element, with its flags', () => {
    put(TO, new Uint8Array(100).fill(0x22));
    core.setReg(REG_RAX, 0x33);
    point(0, TO, 100);
    core.call('scas', 1, REPNE, ADDRESS64);
    expect(registers()).toEqual([0n, BigInt(TO + 100), 0n]);
    expect(core.call64('materializeFlags') & 0x41n).toBe(0n);
  });
});

describe('outside 64-bit mode', () => {
  it('an index wraps at 64 KiB in the middle of a page', () => {
    core = new TestCore();
    core.setSegment(SEG_DS, 0x1012, 0x10120, 0xffff, 0x93);
    core.setSegment(SEG_ES, 0x3012, 0x30120, 0xffff, 0x93);
    core.call('updateMode');
    put(0x20100, noise(32));
    put(0x10120, noise(16).reverse());
    point(0xffe0, 0x10, 48);
    core.call('movs', 1, ADDRESS16, SEG_DS);
    expect(core.dump(0x30130, 48)).toBe(noise(32).toString('hex') + noise(16).reverse().toString('hex'));
    expect(registers()).toEqual([0x10n, 0x40n, 0n]);
  });

  it('a limit in the middle of a page stops a run there', () => {
    core = new TestCore().protectedMode();
    core.setSegment(SEG_ES, 0x2000, 0x302000, 0x11b, 0xc093);
    core.call('updateMode');
    put(FROM, noise(64));
    put(TO, new Uint8Array(64).fill(0xee));
    point(FROM, 0x100, 64);
    expect(core.call('movs', 1, ADDRESS32, SEG_DS)).toBe(STATUS_FAULT);
    expect(core.fault()).toEqual({ vector: 13, error: 0 });
    expect(core.dump(TO, 64)).toBe(noise(28).toString('hex') + 'ee'.repeat(36));
    expect(registers()).toEqual([BigInt(FROM + 28), 0x11cn, 36n]);
  });

  it('a segment that may not be written stops the first element, although its page is open', () => {
    core = new TestCore().protectedMode();
    point(FROM, TO, 16);
    core.call('movs', 1, ADDRESS32, SEG_DS);
    core.setSegment(SEG_ES, 0x2000, 0, 0xffffffff, 0xc091);
    core.call('updateMode');
    point(FROM, TO, 16);
    expect(core.call('movs', 1, ADDRESS32, SEG_DS)).toBe(STATUS_FAULT);
    expect(core.fault()).toEqual({ vector: 13, error: 0 });
    expect(registers()).toEqual([BigInt(FROM), BigInt(TO), 16n]);
  });
});
