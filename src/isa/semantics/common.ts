import type { Builder } from '../../ir/builder.ts';
import type { Value } from '../../ir/ir.ts';
import { VCPU } from '../../layout/vcpu.ts';
import type { Operand, Site } from '../operands.ts';

/** What an instruction does: its operands in the order of its row, and the site for everything else. */
export type Description = (s: Builder, site: Site, ...operands: Operand[]) => void;
export type Descriptions = Readonly<Record<string, Description>>;

export const VECTOR_DE = 0;
export const VECTOR_UD = 6;
export const VECTOR_GP = 13;

export const CONDITION_B = 2;

export const CF = 1n;
export const PF = 4n;
export const AF = 0x10n;
export const ZF = 0x40n;
export const SF = 0x80n;
export const OF = 0x800n;
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
  s.if(cpl, () => s.raise(VECTOR_GP, s.i32(0)), undefined, false);
}
