import { constant, fold } from './fold.ts';
import {
  resultType,
  type Condition,
  type FieldName,
  type RegisterRef,
  type Statement,
  type Temp,
  type Type,
  type Value,
} from './ir.ts';

/**
 * Collects the statements of one or more instructions. Integer values are i64 unless a method says
 * otherwise; conditions are i32. A value that is used more than once must be a temporary (`let`).
 */
export class Builder {
  private statements: Statement[] = [];
  private nextTemp = 0;

  /** The statements so far. */
  finish(): Statement[] {
    return this.statements;
  }

  /** The statements since the last call; temporaries go on being numbered. */
  take(): Statement[] {
    const taken = this.statements;
    this.statements = [];
    return taken;
  }

  push(statement: Statement): void {
    this.statements.push(statement);
  }

  temp(type: Type): Temp {
    return { kind: 'temp', type, id: this.nextTemp++ };
  }

  /** Evaluates a value once; constants and temporaries are returned as they are. */
  let(value: Value): Value {
    if (value.kind === 'temp' || value.kind === 'const') return value;
    const temp = this.temp(value.type);
    this.push({ kind: 'let', temp, value });
    return temp;
  }

  /** A temporary that `assign` may change, for values that differ by path. */
  variable(initial: Value): Temp {
    const temp = this.temp(initial.type);
    this.push({ kind: 'assign', temp, value: initial });
    return temp;
  }

  assign(temp: Temp, value: Value): void {
    this.push({ kind: 'assign', temp, value });
  }

  if(condition: Value, then: () => void, otherwise?: () => void, likely?: boolean): void {
    if (condition.kind === 'const') {
      if (condition.value !== 0n) then();
      else otherwise?.();
      return;
    }
    const outer = this.statements;
    const thenPart: Statement[] = [];
    const elsePart: Statement[] = [];
    this.statements = thenPart;
    then();
    this.statements = elsePart;
    otherwise?.();
    this.statements = outer;
    this.push({ kind: 'if', condition, yes: thenPart, no: elsePart, likely });
  }

  // --- values

  /** Any pure operator by its WebAssembly name. */
  op(name: string, ...args: Value[]): Value {
    return fold(name, args) ?? { kind: 'op', type: resultType(name), op: name, args };
  }

  /** An operator with lane immediates (extract_lane, replace_lane, shuffle). */
  lanes(name: string, lanes: readonly number[], ...args: Value[]): Value {
    return { kind: 'op', type: resultType(name), op: name, args, lanes };
  }

  vector(bytes: Uint8Array): Value {
    return { kind: 'vector', type: 'v128', bytes };
  }

  i64(value: bigint | number): Value {
    return constant('i64', BigInt(value));
  }

  i32(value: number): Value {
    return constant('i32', BigInt(value));
  }

  field(name: FieldName, type: 'i32' | 'i64'): Value {
    return { kind: 'field', type, name };
  }

  select(condition: Value, then: Value, otherwise: Value): Value {
    if (condition.kind === 'const') return condition.value !== 0n ? then : otherwise;
    return { kind: 'op', type: then.type, op: 'select', args: [then, otherwise, condition] };
  }

  add(a: Value, b: Value): Value {
    return this.op('i64.add', a, b);
  }
  sub(a: Value, b: Value): Value {
    return this.op('i64.sub', a, b);
  }
  mul(a: Value, b: Value): Value {
    return this.op('i64.mul', a, b);
  }
  and(a: Value, b: Value): Value {
    return this.op('i64.and', a, b);
  }
  or(a: Value, b: Value): Value {
    return this.op('i64.or', a, b);
  }
  xor(a: Value, b: Value): Value {
    return this.op('i64.xor', a, b);
  }
  not(a: Value): Value {
    return this.xor(a, this.i64(-1));
  }
  shl(a: Value, b: Value): Value {
    return this.op('i64.shl', a, b);
  }
  shrU(a: Value, b: Value): Value {
    return this.op('i64.shr_u', a, b);
  }
  shrS(a: Value, b: Value): Value {
    return this.op('i64.shr_s', a, b);
  }
  /** Comparisons give an i32, 0 or 1. */
  eqz(a: Value): Value {
    return this.op(`${a.type}.eqz`, a);
  }
  eq(a: Value, b: Value): Value {
    return this.op(`${a.type}.eq`, a, b);
  }
  ne(a: Value, b: Value): Value {
    return this.op(`${a.type}.ne`, a, b);
  }
  ltU(a: Value, b: Value): Value {
    return this.op(`${a.type}.lt_u`, a, b);
  }
  ltS(a: Value, b: Value): Value {
    return this.op(`${a.type}.lt_s`, a, b);
  }
  /** i32 to i64. */
  widen(a: Value): Value {
    return this.op('i64.extend_i32_u', a);
  }
  /** i64 to i32. */
  narrow(a: Value): Value {
    return this.op('i32.wrap_i64', a);
  }

  /** Sign-extends the low `bits` to 64. */
  signExtend(value: Value, bits: number): Value {
    if (bits >= 64) return value;
    if (bits === 8 || bits === 16 || bits === 32) return this.op(`i64.extend${bits}_s`, value);
    const shift = this.i64(64 - bits);
    return this.shrS(this.shl(value, shift), shift);
  }

  /** Keeps the low `bits`. */
  zeroExtend(value: Value, bits: number): Value {
    return bits >= 64 ? value : this.and(value, this.i64((1n << BigInt(bits)) - 1n));
  }

  // --- effects

  readState(op: string, offset: number): Value {
    const temp = this.temp(op.startsWith('v128') ? 'v128' : (op.slice(0, 3) as Type));
    this.push({ kind: 'readState', temp, op, offset });
    return temp;
  }

  /** Element `index` (i32) of an array in the vCPU block. */
  readStateAt(op: string, offset: number, index: Value, stride: number): Value {
    const temp = this.temp(op.slice(0, 3) as Type);
    const scaled = this.op('i32.mul', index, this.i32(stride));
    this.push({ kind: 'readState', temp, op, offset, index: scaled });
    return temp;
  }

  writeState(op: string, offset: number, value: Value): void {
    this.push({ kind: 'writeState', op, offset, value });
  }

  readRegister(register: RegisterRef, bytes: number, signed: boolean): Value {
    const temp = this.temp(bytes === 16 ? 'v128' : 'i64');
    this.push({ kind: 'readRegister', temp, register, bytes, signed });
    return temp;
  }

  /** An XMM register's low lane as an f32 (4 bytes) or f64 (8). */
  readFloat(register: RegisterRef, bytes: number): Value {
    const temp = this.temp(bytes === 4 ? 'f32' : 'f64');
    this.push({ kind: 'readRegister', temp, register, bytes, signed: false });
    return temp;
  }

  writeRegister(register: RegisterRef, bytes: number, value: Value): void {
    this.push({ kind: 'writeRegister', register, bytes, value });
  }

  linear(segment: Value, offset: Value, bytes: number, access: number): Value {
    const temp = this.temp('i64');
    this.push({ kind: 'linear', temp, segment, offset, bytes, access });
    return temp;
  }

  load(linear: Value, segment: Value, bytes: number, signed = false): Value {
    const temp = this.temp(bytes === 16 ? 'v128' : 'i64');
    this.push({ kind: 'load', temp, linear, segment, bytes, op: loadOperator(bytes, signed) });
    return temp;
  }

  /** 4 or 8 bytes as a float. */
  loadFloat(linear: Value, segment: Value, bytes: number): Value {
    const temp = this.temp(bytes === 4 ? 'f32' : 'f64');
    this.push({ kind: 'load', temp, linear, segment, bytes, op: `${temp.type}.load` });
    return temp;
  }

  /** 4, 8 or 16 bytes at the bottom of a v128, zeros above them. */
  loadVector(linear: Value, segment: Value, bytes: number): Value {
    const temp = this.temp('v128');
    const op = bytes === 16 ? 'v128.load' : `v128.load${bytes * 8}_zero`;
    this.push({ kind: 'load', temp, linear, segment, bytes, op });
    return temp;
  }

  store(linear: Value, segment: Value, bytes: number, value: Value): void {
    this.push({ kind: 'store', linear, segment, bytes, op: storeOperator(bytes, value.type), value });
  }

  flags(flagKind: number | Value, result?: Value, a?: Value, b?: Value): void {
    const kind = typeof flagKind === 'number' ? this.i32(flagKind) : flagKind;
    this.push({ kind: 'flags', flagKind: kind, result, a, b });
  }

  /** The flags of `mask` become those of `bits`, which is zero elsewhere; the others stay. */
  flagBits(mask: bigint, bits: Value): void {
    this.push({ kind: 'flagBits', mask, bits });
  }

  /** i32: 1 if the condition code holds. */
  condition(condition: Condition): Value {
    const temp = this.temp('i32');
    this.push({ kind: 'condition', temp, condition });
    return temp;
  }

  call(name: string, type: Type | undefined, ...args: Value[]): Value {
    const temp = type ? this.temp(type) : undefined;
    this.push({ kind: 'call', name, args, temp });
    return temp ?? this.i32(0);
  }

  /** A core function that ends the instruction and says how to go on. */
  status(name: string, ...args: Value[]): void {
    this.push({ kind: 'call', name, args, temp: undefined });
  }

  raise(vector: number, error?: Value): void {
    this.push({ kind: 'raise', vector, error });
  }

  nextRip(): Value {
    const temp = this.temp('i64');
    this.push({ kind: 'nextRip', temp });
    return temp;
  }

  branch(condition?: Value): void {
    this.push({ kind: 'branch', condition });
  }

  branchTo(target: Value): void {
    this.push({ kind: 'branchTo', target });
  }

  leave(): void {
    this.push({ kind: 'leave' });
  }
}

/** The operator that loads `bytes` as an i64 (or a v128 for 16). */
export function loadOperator(bytes: number, signed: boolean): string {
  if (bytes === 16) return 'v128.load';
  if (bytes === 8) return 'i64.load';
  return `i64.load${bytes * 8}_${signed ? 's' : 'u'}`;
}

/** The operator that stores the low `bytes` of an i64, or a whole f32, f64 or v128. */
export function storeOperator(bytes: number, type: Type = 'i64'): string {
  if (type === 'f32' || type === 'f64') return `${type}.store`;
  if (bytes === 16) return 'v128.store';
  if (bytes === 8) return 'i64.store';
  return `i64.store${bytes * 8}`;
}
