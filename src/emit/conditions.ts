/** What the lazy flags (FLAGS_* of layout/vcpu.ts) say about the condition codes. */
import {
  FLAGS_ADC,
  FLAGS_ADD,
  FLAGS_DEC,
  FLAGS_EXPLICIT,
  FLAGS_INC,
  FLAGS_LOGIC,
  FLAGS_RESULT,
  FLAGS_SBB,
  FLAGS_SUB,
} from '../layout/vcpu.ts';
import type { Code } from '../wasmgen/code.ts';

export const FLAGS_KINDS = FLAGS_RESULT + 1;

/** Emitters of the three values behind the flags: each leaves an i64. */
export interface FlagValues {
  readonly result: () => void;
  readonly a: () => void;
  readonly b: () => void;
}

/** The comparison of a and b that a condition is after a subtraction. */
const COMPARISONS: Readonly<Record<number, string>> = {
  2: 'i64.lt_u',
  4: 'i64.eq',
  6: 'i64.le_u',
  12: 'i64.lt_s',
  14: 'i64.le_s',
};

/** The bit of RFLAGS that a condition is: OF, CF, ZF, SF, PF. */
export const CONDITION_BITS: Readonly<Record<number, number>> = { 0: 11, 2: 0, 4: 6, 8: 7, 10: 2 };

/** The other conditions, of two simpler ones and an operator: CF or ZF, SF != OF, that or ZF. */
export const COMPOSED_CONDITIONS: Readonly<
  Record<number, readonly [first: number, second: number, operator: string]>
> = { 6: [2, 4, 'i32.or'], 12: [8, 0, 'i32.ne'], 14: [12, 4, 'i32.or'] };

/** Takes a value with bits of RFLAGS, an i64, and leaves that of a condition as an i32. */
export function emitConditionBit(code: Code, even: number): void {
  const position = CONDITION_BITS[even]!;
  code.op('i32.wrap_i64');
  if (position > 0) code.i32Const(position).op('i32.shr_u');
  code.i32Const(1).op('i32.and');
}

/** Leaves an i32, 0 or 1: whether condition code `even` (0, 2, ... 14; the odd ones are their negation) holds. */
export function emitCondition(code: Code, even: number, kind: number, values: FlagValues): void {
  const { result, a, b } = values;
  const bit = (): void => {
    a();
    emitConditionBit(code, even);
  };
  const negative = (): void => void code.i64Const(0n).op('i64.lt_s');
  if (kind === FLAGS_SUB && COMPARISONS[even]) {
    a();
    b();
    code.op(COMPARISONS[even]);
    return;
  }
  const composed = COMPOSED_CONDITIONS[even];
  if (composed !== undefined && kind !== FLAGS_LOGIC) {
    const [first, second, operator] = composed;
    emitCondition(code, first, kind, values);
    emitCondition(code, second, kind, values);
    code.op(operator);
    return;
  }
  if (composed === undefined && kind === FLAGS_EXPLICIT) {
    bit();
    return;
  }
  switch (even) {
    case 0:
      overflow();
      return;
    case 2:
      carry();
      return;
    case 4:
      result();
      code.op('i64.eqz');
      return;
    case 6:
      emitCondition(code, 4, kind, values);
      return;
    case 8:
      result();
      negative();
      return;
    case 10:
      result();
      code.op('i32.wrap_i64').i32Const(0xff).op('i32.and');
      code.op('i32.popcnt').i32Const(1).op('i32.and').op('i32.eqz');
      return;
    case 12:
      emitCondition(code, 8, kind, values);
      return;
    default:
      result();
      code.i64Const(0n).op('i64.le_s');
  }

  function carry(): void {
    switch (kind) {
      case FLAGS_LOGIC:
        code.i32Const(0);
        return;
      case FLAGS_ADD:
      case FLAGS_ADC:
        result();
        a();
        code.op(kind === FLAGS_ADD ? 'i64.lt_u' : 'i64.le_u');
        return;
      case FLAGS_SUB:
      case FLAGS_SBB:
        a();
        b();
        code.op(kind === FLAGS_SUB ? 'i64.lt_u' : 'i64.le_u');
        return;
      case FLAGS_INC:
      case FLAGS_DEC:
        b();
        code.op('i32.wrap_i64');
        return;
      default:
        bit();
    }
  }

  function overflow(): void {
    /** The sign of (p ^ q) & (p ^ r). */
    const signsDiffer = (p: () => void, q: () => void, r: () => void): void => {
      p();
      q();
      code.op('i64.xor');
      p();
      r();
      code.op('i64.xor').op('i64.and');
      negative();
    };
    switch (kind) {
      case FLAGS_LOGIC:
        code.i32Const(0);
        return;
      case FLAGS_ADD:
      case FLAGS_ADC:
        signsDiffer(result, a, b);
        return;
      case FLAGS_SUB:
      case FLAGS_SBB:
        signsDiffer(a, b, result);
        return;
      case FLAGS_INC:
      case FLAGS_DEC: {
        const [set, clear] = kind === FLAGS_INC ? [result, a] : [a, result];
        clear();
        code.i64Const(-1n).op('i64.xor');
        set();
        code.op('i64.and');
        negative();
        return;
      }
      default:
        bit();
    }
  }
}
