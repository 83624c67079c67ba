/**
 * Random 64-bit programs for comparing executors: functions on pages of their own with loops, calls, indirect jumps, operands that
 * cross pages, stores into code (also through a second mapping), page faults and division errors. Every program ends.
 *
 * Registers: RBX and RBP point to the data, R12 counts inner loops, R13 is where a fault goes on, R14 is a pointer
 * that may be bad, R15 counts the rounds; the others are free.
 */

export const ROUNDS = 500;
export const FUNCTIONS = 10;
/** Functions lie two pages apart, so that each may cross one boundary. */
export const CODE_BASE = 0x100000;
export const FUNCTION_STRIDE = 0x2000;
export const CODE_BYTES = (FUNCTIONS + 1) * FUNCTION_STRIDE;
/** The same pages again. */
export const CODE_ALIAS = CODE_BASE + 0x40000;
/** Pages: writable, writable, absent, read-only. */
export const DATA_BASE = 0x80000;
export const LOG = 0x68000;

const RAX = 0;
const RCX = 1;
const RDX = 2;
const RBX = 3;
const RBP = 5;
const RSI = 6;
const RDI = 7;
const R12 = 12;
const R14 = 14;
const FREE = [RAX, RCX, RDX, RSI, RDI, 8, 9, 10, 11];
/** AH, CH, DH: without a REX prefix. */
const HIGH_BYTES = [4, 5, 6];

type Size = 1 | 2 | 4 | 8;

/** `offset`: from the start of the code segment. */
export type ReferenceKind = 'relative' | 'relative16' | 'alias' | 'absolute64' | 'offset16' | 'offset32';

const REFERENCE_BYTES: Readonly<Record<ReferenceKind, number>> = {
  relative: 4,
  relative16: 2,
  alias: 4,
  absolute64: 8,
  offset16: 2,
  offset32: 4,
};

/** Part of a program. Its address is known only when all are laid out. */
export interface Item {
  readonly bytes: readonly number[];
  /** Appended: a distance or an address of a label. */
  readonly reference?: { readonly label: number; readonly kind: ReferenceKind; readonly bias?: number };
  /** Labels of the item's first byte, or of a byte in it. */
  readonly labels?: readonly { readonly label: number; readonly at: number }[];
  /** It may be left out, to find out what a failure needs. */
  readonly optional?: boolean;
}

export interface RandomProgram {
  /** Linear address of the start of the code segment; 0 if absent. */
  readonly codeSegment?: number;
  /** One list for each function, main first. */
  readonly functions: readonly { readonly start: number; readonly items: readonly Item[] }[];
}

/** x87 instructions with registers: one or more for each function of the core. */
const X87_REGISTER_FORMS: readonly (readonly [opcode: number, modrm: number])[] = [
  ...[0xc0, 0xc1, 0xc8, 0xc9, 0xd1, 0xd9, 0xe0, 0xe1, 0xe9, 0xf1, 0xf9].map((x) => [0xd8, x] as const),
  ...[0xc0, 0xc1, 0xc9, 0xe0, 0xe1, 0xe4, 0xe5, 0xe8, 0xeb, 0xee, 0xf7, 0xfa, 0xfc].map(
    (x) => [0xd9, x] as const,
  ),
  ...[0xc1, 0xc9, 0xe9].map((x) => [0xda, x] as const),
  ...[0xc1, 0xd9, 0xe9, 0xf0, 0xf1].map((x) => [0xdb, x] as const),
  ...[0xc1, 0xe1, 0xf9].map((x) => [0xdc, x] as const),
  ...[0xc1, 0xd1, 0xd9, 0xe1, 0xe9].map((x) => [0xdd, x] as const),
  ...[0xc1, 0xc9, 0xd9, 0xe1, 0xe9, 0xf9].map((x) => [0xde, x] as const),
  ...[0xe0, 0xe9, 0xf1].map((x) => [0xdf, x] as const),
];

/** The same with memory: opcode and ModRM.reg. */
const X87_MEMORY_FORMS: readonly (readonly [opcode: number, reg: number])[] = [
  ...[0, 1, 2, 4, 7].map((reg) => [0xd8, reg] as const),
  ...[0, 2, 3, 5, 7].map((reg) => [0xd9, reg] as const),
  ...[0, 1, 3].map((reg) => [0xda, reg] as const),
  ...[0, 1, 2, 3, 5, 7].map((reg) => [0xdb, reg] as const),
  ...[0, 1, 3, 5, 6].map((reg) => [0xdc, reg] as const),
  ...[0, 2, 3, 7].map((reg) => [0xdd, reg] as const),
  ...[0, 1, 6].map((reg) => [0xde, reg] as const),
  ...[0, 2, 3, 5, 7].map((reg) => [0xdf, reg] as const),
];

/** mulberry32, by Tommy Ettinger. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  u32(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  }

  below(limit: number): number {
    return Math.floor((this.u32() / 2 ** 32) * limit);
  }

  chance(probability: number): boolean {
    return this.u32() / 2 ** 32 < probability;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}

interface Memory {
  readonly base: number;
  readonly index?: number;
  readonly scale?: number;
  readonly disp: number;
}

type Operand = number | Memory;

export function le(value: number, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, i) => (value >> (8 * i)) & 0xff);
}

interface Encoding {
  readonly size: Size;
  /** For 16, 32 and 64 bits; that for 8 bits is one less where `byte` is not given. */
  readonly opcode: readonly number[];
  readonly byte?: readonly number[];
  readonly reg: number;
  readonly rm: Operand;
  readonly imm?: readonly number[];
  /** Mandatory (66, F2, F3) or LOCK or a segment. */
  readonly prefix?: readonly number[];
  /** Operands are not bytes of general registers whatever the size says. */
  readonly noBytes?: boolean;
  /** Registers 4 to 7 of byte size are AH to BH, not SPL to DIL. */
  readonly high?: boolean;
}

/** One instruction (manual, volume 2, 2.1 and 2.2.1). */
function encode({
  size,
  opcode,
  byte,
  reg,
  rm,
  imm = [],
  prefix = [],
  noBytes = false,
  high = false,
}: Encoding): number[] {
  const chosen =
    size === 1 && !noBytes ? (byte ?? [...opcode.slice(0, -1), opcode.at(-1)! - 1]) : [...opcode];
  const extend = (register: number | undefined, bit: number): number =>
    register !== undefined && register >= 8 ? bit : 0;
  let rex = size === 8 ? 8 : 0;
  const needsRex = (register: Operand): boolean =>
    typeof register === 'number' && register >= 4 && register < 8;
  const bytesRex = size === 1 && !noBytes && !high && (needsRex(reg) || needsRex(rm));
  rex |= extend(reg, 4);
  const tail: number[] = [];
  if (typeof rm === 'number') {
    rex |= extend(rm, 1);
    tail.push(0xc0 | ((reg & 7) << 3) | (rm & 7));
  } else {
    const { base, index, scale = 0, disp } = rm;
    rex |= extend(base, 1) | extend(index, 2);
    const isShort = disp >= -128 && disp < 128;
    const sib = index !== undefined || (base & 7) === 4;
    tail.push((isShort ? 0x40 : 0x80) | ((reg & 7) << 3) | (sib ? 4 : base & 7));
    if (sib) tail.push((scale << 6) | (((index ?? 4) & 7) << 3) | (base & 7));
    tail.push(...le(disp, isShort ? 1 : 4));
  }
  return [
    ...prefix,
    ...(size === 2 && !noBytes ? [0x66] : []),
    ...(rex === 0 && !bytesRex ? [] : [0x40 | rex]),
    ...chosen,
    ...tail,
    ...imm,
  ];
}

export class Generator {
  readonly #random: Random;
  #labels = 0;
  /** Labels of immediates that other code may overwrite. */
  #patchable: number[] = [];
  /** Pages whose code changes are left to the interpreter for a while: not in every program. */
  readonly #changesCode: boolean;

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#changesCode = this.#random.chance(0.4);
  }

  program(): RandomProgram {
    const entries = Array.from({ length: FUNCTIONS }, () => this.#label());
    const functions = entries.map((entry, i) => ({
      start: CODE_BASE + (i + 1) * FUNCTION_STRIDE + this.#random.below(0xfc0),
      items: this.#function(entry, entries.slice(i + 1)),
    }));
    return { functions: [{ start: CODE_BASE, items: this.#main(entries) }, ...functions] };
  }

  #label(): number {
    return this.#labels++;
  }

  #main(entries: readonly number[]): Item[] {
    const top = this.#label();
    return [
      { bytes: [0x41, 0xbf, ...le(ROUNDS, 4)] },
      { bytes: [], labels: [{ label: top, at: 0 }] },
      ...entries.map((label): Item => ({ bytes: [0xe8], reference: { label, kind: 'relative' } })),
      // dec r15d; jnz top
      { bytes: [0x41, 0xff, 0xcf] },
      { bytes: [0x0f, 0x85], reference: { label: top, kind: 'relative' } },
      // pushfq; pop [LOG + 40h]; fxsave [LOG + 100h]; out 80h, al
      { bytes: [0x9c, 0x8f, 0x04, 0x25, ...le(LOG + 0x40, 4)] },
      { bytes: [0x48, 0x0f, 0xae, 0x04, 0x25, ...le(LOG + 0x100, 4)] },
      { bytes: [0xe6, 0x80] },
    ];
  }

  #function(entry: number, callees: readonly number[]): Item[] {
    const random = this.#random;
    const count = 3 + random.below(6);
    const labels = Array.from({ length: count + 1 }, () => this.#label());
    const tables: Item[] = [];
    const loopFrom = random.below(count);
    const loopTo = loopFrom + random.below(count - loopFrom);
    this.#patchable = [];
    const items: Item[] = [{ bytes: [0x41, 0x54], labels: [{ label: entry, at: 0 }] }];
    for (let block = 0; block < count; block++) {
      if (block === loopFrom)
        items.push({ bytes: [0x41, 0xbc, ...le(1 + random.below(6), 4)], optional: true });
      items.push(this.#recover(labels[block + 1]!, labels[block]!));
      for (let i = 1 + random.below(8); i > 0; i--) items.push(...this.#instruction());
      if (block === loopTo) {
        // sub r12d, 1; jg
        items.push({ bytes: [0x41, 0x83, 0xec, 0x01], optional: true });
        items.push(this.#jump([0x0f, 0x8f], labels[loopFrom]!));
      } else items.push(...this.#transfer(labels.slice(block + 1), tables, callees));
    }
    // pop r12; ret; the tables of indirect jumps
    items.push({ bytes: [0x41, 0x5c, 0xc3], labels: [{ label: labels[count]!, at: 0 }] });
    return [...items, ...tables];
  }

  /** A fault in this block goes on at its end: lea r13, [rip + label]. */
  #recover(label: number, own: number): Item {
    return {
      bytes: [0x4c, 0x8d, 0x2d],
      reference: { label, kind: 'relative' },
      labels: [{ label: own, at: 0 }],
    };
  }

  #jump(opcode: readonly number[], label: number): Item {
    return { bytes: opcode, reference: { label, kind: 'relative' }, optional: true };
  }

  /** How a block ends; `later` are the labels of the blocks behind it: only the counted loops go back. */
  #transfer(later: readonly number[], tables: Item[], callees: readonly number[]): Item[] {
    const random = this.#random;
    const kind = random.below(10);
    if (kind < 5) return [this.#jump([0x0f, 0x80 | random.below(16)], random.pick(later))];
    if (kind === 5) return [this.#jump([0xe9], random.pick(later))];
    if (kind === 6 && callees.length > 0 && random.chance(0.5)) {
      const reference = { label: random.pick(callees), kind: 'relative' } as const;
      // call callee, or lea rax, [rip + callee]; call rax
      if (random.chance(0.5)) return [{ bytes: [0xe8], reference, optional: true }];
      return [{ bytes: [0x48, 0x8d, 0x05], reference }, { bytes: [0xff, 0xd0] }];
    }
    if (kind === 7) {
      const table = this.#label();
      tables.push({ bytes: [], labels: [{ label: table, at: 0 }] });
      for (let i = 0; i < 4; i++) {
        tables.push({ bytes: [], reference: { label: random.pick(later), kind: 'absolute64' } });
      }
      // mov eax, r; and eax, 3; lea rdx, [rip + table]; jmp [rdx + rax * 8]
      const index = encode({ size: 4, opcode: [0x8b], reg: RAX, rm: random.pick(FREE) });
      return [
        {
          bytes: [...index, 0x83, 0xe0, 0x03, 0x48, 0x8d, 0x15],
          reference: { label: table, kind: 'relative' },
        },
        { bytes: [0xff, 0x24, 0xc2] },
      ];
    }
    return [];
  }

  #memory(): Memory {
    const random = this.#random;
    const kind = random.below(12);
    if (kind < 5) return { base: RBX, disp: random.below(256) - 128 };
    // Around the boundary between the two writable pages.
    if (kind < 8) return { base: RBP, disp: random.below(32) - 16 };
    if (kind === 8) return { base: RBX, disp: random.below(0x1400) - 0x700 };
    if (kind === 9) return { base: R14, disp: random.below(64) - 32 };
    return { base: RBX, index: R12, scale: random.below(4), disp: random.below(64) };
  }

  #register(): number {
    return this.#random.pick(FREE);
  }

  #size(): Size {
    return this.#random.pick([1, 2, 4, 4, 4, 8, 8] as const);
  }

  #operand(): Operand {
    return this.#random.chance(0.5) ? this.#register() : this.#memory();
  }

  #immediate(size: Size): number[] {
    const random = this.#random;
    const value = random.pick([0, 1, -1, 0x7f, 0x80, 0x7fffffff, 0x80000000 | 0, random.u32() | 0]);
    return le(value, Math.min(size, 4));
  }

  #instruction(): Item[] {
    const random = this.#random;
    const kind = random.below(30);
    if (kind === 0) return this.#pointer();
    if (kind === 1 && this.#changesCode) return this.#patch();
    if (kind === 2) return [this.#string()];
    if (kind < 7) return [optional(this.#sse())];
    if (kind === 7) return [optional(this.#x87())];
    if (kind === 8) return [optional(this.#stack())];
    if (kind === 9) return [optional(random.chance(0.6) ? this.#state() : this.#mmx())];
    return [optional(this.#integer())];
  }

  /** A new value for R14: mostly good, sometimes at the edge of what is mapped, or not canonical. */
  #pointer(): Item[] {
    const random = this.#random;
    const good = encode({ size: 8, opcode: [0x8d], reg: R14, rm: { base: RBX, disp: random.below(0x1000) } });
    const edge = [0x49, 0xc7, 0xc6, ...le(DATA_BASE + 0x2000 - 32 + random.below(48), 4)];
    const readOnly = [0x49, 0xc7, 0xc6, ...le(DATA_BASE + 0x3000 + random.below(0xfc0), 4)];
    const wild = [0x49, 0xbe, ...le(random.u32() | 0, 4), ...le(random.pick([1, 0x7fff, 0x8000, -1]), 4)];
    return [optional(random.pick([good, good, good, edge, readOnly, wild]))];
  }

  /** add r, imm32 whose immediate another instruction overwrites, and now and then one that does. */
  #patch(): Item[] {
    const random = this.#random;
    const target =
      this.#patchable.length > 0 && random.chance(0.6) ? random.pick(this.#patchable) : undefined;
    if (target === undefined) {
      const label = this.#label();
      this.#patchable.push(label);
      const bytes = encode({
        size: 4,
        opcode: [0x81],
        reg: random.below(8),
        rm: random.pick([6, 7]),
        imm: [1, 2, 3, 4],
      });
      return [{ bytes, labels: [{ label, at: bytes.length - 4 }] }];
    }
    const over = this.#label();
    const skip: Item[] = random.chance(0.8)
      ? // test r15d, 0ffh; jnz over the store: code that changes all the time stays interpreted.
        [
          { bytes: [0x41, 0xf7, 0xc7, ...le(0xff, 4)] },
          { bytes: [0x0f, 0x85], reference: { label: over, kind: 'relative' } },
        ]
      : [];
    const isAlias = random.chance(0.4);
    const register = random.pick([RAX, RCX, RDX]);
    const store: Item = isAlias
      ? {
          bytes: [0x89, 0x04 | (register << 3), 0x25],
          reference: { label: target, kind: 'alias' },
          optional: true,
        }
      : {
          bytes: [0x89, 0x05 | (register << 3)],
          reference: { label: target, kind: 'relative' },
          optional: true,
        };
    return [...skip, store, { bytes: [], labels: [{ label: over, at: 0 }] }];
  }

  #string(): Item {
    const random = this.#random;
    const at = (register: number): number[] =>
      encode({
        size: 8,
        opcode: [0x8d],
        reg: register,
        rm: { base: RBX, disp: 0x780 + random.below(0x80) - 64 },
      });
    const count = [0xb9, ...le(random.below(random.chance(0.3) ? 100 : 20), 4)];
    const narrow = random.chance(0.15) ? [0x67] : [];
    const operation = random.pick([0xa4, 0xa5, 0xaa, 0xab, 0xac, 0xad, 0xa6, 0xa7, 0xae, 0xaf]);
    const compares = [0xa6, 0xa7, 0xae, 0xaf].includes(operation);
    const repeat = random.chance(0.7) ? [compares ? random.pick([0xf2, 0xf3]) : 0xf3] : [];
    const wide = random.pick([[], [], [0x48]]);
    const backward = random.chance(0.2);
    const bytes = [...at(RSI), ...at(RDI), ...count, ...(backward ? [0xfd] : [0xfc])];
    return optional([...bytes, ...narrow, ...repeat, ...wide, operation, 0xfc]);
  }

  #stack(): number[] {
    const random = this.#random;
    const push = (register: number): number[] => [...(register >= 8 ? [0x41] : []), 0x50 | (register & 7)];
    const pop = (register: number): number[] => [...(register >= 8 ? [0x41] : []), 0x58 | (register & 7)];
    const register = this.#register();
    const other = this.#register();
    switch (random.below(5)) {
      case 0:
        return [...push(register), ...pop(other)];
      case 1:
        return [...push(register), ...push(other), ...pop(register), ...pop(other)];
      case 2:
        // The flags as a value: whatever computed them is needed now.
        return [0x9c, ...pop(register)];
      case 3:
        // and r32, 8d5h: the arithmetic flags; push; popfq
        return [
          ...encode({ size: 4, opcode: [0x81], reg: 4, rm: register, imm: le(0x8d5, 4) }),
          ...push(register),
          0x9d,
        ];
      default:
        return [0x68, ...this.#immediate(4), ...pop(register)];
    }
  }

  #sse(): number[] {
    const random = this.#random;
    const xmm = random.below(16);
    const other: Operand = random.chance(0.5) ? random.below(16) : this.#memory();
    const one = (
      prefix: readonly number[],
      opcode: number,
      reg: number,
      rm: Operand,
      imm?: readonly number[],
    ) =>
      encode({
        size: 4,
        opcode: [0x0f, opcode],
        reg,
        rm,
        prefix,
        noBytes: true,
        ...(imm === undefined ? {} : { imm }),
      });
    switch (random.below(8)) {
      case 0: // movdqu
        return one([0xf3], random.pick([0x6f, 0x7f]), xmm, other);
      case 1: // between registers only: packed operands in memory must be aligned
        return one(
          [0x66],
          random.pick([0xfe, 0xef, 0xdb, 0xeb, 0xfa, 0xd4, 0x60, 0x6c, 0x74, 0xf4]),
          xmm,
          random.below(16),
        );
      case 2: // pshufd
        return one([0x66], 0x70, xmm, random.below(16), [random.below(256)]);
      case 3: // movd, movq
        return encodeXmm(
          random.pick([4, 8] as const),
          [0x66],
          random.pick([0x6e, 0x7e]),
          xmm,
          this.#register(),
        );
      case 4: // addsd, mulsd, subsd, divsd, minsd, maxsd, sqrtsd
        return one([0xf2], random.pick([0x58, 0x59, 0x5c, 0x5e, 0x5d, 0x5f, 0x51]), xmm, other);
      case 5: // cvtsi2sd
        return encodeXmm(random.pick([4, 8] as const), [0xf2], 0x2a, xmm, this.#register());
      case 6: // cvttsd2si
        return encodeXmm(random.pick([4, 8] as const), [0xf2], 0x2c, this.#register(), random.below(16));
      default: // ucomisd
        return one([0x66], 0x2e, xmm, other);
    }
  }

  #x87(): number[] {
    const random = this.#random;
    const memory = this.#memory();
    const load = (opcode: number, reg: number, from: Memory) =>
      encode({ size: 4, opcode: [opcode], reg, rm: from });
    // A load, some operations, fstp: what runs empty or full on the way is masked, unless FLDCW says otherwise.
    const operation = (): number[] =>
      random.chance(0.7)
        ? [...random.pick(X87_REGISTER_FORMS)]
        : load(...random.pick(X87_MEMORY_FORMS), random.chance(0.3) ? memory : this.#memory());
    const operations = Array.from({ length: 1 + random.below(4) }, operation);
    return [
      // fninit: a fault in a former one may have left something
      0xdb,
      0xe3,
      ...load(random.pick([0xdd, 0xd9, 0xdf]), 0, memory),
      ...operations.flat(),
      ...load(random.pick([0xdd, 0xd9]), 3, { base: RBX, disp: random.below(64) }),
    ];
  }

  /** FXSAVE, FXRSTOR, x87 environments and MXCSR: what was saved is mostly what is restored, but for a store or two between. */
  #state(): number[] {
    const random = this.#random;
    const fxsaveArea: Memory = random.pick([
      { base: RBX, disp: -0x600 },
      // Half of it in the next page.
      { base: RBP, disp: -0xf8 },
    ]);
    const x87Area: Memory = { base: RBX, disp: 0x200 + random.pick([0, 3]) };
    const fx = (reg: number): number[] =>
      encode({ size: random.pick([4, 8] as const), opcode: [0x0f, 0xae], reg, rm: fxsaveArea });
    const x87 = (opcode: number, reg: number): number[] =>
      encode({ size: 4, opcode: [opcode], reg, rm: x87Area });
    switch (random.below(8)) {
      case 0:
      case 1:
        return fx(0);
      case 2:
      case 3:
        return random.chance(0.7) ? [...fx(0), ...this.#sse(), ...fx(1)] : fx(1);
      case 4: // fnsave, frstor
        return random.chance(0.6) ? x87(0xdd, 6) : x87(0xdd, 4);
      case 5: // fnstenv, fldenv
        return random.chance(0.6) ? x87(0xd9, 6) : x87(0xd9, 4);
      case 6: // stmxcsr
        return encode({ size: 4, opcode: [0x0f, 0xae], reg: 3, rm: this.#memory() });
      default: {
        // mov dword [rbx + 1f0h], n; ldmxcsr [rbx + 1f0h]: rounding, FTZ, DAZ, or one exception less that is masked
        const mxcsr = random.pick([
          0x1f80,
          0x1f80,
          0x3f80,
          0x7fbf,
          0x9f80,
          0x1fc0,
          0x1f80 & ~(0x80 << random.below(6)),
        ]);
        const at: Memory = { base: RBX, disp: 0x1f0 };
        return [
          ...encode({ size: 4, opcode: [0xc7], reg: 0, rm: at, imm: le(mxcsr, 4) }),
          ...encode({ size: 4, opcode: [0x0f, 0xae], reg: 2, rm: at }),
        ];
      }
    }
  }

  /** MMX registers, which are those of the x87, and ways between them and XMM. */
  #mmx(): number[] {
    const random = this.#random;
    const mm = random.below(8);
    const rm: Operand = random.chance(0.5) ? random.below(8) : this.#memory();
    const one = (opcode: number, reg: number, other: Operand, prefix: readonly number[] = []): number[] =>
      encode({ size: 4, opcode: [0x0f, opcode], reg, rm: other, prefix, noBytes: true });
    switch (random.below(6)) {
      case 0: // movq
        return one(random.pick([0x6f, 0x7f]), mm, rm);
      case 1:
        return one(random.pick([0xfe, 0xef, 0xdb, 0xeb, 0xfa, 0xd4, 0x60, 0x74, 0xf4]), mm, rm);
      case 2: // movq2dq, movdq2q
        return random.chance(0.5)
          ? one(0xd6, random.below(16), mm, [0xf3])
          : one(0xd6, mm, random.below(16), [0xf2]);
      case 3: // cvtpi2pd, cvtpi2ps
        return one(0x2a, random.below(16), rm, random.chance(0.5) ? [0x66] : []);
      case 4: // cvttpd2pi
        return one(0x2c, mm, random.below(16), [0x66]);
      default: // emms
        return [0x0f, 0x77];
    }
  }

  #integer(): number[] {
    const random = this.#random;
    const size = this.#size();
    const reg = this.#register();
    const rm = this.#operand();
    const isMemory = typeof rm !== 'number';
    const wide: Size = size === 1 ? 4 : size;
    const lock = (may: boolean): number[] => (may && isMemory && random.chance(0.15) ? [0xf0] : []);
    switch (random.below(24)) {
      case 0:
      case 1: {
        const group = random.below(8);
        const opcode = [group * 8 + 1];
        const isPlain = isMemory ? rm.base < 8 && (rm.index ?? 0) < 8 : rm < 4;
        if (isPlain && random.chance(0.1)) {
          return encode({ size: 1, opcode, reg: random.pick(HIGH_BYTES), rm, high: true });
        }
        return encode({ size, opcode, reg, rm, prefix: lock(group !== 7) });
      }
      case 2:
      case 3:
        return encode({ size, opcode: [random.below(8) * 8 + 3], reg, rm });
      case 4:
        return encode({
          size,
          opcode: [0x81],
          byte: [0x80],
          reg: random.below(8),
          rm,
          imm: this.#immediate(size),
        });
      case 5:
        return encode({ size: wide, opcode: [0x83], reg: random.below(8), rm, imm: this.#immediate(1) });
      case 6:
        return encode({ size, opcode: [0x85], reg, rm });
      case 7:
        return encode({ size, opcode: [0xff], reg: random.below(2), rm, prefix: lock(true) });
      case 8:
        return encode({ size, opcode: [0xf7], reg: 2 + random.below(2), rm, prefix: lock(true) });
      case 9:
        // MUL, IMUL, and rarely DIV and IDIV, which raise #DE most of the time
        return encode({
          size,
          opcode: [0xf7],
          reg: random.chance(0.3) ? 6 + random.below(2) : 4 + random.below(2),
          rm,
        });
      case 10:
        return encode({ size: wide, opcode: [0x0f, 0xaf], reg, rm });
      case 11:
        return encode({ size: wide, opcode: [0x69], reg, rm, imm: this.#immediate(wide) });
      case 12:
        return encode({
          size,
          opcode: [0xc1],
          reg: random.below(8),
          rm,
          imm: [random.pick([0, 1, 5, 31, 32, 63, 64, 255])],
        });
      case 13:
        return encode({ size, opcode: [random.pick([0xd1, 0xd3])], reg: random.below(8), rm });
      case 14:
        return random.chance(0.5)
          ? encode({
              size: wide,
              opcode: [0x0f, random.pick([0xa4, 0xac])],
              reg,
              rm,
              imm: [random.below(64)],
            })
          : encode({ size: wide, opcode: [0x0f, random.pick([0xa5, 0xad])], reg, rm });
      case 15:
        return encode({ size, opcode: [random.pick([0x89, 0x8b])], reg, rm });
      case 16:
        return encode({ size: wide, opcode: [0x0f, random.pick([0xb6, 0xb7, 0xbe, 0xbf])], reg, rm });
      case 17:
        return encode({
          size: wide === 2 ? 4 : wide,
          opcode: [0x8d],
          reg,
          rm: { base: RBX, index: reg, scale: random.below(4), disp: random.below(100) },
        });
      case 18:
        return encode({ size, opcode: [random.pick([0x87, 0x87])], reg, rm });
      case 19:
        return encode({ size, opcode: [0x0f, random.pick([0xc1, 0xb1])], reg, rm, prefix: lock(true) });
      case 20:
        return encode({
          size: 4,
          opcode: [0x0f, 0x90 | random.below(16)],
          reg: 0,
          rm: isMemory ? rm : random.pick([0, 1, 2, 8, 9]),
        });
      case 21:
        return encode({ size: wide, opcode: [0x0f, 0x40 | random.below(16)], reg, rm });
      case 22:
        return random.chance(0.5)
          ? encode({
              size: wide,
              opcode: [0x0f, 0xba],
              reg: 4 + random.below(4),
              rm,
              imm: [random.below(256)],
            })
          : encode({
              size: wide,
              opcode: [0x0f, random.pick([0xa3, 0xab, 0xb3, 0xbb, 0xbc, 0xbd])],
              reg,
              rm: this.#register(),
            });
      default:
        return random.pick([
          [0x9f],
          [0x9e],
          [0xf5],
          [0xf8],
          [0xf9],
          [0x98],
          [0x48, 0x98],
          [0x99],
          [0x48, 0x99],
          [0x0f, 0xc8],
          [0x48, 0x0f, 0xca],
        ]);
    }
  }
}

function optional(bytes: readonly number[]): Item {
  return { bytes, optional: true };
}

/** As encode, with the mandatory prefix before REX. */
function encodeXmm(
  size: 4 | 8,
  prefix: readonly number[],
  opcode: number,
  reg: number,
  rm: number,
): number[] {
  return encode({ size, opcode: [0x0f, opcode], reg, rm, prefix, noBytes: true });
}

export interface Placed {
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** Lays the functions out and fills the references in. */
export function assemble({ functions, codeSegment = 0 }: RandomProgram): Placed[] {
  const addresses = new Map<number, number>();
  const sizeOf = (item: Item): number =>
    item.bytes.length + (item.reference === undefined ? 0 : REFERENCE_BYTES[item.reference.kind]);
  for (const { start, items } of functions) {
    let at = start;
    for (const item of items) {
      for (const { label, at: inside } of item.labels ?? []) addresses.set(label, at + inside);
      at += sizeOf(item);
    }
  }
  return functions.map(({ start, items }) => {
    const bytes: number[] = [];
    for (const item of items) {
      bytes.push(...item.bytes);
      if (item.reference === undefined) continue;
      const { label, kind, bias = 0 } = item.reference;
      const target = addresses.get(label)! + bias;
      const size = REFERENCE_BYTES[kind];
      if (kind.startsWith('relative')) bytes.push(...le(target - (start + bytes.length + size), size));
      else if (kind.startsWith('offset')) bytes.push(...le(target - codeSegment, size));
      else if (kind === 'alias') bytes.push(...le(target + CODE_ALIAS - CODE_BASE, 4));
      else bytes.push(...le(target, 4), 0, 0, 0, 0);
    }
    return { address: start, bytes: Uint8Array.from(bytes) };
  });
}
