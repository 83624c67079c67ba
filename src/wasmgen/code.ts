import { ByteWriter } from './bytes.ts';
import { opcode, type ValueType } from './opcodes.ts';

const OP_BLOCK = 0x02;
const OP_LOOP = 0x03;
const OP_IF = 0x04;
const BLOCK_VOID = 0x40;

/** A branch target: the structured instruction opened at this nesting depth. */
export interface Label {
  readonly depth: number;
}

export interface BranchHint {
  /** Of the branch instruction, from the start of the function's body. */
  readonly offset: number;
  readonly likely: boolean;
}

/** The body of one function: locals, then instructions, with labels instead of relative depths. */
export class Code {
  readonly out = new ByteWriter(1024);
  readonly hints: BranchHint[] = [];
  private readonly locals: ValueType[] = [];
  private depth = 0;
  /** Instructions emitted so far: the cost figure that the suite watches. */
  operations = 0;

  readonly params: readonly ValueType[];

  constructor(params: readonly ValueType[]) {
    this.params = params;
  }

  local(type: ValueType): number {
    this.locals.push(type);
    return this.params.length + this.locals.length - 1;
  }

  /** Any operator without immediates. */
  op(name: string): this {
    return this.raw(opcode(name));
  }

  raw(code: number): this {
    this.operations++;
    if (code < 0x100) {
      this.out.u8(code);
    } else {
      this.out.u8(code >>> 16);
      this.out.u32(code & 0xffff);
    }
    return this;
  }

  /** A lane index behind a SIMD operator. */
  lane(name: string, index: number): this {
    this.op(name).out.u8(index);
    return this;
  }

  shuffle(lanes: readonly number[]): this {
    this.op('i8x16.shuffle');
    for (const lane of lanes) this.out.u8(lane);
    return this;
  }

  v128Const(bytes: Uint8Array): this {
    this.op('v128.const').out.bytes(bytes);
    return this;
  }

  /** Loads and stores; alignment is only a hint except for atomics, whose natural one is `align`. */
  memory(name: string, offset: number, align = 0): this {
    this.op(name).out.u32(align);
    this.out.u32(offset);
    return this;
  }

  i32Const(value: number): this {
    this.raw(0x41).out.s32(value);
    return this;
  }

  i64Const(value: bigint): this {
    this.raw(0x42).out.s64(value);
    return this;
  }

  f64Const(value: number): this {
    this.raw(0x44).out.bytes(new Uint8Array(new Float64Array([value]).buffer));
    return this;
  }

  get(local: number): this {
    this.raw(0x20).out.u32(local);
    return this;
  }

  set(local: number): this {
    this.raw(0x21).out.u32(local);
    return this;
  }

  tee(local: number): this {
    this.raw(0x22).out.u32(local);
    return this;
  }

  block(): Label {
    return this.open(OP_BLOCK, BLOCK_VOID);
  }

  loop(): Label {
    return this.open(OP_LOOP, BLOCK_VOID);
  }

  /** `likely` becomes a hint in the metadata.code.branch_hint section. */
  if(likely?: boolean, result?: ValueType): Label {
    this.hint(likely);
    return this.open(OP_IF, result ?? BLOCK_VOID);
  }

  private open(code: number, type: number): Label {
    this.raw(code).out.u8(type);
    this.depth++;
    return { depth: this.depth };
  }

  else(): this {
    return this.raw(0x05);
  }

  end(): this {
    this.depth--;
    return this.raw(0x0b);
  }

  br(label: Label): this {
    this.raw(0x0c).out.u32(this.depth - label.depth);
    return this;
  }

  brIf(label: Label, likely?: boolean): this {
    this.hint(likely);
    this.raw(0x0d).out.u32(this.depth - label.depth);
    return this;
  }

  brTable(labels: readonly Label[], fallback: Label): this {
    this.raw(0x0e).out.u32(labels.length);
    for (const label of labels) this.out.u32(this.depth - label.depth);
    this.out.u32(this.depth - fallback.depth);
    return this;
  }

  return(): this {
    return this.raw(0x0f);
  }

  call(func: number): this {
    this.raw(0x10).out.u32(func);
    return this;
  }

  callIndirect(type: number, table: number): this {
    this.raw(0x11).out.u32(type);
    this.out.u32(table);
    return this;
  }

  returnCallIndirect(type: number, table: number): this {
    this.raw(0x13).out.u32(type);
    this.out.u32(table);
    return this;
  }

  /** atomic.fence: sequentially consistent. */
  fence(): this {
    this.raw(0xfe0003).out.u8(0);
    return this;
  }

  drop(): this {
    return this.raw(0x1a);
  }

  select(): this {
    return this.raw(0x1b);
  }

  unreachable(): this {
    return this.raw(0x00);
  }

  private hint(likely: boolean | undefined): void {
    if (likely !== undefined) this.hints.push({ offset: this.out.length, likely });
  }

  /** The locals declaration and the instructions, `end` included; hint offsets become relative to it. */
  finish(): { body: Uint8Array; hints: BranchHint[] } {
    if (this.depth !== 0) throw new Error(`${this.depth} structured instructions are still open`);
    const body = new ByteWriter(this.out.length + 32);
    const runs: [count: number, type: ValueType][] = [];
    for (const type of this.locals) {
      const last = runs.at(-1);
      if (last && last[1] === type) last[0]++;
      else runs.push([1, type]);
    }
    body.u32(runs.length);
    for (const [count, type] of runs) {
      body.u32(count);
      body.u8(type);
    }
    const start = body.length;
    body.bytes(this.out.finish());
    body.u8(0x0b);
    return {
      body: body.finish(),
      hints: this.hints.map(({ offset, likely }) => ({ offset: offset + start, likely })),
    };
  }
}
