/** A module of the translator as text, one instruction per line: enough of the binary format (core specification, chapter 5) for that. */
import { OPCODES } from './opcodes.ts';

const NAMES: ReadonlyMap<number, string> = new Map([
  ...[...OPCODES].map(([name, code]): [number, string] => [code, name]),
  [0x00, 'unreachable'],
  [0x02, 'block'],
  [0x03, 'loop'],
  [0x04, 'if'],
  [0x05, 'else'],
  [0x0b, 'end'],
  [0x0c, 'br'],
  [0x0d, 'br_if'],
  [0x0e, 'br_table'],
  [0x0f, 'return'],
  [0x10, 'call'],
  [0x11, 'call_indirect'],
  [0x13, 'return_call_indirect'],
  [0x1a, 'drop'],
  [0x1b, 'select'],
  [0x20, 'local.get'],
  [0x21, 'local.set'],
  [0x22, 'local.tee'],
  [0x41, 'i32.const'],
  [0x42, 'i64.const'],
  [0x44, 'f64.const'],
  [0xfe0003, 'atomic.fence'],
]);
const TYPES: Readonly<Record<number, string>> = {
  0x7f: 'i32',
  0x7e: 'i64',
  0x7d: 'f32',
  0x7c: 'f64',
  0x7b: 'v128',
};

const SECTION_IMPORT = 2;
const SECTION_CODE = 10;

class Reader {
  readonly #bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.at = at;
  }

  get isAtEnd(): boolean {
    return this.at >= this.#bytes.length;
  }

  u8(): number {
    return this.#bytes[this.at++]!;
  }

  u32(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.u8();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }

  signed(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.u8();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(Number(shift) + 7, value);
    }
  }

  bytes(length: number): Uint8Array {
    this.at += length;
    return this.#bytes.subarray(this.at - length, this.at);
  }

  text(): string {
    return String.fromCharCode(...this.bytes(this.u32()));
  }
}

export interface WasmFunction {
  /** Types of its locals, without the parameters. */
  readonly locals: readonly string[];
  readonly lines: readonly string[];
  /** Instructions, `end` included. */
  readonly operations: number;
  readonly bytes: number;
}

export function functionsOf(module: Uint8Array): WasmFunction[] {
  const reader = new Reader(module, 8);
  const imported: string[] = [];
  const functions: WasmFunction[] = [];
  while (!reader.isAtEnd) {
    const id = reader.u8();
    const length = reader.u32();
    const end = reader.at + length;
    if (id === SECTION_IMPORT) readImports(reader, imported);
    if (id === SECTION_CODE) {
      for (let count = reader.u32(); count > 0; count--) functions.push(readFunction(reader, imported));
    }
    reader.at = end;
  }
  return functions;
}

function readImports(reader: Reader, functions: string[]): void {
  for (let count = reader.u32(); count > 0; count--) {
    const module = reader.text();
    const name = reader.text();
    const kind = reader.u8();
    if (kind === 0) {
      reader.u32();
      functions.push(`${module}.${name}`);
      continue;
    }
    // A table's element type, then its limits, as a memory's.
    if (kind === 1) reader.u8();
    const hasMaximum = (reader.u8() & 1) !== 0;
    reader.u32();
    if (hasMaximum) reader.u32();
  }
}

function readFunction(reader: Reader, imported: readonly string[]): WasmFunction {
  const length = reader.u32();
  const end = reader.at + length;
  const locals: string[] = [];
  for (let groups = reader.u32(); groups > 0; groups--) {
    const count = reader.u32();
    const type = TYPES[reader.u8()] ?? '?';
    for (let i = 0; i < count; i++) locals.push(type);
  }
  const lines: string[] = [];
  let depth = 0;
  while (reader.at < end) {
    const name = readName(reader);
    if (name === 'end' || name === 'else') depth--;
    lines.push(`${'  '.repeat(Math.max(0, depth))}${name}${readImmediates(reader, name, imported)}`);
    if (['block', 'loop', 'if', 'else'].includes(name)) depth++;
  }
  return { locals, lines, operations: lines.length, bytes: length };
}

function readName(reader: Reader): string {
  const first = reader.u8();
  const code = first >= 0xfc && first <= 0xfe ? first * 0x10000 + reader.u32() : first;
  const name = NAMES.get(code);
  if (name === undefined) throw new Error(`opcode ${code.toString(16)} at ${reader.at} is not in the table`);
  return name;
}

function readImmediates(reader: Reader, name: string, imported: readonly string[]): string {
  switch (name) {
    case 'block':
    case 'loop':
    case 'if': {
      const type = TYPES[reader.u8()];
      return type === undefined ? '' : ` (result ${type})`;
    }
    case 'br':
    case 'br_if':
    case 'local.get':
    case 'local.set':
    case 'local.tee':
      return ` ${reader.u32()}`;
    case 'call': {
      const index = reader.u32();
      return ` ${imported[index] ?? index}`;
    }
    case 'call_indirect':
    case 'return_call_indirect':
      return ` type ${reader.u32()} table ${reader.u32()}`;
    case 'br_table': {
      const count = reader.u32();
      return ` ${Array.from({ length: count + 1 }, () => reader.u32()).join(' ')}`;
    }
    case 'i32.const':
    case 'i64.const':
      return ` ${reader.signed()}`;
    case 'f64.const': {
      const bytes = reader.bytes(8);
      return ` ${new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0, true)}`;
    }
    case 'v128.const':
    case 'i8x16.shuffle':
      return ` ${[...reader.bytes(16)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')}`;
    case 'atomic.fence':
      reader.u8();
      return '';
    default:
      break;
  }
  let text = '';
  if (/\.(load|store)|\.atomic\./.test(name)) {
    reader.u32();
    text = ` offset=${reader.u32()}`;
  }
  return /_lane/.test(name) ? `${text} lane ${reader.u8()}` : text;
}
