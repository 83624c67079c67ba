import { COMPOSED_CONDITIONS, CONDITION_BITS, emitCondition, emitConditionBit } from '../emit/conditions.ts';
import { Lowering, type Access, type LocalPool, type StatementOf } from '../emit/lowering.ts';
import { emitReturnLink } from '../emit/tables.ts';
import { loadOperator, storeOperator } from '../ir/builder.ts';
import type { RegisterRef, Statement, Temp, Type, Value } from '../ir/ir.ts';
import { variablesOf } from '../ir/simplify.ts';
import { isLinkable } from '../isa/decoder.ts';
import { accessOf, accessSite } from '../layout/access.ts';
import type { CoreName } from '../layout/core-abi.ts';
import { EXCEPTION_GP } from '../layout/exceptions.ts';
import { PAGE_SIZE } from '../layout/map.ts';
import { STATUS_BRANCH, STATUS_FAULT_AT_RIP } from '../layout/exits.ts';
import {
  FLAGS_ADC,
  FLAGS_EXPLICIT,
  FLAGS_SBB,
  LINK,
  MODE_CODE64,
  MODE_CODE_MASK,
  RECORD_CHECKED,
  REG_PAGE_RIP,
  REG_RSP,
  SEG_CS,
  SEG_FS,
  SEG_SS,
  SEGMENT_WRITE,
  TLB_ENTRY,
  VCPU,
} from '../layout/vcpu.ts';
import type { Code, Label } from '../wasmgen/code.ts';
import { F32, F64, I32, I64, V128, type ValueType } from '../wasmgen/opcodes.ts';
import { effectsOf } from './effects.ts';
import {
  ends,
  faultFate,
  flagsFate,
  isTerminal,
  setsFlags,
  staysInPage,
  type Loop,
  type Plan,
  type PlannedBlock,
  type Trace,
} from './plan.ts';
import { generalKey, vectorKey } from './kept-registers.ts';
import { pageKeys, type PageKeys } from './pages.ts';
import type { Way } from './scopes.ts';
import type { Instruction } from './site.ts';

const FILES = { xmm: VCPU.at.xmm, mmx: VCPU.at.fpu };

/** Locals of a region's function that all of its traces share. */
export interface RegionFrame {
  readonly cpu: number;
  /** The region's slot << 8 | number of the entry. */
  readonly entry: number;
  readonly budget: number;
  /** STATUS_* to return; 0 stands for STATUS_FAULT_AT_RIP. */
  readonly status: number;
  /** Where `dispatch` and `follow` go. */
  readonly rip: number;
  /** The link that `follow` tries. */
  readonly link: number;
  /** `VCPU.links` when the region was entered: a device that it has asked since may have written over its code. */
  readonly links: number;
  /** Selects a trace at the start of the region or of a loop: see jit/scopes.ts. */
  readonly next: number;
  /** The core is told of every store (`-jit verify`). */
  readonly journaled: boolean;
  /** Of registers that a loop keeps, by their keys. */
  readonly homes: ReadonlyMap<string, number>;
}

export interface RegionLabels {
  /** rip and refund are in memory (layout/access.ts): return `status`. */
  readonly exit: Label;
  /** Go to the code at `rip`, in another region if it is translated. */
  readonly dispatch: Label;
  /** The same, with the address of the link that probably leads there in `link`. */
  readonly follow: Label;
  /** How a trace goes to another. */
  readonly way: (from: number, to: number) => Way;
}

/** The lazy flags. Values are of temporaries that nothing changes while the flags are current. */
interface Flags {
  /** FLAGS_*, if that is known here. */
  readonly kind: number | undefined;
  /** Of FLAGS_ADC and FLAGS_SBB: an i32; where it is 0 they are FLAGS_ADD and FLAGS_SUB. */
  readonly carryIn?: Value | undefined;
  readonly result?: Value | undefined;
  readonly a?: Value | undefined;
  readonly b?: Value | undefined;
  /** These flags are those of `bits`, the others those of `under`; `kind` is undefined then. */
  readonly over?: { readonly mask: bigint; readonly bits: Value; readonly under: Flags };
  /** They are not in memory yet. */
  readonly dirty: boolean;
  /** Stores them, then leaves by `exit`. */
  readonly pad?: Label;
}

/** The condition code of CF. */
const CARRY = 2;

const IN_MEMORY: Flags = { kind: undefined, dirty: false };

/** A register's contents in a local; all registers are in memory as well, always. */
interface Cached {
  readonly local: number;
  /** Bits 32-63 are zero. */
  readonly narrow: boolean;
}

/** No access is less than a page behind this. */
const NO_PAGE = 1n << 62n;

/** A page that an access went to. */
interface KnownPage {
  /** Locals with its linear address (NO_PAGE if it is not known after all) and the TLB entry's addend. */
  readonly tag: number;
  readonly addend: number;
  readonly writable: boolean;
}

/** What is known at a place in a trace. */
interface State {
  readonly registers: Map<string, Cached>;
  flags: Flags;
  /** Local with the host address of the current TLB. */
  tlb: number | undefined;
  /** Pages that were found in the TLB, by the key of the accesses that probably go there. */
  readonly pages: Map<string, KnownPage>;
  /** Locals with bases and sizes of segments, by their offset in the vCPU block. */
  readonly segments: Map<number, number>;
  /** FPU_BLOCKED_* bits that were found clear. */
  open: number;
}

const freshState = (): State => ({
  registers: new Map(),
  flags: IN_MEMORY,
  tlb: undefined,
  pages: new Map(),
  segments: new Map(),
  open: 0,
});
const copyState = (state: State): State => ({
  ...state,
  registers: new Map(state.registers),
  pages: new Map(state.pages),
  segments: new Map(state.segments),
});

/**
 * Emits the traces of a region. The truth about registers is in memory, which every write reaches at once; locals
 * hold copies for the rest of the trace, so that leaving a region, a fault and a call cost nothing. Flags are stored
 * only where somebody might see them.
 */
export class RegionLowering extends Lowering {
  readonly #frame: RegionFrame;
  readonly #labels: RegionLabels;
  readonly #plan: Plan;
  readonly #mode: number;
  readonly #is64: boolean;
  readonly #conditionFunction: (even: number) => number;
  #state = freshState();
  #traceIndex = 0;
  #trace!: Trace;
  /** The loop that is the trace itself. */
  #block!: PlannedBlock;
  #instruction!: Instruction;
  #index = 0;
  /** The target of the instruction's direct branch was compared with the limit of CS. */
  #targetChecked = false;
  /** The block that follows in the same trace. */
  #following: PlannedBlock | undefined;
  /** Inside an arm of an `if`: what is set there must be in memory behind it. */
  #conditionally = false;
  /** Code changed below: complete the instruction and leave the region. */
  #leaving = false;
  /** Statements behind the `if`s whose arm is being emitted. */
  #outerRest: readonly Statement[] = [];
  /** What the pads of the trace store, from the outermost to the innermost. */
  #pads: Flags[] = [];
  /** By block of the trace and instruction. */
  #pageKeys: PageKeys[][] = [];
  #keys: PageKeys | undefined;
  /** `countInvalidations` before the call that is being emitted. */
  #invalidations: number | undefined;
  /** Temporaries of the current instruction that are assigned more than once. */
  #variables: ReadonlySet<number> = new Set();

  constructor(
    code: Code,
    pool: LocalPool,
    core: (name: CoreName) => number,
    conditionFunction: (even: number) => number,
    frame: RegionFrame,
    labels: RegionLabels,
    plan: Plan,
    mode: number,
  ) {
    super(code, frame.cpu, pool, core);
    this.#conditionFunction = conditionFunction;
    this.#frame = frame;
    this.#labels = labels;
    this.#plan = plan;
    this.#mode = mode;
    this.#is64 = (mode & MODE_CODE_MASK) === MODE_CODE64;
  }

  /** Emits trace `index`; control never reaches what is emitted behind it. */
  emitTrace(index: number, trace: Trace): void {
    const { blocks } = trace;
    this.#traceIndex = index;
    this.#trace = trace;
    this.#state = freshState();
    this.#pads = [];
    this.#pageKeys = pageKeys(blocks);
    blocks.forEach((block, i) => {
      this.#following = blocks[i + 1];
      this.#emitBlock(block, i, blocks);
    });
    for (const flags of this.#pads.toReversed()) {
      this.code.end();
      this.#storeFlags(flags);
      this.code.br(this.#labels.exit);
    }
    this.pool.reset();
  }

  /** Fills the locals of the registers that a loop keeps, on the way into it. */
  enterLoop(loop: Loop | undefined, from: State = freshState()): void {
    const { code } = this;
    for (const { key, offset, type } of loop?.kept.values() ?? []) {
      const cached = from.registers.get(key);
      if (cached) code.get(cached.local);
      else code.get(this.cpu).memory(LOADS[VALUE_TYPES[type]]!, offset);
      code.set(this.#frame.homes.get(key)!);
    }
  }

  /** The outermost loop around the trace that is being emitted. */
  get #loop(): Loop | undefined {
    return this.#trace.loops[0];
  }

  /** The local that holds a register all around that loop. */
  #home(key: string): number | undefined {
    return this.#loop?.kept.has(key) ? this.#frame.homes.get(key) : undefined;
  }

  #emitBlock(block: PlannedBlock, position: number, trace: readonly PlannedBlock[]): void {
    const { code } = this;
    const { budget } = this.#frame;
    this.#block = block;
    code.get(budget).i32Const(block.instructions.length).op('i32.sub').set(budget);
    block.instructions.forEach((instruction, i) => {
      this.#instruction = instruction;
      this.#index = i;
      this.#keys = this.#pageKeys[position]?.[i];
      const body = block.bodies[i] ?? [];
      this.#targetChecked = false;
      this.#variables = new Set(variablesOf(body));
      this.statements(body);
      this.#openPad(trace, position, i);
      this.pool.reset(this.#kept());
    });
    if (!ends(block.bodies.at(-1) ?? [])) this.#goto(block.end);
  }

  /** Locals that outlive the instruction. */
  #kept(): Set<number> {
    const { registers, flags, tlb, pages, segments } = this.#state;
    const kept = new Set(segments.values());
    for (const { tag, addend } of pages.values()) kept.add(tag).add(addend);
    for (const { local } of registers.values()) kept.add(local);
    for (let at: Flags | undefined = flags; at; at = at.over?.under) {
      for (const value of [at.result, at.a, at.b, at.carryIn, at.over?.bits]) {
        for (const id of tempsOf(value)) kept.add(this.temps.get(id)!);
      }
    }
    if (tlb !== undefined) kept.add(tlb);
    return kept;
  }

  // --- leaving

  /** Goes to the (E/R)IP on the stack. */
  #dispatch(): void {
    this.code.set(this.#frame.rip);
    this.#flush();
    this.code.br(this.#labels.dispatch);
  }

  /** Returns to the (E/R)IP on the stack, through the link that the call has made. */
  #return(): void {
    const { code } = this;
    code.set(this.#frame.rip);
    const { form, imm } = this.#instruction;
    const popped = form.operandBits / 8 + (form.row.operands.length > 0 ? imm : 0);
    this.#stackPointer();
    code.i64Const(BigInt(popped)).op('i64.sub');
    emitReturnLink(code, this.cpu);
    code.set(this.#frame.link);
    this.#flush();
    code.br(this.#labels.follow);
  }

  /** A call pushed its return address: makes the link through which the return goes on here. */
  #linkReturn(): void {
    const { code, cpu } = this;
    const { offset, length } = this.#instruction;
    const trace = this.#plan.heads.get(offset + length);
    const landing = trace === undefined ? -1 : this.#plan.traces[trace]!.entry;
    if (landing < 0 || this.#leaving || !isLinkable(this.#mode)) return;
    const link = this.pool.take(I32);
    this.#stackPointer();
    emitReturnLink(code, cpu);
    code.tee(link);
    this.nextRip();
    code.memory('i64.store', LINK.at.rip);
    code.get(link).get(this.#frame.links).memory('i32.store', LINK.at.links);
    code.get(link).get(this.#frame.entry).i32Const(-256).op('i32.and').i32Const(landing).op('i32.or');
    code.memory('i32.store', LINK.at.region);
  }

  #stackPointer(): void {
    this.code.get(this.#register(generalKey(REG_RSP), VCPU.at.regs + REG_RSP * 8).local);
  }

  /** Leaves the (E/R)IP of an offset in the page. */
  #rip(offset: number): void {
    const { code } = this;
    code.get(this.#register(generalKey(REG_PAGE_RIP), VCPU.at.regs + REG_PAGE_RIP * 8).local);
    if (offset !== 0) code.i64Const(BigInt(offset)).op('i64.add');
    if (!this.#is64) code.i64Const(0xffffffffn).op('i64.and');
  }

  /** Goes to the code at a page offset: inside the region by a branch, else by leaving it. */
  #goto(offset: number): void {
    const { code } = this;
    const { budget, next } = this.#frame;
    if (!this.#leaving && this.#following?.offset === offset && !this.#conditionally) return;
    const target = this.#plan.heads.get(offset);
    if (target === undefined || this.#leaving) {
      this.#rip(offset);
      this.#dispatch();
      return;
    }
    const { blocks, loops } = this.#plan.traces[target]!;
    if (!blocksReplaceFlags(blocks)) this.#flush();
    const way = this.#labels.way(this.#traceIndex, target);
    if (loops[0] !== this.#loop && !way.isBack) this.enterLoop(loops[0], this.#state);
    if (way.isBack) {
      code.get(budget).i32Const(0).op('i32.le_s').if(false);
      this.#aside(() => {
        this.#rip(offset);
        this.#dispatch();
      });
      code.end();
    }
    if (way.next !== undefined) code.i32Const(way.next).set(next);
    code.br(way.label);
  }

  /** Where faults go. */
  get #failure(): Label {
    const { flags } = this.#state;
    if (!flags.dirty) return this.#labels.exit;
    if (!flags.pad) throw new Error('flags that a fault shows have no pad');
    return flags.pad;
  }

  /** The charged instructions from this one on are given back. */
  protected override accessSite(): number {
    const { offset, length } = this.#instruction;
    return accessSite(offset, length, this.#block.instructions.length - this.#index);
  }

  protected override fail(): void {
    const { code } = this;
    code.get(this.cpu).i32Const(this.accessSite());
    this.callCore('faultAt');
    code.i32Const(STATUS_FAULT_AT_RIP).set(this.#frame.status).br(this.#failure);
  }

  protected override failed(): void {
    const { code } = this;
    if (!this.#leaving) {
      code.brIf(this.#failure, false);
      return;
    }
    // The write before it has left its own status.
    code.if(false);
    code.i32Const(STATUS_FAULT_AT_RIP).set(this.#frame.status).br(this.#failure).end();
  }

  protected override afterWrite(mayFault: boolean, inner: readonly Statement[]): void {
    const { code } = this;
    const rest = [...inner, ...this.#outerRest];
    const { status } = this.#frame;
    if (this.#leaving) {
      // The region is left anyway, as an earlier write of the instruction wants it.
      code.i32Const(STATUS_FAULT_AT_RIP).op('i32.eq');
      this.failed();
      return;
    }
    code.tee(status);
    if (rest.length === 0) {
      code.brIf(this.#failure, false);
      return;
    }
    code.if(false);
    if (mayFault) code.get(status).i32Const(STATUS_FAULT_AT_RIP).op('i32.eq').brIf(this.#failure, false);
    this.#aside(() => {
      this.#leaving = true;
      this.statements(rest);
      if (!ends(rest)) {
        this.#flush();
        code.br(this.#labels.exit);
      }
      this.#leaving = false;
    });
    code.end();
  }

  /** Emits what is not on the way to the code behind it. */
  #aside(emit: () => void): void {
    const state = this.#state;
    this.#state = copyState(state);
    emit();
    this.#state = state;
  }

  protected override leaveWith(status: number): void {
    const { code } = this;
    code.get(this.cpu).i32Const(this.accessSite()).get(status);
    this.callCore('leaveAt').set(this.#frame.status);
    code.br(this.#failure);
  }

  protected override finish(status: number): void {
    this.leaveWith(status);
  }

  protected override checkBranch(): void {
    if (this.checked && !this.#staysInside) this.#checkTarget();
    this.#targetChecked = true;
  }

  /** Whether the direct branch of the instruction leads into the region: its entry has checked that (compile.ts). */
  get #staysInside(): boolean {
    const { form, disp } = this.#instruction;
    if (!staysInPage(form, this.#mode)) return false;
    return this.#plan.heads.has(disp) || this.#following?.offset === disp;
  }

  /** Whether its direct branch probably leads where it says, if one of its two ways leaves the region: that code was never hot. */
  get #likely(): boolean | undefined {
    const goesOn = this.#plan.heads.has(this.#block.end) || this.#following?.offset === this.#block.end;
    return this.#staysInside === goesOn ? undefined : this.#staysInside;
  }

  /** Leaves the (E/R)IP that the direct branch of the instruction leads to. */
  #target(): void {
    const { form, disp } = this.#instruction;
    this.#rip(disp);
    // A 16-bit operand clears the upper part.
    if (form.operandBits === 16) this.code.i64Const(0xffffn).op('i64.and');
  }

  /** #GP(0) if that is beyond the limit of CS. */
  #checkTarget(): void {
    const { code } = this;
    this.#target();
    code.get(this.cpu).memory('i64.load32_u', VCPU.at.segLimit + SEG_CS * 4);
    code.op('i64.gt_u').if(false);
    this.#aside(() => {
      this.#flush();
      this.raise(EXCEPTION_GP, undefined);
    });
    code.end();
  }

  protected override branch({ condition }: StatementOf<'branch'>): void {
    const { code } = this;
    const { disp } = this.#instruction;
    const go = (): void => {
      if (this.#staysInside) {
        this.#goto(disp);
        return;
      }
      if (this.checked && !this.#targetChecked) this.#checkTarget();
      this.#target();
      this.#dispatch();
    };
    if (condition === undefined) {
      if (this.#instruction.form.row.semantics === 'call') this.#linkReturn();
      go();
      return;
    }
    this.value(condition);
    code.if(this.#likely);
    this.#aside(() => {
      const before = this.#conditionally;
      this.#conditionally = true;
      go();
      this.#conditionally = before;
    });
    code.end();
  }

  protected override branchTo(target: Value): void {
    const { semantics } = this.#instruction.form.row;
    if (semantics === 'callTo') this.#linkReturn();
    this.value(target);
    if (!this.#is64) this.code.i64Const(0xffffffffn).op('i64.and');
    if (semantics === 'ret' && isLinkable(this.#mode)) this.#return();
    else this.#dispatch();
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

  /** The register's copy in a local, loaded if there is none yet. */
  #register(key: string, offset: number, type: ValueType = I64): Cached {
    const { registers } = this.#state;
    let cached = registers.get(key);
    if (!cached) {
      const local = this.pool.take(type);
      const home = this.#home(key);
      // A copy, as what is read here must outlive the next write.
      if (home === undefined) this.code.get(this.cpu).memory(LOADS[type]!, offset).set(local);
      else this.code.get(home).set(local);
      registers.set(key, (cached = { local, narrow: !this.#is64 && key.startsWith('general') }));
    }
    return cached;
  }

  protected override readRegister(statement: StatementOf<'readRegister'>): void {
    const { register, temp, bytes, signed } = statement;
    const { code } = this;
    const where = place(register);
    if (register.file !== 'general') {
      this.#readVector(statement, where);
      return;
    }
    const { local, narrow } = this.#register(generalKey(where >> 3), VCPU.at.regs + (where & ~7));
    if (bytes === 8 || (bytes === 4 && !signed && narrow)) {
      this.temps.set(temp.id, local);
      return;
    }
    code.get(local);
    if (where & 7) code.i64Const(8n).op('i64.shr_u');
    if (signed) code.op(`i64.extend${bytes * 8}_s`);
    else code.i64Const((1n << BigInt(bytes * 8)) - 1n).op('i64.and');
    code.set(this.local(temp));
  }

  #readVector({ register, temp, bytes, signed }: StatementOf<'readRegister'>, where: number): void {
    const { code } = this;
    const { type } = temp;
    const float = type === 'f32' || type === 'f64';
    const op = float ? `${type}.load` : loadOperator(bytes, signed);
    const offset = FILES[register.file as 'xmm' | 'mmx'] + where;
    if (register.file === 'mmx' || where % 16 !== 0 || (!float && bytes !== 16)) {
      code.get(this.cpu).memory(op, offset).set(this.local(temp));
      return;
    }
    const { registers } = this.#state;
    const key = vectorKey(where, type);
    if (float && !registers.has(key)) {
      const wholeKey = vectorKey(where, 'v128');
      const isKept = this.#home(wholeKey) !== undefined;
      const whole = isKept ? this.#register(wholeKey, offset, V128) : registers.get(wholeKey);
      if (whole) {
        code.get(whole.local).lane(`${LANES[type]}.extract_lane`, 0).set(this.local(temp));
        return;
      }
    }
    this.temps.set(temp.id, this.#register(key, offset, VALUE_TYPES[type]).local);
  }

  protected override writeRegister(statement: StatementOf<'writeRegister'>): void {
    const { register, bytes, value } = statement;
    const { code } = this;
    const where = place(register);
    if (register.file !== 'general') {
      this.#writeVector(statement, where);
      return;
    }
    const key = generalKey(where >> 3);
    this.#writeGeneral(key, where, bytes, value);
    const home = this.#home(key);
    if (home !== undefined) code.get(this.#state.registers.get(key)!.local).set(home);
  }

  #writeGeneral(key: string, where: number, bytes: number, value: Value): void {
    const { code } = this;
    const offset = VCPU.at.regs + (where & ~7);
    const { registers } = this.#state;
    if (bytes === 8) {
      this.#keepWritten(key, offset, value, 'i64.store', false);
      return;
    }
    if (bytes === 4) {
      const local = this.pool.take(I64);
      code.get(this.cpu);
      this.value(value);
      code.i64Const(0xffffffffn).op('i64.and').tee(local).memory('i64.store', offset);
      registers.set(key, { local, narrow: true });
      return;
    }
    const mask = (1n << BigInt(bytes * 8)) - 1n;
    const shift = where & 7 ? 8n : 0n;
    const { local: old, narrow } = this.#register(key, offset);
    const local = this.pool.take(I64);
    code.get(this.cpu);
    code
      .get(old)
      .i64Const(~(mask << shift))
      .op('i64.and');
    this.value(value);
    code.i64Const(mask).op('i64.and');
    if (shift) code.i64Const(shift).op('i64.shl');
    code.op('i64.or').tee(local).memory('i64.store', offset);
    registers.set(key, { local, narrow });
  }

  /** Stores a register's new contents and remembers them. */
  #keepWritten(key: string, offset: number, value: Value, op: string, narrow: boolean): void {
    const { code } = this;
    const { registers } = this.#state;
    code.get(this.cpu);
    if (value.kind === 'temp' && !this.#variables.has(value.id)) {
      const local = this.local(value);
      code.get(local);
      registers.set(key, { local, narrow });
    } else {
      const local = this.pool.take(VALUE_TYPES[value.type]);
      this.value(value);
      code.tee(local);
      registers.set(key, { local, narrow });
    }
    code.memory(op, offset);
  }

  #writeVector({ register, bytes, value }: StatementOf<'writeRegister'>, where: number): void {
    const { code } = this;
    const { registers } = this.#state;
    const offset = FILES[register.file as 'xmm' | 'mmx'] + where;
    const op = storeOperator(bytes, value.type);
    const base = where & ~15;
    if (register.file === 'mmx') {
      code.get(this.cpu);
      this.value(value);
      code.memory(op, offset);
      // Sign and exponent of an MMX register read as all ones.
      code
        .get(this.cpu)
        .i32Const(0xffff)
        .memory('i32.store16', offset + 8);
      return;
    }
    const wholeKey = vectorKey(base, 'v128');
    const whole = registers.get(wholeKey)?.local ?? this.#home(wholeKey);
    for (const view of VECTOR_VIEWS) registers.delete(vectorKey(base, view));
    const isFloat = value.type === 'f64' || value.type === 'f32';
    if (where !== base || (bytes !== 16 && !isFloat)) {
      code.get(this.cpu);
      this.value(value);
      code.memory(op, offset);
      return;
    }
    const key = vectorKey(base, value.type);
    this.#keepWritten(key, offset, value, op, false);
    const written = registers.get(key)!.local;
    if (isFloat && whole !== undefined) {
      const local = this.pool.take(V128);
      code.get(whole).get(written).lane(`${LANES[value.type]}.replace_lane`, 0).set(local);
      registers.set(wholeKey, { local, narrow: false });
    }
    for (const view of VECTOR_VIEWS) {
      const home = this.#home(vectorKey(base, view));
      if (home === undefined) continue;
      const cached = registers.get(vectorKey(base, view));
      code.get(cached?.local ?? written);
      if (!cached) code.lane(`${LANES[view]}.extract_lane`, 0);
      code.set(home);
    }
  }

  // --- flags

  protected override flags(statement: StatementOf<'flags'>, rest: readonly Statement[]): void {
    const { flagKind, result, a, b } = statement;
    const flags = { result: this.#hold(result), a: this.#hold(a), b: this.#hold(b) };
    if (flagKind.kind === 'const') {
      this.#state.flags = { ...flags, kind: Number(flagKind.value), dirty: true };
      if (this.#conditionally || this.#leaving || faultFate(rest) === 'fault') this.#flush();
      return;
    }
    const carried = carriedKind(flagKind);
    if (carried !== undefined) {
      const carryIn = this.#hold(carried.carryIn);
      this.#state.flags = { ...flags, kind: carried.kind, carryIn, dirty: true };
      if (this.#conditionally || this.#leaving || faultFate(rest) === 'fault') this.#flush();
      return;
    }
    const { code, cpu } = this;
    code.get(cpu);
    this.value(flagKind);
    code.memory('i32.store', VCPU.at.flagKind);
    this.#storeValues(flags);
    this.#state.flags = IN_MEMORY;
  }

  /** A value that stays what it is. */
  #hold<T extends Value | undefined>(value: T): T | Temp {
    if (value === undefined || !tempsOf(value).some((id) => this.#variables.has(id))) return value;
    return this.letLocal(value);
  }

  protected override flagBits(statement: StatementOf<'flagBits'>, rest: readonly Statement[]): void {
    const { mask } = statement;
    const bits = this.#hold(statement.bits);
    let under = this.#state.flags;
    while (under.over && (under.over.mask & ~mask) === 0n) under = under.over.under;
    this.#state.flags = { kind: undefined, over: { mask, bits, under }, dirty: true };
    if (this.#conditionally || this.#leaving || faultFate(rest) === 'fault') this.#flush();
  }

  /** Flags that a fault before their replacement would show get a place that stores them. */
  #openPad(trace: readonly PlannedBlock[], position: number, index: number): void {
    const { flags } = this.#state;
    if (!flags.dirty || flags.pad) return;
    for (let i = position, from = index + 1; i < trace.length; i++, from = 0) {
      for (const body of trace[i]!.bodies.slice(from)) {
        const fate = faultFate(body);
        if (fate === 'settled') return;
        if (fate === 'kept') continue;
        const pad = this.code.block();
        this.#state.flags = { ...flags, pad };
        this.#pads.push(flags);
        return;
      }
    }
  }

  /** Puts the flags into memory, if they are not there. */
  #flush(): void {
    const { flags } = this.#state;
    if (!flags.dirty) return;
    this.#storeFlags(flags);
    this.#state.flags = { ...flags, dirty: false };
  }

  #storeFlags(flags: Flags): void {
    const { code, cpu } = this;
    if (flags.over) {
      const { mask, bits, under } = flags.over;
      if (under.dirty) this.#storeFlags(under);
      code.get(cpu).get(cpu);
      this.callCore('materializeFlags').i64Const(~mask).op('i64.and');
      this.value(bits);
      code.op('i64.or').memory('i64.store', VCPU.at.flagA);
      code.get(cpu).i32Const(FLAGS_EXPLICIT).memory('i32.store', VCPU.at.flagKind);
      return;
    }
    code.get(cpu);
    if (flags.carryIn) {
      this.value(flags.carryIn);
      code.i32Const(flags.kind! - 1).op('i32.add');
    } else code.i32Const(flags.kind!);
    code.memory('i32.store', VCPU.at.flagKind);
    this.#storeValues(flags);
  }

  #storeValues({ result, a, b }: Pick<Flags, 'result' | 'a' | 'b'>): void {
    const { code, cpu } = this;
    const store = (value: Value | undefined, offset: number): void => {
      if (value === undefined) return;
      code.get(cpu);
      this.value(value);
      code.memory('i64.store', offset);
    };
    store(result, VCPU.at.flagResult);
    store(a, VCPU.at.flagA);
    store(b, VCPU.at.flagB);
  }

  protected override condition(condition: number): void {
    this.#condition(condition & 14, this.#state.flags);
    if (condition & 1) this.code.op('i32.eqz');
  }

  #condition(even: number, flags: Flags): void {
    const { code } = this;
    const { kind, carryIn, result, a, b, over } = flags;
    if (over) {
      this.#conditionOver(even, over);
      return;
    }
    if (kind === undefined) {
      code.get(this.cpu).call(this.#conditionFunction(even));
      return;
    }
    const values = {
      result: () => this.value(result!),
      a: () => this.value(a!),
      b: () => this.value(b!),
    };
    // Of the conditions only "carry" and "carry or zero" depend on the carry that came in.
    const composed = COMPOSED_CONDITIONS[even];
    if (carryIn && composed?.includes(CARRY)) {
      const [first, second, operator] = composed;
      this.#condition(first, flags);
      this.#condition(second, flags);
      code.op(operator);
      return;
    }
    emitCondition(code, even, kind, values);
    if (!carryIn || even !== CARRY) return;
    emitCondition(code, even, kind - 1, values);
    this.value(carryIn);
    code.select();
  }

  #conditionOver(even: number, over: NonNullable<Flags['over']>): void {
    const { code } = this;
    const { mask, bits, under } = over;
    const composed = COMPOSED_CONDITIONS[even];
    if (composed !== undefined) {
      const [first, second, operator] = composed;
      this.#conditionOver(first, over);
      this.#conditionOver(second, over);
      code.op(operator);
    } else if ((mask >> BigInt(CONDITION_BITS[even]!)) & 1n) {
      this.value(bits);
      emitConditionBit(code, even);
    } else {
      this.#condition(even, under);
    }
  }

  protected override conditional(statement: StatementOf<'if'>, rest: readonly Statement[]): void {
    const { yes, no } = statement;
    if (setsFlags(yes) || setsFlags(no)) this.#flush();
    const before = this.#state;
    const outer = this.#conditionally;
    const outerRest = this.#outerRest;
    this.#outerRest = [...rest, ...outerRest];
    const arm = (list: readonly Statement[]): State => {
      this.#state = copyState(before);
      this.#conditionally = true;
      this.statements(list);
      this.#conditionally = outer;
      // What follows such an arm never comes from it.
      return ends(list) ? before : this.#state;
    };
    const states: State[] = [];
    this.choose(
      statement,
      () => states.push(arm(yes)),
      no.length > 0 ? () => states.push(arm(no)) : undefined,
    );
    this.#outerRest = outerRest;
    this.#state = states.reduce(meet, copyState(before));
  }

  // --- memory and calls

  protected override readonly recordChecked = (): void => {
    throw new Error('translated code knows what to check');
  };

  protected override get checked(): boolean {
    return (this.#instruction.flags & RECORD_CHECKED) !== 0;
  }

  protected override tlb(): void {
    const { code } = this;
    if (this.#state.tlb === undefined) {
      const local = this.pool.take(I32);
      code.get(this.cpu).memory('i32.load', VCPU.at.tlb).set(local);
      this.#state.tlb = local;
    }
    code.get(this.#state.tlb);
  }

  protected override lookUp(access: Access, hit: (host: () => void) => void, miss: () => void): void {
    const { segment, write, linear, result } = access;
    const onStack = segment.kind === 'const' && Number(segment.value) === SEG_SS;
    const key = (onStack ? this.#keys?.stack : undefined) ?? this.#keys?.operand;
    if (key === undefined) {
      super.lookUp(access, hit, miss);
      return;
    }
    const { code, pool } = this;
    const known = this.#state.pages.get(key);
    const page: KnownPage =
      known && (known.writable || !write)
        ? known
        : { tag: pool.take(I64), addend: pool.take(I32), writable: write };
    if (page !== known) {
      const entry = pool.take(I32);
      this.tlbEntry(linear);
      code.tee(entry).memory('i64.load', write ? TLB_ENTRY.at.writeTag : TLB_ENTRY.at.readTag);
      code.tee(page.tag);
      code.get(entry).memory('i32.load', TLB_ENTRY.at.addend).set(page.addend);
      this.lastPage(access);
      code.op('i64.eq').if(true, result);
    } else {
      code.get(linear).get(page.tag).op('i64.sub');
      code
        .i64Const(BigInt(PAGE_SIZE - access.bytes))
        .op('i64.le_u')
        .if(true, result);
    }
    hit(() => void code.get(linear).op('i32.wrap_i64').get(page.addend).op('i32.add'));
    code.else();
    if (page !== known) code.i64Const(NO_PAGE).set(page.tag);
    miss();
    code.end();
    this.#state.pages.set(key, page);
  }

  protected override beforeStore(host: () => void, bytes: number): void {
    if (!this.#frame.journaled) return;
    this.code.get(this.cpu);
    host();
    this.code.i32Const(bytes);
    this.callCore('journal');
  }

  /**
   * Inline where the access lies below the limit of an ordinary segment. All others are the core's business: those that
   * fault, and expand-down segments.
   */
  protected override checkedLinear(
    { segment, bytes, access }: StatementOf<'linear'>,
    offset: number,
    result: number,
  ): void {
    const { code } = this;
    const number = segment.kind === 'const' ? Number(segment.value) : 0;
    const allowed = access & SEGMENT_WRITE ? VCPU.at.segWritable : VCPU.at.segReadable;
    const window = this.#segmentState(allowed + number * 8);
    const base = this.#segmentState(VCPU.at.segEffective + number * 8);
    code.get(offset).i64Const(BigInt(bytes)).op('i64.add').get(window).op('i64.le_u').if(true, I64);
    code.get(offset).get(base).op('i64.add').i64Const(0xffffffffn).op('i64.and');
    code.else();
    code.get(this.cpu).get(offset);
    code.i32Const(accessOf(bytes, number) | this.accessSite()).i32Const(access);
    this.callCore('segmentSlow').tee(result).i64Const(-1n).op('i64.eq');
    this.failed();
    code.get(result).end().set(result);
  }

  /** The local that holds an i64 of the vCPU block that only loads of segments change. */
  #segmentState(offset: number): number {
    const { segments } = this.#state;
    let local = segments.get(offset);
    if (local === undefined) {
      local = this.pool.take(I64);
      this.code.get(this.cpu).memory('i64.load', offset).set(local);
      segments.set(offset, local);
    }
    return local;
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

  protected override fpuGate(statement: StatementOf<'fpuGate'>): void {
    if ((this.#state.open & statement.blocked) === statement.blocked) return;
    const before = copyState(this.#state);
    super.fpuGate(statement);
    this.#state = { ...before, open: before.open | statement.blocked };
  }

  protected override beforeCall(name: CoreName): void {
    const { code, cpu } = this;
    const effects = effectsOf(name);
    if (effects.readsFlags || effects.writesFlags) this.#flush();
    if (effects.budget) code.get(cpu).get(this.#frame.budget).memory('i32.store', VCPU.at.budget);
    if (!effects.writesMemory) return;
    this.#invalidations = this.pool.take(I32);
    code.get(cpu).memory('i32.load', VCPU.at.countInvalidations).set(this.#invalidations);
  }

  /** What the call took out of the budget is gone on every way on, also out of the instruction. */
  protected override callWith(name: CoreName, values: readonly Value[]): void {
    super.callWith(name, values);
    if (!effectsOf(name).budget) return;
    this.code.get(this.cpu).memory('i32.load', VCPU.at.budget).set(this.#frame.budget);
  }

  protected override afterCall(name: CoreName): void {
    const { code, cpu } = this;
    const effects = effectsOf(name);
    if (effects.terminal) return;
    const { status } = this.#frame;
    for (const register of effects.registers) {
      this.#forgetRegister(generalKey(register));
    }
    if (effects.vectors) {
      const known = new Set([...this.#state.registers.keys(), ...(this.#loop?.kept.keys() ?? [])]);
      for (const key of known) if (!key.startsWith('general')) this.#forgetRegister(key);
    }
    if (effects.writesFlags) this.#state.flags = IN_MEMORY;
    if (effects.context) {
      this.#state.tlb = undefined;
      this.#state.pages.clear();
      this.#state.segments.clear();
      this.#state.open = 0;
    }
    if (!effects.writesMemory) return;
    code.get(cpu).memory('i32.load', VCPU.at.countInvalidations).get(this.#invalidations!).op('i32.ne');
    code.if(false);
    // rip already is that of the next instruction.
    code.get(cpu).i32Const(this.accessSite()).i32Const(STATUS_BRANCH);
    this.callCore('leaveAt').set(status);
    code.br(this.#failure);
    code.end();
  }

  /** Only memory has what is in a register now. */
  #forgetRegister(key: string): void {
    this.#state.registers.delete(key);
    const kept = this.#loop?.kept.get(key);
    if (!kept) return;
    this.code
      .get(this.cpu)
      .memory(LOADS[VALUE_TYPES[kept.type]]!, kept.offset)
      .set(this.#frame.homes.get(key)!);
  }

  protected override call(statement: StatementOf<'call'>): void {
    const name = statement.name as CoreName;
    if (!isTerminal(name)) {
      super.call(statement);
      return;
    }
    const { code } = this;
    this.callWith(name, statement.args);
    const status = this.pool.take(I32);
    code.set(status);
    this.leaveWith(status);
  }
}

export const VALUE_TYPES: Readonly<Record<Type, ValueType>> = {
  i32: I32,
  i64: I64,
  f32: F32,
  f64: F64,
  v128: V128,
};
/** Views of an XMM register: as a whole, its low number. */
const VECTOR_VIEWS = ['v128', 'f64', 'f32'] as const;
const LANES: Readonly<Record<string, string>> = { f64: 'f64x2', f32: 'f32x4' };
const LOADS: Readonly<Record<number, string>> = {
  [I32]: 'i32.load',
  [I64]: 'i64.load',
  [F32]: 'f32.load',
  [F64]: 'f64.load',
  [V128]: 'v128.load',
};

function place({ where }: RegisterRef): number {
  if (typeof where !== 'number') throw new Error('translated code knows its registers');
  return where;
}

/** Temporaries in a value, by id. */
function tempsOf(value: Value | undefined): number[] {
  if (value?.kind === 'temp') return [value.id];
  return value?.kind === 'op' ? value.args.flatMap(tempsOf) : [];
}

/** Whether nobody can see the flags with which these blocks are entered. */
function blocksReplaceFlags(blocks: readonly PlannedBlock[]): boolean {
  for (const { bodies } of blocks) {
    for (const body of bodies) {
      const fate = flagsFate(body);
      if (fate !== 'kept') return fate === 'replaced';
    }
  }
  return false;
}

/** The flags of ADC and SBB: their kind depends on the carry that came in. */
function carriedKind(flagKind: Value): { readonly kind: number; readonly carryIn: Value } | undefined {
  if (flagKind.kind !== 'op' || flagKind.op !== 'select') return undefined;
  const [carried, plain, carryIn] = flagKind.args;
  if (carried?.kind !== 'const' || plain?.kind !== 'const' || carryIn === undefined) return undefined;
  const kind = Number(carried.value);
  const isCarried = kind === FLAGS_ADC || kind === FLAGS_SBB;
  return isCarried && Number(plain.value) === kind - 1 ? { kind, carryIn } : undefined;
}

/** What is known where two paths meet. */
function meet(a: State, b: State): State {
  const registers = new Map<string, Cached>();
  for (const [key, cached] of a.registers) {
    if (b.registers.get(key)?.local === cached.local) registers.set(key, cached);
  }
  const same =
    a.flags.kind === b.flags.kind &&
    a.flags.result === b.flags.result &&
    a.flags.a === b.flags.a &&
    a.flags.carryIn === b.flags.carryIn &&
    a.flags.over === b.flags.over;
  const pages = new Map<string, KnownPage>();
  for (const [key, page] of a.pages) if (b.pages.get(key) === page) pages.set(key, page);
  const segments = new Map<number, number>();
  for (const [offset, local] of a.segments) if (b.segments.get(offset) === local) segments.set(offset, local);
  return {
    registers,
    pages,
    segments,
    flags: same ? (a.flags.dirty ? a.flags : b.flags) : IN_MEMORY,
    tlb: a.tlb === b.tlb ? a.tlb : undefined,
    open: a.open & b.open,
  };
}
