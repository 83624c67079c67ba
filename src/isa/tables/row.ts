/**
 * One row per opcode, in the notation of the opcode maps (Intel SDM vol. 2 appendix A, AMD APM vol. 3
 * appendix A). A table is text, one row a line:
 *
 *     opcode  mnemonic  operands  attributes
 *
 * opcode      [VEX.] a VEX prefix, [NP. 66. F2. F3.] mandatory prefix, [0F. 0F38. 0F3A.] map, two hex digits,
 *             then one of
 *             `+r` register in the low three bits, `+c` condition in the low four bits (the mnemonic
 *             gets it as a suffix: `j` becomes `jo`, `jno`, ...), `/n` ModRM.reg, `.XX` whole ModRM byte
 * operands    comma separated, `-` for none. Letter = where, then size:
 *             E ModRM register or memory; R the same, register only; M the same, memory only;
 *             G ModRM.reg register; B VEX.vvvv register; Z register in the opcode; I immediate; J branch displacement;
 *             A far pointer in the code; O offset in the code; S segment register; C control, D debug
 *             register; W and V as E and G for XMM, U as R for XMM; Q, P, N the same for MMX.
 *             Sizes in bits: b 8, w 16, d 32, q 64, x 128, v operand size, z operand size but 32 for 64,
 *             y 32 or 64 (REX.W), p far pointer, s descriptor-table register image.
 *             `Ibs`: a byte, sign-extended to the operand size.
 *             Anything else is a fixed register (AL CL AX DX rAX ES ...) or the constant 1.
 * attributes  lock   the LOCK prefix is allowed with a memory destination
 *             os     depends on the operand size although no operand says so
 *             d64    operand size 64 by default in 64-bit mode (66h gives 16; there is no 32)
 *             f64    operand size always 64 in 64-bit mode (AMD: 66h gives 16 for near branches)
 *             i64    invalid in 64-bit mode; o64 only valid there
 *             rep    REP prefixes matter: the record's immediate is 0, 1 (F3) or 2 (F2)
 *             opcode the record's immediate is length << 16 | opcode << 8 | ModRM
 *             norexb only without REX.B
 *             norep  only without F2 and F3
 *             without=N...  not with these values of ModRM.reg
 *             end    ends a block
 *             only=N only with this operand size
 *             y      the operand size is 32 or 64 (REX.W) although no operand says so
 *             unaligned  a 128-bit memory operand need not be aligned
 *             pm     only in protected mode: not in real and virtual-8086 mode
 *             if=N   only while CPUID has the feature N (isa/cpuid.ts); without it the next row that fits is taken
 */
export interface Row {
  /** MAP_*, with MAP_VEX set for what has a VEX prefix. */
  readonly map: number;
  readonly opcode: number;
  /** 0 = none needed; otherwise PREFIX_*. */
  readonly prefix: number;
  readonly modrmReg: number | undefined;
  readonly modrmByte: number | undefined;
  /** The row stands for this opcode and the next seven. */
  readonly registerInOpcode: boolean;
  readonly mnemonic: string;
  /** The description in isa/semantics; differs from the mnemonic for condition codes. */
  readonly semantics: string;
  readonly condition: number;
  readonly operands: readonly OperandSpec[];
  readonly attributes: ReadonlySet<string>;
}

export interface OperandSpec {
  /** One of the letters above, or `fixed`. */
  readonly letter: string;
  /** A size letter, or the text of a fixed operand. */
  readonly size: string;
}

export const MAP_ONE_BYTE = 0;
export const MAP_0F = 1;
export const MAP_0F38 = 2;
export const MAP_0F3A = 3;
/** Added. Without a VEX prefix these are other instructions or none. */
export const MAP_VEX = 4;

export const PREFIX_ANY = 0;
export const PREFIX_NONE = 1;
export const PREFIX_66 = 2;
export const PREFIX_F2 = 3;
export const PREFIX_F3 = 4;

/** The byte of a mandatory prefix, and the escape bytes of a map. */
export const PREFIX_BYTES: readonly (number | undefined)[] = [undefined, undefined, 0x66, 0xf2, 0xf3];
export const MAP_ESCAPES: readonly (readonly number[])[] = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]];

export const CONDITION_NAMES = 'o no b ae e ne be a s ns p np l ge le g'.split(' ');

const MAPS: Record<string, number> = { '0F': MAP_0F, '0F38': MAP_0F38, '0F3A': MAP_0F3A };
const PREFIXES: Record<string, number> = {
  NP: PREFIX_NONE,
  '66': PREFIX_66,
  F2: PREFIX_F2,
  F3: PREFIX_F3,
};
const OPCODE = /^([0-9A-F]{2})(\+r|\+c)?(?:\/([0-7]))?$/;
const OPERAND = /^([EGRMIJAOSCDZWVUQPNB])(bs|[bwdqxvzyps])$/;

/** Parses a table; a malformed row is a mistake in the source and throws. */
export function parseTable(text: string): Row[] {
  return text
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '')
    .flatMap(parseRow);
}

function parseRow(line: string): Row[] {
  const [opcodeText = '', mnemonic = '', operandText = '-', ...attributes] = line.split(/\s+/);
  const tokens = opcodeText.split('.');
  const vex = tokens[0] === 'VEX';
  if (vex) tokens.shift();
  const prefix = tokens.length > 1 ? PREFIXES[tokens[0] ?? ''] : undefined;
  if (prefix !== undefined) tokens.shift();
  const map = tokens.length > 1 ? MAPS[tokens[0] ?? ''] : undefined;
  if (map !== undefined) tokens.shift();
  const match = OPCODE.exec(tokens[0] ?? '');
  if (!match) throw new Error(`opcode table: cannot read "${line}"`);
  const [, opcodeHex = '', suffix, digit] = match;
  const modrm = tokens[1];
  const operands = operandText === '-' ? [] : operandText.split(',').map(parseOperand);
  const row: Row = {
    map: (map ?? MAP_ONE_BYTE) | (vex ? MAP_VEX : 0),
    opcode: parseInt(opcodeHex, 16),
    prefix: prefix ?? PREFIX_ANY,
    modrmReg: digit === undefined ? undefined : Number(digit),
    modrmByte: modrm === undefined ? undefined : parseInt(modrm, 16),
    registerInOpcode: suffix === '+r',
    mnemonic,
    semantics: suffix === '+c' ? `${mnemonic}cc` : mnemonic,
    condition: 0,
    operands,
    attributes: new Set(attributes),
  };
  if (suffix === '+c') {
    return CONDITION_NAMES.map((name, i) => ({
      ...row,
      opcode: row.opcode + i,
      mnemonic: mnemonic + name,
      condition: i,
    }));
  }
  return [row];
}

function parseOperand(text: string): OperandSpec {
  const match = OPERAND.exec(text);
  if (match) return { letter: match[1] ?? '', size: match[2] ?? '' };
  return { letter: 'fixed', size: text };
}

/** Whether an operand of this row comes from a ModRM byte. */
export function hasModrm(row: Row): boolean {
  return (
    row.modrmReg !== undefined ||
    row.modrmByte !== undefined ||
    row.operands.some(({ letter }) => 'ERMGWVUQPNSCD'.includes(letter))
  );
}

/** The operand that ModRM.rm names, if any: it decides between register and memory forms. */
export function rmOperand(row: Row): OperandSpec | undefined {
  return row.operands.find(({ letter }) => 'ERMWUQN'.includes(letter));
}
