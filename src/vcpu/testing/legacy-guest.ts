/** Machines for random programs outside 64-bit mode: real, virtual-8086 and protected mode, segments flat and not. */
import { RAM_BASE } from '../../layout/map.ts';
import { SEG_CS, SEG_TR, VCPU } from '../../layout/vcpu.ts';
import type { BareMachine } from './bare-machine.ts';
import type { Guest } from './differential.ts';
import { Random } from './random-program.ts';

const PAGE_DIRECTORY = 0x2000;
const PAGE_TABLE = 0x3000;
const GDT = 0x4000;
const IDT = 0x4800;
const TSS = 0x5000;
const HANDLER32 = 0x5800;
const HANDLER16 = 0x5c00;
const KERNEL_STACK = 0x9ff0;
const LOG = 0x6000;
const CONTROL = 0x7000;
const CODE = 0x20000;
const DATA = 0x40000;
const STACK = 0x60000;
const SEGMENT_BYTES = 0x10000;
/** In modes with paging: no page, and one that cannot be written. */
const ABSENT = DATA + 0x4000;
const READ_ONLY = DATA + 0x6000;

/** Offsets in the control segment, which FS holds all the time. */
export const CONTROL_RECOVER = 0;
const CONTROL_ALIAS = 4;
const CONTROL_DELTA = 8;
export const CONTROL_ROUND = 0xc;
/** Of each function: its stack pointer and its count, 8 bytes each. */
export const CONTROL_FUNCTIONS = 0x20;
export const CONTROL_RESULT = 0x200;

/**
 * Notes EIP, EFLAGS, error code and CR2 of a fault, counts, and goes on at the offset in CONTROL_RECOVER, which the alias of
 * the code segment has CONTROL_DELTA lower. The first instruction (push 0) is for vectors without an error code.
 */
const FAULT32 =
  '6a00601eb8100000008ed889e58b4528310500600000c10500600000078b4530310508600000c10508600000078b4524' +
  '310518600000c10518600000070f20d0310520600000c1052060000007ff0510600000a1007000008b0d047000006639' +
  '4d2c75062b05087000008945281f6183c404cf';
/** The same for real mode, which has no error codes. */
const FAULT16 =
  '601e31c08ed889e58b461231060060c1060060078b461631060860c106086007ff061060a100708b0e0470394e147504' +
  '2b0608708946121f61cf';

export interface Segment {
  readonly selector: number;
  readonly base: number;
  readonly limit: number;
  readonly attributes: number;
}

export interface LegacyShape {
  readonly name: string;
  readonly kind: 'real' | 'vm86' | 'protected';
  readonly bits: 16 | 32;
  readonly stackBits: 16 | 32;
  /** The second begins `delta` bytes behind the first. */
  readonly cs: Segment;
  readonly alias: Segment;
  readonly delta: number;
  readonly ds: Segment;
  readonly es: Segment;
  readonly ss: Segment;
  readonly fs: Segment;
  /** The code, as data. */
  readonly gs: Segment;
  /** What programs load into ES and DS. */
  readonly selectors: readonly number[];
  /** Descriptors, by selector. */
  readonly table: readonly Segment[];
}

const TYPE_DATA = 0x93;
const TYPE_DATA_READ_ONLY = 0x91;
const TYPE_EXPAND_DOWN = 0x97;
const TYPE_CODE = 0x9b;
const BIG = 0x4000;
const PAGES = 0x8000;

/** Flat, for the handlers of faults. */
const KERNEL_SEGMENTS: readonly Segment[] = [
  { selector: 0x08, base: 0, limit: 0xffffffff, attributes: TYPE_CODE | BIG | PAGES },
  { selector: 0x10, base: 0, limit: 0xffffffff, attributes: TYPE_DATA | BIG | PAGES },
];

function realSegment(base: number, vm86: boolean, type = TYPE_DATA): Segment {
  return { selector: base >>> 4, base, limit: 0xffff, attributes: type | (vm86 ? 0x60 : 0) };
}

function realShape(random: Random, vm86: boolean): LegacyShape {
  const phase = (): number => random.below(0x100) * 16;
  const code = CODE + phase();
  const delta = (1 + random.below(0x8ef)) * 16;
  const at = (base: number, type = TYPE_DATA): Segment => realSegment(base, vm86, type);
  const ds = at(DATA + phase());
  const es = at(DATA + 0x8000 + phase());
  return {
    name: vm86 ? 'virtual-8086 mode' : 'real mode',
    kind: vm86 ? 'vm86' : 'real',
    bits: 16,
    stackBits: 16,
    cs: at(code, TYPE_CODE),
    alias: at(code + delta, TYPE_CODE),
    delta,
    ds,
    es,
    ss: at(STACK + phase()),
    fs: at(CONTROL),
    gs: at(code),
    selectors: [ds.selector, es.selector, ds.selector + 1],
    table: vm86 ? KERNEL_SEGMENTS : [],
  };
}

function protectedShape(random: Random, bits: 16 | 32, flat: boolean): LegacyShape {
  const level = random.pick([0, 3]);
  const stackBits = flat ? 32 : random.pick([16, 32] as const);
  const code = flat ? 0 : CODE + random.below(0x1000);
  const delta = 1 + random.below(0x8f00);
  const table: Segment[] = [...KERNEL_SEGMENTS];
  const add = (base: number, limit: number, attributes: number): Segment => {
    const selector = (table.length + 1) * 8 + level;
    const segment = { selector, base, limit, attributes: attributes | (level << 5) };
    table.push(segment);
    return segment;
  };
  const all = 0xffffffff;
  const wide = bits === 32 ? BIG : 0;
  const codeLimit = flat ? all : random.pick([0xffff, 0xefff, 0xdfff]);
  const granular = flat ? PAGES : 0;
  const cs = add(code, codeLimit, TYPE_CODE | wide | granular);
  const alias = add(code + delta, flat ? all : 0xffff, TYPE_CODE | wide | granular);
  const dataBase = flat ? 0 : DATA + random.below(0x1000);
  const ds = add(dataBase, flat ? all : random.pick([0xffff, 0x7fff, 0xfff]), TYPE_DATA | BIG | granular);
  const stack = flat ? 0 : STACK + random.below(0x1000);
  const stackType = (stackBits === 32 ? BIG : 0) | granular;
  const ss =
    flat || random.chance(0.6)
      ? add(stack, flat ? all : 0xffff, TYPE_DATA | stackType)
      : add(stack, 0x1fff, TYPE_EXPAND_DOWN | stackType);
  const fs = add(CONTROL, 0xfff, TYPE_DATA);
  const gs = add(code, flat ? all : 0xffff, TYPE_DATA | granular);
  const es = flat ? ds : add(DATA + 0x8000, 0x3fff, TYPE_DATA);
  const readOnly = add(DATA, 0xffff, TYPE_DATA_READ_ONLY);
  const expandDown = add(DATA, 0x7ff, TYPE_EXPAND_DOWN);
  return {
    name: `${flat ? 'flat' : 'limited'} ${bits}-bit code, CPL ${level}, ${stackBits}-bit stack`,
    kind: 'protected',
    bits,
    stackBits,
    cs,
    alias,
    delta,
    ds,
    es,
    ss,
    fs,
    gs,
    selectors: [ds, ds, ds, es, readOnly, expandDown].map(({ selector }) => selector).concat(0),
    table,
  };
}

export function legacyShape(seed: number): LegacyShape {
  const random = new Random(seed);
  switch (seed % 5) {
    case 0:
      return realShape(random, false);
    case 1:
      return realShape(random, true);
    case 2:
      return protectedShape(random, 16, false);
    case 3:
      return protectedShape(random, 32, false);
    default:
      return protectedShape(random, 32, true);
  }
}

/** Linear address of the first function; the code segment reaches 64 KiB from its base. */
export function codeStart({ cs }: LegacyShape): number {
  return cs.base === 0 ? CODE : cs.base;
}

/** Offsets of places in the data and in the stack segment. */
export function dataOffset({ ds }: LegacyShape, at: number): number {
  return ds.base === 0 ? DATA + at : at;
}

export function stackOffset({ ss }: LegacyShape, at: number): number {
  return ss.base === 0 ? STACK + at : at;
}

function parse(hex: string): number[] {
  return (hex.replace(/\s/g, '').match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16));
}

function descriptor({ base, limit, attributes }: Segment): bigint {
  const units = attributes & PAGES ? limit >>> 12 : limit;
  const access = BigInt((attributes & 0xf0ff) | ((units >>> 8) & 0xf00));
  const low = BigInt(units & 0xffff) | (BigInt(base & 0xffffff) << 16n);
  return low | (access << 40n) | (BigInt(base >>> 24) << 56n);
}

export function legacyGuest(shape: LegacyShape): Guest {
  const { cs } = shape;
  return {
    prepare: (machine) => prepare(machine, shape),
    start: codeStart(shape) - cs.base,
    faults: LOG + 16,
    areas: {
      'log of faults': [LOG, 0x40],
      'control, flags, FXSAVE': [CONTROL, 0x400],
      data: [DATA, SEGMENT_BYTES + 0x8000],
      stack: [STACK, SEGMENT_BYTES + 0x1000],
      code: [CODE, SEGMENT_BYTES + 0x1000],
    },
  };
}

function prepare({ views, vcpu }: BareMachine, shape: LegacyShape): void {
  const { cpu, core } = vcpu;
  const { kind, ds, es, ss, fs, gs, cs, alias, delta, table } = shape;
  const set32 = (at: number, value: number): void => {
    views.u32[at >>> 2] = value;
  };
  const set64 = (at: number, value: bigint): void => views.data.setBigUint64(at, value, true);
  const paged = kind !== 'real';
  set32(RAM_BASE + PAGE_DIRECTORY, PAGE_TABLE | 7);
  for (let page = 0; page < 0x400; page++) {
    const at = page << 12;
    const rights = at === ABSENT ? 0 : at === READ_ONLY ? 5 : 7;
    set32(RAM_BASE + PAGE_TABLE + page * 4, at | rights);
  }
  table.forEach((segment, i) => set64(RAM_BASE + GDT + (i + 1) * 8, descriptor(segment)));
  for (let vector = 0; vector < 32; vector++) {
    const withCode = [8, 10, 11, 12, 13, 14, 17].includes(vector);
    const target = HANDLER32 + (withCode ? 2 : 0);
    set64(RAM_BASE + IDT + vector * 8, BigInt(target) | 0x8e00_0008_0000n);
    if (!paged) set32(RAM_BASE + vector * 4, HANDLER16);
  }
  views.u8.set(parse(FAULT32), RAM_BASE + HANDLER32);
  views.u8.set(parse(FAULT16), RAM_BASE + HANDLER16);
  set32(RAM_BASE + TSS + 4, KERNEL_STACK);
  set32(RAM_BASE + TSS + 8, 0x10);
  set32(RAM_BASE + CONTROL + CONTROL_ALIAS, alias.selector);
  set32(RAM_BASE + CONTROL + CONTROL_DELTA, delta);
  for (let at = 0; at < SEGMENT_BYTES + 0x8000; at += 4) {
    set32(RAM_BASE + DATA + at, Math.imul(at + 1, 0x9e3779b1));
  }
  set64(cpu + VCPU.at.cr0, paged ? 0x80010031n : 0x30n);
  set64(cpu + VCPU.at.cr3, BigInt(PAGE_DIRECTORY));
  set64(cpu + VCPU.at.cr4, 0x600n);
  set64(cpu + VCPU.at.efer, 0n);
  set64(cpu + VCPU.at.gdtBase, BigInt(GDT));
  set32(cpu + VCPU.at.gdtLimit, table.length * 8 + 7);
  set64(cpu + VCPU.at.idtBase, BigInt(paged ? IDT : 0));
  set32(cpu + VCPU.at.idtLimit, 0xff);
  // IOPL 3, so that PUSHF, POPF and OUT do not fault at CPL 3.
  set32(cpu + VCPU.at.eflags, kind === 'vm86' ? 0x23002 : 0x3002);
  const task: Segment = { selector: 0, base: TSS, limit: 0x67, attributes: 0x8b };
  [es, cs, ss, ds, fs, gs].forEach((segment, i) => load(i, segment));
  load(SEG_TR, task);
  core.updateMode(cpu);
  core.flushTlb(cpu, 0);
  for (let register = 0; register < 16; register++) {
    set64(cpu + VCPU.at.regs + register * 8, register < 8 ? BigInt((register + 1) * 0x01234567) : 0n);
  }
  set64(cpu + VCPU.at.regs + 4 * 8, BigInt(stackOffset(shape, 0xf000)));

  function load(index: number, { selector, base, limit, attributes }: Segment): void {
    set32(cpu + VCPU.at.segSelector + index * 4, selector);
    set64(cpu + VCPU.at.segBase + index * 8, BigInt(base));
    set32(cpu + VCPU.at.segLimit + index * 4, limit);
    // Real mode's code segment can be written.
    const type = kind === 'real' && index === SEG_CS ? TYPE_CODE : attributes;
    set32(cpu + VCPU.at.segAttr + index * 4, type);
  }
}
