/**
 * The machine state around a recorded instruction: where its code, its memory and its segments are, and the
 * pseudo-random contents that they start with. The recorder (tools/vectors) and the replay build the same state from
 * the same seed, so the committed data holds no inputs but those that a case sets on purpose.
 *
 * Changing anything here changes the inputs of recorded cases: record again (tools/vectors/README.md).
 */

import { FLAGS_ARITHMETIC, FLAG_DF, FLAG_IF, RFLAGS_FIXED } from '../layout/registers.ts';

/** Pages that exist below 4 GiB. Everything else there is not present. */
export interface TestPage {
  readonly address: number;
  readonly write: boolean;
  readonly execute: boolean;
}

export const CODE_BASE = 0x10000000;
export const CODE_BYTES = 0x2000;
/** A page of constants that user code may not write. */
export const READ_ONLY_PAGE = 0x20003000;

/**
 * Each straddles a page boundary by half, at offset 8F80h of a 64 KiB segment, so that one offset reaches the data
 * window, the stack window or the low one, depending on the segment's base.
 */
export const WINDOW_BYTES = 256;
export const DATA_WINDOW = 0x20000f80;
export const STACK_WINDOW = 0x30000f80;
export const LOW_WINDOW = 0x8f80;
export const WINDOWS: readonly number[] = [DATA_WINDOW, STACK_WINDOW, LOW_WINDOW];
/** Bases of the 16-bit segments DS, ES and SS. */
export const DATA_BASE_16 = DATA_WINDOW - LOW_WINDOW;
export const STACK_BASE_16 = STACK_WINDOW - LOW_WINDOW;

export const TEST_PAGES: readonly TestPage[] = [
  { address: LOW_WINDOW & ~4095, write: true, execute: false },
  { address: (LOW_WINDOW & ~4095) + 4096, write: true, execute: false },
  { address: CODE_BASE, write: false, execute: true },
  { address: CODE_BASE + 4096, write: false, execute: true },
  { address: DATA_WINDOW & ~4095, write: true, execute: false },
  { address: (DATA_WINDOW & ~4095) + 4096, write: true, execute: false },
  { address: READ_ONLY_PAGE, write: false, execute: false },
  { address: STACK_WINDOW & ~4095, write: true, execute: false },
  { address: (STACK_WINDOW & ~4095) + 4096, write: true, execute: false },
];

/** What a page holds outside the windows: INT3 in code pages, else bytes that differ from their neighbours. */
export function fillPage(page: TestPage, bytes: Uint8Array): void {
  if (page.execute) {
    bytes.fill(0xcc);
    return;
  }
  for (let i = 0; i < 4096; i++) {
    const a = page.address + i;
    bytes[i] = Math.imul(a, 0x9d) + Math.imul(a >>> 8, 0x35) + (a >>> 28);
  }
}

/** An entry of the local descriptor table, in modify_ldt's terms (`struct user_desc`); DPL is 3, accessed is set. */
export interface TestDescriptor {
  readonly base: number;
  /** In bytes, or in pages where `pages` is set. */
  readonly limit: number;
  /** 0 data, 1 expand-down data, 2 code, 3 conforming code. */
  readonly contents: 0 | 1 | 2 | 3;
  /** Data that is read-only, or code that is execute-only. */
  readonly readExecOnly?: true;
  readonly is32?: true;
  readonly pages?: true;
  readonly notPresent?: true;
}

const FLAT = { base: 0, limit: 0xfffff, is32: true, pages: true } as const;

/** The local descriptor table; selector = index * 8 + 7. */
export const TEST_LDT: readonly TestDescriptor[] = [
  /* 07 */ { base: CODE_BASE, limit: 0xffff, contents: 2 },
  /* 0F */ { base: DATA_BASE_16, limit: 0xffff, contents: 0 },
  /* 17 */ { base: STACK_BASE_16, limit: 0xffff, contents: 0 },
  /* 1F */ { base: 0x01000000, limit: 0xfffff, contents: 0, is32: true, pages: true },
  /* 27: ends 48 bytes behind the page boundary of the data window */
  { base: DATA_BASE_16, limit: 0x902f, contents: 0, is32: true },
  /* 2F: begins 16 bytes before it */
  { base: DATA_BASE_16, limit: 0x8fef, contents: 1, is32: true },
  /* 37 */ { ...FLAT, contents: 2 },
  /* 3F */ { ...FLAT, contents: 0, readExecOnly: true },
  /* 47 */ { ...FLAT, contents: 2, readExecOnly: true },
  /* 4F */ { ...FLAT, contents: 0, notPresent: true },
  /* 57: Linux allows conforming code only if it is not present */ { ...FLAT, contents: 3, notPresent: true },
  /* 5F */ { ...FLAT, contents: 2, notPresent: true },
  /* 67: a 32-bit code segment that ends in the middle of the second code page */
  { base: CODE_BASE, limit: 0x17ff, contents: 2, is32: true },
  /* 6F: a stack for 32-bit code that ends 48 bytes behind the page boundary of the stack window */
  { base: STACK_BASE_16, limit: 0x902f, contents: 0, is32: true },
  /* 77: a 16-bit expand-down stack that begins 48 bytes before it */
  { base: STACK_BASE_16, limit: 0x8fcf, contents: 1 },
];

/** The segments that a case starts with. */
export interface Profile {
  readonly name: string;
  readonly mode: 16 | 32 | 64;
  /** Selectors. 23, 2B and 33 are flat 32-bit code, data and 64-bit code of the global table, as on Linux. */
  readonly cs: number;
  readonly ss: number;
  readonly ds: number;
  readonly es: number;
  readonly fs: number;
  readonly gs: number;
  readonly csBase: number;
  readonly ssBase: number;
  readonly dsBase: number;
  readonly esBase: number;
  /** Also the values of the FS.base and GS.base MSRs in 64-bit mode. */
  readonly fsBase: number;
  readonly gsBase: number;
  /** 16: SP, 32: ESP, 64: RSP. */
  readonly stack: 16 | 32 | 64;
}

export const USER_CS32 = 0x23;
export const USER_DS = 0x2b;
export const USER_CS64 = 0x33;

export const PROFILES: readonly Profile[] = [
  {
    name: '64',
    mode: 64,
    stack: 64,
    cs: USER_CS64,
    ss: USER_DS,
    ds: USER_DS,
    es: USER_DS,
    fs: 0,
    gs: 0,
    csBase: 0,
    ssBase: 0,
    dsBase: 0,
    esBase: 0,
    fsBase: 0x12345,
    gsBase: 0x1ffff000,
  },
  {
    name: '32',
    mode: 32,
    stack: 32,
    cs: USER_CS32,
    ss: USER_DS,
    ds: USER_DS,
    es: USER_DS,
    fs: 0x1f,
    gs: 0x27,
    csBase: 0,
    ssBase: 0,
    dsBase: 0,
    esBase: 0,
    fsBase: 0x01000000,
    gsBase: DATA_BASE_16,
  },
  {
    name: '16',
    mode: 16,
    stack: 16,
    cs: 0x07,
    ss: 0x17,
    ds: 0x0f,
    es: 0x0f,
    fs: 0x1f,
    gs: 0x27,
    csBase: CODE_BASE,
    ssBase: STACK_BASE_16,
    dsBase: DATA_BASE_16,
    esBase: DATA_BASE_16,
    fsBase: 0x01000000,
    gsBase: DATA_BASE_16,
  },
  {
    name: '32-limits',
    mode: 32,
    stack: 32,
    cs: 0x67,
    ss: 0x6f,
    ds: 0x27,
    es: 0x2f,
    fs: 0x3f,
    gs: 0x6f,
    csBase: CODE_BASE,
    ssBase: STACK_BASE_16,
    dsBase: DATA_BASE_16,
    esBase: DATA_BASE_16,
    fsBase: 0,
    gsBase: STACK_BASE_16,
  },
  {
    name: '16-stack32',
    mode: 16,
    stack: 32,
    cs: 0x07,
    ss: USER_DS,
    ds: 0x27,
    es: 0x0f,
    fs: 0,
    gs: 0x2f,
    csBase: CODE_BASE,
    ssBase: 0,
    dsBase: DATA_BASE_16,
    esBase: DATA_BASE_16,
    fsBase: 0,
    gsBase: DATA_BASE_16,
  },
  {
    name: '32-stack16',
    mode: 32,
    stack: 16,
    cs: 0x37,
    ss: 0x77,
    ds: USER_DS,
    es: 0x2f,
    fs: 0x0f,
    gs: 0x1f,
    csBase: 0,
    ssBase: STACK_BASE_16,
    dsBase: 0,
    esBase: DATA_BASE_16,
    fsBase: DATA_BASE_16,
    gsBase: 0x01000000,
  },
];

/** Offsets in the state that a case starts from: `struct state` of tools/vectors/record.c. */
export const STATE = {
  codeLinear: 0,
  codeLength: 4,
  code: 8,
  rip: 24,
  gpr: 32,
  eflags: 160,
  mxcsr: 164,
  fcw: 168,
  fsw: 170,
  /** FXSAVE's abridged tag word: 1 = not empty, by physical register. */
  ftw: 172,
  /** STOP_STEP or STOP_BREAKPOINT. */
  stop: 173,
  profile: 174,
  /** ST(0) to ST(7), 16 bytes each. */
  st: 176,
  xmm: 304,
  windows: 560,
  size: 1328,
} as const;
/** Stopped by EFLAGS.TF after one instruction. */
export const STOP_STEP = 0;
/** Stopped by the INT3 that follows, because TF would stop after each iteration of REP. */
export const STOP_BREAKPOINT = 1;

/** Offsets in what the recorder reports: `struct result`. The runs of changed memory follow. */
export const RESULT = {
  vector: 0,
  error: 4,
  cr2: 8,
  rip: 16,
  gpr: 24,
  eflags: 152,
  mxcsr: 156,
  fcw: 160,
  fsw: 162,
  ftw: 164,
  /** ES CS SS DS FS GS, u16 each. */
  segments: 168,
  fsBase: 184,
  gsBase: 192,
  st: 200,
  xmm: 328,
  memoryBytes: 584,
  size: 588,
} as const;

/** User code runs with both. */
const FLAGS_FIXED = RFLAGS_FIXED | FLAG_IF;

/** A generator of 32-bit pseudo-random numbers (a Weyl sequence through a multiplicative finaliser). */
export class Random {
  #weyl: number;

  constructor(seed: number) {
    this.#weyl = seed | 0;
  }

  /** A uniform i32. */
  next(): number {
    this.#weyl = (this.#weyl + 0x9e3779b9) | 0;
    let x = this.#weyl;
    x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    return x ^ (x >>> 15);
  }

  /** 0 to `bound` - 1. */
  below(bound: number): number {
    return (this.next() >>> 0) % bound;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }
}

export function hashText(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h | 0;
}

/** The seed of case `index` of a group. */
export function caseSeed(group: number, index: number): number {
  return (group ^ Math.imul(index + 1, 0x85ebca6b)) | 0;
}

const BOUNDARY_BITS = [7, 8, 15, 16, 31, 32, 63];

/** Writes a 64-bit integer at word `at`: boundaries of every operand size are as likely as random bits. */
export function pickInteger(random: Random, words: Uint32Array, at: number): void {
  const r = random.next();
  let low = random.next();
  let high = random.next();
  const kind = r & 15;
  if (kind === 0) low = high = 0;
  else if (kind === 1) low = high = -1;
  else if (kind <= 4) {
    // 2^n - 1, 2^n, or its negative.
    const bit = BOUNDARY_BITS[(r >>> 4) % BOUNDARY_BITS.length]!;
    low = bit < 32 ? 1 << bit : 0;
    high = bit < 32 ? 0 : 1 << (bit - 32);
    if (kind === 2) {
      high = low === 0 ? high - 1 : high;
      low--;
    } else if (kind === 3) {
      high = low === 0 ? -high : ~high;
      low = -low;
    }
  } else if (kind === 5) {
    low &= 0xff;
    high = 0;
  } else if (kind === 6) {
    low |= ~0x7f;
    high = -1;
  } else if (kind === 7) {
    // Each byte all zeros, all ones, or a lone sign bit: boundaries for every size at once.
    low = pattern(low);
    high = pattern(high);
  } else if (kind <= 9) high = low >> 31;
  words[at] = low;
  words[at + 1] = high;
}

function pattern(bits: number): number {
  let word = 0;
  for (let i = 0; i < 32; i += 8) word |= [0, 0xff, 0x80, 0x7f][(bits >>> i) & 3]! << i;
  return word;
}

/** Single precision: zeros, ones, infinities, quiet and signalling NaNs, denormals, extremes of the ranges. */
const SINGLES = [
  0, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc12345, 0x7f800001,
  0xffa00000, 1, 0x807fffff, 0x00800000, 0x7f7fffff, 0x4f000000, 0xcf000000, 0x5f000000, 0x3f000000,
  0x40490fdb, 0x3effffff,
];
/** The high words of such doubles; the low word is 0, 1 or all ones. */
const DOUBLES = [
  0, 0x80000000, 0x3ff00000, 0xbff00000, 0x7ff00000, 0xfff00000, 0x7ff80000, 0xfff81234, 0x00100000,
  0x7fefffff, 0x41dfffff, 0x41e00000, 0xc1e00000, 0x43e00000, 0xc3e00000, 0x3fe00000, 0x400921fb, 0x381fffff,
  0x47efffff, 0x36a00000,
];

/** Writes 16 bytes for an XMM register at word `at`: packed singles, packed doubles or integers. */
export function pickVector(random: Random, words: Uint32Array, at: number): void {
  const kind = random.next() & 7;
  if (kind < 2) {
    for (let i = 0; i < 4; i++) words[at + i] = random.pick(SINGLES);
  } else if (kind === 2) {
    // Finite values of moderate size.
    for (let i = 0; i < 4; i++) words[at + i] = (random.next() & 0x87ffffff) + 0x3c000000;
  } else if (kind < 5) {
    for (let i = 0; i < 4; i += 2) {
      words[at + i] = [0, 1, -1, 0][random.next() & 3]!;
      words[at + i + 1] = random.pick(DOUBLES);
    }
  } else if (kind === 5) {
    for (let i = 0; i < 4; i += 2) {
      words[at + i] = random.next();
      words[at + i + 1] = (random.next() & 0x807fffff) + 0x3fc00000;
    }
  } else {
    pickInteger(random, words, at);
    pickInteger(random, words, at + 2);
  }
}

/** Sign and exponent, then the high word of the significand; the low word is 0, 1, all ones or random. */
const EXTENDED: readonly (readonly [number, number])[] = [
  [0, 0],
  [0x8000, 0],
  [0x3fff, 0x80000000],
  [0xbfff, 0x80000000],
  [0x7fff, 0x80000000],
  [0xffff, 0x80000000],
  [0x7fff, 0xc0000000],
  [0xffff, 0xc0000000],
  [0x7fff, 0xa0000000],
  [0, 0x00000001],
  [0x8000, 0x7fffffff],
  [0, 0x80000000],
  [0x7ffe, 0xffffffff],
  [0x0001, 0x80000000],
  [0x3ffe, 0x80000000],
  [0x4000, 0xc90fdaa2],
  [0x401e, 0x80000000],
  [0xc01e, 0x80000000],
  [0x403e, 0x80000000],
  [0xc03e, 0x80000000],
  [0x400d, 0xffff8000],
  [0x3fff, 0],
  [0x7fff, 0],
  [0x4005, 0x12345678],
];

function pickExtended(random: Random, words: Uint32Array, at: number): void {
  const r = random.next();
  const bits = random.next();
  if (r & 1) {
    const [exponent, high] = random.pick(EXTENDED);
    words[at] = [0, 0, 1, -1, bits, 0, 0, 0][(r >>> 8) & 7]!;
    words[at + 1] = high;
    words[at + 2] = exponent;
  } else {
    words[at] = bits;
    words[at + 1] = random.next() | 0x80000000;
    words[at + 2] = (0x3fff + ((r >>> 8) % 160) - 80) | ((r >>> 1) & 0x8000);
  }
  words[at + 3] = 0;
}

/** A state in memory, as bytes and as words. */
export class CaseState {
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly view: DataView;

  constructor(buffer: ArrayBuffer = new ArrayBuffer(STATE.size)) {
    this.bytes = new Uint8Array(buffer);
    this.words = new Uint32Array(buffer);
    this.view = new DataView(buffer);
  }

  gpr(index: number): bigint {
    return this.view.getBigUint64(STATE.gpr + index * 8, true);
  }

  setGpr(index: number, value: bigint): void {
    this.view.setBigUint64(STATE.gpr + index * 8, value, true);
  }
}

/** All that the seed decides. The caller then sets code, rip and what the case overrides. */
export function fillState(state: CaseState, seed: number, profileIndex: number): void {
  const profile = PROFILES[profileIndex]!;
  const random = new Random(seed);
  const { words, view, bytes } = state;
  for (let i = 0; i < 16; i++) {
    pickInteger(random, words, STATE.gpr / 4 + i * 2);
    if (profile.mode !== 64) {
      words[STATE.gpr / 4 + i * 2 + 1] = 0;
      if (i >= 8) words[STATE.gpr / 4 + i * 2] = 0;
    }
  }
  // The stack pointer: in the window, more often aligned than not.
  const stackBase = profile.stack === 16 || profile.ssBase !== 0 ? LOW_WINDOW : STACK_WINDOW;
  const r = random.next();
  const depth = 32 + ((r >>> 8) % 192);
  view.setUint32(STATE.gpr + 32, stackBase + ((r & 3) === 0 ? depth : depth & ~7), true);
  if (profile.stack === 16) {
    view.setUint16(STATE.gpr + 34, (r & 4) === 0 ? 0 : r >>> 16, true);
  } else view.setUint32(STATE.gpr + 36, 0, true);

  const f = random.next();
  view.setUint32(
    STATE.eflags,
    FLAGS_FIXED | (f & FLAGS_ARITHMETIC) | ((f & 0x30000) === 0 ? FLAG_DF : 0),
    true,
  );

  const m = random.next();
  // All exceptions masked in 3 of 4 cases; else random masks. Rounding, FTZ and DAZ at random, flags too.
  const masks = (m & 3) === 0 ? (m >>> 4) & 0x1f80 : 0x1f80;
  const control = (m & 4) === 0 ? 0 : (m >>> 8) & 0xe040;
  view.setUint32(STATE.mxcsr, masks | control | ((m & 24) === 0 ? (m >>> 24) & 0x3f : 0), true);
  for (let i = 0; i < 16; i++) pickVector(random, words, STATE.xmm / 4 + i * 4);
  if (profile.mode !== 64) bytes.fill(0, STATE.xmm + 128, STATE.xmm + 256);

  const x = random.next();
  // FCW: masks as above, precision control extended more often than not, rounding at random.
  const precision = (x & 12) !== 0 ? 0x300 : [0, 0x200, 0x300, 0x100][(x >>> 4) & 3]!;
  const fcw =
    0x40 | ((x & 3) === 0 ? (x >>> 8) & 0x3f : 0x3f) | precision | ((x & 64) === 0 ? 0 : (x >>> 4) & 0xc00);
  view.setUint16(STATE.fcw, fcw, true);
  const y = random.next();
  // FSW: TOP and condition codes at random; sticky flags only where they are masked, so that nothing is pending.
  view.setUint16(STATE.fsw, (y & 0x7f00) | ((y & 3) === 0 ? (y >>> 16) & 0x3f & fcw : 0), true);
  bytes[STATE.ftw] = (y & 12) === 0 ? y >>> 24 : 0xff;
  for (let i = 0; i < 8; i++) pickExtended(random, words, STATE.st / 4 + i * 4);

  for (let w = 0; w < WINDOWS.length; w++) {
    const at = (STATE.windows + w * WINDOW_BYTES) / 4;
    for (let i = 0; i < WINDOW_BYTES / 4; i += 4) {
      if ((random.next() & 3) === 0) pickExtended(random, words, at + i);
      else pickVector(random, words, at + i);
    }
  }
  bytes[STATE.profile] = profileIndex;
  bytes[STATE.stop] = STOP_STEP;
  bytes[STATE.profile + 1] = 0;
}

/** Puts the instruction at `linear` and RIP on it. */
export function setCode(state: CaseState, code: Uint8Array, linear: number): void {
  const { view, bytes } = state;
  const profile = PROFILES[bytes[STATE.profile]!]!;
  view.setUint32(STATE.codeLinear, linear, true);
  view.setUint32(STATE.codeLength, code.length, true);
  bytes.fill(0, STATE.code, STATE.code + 16);
  bytes.set(code, STATE.code);
  view.setUint32(STATE.rip, linear - profile.csBase, true);
  view.setUint32(STATE.rip + 4, 0, true);
}

/** Writes bytes into whichever window holds them; those outside are dropped. */
export function setMemory(state: CaseState, linear: number, data: Uint8Array): void {
  for (let i = 0; i < data.length; i++) {
    for (let w = 0; w < WINDOWS.length; w++) {
      const offset = linear + i - WINDOWS[w]!;
      if (offset >= 0 && offset < WINDOW_BYTES)
        state.bytes[STATE.windows + w * WINDOW_BYTES + offset] = data[i]!;
    }
  }
}

/** A check sum of states, which tells stale data from a wrong result. */
export function checksumState(sum: number, state: CaseState): number {
  let h = sum;
  for (let i = 0; i < STATE.size / 4; i++) h = Math.imul(h ^ state.words[i]!, 0x01000193) ^ (h >>> 15);
  return h;
}
