/** Reads statements in the form that `print.ts` writes. Throws on anything else: for tests and tools. */
import { SEGMENT_ALIGNED, SEGMENT_WRITE, VCPU } from '../layout/vcpu.ts';
import {
  resultType,
  type FieldName,
  type RegisterFile,
  type RegisterRef,
  type Statement,
  type Temp,
  type Type,
  type Value,
} from './ir.ts';
import { GENERAL_NAMES } from './print.ts';

type Line = { readonly depth: number; readonly text: string };

/** Lines may be indented as a whole; a temporary that no line sets has its type where it is first used. */
export function parseStatements(text: string): Statement[] {
  const rows = text.split('\n').filter((row) => row.trim() !== '');
  const margin = Math.min(...rows.map(indentOf));
  const lines = rows.map((row): Line => ({ depth: (indentOf(row) - margin) / 2, text: row.trim() }));
  const types = new Map<number, Type>();
  const list = parseList(lines, 0, types);
  if (lines.length > 0) throw new Error(`stray: ${lines[0]!.text}`);
  return list;
}

function indentOf(row: string): number {
  return row.length - row.trimStart().length;
}

/** Takes the lines of one depth and what is below them off the front. */
function parseList(lines: Line[], depth: number, types: Map<number, Type>): Statement[] {
  const list: Statement[] = [];
  while (lines[0]?.depth === depth && lines[0].text !== 'else') {
    const line = new LineParser(lines.shift()!.text, types);
    if (!line.take('if ')) {
      list.push(line.statement());
      line.end();
      continue;
    }
    const likely = line.take('likely ') ? true : line.take('unlikely ') ? false : undefined;
    const condition = line.value();
    line.end();
    const yes = parseList(lines, depth + 1, types);
    const hasElse = lines[0]?.depth === depth && lines[0].text === 'else';
    if (hasElse) lines.shift();
    const no = hasElse ? parseList(lines, depth + 1, types) : [];
    list.push({ kind: 'if', condition, yes, no, likely });
  }
  return list;
}

class LineParser {
  readonly #line: string;
  #rest: string;
  readonly #types: Map<number, Type>;

  constructor(line: string, types: Map<number, Type>) {
    this.#line = line;
    this.#rest = line;
    this.#types = types;
  }

  take(text: string): boolean {
    if (!this.#rest.startsWith(text)) return false;
    this.#rest = this.#rest.slice(text.length);
    return true;
  }

  end(): void {
    if (this.#rest !== '') this.#fail();
  }

  statement(): Statement {
    if (/^t\d/.test(this.#rest)) return this.#definition(this.#temp());
    if (this.take('call ')) return this.#call(undefined);
    if (this.take('flags ')) return this.#flags();
    if (this.take('flagBits ')) {
      const mask = this.#bigint();
      this.#need('n = ');
      return { kind: 'flagBits', mask, bits: this.value() };
    }
    if (this.take('raise ')) {
      const vector = this.#number();
      return { kind: 'raise', vector, error: this.take(' error ') ? this.value() : undefined };
    }
    if (this.take('checkTarget ')) return { kind: 'checkTarget', target: this.value() };
    if (this.take('branchTo ')) return { kind: 'branchTo', target: this.value() };
    if (this.take('finish ')) return { kind: 'finish', status: this.value() };
    if (this.take('branch if ')) return { kind: 'branch', condition: this.value() };
    if (this.take('branch')) return { kind: 'branch', condition: undefined };
    if (this.take('fpuGate ')) {
      const blocked = this.#number();
      this.#need(' ');
      return { kind: 'fpuGate', blocked, check: this.#number() };
    }
    for (const kind of ['checkBranch', 'fence', 'leave'] as const) if (this.take(kind)) return { kind };
    if (this.take('store.')) {
      const bytes = this.#number();
      this.#need(' ');
      const op = this.#operator();
      this.#need(' ');
      const { segment, address: linear } = this.#place();
      this.#need(' = ');
      return { kind: 'store', linear, segment, bytes, op, value: this.value() };
    }
    if (this.take('updated.')) {
      const bytes = this.#number();
      const locked = this.take(' locked');
      this.#need(' ');
      const { segment, address: host } = this.#place();
      this.#need(' from ');
      const old = this.value();
      this.#need(' = ');
      const value = this.value();
      if (host.kind !== 'temp' || old.kind !== 'temp') return this.#fail();
      return { kind: 'updateEnd', host, old, segment, bytes, value, locked };
    }
    const op = this.#match(/^\w+\.\w+(?= state\.)/);
    if (op !== undefined) {
      this.#need(' ');
      const offset = this.#state();
      this.#need(' = ');
      return { kind: 'writeState', op, offset, value: this.value() };
    }
    const { register, bytes } = this.#register() ?? this.#fail();
    this.#need(' = ');
    return { kind: 'writeRegister', register, bytes, value: this.value() };
  }

  #definition(temp: Temp): Statement {
    if (this.take(' := ')) return { kind: 'assign', temp, value: this.value() };
    if (this.take(', ')) {
      const old = this.#temp();
      this.#need(' = update.');
      const bytes = this.#number();
      const signed = this.take(' signed');
      const locked = this.take(' locked');
      this.#need(' ');
      const { segment, address: linear } = this.#place();
      return { kind: 'updateBegin', host: temp, old, linear, segment, bytes, signed, locked };
    }
    this.#need(' = ');
    if (this.take('call ')) return this.#call(temp);
    if (this.take('condition ')) return { kind: 'condition', temp, condition: this.#number() };
    if (this.take('nextRip')) return { kind: 'nextRip', temp };
    if (this.take('linear.')) {
      const bytes = this.#number();
      const access =
        (this.take(' write') ? SEGMENT_WRITE : 0) | (this.take(' aligned') ? SEGMENT_ALIGNED : 0);
      this.#need(' ');
      const { segment, address: offset } = this.#place();
      return { kind: 'linear', temp, segment, offset, bytes, access };
    }
    if (this.take('load.')) {
      const bytes = this.#number();
      this.#need(' ');
      const op = this.#operator();
      this.#need(' ');
      const { segment, address: linear } = this.#place();
      return { kind: 'load', temp, linear, segment, bytes, op };
    }
    const op = this.#match(/^\w+\.\w+(?= state\.)/);
    if (op !== undefined) {
      this.#need(' ');
      const offset = this.#state();
      if (!this.take('[')) return { kind: 'readState', temp, op, offset };
      const index = this.value();
      this.#need(']');
      return { kind: 'readState', temp, op, offset, index };
    }
    const read = this.#register();
    if (read) return { kind: 'readRegister', temp, ...read, signed: this.take(' signed') };
    return { kind: 'let', temp, value: this.value() };
  }

  #call(temp: Temp | undefined): Statement {
    const name = this.#match(/^\w+/) ?? this.#fail();
    return { kind: 'call', name, args: this.#args(), temp };
  }

  #flags(): Statement {
    const flagKind = this.value();
    const part = (name: string): Value | undefined => (this.take(` ${name}=`) ? this.value() : undefined);
    return { kind: 'flags', flagKind, result: part('result'), a: part('a'), b: part('b') };
  }

  value(): Value {
    if (/^-?\d/.test(this.#rest)) {
      const value = this.#bigint();
      return this.take('n')
        ? { kind: 'const', type: 'i64', value: BigInt.asUintN(64, value) }
        : { kind: 'const', type: 'i32', value: BigInt.asUintN(32, value) };
    }
    if (this.take('v128:')) {
      const hex = this.#match(/^[\da-f]{32}/) ?? this.#fail();
      const bytes = Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
      return { kind: 'vector', type: 'v128', bytes };
    }
    if (this.take('record.')) {
      const name = (this.#match(/^\w+/) ?? this.#fail()) as FieldName;
      this.#need(':');
      return { kind: 'field', type: this.#type() as 'i32' | 'i64', name };
    }
    if (/^t\d/.test(this.#rest)) return this.#temp();
    const op = this.#operator();
    const lanes = this.#match(/^<[\d,]+>/)
      ?.slice(1, -1)
      .split(',')
      .map(Number);
    const args = this.#args();
    const type = op === 'select' ? args[0]!.type : resultType(op);
    return { kind: 'op', type, op, args, ...(lanes && { lanes }) };
  }

  #args(): Value[] {
    this.#need('(');
    const args: Value[] = [];
    while (!this.take(')')) {
      if (args.length > 0) this.#need(', ');
      args.push(this.value());
    }
    return args;
  }

  #temp(): Temp {
    const id = Number((this.#match(/^t\d+/) ?? this.#fail()).slice(1));
    if (this.#match(/^:(?=\w)/)) this.#types.set(id, this.#type());
    const type = this.#types.get(id);
    if (type === undefined) throw new Error(`t${id} has no type: ${this.#line}`);
    return { kind: 'temp', type, id };
  }

  #type(): Type {
    return (this.#match(/^([if](32|64)|v128)/) ?? this.#fail()) as Type;
  }

  /** [segment: address] */
  #place(): { readonly segment: Value; readonly address: Value } {
    this.#need('[');
    const segment = this.value();
    this.#need(': ');
    const address = this.value();
    this.#need(']');
    return { segment, address };
  }

  #register(): { readonly register: RegisterRef; readonly bytes: number } | undefined {
    const field = /^(general|xmm|mmx)\[(reg|rm|vvvv)\]\.(\d+)/.exec(this.#rest);
    const known = /^(xmm|mmx|r)(\d+)(?:\+(\d+))?\.(\d+)/.exec(this.#rest);
    const named = /^(r[a-ds][a-z])(?:\+(\d+))?\.(\d+)/.exec(this.#rest);
    this.#rest = this.#rest.slice((field ?? known ?? named)?.[0].length ?? 0);
    if (field) {
      const file = field[1] as RegisterFile;
      return { register: { file, where: field[2] as 'reg' | 'rm' | 'vvvv' }, bytes: Number(field[3]) };
    }
    if (known) {
      const [, name, index, inside = '0', bytes] = known;
      const file = name === 'r' ? 'general' : (name as RegisterFile);
      const where = Number(index) * (name === 'r' ? 8 : 16) + Number(inside);
      return { register: { file, where }, bytes: Number(bytes) };
    }
    if (!named) return undefined;
    const where = GENERAL_NAMES.indexOf(named[1]!) * 8 + Number(named[2] ?? 0);
    return { register: { file: 'general', where }, bytes: Number(named[3]) };
  }

  #state(): number {
    this.#need('state.');
    const [, name, more = '0'] = /^(\w+)(?:\+(\d+))?/.exec(this.#match(/^\w+(\+\d+)?/) ?? '') ?? this.#fail();
    const start = (VCPU.at as Readonly<Record<string, number>>)[name!];
    return start === undefined ? this.#fail() : start + Number(more);
  }

  #operator(): string {
    return this.#match(/^(select|[a-z]\w+\.\w+)/) ?? this.#fail();
  }

  #bigint(): bigint {
    const sign = this.take('-') ? -1n : 1n;
    return sign * BigInt(this.#match(/^(0x[\da-f]+|\d+)/) ?? this.#fail());
  }

  #number(): number {
    return Number(this.#bigint());
  }

  #need(text: string): void {
    if (!this.take(text)) this.#fail();
  }

  #match(pattern: RegExp): string | undefined {
    const found = pattern.exec(this.#rest)?.[0];
    if (found !== undefined) this.#rest = this.#rest.slice(found.length);
    return found;
  }

  #fail(): never {
    throw new Error(`not understood: ${this.#rest} in ${this.#line}`);
  }
}
