/**
 * From the statements of instructions to WebAssembly: what the interpreter's handlers and translated
 * regions have in common. What differs is where registers, flags and the instruction's properties live.
 */
import { storeOperator, loadOperator } from '../ir/builder.ts';
import type { FieldName, Statement, Temp, Type, Value } from '../ir/ir.ts';
import { ACCESS_SEGMENT_SHIFT } from '../layout/access.ts';
import { CORE_FUNCTIONS, type CoreName } from '../layout/core-abi.ts';
import { EXCEPTION_GP } from '../layout/exceptions.ts';
import { RAM_BASE } from '../layout/map.ts';
import { FLAGS_EXPLICIT, TLB_ENTRY, VCPU } from '../layout/vcpu.ts';
import type { Code, Label } from '../wasmgen/code.ts';
import { F32, F64, I32, I64, V128, type ValueType } from '../wasmgen/opcodes.ts';
import { emitTlbOffset } from './tables.ts';

export const WASM_TYPES: Record<Type, ValueType> = { i32: I32, i64: I64, f32: F32, f64: F64, v128: V128 };

/** Natural alignment as log2, which atomic operators demand. */
const ALIGN: Readonly<Record<number, number>> = { 1: 0, 2: 1, 4: 2, 8: 3 };

export type StatementOf<K extends Statement['kind']> = Extract<Statement, { kind: K }>;

const NONE: ReadonlySet<number> = new Set();

/** An access to guest memory. */
export interface Access {
  /** Local with the linear address. */
  readonly linear: number;
  readonly bytes: number;
  readonly segment: Value;
  readonly write: boolean;
  /** What both ways leave. */
  readonly result: ValueType | undefined;
}

/** Locals of one function, shared by the instructions that are emitted into it one after the other. */
export class LocalPool {
  readonly #code: Code;
  readonly #freeLocals = new Map<ValueType, number[]>();
  #taken: { readonly local: number; readonly type: ValueType }[] = [];

  constructor(code: Code) {
    this.#code = code;
  }

  /** Ends an instruction: its locals are free again, except those that `kept` holds. */
  reset(kept: ReadonlySet<number> = NONE): void {
    const taken = this.#taken;
    this.#taken = taken.filter(({ local }) => kept.has(local));
    for (const { local, type } of taken) if (!kept.has(local)) this.#free(type).push(local);
  }

  take(type: ValueType): number {
    const local = this.#free(type).pop() ?? this.#code.local(type);
    this.#taken.push({ local, type });
    return local;
  }

  #free(type: ValueType): number[] {
    let locals = this.#freeLocals.get(type);
    if (!locals) this.#freeLocals.set(type, (locals = []));
    return locals;
  }
}

export abstract class Lowering {
  protected readonly code: Code;
  /** Local that holds the host address of the vCPU block. */
  protected readonly cpu: number;
  protected readonly pool: LocalPool;
  readonly #core: (name: CoreName) => number;
  /** The local that holds a temporary, by its id. */
  protected readonly temps = new Map<number, number>();
  #retry: Label | undefined;
  /** Temporaries that descriptions do not know count down from here. */
  #ownTemps = 0;

  constructor(code: Code, cpu: number, pool: LocalPool, core: (name: CoreName) => number) {
    this.code = code;
    this.cpu = cpu;
    this.pool = pool;
    this.#core = core;
  }

  // --- what differs

  protected abstract field(name: FieldName): void;
  protected abstract readRegister(statement: StatementOf<'readRegister'>): void;
  protected abstract writeRegister(statement: StatementOf<'writeRegister'>): void;
  protected abstract flags(statement: StatementOf<'flags'>, rest: readonly Statement[]): void;
  /** Leaves 1 if the condition code holds, else 0. */
  protected abstract condition(condition: number): void;
  /** Leaves the address of the next instruction (i64). */
  protected abstract nextRip(): void;
  /** Leaves the host address of the current TLB. */
  protected abstract tlb(): void;
  /** Whether segment accesses of this instruction must be checked, or 'record' to ask the record. */
  protected abstract readonly checked: boolean | 'record';
  /** Leaves nonzero if the record says `checked`. */
  protected abstract recordChecked(): void;
  /** The exception is raised: leave the instruction. */
  protected abstract fail(): void;
  /** Leave with the STATUS_* in this local; what the call before it left in memory is the truth. */
  protected abstract leaveWith(status: number): void;
  /** The same at the end of an instruction whose registers may have changed since. */
  protected abstract finish(status: number): void;
  /** Faults where the direct branch of the instruction would leave the code segment. */
  protected abstract checkBranch(): void;
  protected abstract branch(statement: StatementOf<'branch'>): void;
  protected abstract branchTo(target: Value): void;
  protected abstract leave(): void;
  /** Around calls that may read or change registers, flags or the budget. */
  protected abstract beforeCall(name: CoreName): void;
  protected abstract afterCall(name: CoreName): void;
  /** Leaves the part of an access that names the instruction (layout/access.ts). */
  protected abstract accessSite(): number;
  /** Leave the instruction after a slow path that has recorded its fault. */
  protected abstract failed(likely?: boolean): void;
  /**
   * A write took a slow path, whose status is on the stack: 0, STATUS_FAULT_AT_RIP (not from commitWrite), or
   * STATUS_BRANCH, when code may have changed; statements `rest` complete the instruction.
   */
  protected abstract afterWrite(mayFault: boolean, rest: readonly Statement[]): void;

  /** The bytes whose address `host` leaves are about to be written without the core. */
  protected beforeStore(_host: () => void, _bytes: number): void {}

  // --- values

  statements(list: readonly Statement[]): void {
    list.forEach((statement, i) => this.statement(statement, list.slice(i + 1)));
  }

  protected local(temp: Temp): number {
    let local = this.temps.get(temp.id);
    if (local === undefined) {
      local = this.pool.take(WASM_TYPES[temp.type]);
      this.temps.set(temp.id, local);
    }
    return local;
  }

  protected value(value: Value): void {
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

  protected intoLocal(value: Value): number {
    if (value.kind === 'temp') return this.local(value);
    const local = this.pool.take(WASM_TYPES[value.type]);
    this.value(value);
    this.code.set(local);
    return local;
  }

  protected callCore(name: CoreName): Code {
    return this.code.call(this.#core(name));
  }

  // --- statements

  private statement(statement: Statement, rest: readonly Statement[]): void {
    const { code, cpu } = this;
    switch (statement.kind) {
      case 'let':
      case 'assign':
        this.value(statement.value);
        code.set(this.local(statement.temp));
        return;
      case 'if':
        this.conditional(statement, rest);
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
      case 'readRegister':
        this.readRegister(statement);
        return;
      case 'writeRegister':
        this.writeRegister(statement);
        return;
      case 'linear':
        this.linear(statement);
        return;
      case 'load':
        this.load(statement);
        return;
      case 'store':
        this.store(statement, rest);
        return;
      case 'updateBegin':
        this.updateBegin(statement);
        return;
      case 'updateEnd':
        this.updateEnd(statement, rest);
        return;
      case 'flags':
        this.flags(statement, rest);
        return;
      case 'flagBits':
        this.flagBits(statement, rest);
        return;
      case 'condition':
        this.condition(statement.condition);
        code.set(this.local(statement.temp));
        return;
      case 'call':
        this.call(statement);
        return;
      case 'raise':
        this.raise(statement.vector, statement.error);
        return;
      case 'nextRip':
        this.nextRip();
        code.set(this.local(statement.temp));
        return;
      case 'checkTarget':
        this.checkTarget(statement.target);
        return;
      case 'checkBranch':
        this.checkBranch();
        return;
      case 'branch':
        this.branch(statement);
        return;
      case 'branchTo':
        this.branchTo(statement.target);
        return;
      case 'finish': {
        const status = this.intoLocal(statement.status);
        code.get(status).if();
        this.finish(status);
        code.end();
        return;
      }
      case 'fpuGate':
        this.fpuGate(statement);
        return;
      case 'fence':
        code.fence();
        return;
      case 'leave':
        this.leave();
    }
  }

  protected flagBits(statement: StatementOf<'flagBits'>, rest: readonly Statement[]): void {
    const bits = this.letLocal(statement.bits);
    const old: Temp = { kind: 'temp', type: 'i64', id: --this.#ownTemps };
    this.call({ kind: 'call', name: 'materializeFlags', args: [], temp: old });
    const mask: Value = { kind: 'const', type: 'i64', value: BigInt.asUintN(64, ~statement.mask) };
    const kept: Value = { kind: 'op', type: 'i64', op: 'i64.and', args: [old, mask] };
    const a: Value = { kind: 'op', type: 'i64', op: 'i64.or', args: [kept, bits] };
    const flagKind: Value = { kind: 'const', type: 'i32', value: BigInt(FLAGS_EXPLICIT) };
    this.flags({ kind: 'flags', flagKind, result: undefined, a, b: undefined }, rest);
  }

  protected fpuGate({ blocked, check }: StatementOf<'fpuGate'>): void {
    const { code } = this;
    code.get(this.cpu).memory('i32.load', VCPU.at.fpuBlocked).i32Const(blocked).op('i32.and').if(false);
    const argument: Value = { kind: 'const', type: 'i32', value: BigInt(check) };
    this.call({ kind: 'call', name: 'checkFpu', args: [argument], temp: undefined });
    code.end();
  }

  protected conditional(statement: StatementOf<'if'>, _rest: readonly Statement[]): void {
    const { yes, no } = statement;
    this.choose(statement, () => this.statements(yes), no.length > 0 ? () => this.statements(no) : undefined);
  }

  /** What is likely although it takes several tests leaves at the first that fails: cheaper than to combine their results. */
  protected choose(
    { condition, likely }: StatementOf<'if'>,
    yes: () => void,
    no: (() => void) | undefined,
  ): void {
    const { code } = this;
    const tests = likely === true ? conjuncts(condition) : [condition];
    if (tests.length === 1) {
      this.value(condition);
      code.if(likely);
      yes();
      if (no) {
        code.else();
        no();
      }
      code.end();
      return;
    }
    const done = code.block();
    const miss = code.block();
    for (const test of tests) {
      this.value(test);
      code.op('i32.eqz').brIf(miss, false);
    }
    yes();
    code.br(done).end();
    no?.();
    code.end();
  }

  protected raise(vector: number, error: Value | undefined): void {
    const { code, cpu } = this;
    code
      .get(cpu)
      .i32Const(vector + 1)
      .memory('i32.store', VCPU.at.exception);
    code.get(cpu);
    if (error) this.value(error);
    else code.i32Const(0);
    code.memory('i32.store', VCPU.at.exceptionError);
    this.fail();
  }

  protected storeNextRip(): void {
    this.code.get(this.cpu);
    this.nextRip();
    this.code.memory('i64.store', VCPU.at.rip);
  }

  // --- memory

  /** Emits `hit`, which gets what leaves the host address, where the TLB has the access, else `miss`. */
  protected lookUp(access: Access, hit: (host: () => void) => void, miss: () => void): void {
    const { code } = this;
    const { linear } = access;
    const entry = this.pool.take(I32);
    this.tlbEntry(linear);
    code.tee(entry).memory('i64.load', access.write ? TLB_ENTRY.at.writeTag : TLB_ENTRY.at.readTag);
    this.lastPage(access);
    code.op('i64.eq').if(true, access.result);
    hit(() => {
      code.get(linear).op('i32.wrap_i64');
      code.get(entry).memory('i32.load', TLB_ENTRY.at.addend).op('i32.add');
    });
    code.else();
    miss();
    code.end();
  }

  /** Leaves the host address of the TLB's entry for a linear address. */
  protected tlbEntry(linear: number): void {
    const { code } = this;
    this.tlb();
    code.get(linear);
    emitTlbOffset(code);
    code.op('i32.add');
  }

  /** Leaves the page of an access's last byte, which is a tag's value only if the first byte is in that page, too. */
  protected lastPage({ linear, bytes }: Access): void {
    const { code } = this;
    code.get(linear);
    if (bytes > 1) code.i64Const(BigInt(bytes - 1)).op('i64.add');
    code.i64Const(-4096n).op('i64.and');
  }

  /** Leaves the description of an access (layout/access.ts). */
  private access(bytes: number, segment: Value): void {
    const { code } = this;
    const known = bytes | this.accessSite();
    if (segment.kind === 'const') {
      code.i32Const(known | (Number(segment.value) << ACCESS_SEGMENT_SHIFT));
      return;
    }
    this.value(segment);
    code.i32Const(ACCESS_SEGMENT_SHIFT).op('i32.shl').i32Const(known).op('i32.or');
  }

  /** Leaves the host address of bytes to be written that the TLB or else a slow path gives. */
  private host(name: CoreName, linear: number, bytes: number, segment: Value): void {
    this.lookUp(
      { linear, bytes, segment, write: true, result: I32 },
      (host) => {
        this.beforeStore(host, bytes);
        host();
      },
      () => this.slowHost(name, linear, bytes, segment),
    );
  }

  /** Leaves the host address that a slow path gives, or fails. */
  private slowHost(name: CoreName, linear: number, bytes: number, segment: Value): void {
    const { code } = this;
    const host = this.pool.take(I32);
    code.get(this.cpu).get(linear);
    this.access(bytes, segment);
    this.callCore(name).tee(host).op('i32.eqz');
    this.failed();
    code.get(host);
  }

  private linear(statement: StatementOf<'linear'>): void {
    const { code } = this;
    const offset = this.intoLocal(statement.offset);
    const result = this.local(statement.temp);
    if (this.checked === true) {
      this.checkedLinear(statement, offset, result);
      return;
    }
    if (this.checked === 'record') {
      this.recordChecked();
      code.if(false);
      this.checkedLinear(statement, offset, result);
      code.else();
    }
    this.addBase(statement.segment, offset);
    code.set(result);
    if (this.checked === 'record') code.end();
  }

  /** Puts the linear address of `offset` in a segment that has to be checked into `result`, or fails. */
  protected checkedLinear(statement: StatementOf<'linear'>, offset: number, result: number): void {
    const { code } = this;
    code.get(this.cpu);
    this.value(statement.segment);
    code.get(offset).i32Const(statement.bytes).i32Const(statement.access);
    this.callCore('segmentLinear').tee(result).i64Const(-1n).op('i64.eq').if(false);
    this.fail();
    code.end();
  }

  /** Leaves offset + base of an unchecked segment. */
  protected addBase(segment: Value, offset: number): void {
    const { code, cpu } = this;
    code.get(cpu);
    this.value(segment);
    code.i32Const(3).op('i32.shl').op('i32.add').memory('i64.load', VCPU.at.segEffective);
    code.get(offset).op('i64.add');
  }

  private load(statement: StatementOf<'load'>): void {
    const { code } = this;
    const linear = this.intoLocal(statement.linear);
    const { bytes, segment, op, temp } = statement;
    this.lookUp(
      { linear, bytes, segment, write: false, result: WASM_TYPES[temp.type] },
      (host) => {
        host();
        code.memory(op, 0);
      },
      () => {
        this.slowHost('readSlow', linear, bytes, segment);
        code.memory(op, 0);
      },
    );
    code.set(this.local(temp));
  }

  private store(statement: StatementOf<'store'>, rest: readonly Statement[]): void {
    const { code, pool } = this;
    const linear = this.intoLocal(statement.linear);
    const { bytes, op } = statement;
    const value = statement.value.kind === 'op' ? this.letLocal(statement.value) : statement.value;
    if (value.type === 'v128') {
      const host = pool.take(I32);
      this.host('writeSlow', linear, bytes, statement.segment);
      code.tee(host);
      this.value(value);
      code.memory(op, 0);
      this.commitIfScratch(host, bytes, statement.segment, rest);
      return;
    }
    this.lookUp(
      { linear, bytes, segment: statement.segment, write: true, result: undefined },
      (host) => {
        this.beforeStore(host, bytes);
        host();
        this.value(value);
        code.memory(op, 0);
      },
      () => {
        code.get(this.cpu).get(linear);
        this.access(bytes, statement.segment);
        this.value(value);
        if (value.type === 'f32') code.op('i32.reinterpret_f32').op('i64.extend_i32_u');
        else if (value.type === 'f64') code.op('i64.reinterpret_f64');
        else if (value.type === 'i32') code.op('i64.extend_i32_u');
        this.callCore('storeSlow');
        this.afterWrite(true, rest);
      },
    );
  }

  /** A value in a local, as a temporary. */
  protected letLocal(value: Value): Temp {
    const temp: Temp = { kind: 'temp', type: value.type, id: --this.#ownTemps };
    this.temps.set(temp.id, this.intoLocal(value));
    return temp;
  }

  private commitIfScratch(host: number, bytes: number, segment: Value, rest: readonly Statement[]): void {
    const { code } = this;
    code.get(host).i32Const(RAM_BASE).op('i32.lt_u').if(false);
    code.get(this.cpu);
    this.access(bytes, segment);
    this.callCore('commitWrite');
    this.afterWrite(false, rest);
    code.end();
  }

  private updateBegin(statement: StatementOf<'updateBegin'>): void {
    const { code } = this;
    const linear = this.intoLocal(statement.linear);
    const host = this.local(statement.host);
    this.host('rmwSlow', linear, statement.bytes, statement.segment);
    code.set(host);
    if (statement.locked) this.#retry = code.loop();
    const load = loadOperator(statement.bytes, statement.signed);
    code.get(host).memory(load, 0).set(this.local(statement.old));
  }

  private updateEnd(statement: StatementOf<'updateEnd'>, rest: readonly Statement[]): void {
    const { code } = this;
    const { bytes, locked } = statement;
    const host = this.local(statement.host);
    const plain = (): void => {
      code.get(host);
      this.value(statement.value);
      code.memory(storeOperator(bytes, statement.value.type), 0);
    };
    if (!locked || bytes > 8) {
      plain();
    } else if (bytes === 1) {
      this.compareExchange(statement, host);
    } else {
      // wasm atomics trap on misaligned addresses; those need the other vCPUs stopped.
      code
        .get(host)
        .i32Const(bytes - 1)
        .op('i32.and')
        .if(false);
      plain();
      code.else();
      this.compareExchange(statement, host);
      code.end();
    }
    if (locked) {
      code.end();
      this.#retry = undefined;
    }
    this.commitIfScratch(host, bytes, statement.segment, rest);
  }

  /** Stores the new value if nobody changed the old one, else starts the update again. */
  private compareExchange(statement: StatementOf<'updateEnd'>, host: number): void {
    const { code } = this;
    const { bytes } = statement;
    const suffix = bytes === 8 ? 'rmw.cmpxchg' : `rmw${bytes * 8}.cmpxchg_u`;
    const mask = (1n << BigInt(bytes * 8)) - 1n;
    const expected = this.pool.take(I64);
    code.get(host).get(this.local(statement.old));
    if (bytes < 8) code.i64Const(mask).op('i64.and');
    code.tee(expected);
    this.value(statement.value);
    if (bytes < 8) code.i64Const(mask).op('i64.and');
    code.memory(`i64.atomic.${suffix}`, 0, ALIGN[bytes]).get(expected).op('i64.ne');
    code.brIf(this.#retry!, false);
  }

  // --- calls and branches

  /** Leaves what a function of the core returns. */
  protected callWith(name: CoreName, values: readonly Value[]): void {
    const { code } = this;
    const args = values.map((arg) => (arg.kind === 'const' ? arg : this.intoLocal(arg)));
    if (CORE_FUNCTIONS[name].result === 'status') this.storeNextRip();
    this.beforeCall(name);
    code.get(this.cpu);
    for (const arg of args) {
      if (typeof arg === 'number') code.get(arg);
      else this.value(arg);
    }
    this.callCore(name);
  }

  protected call(statement: StatementOf<'call'>): void {
    const { code, pool } = this;
    const name = statement.name as CoreName;
    const { result } = CORE_FUNCTIONS[name];
    this.callWith(name, statement.args);
    if (statement.temp) {
      code.set(this.local(statement.temp));
      this.afterCall(name);
      if (result === 'checked') {
        code.get(this.cpu).memory('i32.load', VCPU.at.exception).if(false);
        this.fail();
        code.end();
      }
    } else if (result === 'status') {
      const status = pool.take(I32);
      code.tee(status).if();
      this.leaveWith(status);
      code.end();
      this.afterCall(name);
    } else {
      if (result !== 'void') code.drop();
      this.afterCall(name);
    }
  }

  private checkTarget(target: Value): void {
    const { code, cpu } = this;
    const local = this.intoLocal(target);
    code
      .get(local)
      .i64Const(1n << 47n)
      .op('i64.add')
      .i64Const(48n)
      .op('i64.shr_u')
      .i64Const(0n)
      .op('i64.ne');
    code.if(false);
    this.raise(EXCEPTION_GP, undefined);
    code.end();
    if (this.checked === false) return;
    if (this.checked === 'record') {
      this.recordChecked();
      code.if(false);
    }
    code.get(cpu).get(local);
    this.callCore('checkCodeOffset').op('i32.eqz').if(false);
    this.fail();
    code.end();
    if (this.checked === 'record') code.end();
  }
}

const COMPARISON = /^[if](32|64)\.(eq|ne|lt|gt|le|ge|eqz)/;

/** The truth values that a condition joins by AND. */
function conjuncts(condition: Value): Value[] {
  if (condition.kind !== 'op' || condition.op !== 'i32.and') return [condition];
  const parts = condition.args.flatMap(conjuncts);
  // Other numbers may have their bits in different places.
  return parts.every((part) => part.kind === 'op' && COMPARISON.test(part.op)) ? parts : [condition];
}
