/** Reads as much of a wasm module as a build step has to check: WebAssembly core specification, 5.5. */

export interface WasmSignature {
  readonly params: readonly string[];
  readonly results: readonly string[];
}

export interface WasmSummary {
  readonly exports: ReadonlyMap<string, WasmSignature>;
  readonly functionImports: readonly (readonly [module: string, name: string])[];
  readonly sharedMemoryImported: boolean;
  readonly hasData: boolean;
  readonly hasStart: boolean;
}

const SECTION_TYPE = 1;
const SECTION_IMPORT = 2;
const SECTION_FUNCTION = 3;
const SECTION_EXPORT = 7;
const SECTION_START = 8;
const SECTION_DATA = 11;

const EXTERNAL_FUNCTION = 0;
const EXTERNAL_TABLE = 1;
const EXTERNAL_MEMORY = 2;
const EXTERNAL_GLOBAL = 3;

const VALUE_TYPES: Readonly<Record<number, string>> = {
  0x7f: 'i32',
  0x7e: 'i64',
  0x7d: 'f32',
  0x7c: 'f64',
  0x7b: 'v128',
};

class Reader {
  private readonly bytes: Uint8Array;
  position: number;

  constructor(bytes: Uint8Array, position: number) {
    this.bytes = bytes;
    this.position = position;
  }

  byte(): number {
    return this.bytes[this.position++]!;
  }

  /** LEB128, unsigned. */
  number(): number {
    let result = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.byte();
      result += (byte & 127) * factor;
      if (byte < 128) return result;
    }
  }

  name(): string {
    const length = this.number();
    this.position += length;
    return new TextDecoder().decode(this.bytes.subarray(this.position - length, this.position));
  }

  list<T>(item: () => T): T[] {
    return Array.from({ length: this.number() }, item);
  }

  valueType(): string {
    return VALUE_TYPES[this.byte()] ?? 'reference';
  }

  /** Returns the flags: bit 0 says that there is a maximum, bit 1 that the memory is shared. */
  limits(): number {
    const flags = this.byte();
    this.number();
    if (flags & 1) this.number();
    return flags;
  }
}

export function readWasm(bytes: Uint8Array): WasmSummary {
  let types: WasmSignature[] = [];
  const functions: WasmSignature[] = [];
  const functionImports: (readonly [string, string])[] = [];
  const exports = new Map<string, WasmSignature>();
  let sharedMemoryImported = false;
  let hasData = false;
  let hasStart = false;

  const reader = new Reader(bytes, 8);
  while (reader.position < bytes.length) {
    const section = reader.byte();
    const end = reader.number() + reader.position;
    switch (section) {
      case SECTION_TYPE:
        types = reader.list(() => {
          reader.byte();
          const params = reader.list(() => reader.valueType());
          return { params, results: reader.list(() => reader.valueType()) };
        });
        break;
      case SECTION_IMPORT:
        reader.list(() => {
          const module = reader.name();
          const name = reader.name();
          switch (reader.byte()) {
            case EXTERNAL_FUNCTION:
              functions.push(types[reader.number()]!);
              functionImports.push([module, name]);
              break;
            case EXTERNAL_TABLE:
              reader.byte();
              reader.limits();
              break;
            case EXTERNAL_MEMORY:
              if ((reader.limits() & 3) === 3 && module === 'env' && name === 'memory') {
                sharedMemoryImported = true;
              }
              break;
            case EXTERNAL_GLOBAL:
              reader.byte();
              reader.byte();
              break;
          }
        });
        break;
      case SECTION_FUNCTION:
        reader.list(() => functions.push(types[reader.number()]!));
        break;
      case SECTION_EXPORT:
        reader.list(() => {
          const name = reader.name();
          const kind = reader.byte();
          const index = reader.number();
          const signature = kind === EXTERNAL_FUNCTION ? functions[index] : undefined;
          exports.set(name, signature ?? { params: ['not a function'], results: [] });
        });
        break;
      case SECTION_START:
        hasStart = true;
        break;
      case SECTION_DATA:
        hasData = true;
        break;
    }
    reader.position = end;
  }
  return { exports, functionImports, sharedMemoryImported, hasData, hasStart };
}
