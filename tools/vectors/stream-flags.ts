/**
 * Which arithmetic flags instructions read and define, by description (`Row.semantics`), so that a stream of instructions never
 * depends on a flag that the manuals leave undefined. References as in src/interp/vectors-undefined.ts.
 */
import { AF, CF, OF, PF, SF, UNDEFINED, undefinedAfter, ZF } from '../../src/interp/vectors-undefined.ts';
import type { Row } from '../../src/isa/tables/row.ts';

export const ALL_FLAGS = CF | PF | AF | ZF | SF | OF;

/** By condition code / 2: O, B, E, BE, S, P, L, LE. */
const CONDITION_READS = [OF, CF, ZF, CF | ZF, SF, PF, SF | OF, SF | OF | ZF];

const READS: Readonly<Record<string, number>> = {
  adc: CF,
  sbb: CF,
  rcl: CF,
  rcr: CF,
  salc: CF,
  cmc: CF,
  daa: CF | AF,
  das: CF | AF,
  aaa: AF,
  aas: AF,
  lahf: SF | ZF | AF | PF | CF,
  adcx: CF,
  adox: OF,
  pushf: ALL_FLAGS,
  // FCMOVcc.
  x87reg: CF | ZF | PF,
};

/** Set whatever the operands are; what UNDEFINED names is taken off again. */
const WRITES: Readonly<Record<string, number>> = {
  ...Object.fromEntries(
    'add adc sub sbb cmp neg xadd cmpxchg and or xor test mul imul imul1 imul2 popcnt andn blsi blsr blsmsk bzhi bextr'
      .split(' ')
      .map((name) => [name, ALL_FLAGS]),
  ),
  ...Object.fromEntries(
    'comiss comisd ucomiss ucomisd ptest pcmpestri pcmpestrm pcmpistri pcmpistrm'
      .split(' ')
      .map((name) => [name, ALL_FLAGS]),
  ),
  inc: ALL_FLAGS & ~CF,
  dec: ALL_FLAGS & ~CF,
  bt: CF,
  bts: CF,
  btr: CF,
  btc: CF,
  bsf: ZF,
  bsr: ZF,
  tzcnt: CF | ZF,
  lzcnt: CF | ZF,
  aaa: AF | CF,
  aas: AF | CF,
  daa: ALL_FLAGS & ~OF,
  das: ALL_FLAGS & ~OF,
  aam: SF | ZF | PF,
  aad: SF | ZF | PF,
  sahf: SF | ZF | AF | PF | CF,
  clc: CF,
  stc: CF,
  cmc: CF,
  cmpxchg8b: ZF,
  adcx: CF,
  adox: OF,
};

export function flagsRead(row: Row): number {
  if (row.semantics.endsWith('cc')) return CONDITION_READS[row.condition >> 1]!;
  return READS[row.semantics] ?? 0;
}

const ROTATES: ReadonlySet<string> = new Set(['rol', 'ror', 'rcl', 'rcr']);

/** The flags that are undefined behind an instruction, given those before it. `count`: of a shift, if it is known. */
export function undefinedFlags(before: number, row: Row, size: number, count: number | undefined): number {
  const { semantics } = row;
  if (count === undefined) {
    const possible = (UNDEFINED[semantics] ?? []).reduce((flags, rule) => flags | rule.flags, 0);
    return (before & ~(WRITES[semantics] ?? 0)) | possible;
  }
  const masked = count & (size === 64 ? 63 : 31);
  if (masked === 0) return before;
  const left = undefinedAfter(semantics, { size, count: masked }).flags;
  return ROTATES.has(semantics) ? (before & ~(CF | OF)) | left : left;
}
