/**
 * Random streams of instructions from the opcode table, for the real CPU and for ours: straight code, short branches, loops and
 * calls, with operands in registers and in the windows of vectors-state.ts. A stream ends at the INT3 behind it or with an
 * exception. Nothing in it depends on what the manuals leave undefined.
 */
import { FORMS, type Form } from '../../src/isa/forms.ts';
import {
  hasModrm,
  MAP_ESCAPES,
  MAP_VEX,
  PREFIX_66,
  PREFIX_BYTES,
  rmOperand,
} from '../../src/isa/tables/row.ts';
import { NOT_RECORDED } from '../../src/interp/vectors-excluded.ts';
import { SET_EFLAGS, SET_FCW, SET_FSW, SET_MXCSR, type RegisterSet } from '../../src/interp/vectors-file.ts';
import {
  CODE_BASE,
  DATA_WINDOW,
  fillState,
  Random,
  STACK_WINDOW,
  STATE,
  type CaseState,
} from '../../src/interp/vectors-state.ts';
import { TRANSCENDENTAL } from '../../src/interp/vectors-undefined.ts';
import { FLAG_DF } from '../../src/layout/registers.ts';
import { encodable, hasSize, immediateBytes, operandBytes, vexPrefix } from './encode.ts';
import { ALL_FLAGS, flagsRead, undefinedFlags } from './stream-flags.ts';

export interface Stream {
  /** Of PROFILES: 0 is 64-bit code, 1 flat 32-bit code. */
  readonly profile: number;
  /** Of the state that it starts from (`fillState`), before `registers`. */
  readonly seed: number;
  readonly code: Uint8Array;
  readonly codeLinear: number;
  readonly registers: readonly RegisterSet[];
  /** Arithmetic flags that are undefined at its end. */
  readonly undefinedFlags: number;
  /** Page offsets at which blocks start. */
  readonly leaders: readonly number[];
}

const RAX = 0;
const RCX = 1;
const RDX = 2;
const RSP = 4;
/** Points into the middle of the data window, and is never written. */
const RBP = 5;
const RSI = 6;
const RDI = 7;
/** 64-bit code: an index of 0 to 3, the counter of a loop, and the middle of the stack window; not written either. */
const INDEX = 14;
const COUNTER = 13;
const STACK_POINTER = 15;
/** The counter of a loop in 32-bit code. */
const COUNTER_32 = RSI;
const MIDDLE = 128;

/** Descriptions that user code in a stream cannot have, or whose results differ between CPUs. */
const LEFT_OUT = new Set(
  `popf leave enter pusha popa bound xlat maskmovq maskmovdqu lar lsl verr verw arpl fxsave fxrstor ldmxcsr 
   wrfsbase wrgsbase rcpps rcpss rsqrtps rsqrtss loadFar movToSegment callTo jmpTo retFar
   swapgs invlpg invd wbinvd clac stac hlt cli sti clts smsw lmsw`.split(/\s+/),
);

function isPlain(form: Form, mode: 32 | 64): boolean {
  const { row } = form;
  const { semantics, attributes } = row;
  if (NOT_RECORDED[semantics] || LEFT_OUT.has(semantics) || !encodable(form, mode)) return false;
  if (attributes.has('end') || attributes.has('rep')) return false;
  if (row.operands.some(({ letter, size }) => 'CDSA'.includes(letter) || /^[C-GS]S$|^ES$/.test(size)))
    return false;
  // A register index reaches far from its operand; a 16-bit result is undefined.
  if (semantics.startsWith('bt') && form.memory && row.operands[1]!.letter === 'G') return false;
  if ((semantics === 'bswap' || /^sh[lr]d$/.test(semantics)) && form.operandBits === 16) return false;
  return true;
}

const PLAIN = { 32: FORMS.filter((f) => isPlain(f, 32)), 64: FORMS.filter((f) => isPlain(f, 64)) };
/** x87 and MMX make up much of the table: integer and SSE forms are preferred. */
const INTEGER = {
  32: PLAIN[32].filter(({ row }) => !row.operands.some(({ letter }) => 'VWUPQN'.includes(letter))),
  64: PLAIN[64].filter(({ row }) => !row.operands.some(({ letter }) => 'VWUPQN'.includes(letter))),
};
const STRINGS = ['movs', 'cmps', 'stos', 'lods', 'scas'];
const STRING_FORMS = FORMS.filter(({ row }) => STRINGS.includes(row.semantics));

/** A short branch does not reach its target: the stream is made anew. */
class TooFar extends Error {}

class StreamBuilder {
  readonly #random: Random;
  readonly #mode: 32 | 64;
  readonly #origin: number;
  readonly #bytes: number[] = [];
  readonly #leaders = new Set<number>();
  /** Registers that instructions must not write, and so do not name but as a base. */
  readonly #reserved = new Set<number>([RSP, RBP]);
  /** Undefined flags at this place. */
  #undefined = 0;
  instructions = 0;

  constructor(random: Random, mode: 32 | 64, origin: number) {
    this.#random = random;
    this.#mode = mode;
    this.#origin = origin;
    if (mode === 64) [INDEX, STACK_POINTER].forEach((register) => this.#reserved.add(register));
    this.#leaders.add(0);
  }

  get code(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }
  get undefinedFlags(): number {
    return this.#undefined;
  }
  /** Offsets from the start of the stream. */
  get leaders(): readonly number[] {
    return [...this.#leaders].filter((at) => at < this.#bytes.length);
  }

  #chance(percent: number): boolean {
    return this.#random.below(100) < percent;
  }

  #emit(...bytes: number[]): void {
    this.#bytes.push(...bytes);
    this.instructions++;
  }

  /** CMP of a low register with an immediate: defines all flags. */
  #define(needed: number): void {
    if ((this.#undefined & needed) === 0) return;
    this.#emit(0x83, 0xf8 | this.#random.below(4), this.#random.below(256));
    this.#undefined = 0;
  }

  /** So many units of any kind; `depth` bounds the nesting. */
  units(count: number, depth: number): void {
    for (let n = 0; n < count; n++) {
      const kind = depth > 0 ? this.#random.below(100) : 100;
      if (kind < 12) this.#forward(depth);
      else if (kind < 17) this.#loop(depth);
      else if (kind < 20) this.#call(depth);
      else if (kind < 25) this.#string();
      else if (kind < 28) this.#divide();
      else this.#plain();
    }
  }

  #patch(at: number): void {
    const distance = this.#bytes.length - at - 1;
    if (distance > 127) throw new TooFar();
    this.#bytes[at] = distance;
    this.#leaders.add(this.#bytes.length);
  }

  /** A conditional jump over some units, now and then with JMP in its place. */
  #forward(depth: number): void {
    const condition = this.#random.below(16);
    if (this.#chance(10)) this.#emit(0xeb, 0);
    else {
      this.#define([0x800, 1, 0x40, 0x41, 0x80, 4, 0x880, 0x8c0][condition >> 1]!);
      this.#emit(0x70 | condition, 0);
    }
    const at = this.#bytes.length - 1;
    this.#leaders.add(this.#bytes.length);
    const before = this.#undefined;
    this.units(1 + this.#random.below(2), depth - 1);
    this.#undefined |= before;
    this.#patch(at);
  }

  /** MOV counter, n; units; DEC counter; JNZ. */
  #loop(depth: number): void {
    const counter = this.#mode === 64 ? COUNTER : COUNTER_32;
    if (this.#reserved.has(counter)) {
      this.#plain();
      return;
    }
    const rex = counter > 7 ? [0x41] : [];
    this.#reserved.add(counter);
    this.#emit(...rex, 0xb8 | (counter & 7), 1 + this.#random.below(5), 0, 0, 0);
    const start = this.#bytes.length;
    this.#leaders.add(start);
    this.#undefined = ALL_FLAGS;
    this.#define(ALL_FLAGS);
    this.units(1 + this.#random.below(3), Math.min(depth - 1, 1));
    this.#emit(...rex, 0xff, 0xc8 | (counter & 7));
    const distance = start - this.#bytes.length - 2;
    if (distance < -128) throw new TooFar();
    this.#emit(0x75, distance & 0xff);
    this.#leaders.add(this.#bytes.length);
    // DEC leaves CF.
    this.#undefined &= 1;
    this.#reserved.delete(counter);
  }

  /** CALL f; JMP over; f: units; RET; over: */
  #call(depth: number): void {
    this.#emit(0xe8, 2, 0, 0, 0);
    this.#leaders.add(this.#bytes.length);
    this.#emit(0xeb, 0);
    const over = this.#bytes.length - 1;
    this.#leaders.add(this.#bytes.length);
    this.units(1 + this.#random.below(2), Math.min(depth - 1, 0));
    this.#emit(0xc3);
    this.#patch(over);
  }

  /** LEA of both pointers, MOV ECX, then a string instruction, repeated or not. */
  #string(): void {
    const form = this.#random.pick(STRING_FORMS);
    const { row, operandBits } = form;
    if (!encodable(form, this.#mode)) {
      this.#plain();
      return;
    }
    const wide = this.#mode === 64 ? [0x48] : [];
    if (this.#reserved.has(RSI)) {
      this.#plain();
      return;
    }
    this.#emit(...wide, 0x8d, 0x75, this.#random.below(128));
    this.#emit(...wide, 0x8d, 0x7d, this.#random.below(128));
    const prefixes: number[] = [];
    if (this.#chance(70)) {
      this.#emit(0xb9, this.#random.below(10), 0, 0, 0);
      prefixes.push(this.#chance(50) ? 0xf3 : 0xf2);
    }
    if (row.operands[0]?.size !== 'b') {
      if (operandBits === 16) prefixes.push(0x66);
      if (operandBits === 64) prefixes.push(0x48);
    }
    const compares = row.semantics === 'cmps' || row.semantics === 'scas';
    // With a count of 0 nothing is compared.
    this.#emit(...prefixes, row.opcode);
    if (compares && prefixes[0] !== 0xf3 && prefixes[0] !== 0xf2) this.#undefined = 0;
  }

  /** Divides by something that is not 0, with a dividend that fits more often than not. */
  #divide(): void {
    const size = this.#mode === 64 && this.#chance(50) ? [0x48] : [];
    const divisor = this.#random.pick([RCX, 3, RDI]);
    if (this.#reserved.has(divisor)) return;
    const signed = this.#chance(50);
    this.#emit(...size, 0x83, 0xc8 | divisor, 1 << this.#random.below(7));
    if (signed) this.#emit(...size, 0x99);
    else this.#emit(0x31, 0xc0 | (RDX << 3) | RDX);
    this.#emit(...size, 0xf7, (signed ? 0xf8 : 0xf0) | divisor);
    this.#undefined = ALL_FLAGS;
  }

  #plain(): void {
    const list = this.#chance(65) ? INTEGER[this.#mode] : PLAIN[this.#mode];
    for (;;) {
      const form = this.#random.pick(list);
      if (this.#encode(form)) return;
    }
  }

  /** A register that may be written, as its ModRM field with REX.R, .B or .V apart; `bytes` 1 without REX: AH to BH. */
  #register(registers: number, isByte: boolean, rex: boolean): number {
    for (;;) {
      const register = this.#random.below(registers);
      if (isByte && !rex && register >= 4 && register < 8) {
        if (this.#reserved.has(register - 4)) continue;
        return register;
      }
      if (!this.#reserved.has(register)) return register;
    }
  }

  /** Appends the form, or tries nothing and gives false where this stream has no operands for it. */
  #encode(form: Form): boolean {
    const { row, operandBits, memory } = form;
    const { semantics, attributes } = row;
    const random = this.#random;
    const long = this.#mode === 64;
    const vex = (row.map & MAP_VEX) !== 0;
    // Implicit destinations.
    const implied = IMPLIED[semantics] ?? [];
    if (implied.some((register) => this.#reserved.has(register))) return false;

    let rex = 0;
    let forceRex = long && !vex && this.#chance(15);
    const prefixes: number[] = [];
    const small = row.operands.some(({ size }) => size === 'y') && !hasSize(row);
    if (operandBits !== 0) {
      if (long) {
        if (operandBits === 16) prefixes.push(0x66);
        const free = attributes.has('d64') || attributes.has('f64');
        if (operandBits === 64 && !free) rex |= 8;
      } else if (!small && operandBits !== 32 && row.prefix !== PREFIX_66) prefixes.push(0x66);
    }
    if (form.locked && semantics !== 'xchg') prefixes.push(0xf0);
    const mandatory = PREFIX_BYTES[row.prefix];
    if (mandatory !== undefined && !vex) prefixes.push(mandatory);

    const body = [...(MAP_ESCAPES[row.map] ?? [])];
    let opcode = row.opcode;
    const registers = long ? 16 : 8;
    if (row.registerInOpcode) {
      const isByte = row.operands[0]!.size === 'b';
      const register = this.#register(registers, isByte, forceRex || rex !== 0);
      opcode += register & 7;
      if (register > 7) rex |= 1;
      else if (opcode === 0x90 && row.map === 0) return false;
    }
    body.push(opcode);
    let vvvv = 0;
    if (row.operands.some(({ letter }) => letter === 'B')) vvvv = this.#register(registers, false, true);
    let ripRelative: { at: number; target: number } | undefined;
    if (row.modrmByte !== undefined) body.push(row.modrmByte);
    else if (hasModrm(row)) {
      const spec = rmOperand(row);
      const named = row.operands.find(({ letter }) => 'GVP'.includes(letter));
      const bytes = operandBytes(form, spec, this.#mode);
      // Byte registers depend on whether there is a REX prefix: settle that first.
      const anyByte = row.operands.some(({ letter, size }) => 'GE'.includes(letter) && size === 'b');
      if (anyByte && long && this.#chance(50)) forceRex = true;
      // AH to BH would become other registers with REX.
      const withoutRex = anyByte && !(forceRex || rex);
      const limit = withoutRex ? 8 : registers;
      let reg = row.modrmReg ?? 0;
      if (attributes.has('opcode')) reg = random.below(8);
      if (named?.letter === 'G') {
        reg = this.#register(limit, named.size === 'b', forceRex || rex !== 0);
        if (reg > 7) rex |= 4;
      } else if (named) {
        reg = random.below(named.letter === 'V' ? registers : 8);
        if (reg > 7) rex |= 4;
      }
      if (semantics === 'x87mem' && !isQuietX87(row.opcode, reg, attributes)) return false;
      if (memory) {
        const disp = this.#displacement(bytes, spec?.size === 'x' && !attributes.has('unaligned'));
        const kind = random.below(100);
        if (long && kind < 6 && !vex) {
          body.push(((reg & 7) << 3) | 5, 0, 0, 0, 0);
          ripRelative = { at: body.length - 4, target: DATA_WINDOW + MIDDLE + disp };
        } else {
          const base = long && !withoutRex && kind < 35 && kind >= 20 ? STACK_POINTER : RBP;
          if (base > 7) rex |= 1;
          const indexed = long && !withoutRex && kind >= 85;
          const far = kind >= 70 && kind < 85;
          const mod = (far ? 0x80 : 0x40) | ((reg & 7) << 3);
          if (indexed) {
            rex |= 2;
            body.push(mod | 4, (random.below(3) << 6) | ((INDEX & 7) << 3) | (base & 7));
          } else body.push(mod | (base & 7));
          body.push(disp & 0xff);
          if (far) body.push((disp >> 8) & 0xff, (disp >> 16) & 0xff, (disp >> 24) & 0xff);
        }
      } else {
        const letter = spec?.letter ?? '';
        let rm: number;
        if (semantics === 'x87reg') {
          rm = random.below(8);
          if (row.opcode === 0xd9 && TRANSCENDENTAL.has(0xc0 | (reg << 3) | rm)) return false;
        } else if (letter === 'E' || letter === 'R') {
          rm = this.#register(limit, spec?.size === 'b', forceRex || rex !== 0);
        } else rm = random.below('WU'.includes(letter) ? registers : 8);
        if (rm > 7) rex |= 1;
        body.push(0xc0 | ((reg & 7) << 3) | (rm & 7));
      }
    }
    let count: number | undefined = row.operands.some(({ size }) => size === '1') ? 1 : undefined;
    for (const { letter, size } of row.operands) {
      if (letter === 'I') {
        const bytes = immediateBytes(size, operandBits);
        const value = this.#chance(40) ? random.below(256) : random.next();
        if (size === 'b') count = value & 0xff;
        for (let i = 0; i < bytes; i++)
          body.push(i < 4 ? (value >> (i * 8)) & 0xff : this.#random.below(256));
      } else if (letter === 'O') {
        const address = DATA_WINDOW + MIDDLE + this.#displacement(8, false);
        for (let i = 0; i < (long ? 8 : 4); i++) body.push(i < 4 ? (address >>> (i * 8)) & 0xff : 0);
      } else if (letter === 'J') return false;
    }
    this.#define(flagsRead(row));
    const start = this.#bytes.length;
    const head = vex
      ? [...prefixes, ...vexPrefix(row, rex, vvvv)]
      : [...prefixes, ...(rex || forceRex ? [0x40 | rex] : [])];
    const length = head.length + body.length;
    if (length > 15) return false;
    if (ripRelative) {
      const from = this.#origin + start + length;
      const displacement = (ripRelative.target - from) | 0;
      for (let i = 0; i < 4; i++) body[ripRelative.at + i] = (displacement >> (i * 8)) & 0xff;
    }
    this.#emit(...head, ...body);
    const size = row.operands[0]?.size === 'b' ? 8 : operandBits;
    const shifts = /^(sh[lr]d?|sar|ro[lr]|rc[lr])$/.test(semantics);
    this.#undefined = undefinedFlags(this.#undefined, row, size, shifts ? count : undefined);
    return true;
  }

  /** From the middle of a window; operands of 16 bytes mostly aligned. */
  #displacement(bytes: number, aligned: boolean): number {
    const disp = this.#random.below(Math.max(1, 248 - bytes)) - 120;
    return aligned && !this.#chance(2) ? disp & ~15 : disp;
  }
}

/** Registers that instructions write without naming them. */
const IMPLIED: Readonly<Record<string, readonly number[]>> = {
  mul: [RAX, RDX],
  imul1: [RAX, RDX],
  cmpxchg8b: [RAX, RDX],
  pcmpestri: [RCX],
  pcmpistri: [RCX],
};

/** Not FLDENV, FLDCW, FNSTENV (which stores addresses), FRSTOR and FNSAVE, nor what is undefined. */
function isQuietX87(opcode: number, reg: number, attributes: ReadonlySet<string>): boolean {
  const without = [...attributes].find((text) => text.startsWith('without='))?.slice(8) ?? '';
  if (without.includes(String(reg))) return false;
  if (opcode === 0xd9) return reg < 4 || reg === 7;
  if (opcode === 0xdd) return reg !== 4 && reg !== 6;
  return true;
}

function build(seed: number, width: 32 | 64): { builder: StreamBuilder; random: Random; offset: number } {
  for (let attempt = 0; ; attempt++) {
    const random = new Random(seed + attempt);
    // Mostly inside the first page of code, sometimes across its end.
    const offset = random.below(12) === 0 ? 0xff0 - random.below(80) : 0x100 + random.below(0xa00);
    const builder = new StreamBuilder(random, width, CODE_BASE + offset);
    try {
      builder.units(3 + random.below(8), 3);
      return { builder, random, offset };
    } catch (error) {
      if (!(error instanceof TooFar)) throw error;
    }
  }
}

/** Stream number `index` of a run with `seed`. */
export function makeStream(seed: number, index: number, width: 32 | 64, state: CaseState): Stream {
  const stateSeed = (seed ^ Math.imul(index + 1, 0x9e3779b1)) | 0;
  const profile = width === 64 ? 0 : 1;
  const { builder, random, offset } = build(stateSeed ^ 0x5bd1e995, width);
  const codeLinear = CODE_BASE + offset;
  fillState(state, stateSeed, profile);
  const eflags = state.view.getUint32(STATE.eflags, true);
  const registers: RegisterSet[] = [
    { target: RBP, value: BigInt(DATA_WINDOW + MIDDLE) },
    { target: RSP, value: BigInt(STACK_WINDOW + MIDDLE + 8 * random.below(10)) },
    { target: SET_EFLAGS, value: BigInt(random.below(8) === 0 ? eflags : eflags & ~FLAG_DF) },
    // All exceptions masked and none pending; rounding as the seed says.
    { target: SET_MXCSR, value: BigInt(state.view.getUint32(STATE.mxcsr, true) | 0x1f80) },
    { target: SET_FCW, value: BigInt(state.view.getUint16(STATE.fcw, true) | 0x3f) },
    { target: SET_FSW, value: BigInt(state.view.getUint16(STATE.fsw, true) & 0x7f00) },
  ];
  if (width === 64) {
    registers.push(
      { target: INDEX, value: BigInt(random.below(4)) },
      { target: STACK_POINTER, value: BigInt(STACK_WINDOW + MIDDLE) },
    );
  }
  return {
    profile,
    seed: stateSeed,
    code: builder.code,
    codeLinear,
    registers,
    undefinedFlags: builder.undefinedFlags,
    leaders: builder.leaders.map((at) => offset + at).toSorted((a, b) => a - b),
  };
}
