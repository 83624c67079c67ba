/** A decoded instruction as text, near to the manual's notation: for reports where there is no disassembler. */
import { REG_PAGE_RIP, REG_ZERO, RECORD_SEGMENT_SHIFT } from '../layout/vcpu.ts';
import type { Form } from './forms.ts';
import type { OperandSpec } from './tables/row.ts';

export interface InstructionFields {
  readonly form: Form;
  readonly reg: number;
  readonly rm: number;
  readonly index: number;
  readonly flags: number;
  readonly disp: number;
  readonly imm: number;
}

const NAMES = 'ax cx dx bx sp bp si di'.split(' ');
const SEGMENTS = 'es cs ss ds fs gs'.split(' ');

function general(offset: number, bits: number): string {
  const number = offset >> 3;
  if (offset & 7) return `${NAMES[number]![0]}h`;
  if (number >= 8) return `r${number}${bits === 8 ? 'b' : bits === 16 ? 'w' : bits === 32 ? 'd' : ''}`;
  const name = NAMES[number]!;
  if (bits === 8) return number < 4 ? `${name[0]}l` : `${name}l`;
  return bits === 16 ? name : bits === 32 ? `e${name}` : `r${name}`;
}

function hex(value: number): string {
  return value < 0 ? `-${(-value).toString(16)}h` : `${value.toString(16)}h`;
}

/** Of a place in the code's page or near it. */
function address(page: bigint, offset: number): string {
  return `${BigInt.asUintN(64, page + BigInt(offset)).toString(16)}h`;
}

function memory({ rm, index, flags, disp }: InstructionFields, page: bigint): string {
  const segment = SEGMENTS[(flags >> RECORD_SEGMENT_SHIFT) & 7] ?? '';
  const parts: string[] = [];
  if (rm === REG_PAGE_RIP * 8) return `${segment}:[${address(page, disp)}]`;
  if (rm !== REG_ZERO * 8) parts.push(general(rm, 64));
  if (index !== REG_ZERO * 8) parts.push(`${general(index, 64)}*${1 << (flags & 3)}`);
  if (disp !== 0 || parts.length === 0) parts.push(hex(disp));
  return `${segment}:[${parts.join('+').replace('+-', '-')}]`;
}

function bitsOf({ size }: OperandSpec, form: Form): number {
  if (size === 'b') return 8;
  if (size === 'w') return 16;
  if (size === 'd') return 32;
  if (size === 'q') return 64;
  return form.operandBits === 0 ? 64 : form.operandBits;
}

function operandText(operand: OperandSpec, fields: InstructionFields, page: bigint): string {
  const { form, reg, rm, disp, imm } = fields;
  switch (operand.letter) {
    case 'E':
      return form.memory ? memory(fields, page) : general(rm, bitsOf(operand, form));
    case 'M':
      return memory(fields, page);
    case 'R':
      return general(rm, bitsOf(operand, form));
    case 'G':
      return general(reg, bitsOf(operand, form));
    case 'I':
      return hex(imm);
    case 'J':
      return address(page, disp);
    case 'V':
      return `xmm${reg >> 4}`;
    case 'W':
      return form.memory ? memory(fields, page) : `xmm${rm >> 4}`;
    case 'fixed':
      return operand.size;
    default:
      return form.memory ? `${operand.letter}${operand.size}` : `${operand.letter}${operand.size}:${hex(rm)}`;
  }
}

/** `page` is (E/R)IP at the start of the code's page. */
export function instructionText(fields: InstructionFields, page: bigint): string {
  const { row, locked } = fields.form;
  const operands = row.operands.map((operand) => operandText(operand, fields, page));
  return `${locked ? 'lock ' : ''}${row.mnemonic} ${operands.join(', ')}`.trim();
}
