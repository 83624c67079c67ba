import { Lowering, type LocalPool, type StatementOf } from '../emit/lowering.ts';
import { loadOperator, storeOperator } from '../ir/builder.ts';
import type { FieldName, RegisterRef, Value } from '../ir/ir.ts';
import type { CoreName } from '../layout/core-abi.ts';
import { STATUS_FAULT_AT_RIP } from '../layout/exits.ts';
import {
  FLAGS_SUB,
  RECORD,
  RECORD_ADDRESS_SIZE_SHIFT,
  RECORD_CHECKED,
  RECORD_SEGMENT_SHIFT,
  REG_PAGE_RIP,
  VCPU,
} from '../layout/vcpu.ts';
import type { Code } from '../wasmgen/code.ts';
import { I32 } from '../wasmgen/opcodes.ts';

const REGISTER_FILES = { general: VCPU.at.regs, xmm: VCPU.at.xmm, mmx: VCPU.at.fpu };

/** Functions of the interpreter's own module and of the core. */
export interface Functions {
  core(name: CoreName): number;
  /** (cpu) -> i32 for the conditions 0, 2, 4, ... 14; odd ones are their negation. */
  condition(even: number): number;
}

/** How a handler leaves: in a function of its own by returning a status, inline by branching. */
export interface Exits {
  /** The exception is raised. */
  fault(code: Code): void;
  /** A STATUS_* other than NEXT is in this local. */
  status(code: Code, local: number): void;
  /** rip is set. */
  branch(code: Code): void;
  /** The direct branch of the record in `rec`; i32 on the stack says whether it is taken. */
  follow(code: Code): void;
}

/**
 * Leaves the target of the direct branch in `rec` outside 64-bit mode (i64): not wrapped to the size of the code
 * segment, only to that of the operand.
 */
export function branchTarget(code: Code, cpu: number, rec: number): void {
  code.get(cpu).memory('i64.load', VCPU.at.regs + REG_PAGE_RIP * 8);
  code.get(rec).memory('i64.load32_s', RECORD.at.disp).op('i64.add');
  code.i64Const(0xffffn).i64Const(0xffffffffn);
  code.get(rec).memory('i32.load8_u', RECORD.at.reg).i32Const(16).op('i32.eq').select().op('i64.and');
}

/** Emits one instruction for the interpreter: operands come from its record, registers from memory. */
export class HandlerLowering extends Lowering {
  protected override readonly checked = 'record';
  readonly #rec: number;
  readonly #functions: Functions;
  readonly #exits: Exits;

  constructor(code: Code, cpu: number, rec: number, functions: Functions, exits: Exits, pool: LocalPool) {
    super(code, cpu, pool, (name) => functions.core(name));
    this.#rec = rec;
    this.#functions = functions;
    this.#exits = exits;
    pool.reset();
  }

  protected override field(name: FieldName): void {
    const { code } = this;
    const record = (op: string, offset: number): Code => code.get(this.#rec).memory(op, offset);
    switch (name) {
      case 'immediate':
        record('i64.load32_s', RECORD.at.imm);
        return;
      case 'immediate64':
        record('i64.load', RECORD.at.disp);
        return;
      case 'displacement':
        record('i64.load32_u', RECORD.at.disp);
        return;
      case 'segment':
        record('i32.load8_u', RECORD.at.flags).i32Const(RECORD_SEGMENT_SHIFT).op('i32.shr_u');
        code.i32Const(7).op('i32.and');
        return;
      case 'addressSize':
        record('i32.load8_u', RECORD.at.flags).i32Const(RECORD_ADDRESS_SIZE_SHIFT).op('i32.shr_u');
        code.i32Const(3).op('i32.and');
        return;
      case 'register':
        record('i32.load8_u', RECORD.at.reg);
        return;
      case 'rm':
        record('i32.load8_u', RECORD.at.rm);
        return;
      case 'effectiveAddress':
        this.#effectiveAddress();
    }
  }

  /** (regs[base] + (regs[index] << scale) + disp) & addressMask[size]. */
  #effectiveAddress(): void {
    const { code, cpu } = this;
    const rec = this.#rec;
    const flags = this.pool.take(I32);
    const general = (field: number): void => {
      code.get(cpu).get(rec).memory('i32.load8_u', field).op('i32.add').memory('i64.load', VCPU.at.regs);
    };
    general(RECORD.at.rm);
    general(RECORD.at.index);
    code.get(rec).memory('i32.load8_u', RECORD.at.flags).tee(flags).i32Const(3).op('i32.and');
    code.op('i64.extend_i32_u').op('i64.shl').op('i64.add');
    code.get(rec).memory('i64.load32_s', RECORD.at.disp).op('i64.add');
    code.get(cpu).get(flags).i32Const(12).op('i32.and').i32Const(1).op('i32.shl').op('i32.add');
    code.memory('i64.load', VCPU.at.addressMask).op('i64.and');
  }

  #registerAddress({ file, where }: RegisterRef): number {
    const { code, cpu } = this;
    const base = REGISTER_FILES[file];
    if (typeof where === 'number') {
      code.get(cpu);
      return base + where;
    }
    const field = where === 'vvvv' ? RECORD.at.imm : RECORD.at[where];
    code.get(cpu).get(this.#rec).memory('i32.load8_u', field).op('i32.add');
    return base;
  }

  protected override readRegister({ register, temp, bytes, signed }: StatementOf<'readRegister'>): void {
    const offset = this.#registerAddress(register);
    const { type } = temp;
    const op = type === 'f32' || type === 'f64' ? `${type}.load` : loadOperator(bytes, signed);
    this.code.memory(op, offset).set(this.local(temp));
  }

  protected override writeRegister({ register, bytes, value }: StatementOf<'writeRegister'>): void {
    const { code } = this;
    const offset = this.#registerAddress(register);
    this.value(value);
    if (bytes === 4 && register.file === 'general') {
      code.i64Const(0xffffffffn).op('i64.and').memory('i64.store', offset);
    } else {
      code.memory(storeOperator(bytes, value.type), offset);
    }
    if (register.file === 'mmx') {
      // Sign and exponent of an MMX register read as all ones.
      const exponent = this.#registerAddress(register) + 8;
      code.i32Const(0xffff).memory('i32.store16', exponent);
    }
  }

  protected override flags({ flagKind, result, a, b }: StatementOf<'flags'>): void {
    const put = (op: string, offset: number, value: Value): void => {
      this.code.get(this.cpu);
      this.value(value);
      this.code.memory(op, offset);
    };
    put('i32.store', VCPU.at.flagKind, flagKind);
    if (result) put('i64.store', VCPU.at.flagResult, result);
    if (a) put('i64.store', VCPU.at.flagA, a);
    if (b) put('i64.store', VCPU.at.flagB, b);
  }

  /** Inline what is one comparison for the common kinds; the rest is a function per condition. */
  protected override condition(condition: number): void {
    const { code, cpu } = this;
    const even = condition & 14;
    const load = (op: string, offset: number): Code => code.get(cpu).memory(op, offset);
    const call = (): Code => code.get(cpu).call(this.#functions.condition(even));
    if (even === 4 || even === 8) {
      load('i32.load', VCPU.at.flagKind).if(true, I32);
      load('i64.load', VCPU.at.flagResult);
      if (even === 4) code.op('i64.eqz');
      else code.i64Const(0n).op('i64.lt_s');
      code.else();
      load('i32.load', VCPU.at.flagA);
      code
        .i32Const(even === 4 ? 6 : 7)
        .op('i32.shr_u')
        .i32Const(1)
        .op('i32.and')
        .end();
    } else {
      const compare = { 2: 'i64.lt_u', 6: 'i64.le_u', 12: 'i64.lt_s', 14: 'i64.le_s' }[even];
      if (compare) {
        load('i32.load', VCPU.at.flagKind).i32Const(FLAGS_SUB).op('i32.eq').if(true, I32);
        load('i64.load', VCPU.at.flagA);
        load('i64.load', VCPU.at.flagB).op(compare).else();
        call().end();
      } else {
        call();
      }
    }
    if (condition & 1) code.op('i32.eqz');
  }

  protected override nextRip(): void {
    const { code, cpu } = this;
    const place = this.pool.take(I32);
    code.get(cpu).memory('i64.load', VCPU.at.regs + REG_PAGE_RIP * 8);
    code.get(this.#rec).memory('i32.load16_u', RECORD.at.place).tee(place).i32Const(0xfff).op('i32.and');
    code.get(place).i32Const(12).op('i32.shr_u').op('i32.add').op('i64.extend_i32_u').op('i64.add');
    code.get(cpu).memory('i64.load', VCPU.at.ripMask).op('i64.and');
  }

  protected override tlb(): void {
    this.code.get(this.cpu).memory('i32.load', VCPU.at.tlb);
  }

  protected override recordChecked(): void {
    this.code.get(this.#rec).memory('i32.load8_u', RECORD.at.flags).i32Const(RECORD_CHECKED).op('i32.and');
  }

  /** The main loop knows the record that it is at. */
  protected override accessSite(): number {
    return 0;
  }

  protected override failed(): void {
    this.code.if(false);
    this.fail();
    this.code.end();
  }

  protected override afterWrite(mayFault: boolean): void {
    const { code } = this;
    if (!mayFault) {
      code.drop();
      return;
    }
    code.i32Const(STATUS_FAULT_AT_RIP).op('i32.eq');
    this.failed();
  }

  protected override fail(): void {
    this.#exits.fault(this.code);
  }

  protected override leaveWith(status: number): void {
    this.#exits.status(this.code, status);
  }

  protected override finish(status: number): void {
    this.#exits.status(this.code, status);
  }

  protected override checkBranch(): void {
    const { code, cpu } = this;
    this.recordChecked();
    code.if(false);
    code.get(cpu);
    branchTarget(code, cpu, this.#rec);
    this.callCore('checkCodeOffset').op('i32.eqz').if(false);
    this.fail();
    code.end().end();
  }

  protected override branch({ condition }: StatementOf<'branch'>): void {
    if (condition) this.value(condition);
    else this.code.i32Const(1);
    this.#exits.follow(this.code);
  }

  protected override branchTo(target: Value): void {
    const { code, cpu } = this;
    code.get(cpu);
    this.value(target);
    code.get(cpu).memory('i64.load', VCPU.at.ripMask).op('i64.and').memory('i64.store', VCPU.at.rip);
    this.#exits.branch(code);
  }

  protected override leave(): void {
    this.storeNextRip();
    this.#exits.branch(this.code);
  }

  // Registers, flags and budget are always in memory here, and a block that died shows it by its records.
  protected override beforeCall(): void {}
  protected override afterCall(): void {}
}
