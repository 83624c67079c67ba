import type { Builder } from '../../ir/builder.ts';
import type { Value } from '../../ir/ir.ts';
import { EXCEPTION_GP } from '../../layout/exceptions.ts';
import { FLAG_AF, FLAG_CF, FLAG_OF, FLAG_PF, FLAG_SF, FLAG_ZF } from '../../layout/registers.ts';
import { FLAGS_SUB, VCPU } from '../../layout/vcpu.ts';
import type { Operand, Site } from '../operands.ts';

/** What an instruction does: its operands in the order of its row, and the site for everything else. */
export type Description = (s: Builder, site: Site, ...operands: Operand[]) => void;
export type Descriptions = Readonly<Record<string, Description>>;

export const CONDITION_O = 0;
export const CONDITION_B = 2;

export const CF = BigInt(FLAG_CF);
export const PF = BigInt(FLAG_PF);
export const AF = BigInt(FLAG_AF);
export const ZF = BigInt(FLAG_ZF);
export const SF = BigInt(FLAG_SF);
export const OF = BigInt(FLAG_OF);
export const OF_SHIFT = 11;

/** i64: CF as 0 or 1. */
export function carry(s: Builder): Value {
  return s.widen(s.condition(CONDITION_B));
}

/** i64: the six arithmetic flags at their EFLAGS positions. */
export function arithmeticFlags(s: Builder): Value {
  return s.call('materializeFlags', 'i64');
}

/** #GP(0) unless CPL is 0. */
export function requireCpl0(s: Builder): void {
  const cpl = s.readState('i32.load', VCPU.at.cpl);
  s.if(cpl, () => s.raise(EXCEPTION_GP, s.i32(0)), undefined, false);
}

/** The flags of a - b, both sign-extended temporaries. */
export function compare(s: Builder, a: Value, b: Value, bits: number): void {
  s.flags(FLAGS_SUB, s.let(s.signExtend(s.sub(a, b), bits)), a, b);
}
