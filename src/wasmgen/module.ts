import { ByteWriter } from './bytes.ts';
import type { Code } from './code.ts';
import type { ValueType } from './opcodes.ts';

const SECTION_CUSTOM = 0;
const SECTION_TYPE = 1;
const SECTION_IMPORT = 2;
const SECTION_FUNCTION = 3;
const SECTION_TABLE = 4;
const SECTION_EXPORT = 7;
const SECTION_ELEMENT = 9;
const SECTION_CODE = 10;
/** Of the custom section "name" (core specification, appendix 7.4). */
const SUBSECTION_FUNCTION_NAMES = 1;

const FUNCREF = 0x70;

export interface Signature {
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
}

/** Builds a binary module: imports first, then functions in the order of their declaration. */
export class ModuleBuilder {
  private readonly types: string[] = [];
  private readonly typeBytes = new ByteWriter();
  private readonly imports = new ByteWriter();
  private importCount = 0;
  private importedFunctions = 0;
  private readonly functionTypes: number[] = [];
  private readonly bodies: (Code | undefined)[] = [];
  private readonly exports = new ByteWriter();
  private readonly names = new ByteWriter();
  private nameCount = 0;
  private exportCount = 0;
  private importedTables = 0;
  private tableSize = 0;
  private readonly elements: [offset: number, func: number][] = [];

  type(signature: Signature): number {
    const key = `${signature.params.join()}>${signature.results.join()}`;
    const known = this.types.indexOf(key);
    if (known >= 0) return known;
    this.typeBytes.u8(0x60);
    for (const list of [signature.params, signature.results]) {
      this.typeBytes.u32(list.length);
      for (const type of list) this.typeBytes.u8(type);
    }
    return this.types.push(key) - 1;
  }

  importMemory(module: string, name: string, minPages: number, maxPages: number): void {
    this.importCount++;
    this.imports.name(module);
    this.imports.name(name);
    this.imports.u8(0x02);
    this.imports.u8(0x03); // shared, with a maximum
    this.imports.u32(minPages);
    this.imports.u32(maxPages);
  }

  /** Imported tables come before the module's own in the index space. */
  importTable(module: string, name: string, minSize: number): number {
    this.importCount++;
    this.imports.name(module);
    this.imports.name(name);
    this.imports.u8(0x01);
    this.imports.u8(FUNCREF);
    this.imports.u8(0x00);
    this.imports.u32(minSize);
    return this.importedTables++;
  }

  /** All imports come before the first declared function. */
  importFunction(module: string, name: string, signature: Signature): number {
    if (this.functionTypes.length > 0) throw new Error('imports come before functions');
    this.importCount++;
    this.imports.name(module);
    this.imports.name(name);
    this.imports.u8(0x00);
    this.imports.u32(this.type(signature));
    return this.importedFunctions++;
  }

  /** Declares a function, so that others can call it, and returns its index; `define` gives the body. */
  declare(signature: Signature): number {
    this.functionTypes.push(this.type(signature));
    this.bodies.push(undefined);
    return this.importedFunctions + this.functionTypes.length - 1;
  }

  define(func: number, code: Code): void {
    this.bodies[func - this.importedFunctions] = code;
  }

  exportFunction(name: string, func: number): void {
    this.exportCount++;
    this.exports.name(name);
    this.exports.u8(0x00);
    this.exports.u32(func);
  }

  /** What profilers and traps call a function; in the order of the functions. */
  nameFunction(func: number, name: string): void {
    this.nameCount++;
    this.names.u32(func);
    this.names.name(name);
  }

  /** A table of the module's own, filled by `element`. */
  table(size: number): number {
    this.tableSize = size;
    return this.importedTables;
  }

  element(offset: number, func: number): void {
    this.elements.push([offset, func]);
  }

  build(): Uint8Array<ArrayBuffer> {
    const out = new ByteWriter(65536);
    out.bytes(new Uint8Array([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]));
    const section = (id: number, content: ByteWriter): void => {
      out.u8(id);
      out.u32(content.length);
      out.bytes(content.finish());
    };
    const counted = (count: number, bytes: ByteWriter): ByteWriter => {
      const content = new ByteWriter(bytes.length + 5);
      content.u32(count);
      content.bytes(bytes.finish());
      return content;
    };

    section(SECTION_TYPE, counted(this.types.length, this.typeBytes));
    section(SECTION_IMPORT, counted(this.importCount, this.imports));
    const functions = new ByteWriter();
    for (const type of this.functionTypes) functions.u32(type);
    section(SECTION_FUNCTION, counted(this.functionTypes.length, functions));
    if (this.tableSize > 0) {
      const table = new ByteWriter();
      table.u8(FUNCREF);
      table.u8(0x00);
      table.u32(this.tableSize);
      section(SECTION_TABLE, counted(1, table));
    }
    section(SECTION_EXPORT, counted(this.exportCount, this.exports));
    if (this.elements.length > 0) {
      const elements = new ByteWriter();
      for (const [offset, func] of this.elements) {
        elements.u8(0x02); // active, with a table index
        elements.u32(this.importedTables);
        elements.u8(0x41);
        elements.s32(offset);
        elements.u8(0x0b);
        elements.u8(0x00); // function references
        elements.u32(1);
        elements.u32(func);
      }
      section(SECTION_ELEMENT, counted(this.elements.length, elements));
    }

    const bodies = this.bodies.map((code, i) => {
      if (!code) throw new Error(`function ${this.importedFunctions + i} has no body`);
      return code.finish();
    });
    // The hints must stand before the code section, or V8 compiles without them.
    const hints = new ByteWriter();
    let hinted = 0;
    bodies.forEach((body, i) => {
      if (body.hints.length === 0) return;
      hinted++;
      hints.u32(this.importedFunctions + i);
      hints.u32(body.hints.length);
      for (const { offset, likely } of body.hints) {
        hints.u32(offset);
        hints.u32(1);
        hints.u8(likely ? 1 : 0);
      }
    });
    if (hinted > 0) {
      const custom = new ByteWriter();
      custom.name('metadata.code.branch_hint');
      custom.u32(hinted);
      custom.bytes(hints.finish());
      section(SECTION_CUSTOM, custom);
    }
    const code = new ByteWriter(65536);
    for (const { body } of bodies) {
      code.u32(body.length);
      code.bytes(body);
    }
    section(SECTION_CODE, counted(bodies.length, code));
    if (this.nameCount > 0) {
      const functionNames = counted(this.nameCount, this.names);
      const custom = new ByteWriter();
      custom.name('name');
      custom.u8(SUBSECTION_FUNCTION_NAMES);
      custom.u32(functionNames.length);
      custom.bytes(functionNames.finish());
      section(SECTION_CUSTOM, custom);
    }
    return out.finish();
  }
}
