/**
 * Random 16- and 32-bit programs for a legacy guest (legacy-guest.ts): near and far calls, loops, jump tables, segment loads and
 * overrides, operands of the other operand and address size, branches beyond the limit of the code segment, stores into code.
 *
 * Registers: (E)BX and (E)BP point into the data and the stack, FS:CONTROL holds counters, the others are free.
 */
import {
  codeStart,
  CONTROL_FUNCTIONS,
  CONTROL_RECOVER,
  CONTROL_RESULT,
  CONTROL_ROUND,
  dataOffset,
  stackOffset,
  type LegacyShape,
} from './legacy-guest.ts';
import { le, Random, type Item, type RandomProgram } from './random-program.ts';

const ROUNDS = 300;
const FUNCTIONS = 9;
/** Each function may cross a page boundary. */
const STRIDE = 0x1480;
/** Behind all functions: beyond some limits. */
const OUTSIDE = 0xfff0;

const AX = 0;
const CX = 1;
const DX = 2;
const BX = 3;
const SP = 4;
const BP = 5;
const SI = 6;
const DI = 7;
const FREE = [AX, CX, DX, SI, DI];
const OVERRIDE = { es: 0x26, cs: 0x2e, ss: 0x36, ds: 0x3e, fs: 0x64, gs: 0x65 };

type Size = 1 | 2 | 4;

/** A memory operand as its bytes: mod and rm, and what follows ModRM. */
interface Memory {
  readonly address: 16 | 32;
  readonly prefix: readonly number[];
  readonly modrm: number;
  readonly tail: readonly number[];
}

type Operand = number | Memory;

interface Encoding {
  readonly size: Size;
  /** For 16 and 32 bits; that for 8 bits is one less. */
  readonly opcode: readonly number[];
  readonly reg: number;
  readonly rm: Operand;
  readonly imm?: readonly number[];
  readonly prefix?: readonly number[];
  /** The size chooses no opcode and no prefix. */
  readonly sizeless?: boolean;
}

export class LegacyGenerator {
  readonly #shape: LegacyShape;
  readonly #random: Random;
  readonly #bits: 16 | 32;
  readonly #outside: number;
  readonly #changesCode: boolean;
  #labels = 0;
  #patchable: number[] = [];

  constructor(shape: LegacyShape, seed: number) {
    this.#shape = shape;
    this.#random = new Random(seed ^ 0x5a5a);
    this.#bits = shape.bits;
    this.#outside = this.#label();
    this.#changesCode = this.#random.chance(0.3);
  }

  program(): RandomProgram {
    const random = this.#random;
    const start = codeStart(this.#shape);
    const entries = Array.from({ length: FUNCTIONS }, () => this.#label());
    // The last ones are far: the alias of the code segment begins behind the others.
    const far = entries.map((_, i) => i >= FUNCTIONS - 3);
    const functions = entries.map((entry, i) => ({
      start: start + (i + 1) * STRIDE + random.below(0xfc0),
      items: this.#function(i, entry, far, far[i] ? [] : entries.slice(i + 1)),
    }));
    const outside: Item = { bytes: [], labels: [{ label: this.#outside, at: 0 }] };
    return {
      codeSegment: this.#shape.cs.base,
      functions: [
        { start, items: this.#main(entries, far) },
        ...functions,
        { start: start + OUTSIDE, items: [outside] },
      ],
    };
  }

  #label(): number {
    return this.#labels++;
  }

  // --- structure

  #main(entries: readonly number[], far: readonly boolean[]): Item[] {
    const top = this.#label();
    const round = this.#control(CONTROL_ROUND);
    return [
      { bytes: this.#encode({ size: 2, opcode: [0xc7], reg: 0, rm: round, imm: le(ROUNDS, 2) }) },
      { bytes: [], labels: [{ label: top, at: 0 }] },
      ...entries.flatMap((label, i) => this.#call(label, far[i]!)),
      { bytes: this.#encode({ size: 2, opcode: [0xff], reg: 1, rm: round }) },
      this.#jump([0x0f, 0x85], top),
      // pushf; pop; fxsave; out 80h, al
      {
        bytes: [0x9c, ...this.#encode({ size: this.#word, opcode: [0x8f], reg: 0, rm: this.#control(0x40) })],
      },
      {
        bytes: this.#encode({
          size: 4,
          opcode: [0x0f, 0xae],
          reg: 0,
          rm: this.#control(CONTROL_RESULT),
          sizeless: true,
        }),
      },
      { bytes: [0xe6, 0x80] },
    ];
  }

  #function(index: number, entry: number, far: readonly boolean[], callees: readonly number[]): Item[] {
    const random = this.#random;
    const isFar = far[index]!;
    const count = 3 + random.below(5);
    const labels = Array.from({ length: count + 1 }, () => this.#label());
    const tables: Item[] = [];
    const loopFrom = random.below(count);
    const loopTo = loopFrom + random.below(count - loopFrom);
    this.#patchable = [];
    const saved = this.#control(CONTROL_FUNCTIONS + index * 8);
    const counter = this.#control(CONTROL_FUNCTIONS + index * 8 + 4);
    const size = this.#word;
    const items: Item[] = [
      { bytes: [], labels: [{ label: entry, at: 0 }] },
      { bytes: this.#encode({ size, opcode: [0x89], reg: SP, rm: saved }) },
      ...this.#pointers(),
    ];
    for (let block = 0; block < count; block++) {
      if (block === loopFrom) {
        const rounds = le(1 + random.below(6), 2);
        items.push({ bytes: this.#encode({ size: 2, opcode: [0xc7], reg: 0, rm: counter, imm: rounds }) });
      }
      // A fault goes on at the next block, with the stack pointer of the function's start.
      items.push({ bytes: [], labels: [{ label: labels[block]!, at: 0 }] });
      items.push({ bytes: this.#encode({ size, opcode: [0x8b], reg: SP, rm: saved }) });
      items.push({
        bytes: this.#encode({ size, opcode: [0xc7], reg: 0, rm: this.#control(CONTROL_RECOVER) }),
        reference: { label: labels[block + 1]!, kind: this.#bits === 16 ? 'offset16' : 'offset32' },
      });
      for (let i = 1 + random.below(8); i > 0; i--) items.push(...this.#instruction());
      if (block === loopTo) {
        items.push({ bytes: this.#encode({ size: 2, opcode: [0xff], reg: 1, rm: counter }) });
        items.push(this.#jump([0x0f, 0x8f], labels[loopFrom]!));
      } else items.push(...this.#transfer(labels.slice(block + 1), tables, callees, far, isFar));
    }
    items.push({ bytes: [], labels: [{ label: labels[count]!, at: 0 }] });
    items.push({ bytes: this.#encode({ size, opcode: [0x8b], reg: SP, rm: saved }) });
    items.push({ bytes: [isFar ? 0xcb : 0xc3] });
    return [...items, ...tables];
  }

  /** Gives BX, BP, DS and ES good values again. */
  #pointers(): Item[] {
    const { ds, es } = this.#shape;
    const data = dataOffset(this.#shape, 0x800);
    const stack = stackOffset(this.#shape, 0x3000);
    const word = (register: number, value: number): number[] => [0xb8 | register, ...le(value, this.#word)];
    return [
      { bytes: [...word(BX, data), ...word(BP, stack)] },
      // mov ax, DS; mov ds, ax; the same with ES
      { bytes: [...word(AX, ds.selector), 0x8e, 0xd8, ...word(AX, es.selector), 0x8e, 0xc0] },
    ];
  }

  #transfer(
    later: readonly number[],
    tables: Item[],
    callees: readonly number[],
    far: readonly boolean[],
    isFar: boolean,
  ): Item[] {
    const random = this.#random;
    const kind = random.below(12);
    const conditional = [0x0f, 0x80 | random.below(16)];
    if (kind < 5) return [this.#jump(conditional, random.pick(later))];
    if (kind === 5) return [this.#jump([0xe9], random.pick(later))];
    if (kind === 6 && callees.length > 0 && random.chance(0.5)) {
      const number = random.below(callees.length);
      return this.#call(callees[number]!, far[FUNCTIONS - callees.length + number]!);
    }
    if (kind === 7 && !isFar) return this.#table(later, tables);
    // A jump or a call to where the code segment may have ended: if it has not, there is memory full of zeros.
    if (kind === 8 && this.#shape.cs.limit < OUTSIDE) {
      return [this.#jump(random.pick([conditional, [0xe9], [0xe8]]), this.#outside)];
    }
    // JCXZ, LOOP, LOOPE, LOOPNE over the next instruction.
    if (kind === 9) {
      const skipped = this.#integer();
      return [{ bytes: [0xe0 | random.below(4), skipped.length, ...skipped], optional: true }];
    }
    return [];
  }

  #jump(opcode: readonly number[], label: number): Item {
    // With an operand of 32 bits also in 16-bit code.
    const wide = this.#bits === 32 || this.#random.chance(0.2);
    const prefix = wide && this.#bits === 16 ? [0x66] : [];
    return {
      bytes: [...prefix, ...opcode],
      reference: { label, kind: wide ? 'relative' : 'relative16' },
      optional: true,
    };
  }

  #call(label: number, isFar: boolean): Item[] {
    const { cs } = this.#shape;
    const kind = this.#bits === 16 ? 'offset16' : 'offset32';
    if (!isFar) {
      return [{ bytes: [0xe8], reference: { label, kind: this.#bits === 16 ? 'relative16' : 'relative' } }];
    }
    const throughAlias = this.#random.chance(0.5);
    const { alias, delta } = this.#shape;
    return [
      { bytes: [0x9a], reference: { label, kind, bias: throughAlias ? -delta : 0 } },
      { bytes: le(throughAlias ? alias.selector : cs.selector, 2) },
    ];
  }

  #table(later: readonly number[], tables: Item[]): Item[] {
    const random = this.#random;
    const table = this.#label();
    const kind = this.#bits === 16 ? 'offset16' : 'offset32';
    tables.push({ bytes: [], labels: [{ label: table, at: 0 }] });
    for (let i = 0; i < 4; i++) {
      tables.push({ bytes: [], reference: { label: random.pick(later), kind } });
    }
    // mov si, r; and si, 3; jmp cs:[table + si * 2], or the same with ESI and 4
    const move = this.#encode({ size: this.#word, opcode: [0x8b], reg: SI, rm: random.pick(FREE) });
    if (this.#bits === 16) {
      return [
        {
          bytes: [...move, 0x83, 0xe6, 0x03, 0xd1, 0xe6, OVERRIDE.cs, 0xff, 0xa4],
          reference: { label: table, kind },
        },
      ];
    }
    return [
      {
        bytes: [...move, 0x83, 0xe6, 0x03, OVERRIDE.cs, 0xff, 0x24, 0xb5],
        reference: { label: table, kind },
      },
    ];
  }

  // --- encoding

  get #word(): 2 | 4 {
    return this.#bits === 16 ? 2 : 4;
  }

  #encode({ size, opcode, reg, rm, imm = [], prefix = [], sizeless = false }: Encoding): number[] {
    const chosen = size === 1 && !sizeless ? [...opcode.slice(0, -1), opcode.at(-1)! - 1] : opcode;
    const sized = size !== 1 && !sizeless && size !== this.#word ? [0x66] : [];
    if (typeof rm === 'number') {
      return [...prefix, ...sized, ...chosen, 0xc0 | (reg << 3) | rm, ...imm];
    }
    const addressed = rm.address === this.#bits ? [] : [0x67];
    const { modrm, tail } = rm;
    return [...rm.prefix, ...prefix, ...sized, ...addressed, ...chosen, modrm | (reg << 3), ...tail, ...imm];
  }

  #control(offset: number): Memory {
    const prefix = [OVERRIDE.fs];
    if (this.#bits === 16) return { address: 16, prefix, modrm: 6, tail: le(offset, 2) };
    return { address: 32, prefix, modrm: 5, tail: le(offset, 4) };
  }

  #memory(): Memory {
    const random = this.#random;
    const { es, ss, ds } = OVERRIDE;
    const kind = random.below(14);
    const prefix = random.chance(0.2) ? [random.pick([es, ss, ds])] : [];
    const short = random.below(256) - 128;
    if (kind === 13) return this.#control(0x100 + random.below(0x80));
    const isOther = random.chance(0.15);
    const address: 16 | 32 = isOther === (this.#bits === 16) ? 32 : 16;
    if (address === 16) {
      // In flat 32-bit code, 16-bit addresses would hit the tables of the machine.
      if (this.#shape.ds.base === 0) return { address: 32, prefix, modrm: 0x40 | BX, tail: le(short, 1) };
      if (kind < 4) return { address, prefix: [], modrm: 0x40 | 7, tail: le(short, 1) };
      if (kind < 6) return { address, prefix: [], modrm: 0x40 | 6, tail: le(short, 1) };
      // [bx + si], [bx + di], [si], [di]: anywhere in the segment, but not in that of the stack
      if (kind < 10) {
        const anywhere = prefix[0] === ss ? [] : prefix;
        const modrm = random.pick([0, 1, 4, 5]);
        return random.chance(0.5)
          ? { address, prefix: anywhere, modrm, tail: [] }
          : { address, prefix: anywhere, modrm: 0x40 | modrm, tail: le(short, 1) };
      }
      const edges = [0x3ffe, 0x5fff, 0x7fff, 0x7ffd, 0xffff, 0xfffd, 0x800, 0x7ff, 0x1000, 0xfff, 0x2000];
      const at = random.pick(edges) + random.below(4);
      const segment = prefix[0] === ss ? [] : prefix;
      return { address, prefix: segment, modrm: 6, tail: le(at & 0xffff, 2) };
    }
    if (kind < 4) return { address, prefix: [], modrm: 0x40 | BX, tail: le(short, 1) };
    if (kind < 6) return { address, prefix: [], modrm: 0x40 | BP, tail: le(short, 1) };
    if (kind < 8 && this.#shape.ds.base !== 0) {
      // [ebx + r * scale]: mostly beyond the limit
      const sib = (random.below(4) << 6) | (random.pick([AX, CX, DX, SI, DI]) << 3) | BX;
      return { address, prefix: prefix[0] === ss ? [] : prefix, modrm: 0x44, tail: [sib, short & 0xff] };
    }
    const edges = [0x3ffe, 0x5fff, 0x7fff, 0x7ffd, 0xffff, 0xfffd, 0x800, 0x7ff, 0x1000, 0xfff, 0x2000];
    const at = dataOffset(this.#shape, random.pick(edges) + random.below(4));
    return { address, prefix: prefix[0] === ss ? [] : prefix, modrm: 5, tail: le(at, 4) };
  }

  #operand(): Operand {
    return this.#random.chance(0.45) ? this.#register() : this.#memory();
  }

  #register(): number {
    return this.#random.pick(FREE);
  }

  /** A register of this size as the destination: bytes of BX are left alone. */
  #destination(size: Size): number {
    return size === 1 ? this.#random.pick([0, 1, 2, 4, 5, 6]) : this.#register();
  }

  #size(): Size {
    return this.#random.pick([1, 2, 2, 4, 4] as const);
  }

  #immediate(size: Size): number[] {
    const random = this.#random;
    const value = random.pick([0, 1, -1, 0x7f, 0x80, 0x7fff, 0x8000, 0x7fffffff, random.u32() | 0]);
    return le(value, size);
  }

  // --- instructions

  #instruction(): Item[] {
    const random = this.#random;
    const kind = random.below(30);
    if (kind === 0 && this.#changesCode) return this.#patch();
    if (kind === 1) return [optional(this.#string())];
    if (kind < 4) return [optional(this.#segment())];
    if (kind < 7) return [optional(this.#stack())];
    if (kind === 7) return [optional(this.#sse())];
    if (kind === 8) return [optional(this.#x87())];
    return [optional(this.#integer())];
  }

  /** add r, imm whose immediate another instruction overwrites, and now and then one that does, through GS. */
  #patch(): Item[] {
    const random = this.#random;
    const target =
      this.#patchable.length > 0 && random.chance(0.6) ? random.pick(this.#patchable) : undefined;
    const size = this.#word;
    if (target === undefined) {
      const label = this.#label();
      this.#patchable.push(label);
      const bytes = this.#encode({
        size,
        opcode: [0x81],
        reg: random.below(8),
        rm: SI,
        imm: le(0x1234, size),
      });
      return [{ bytes, labels: [{ label, at: bytes.length - size }] }];
    }
    const over = this.#label();
    // test byte fs:[ROUND], 3fh; jnz over the store: code that changes all the time stays interpreted.
    const test = this.#encode({
      size: 1,
      opcode: [0xf7],
      reg: 0,
      rm: this.#control(CONTROL_ROUND),
      imm: [0x3f],
    });
    const wide = this.#bits === 32;
    return [
      { bytes: test },
      { bytes: [0x0f, 0x85], reference: { label: over, kind: wide ? 'relative' : 'relative16' } },
      {
        bytes: [OVERRIDE.gs, 0x89, (random.pick([AX, CX, DX]) << 3) | (wide ? 5 : 6)],
        reference: { label: target, kind: wide ? 'offset32' : 'offset16' },
        optional: true,
      },
      { bytes: [], labels: [{ label: over, at: 0 }] },
    ];
  }

  #string(): number[] {
    const random = this.#random;
    const size = this.#word;
    const word = (register: number, value: number): number[] => [0xb8 | register, ...le(value, size)];
    const around = (): number =>
      dataOffset(this.#shape, random.pick([0x800, 0x7f8, 0xff8, 0x3ff8]) + random.below(32));
    const operation = random.pick([0xa4, 0xa5, 0xaa, 0xab, 0xac, 0xad, 0xa6, 0xa7, 0xae, 0xaf]);
    const compares = [0xa6, 0xa7, 0xae, 0xaf].includes(operation);
    const repeat = random.chance(0.7) ? [compares ? random.pick([0xf2, 0xf3]) : 0xf3] : [];
    const other = random.pick([[], [], [0x66]]);
    return [
      ...word(SI, around()),
      ...word(DI, around()),
      ...word(CX, random.below(20)),
      random.chance(0.2) ? 0xfd : 0xfc,
      ...repeat,
      ...other,
      operation,
      0xfc,
    ];
  }

  /** Loads of ES, DS and SS, from registers, memory and the stack. */
  #segment(): number[] {
    const random = this.#random;
    const { selectors } = this.#shape;
    const selector = random.pick(selectors);
    const word = (value: number): number[] => [0xb8 | AX, ...le(value, this.#word)];
    switch (random.below(8)) {
      case 0:
      case 1:
        return [...word(selector), 0x8e, 0xc0];
      case 2:
        return [...word(selector), 0x8e, 0xd8];
      case 3:
        // push es; pop ds, or the other way round
        return random.pick([
          [0x06, 0x1f],
          [0x1e, 0x07],
        ]);
      case 4:
        // mov ax, ss; mov ss, ax
        return [0x8c, 0xd0, 0x8e, 0xd0];
      case 5:
        // push ss; pop ss
        return [0x16, 0x17];
      case 6:
        // mov r, sreg; lar and verr want protected mode, else they are #UD
        return random.pick([
          [0x8c, 0xc0 | (random.below(6) << 3) | random.pick([AX, CX, DX])],
          [...word(selector), 0x0f, 0x02, 0xd0],
          [...word(selector), 0x0f, 0x00, 0xe0],
        ]);
      default:
        // A selector that does not exist, or is not for data.
        return [
          ...word(random.pick([selectors[0]!, 0xfff8])),
          ...(this.#shape.kind === 'protected' ? [0x8e, 0xc0] : []),
        ];
    }
  }

  #stack(): number[] {
    const random = this.#random;
    const [a, b] = [this.#register(), this.#register()];
    switch (random.below(9)) {
      case 0:
        return [0x50 | a, 0x58 | b];
      case 1:
        return [0x66, 0x50 | a, 0x50 | b, 0x58 | a, 0x66, 0x58 | b];
      case 2:
        return [0x9c, 0x58 | a];
      case 3: {
        const mask = this.#encode({
          size: this.#word,
          opcode: [0x81],
          reg: 4,
          rm: a,
          imm: le(0x8d5, this.#word),
        });
        return [...mask, 0x50 | a, 0x9d];
      }
      case 4:
        return [0x60, ...this.#integer(), 0x61];
      case 5:
        // enter 16, level; leave
        return [0xc8, 16, 0, random.below(3), 0xc9];
      case 6:
        return [...this.#encode({ size: this.#word, opcode: [0xff], reg: 6, rm: this.#memory() }), 0x58 | a];
      case 7:
        return [0x50 | a, ...this.#encode({ size: this.#word, opcode: [0x8f], reg: 0, rm: this.#memory() })];
      default:
        return [0x68, ...this.#immediate(this.#word), 0x58 | a];
    }
  }

  #sse(): number[] {
    const random = this.#random;
    const xmm = random.below(8);
    const rm: Operand = random.chance(0.5) ? random.below(8) : this.#memory();
    const one = (prefix: readonly number[], opcode: number): number[] =>
      this.#encode({ size: 4, opcode: [0x0f, opcode], reg: xmm, rm, prefix, sizeless: true });
    switch (random.below(4)) {
      case 0:
        return one([0xf3], random.pick([0x6f, 0x7f]));
      case 1:
        return one([0x66], random.pick([0xfe, 0xef, 0xdb, 0x6f, 0x7f]));
      case 2:
        return one([0xf2], random.pick([0x58, 0x59, 0x5c, 0x10, 0x11]));
      default:
        return one([0x66], random.pick([0x6e, 0xd6]));
    }
  }

  #x87(): number[] {
    const random = this.#random;
    const load = (opcode: number, reg: number): number[] =>
      this.#encode({ size: 4, opcode: [opcode], reg, rm: this.#memory(), sizeless: true });
    const operation = random.pick([
      [0xd8, 0xc0],
      [0xd8, 0xc8],
      [0xd9, 0xe0],
      [0xd9, 0xe1],
    ]);
    return [
      0xdb,
      0xe3,
      ...load(random.pick([0xdd, 0xd9, 0xdf]), 0),
      ...operation,
      ...load(random.pick([0xdd, 0xd9]), 3),
    ];
  }

  #integer(): number[] {
    const random = this.#random;
    const size = this.#size();
    const wide: Size = size === 1 ? 2 : size;
    const reg = this.#destination(size);
    const rm = random.chance(0.45) ? this.#destination(size) : this.#memory();
    const isMemory = typeof rm !== 'number';
    const lock = (may: boolean): number[] => (may && isMemory && random.chance(0.15) ? [0xf0] : []);
    const opcode = (...bytes: number[]): Pick<Encoding, 'opcode'> => ({ opcode: bytes });
    const encode = (encoding: Encoding): number[] => this.#encode(encoding);
    switch (random.below(20)) {
      case 0:
      case 1: {
        const group = random.below(8);
        return encode({ size, ...opcode(group * 8 + 1), reg, rm, prefix: lock(group !== 7) });
      }
      case 2:
        return encode({ size, ...opcode(random.below(8) * 8 + 3), reg, rm });
      case 3:
        return encode({ size, ...opcode(0x81), reg: random.below(8), rm, imm: this.#immediate(size) });
      case 4:
        return encode({
          size: wide,
          ...opcode(0x83),
          reg: random.below(8),
          rm: this.#operand(),
          imm: this.#immediate(1),
        });
      case 5:
        return encode({ size, ...opcode(0x85), reg, rm });
      case 6:
        return encode({ size, ...opcode(0xff), reg: random.below(2), rm, prefix: lock(true) });
      case 7:
        return encode({ size, ...opcode(0xf7), reg: 2 + random.below(2), rm, prefix: lock(true) });
      case 8:
        return encode({
          size,
          ...opcode(0xf7),
          reg: random.chance(0.3) ? 6 + random.below(2) : 4 + random.below(2),
          rm,
        });
      case 9:
        return encode({ size: wide, ...opcode(0x0f, 0xaf), reg: this.#register(), rm: this.#operand() });
      case 10:
        return encode({
          size,
          ...opcode(0xc1),
          reg: random.below(8),
          rm,
          imm: [random.pick([0, 1, 5, 31, 255])],
        });
      case 11:
        return encode({ size, ...opcode(random.pick([0xd1, 0xd3])), reg: random.below(8), rm });
      case 12:
        return encode({
          size: wide,
          ...opcode(0x0f, random.pick([0xa5, 0xad])),
          reg: this.#register(),
          rm: this.#operand(),
        });
      case 13:
        return encode({ size, ...opcode(random.pick([0x89, 0x8b])), reg, rm });
      case 14: {
        const extend = opcode(0x0f, random.pick([0xb7, 0xbf]));
        const half = this.#random.chance(0.5);
        return half
          ? encode({ size: wide, opcode: [0x0f, extend.opcode[1]! - 1], reg: this.#register(), rm })
          : encode({ size: wide, ...extend, reg: this.#register(), rm: this.#operand() });
      }
      case 15:
        return encode({ size: wide, ...opcode(0x8d), reg: this.#register(), rm: this.#memory() });
      case 16:
        return encode({ size, ...opcode(0x0f, random.pick([0xc1, 0xb1])), reg, rm, prefix: lock(true) });
      case 17:
        return encode({
          size: 2,
          ...opcode(0x0f, 0x90 | random.below(16)),
          reg: 0,
          rm: isMemory ? rm : AX,
          sizeless: true,
        });
      case 18:
        return encode({
          size: wide,
          ...opcode(0x0f, random.pick([0xab, 0xb3, 0xbb, 0xbc, 0xbd])),
          reg: this.#register(),
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
          [0x99],
          [0x27],
          [0x37],
          [0xd4, 10],
          [0xd5, 10],
          [0xd7],
        ]);
    }
  }
}

function optional(bytes: readonly number[]): Item {
  return { bytes, optional: true };
}
