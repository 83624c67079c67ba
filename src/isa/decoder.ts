/** From guest bytes to the fields of a record (layout/vcpu.ts, RECORD). */
import { DEFAULT_FEATURES, type CpuFeature } from '../base/cpu-features.ts';
import { EXCEPTION_GP, EXCEPTION_UD } from '../layout/exceptions.ts';
import { PAGE_SIZE } from '../layout/map.ts';
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
import { HANDLER_UNDEFINED, handlerFor } from './forms.ts';
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
  type OperandSpec,
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

// Which register a field of ModRM or of the opcode names: `Prepared.reg`, `rm` and `opcodeRegister`.
const NO_REGISTER = 0;
const GENERAL = 1;
const BYTE = 2;
const XMM = 3;
const MMX = 4;
const SEGMENT = 5;
const CONTROL = 6;
const DEBUG = 7;

// What follows ModRM, SIB and displacement: `Prepared.trailing`.
const NOTHING = 0;
const IMMEDIATE_BYTE = 1;
const IMMEDIATE_WORD = 2;
/** Of the operand size, but sign-extended from 32 bits for 64. */
const IMMEDIATE = 3;
const IMMEDIATE_FULL = 4;
const BRANCH_BYTE = 5;
const BRANCH = 6;
const FAR_POINTER = 7;
const OFFSET = 8;

/** What the decoder needs to know of a row, settled once: numbers and truth values, as it runs for every new block. */
interface Prepared {
  /** The row to try if this one is not meant. */
  next: Prepared | undefined;
  readonly index: number;
  /** As in ACCEPTED. */
  readonly accepted: number;
  readonly modrm: boolean;
  /** -1: any. */
  readonly modrmByte: number;
  readonly modrmReg: number;
  readonly memoryOnly: boolean;
  readonly registerOnly: boolean;
  /** ModRM.mod is ignored. */
  readonly isMove: boolean;
  readonly lockable: boolean;
  readonly defaults64: boolean;
  readonly rep: boolean;
  readonly opcodeInImmediate: boolean;
  readonly ends: boolean;
  readonly usesVvvv: boolean;
  readonly noRepeat: boolean;
  readonly noRexB: boolean;
  readonly protectedOnly: boolean;
  readonly loadsSegment: boolean;
  /** Bit n: ModRM.reg = n does not belong to the row. */
  readonly without: number;
  readonly reg: number;
  readonly rm: number;
  readonly opcodeRegister: number;
  readonly trailing: number;
  /** Of a second immediate, which goes above the first one's bits, `secondShift`. */
  readonly second: number;
  readonly secondShift: number;
}

function prepare(row: Row, index: number): Prepared {
  const letter = rmOperand(row)?.letter ?? '';
  const has = (name: string): boolean => row.attributes.has(name);
  const kindOf = (letters: string): number => {
    const operand = row.operands.find((each) => letters.includes(each.letter));
    return operand === undefined ? NO_REGISTER : registerKind(operand);
  };
  const behind = row.operands.filter((operand) => 'IJAO'.includes(operand.letter));
  return {
    next: undefined,
    index,
    accepted: ACCEPTED[row.prefix]!,
    modrm: hasModrm(row),
    modrmByte: row.modrmByte ?? -1,
    modrmReg: row.modrmReg ?? -1,
    memoryOnly: letter === 'M',
    registerOnly: letter !== '' && 'RUN'.includes(letter) && !isMove(row),
    isMove: isMove(row),
    lockable: has('lock'),
    defaults64: has('d64') || has('f64'),
    rep: has('rep'),
    opcodeInImmediate: has('opcode'),
    ends: has('end'),
    usesVvvv: row.operands.some((operand) => operand.letter === 'B'),
    noRepeat: has('norep'),
    noRexB: has('norexb'),
    protectedOnly: has('pm'),
    loadsSegment: row.semantics === 'movToSegment',
    without: withoutRegisters(row),
    reg: kindOf('GVPSCD'),
    rm: kindOf('ERWUQN'),
    opcodeRegister: row.registerInOpcode ? registerKind(row.operands[0]!) : NO_REGISTER,
    trailing: behind[0] === undefined ? NOTHING : trailingKind(behind[0]),
    second: behind[1] === undefined ? NOTHING : trailingKind(behind[1]),
    secondShift: behind[1] === undefined ? 0 : sizeBits(behind[0]!.size, 0),
  };
}

function registerKind({ letter, size }: OperandSpec): number {
  if ('VWU'.includes(letter)) return XMM;
  if ('PQN'.includes(letter)) return MMX;
  if (letter === 'S') return SEGMENT;
  if (letter === 'C') return CONTROL;
  if (letter === 'D') return DEBUG;
  return size === 'b' ? BYTE : GENERAL;
}

function trailingKind({ letter, size }: OperandSpec): number {
  if (letter === 'A') return FAR_POINTER;
  if (letter === 'O') return OFFSET;
  if (letter === 'J') return size === 'b' ? BRANCH_BYTE : BRANCH;
  if (size === 'b' || size === 'bs') return IMMEDIATE_BYTE;
  return size === 'w' ? IMMEDIATE_WORD : size === 'v' ? IMMEDIATE_FULL : IMMEDIATE;
}

function withoutRegisters(row: Row): number {
  const digits = [...row.attributes].find((text) => text.startsWith('without='))?.slice(8) ?? '';
  return Array.from(digits, Number).reduce((mask, digit) => mask | (1 << digit), 0);
}

/** MOV to and from control and debug registers ignores ModRM.mod. */
function isMove(row: Row): boolean {
  return row.operands.some(({ letter }) => letter === 'C' || letter === 'D');
}

/** By map and opcode: the row to try first. */
type OpcodeTable = readonly (Prepared | undefined)[];

interface OpcodeTables {
  readonly code64: OpcodeTable;
  readonly legacy: OpcodeTable;
}

function opcodeTables(features: ReadonlySet<CpuFeature>): OpcodeTables {
  return { code64: opcodeTable(features, 'i64'), legacy: opcodeTable(features, 'o64') };
}

/** Of the rows that do not have the attribute `but`. */
function opcodeTable(features: ReadonlySet<CpuFeature>, but: string): OpcodeTable {
  const table: (Prepared | undefined)[] = Array.from({ length: 2 * MAP_VEX * 256 }, () => undefined);
  const lists: { row: Row; index: number }[][] = [];
  ROWS.forEach((row, index) => {
    if (!isOffered(row, features) || row.attributes.has(but)) return;
    for (let i = 0; i < (row.registerInOpcode ? 8 : 1); i++) {
      (lists[(row.map << 8) | (row.opcode + i)] ??= []).push({ row, index });
    }
  });
  lists.forEach((list, at) => {
    // A row with a mandatory prefix wins over one that takes any.
    const order = list.toSorted(
      (a, b) => Number(a.row.prefix === PREFIX_ANY) - Number(b.row.prefix === PREFIX_ANY),
    );
    const chain = order.map(({ row, index }) => prepare(row, index));
    chain.forEach((prepared, i) => (prepared.next = chain[i + 1]));
    table[at] = chain[0];
  });
  return table;
}

function isOffered({ attributes }: Row, features: ReadonlySet<CpuFeature>): boolean {
  const needed = [...attributes].find((text) => text.startsWith('if='))?.slice(3);
  return needed === undefined || features.has(needed as CpuFeature);
}

const DEFAULT_TABLES = opcodeTables(DEFAULT_FEATURES);

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
  private readonly code64: OpcodeTable;
  private readonly legacy: OpcodeTable;
  private bytes: Uint8Array = new Uint8Array(0);
  private at = 0;
  private end = 0;
  private short = false;
  private ripRelative = false;

  /** Encodings that belong to other features are what they are on a CPU without those. */
  constructor(features = DEFAULT_FEATURES) {
    const tables = features === DEFAULT_FEATURES ? DEFAULT_TABLES : opcodeTables(features);
    this.code64 = tables.code64;
    this.legacy = tables.legacy;
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
    const { at, bytes } = this;
    this.at = at + 2;
    if (this.at <= this.end) return bytes[at]! | (bytes[at + 1]! << 8);
    this.short = true;
    return 0;
  }
  private s32(): number {
    const { at, bytes } = this;
    this.at = at + 4;
    if (this.at <= this.end) {
      return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    }
    this.short = true;
    return 0;
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
    const rows = (is64 ? this.code64 : this.legacy)[(map << 8) | opcode];
    if (rows === undefined) return;
    const modrm = this.at < this.end ? this.bytes[this.at]! : -1;
    const prepared = this.select(rows, modrm, rep * 2 + (operandOverride ? 1 : 0), mode, rex);
    if (prepared === undefined) {
      if (modrm < 0) this.short = true;
      return;
    }

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
      if (modrm < 0xc0 && !prepared.isMove) {
        memory = true;
        defaultSegment = addressSize === 0 ? this.address16(modrm) : this.address(modrm, rex, is64);
      }
      const reg = ((modrm >> 3) & 7) | (rex & REX_R ? 8 : 0);
      if (prepared.reg !== NO_REGISTER) out.reg = registerPlace(prepared.reg, reg, rex);
      if (prepared.reg >= SEGMENT && !isThere(prepared, reg)) return;
      if (!memory && prepared.rm !== NO_REGISTER) {
        out.rm = registerPlace(prepared.rm, (modrm & 7) | (rex & REX_B ? 8 : 0), rex);
      }
      if (prepared.usesVvvv) out.imm = vvvv * 8;
    }
    if (prepared.opcodeRegister !== NO_REGISTER) {
      out.rm = registerPlace(prepared.opcodeRegister, (opcode & 7) | (rex & REX_B ? 8 : 0), rex);
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
    switch (prepared.trailing) {
      case NOTHING:
        break;
      case BRANCH_BYTE:
        this.branch(this.s8(), operandBits, pageOffset - start, mode);
        break;
      case BRANCH:
        this.branch(
          operandBits === 16 ? (this.u16() << 16) >> 16 : this.s32(),
          operandBits,
          pageOffset - start,
          mode,
        );
        break;
      case FAR_POINTER:
        out.disp = operandBits === 16 ? this.u16() : this.s32();
        out.imm = this.u16();
        break;
      case OFFSET:
        memory = true;
        out.disp = addressSize === 0 ? this.u16() : this.s32();
        out.imm = addressSize === 2 ? this.s32() : 0;
        break;
      case IMMEDIATE_FULL:
        if (operandBits === 64) {
          out.disp = this.s32();
          out.imm = this.s32();
          break;
        }
        out.imm = this.immediate(IMMEDIATE, operandBits);
        break;
      default:
        out.imm = this.immediate(prepared.trailing, operandBits);
        if (prepared.second !== NOTHING) {
          // ENTER has two: the frame size in the low half, the level above it.
          const above = this.immediate(prepared.second, operandBits) << prepared.secondShift;
          out.imm = (out.imm & 0xffff) | above;
        }
    }
    if (this.short) return;
    if (prepared.rep) out.imm = rep;
    if (prepared.opcodeInImmediate) out.imm = ((this.at - start) << 16) | (opcode << 8) | modrm;
    out.ends = prepared.ends;
    out.handler = handlerFor(prepared.index, operandBits, memory, lock);
  }

  /** Which of the opcode's rows is meant; `prefixes` counts as in ACCEPTED. */
  private select(
    first: Prepared,
    modrm: number,
    prefixes: number,
    mode: number,
    rex: number,
  ): Prepared | undefined {
    for (let row: Prepared | undefined = first; row !== undefined; row = row.next) {
      if (!((row.accepted >> prefixes) & 1)) continue;
      if (row.noRexB && rex & REX_B) continue;
      if (row.noRepeat && prefixes > 1) continue;
      if (row.protectedOnly && mode & MODE_REAL) continue;
      if (row.modrm) {
        if (modrm < 0) return undefined;
        if (row.modrmByte >= 0 && row.modrmByte !== modrm) continue;
        if (row.modrmReg >= 0 && row.modrmReg !== ((modrm >> 3) & 7)) continue;
        if (row.memoryOnly && modrm >= 0xc0) continue;
        if (row.registerOnly && modrm < 0xc0) continue;
      }
      return row;
    }
    return undefined;
  }

  /** C4h and C5h are LES and LDS outside 64-bit mode, unless what follows would be their register form. */
  private isVex(is64: boolean): boolean {
    if (this.at < this.end) return is64 || this.bytes[this.at]! >= 0xc0;
    this.short = true;
    return true;
  }

  private immediate(kind: number, operandBits: number): number {
    if (kind === IMMEDIATE_BYTE) return this.s8();
    return kind === IMMEDIATE_WORD || operandBits === 16 ? (this.u16() << 16) >> 16 : this.s32();
  }

  /** A branch by `displacement` from here, which is `at` + `bias` in the page. */
  private branch(displacement: number, operandBits: number, bias: number, mode: number): void {
    const { out } = this;
    out.disp = (this.at + bias + displacement) | 0;
    out.reg = operandBits === 16 ? 16 : 0;
    const inPage = out.disp >= 0 && out.disp < PAGE_SIZE;
    out.rm = inPage && operandBits !== 16 && isLinkable(mode) ? 1 : 0;
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

/** What a record has for register `number` of a kind. */
function registerPlace(kind: number, number: number, rex: number): number {
  if (kind === GENERAL) return number * 8;
  if (kind === BYTE) return byteRegister(number, rex);
  if (kind === XMM) return number * 16;
  if (kind === MMX) return (number & 7) * 16;
  return kind === SEGMENT ? number & 7 : number;
}

/** Whether there is such a segment, control or debug register, and the instruction may name it. */
function isThere({ reg: kind, loadsSegment }: Prepared, number: number): boolean {
  if (kind === SEGMENT) return (number & 7) < 6 && !(loadsSegment && (number & 7) === SEG_CS);
  if (kind === DEBUG) return number < 8;
  return number === 0 || number === 2 || number === 3 || number === 4 || number === 8;
}

/** Byte offset of a byte register: without REX, 4-7 are AH, CH, DH and BH. */
function byteRegister(register: number, rex: number): number {
  return rex === 0 && register >= 4 && register < 8 ? (register - 4) * 8 + 1 : register * 8;
}
