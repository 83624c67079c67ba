/** Names refer to AMD APM volume 2 and to Linux's Documentation/virt/kvm/x86/msr.rst. */
import { beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_FEATURES } from '../base/cpu-features.ts';
import { viewsOf } from '../base/views.ts';
import { IrqChip } from '../irqchip/irqchip.ts';
import { CODE_BITMAP_BASE, RAM_BASE, vcpuAddress } from '../layout/map.ts';
import { REG_RAX, REG_RCX, REG_RDX, VCPU } from '../layout/vcpu.ts';
import { GuestMemory } from '../memory/guest-memory.ts';
import { GuestClock } from '../time/clock.ts';
import { readTsc } from '../time/tsc.ts';
import { ModelSpecificRegisters, MSR_DONE, MSR_FAULT } from './msr.ts';

const RAM_BYTES = 0x200000;
const views = viewsOf(new SharedArrayBuffer(RAM_BASE + RAM_BYTES));
const cpu = vcpuAddress(0);

const TSC = 0x10;

let host: { milliseconds: number };
let msr: ModelSpecificRegisters;
let memory: GuestMemory;
let clock: GuestClock;

const word = (offset: number) => views.u32[(cpu + offset) >>> 2]!;
const setWord = (offset: number, value: number) => {
  views.u32[(cpu + offset) >>> 2] = value;
};

function write(number: number, high: number, low: number): boolean {
  setWord(VCPU.at.regs + 8 * REG_RCX, number);
  setWord(VCPU.at.regs + 8 * REG_RDX, high);
  setWord(VCPU.at.regs + 8 * REG_RAX, low);
  return msr.write() === MSR_DONE;
}

/** High and low word, or undefined for #GP. */
function read(number: number): [high: number, low: number] | undefined {
  setWord(VCPU.at.regs + 8 * REG_RCX, number);
  if (msr.read() === MSR_FAULT) return undefined;
  return [word(VCPU.at.regs + 8 * REG_RDX), word(VCPU.at.regs + 8 * REG_RAX)];
}

beforeEach(() => {
  views.u8.fill(0, 0, CODE_BITMAP_BASE);
  views.u8.fill(0, RAM_BASE, RAM_BASE + RAM_BYTES);
  host = { milliseconds: 500 };
  clock = new GuestClock(views, () => host.milliseconds);
  clock.reset();
  const irqchip = new IrqChip({ views, clock, vcpus: 1 });
  irqchip.reset();
  memory = new GuestMemory(views, RAM_BYTES, () => {});
  msr = new ModelSpecificRegisters({
    views,
    index: 0,
    features: DEFAULT_FEATURES,
    irqchip,
    clock,
    memory,
    wallClock: () => 1_700_000_000_000 + host.milliseconds - 500,
  });
  msr.reset();
});

describe('memory types (7.7, 7.8)', () => {
  it('start as write-back everywhere but in the VGA hole', () => {
    expect(read(0xfe)).toEqual([0, 0x508]);
    expect(read(0x2ff)).toEqual([0, 0xc06]);
    expect(read(0x250)).toEqual([0x06060606, 0x06060606]);
    expect(read(0x259)).toEqual([0, 0]);
  });

  it('can be set by range', () => {
    expect(write(0x200, 0, 0xc0000000)).toBe(true);
    expect(write(0x201, 0xff, 0xc0000800)).toBe(true);
    expect([read(0x200), read(0x201)]).toEqual([
      [0, 0xc0000000],
      [0xff, 0xc0000800],
    ]);
  });

  it.each([
    ['a reserved type in a base', 0x200, 0, 0xc0000002],
    ['bits beyond the physical address', 0x201, 0x100, 0x800],
    ['a reserved type in a fixed range', 0x250, 0, 0x06060206],
    ['a reserved type by default', 0x2ff, 0, 0xc03],
    ['MTRRcap', 0xfe, 0, 0x508],
  ])('refuse %s', (_, number, high, low) => {
    expect(write(number, high, low)).toBe(false);
  });
});

describe('time', () => {
  it('sets the TSC, which goes on from there and may have been more', () => {
    host.milliseconds += 2;
    expect(readTsc(views, cpu, clock.now())).toBe(2_000_000);
    setWord(VCPU.at.tscLast, 9);
    write(TSC, 5, 0);
    host.milliseconds += 1;
    expect(readTsc(views, cpu, clock.now())).toBe(5 * 2 ** 32 + 1_000_000);
    expect(word(VCPU.at.tscLast)).toBe(0);
  });

  it('keeps a TSC deadline only in its timer mode', () => {
    write(0x6e0, 0, 9_000_000);
    expect(read(0x6e0)).toEqual([0, 0]);
    write(0x1b, 0, 0xfee00d00);
    write(0x80f, 0, 0x1ff);
    write(0x832, 0, 0x40040);
    write(0x6e0, 0, 9_000_000);
    expect(read(0x6e0)).toEqual([0, 9_000_000]);
  });

  it('writes KVM’s system time into guest memory', () => {
    host.milliseconds += 3;
    expect(write(0x4b56_4d01, 0, 0x1001)).toBe(true);
    const at = (offset: number) => memory.readU32(0x1000 + offset);
    expect([at(0), at(8), at(12), at(16), at(20), at(24)]).toEqual([
      2, 3_000_000, 0, 3_000_000, 0, 0x80000000,
    ]);
    expect(at(28)).toBe(0x0101);
  });

  it('brings the system time up to date when the TSC is set', () => {
    write(0x4b56_4d01, 0, 0x1001);
    host.milliseconds += 1;
    write(TSC, 7, 8);
    const at = (offset: number) => memory.readU32(0x1000 + offset);
    expect([at(0), at(8), at(12), at(16)]).toEqual([4, 8, 7, 1_000_000]);
  });

  it('writes nothing while the system time is off or not in RAM', () => {
    expect(write(0x4b56_4d01, 0, 0x1000)).toBe(true);
    expect(memory.readU32(0x1000)).toBe(0);
    expect(write(0x4b56_4d01, 0, RAM_BYTES - 16 + 1)).toBe(true);
    expect(memory.readU32(RAM_BYTES - 16)).toBe(0);
  });

  it('writes the wall-clock time of power-on', () => {
    host.milliseconds += 2500;
    write(0x4b56_4d00, 0, 0x2000);
    expect([memory.readU32(0x2000), memory.readU32(0x2004), memory.readU32(0x2008)]).toEqual([
      2, 1_700_000_000, 0,
    ]);
  });

  it('tells the guest that it was stopped', () => {
    write(0x4b56_4d01, 0, 0x1001);
    msr.guestWasStopped();
    expect(memory.readU32(0x101c)).toBe(0x0301);
  });
});

describe('the APIC', () => {
  it('switches to x2APIC and answers there', () => {
    expect(read(0x802)).toBeUndefined();
    expect(read(0x1b)).toEqual([0, 0xfee00900]);
    expect(write(0x1b, 0, 0xfee00d00)).toBe(true);
    expect(read(0x802)).toEqual([0, 0]);
    expect(write(0x80b, 0, 0)).toBe(true);
    expect(write(0x80b, 0, 1)).toBe(false);
  });
});

describe('other registers', () => {
  it.each([0x8b, 0xc001_0010, 0xc001_0015, 0xc001_001f, 0xc001_1029, 0xc001_102a, 0xc001_0055])(
    'that Linux touches on such a CPU are there: %d',
    (number) => {
      expect(read(number)).toBeDefined();
      expect(write(number, 0, 0)).toBe(true);
    },
  );

  it('say that the TSC counts at the nominal frequency', () => {
    expect(read(0xc001_0015)![1] & (1 << 24)).not.toBe(0);
  });

  it('raise #GP when they are not there, and are counted', () => {
    expect(read(0x1a0)).toBeUndefined();
    expect(read(0x1a0)).toBeUndefined();
    expect(write(0x48, 0, 1)).toBe(false);
    expect([...msr.unknown]).toEqual([
      [0x1a0, { reads: 2, writes: 0 }],
      [0x48, { reads: 0, writes: 1 }],
    ]);
  });

  it('leave the upper halves of RAX and RDX clear', () => {
    setWord(VCPU.at.regs + 8 * REG_RAX + 4, 0xffffffff);
    setWord(VCPU.at.regs + 8 * REG_RDX + 4, 0xffffffff);
    read(0xfe);
    expect([word(VCPU.at.regs + 8 * REG_RAX + 4), word(VCPU.at.regs + 8 * REG_RDX + 4)]).toEqual([0, 0]);
  });
});

describe('the steal time of KVM', () => {
  const STEAL_TIME = 0x4b56_4d03;
  const RECORD = 0x4000;

  it('is written where the guest wants it, with an even version', () => {
    expect(write(STEAL_TIME, 0, RECORD | 1)).toBe(true);
    msr.addStolenTime(5_000_000_000);
    msr.addStolenTime(250);
    expect([memory.readU64(RECORD), memory.readU32(RECORD + 8)]).toEqual([5_000_000_250, 6]);
    expect(read(STEAL_TIME)).toEqual([0, RECORD | 1]);
  });

  it('says what was stolen before it was switched on', () => {
    msr.addStolenTime(7000);
    write(STEAL_TIME, 0, RECORD | 1);
    expect(memory.readU64(RECORD)).toBe(7000);
  });

  it.each([
    ['switched off', 0, RECORD],
    ['beyond RAM', 0, 0x7fff_ffc1],
    ['above 4 GiB', 1, RECORD | 1],
  ])('writes nothing when it is %s', (_, high, low) => {
    expect(write(STEAL_TIME, high, low)).toBe(true);
    msr.addStolenTime(7000);
    expect(memory.readU64(RECORD)).toBe(0);
  });

  it('refuses reserved bits', () => {
    expect(write(STEAL_TIME, 0, RECORD | 3)).toBe(false);
  });
});
