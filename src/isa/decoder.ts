/** From guest bytes to the fields of a record (layout/vcpu.ts, RECORD). */
import { DEFAULT_FEATURES, type CpuFeature } from '../base/cpu-features.ts';
import { EXCEPTION_GP, EXCEPTION_UD } from '../layout/exceptions.ts';
import {
  MODE_CODE16,
  MODE_CODE64,
  MODE_CODE_MASK,
  MODE_DEBUG,
  MODE_FLAT,
  MODE_REAL,
  RECORD_ADDRESS_SIZE_SHIFT,
  RECORD_CHECKED,
  RECORD_SEGMENT_SHIFT,
  REG_PAGE_RIP,
  REG_RBP,
  REG_RSP,
  REG_ZERO,
  SEG_CS,
  SEG_DS,
  SEG_FS,
  SEG_SS,
} from '../layout/vcpu.ts';
import { HANDLER_UNDEFINED, handlerFor, operandSizes } from './forms.ts';
import { sizeBits } from './operands.ts';
import { ROWS } from './tables/index.ts';
import {
  hasModrm,
  MAP_0F,
  MAP_0F38,
  MAP_0F3A,
  MAP_VEX,
  PREFIX_66,
  PREFIX_ANY,
  PREFIX_F2,
  PREFIX_F3,
  PREFIX_NONE,
  rmOperand,
  type Row,
} from './tables/row.ts';

/** Longest instruction; a longer one is #GP(0). */
export const MAX_LENGTH = 15;

const ZERO = REG_ZERO * 8;
const REX_W = 8;
const REX_R = 4;
const REX_X = 2;
const REX_B = 1;
const VEX_L = 4;

/** Repeat prefixes as records have them. */
const REPEAT_F3 = 1;
const REPEAT_F2 = 2;
/** By the row's mandatory prefix: bit repeat * 2, plus 1 with 66h, says whether the row is meant. */
const ACCEPTED: Readonly<Record<number, number>> = {
  [PREFIX_ANY]: 0x3f,
  [PREFIX_NONE]: 1,
  [PREFIX_66]: 2,
  [PREFIX_F3]: 3 << (REPEAT_F3 * 2),
  [PREFIX_F2]: 3 << (REPEAT_F2 * 2),
};

/** What the decoder needs to know of a row, settled once. */
interface Prepared {
  readonly index: number;
  readonly row: Row;
  readonly modrm: boolean;
  readonly memoryOnly: boolean;
  readonly registerOnly: boolean;
  readonly lockable: boolean;
  readonly defaults64: boolean;
  readonly rep: boolean;
  readonly opcodeInImmediate: boolean;
  readonly ends: boolean;
  readonly usesVvvv: boolean;
  readonly sized: boolean;
  readonly noRepeat: boolean;
  readonly protectedOnly: boolean;
  /** Bit n: ModRM.reg = n does not belong to the row. */
  readonly without: number;
}

function prepare(row: Row, index: number): Prepared {
  const letter = rmOperand(row)?.letter ?? '';
  const has = (name: string): boolean => row.attributes.has(name);
  return {
    index,
    row,
    modrm: hasModrm(row),
    memoryOnly: letter === 'M',
    registerOnly: letter !== '' && 'RUN'.includes(letter) && !isMove(row),
    lockable: has('lock'),
    defaults64: has('d64') || has('f64'),
    rep: has('rep'),
    opcodeInImmediate: has('opcode'),
    ends: has('end'),
    usesVvvv: row.operands.some((operand) => operand.letter === 'B'),
    sized: operandSizes(row).length > 1,
    noRepeat: has('norep'),
    protectedOnly: has('pm'),
    without: withoutRegisters(row),
  };
}

function withoutRegisters(row: Row): number {
  const digits = [...row.attributes].find((text) => text.startsWith('without='))?.slice(8) ?? '';
  return Array.from(digits, Number).reduce((mask, digit) => mask | (1 << digit), 0);
}

/** MOV to and from control and debug registers ignores ModRM.mod. */
function isMove(row: Row): boolean {
  return row.operands.some(({ letter }) => letter === 'C' || letter === 'D');
}

/** Rows by map and opcode, those first that win over others. */
type OpcodeTable = readonly (readonly Prepared[] | undefined)[];

function opcodeTable(features: ReadonlySet<CpuFeature>): OpcodeTable {
  const lists: Prepared[][] = [];
  ROWS.forEach((row, index) => {
    if (!isOffered(row, features)) return;
    const prepared = prepare(row, index);
    for (let i = 0; i < (row.registerInOpcode ? 8 : 1); i++) {
      (lists[(row.map << 8) | (row.opcode + i)] ??= []).push(prepared);
    }
  });
  // A row with a mandatory prefix wins over one that takes any.
  return lists.map((list) =>
    list.toSorted((a, b) => Number(a.row.prefix === PREFIX_ANY) - Number(b.row.prefix === PREFIX_ANY)),
  );
}

function isOffered({ attributes }: Row, features: ReadonlySet<CpuFeature>): boolean {
  const needed = [...attributes].find((text) => text.startsWith('if='))?.slice(3);
  return needed === undefined || features.has(needed as CpuFeature);
}

const DEFAULT_TABLE = opcodeTable(DEFAULT_FEATURES);

/** The result of the last `decode`; reused, as decoding is on the way to every new block. */
export class Decoded {
  /** 0: the instruction goes on behind the end of the bytes given. */
  length = 0;
  handler = 0;
  reg = 0;
  rm = 0;
  index = ZERO;
  flags = 0;
  disp = 0;
  imm = 0;
  /** Ends its block. */
  ends = false;
}

const BASE16 = [3, 3, 5, 5, 6, 7, 5, 3];
const INDEX16 = [6, 7, 6, 7, REG_ZERO, REG_ZERO, REG_ZERO, REG_ZERO];

export class Decoder {
  readonly out = new Decoded();
  readonly #rows: OpcodeTable;
  private bytes: Uint8Array = new Uint8Array(0);
  private at = 0;
  private end = 0;
  private short = false;
  private ripRelative = false;

  /** Encodings that belong to other features are what they are on a CPU without those. */
  constructor(features = DEFAULT_FEATURES) {
    this.#rows = features === DEFAULT_FEATURES ? DEFAULT_TABLE : opcodeTable(features);
  }

  /**
   * Decodes the instruction at `start` of `bytes`, looking at no byte at or behind `end`.
   * `pageOffset` is its place in its page, `mode` the MODE_* bits.
   */
  decode(bytes: Uint8Array, start: number, end: number, pageOffset: number, mode: number): Decoded {
    const { out } = this;
    this.bytes = bytes;
    this.at = start;
    this.end = Math.min(end, start + MAX_LENGTH);
    this.short = false;
    this.ripRelative = false;
    out.reg = 0;
    out.rm = 0;
    out.index = ZERO;
    out.flags = 0;
    out.disp = 0;
    out.imm = 0;
    out.ends = false;
    out.handler = HANDLER_UNDEFINED;

    this.instruction(mode, pageOffset, start);
    if (this.short) {
      if (end - start > MAX_LENGTH || this.end - start === MAX_LENGTH)
        return this.undefined(MAX_LENGTH, EXCEPTION_GP);
      out.length = 0;
      return out;
    }
    out.length = this.at - start;
    if (out.handler === HANDLER_UNDEFINED) return this.undefined(out.length, EXCEPTION_UD);
    if (this.ripRelative) out.disp = (out.disp + pageOffset + out.length) | 0;
    return out;
  }

  /** In place of an instruction whose bytes lie beyond the limit of CS. */
  beyondLimit(): Decoded {
    return this.undefined(1, EXCEPTION_GP);
  }

  private undefined(length: number, vector: number): Decoded {
    const { out } = this;
    out.length = length;
    out.handler = HANDLER_UNDEFINED;
    out.imm = vector;
    out.ends = true;
    return out;
  }

  private u8(): number {
    if (this.at >= this.end) {
      this.short = true;
      return 0;
    }
    return this.bytes[this.at++]!;
  }
  private s8(): number {
    return (this.u8() << 24) >> 24;
  }
  private u16(): number {
    return this.u8() | (this.u8() << 8);
  }
  private s32(): number {
    return this.u16() | (this.u16() << 16);
  }

  private instruction(mode: number, pageOffset: number, start: number): void {
    const { out } = this;
    const codeSize = mode & MODE_CODE_MASK;
    const is64 = codeSize === MODE_CODE64;
    let operandOverride = false;
    let addressOverride = false;
    let lock = false;
    let rep = 0;
    let segment = -1;
    let rex = 0;
    let opcode = 0;
    prefixes: for (;;) {
      opcode = this.u8();
      switch (opcode) {
        case 0x66:
          operandOverride = true;
          break;
        case 0x67:
          addressOverride = true;
          break;
        case 0xf0:
          lock = true;
          break;
        case 0xf2:
          rep = REPEAT_F2;
          break;
        case 0xf3:
          rep = REPEAT_F3;
          break;
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
          if (!is64) segment = (opcode >> 3) & 3;
          break;
        case 0x64:
        case 0x65:
          segment = opcode - 0x64 + SEG_FS;
          break;
        default:
          if (is64 && (opcode & 0xf0) === 0x40) {
            // A REX prefix counts only directly before the opcode.
            rex = opcode;
            continue prefixes;
          }
          break prefixes;
      }
      rex = 0;
      if (this.short) return;
    }

    let map = 0;
    let vvvv = 0;
    if ((opcode === 0xc4 || opcode === 0xc5) && this.isVex(is64)) {
      // What VEX says itself must not be said before it, and there is none in real mode (APM vol. 3, 1.2.7 and 1.2.8).
      if (operandOverride || rep || lock || rex || mode & MODE_REAL) return;
      const first = this.u8();
      const last = opcode === 0xc4 ? this.u8() : first & 0x7f;
      map = MAP_VEX | (opcode === 0xc4 ? first & 31 : MAP_0F);
      if (map > (MAP_VEX | MAP_0F3A) || last & VEX_L) return;
      // R, X, B and vvvv are stored inverted; outside 64-bit mode there are eight registers.
      rex = is64 ? ((last >> 4) & REX_W) | ((~first >> 5) & (opcode === 0xc4 ? 7 : REX_R)) : 0;
      vvvv = (~last >> 3) & (is64 ? 15 : 7);
      operandOverride = (last & 3) === 1;
      rep = (last & 3) > 1 ? (last & 3) - 1 : 0;
      opcode = this.u8();
    } else if (opcode === 0x0f) {
      opcode = this.u8();
      map = MAP_0F;
      if (opcode === 0x38 || opcode === 0x3a) {
        map = opcode === 0x38 ? MAP_0F38 : MAP_0F3A;
        opcode = this.u8();
      }
    }
    if (this.short) return;
    const rows = this.#rows[(map << 8) | opcode];
    if (!rows) return;
    const modrm = this.at < this.end ? this.bytes[this.at]! : -1;
    const prepared = this.select(rows, modrm, operandOverride, rep, mode, rex);
    if (!prepared) {
      if (modrm < 0) this.short = true;
      return;
    }
    const { row } = prepared;

    let operandBits: number;
    if (is64) {
      operandBits = rex & REX_W ? 64 : operandOverride ? 16 : prepared.defaults64 ? 64 : 32;
    } else {
      operandBits = (codeSize === MODE_CODE16) === operandOverride ? 32 : 16;
    }
    const addressSize = is64
      ? addressOverride
        ? 1
        : 2
      : (codeSize === MODE_CODE16) === addressOverride
        ? 1
        : 0;

    let memory = false;
    let defaultSegment = SEG_DS;
    if (prepared.modrm) {
      this.u8();
      if (modrm < 0x0c0 && !isMove(row)) {
        memory = true;
        defaultSegment = addressSize === 0 ? this.address16(modrm) : this.address(modrm, rex, is64);
      }
      const reg = ((modrm >> 3) & 7) | (rex & REX_R ? 8 : 0);
      const rm = (modrm & 7) | (rex & REX_B ? 8 : 0);
      for (const { letter, size } of row.operands) {
        switch (letter) {
          case 'G':
            out.reg = size === 'b' ? byteRegister(reg, rex) : reg * 8;
            break;
          case 'B':
            out.imm = vvvv * 8;
            break;
          case 'V':
            out.reg = reg * 16;
            break;
          case 'P':
            out.reg = (reg & 7) * 16;
            break;
          case 'S':
            out.reg = reg & 7;
            if (out.reg > 5 || (out.reg === SEG_CS && row.semantics === 'movToSegment')) return;
            break;
          case 'C':
            out.reg = reg;
            if (reg !== 0 && reg !== 2 && reg !== 3 && reg !== 4 && reg !== 8) return;
            break;
          case 'D':
            out.reg = reg;
            if (reg > 7) return;
            break;
          case 'E':
          case 'R':
            if (!memory) out.rm = size === 'b' ? byteRegister(rm, rex) : rm * 8;
            break;
          case 'W':
          case 'U':
            if (!memory) out.rm = rm * 16;
            break;
          case 'Q':
          case 'N':
            if (!memory) out.rm = (rm & 7) * 16;
            break;
        }
      }
    }
    if (row.registerInOpcode) {
      const register = (opcode & 7) | (rex & REX_B ? 8 : 0);
      out.rm = row.operands[0]!.size === 'b' ? byteRegister(register, rex) : register * 8;
    }
    const effective = segment >= 0 && (!is64 || segment >= SEG_FS) ? segment : defaultSegment;
    // Writing through CS faults, whatever its base and limit.
    const checked = (mode & MODE_FLAT) === 0 || (!is64 && (effective === SEG_CS || effective >= SEG_FS));
    out.flags |=
      (addressSize << RECORD_ADDRESS_SIZE_SHIFT) |
      (effective << RECORD_SEGMENT_SHIFT) |
      (checked ? RECORD_CHECKED : 0);

    if (lock && !(prepared.lockable && memory)) return;
    if (vvvv !== 0 && !prepared.usesVvvv) return;
    if ((prepared.without >> ((modrm >> 3) & 7)) & 1) return;
    let offsetOperand = false;
    let immediateShift = 0;
    for (const { letter, size } of row.operands) {
      if (letter === 'I') {
        this.immediate(size, operandBits, immediateShift);
        immediateShift += sizeBits(size, operandBits);
      } else if (letter === 'J') {
        const displacement =
          size === 'b' ? this.s8() : operandBits === 16 ? (this.u16() << 16) >> 16 : this.s32();
        out.disp = (pageOffset + (this.at - start) + displacement) | 0;
        out.reg = operandBits === 16 ? 16 : 0;
        const inPage = out.disp >= 0 && out.disp < 4096;
        out.rm = inPage && operandBits !== 16 && isLinkable(mode) ? 1 : 0;
      } else if (letter === 'A') {
        out.disp = operandBits === 16 ? this.u16() : this.s32();
        out.imm = this.u16();
      } else if (letter === 'O') {
        offsetOperand = true;
        out.disp = addressSize === 0 ? this.u16() : this.s32();
        out.imm = addressSize === 2 ? this.s32() : 0;
      }
    }
    if (this.short) return;
    if (prepared.rep) out.imm = rep;
    if (prepared.opcodeInImmediate) out.imm = ((this.at - start) << 16) | (opcode << 8) | modrm;
    out.ends = prepared.ends;
    out.handler = handlerFor(prepared.index, operandBits, memory || offsetOperand, lock);
  }

  private select(
    rows: readonly Prepared[],
    modrm: number,
    has66: boolean,
    rep: number,
    mode: number,
    rex: number,
  ): Prepared | undefined {
    const is64 = (mode & MODE_CODE_MASK) === MODE_CODE64;
    for (const prepared of rows) {
      const { row } = prepared;
      if (!((ACCEPTED[row.prefix]! >> (rep * 2 + (has66 ? 1 : 0))) & 1)) continue;
      if (is64 ? row.attributes.has('i64') : row.attributes.has('o64')) continue;
      if (rex & REX_B && row.attributes.has('norexb')) continue;
      if (rep !== 0 && prepared.noRepeat) continue;
      if (prepared.protectedOnly && mode & MODE_REAL) continue;
      if (prepared.modrm) {
        if (modrm < 0) return undefined;
        if (row.modrmByte !== undefined && row.modrmByte !== modrm) continue;
        if (row.modrmReg !== undefined && row.modrmReg !== ((modrm >> 3) & 7)) continue;
        if (prepared.memoryOnly && modrm >= 0xc0) continue;
        if (prepared.registerOnly && modrm < 0xc0) continue;
      }
      return prepared;
    }
    return undefined;
  }

  /** C4h and C5h are LES and LDS outside 64-bit mode, unless what follows would be their register form. */
  private isVex(is64: boolean): boolean {
    if (this.at < this.end) return is64 || this.bytes[this.at]! >= 0xc0;
    this.short = true;
    return true;
  }

  private immediate(size: string, operandBits: number, shift: number): void {
    const { out } = this;
    let value: number;
    if (size === 'b' || size === 'bs') value = this.s8();
    else if (size === 'w' || operandBits === 16) value = (this.u16() << 16) >> 16;
    else if (size === 'v' && operandBits === 64) {
      out.disp = this.s32();
      out.imm = this.s32();
      return;
    } else value = this.s32();
    // ENTER has two: the frame size in the low half, the level above it.
    out.imm = shift ? (out.imm & 0xffff) | (value << shift) : value;
  }

  /** 16-bit ModRM addressing (Intel SDM vol. 2, table 2-1). Gives the default segment. */
  private address16(modrm: number): number {
    const { out } = this;
    const mod = modrm >> 6;
    const rm = modrm & 7;
    out.rm = BASE16[rm]! * 8;
    out.index = INDEX16[rm]! * 8;
    if (mod === 0 && rm === 6) {
      out.rm = ZERO;
      out.disp = this.u16();
      return SEG_DS;
    }
    if (mod === 1) out.disp = this.s8();
    if (mod === 2) out.disp = this.u16();
    return out.rm === REG_RBP * 8 ? SEG_SS : SEG_DS;
  }

  /** 32- and 64-bit ModRM and SIB addressing (Intel SDM vol. 2, tables 2-2 and 2-3). */
  private address(modrm: number, rex: number, is64: boolean): number {
    const { out } = this;
    const mod = modrm >> 6;
    let base = modrm & 7;
    let hasBase = true;
    let scale = 0;
    if (base === 4) {
      const sib = this.u8();
      scale = sib >> 6;
      const index = ((sib >> 3) & 7) | (rex & REX_X ? 8 : 0);
      out.index = index === 4 ? ZERO : index * 8;
      base = sib & 7;
      if (base === 5 && mod === 0) {
        hasBase = false;
        out.disp = this.s32();
      }
    } else if (base === 5 && mod === 0) {
      hasBase = false;
      out.disp = this.s32();
      this.ripRelative = is64;
    }
    if (mod === 1) out.disp = this.s8();
    if (mod === 2) out.disp = this.s32();
    out.flags = scale;
    if (!hasBase) {
      out.rm = this.ripRelative ? REG_PAGE_RIP * 8 : ZERO;
      return SEG_DS;
    }
    const stack = base === REG_RSP || base === REG_RBP;
    out.rm = (base | (rex & REX_B ? 8 : 0)) * 8;
    return stack && !(rex & REX_B) ? SEG_SS : SEG_DS;
  }
}

/**
 * Whether branches may go straight to the block of their target: not where each target has to be checked against the
 * limit of CS, nor where each instruction may have a breakpoint.
 */
export function isLinkable(mode: number): boolean {
  return (mode & (MODE_FLAT | MODE_DEBUG)) === MODE_FLAT && (mode & MODE_CODE_MASK) !== MODE_CODE16;
}

/** Byte offset of a byte register: without REX, 4-7 are AH, CH, DH and BH. */
function byteRegister(register: number, rex: number): number {
  return rex === 0 && register >= 4 && register < 8 ? (register - 4) * 8 + 1 : register * 8;
}
