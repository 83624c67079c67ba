/**
 * The committed form of recorded cases, and both directions of it.
 *
 * A file (gzip around it) is MAGIC, then groups until its end. Integers are LEB128 unless said otherwise.
 * Values ("v") are one byte n and the n low bytes; the bytes above are those of the value before.
 *
 * group: id and mnemonic (length, UTF-8), profile u8, seed u32, number of cases, check sum of all inputs u32, cases
 * case:  flags u8 (HAS_*), index of its seed
 *        code address - CODE_BASE, code length u8, code bytes
 *        HAS_SETS: count, then each: target u8, v against the seed's value; for SET_MEMORY: linear address, length, bytes
 *        HAS_EXCEPTION: vector u8, error code, CR2 (v against 0) if #PF
 *        HAS_RIP: v against the address of the next instruction (of this one, if HAS_EXCEPTION)
 *        registers: mask of changed ones (GPR 0-15, bit 16 EFLAGS), then v for each
 *        HAS_MEMORY: number of runs, each linear address, length, bytes
 *        HAS_XMM: mask of changed registers, 16 bytes each; MXCSR v
 *        HAS_FPU: FCW v, FSW v, abridged tag u8, mask of changed ST(i), 10 bytes each
 *        HAS_SEGMENTS: mask over ES CS SS DS FS GS, a selector each; then FS.base v and GS.base v
 */
import { FLAG_TF } from '../layout/registers.ts';
import type { CaseState, Profile } from './vectors-state.ts';
import {
  caseSeed,
  checksumState,
  CODE_BASE,
  fillState,
  PROFILES,
  RESULT,
  setCode,
  setMemory,
  STATE,
  STOP_BREAKPOINT,
} from './vectors-state.ts';

export const MAGIC = 0x31565456;

export const HAS_SETS = 1;
export const HAS_EXCEPTION = 2;
export const HAS_RIP = 4;
export const HAS_MEMORY = 8;
export const HAS_XMM = 16;
export const HAS_FPU = 32;
export const HAS_SEGMENTS = 64;
export const HAS_BREAKPOINT_STOP = 128;

/** Targets of a set: 0-15 are general registers. */
export const SET_EFLAGS = 16;
export const SET_MXCSR = 17;
export const SET_FCW = 18;
export const SET_FSW = 19;
export const SET_FTW = 20;
export const SET_MEMORY = 32;

export interface RegisterSet {
  readonly target: number;
  readonly value: bigint;
}

export interface MemorySet {
  readonly linear: number;
  readonly bytes: Uint8Array;
}

/** What a case sets on top of its seed's state. */
export interface CaseInput {
  readonly code: Uint8Array;
  readonly codeLinear: number;
  readonly breakpointStop: boolean;
  readonly registers: readonly RegisterSet[];
  readonly memory: readonly MemorySet[];
}

export interface ChangedVector {
  readonly index: number;
  readonly bytes: Uint8Array;
}

/** The state after the instruction; what is not named is unchanged. */
export interface CaseOutcome {
  /** Exception vector, or -1. */
  readonly vector: number;
  readonly error: number;
  readonly cr2: bigint;
  /** Absolute, as an offset in CS. */
  readonly rip: bigint;
  /** All 16, changed or not. */
  readonly gpr: readonly bigint[];
  readonly eflags: number;
  readonly memory: readonly MemorySet[];
  readonly xmm: readonly ChangedVector[];
  readonly mxcsr: number;
  readonly fcw: number;
  readonly fsw: number;
  readonly ftw: number;
  readonly st: readonly ChangedVector[];
  /** ES CS SS DS FS GS. */
  readonly selectors: readonly number[];
  readonly fsBase: bigint;
  readonly gsBase: bigint;
}

export interface RecordedCase {
  /** Of its seed in the group: cases that depend on the recording machine are left out. */
  readonly index: number;
  readonly input: CaseInput;
  readonly outcome: CaseOutcome;
}

export interface Group {
  /** Mode, encoding and operands, as the coverage report names them. */
  readonly id: string;
  readonly mnemonic: string;
  readonly profile: number;
  readonly seed: number;
  readonly checksum: number;
  readonly cases: readonly RecordedCase[];
}

/** Builds the state that case `index` of a group starts from. */
export function buildCaseState(
  state: CaseState,
  group: Pick<Group, 'seed' | 'profile'>,
  index: number,
  input: CaseInput,
): void {
  fillState(state, caseSeed(group.seed, index), group.profile);
  for (const set of input.registers) applySet(state, set);
  for (const set of input.memory) setMemory(state, set.linear, set.bytes);
  setCode(state, input.code, input.codeLinear);
  if (input.breakpointStop) state.bytes[STATE.stop] = STOP_BREAKPOINT;
}

export function applySet(state: CaseState, set: RegisterSet): void {
  const value = Number(set.value & 0xffffffffn);
  if (set.target < 16) state.setGpr(set.target, set.value);
  else if (set.target === SET_EFLAGS) state.view.setUint32(STATE.eflags, value, true);
  else if (set.target === SET_MXCSR) state.view.setUint32(STATE.mxcsr, value, true);
  else if (set.target === SET_FCW) state.view.setUint16(STATE.fcw, value, true);
  else if (set.target === SET_FSW) state.view.setUint16(STATE.fsw, value, true);
  else if (set.target === SET_FTW) state.bytes[STATE.ftw] = value;
}

class Writer {
  #bytes = new Uint8Array(1 << 16);
  #length = 0;

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  u8(value: number): void {
    if (this.#length === this.#bytes.length) {
      const larger = new Uint8Array(this.#bytes.length * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes[this.#length++] = value;
  }

  bytes(value: Uint8Array): void {
    for (const b of value) this.u8(b);
  }

  u32(value: number): void {
    for (let i = 0; i < 32; i += 8) this.u8((value >>> i) & 0xff);
  }

  leb(value: number): void {
    let rest = value >>> 0;
    while (rest >= 0x80) {
      this.u8((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.u8(rest);
  }

  text(value: string): void {
    const bytes = new TextEncoder().encode(value);
    this.leb(bytes.length);
    this.bytes(bytes);
  }

  value(now: bigint, before: bigint): void {
    let n = 0;
    for (let difference = now ^ before; difference !== 0n; difference >>= 8n) n++;
    this.u8(n);
    for (let i = 0; i < n; i++) this.u8(Number((now >> BigInt(i * 8)) & 0xffn));
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.at >= this.#bytes.length;
  }

  u8(): number {
    const value = this.#bytes[this.at++];
    if (value === undefined) throw new Error('vectors: the file ends inside a case');
    return value;
  }

  bytes(n: number): Uint8Array {
    if (this.at + n > this.#bytes.length) throw new Error('vectors: the file ends inside a case');
    this.at += n;
    return this.#bytes.subarray(this.at - n, this.at);
  }

  u32(): number {
    return (this.u8() | (this.u8() << 8) | (this.u8() << 16) | (this.u8() << 24)) >>> 0;
  }

  leb(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const b = this.u8();
      value |= (b & 0x7f) << shift;
      if (b < 0x80) return value >>> 0;
    }
  }

  text(): string {
    return new TextDecoder().decode(this.bytes(this.leb()));
  }

  value(before: bigint): bigint {
    const n = this.u8();
    if (n === 0) return before;
    let value = 0n;
    for (let i = 0; i < n; i++) value |= BigInt(this.u8()) << BigInt(i * 8);
    return n === 8 ? value : ((before >> BigInt(n * 8)) << BigInt(n * 8)) | value;
  }
}

/** RIP after the instruction if it neither branches nor faults. */
function nextRip(state: CaseState, vector: number): bigint {
  const rip = state.view.getBigUint64(STATE.rip, true);
  const next = vector < 0 ? rip + BigInt(state.view.getUint32(STATE.codeLength, true)) : rip;
  const profile = PROFILES[state.bytes[STATE.profile]!]!;
  return profile.mode === 16 ? next & 0xffffn : profile.mode === 32 ? next & 0xffffffffn : next;
}

/** Reads the recorder's report of one case. */
export function parseResult(
  state: CaseState,
  buffer: Uint8Array,
  at: number,
): { outcome: CaseOutcome; end: number } {
  const view = new DataView(buffer.buffer, buffer.byteOffset + at);
  const u64 = (offset: number): bigint => view.getBigUint64(offset, true);
  const vector = view.getInt32(RESULT.vector, true);
  const profile = PROFILES[state.bytes[STATE.profile]!]!;
  const memory: MemorySet[] = [];
  const end = RESULT.size + view.getUint32(RESULT.memoryBytes, true);
  for (let i = RESULT.size; i < end;) {
    const length = view.getUint32(i + 4, true);
    memory.push({ linear: view.getUint32(i, true), bytes: buffer.slice(at + i + 8, at + i + 8 + length) });
    i += 8 + length;
  }
  const vectors = (from: number, base: number, count: number, bytes: number): ChangedVector[] => {
    const changed: ChangedVector[] = [];
    for (let i = 0; i < count; i++) {
      const now = buffer.slice(at + base + i * 16, at + base + i * 16 + bytes);
      if (now.some((b, j) => b !== state.bytes[from + i * 16 + j])) changed.push({ index: i, bytes: now });
    }
    return changed;
  };
  const outcome: CaseOutcome = {
    vector,
    error: view.getUint32(RESULT.error, true),
    cr2: u64(RESULT.cr2),
    rip: u64(RESULT.rip),
    gpr: Array.from({ length: 16 }, (_, i) => registerValue(profile, i, u64(RESULT.gpr + i * 8))),
    // The recorder's own.
    eflags: view.getUint32(RESULT.eflags, true) & ~FLAG_TF,
    memory,
    xmm: vectors(STATE.xmm, RESULT.xmm, 16, 16),
    mxcsr: view.getUint32(RESULT.mxcsr, true),
    fcw: view.getUint16(RESULT.fcw, true),
    fsw: view.getUint16(RESULT.fsw, true),
    ftw: view.getUint8(RESULT.ftw),
    st: vectors(STATE.st, RESULT.st, 8, 10),
    selectors: Array.from({ length: 6 }, (_, i) => view.getUint16(RESULT.segments + i * 2, true)),
    fsBase: u64(RESULT.fsBase),
    gsBase: u64(RESULT.gsBase),
  };
  return { outcome, end: at + end };
}

/**
 * Outside 64-bit mode the high halves are undefined, and R8-R15 out of reach (AMD APM vol. 1, 3.1.2); what IRET to a
 * 16-bit stack leaves there is the kernel's.
 */
export function registerValue(profile: Profile, index: number, value: bigint): bigint {
  if (profile.mode === 64) return value;
  return index < 8 ? value & 0xffffffffn : 0n;
}

/** Selectors ES CS SS DS FS GS of a profile. */
export function profileSelectors(profile: number): readonly number[] {
  const p = PROFILES[profile]!;
  return [p.es, p.cs, p.ss, p.ds, p.fs, p.gs];
}

export interface GroupHeader {
  readonly id: string;
  readonly mnemonic: string;
  readonly profile: number;
  readonly seed: number;
}

/** Writes groups; `states` are rebuilt here, so that what is checked and delta-coded is what a reader will build. */
export function encodeFile(
  groups: readonly (GroupHeader & { readonly cases: readonly RecordedCase[] })[],
  state: CaseState,
): Uint8Array {
  const w = new Writer();
  w.u32(MAGIC);
  for (const group of groups) {
    w.text(group.id);
    w.text(group.mnemonic);
    w.u8(group.profile);
    w.u32(group.seed);
    w.leb(group.cases.length);
    let sum = 0;
    group.cases.forEach((c) => {
      buildCaseState(state, group, c.index, c.input);
      sum = checksumState(sum, state);
    });
    w.u32(sum);
    for (const c of group.cases) encodeCase(w, group, c, state);
  }
  return w.finish();
}

function encodeCase(w: Writer, group: GroupHeader, c: RecordedCase, state: CaseState): void {
  const { index, input, outcome } = c;
  fillState(state, caseSeed(group.seed, index), group.profile);
  const seeded = readTargets(state);
  buildCaseState(state, group, index, input);
  const selectors = profileSelectors(group.profile);
  const profile = PROFILES[group.profile]!;
  const { view } = state;
  const expectedRip = nextRip(state, outcome.vector);
  const mxcsr = view.getUint32(STATE.mxcsr, true);
  const fcw = view.getUint16(STATE.fcw, true);
  const fsw = view.getUint16(STATE.fsw, true);
  const segmentMask = outcome.selectors.reduce((m, s, i) => (s === selectors[i] ? m : m | (1 << i)), 0);
  const basesChanged =
    profile.mode === 64 &&
    (outcome.fsBase !== BigInt(profile.fsBase) || outcome.gsBase !== BigInt(profile.gsBase));
  const flags =
    (input.registers.length + input.memory.length > 0 ? HAS_SETS : 0) |
    (outcome.vector >= 0 ? HAS_EXCEPTION : 0) |
    (outcome.rip !== expectedRip ? HAS_RIP : 0) |
    (outcome.memory.length > 0 ? HAS_MEMORY : 0) |
    (outcome.xmm.length > 0 || outcome.mxcsr !== mxcsr ? HAS_XMM : 0) |
    (outcome.st.length > 0 ||
    outcome.fcw !== fcw ||
    outcome.fsw !== fsw ||
    outcome.ftw !== state.bytes[STATE.ftw]
      ? HAS_FPU
      : 0) |
    (segmentMask !== 0 || basesChanged ? HAS_SEGMENTS : 0) |
    (input.breakpointStop ? HAS_BREAKPOINT_STOP : 0);
  w.u8(flags);
  w.leb(index);
  w.leb(input.codeLinear - CODE_BASE);
  w.u8(input.code.length);
  w.bytes(input.code);
  if (flags & HAS_SETS) {
    w.leb(input.registers.length + input.memory.length);
    for (const set of input.registers) {
      w.u8(set.target);
      w.value(set.value, seeded[set.target]!);
    }
    for (const set of input.memory) {
      w.u8(SET_MEMORY);
      w.leb(set.linear);
      w.leb(set.bytes.length);
      w.bytes(set.bytes);
    }
  }
  if (flags & HAS_EXCEPTION) {
    w.u8(outcome.vector);
    w.leb(outcome.error);
    if (outcome.vector === 14) w.value(outcome.cr2, 0n);
  }
  if (flags & HAS_RIP) w.value(outcome.rip, expectedRip);
  let mask = outcome.gpr.reduce((m, r, i) => (r === state.gpr(i) ? m : m | (1 << i)), 0);
  const eflags = view.getUint32(STATE.eflags, true);
  if (outcome.eflags !== eflags) mask |= 1 << 16;
  w.leb(mask);
  outcome.gpr.forEach((r, i) => {
    if (mask & (1 << i)) w.value(r, state.gpr(i));
  });
  if (mask & (1 << 16)) w.value(BigInt(outcome.eflags), BigInt(eflags));
  if (flags & HAS_MEMORY) {
    w.leb(outcome.memory.length);
    for (const run of outcome.memory) {
      w.leb(run.linear);
      w.leb(run.bytes.length);
      w.bytes(run.bytes);
    }
  }
  if (flags & HAS_XMM) {
    writeVectors(w, outcome.xmm);
    w.value(BigInt(outcome.mxcsr), BigInt(mxcsr));
  }
  if (flags & HAS_FPU) {
    w.value(BigInt(outcome.fcw), BigInt(fcw));
    w.value(BigInt(outcome.fsw), BigInt(fsw));
    w.u8(outcome.ftw);
    writeVectors(w, outcome.st);
  }
  if (flags & HAS_SEGMENTS) {
    w.u8(segmentMask);
    outcome.selectors.forEach((s, i) => {
      if (segmentMask & (1 << i)) w.leb(s);
    });
    w.value(outcome.fsBase, BigInt(profile.fsBase));
    w.value(outcome.gsBase, BigInt(profile.gsBase));
  }
}

function writeVectors(w: Writer, changed: readonly ChangedVector[]): void {
  w.leb(changed.reduce((m, c) => m | (1 << c.index), 0));
  for (const c of changed) w.bytes(c.bytes);
}

function readVectors(r: Reader, size: number): ChangedVector[] {
  const mask = r.leb();
  const changed: ChangedVector[] = [];
  for (let index = 0; index < 16; index++)
    if (mask & (1 << index)) changed.push({ index, bytes: r.bytes(size) });
  return changed;
}

/** The values that sets are coded against, by target. */
function readTargets(state: CaseState): bigint[] {
  const targets = Array.from({ length: 16 }, (_, i) => state.gpr(i));
  targets[SET_EFLAGS] = BigInt(state.view.getUint32(STATE.eflags, true));
  targets[SET_MXCSR] = BigInt(state.view.getUint32(STATE.mxcsr, true));
  targets[SET_FCW] = BigInt(state.view.getUint16(STATE.fcw, true));
  targets[SET_FSW] = BigInt(state.view.getUint16(STATE.fsw, true));
  targets[SET_FTW] = BigInt(state.bytes[STATE.ftw]!);
  return targets;
}

/** Reads all groups of a file (already decompressed) and checks that their inputs are those that were recorded. */
export function decodeFile(bytes: Uint8Array, state: CaseState): Group[] {
  const r = new Reader(bytes);
  if (r.u32() !== MAGIC) throw new Error('vectors: not a vector file of this version');
  const groups: Group[] = [];
  while (!r.done) {
    const header: GroupHeader = { id: r.text(), mnemonic: r.text(), profile: r.u8(), seed: r.u32() };
    const count = r.leb();
    const checksum = r.u32();
    const cases: RecordedCase[] = [];
    let sum = 0;
    for (let i = 0; i < count; i++) {
      cases.push(decodeCase(r, header, state));
      sum = checksumState(sum, state);
    }
    if (sum >>> 0 !== checksum)
      throw new Error(`vectors: the inputs of '${header.id}' are not those recorded: record again`);
    groups.push({ ...header, checksum, cases });
  }
  return groups;
}

function decodeCase(r: Reader, group: GroupHeader, state: CaseState): RecordedCase {
  const flags = r.u8();
  const index = r.leb();
  const codeLinear = CODE_BASE + r.leb();
  const code = r.bytes(r.u8());
  const registers: RegisterSet[] = [];
  const memorySets: MemorySet[] = [];
  if (flags & HAS_SETS) {
    fillState(state, caseSeed(group.seed, index), group.profile);
    const seeded = readTargets(state);
    for (let n = r.leb(); n > 0; n--) {
      const target = r.u8();
      if (target === SET_MEMORY) memorySets.push({ linear: r.leb(), bytes: r.bytes(r.leb()) });
      else registers.push({ target, value: r.value(seeded[target]!) });
    }
  }
  const input: CaseInput = {
    code,
    codeLinear,
    registers,
    memory: memorySets,
    breakpointStop: (flags & HAS_BREAKPOINT_STOP) !== 0,
  };
  buildCaseState(state, group, index, input);
  const { view } = state;
  const profile = PROFILES[group.profile]!;
  let vector = -1;
  let error = 0;
  let cr2 = 0n;
  if (flags & HAS_EXCEPTION) {
    vector = r.u8();
    error = r.leb();
    if (vector === 14) cr2 = r.value(0n);
  }
  const expectedRip = nextRip(state, vector);
  const rip = flags & HAS_RIP ? r.value(expectedRip) : expectedRip;
  const mask = r.leb();
  const gpr = Array.from({ length: 16 }, (_, i) => (mask & (1 << i) ? r.value(state.gpr(i)) : state.gpr(i)));
  const eflagsIn = view.getUint32(STATE.eflags, true);
  const eflags = mask & (1 << 16) ? Number(r.value(BigInt(eflagsIn))) : eflagsIn;
  const memory: MemorySet[] = [];
  if (flags & HAS_MEMORY) {
    for (let n = r.leb(); n > 0; n--) memory.push({ linear: r.leb(), bytes: r.bytes(r.leb()) });
  }
  let mxcsr = view.getUint32(STATE.mxcsr, true);
  let xmm: ChangedVector[] = [];
  if (flags & HAS_XMM) {
    xmm = readVectors(r, 16);
    mxcsr = Number(r.value(BigInt(mxcsr)));
  }
  let fcw = view.getUint16(STATE.fcw, true);
  let fsw = view.getUint16(STATE.fsw, true);
  let ftw = state.bytes[STATE.ftw]!;
  let st: ChangedVector[] = [];
  if (flags & HAS_FPU) {
    fcw = Number(r.value(BigInt(fcw)));
    fsw = Number(r.value(BigInt(fsw)));
    ftw = r.u8();
    st = readVectors(r, 10);
  }
  let selectors = profileSelectors(group.profile);
  let fsBase = BigInt(profile.fsBase);
  let gsBase = BigInt(profile.gsBase);
  if (flags & HAS_SEGMENTS) {
    const changed = r.u8();
    selectors = selectors.map((s, i) => (changed & (1 << i) ? r.leb() : s));
    fsBase = r.value(fsBase);
    gsBase = r.value(gsBase);
  }
  return {
    index,
    input,
    outcome: {
      vector,
      error,
      cr2,
      rip,
      gpr,
      eflags,
      memory,
      xmm,
      mxcsr,
      fcw,
      fsw,
      ftw,
      st,
      selectors,
      fsBase,
      gsBase,
    },
  };
}
