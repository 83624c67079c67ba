import type { Builder } from '../ir/builder.ts';
import type { RegisterFile, RegisterRef, Value } from '../ir/ir.ts';
import type { Form } from '../isa/forms.ts';
import type { Site } from '../isa/operands.ts';
import {
  MODE_CODE64,
  MODE_CODE_MASK,
  MODE_STACK16,
  RECORD_ADDRESS_SIZE_SHIFT,
  RECORD_SEGMENT_SHIFT,
  REG_ZERO,
} from '../layout/vcpu.ts';

/** The fields of a decoded record (layout/vcpu.ts, RECORD), kept for translation. */
export interface Instruction {
  readonly form: Form;
  /** Offset in its page and length, in bytes. */
  readonly offset: number;
  readonly length: number;
  readonly reg: number;
  readonly rm: number;
  readonly index: number;
  readonly flags: number;
  readonly disp: number;
  readonly imm: number;
  readonly ends: boolean;
  /** What of it stands in the next page. */
  readonly tail?: InstructionTail;
}

/** That a translation is right as long as the next page starts with `bytes` (1 to 14) bytes: `low`, and `high` behind its 8. */
export interface InstructionTail {
  /** Physical address of the instruction. */
  readonly address: number;
  readonly bytes: number;
  readonly low: bigint;
  readonly high: bigint;
}

const ADDRESS_MASKS = [0xffffn, 0xffffffffn, 0xffffffffffffffffn];

/** In translated code everything about the instruction is a constant. */
export class InstructionSite implements Site {
  readonly form: Form;
  readonly #instruction: Instruction;
  readonly #mode: number;

  constructor(instruction: Instruction, mode: number) {
    this.form = instruction.form;
    this.#instruction = instruction;
    this.#mode = mode;
  }

  register(field: 'reg' | 'rm' | 'vvvv', file: RegisterFile): RegisterRef {
    const { imm } = this.#instruction;
    return { file, where: field === 'vvvv' ? imm & 0xff : this.#instruction[field] };
  }
  registerNumber(s: Builder): Value {
    return s.i32(this.#instruction.reg);
  }
  immediate(s: Builder): Value {
    return s.i64(this.#instruction.imm);
  }
  immediate64(s: Builder): Value {
    const { disp, imm } = this.#instruction;
    return s.i64((BigInt(imm) << 32n) | BigInt(disp >>> 0));
  }
  farOffset(s: Builder): Value {
    return s.i64(this.#instruction.disp >>> 0);
  }
  effectiveAddress(s: Builder): Value {
    const { rm, index, flags, disp } = this.#instruction;
    const register = (where: number): Value =>
      where === REG_ZERO * 8 ? s.i64(0) : s.readRegister({ file: 'general', where }, 8, false);
    const scaled = s.shl(register(index), s.i64(flags & 3));
    const sum = s.add(s.add(register(rm), scaled), s.i64(disp));
    return s.and(sum, this.addressMask(s));
  }
  segment(s: Builder): Value {
    return s.i32((this.#instruction.flags >> RECORD_SEGMENT_SHIFT) & 7);
  }
  addressSize(s: Builder): Value {
    return s.i32((this.#instruction.flags >> RECORD_ADDRESS_SIZE_SHIFT) & 3);
  }
  addressMask(s: Builder): Value {
    return s.i64(ADDRESS_MASKS[(this.#instruction.flags >> RECORD_ADDRESS_SIZE_SHIFT) & 3] ?? 0n);
  }
  stackMask(s: Builder): Value {
    if ((this.#mode & MODE_CODE_MASK) === MODE_CODE64) return s.i64(-1);
    return s.i64(this.#mode & MODE_STACK16 ? 0xffff : 0xffffffff);
  }
}
