import type { Value } from './ir.ts';

/**
 * Constant folding and identities, applied when a value is made. Only what instruction descriptions
 * produce in practice; anything else stays an operator.
 */
export function fold(op: string, args: readonly Value[]): Value | undefined {
  const [a, b] = args;
  if (!a) return undefined;
  if (a.kind === 'const' && (!b || b.kind === 'const') && args.length <= 2) {
    return evaluate(op, a.value, b?.kind === 'const' ? b.value : 0n);
  }
  if (b?.kind === 'const') return identity(op, a, b.value);
  if (a.kind === 'const' && COMMUTATIVE.test(op) && b) return identity(op, b, a.value);
  return undefined;
}

const COMMUTATIVE = /^i(32|64)\.(add|and|or|xor|mul)$/;

function identity(op: string, a: Value, b: bigint): Value | undefined {
  const dot = op.indexOf('.');
  const ones = op.startsWith('i32') ? 0xffffffffn : 0xffffffffffffffffn;
  switch (op.slice(dot + 1)) {
    case 'add':
    case 'sub':
    case 'or':
    case 'xor':
    case 'shl':
    case 'shr_s':
    case 'shr_u':
      return b === 0n ? a : undefined;
    case 'and':
      if (b === ones) return a;
      return b === 0n ? constant(op.startsWith('i32') ? 'i32' : 'i64', 0n) : undefined;
    case 'mul':
      return b === 1n ? a : undefined;
    default:
      return undefined;
  }
}

export function constant(type: 'i32' | 'i64', value: bigint): Value {
  return { kind: 'const', type, value: BigInt.asUintN(type === 'i32' ? 32 : 64, value) };
}

function evaluate(op: string, a: bigint, b: bigint): Value | undefined {
  const type = op.startsWith('i32.') ? 'i32' : op.startsWith('i64.') ? 'i64' : undefined;
  if (!type) return undefined;
  const bits = type === 'i32' ? 32 : 64;
  const signed = (v: bigint): bigint => BigInt.asIntN(bits, v);
  const count = b & BigInt(bits - 1);
  const bool = (v: boolean): Value => constant('i32', v ? 1n : 0n);
  switch (op.slice(4)) {
    case 'add':
      return constant(type, a + b);
    case 'sub':
      return constant(type, a - b);
    case 'mul':
      return constant(type, a * b);
    case 'and':
      return constant(type, a & b);
    case 'or':
      return constant(type, a | b);
    case 'xor':
      return constant(type, a ^ b);
    case 'shl':
      return constant(type, a << count);
    case 'shr_u':
      return constant(type, a >> count);
    case 'shr_s':
      return constant(type, signed(a) >> count);
    case 'eqz':
      return bool(a === 0n);
    case 'eq':
      return bool(a === b);
    case 'ne':
      return bool(a !== b);
    case 'lt_u':
      return bool(a < b);
    case 'le_u':
      return bool(a <= b);
    case 'gt_u':
      return bool(a > b);
    case 'ge_u':
      return bool(a >= b);
    case 'lt_s':
      return bool(signed(a) < signed(b));
    case 'le_s':
      return bool(signed(a) <= signed(b));
    case 'gt_s':
      return bool(signed(a) > signed(b));
    case 'ge_s':
      return bool(signed(a) >= signed(b));
    case 'extend8_s':
      return constant(type, BigInt.asIntN(8, a));
    case 'extend16_s':
      return constant(type, BigInt.asIntN(16, a));
    case 'extend32_s':
      return constant(type, BigInt.asIntN(32, a));
    case 'wrap_i64':
      return constant('i32', a);
    case 'extend_i32_u':
      return constant('i64', a);
    case 'extend_i32_s':
      return constant('i64', BigInt.asIntN(32, a));
    default:
      return undefined;
  }
}
