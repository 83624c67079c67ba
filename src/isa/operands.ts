import type { Builder } from '../ir/builder.ts';
import type { RegisterFile, RegisterRef, Value } from '../ir/ir.ts';
import { EXCEPTION_GP } from '../layout/exceptions.ts';
import { REG_RSP, SEG_SS, SEGMENT_ALIGNED } from '../layout/vcpu.ts';
import type { Form } from './forms.ts';
import type { OperandSpec } from './tables/row.ts';

/**
 * Where an instruction's description is being emitted: what the code there knows about the decoded
 * instruction. In translated code these are constants, in the interpreter fields of the record.
 */
export interface Site {
  readonly form: Form;
  register(field: 'reg' | 'rm' | 'vvvv', file: RegisterFile): RegisterRef;
  /** i32: ModRM.reg where it names a segment, control or debug register. */
  registerNumber(s: Builder): Value;
  /** Sign-extended to i64. */
  immediate(s: Builder): Value;
  /** The 64 bits of a MOV immediate or of an absolute address. */
  immediate64(s: Builder): Value;
  /** The offset part of a far pointer (i64); its selector is the immediate. */
  farOffset(s: Builder): Value;
  /** Base + index * scale + displacement, wrapped to the address size. */
  effectiveAddress(s: Builder): Value;
  /** i32: the segment of the memory operand; for string instructions that of the source. */
  segment(s: Builder): Value;
  /** i32: 0 = 16, 1 = 32, 2 = 64 bits. */
  addressSize(s: Builder): Value;
  /** i64: what addresses of this instruction are ANDed with. */
  addressMask(s: Builder): Value;
  /** i64: what stack pointers are ANDed with. */
  stackMask(s: Builder): Value;
}

/** An operand of an instruction: `bits` wide, read and written as an i64. */
export interface Operand {
  readonly bits: number;
  readonly memory: boolean;
  /** Zero-extended. */
  get(): Value;
  /** Sign-extended. */
  getSigned(): Value;
  /** Stores the low `bits`. */
  set(value: Value): void;
  /** Read-modify-write, atomic if the form is locked; memory faults as for a write. `old` is sign-extended. */
  update(change: (old: Value) => Value): { old: Value; now: Value };
}

export class RegisterOperand implements Operand {
  readonly memory = false;
  readonly bits: number;
  readonly ref: RegisterRef;
  private readonly s: Builder;

  constructor(s: Builder, ref: RegisterRef, bits: number) {
    this.s = s;
    this.ref = ref;
    this.bits = bits;
  }

  get(): Value {
    return this.s.readRegister(this.ref, this.bits / 8, false);
  }
  getSigned(): Value {
    return this.s.readRegister(this.ref, this.bits / 8, true);
  }
  set(value: Value): void {
    this.s.writeRegister(this.ref, this.bits / 8, value);
  }
  /** A whole XMM register, or an MMX register in both halves of a v128. */
  getVector(): Value {
    if (this.ref.file === 'xmm') return this.s.readRegister(this.ref, 16, false);
    return this.s.op('i64x2.splat', this.get());
  }
  /** A whole XMM register, or an MMX register from the low half of a v128. */
  setVector(value: Value): void {
    if (this.ref.file === 'xmm') this.s.writeRegister(this.ref, 16, value);
    else this.set(this.s.lanes('i64x2.extract_lane', [0], value));
  }
  /** The low `bits` (32 or 64) of an XMM register. */
  getFloat(): Value {
    return this.s.readFloat(this.ref, this.bits / 8);
  }
  update(change: (old: Value) => Value): { old: Value; now: Value } {
    const old = this.getSigned();
    const now = this.s.let(change(old));
    this.set(now);
    return { old, now };
  }
}

export class MemoryOperand implements Operand {
  readonly memory = true;
  readonly bits: number;
  private readonly s: Builder;
  private readonly site: Site;
  private readonly address: Value;
  private readonly segment: Value;
  private readonly locked: boolean;
  private readonly aligned: boolean;

  /**
   * `address` is the effective address; by default that of the ModRM operand, taken now. An `aligned`
   * operand raises #GP(0) unless its linear address is a multiple of 16.
   */
  constructor(s: Builder, site: Site, bits: number, address?: Value, segment?: Value, aligned = false) {
    this.s = s;
    this.site = site;
    this.bits = bits;
    this.locked = site.form.locked;
    this.aligned = aligned;
    this.address = address ?? s.let(site.effectiveAddress(s));
    this.segment = segment ?? site.segment(s);
  }

  /** The same kind of operand `bytes` further on, wrapped to the address size. */
  at(bytes: Value, bits = this.bits): MemoryOperand {
    const { s, site } = this;
    const address = s.let(s.and(s.add(this.address, bytes), site.addressMask(s)));
    return new MemoryOperand(s, site, bits, address, this.segment);
  }

  get effectiveAddress(): Value {
    return this.address;
  }

  /** Linear address for core functions that do the access themselves. */
  linear(bytes: number, access: 0 | 1): Value {
    const { s } = this;
    const linear = s.linear(this.segment, this.address, bytes, access | (this.aligned ? SEGMENT_ALIGNED : 0));
    if (this.aligned) {
      const misaligned = s.op('i32.and', s.narrow(linear), s.i32(15));
      s.if(misaligned, () => s.raise(EXCEPTION_GP, s.i32(0)), undefined, false);
    }
    return linear;
  }

  get segmentValue(): Value {
    return this.segment;
  }

  get(): Value {
    return this.read(false);
  }
  getSigned(): Value {
    return this.read(true);
  }
  private read(signed: boolean): Value {
    const bytes = this.bits / 8;
    return this.s.load(this.linear(bytes, 0), this.segment, bytes, signed);
  }
  set(value: Value): void {
    const bytes = this.bits / 8;
    this.s.store(this.linear(bytes, 1), this.segment, bytes, value);
  }
  /** The operand at the bottom of a v128; what is above it is not defined for 16 bits, else zero. */
  getVector(): Value {
    const { s } = this;
    const bytes = this.bits / 8;
    if (bytes < 4) return s.op('i32x4.splat', s.narrow(this.get()));
    return s.loadVector(this.linear(bytes, 0), this.segment, bytes);
  }
  setVector(value: Value): void {
    this.set(this.bits === 128 ? value : this.s.lanes('i64x2.extract_lane', [0], value));
  }
  getFloat(): Value {
    const bytes = this.bits / 8;
    return this.s.loadFloat(this.linear(bytes, 0), this.segment, bytes);
  }
  update(change: (old: Value) => Value): { old: Value; now: Value } {
    const { s } = this;
    const bytes = this.bits / 8;
    const host = s.temp('i32');
    const old = s.temp(bytes === 16 ? 'v128' : 'i64');
    const linear = this.linear(bytes, 1);
    const { segment, locked } = this;
    s.push({ kind: 'updateBegin', host, old, linear, segment, bytes, signed: true, locked });
    const now = s.let(change(old));
    s.push({ kind: 'updateEnd', host, old, segment, bytes, value: now, locked });
    return { old, now };
  }
}

class ConstantOperand implements Operand {
  readonly memory = false;
  readonly bits: number;
  private readonly s: Builder;
  private readonly value: (s: Builder) => Value;

  constructor(s: Builder, bits: number, value: (s: Builder) => Value) {
    this.s = s;
    this.bits = bits;
    this.value = value;
  }
  get(): Value {
    return this.s.zeroExtend(this.value(this.s), this.bits);
  }
  getSigned(): Value {
    return this.s.signExtend(this.value(this.s), this.bits);
  }
  set(): void {
    throw new Error('a constant operand cannot be written');
  }
  update(): never {
    throw new Error('a constant operand cannot be written');
  }
}

const GENERAL: Record<string, [register: number, bits: number]> = {
  AL: [0, 8],
  CL: [1, 8],
  AX: [0, 16],
  DX: [2, 16],
};

export const SEGMENT_NAMES = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS'];

/** Bits of an operand of this size letter at this operand size. */
export function sizeBits(size: string, operandBits: number): number {
  switch (size) {
    case 'b':
      return 8;
    case 'w':
      return 16;
    case 'd':
      return 32;
    case 'q':
      return 64;
    case 'x':
      return 128;
    case 'v':
    case 'bs':
    case 'rAX':
    case 'p':
      return operandBits;
    case 'z':
    case 'eAX':
      return Math.min(operandBits, 32);
    case 'y':
      return operandBits === 64 ? 64 : 32;
    default:
      return 64;
  }
}

export function general(index: number): RegisterRef {
  return { file: 'general', where: index * 8 };
}

/** The operands of the site's form, in the order of its row. */
export function operandsOf(s: Builder, site: Site): Operand[] {
  return site.form.row.operands.map((spec) => operandOf(s, site, spec));
}

function operandOf(s: Builder, site: Site, { letter, size }: OperandSpec): Operand {
  const { operandBits, memory } = site.form;
  const bits = sizeBits(size, operandBits);
  switch (letter) {
    case 'E':
    case 'R':
    case 'M':
    case 'W':
    case 'U':
    case 'Q':
    case 'N':
      if (memory) {
        const aligned = size === 'x' && !site.form.row.attributes.has('unaligned');
        return new MemoryOperand(s, site, bits, undefined, undefined, aligned);
      }
      return new RegisterOperand(s, site.register('rm', registerFile(letter)), bits);
    case 'Z':
      return new RegisterOperand(s, site.register('rm', 'general'), bits);
    case 'B':
      return new RegisterOperand(s, site.register('vvvv', 'general'), bits);
    case 'G':
    case 'V':
    case 'P':
      return new RegisterOperand(s, site.register('reg', registerFile(letter)), bits);
    case 'S':
    case 'C':
    case 'D':
      return numbered(s, site);
    case 'I': {
      // Iz is at most 32 bits in the code but as wide as the operation once sign-extended.
      const width = size === 'z' ? operandBits : bits;
      return new ConstantOperand(s, width, (b) =>
        bits === 64 && size === 'v' ? site.immediate64(b) : site.immediate(b),
      );
    }
    case 'O':
      return new MemoryOperand(s, site, bits, site.immediate64(s));
    case 'J':
    case 'A':
      return new ConstantOperand(s, operandBits, (b) => site.farOffset(b));
    default:
      return fixedOperand(s, size, operandBits);
  }
}

function registerFile(letter: string): RegisterFile {
  if ('WUV'.includes(letter)) return 'xmm';
  return 'QNP'.includes(letter) ? 'mmx' : 'general';
}

/** Segment, control and debug registers are read and written by the descriptions, by number. */
function numbered(s: Builder, site: Site): Operand {
  return new ConstantOperand(s, 32, (b) => b.widen(site.registerNumber(b)));
}

function fixedOperand(s: Builder, name: string, operandBits: number): Operand {
  if (name === '1') return new ConstantOperand(s, 8, (b) => b.i64(1));
  if (name === 'rAX' || name === 'eAX')
    return new RegisterOperand(s, general(0), sizeBits(name, operandBits));
  const register = GENERAL[name];
  if (register) return new RegisterOperand(s, general(register[0]), register[1]);
  const segment = SEGMENT_NAMES.indexOf(name);
  return new ConstantOperand(s, 8, (b) => b.i64(Math.max(segment, 0)));
}

/** Writes RSP (or its low part, as the stack's size says). */
export function setStackPointer(s: Builder, site: Site, value: Value): void {
  const mask = site.stackMask(s);
  const rsp = general(REG_RSP);
  if (mask.kind === 'const') {
    s.writeRegister(rsp, mask.value === 0xffffn ? 2 : mask.value === 0xffffffffn ? 4 : 8, value);
    return;
  }
  const kept = s.let(mask);
  const old = s.readRegister(rsp, 8, false);
  s.writeRegister(rsp, 8, s.or(s.and(old, s.not(kept)), s.and(value, kept)));
}

/** Writes the part of a register that addresses cover: 16 bits leave the rest alone, 32 clear the upper half. */
export function setAddressRegister(s: Builder, site: Site, number: number, value: Value): void {
  const mask = site.addressMask(s);
  const register = general(number);
  if (mask.kind === 'const') {
    s.writeRegister(register, mask.value === 0xffffn ? 2 : mask.value === 0xffffffffn ? 4 : 8, value);
    return;
  }
  const kept = s.let(mask);
  const rest = s.select(s.eq(kept, s.i64(0xffff)), s.i64(~0xffffn), s.i64(0));
  const old = s.readRegister(register, 8, false);
  s.writeRegister(register, 8, s.or(s.and(old, rest), s.and(value, kept)));
}

export function stackPointer(s: Builder): Value {
  return s.readRegister(general(REG_RSP), 8, false);
}

/** The memory operand at SS:offset, `offset` wrapped to the stack's size. */
export function stackOperand(s: Builder, site: Site, offset: Value, bits: number): MemoryOperand {
  return new MemoryOperand(s, site, bits, s.let(s.and(offset, site.stackMask(s))), s.i32(SEG_SS));
}

export function push(s: Builder, site: Site, value: Value, bits: number): void {
  const top = s.let(s.sub(stackPointer(s), s.i64(bits / 8)));
  stackOperand(s, site, top, bits).set(value);
  setStackPointer(s, site, top);
}

/** Reads the top of the stack; `commit` then moves the pointer, `extra` bytes further if given. */
export function pop(s: Builder, site: Site, bits: number): { value: Value; commit(extra?: Value): void } {
  const top = stackPointer(s);
  const value = stackOperand(s, site, top, bits).get();
  return {
    value,
    commit: (extra = s.i64(0)) => setStackPointer(s, site, s.add(s.add(top, s.i64(bits / 8)), extra)),
  };
}
