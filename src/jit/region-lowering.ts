import { Lowering, type LocalPool, type StatementOf } from '../emit/lowering.ts';
import { loadOperator, storeOperator } from '../ir/builder.ts';
import type { RegisterRef, Statement, Value } from '../ir/ir.ts';
import type { CoreName } from '../layout/core-abi.ts';
import { STATUS_BRANCH, STATUS_FAULT, STATUS_FAULT_AT_RIP, STATUS_REPEAT } from '../layout/exits.ts';
import {
  FLAGS_ADC,
  FLAGS_ADD,
  FLAGS_DEC,
  FLAGS_EXPLICIT,
  FLAGS_INC,
  FLAGS_LOGIC,
  FLAGS_SBB,
  FLAGS_SUB,
  MODE_CODE64,
  MODE_CODE_MASK,
  RECORD_CHECKED,
  REG_PAGE_RIP,
  SEG_FS,
  VCPU,
} from '../layout/vcpu.ts';
import type { Code, Label } from '../wasmgen/code.ts';
import { I32, I64 } from '../wasmgen/opcodes.ts';
import type { RegionBlock } from './region.ts';
import type { Instruction } from './site.ts';

const FILES = { xmm: VCPU.at.xmm, mmx: VCPU.at.fpu };

/** Core functions that see neither registers nor flags and cannot run a device. */
const PURE: ReadonlySet<string> = new Set([
  'mulHighUnsigned',
  'mulHighSigned',
  'depositBits',
  'extractBits',
  'random',
]);
/** Those that only read the flags. */
const READS_FLAGS: ReadonlySet<string> = new Set(['materializeFlags']);
/** Those that end normally and may have written code. */
const WRITES_MEMORY: ReadonlySet<string> = new Set('movs stos ins fxsave xsave x87Memory enter'.split(' '));

/** Locals and labels of a region's function that its instructions share. */
export interface RegionFrame {
  readonly cpu: number;
  /** General registers that the region touches, by number; the others stay in memory. */
  readonly registers: ReadonlyMap<number, number>;
  readonly written: ReadonlySet<number>;
  readonly flagKind: number;
  readonly flagResult: number;
  readonly flagA: number;
  readonly flagB: number;
  readonly pageRip: number;
  readonly tlb: number;
  readonly budget: number;
  /** `countInvalidations` as it was when code below was known to be good. */
  readonly epoch: number;
  readonly status: number;
  /** Where a fault happened: offset in the page, and the charged instructions not executed. */
  readonly faultOffset: number;
  readonly refund: number;
  /** Where `dispatch` goes. */
  readonly rip: number;
  /** Selects the block at the loop header. */
  readonly next: number;
}

export interface RegionLabels {
  /** Registers are in locals: store them, return `status`. */
  readonly exit: Label;
  /** Registers are in memory. */
  readonly exitSpilled: Label;
  readonly fault: Label;
  /** Registers are in locals: go to the code at `rip`, in another region if it is translated. */
  readonly dispatch: Label;
  readonly header: Label;
  /** By block number; open only for blocks behind the current one. */
  readonly blocks: readonly Label[];
}

/** Emits the instructions of a region: registers and lazy flags live in locals. */
export class RegionLowering extends Lowering {
  readonly #frame: RegionFrame;
  readonly #labels: RegionLabels;
  readonly #blockNumbers: ReadonlyMap<number, number>;
  readonly #is64: boolean;
  readonly #conditionFunction: (even: number) => number;
  #instruction!: Instruction;
  #block!: RegionBlock;
  #blockNumber = 0;
  #index = 0;
  /** FLAGS_* in the flag locals, where it is known here. */
  #known: number | undefined;
  /** Code changed below: complete the instruction and leave the region. */
  #leaving = false;

  constructor(
    code: Code,
    pool: LocalPool,
    core: (name: CoreName) => number,
    conditionFunction: (even: number) => number,
    frame: RegionFrame,
    labels: RegionLabels,
    blockNumbers: ReadonlyMap<number, number>,
    mode: number,
  ) {
    super(code, frame.cpu, pool, core);
    this.#conditionFunction = conditionFunction;
    this.#frame = frame;
    this.#labels = labels;
    this.#blockNumbers = blockNumbers;
    this.#is64 = (mode & MODE_CODE_MASK) === MODE_CODE64;
  }

  /** Emits block `number`, whose instructions have these statements. */
  emitBlock(number: number, block: RegionBlock, bodies: readonly (readonly Statement[])[]): void {
    const { code } = this;
    const { budget } = this.#frame;
    this.#block = block;
    this.#blockNumber = number;
    this.#known = undefined;
    code.get(budget).i32Const(block.instructions.length).op('i32.sub').set(budget);
    block.instructions.forEach((instruction, i) => {
      this.#instruction = instruction;
      this.#index = i;
      this.pool.reset();
      this.statements(bodies[i] ?? []);
    });
    this.#goto(block.end);
  }

  // --- leaving

  /** Leaves the region for the (E/R)IP on the stack. */
  #dispatch(): void {
    this.code.set(this.#frame.rip).br(this.#labels.dispatch);
  }

  #storeRip(offset: number): void {
    const { code } = this;
    code.get(this.cpu);
    this.#rip(offset);
    code.memory('i64.store', VCPU.at.rip);
  }

  /** Leaves (E/R)IP of an offset in the page. */
  #rip(offset: number): void {
    const { code } = this;
    code.get(this.#frame.pageRip).i64Const(BigInt(offset)).op('i64.add');
    if (!this.#is64) code.i64Const(0xffffffffn).op('i64.and');
  }

  /** Goes to the code at a page offset: inside the region by a branch, else by leaving it. */
  #goto(offset: number): void {
    const { code } = this;
    const { budget, next } = this.#frame;
    const target = this.#blockNumbers.get(offset);
    if (target === undefined || this.#leaving) {
      this.#rip(offset);
      this.#dispatch();
      return;
    }
    if (target > this.#blockNumber) {
      code.br(this.#labels.blocks[target]!);
      return;
    }
    code.get(budget).i32Const(0).op('i32.le_s').if(false);
    this.#rip(offset);
    this.#dispatch();
    code.end();
    code.i32Const(target).set(next).br(this.#labels.header);
  }

  protected override fail(): void {
    const { code } = this;
    const { faultOffset, refund } = this.#frame;
    code.i32Const(this.#instruction.offset).set(faultOffset);
    code.i32Const(this.#block.instructions.length - this.#index).set(refund);
    code.br(this.#labels.fault);
  }

  protected override leaveWith(status: number): void {
    const { code } = this;
    this.#ownRipFor(status);
    code.get(status).i32Const(STATUS_FAULT).op('i32.eq').if();
    code.i32Const(STATUS_FAULT_AT_RIP).set(status);
    code.end();
    this.#refundRest();
    code.get(status).set(this.#frame.status).br(this.#labels.exitSpilled);
  }

  protected override finish(status: number): void {
    const { code } = this;
    this.#ownRipFor(status);
    code.get(status).i32Const(STATUS_FAULT).op('i32.eq').if();
    code.i32Const(STATUS_FAULT_AT_RIP).set(status);
    code.end();
    this.#refundRest();
    code.get(status).set(this.#frame.status).br(this.#labels.exit);
  }

  /** Faults and instructions that go on later are resumed at their own address. */
  #ownRipFor(status: number): void {
    const { code } = this;
    code.get(status).i32Const(STATUS_FAULT).op('i32.eq');
    code.get(status).i32Const(STATUS_REPEAT).op('i32.eq').op('i32.or').if();
    this.#storeRip(this.#instruction.offset);
    code.end();
  }

  /** Gives back what the block was charged for the instructions behind this one. */
  #refundRest(): void {
    const rest = this.#block.instructions.length - this.#index - 1;
    if (rest > 0) this.code.get(this.#frame.budget).i32Const(rest).op('i32.add').set(this.#frame.budget);
  }

  /** Regions are of flat code, where every target is inside the segment. */
  protected override checkBranch(): void {}

  protected override branch({ condition }: StatementOf<'branch'>): void {
    const { code } = this;
    const { form, disp, offset, length } = this.#instruction;
    const target = this.#blockNumbers.get(disp);
    const wraps = form.operandBits === 16;
    if (condition === undefined) {
      if (wraps) this.#wrapped(disp);
      else this.#goto(disp);
      return;
    }
    this.value(condition);
    if (target !== undefined && target > this.#blockNumber && !wraps && !this.#leaving) {
      code.brIf(this.#labels.blocks[target]!);
    } else {
      code.if();
      if (wraps) this.#wrapped(disp);
      else this.#goto(disp);
      code.end();
    }
    if (this.#leaving) this.#goto(offset + length);
  }

  /** A branch with a 16-bit operand clears the upper part of (E/R)IP. */
  #wrapped(offset: number): void {
    const { code } = this;
    this.#rip(offset);
    code.i64Const(0xffffn).op('i64.and');
    this.#dispatch();
  }

  protected override branchTo(target: Value): void {
    this.value(target);
    if (!this.#is64) this.code.i64Const(0xffffffffn).op('i64.and');
    this.#dispatch();
  }

  protected override leave(): void {
    this.nextRip();
    this.#dispatch();
  }

  protected override nextRip(): void {
    this.#rip(this.#instruction.offset + this.#instruction.length);
  }

  // --- registers

  protected override field(name: string): void {
    throw new Error(`translated code has no record to read ${name} from`);
  }

  #local(index: number): number {
    return index === REG_PAGE_RIP ? this.#frame.pageRip : this.#frame.registers.get(index)!;
  }

  protected override readRegister({ register, temp, bytes, signed }: StatementOf<'readRegister'>): void {
    const { code } = this;
    const where = place(register);
    if (register.file !== 'general') {
      const { type } = temp;
      const op = type === 'f32' || type === 'f64' ? `${type}.load` : loadOperator(bytes, signed);
      code
        .get(this.cpu)
        .memory(op, FILES[register.file] + where)
        .set(this.local(temp));
      return;
    }
    code.get(this.#local(where >> 3));
    if (where & 7) code.i64Const(8n).op('i64.shr_u');
    if (bytes < 8) {
      if (signed) code.op(`i64.extend${bytes * 8}_s`);
      else if (bytes < 4 || this.#is64) code.i64Const((1n << BigInt(bytes * 8)) - 1n).op('i64.and');
    }
    code.set(this.local(temp));
  }

  protected override writeRegister({ register, bytes, value }: StatementOf<'writeRegister'>): void {
    const { code } = this;
    const where = place(register);
    if (register.file !== 'general') {
      const base = FILES[register.file] + where;
      code.get(this.cpu);
      this.value(value);
      code.memory(storeOperator(bytes, value.type), base);
      // Sign and exponent of an MMX register read as all ones.
      if (register.file === 'mmx')
        code
          .get(this.cpu)
          .i32Const(0xffff)
          .memory('i32.store16', base + 8);
      return;
    }
    const local = this.#local(where >> 3);
    if (bytes === 8) {
      this.value(value);
      code.set(local);
      return;
    }
    const mask = (1n << BigInt(bytes * 8)) - 1n;
    if (bytes === 4) {
      this.value(value);
      code.i64Const(mask).op('i64.and').set(local);
      return;
    }
    const shift = where & 7 ? 8n : 0n;
    code
      .get(local)
      .i64Const(~(mask << shift))
      .op('i64.and');
    this.value(value);
    code.i64Const(mask).op('i64.and');
    if (shift) code.i64Const(shift).op('i64.shl');
    code.op('i64.or').set(local);
  }

  // --- flags

  protected override flags({ flagKind, result, a, b }: StatementOf<'flags'>): void {
    const { code } = this;
    const frame = this.#frame;
    const put = (value: Value, local: number): void => {
      this.value(value);
      code.set(local);
    };
    put(flagKind, frame.flagKind);
    if (result) put(result, frame.flagResult);
    if (a) put(a, frame.flagA);
    if (b) put(b, frame.flagB);
    this.#known = flagKind.kind === 'const' ? Number(flagKind.value) : undefined;
  }

  protected override conditional(statement: StatementOf<'if'>): void {
    const before = this.#known;
    super.conditional(statement);
    // What an arm set is not known behind it.
    this.#known = setsFlags(statement.yes) || setsFlags(statement.no) ? undefined : before;
  }

  protected override condition(condition: number): void {
    const even = condition & 14;
    if (this.#known === undefined) this.#unknownCondition(even);
    else this.#knownCondition(even, this.#known);
    if (condition & 1) this.code.op('i32.eqz');
  }

  #unknownCondition(even: number): void {
    const { code } = this;
    const { flagKind, flagResult } = this.#frame;
    const general = (): void => {
      spillFlags(this.code, this.#frame);
      code.get(this.cpu).call(this.#conditionFunction(even));
    };
    if (even !== 4 && even !== 8) {
      general();
      return;
    }
    code.get(flagKind).if(true, I32);
    code.get(flagResult);
    if (even === 4) code.op('i64.eqz');
    else code.i64Const(0n).op('i64.lt_s');
    code.else();
    general();
    code.end();
  }

  #knownCondition(even: number, kind: number): void {
    const { code } = this;
    const { flagResult: r, flagA: a, flagB: b } = this.#frame;
    const bit = (position: number): void => {
      code.get(a).op('i32.wrap_i64').i32Const(position).op('i32.shr_u').i32Const(1).op('i32.and');
    };
    const compare = (x: number, y: number, op: string): void => void code.get(x).get(y).op(op);
    const isNegative = (): void => void code.i64Const(0n).op('i64.lt_s');
    const logic = kind === FLAGS_LOGIC;
    const subtract = kind === FLAGS_SUB;
    switch (even) {
      case 0:
        if (logic) {
          code.i32Const(0);
        } else if (kind === FLAGS_ADD || kind === FLAGS_ADC) {
          code.get(a).get(r).op('i64.xor').get(b).get(r).op('i64.xor').op('i64.and');
          isNegative();
        } else if (subtract || kind === FLAGS_SBB) {
          code.get(a).get(b).op('i64.xor').get(a).get(r).op('i64.xor').op('i64.and');
          isNegative();
        } else if (kind === FLAGS_INC || kind === FLAGS_DEC) {
          const [set, clear] = kind === FLAGS_INC ? [r, a] : [a, r];
          code.get(clear).i64Const(-1n).op('i64.xor').get(set).op('i64.and');
          isNegative();
        } else {
          bit(11);
        }
        return;
      case 2:
        if (logic) code.i32Const(0);
        else if (kind === FLAGS_ADD) compare(r, a, 'i64.lt_u');
        else if (kind === FLAGS_ADC) compare(r, a, 'i64.le_u');
        else if (subtract) compare(a, b, 'i64.lt_u');
        else if (kind === FLAGS_SBB) compare(a, b, 'i64.le_u');
        else if (kind === FLAGS_INC || kind === FLAGS_DEC) code.get(b).op('i32.wrap_i64');
        else bit(0);
        return;
      case 4:
        if (kind === FLAGS_EXPLICIT) bit(6);
        else code.get(r).op('i64.eqz');
        return;
      case 6:
        if (subtract) {
          compare(a, b, 'i64.le_u');
          return;
        }
        this.#knownCondition(2, kind);
        this.#knownCondition(4, kind);
        code.op('i32.or');
        return;
      case 8:
        if (kind === FLAGS_EXPLICIT) {
          bit(7);
        } else {
          code.get(r);
          isNegative();
        }
        return;
      case 10:
        if (kind === FLAGS_EXPLICIT) bit(2);
        else
          code
            .get(r)
            .op('i32.wrap_i64')
            .i32Const(0xff)
            .op('i32.and')
            .op('i32.popcnt')
            .i32Const(1)
            .op('i32.and')
            .op('i32.eqz');
        return;
      case 12:
        if (subtract) {
          compare(a, b, 'i64.lt_s');
          return;
        }
        this.#knownCondition(8, kind);
        this.#knownCondition(0, kind);
        code.op('i32.ne');
        return;
      default:
        if (subtract) {
          compare(a, b, 'i64.le_s');
          return;
        }
        this.#knownCondition(12, kind);
        this.#knownCondition(4, kind);
        code.op('i32.or');
    }
  }

  // --- memory and calls

  protected override readonly recordChecked = (): void => {
    throw new Error('translated code knows what to check');
  };

  protected override get checked(): boolean {
    return (this.#instruction.flags & RECORD_CHECKED) !== 0;
  }

  protected override tlb(): void {
    this.code.get(this.#frame.tlb);
  }

  protected override addBase(segment: Value, offset: number): void {
    const { code } = this;
    code.get(offset);
    if (segment.kind === 'const' && Number(segment.value) < SEG_FS) return;
    const number = segment.kind === 'const' ? Number(segment.value) : 0;
    code
      .get(this.cpu)
      .memory('i64.load', VCPU.at.segEffective + number * 8)
      .op('i64.add');
  }

  protected override beforeSlow(): void {
    const { code, cpu } = this;
    code.get(cpu).get(this.#frame.budget).memory('i32.store', VCPU.at.budget);
  }

  protected override afterSlow(): void {
    const { code, cpu } = this;
    code.get(cpu).memory('i32.load', VCPU.at.budget).set(this.#frame.budget);
  }

  protected override beforeCall(name: CoreName): void {
    if (PURE.has(name)) return;
    if (READS_FLAGS.has(name)) {
      spillFlags(this.code, this.#frame);
      return;
    }
    spillRegisters(this.code, this.#frame);
    spillFlags(this.code, this.#frame);
    this.beforeSlow();
  }

  protected override afterCall(name: CoreName): void {
    if (PURE.has(name) || READS_FLAGS.has(name)) return;
    const { code, cpu } = this;
    const frame = this.#frame;
    if (WRITES_MEMORY.has(name)) {
      this.#ifCodeChanged(() => {
        // rip already is that of the next instruction.
        this.#refundRest();
        code.i32Const(STATUS_BRANCH).set(frame.status).br(this.#labels.exitSpilled);
      });
    }
    loadRegisters(code, frame);
    loadFlags(code, frame);
    code.get(cpu).memory('i32.load', VCPU.at.tlb).set(frame.tlb);
    this.afterSlow();
    this.#known = undefined;
  }

  #ifCodeChanged(then: () => void): void {
    const { code, cpu } = this;
    code
      .get(cpu)
      .memory('i32.load', VCPU.at.countInvalidations)
      .get(this.#frame.epoch)
      .op('i32.ne')
      .if(false);
    then();
    code.end();
  }

  protected override afterCommit(rest: readonly Statement[]): void {
    if (this.#leaving) return;
    this.#ifCodeChanged(() => {
      const known = this.#known;
      this.#leaving = true;
      this.statements(rest);
      if (!ends(rest)) {
        this.#refundRest();
        this.#goto(this.#instruction.offset + this.#instruction.length);
      }
      this.#leaving = false;
      this.#known = known;
    });
  }
}

function place({ where }: RegisterRef): number {
  if (typeof where !== 'number') throw new Error('translated code knows its registers');
  return where;
}

function setsFlags(list: readonly Statement[]): boolean {
  return list.some(
    (statement) =>
      statement.kind === 'flags' ||
      (statement.kind === 'if' && (setsFlags(statement.yes) || setsFlags(statement.no))),
  );
}

/** Whether control never reaches the end of these statements. */
function ends(list: readonly Statement[]): boolean {
  const last = list.at(-1);
  return last !== undefined && (last.kind === 'branch' || last.kind === 'branchTo' || last.kind === 'leave');
}

export function spillRegisters(code: Code, { cpu, registers, written }: RegionFrame): void {
  for (const [index, local] of registers) {
    if (written.has(index))
      code
        .get(cpu)
        .get(local)
        .memory('i64.store', VCPU.at.regs + index * 8);
  }
}

export function loadRegisters(code: Code, { cpu, registers }: RegionFrame): void {
  for (const [index, local] of registers)
    code
      .get(cpu)
      .memory('i64.load', VCPU.at.regs + index * 8)
      .set(local);
}

export function loadFlags(code: Code, { cpu, flagKind, flagResult, flagA, flagB }: RegionFrame): void {
  code.get(cpu).memory('i32.load', VCPU.at.flagKind).set(flagKind);
  code.get(cpu).memory('i64.load', VCPU.at.flagResult).set(flagResult);
  code.get(cpu).memory('i64.load', VCPU.at.flagA).set(flagA);
  code.get(cpu).memory('i64.load', VCPU.at.flagB).set(flagB);
}

export function spillFlags(code: Code, { cpu, flagKind, flagResult, flagA, flagB }: RegionFrame): void {
  code.get(cpu).get(flagKind).memory('i32.store', VCPU.at.flagKind);
  code.get(cpu).get(flagResult).memory('i64.store', VCPU.at.flagResult);
  code.get(cpu).get(flagA).memory('i64.store', VCPU.at.flagA);
  code.get(cpu).get(flagB).memory('i64.store', VCPU.at.flagB);
}

export function frameLocals(code: Code): Omit<RegionFrame, 'registers' | 'written' | 'cpu' | 'next'> {
  return {
    flagKind: code.local(I32),
    flagResult: code.local(I64),
    flagA: code.local(I64),
    flagB: code.local(I64),
    pageRip: code.local(I64),
    tlb: code.local(I32),
    budget: code.local(I32),
    epoch: code.local(I32),
    status: code.local(I32),
    faultOffset: code.local(I32),
    refund: code.local(I32),
    rip: code.local(I64),
  };
}
