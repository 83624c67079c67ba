import { loadOperator, storeOperator } from '../ir/builder.ts';
import type { FieldName, RegisterRef, Statement, Temp, Type, Value } from '../ir/ir.ts';
import { CORE_FUNCTIONS, type CoreName } from '../layout/core-abi.ts';
import { RAM_BASE, TLB_ENTRIES } from '../layout/map.ts';
import { RECORD, REG_PAGE_RIP, TLB_ENTRY, VCPU, FLAGS_SUB } from '../layout/vcpu.ts';
import type { Code, Label } from '../wasmgen/code.ts';
import { F32, F64, I32, I64, V128, type ValueType } from '../wasmgen/opcodes.ts';

const WASM_TYPES: Record<Type, ValueType> = { i32: I32, i64: I64, f32: F32, f64: F64, v128: V128 };

/** Record flag: segment accesses of this instruction need `segmentLinear`. */
const RECORD_CHECKED = 0x80;

/** Natural alignment as log2, which atomic operators demand. */
const ALIGN: Record<number, number> = { 1: 0, 2: 1, 4: 2, 8: 3 };

const REGISTER_FILES = { general: VCPU.at.regs, xmm: VCPU.at.xmm, mmx: VCPU.at.fpu };

/** Functions of the interpreter's own module and of the core, by name. */
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
  /** The direct branch of the record in `rec` is taken; i32 on the stack says whether it is. */
  follow(code: Code): void;
}

/** Emits the statements of one instruction for the interpreter: operands come from the record. */
export class HandlerLowering {
  private readonly code: Code;
  private readonly cpu: number;
  private readonly rec: number;
  private readonly functions: Functions;
  private readonly exits: Exits;
  private readonly pool: LocalPool;
  private readonly temps = new Map<number, number>();
  private retry: Label | undefined;

  constructor(code: Code, cpu: number, rec: number, functions: Functions, exits: Exits, pool: LocalPool) {
    this.code = code;
    this.cpu = cpu;
    this.rec = rec;
    this.functions = functions;
    this.exits = exits;
    this.pool = pool;
    pool.reset();
  }

  statements(list: readonly Statement[]): void {
    for (const statement of list) this.statement(statement);
  }

  private local(temp: Temp): number {
    let local = this.temps.get(temp.id);
    if (local === undefined) {
      local = this.pool.take(WASM_TYPES[temp.type]);
      this.temps.set(temp.id, local);
    }
    return local;
  }

  private value(value: Value): void {
    const { code } = this;
    switch (value.kind) {
      case 'const':
        if (value.type === 'i32') code.i32Const(Number(BigInt.asIntN(32, value.value)));
        else code.i64Const(value.value);
        return;
      case 'vector':
        code.v128Const(value.bytes);
        return;
      case 'temp':
        code.get(this.local(value));
        return;
      case 'field':
        this.field(value.name);
        return;
      case 'op':
        for (const arg of value.args) this.value(arg);
        if (value.op === 'select') code.select();
        else if (value.op === 'i8x16.shuffle') code.shuffle(value.lanes ?? []);
        else if (value.lanes) code.lane(value.op, value.lanes[0] ?? 0);
        else code.op(value.op);
    }
  }

  private field(name: FieldName): void {
    const { code, rec } = this;
    switch (name) {
      case 'immediate':
        code.get(rec).memory('i64.load32_s', RECORD.at.imm);
        return;
      case 'immediate64':
        code.get(rec).memory('i64.load', RECORD.at.disp);
        return;
      case 'displacement':
        code.get(rec).memory('i64.load32_u', RECORD.at.disp);
        return;
      case 'segment':
        code.get(rec).memory('i32.load8_u', RECORD.at.flags).i32Const(4).op('i32.shr_u').i32Const(7).op('i32.and');
        return;
      case 'addressSize':
        code.get(rec).memory('i32.load8_u', RECORD.at.flags).i32Const(2).op('i32.shr_u').i32Const(3).op('i32.and');
        return;
      case 'register':
        code.get(rec).memory('i32.load8_u', RECORD.at.reg);
        return;
      case 'rm':
        code.get(rec).memory('i32.load8_u', RECORD.at.rm);
        return;
      case 'effectiveAddress':
        this.effectiveAddress();
    }
  }

  /** (regs[base] + (regs[index] << scale) + disp) & addressMask[size]. */
  private effectiveAddress(): void {
    const { code, rec, cpu } = this;
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

  private registerAddress({ file, where }: RegisterRef): number {
    const { code, cpu, rec } = this;
    const base = REGISTER_FILES[file];
    if (typeof where === 'number') {
      code.get(cpu);
      return base + where;
    }
    const field = where === 'vvvv' ? RECORD.at.imm : RECORD.at[where];
    code.get(cpu).get(rec).memory('i32.load8_u', field).op('i32.add');
    return base;
  }

  private fail(): void {
    this.exits.fault(this.code);
  }

  /** Stores the address of the next instruction, as every status function expects it. */
  private storeNextRip(): void {
    this.code.get(this.cpu);
    this.nextRip();
    this.code.memory('i64.store', VCPU.at.rip);
  }

  private nextRip(): void {
    const { code, cpu, rec } = this;
    const place = this.pool.take(I32);
    code.get(cpu).memory('i64.load', VCPU.at.regs + REG_PAGE_RIP * 8);
    code.get(rec).memory('i32.load16_u', RECORD.at.place).tee(place).i32Const(0xfff).op('i32.and');
    code.get(place).i32Const(12).op('i32.shr_u').op('i32.add').op('i64.extend_i32_u').op('i64.add');
    code.get(cpu).memory('i64.load', VCPU.at.ripMask).op('i64.and');
  }

  /** Leaves the host address of a TLB hit's entry in `entry`, and whether it hit on the stack. */
  private probe(linear: number, bytes: number, tag: number, entry: number): void {
    const { code, cpu } = this;
    code.get(cpu).memory('i32.load', VCPU.at.tlb);
    code.get(linear).op('i32.wrap_i64').i32Const(12 - Math.log2(TLB_ENTRY.size)).op('i32.shr_u');
    code.i32Const((TLB_ENTRIES - 1) * TLB_ENTRY.size).op('i32.and').op('i32.add').tee(entry);
    code.memory('i64.load', tag);
    code.get(linear);
    if (bytes > 1) code.i64Const(BigInt(bytes - 1)).op('i64.add');
    code.i64Const(-4096n).op('i64.and').op('i64.eq');
  }

  private hitAddress(linear: number, entry: number): void {
    this.code.get(linear).op('i32.wrap_i64').get(entry).memory('i32.load', TLB_ENTRY.at.addend).op('i32.add');
  }

  /** Calls a slow path and leaves its host address in `host`; faults on 0. */
  private slowPath(name: CoreName, linear: number, bytes: number, segment: Value, host: number): void {
    const { code } = this;
    code.get(this.cpu).get(linear).i32Const(bytes);
    this.value(segment);
    code.call(this.functions.core(name)).tee(host).op('i32.eqz');
    code.if(false);
    this.fail();
    code.end();
  }

  private intoLocal(value: Value): number {
    if (value.kind === 'temp') return this.local(value);
    const local = this.pool.take(WASM_TYPES[value.type]);
    this.value(value);
    this.code.set(local);
    return local;
  }

  private statement(statement: Statement): void {
    const { code, cpu } = this;
    switch (statement.kind) {
      case 'let':
      case 'assign':
        this.value(statement.value);
        code.set(this.local(statement.temp));
        return;
      case 'if':
        this.value(statement.condition);
        code.if(statement.likely);
        this.statements(statement.then);
        if (statement.else.length > 0) {
          code.else();
          this.statements(statement.else);
        }
        code.end();
        return;
      case 'readState':
        code.get(cpu);
        if (statement.index) {
          this.value(statement.index);
          code.op('i32.add');
        }
        code.memory(statement.op, statement.offset).set(this.local(statement.temp));
        return;
      case 'writeState':
        code.get(cpu);
        this.value(statement.value);
        code.memory(statement.op, statement.offset);
        return;
      case 'readRegister': {
        const offset = this.registerAddress(statement.register);
        const { type } = statement.temp;
        const op = type === 'f32' || type === 'f64' ? `${type}.load` : loadOperator(statement.bytes, statement.signed);
        code.memory(op, offset).set(this.local(statement.temp));
        return;
      }
      case 'writeRegister': {
        const offset = this.registerAddress(statement.register);
        this.value(statement.value);
        if (statement.bytes === 4 && statement.register.file === 'general') {
          code.i64Const(0xffffffffn).op('i64.and').memory('i64.store', offset);
        } else {
          code.memory(storeOperator(statement.bytes, statement.value.type), offset);
        }
        if (statement.register.file === 'mmx') {
          // Sign and exponent of an MMX register read as all ones.
          const exponent = this.registerAddress(statement.register) + 8;
          code.i32Const(0xffff).memory('i32.store16', exponent);
        }
        return;
      }
      case 'linear':
        this.linear(statement);
        return;
      case 'load': {
        const linear = this.intoLocal(statement.linear);
        const entry = this.pool.take(I32);
        const host = this.pool.take(I32);
        this.probe(linear, statement.bytes, TLB_ENTRY.at.readTag, entry);
        code.if(true);
        this.hitAddress(linear, entry);
        code.set(host).else();
        this.slowPath('readSlow', linear, statement.bytes, statement.segment, host);
        code.end();
        code.get(host).memory(statement.op, 0).set(this.local(statement.temp));
        return;
      }
      case 'store': {
        const linear = this.intoLocal(statement.linear);
        const entry = this.pool.take(I32);
        const host = this.pool.take(I32);
        this.probe(linear, statement.bytes, TLB_ENTRY.at.writeTag, entry);
        code.if(true);
        this.hitAddress(linear, entry);
        this.value(statement.value);
        code.memory(statement.op, 0).else();
        this.slowPath('writeSlow', linear, statement.bytes, statement.segment, host);
        code.get(host);
        this.value(statement.value);
        code.memory(statement.op, 0);
        this.commitIfScratch(host);
        code.end();
        return;
      }
      case 'updateBegin': {
        const linear = this.intoLocal(statement.linear);
        const entry = this.pool.take(I32);
        const host = this.local(statement.host);
        this.probe(linear, statement.bytes, TLB_ENTRY.at.writeTag, entry);
        code.if(true);
        this.hitAddress(linear, entry);
        code.set(host).else();
        this.slowPath('rmwSlow', linear, statement.bytes, statement.segment, host);
        code.end();
        if (statement.locked) this.retry = code.loop();
        code.get(host).memory(loadOperator(statement.bytes, statement.signed), 0).set(this.local(statement.old));
        return;
      }
      case 'updateEnd':
        this.updateEnd(statement);
        return;
      case 'flags':
        this.storeFlag('i32.store', VCPU.at.flagKind, statement.flagKind);
        if (statement.result) this.storeFlag('i64.store', VCPU.at.flagResult, statement.result);
        if (statement.a) this.storeFlag('i64.store', VCPU.at.flagA, statement.a);
        if (statement.b) this.storeFlag('i64.store', VCPU.at.flagB, statement.b);
        return;
      case 'condition':
        this.condition(statement.condition);
        code.set(this.local(statement.temp));
        return;
      case 'call':
        this.call(statement);
        return;
      case 'raise':
        code.get(cpu).i32Const(statement.vector + 1).memory('i32.store', VCPU.at.exception);
        code.get(cpu);
        if (statement.error) this.value(statement.error);
        else code.i32Const(0);
        code.memory('i32.store', VCPU.at.exceptionError);
        this.fail();
        return;
      case 'nextRip':
        this.nextRip();
        code.set(this.local(statement.temp));
        return;
      case 'checkTarget':
        this.checkTarget(statement.target);
        return;
      case 'branch':
        if (statement.condition) this.value(statement.condition);
        else code.i32Const(1);
        this.exits.follow(code);
        return;
      case 'branchTo':
        code.get(cpu);
        this.value(statement.target);
        code.get(cpu).memory('i64.load', VCPU.at.ripMask).op('i64.and').memory('i64.store', VCPU.at.rip);
        this.exits.branch(code);
        return;
      case 'finish': {
        const status = this.intoLocal(statement.status);
        code.get(status).if();
        this.exits.status(code, status);
        code.end();
        return;
      }
      case 'fence':
        code.fence();
        return;
      case 'leave':
        this.storeNextRip();
        this.exits.branch(code);
        return;
    }
  }

  private storeFlag(op: string, offset: number, value: Value): void {
    this.code.get(this.cpu);
    this.value(value);
    this.code.memory(op, offset);
  }

  private linear(statement: Extract<Statement, { kind: 'linear' }>): void {
    const { code, cpu, rec } = this;
    const offset = this.intoLocal(statement.offset);
    const result = this.local(statement.temp);
    code.get(rec).memory('i32.load8_u', RECORD.at.flags).i32Const(RECORD_CHECKED).op('i32.and');
    code.if(false);
    code.get(cpu);
    this.value(statement.segment);
    code.get(offset).i32Const(statement.bytes).i32Const(statement.access);
    code.call(this.functions.core('segmentLinear')).tee(result).i64Const(-1n).op('i64.eq');
    code.if(false);
    this.fail();
    code.end();
    code.else();
    code.get(cpu);
    this.value(statement.segment);
    code.i32Const(3).op('i32.shl').op('i32.add').memory('i64.load', VCPU.at.segEffective);
    code.get(offset).op('i64.add').set(result);
    code.end();
  }

  private commitIfScratch(host: number): void {
    const { code } = this;
    code.get(host).i32Const(RAM_BASE).op('i32.lt_u').if(false);
    code.get(this.cpu).call(this.functions.core('commitWrite'));
    code.end();
  }

  private updateEnd(statement: Extract<Statement, { kind: 'updateEnd' }>): void {
    const { code } = this;
    const { bytes } = statement;
    const host = this.local(statement.host);
    const plain = (): void => {
      code.get(host);
      this.value(statement.value);
      code.memory(storeOperator(bytes), 0);
    };
    if (statement.locked && bytes <= 8) {
      const old = this.local(statement.old);
      const suffix = bytes === 8 ? 'rmw.cmpxchg' : `rmw${bytes * 8}.cmpxchg_u`;
      const mask = (1n << BigInt(bytes * 8)) - 1n;
      const expected = this.pool.take(I64);
      const aligned = (): void => {
        code.get(host).get(old);
        if (bytes < 8) code.i64Const(mask).op('i64.and');
        code.tee(expected);
        this.value(statement.value);
        if (bytes < 8) code.i64Const(mask).op('i64.and');
        code.memory(`i64.atomic.${suffix}`, 0, ALIGN[bytes]).get(expected).op('i64.ne');
        code.brIf(this.retry!, false);
      };
      if (bytes === 1) {
        aligned();
      } else {
        code.get(host).i32Const(bytes - 1).op('i32.and').if(false);
        plain();
        code.else();
        aligned();
        code.end();
      }
      code.end();
      this.retry = undefined;
    } else {
      plain();
      if (statement.locked) code.end();
    }
    this.commitIfScratch(host);
  }

  private call(statement: Extract<Statement, { kind: 'call' }>): void {
    const { code } = this;
    const name = statement.name as CoreName;
    const { result } = CORE_FUNCTIONS[name];
    if (result === 'status') this.storeNextRip();
    code.get(this.cpu);
    for (const arg of statement.args) this.value(arg);
    code.call(this.functions.core(name));
    if (statement.temp) {
      code.set(this.local(statement.temp));
      if (result === 'checked') {
        code.get(this.cpu).memory('i32.load', VCPU.at.exception).if(false);
        this.fail();
        code.end();
      }
      return;
    }
    if (result !== 'status') {
      if (result !== 'void') code.drop();
      return;
    }
    const status = this.pool.take(I32);
    code.tee(status).if();
    this.exits.status(code, status);
    code.end();
  }

  private checkTarget(target: Value): void {
    const { code, cpu, rec } = this;
    const local = this.intoLocal(target);
    code.get(local).i64Const(1n << 47n).op('i64.add').i64Const(48n).op('i64.shr_u').i64Const(0n).op('i64.ne');
    code.if(false);
    this.statement({ kind: 'raise', vector: 13, error: { kind: 'const', type: 'i32', value: 0n } });
    code.end();
    code.get(rec).memory('i32.load8_u', RECORD.at.flags).i32Const(RECORD_CHECKED).op('i32.and').if(false);
    code.get(cpu).get(local).call(this.functions.core('checkCodeOffset')).op('i32.eqz').if(false);
    this.fail();
    code.end().end();
  }

  /** Inline what is one comparison for the common kinds; the rest is a function per condition. */
  private condition(condition: number): void {
    const { code, cpu } = this;
    const even = condition & 14;
    const load = (op: string, offset: number): void => void code.get(cpu).memory(op, offset);
    if (even === 4 || even === 8) {
      load('i32.load', VCPU.at.flagKind);
      code.if(true, I32);
      load('i64.load', VCPU.at.flagResult);
      if (even === 4) code.op('i64.eqz');
      else code.i64Const(0n).op('i64.lt_s');
      code.else();
      load('i32.load', VCPU.at.flagA);
      code.i32Const(even === 4 ? 6 : 7).op('i32.shr_u').i32Const(1).op('i32.and');
      code.end();
    } else {
      const compare = { 2: 'i64.lt_u', 6: 'i64.le_u', 12: 'i64.lt_s', 14: 'i64.le_s' }[even];
      if (compare) {
        load('i32.load', VCPU.at.flagKind);
        code.i32Const(FLAGS_SUB).op('i32.eq').if(true, I32);
        load('i64.load', VCPU.at.flagA);
        load('i64.load', VCPU.at.flagB);
        code.op(compare).else();
        code.get(cpu).call(this.functions.condition(even));
        code.end();
      } else {
        code.get(cpu).call(this.functions.condition(even));
      }
    }
    if (condition & 1) code.op('i32.eqz');
  }
}

/** Locals of one function, shared by the handlers that are emitted into it one after the other. */
export class LocalPool {
  private readonly code: Code;
  private readonly free = new Map<ValueType, number[]>();
  private readonly used = new Map<ValueType, number>();

  constructor(code: Code) {
    this.code = code;
  }

  reset(): void {
    this.used.clear();
  }

  take(type: ValueType): number {
    let locals = this.free.get(type);
    if (!locals) this.free.set(type, (locals = []));
    const next = this.used.get(type) ?? 0;
    this.used.set(type, next + 1);
    return (locals[next] ??= this.code.local(type));
  }
}

