/**
 * x87 instructions: each is one function of the core. Where the code is known when the description is built, in
 * translated code, that is the function for just this instruction.
 */
import type { Builder } from '../../ir/builder.ts';
import type { Value } from '../../ir/ir.ts';
import type { CoreName } from '../../layout/core-abi.ts';
import type { MemoryOperand, Site } from '../operands.ts';
import type { Descriptions } from './common.ts';

/** By ModRM.reg of the arithmetic opcodes with registers. */
const ARITHMETIC: readonly CoreName[] = [
  'x87Add',
  'x87Multiply',
  'x87Compare',
  'x87Compare',
  'x87Add',
  'x87Add',
  'x87Divide',
  'x87Divide',
];

/** The function for an instruction with register operands; code: opcode byte << 8 | ModRM byte. */
export function registerFunction(code: number): CoreName {
  const modrm = code & 0xff;
  const row = (code >> 3) & 7;
  switch ((code >> 8) & 0xff) {
    case 0xd8:
    case 0xdc:
      return ARITHMETIC[row]!;
    case 0xd9:
      if (row === 0) return 'x87LoadRegister';
      if (row === 1) return 'x87Exchange';
      if (modrm === 0xe0 || modrm === 0xe1) return 'x87Sign';
      if (modrm === 0xe8 || modrm === 0xee) return 'x87LoadConstant';
      if (modrm === 0xfa) return 'x87SquareRoot';
      return 'x87Other';
    case 0xda:
      if (modrm === 0xe9) return 'x87Compare';
      return row < 4 ? 'x87ConditionalMove' : 'x87Other';
    case 0xdb:
      if (row < 4) return 'x87ConditionalMove';
      return row === 5 || row === 6 ? 'x87CompareFlags' : 'x87Other';
    case 0xdd:
      if (row === 1) return 'x87Exchange';
      if (row === 2 || row === 3) return 'x87StoreRegister';
      return row === 4 || row === 5 ? 'x87Compare' : 'x87Other';
    case 0xde:
      return row === 3 && modrm !== 0xd9 ? 'x87Other' : ARITHMETIC[row]!;
    default:
      if (modrm === 0xe0) return 'x87StatusWord';
      if (row === 1) return 'x87Exchange';
      if (row === 2 || row === 3) return 'x87StoreRegister';
      return row === 5 || row === 6 ? 'x87CompareFlags' : 'x87Other';
  }
}

/** The function for an instruction with a memory operand. */
export function memoryFunction(code: number): CoreName {
  const row = (code >> 3) & 7;
  switch ((code >> 8) & 0xff) {
    case 0xd8:
    case 0xda:
    case 0xdc:
    case 0xde:
      return 'x87Operate';
    case 0xd9:
    case 0xdd:
      if (row === 0) return 'x87LoadFloat';
      if (row === 2 || row === 3) return 'x87StoreFloat';
      if (row === 7) return 'x87StoreWord';
      if (((code >> 8) & 0xff) === 0xd9 && row === 5) return 'x87LoadControl';
      break;
    case 0xdb:
      if (row === 0) return 'x87LoadInteger';
      if (row === 5) return 'x87LoadExtended';
      if (row === 7) return 'x87StoreExtended';
      if (row >= 1 && row <= 3) return 'x87StoreInteger';
      break;
    case 0xdf:
      if (row === 0 || row === 5) return 'x87LoadInteger';
      if (row < 4 || row === 7) return 'x87StoreInteger';
  }
  return 'x87Memory';
}

function codeOf(s: Builder, site: Site): { readonly value: Value; readonly known: number | undefined } {
  const value = site.immediate(s);
  return { value: s.narrow(value), known: value.kind === 'const' ? Number(value.value) : undefined };
}

export const X87: Descriptions = {
  x87reg: (s, site) => {
    const { value, known } = codeOf(s, site);
    s.status(known === undefined ? 'x87Register' : registerFunction(known), value);
  },
  x87mem: (s, site, d) => {
    const target = d as MemoryOperand;
    const { value, known } = codeOf(s, site);
    const name = known === undefined ? 'x87Memory' : memoryFunction(known);
    const linear = target.linear(1, 0);
    if (name === 'x87Memory') {
      s.status(name, value, linear, target.segmentValue, s.i32(site.form.operandBits / 8));
    } else {
      s.status(name, value, linear, target.segmentValue);
    }
  },
};
