/** Integer arithmetic, comparison and logic on XMM and MMX registers. */
import type { Builder } from '../../ir/builder.ts';
import type { Value } from '../../ir/ir.ts';
import { FLAGS_EXPLICIT } from '../../layout/vcpu.ts';
import { CF, ZF, type Description, type Descriptions } from './common.ts';
import { MemoryOperand, RegisterOperand, type Operand } from '../operands.ts';
import {
  binary,
  byteImmediate,
  byteIndices,
  byteLanes,
  lanes32,
  lanes64,
  lowHalves,
  shuffle,
  splat,
  unary,
  vectorOperand,
  withOperands,
  zero,
  zeroUnless,
} from './sse-common.ts';

/** The wasm operator does just this. */
function same(op: string): Description {
  return binary((s, a, b) => s.op(op, a, b));
}

const andNot: Description = binary((s, a, b) => s.op('v128.andnot', b, a));

/** Narrowing takes its low half from the destination; with MMX registers that is all they hold. */
function pack(op: string): Description {
  return binary((s, a, b, width) => {
    if (width === 128) return s.op(op, a, b);
    const both = s.let(lowHalves(s, a, b));
    return s.op(op, both, both);
  });
}

const LOW_HALF = 0;
const HIGH_HALF = 1;

/** PUNPCK: alternating lanes of `size` bytes from one half of each operand. */
function interleave(half: number, size: number): Description {
  return binary((s, a, b, width) => {
    const lanes = 16 / size;
    // The high half of an MMX register is the middle of what the low half of an XMM register gives.
    const low = half === LOW_HALF || width === 64;
    const first = low ? 0 : lanes / 2;
    const order = Array.from({ length: lanes }, (_, i) => first + (i >> 1) + (i & 1) * lanes);
    const mixed = shuffle(s, byteLanes(order, size), a, b);
    if (half === LOW_HALF || width !== 64) return mixed;
    const value = s.let(mixed);
    return shuffle(s, byteLanes([1, 1], 8), value, value);
  });
}

/** The count of a shift: an immediate, or the low 64 bits of a vector. */
function shiftCount(s: Builder, x: Operand): Value {
  if (x instanceof RegisterOperand || x instanceof MemoryOperand) {
    return s.let(x.bits === 64 ? x.get() : s.lanes('i64x2.extract_lane', [0], x.getVector()));
  }
  return s.let(x.get());
}

/** Shifts by `bits` or more give zeros, or the sign. */
function shift(op: string, bits: number): Description {
  return (s, _site, d, x) => {
    const target = vectorOperand(d);
    const count = shiftCount(s, x);
    const inRange = s.ltU(count, s.i64(bits));
    const value = target.getVector();
    if (op.endsWith('shr_s')) {
      target.setVector(s.op(op, value, s.select(inRange, s.narrow(count), s.i32(bits - 1))));
    } else {
      target.setVector(zeroUnless(s, inRange, s.op(op, value, s.narrow(count))));
    }
  };
}

/** PSLLDQ and PSRLDQ: whole bytes; 16 or more give 0. */
function byteShift(left: boolean): Description {
  return (s, _site, d, x) => {
    const target = vectorOperand(d);
    const value = target.getVector();
    const count = s.let(s.narrow(x.get()));
    const bytes = splat(s, '8x16', s.select(s.ltU(count, s.i32(16)), count, s.i32(16)));
    // Indices that leave 0-15 give 0.
    const from = s.op(left ? 'i8x16.sub' : 'i8x16.add', byteIndices(s), bytes);
    target.setVector(s.op('i8x16.swizzle', value, from));
  };
}

const evenLanes16 = [0, 2, 4, 6, 8, 10, 12, 14];
const oddLanes16 = [1, 3, 5, 7, 9, 11, 13, 15];
const evenLanes32 = [0, 2, 4, 6];
const oddLanes32 = [1, 3, 5, 7];

/** PHADD and PHSUB: even with odd lanes, those of the destination first. */
function horizontal(op: string, size: 2 | 4): Description {
  const even = byteLanes(size === 2 ? evenLanes16 : evenLanes32, size);
  const odd = byteLanes(size === 2 ? oddLanes16 : oddLanes32, size);
  return binary((s, a, b, width) => {
    if (width === 128) return s.op(op, shuffle(s, even, a, b), shuffle(s, odd, a, b));
    const both = s.let(lowHalves(s, a, b));
    return s.op(op, shuffle(s, even, both, both), shuffle(s, odd, both, both));
  });
}

/** PSIGN: negated, zeroed or kept by the sign of the second operand. */
function sign(shape: string): Description {
  return binary((s, a, b) => {
    const negative = s.let(s.op(`${shape}.lt_s`, b, zero(s)));
    const negated = s.op(`${shape}.sub`, s.op('v128.xor', a, negative), negative);
    return s.op('v128.and', negated, s.op(`${shape}.ne`, b, zero(s)));
  });
}

/** The upper halves of the 32-bit products of 16-bit lanes. */
function multiplyHigh(signed: boolean): Description {
  const suffix = signed ? 's' : 'u';
  return binary((s, a, b) =>
    shuffle(
      s,
      byteLanes(oddLanes16, 2),
      s.op(`i32x4.extmul_low_i16x8_${suffix}`, a, b),
      s.op(`i32x4.extmul_high_i16x8_${suffix}`, a, b),
    ),
  );
}

/** Products of the even 32-bit lanes. */
function multiplyEven(signed: boolean): Description {
  const even = byteLanes([0, 2, 0, 2], 4);
  return binary((s, a, b) =>
    s.op(`i64x2.extmul_low_i32x4_${signed ? 's' : 'u'}`, shuffle(s, even, a, a), shuffle(s, even, b, b)),
  );
}

/** PMULHRSW: -1 * -1 overflows to -1, where wasm saturates. */
const multiplyRounded: Description = binary((s, a, b) => {
  const minimum = splat(s, '16x8', s.i32(0x8000));
  const both = s.op('v128.and', s.op('i16x8.eq', a, minimum), s.op('i16x8.eq', b, minimum));
  return s.op('v128.xor', s.op('i16x8.q15mulr_sat_s', a, b), both);
});

/** PMADDUBSW: unsigned bytes of the destination times signed bytes of the source, added in pairs with saturation. */
const multiplyAddBytes: Description = binary((s, a, b) => {
  const eight = s.i32(8);
  const evenUnsigned = s.op('v128.and', a, splat(s, '16x8', s.i32(0xff)));
  const evenSigned = s.op('i16x8.shr_s', s.op('i16x8.shl', b, eight), eight);
  const even = s.op('i16x8.mul', evenUnsigned, evenSigned);
  const odd = s.op('i16x8.mul', s.op('i16x8.shr_u', a, eight), s.op('i16x8.shr_s', b, eight));
  return s.op('i16x8.add_sat_s', even, odd);
});

export function absoluteDifference(s: Builder, a: Value, b: Value): Value {
  return s.op('i8x16.sub', s.op('i8x16.max_u', a, b), s.op('i8x16.min_u', a, b));
}

/** PSADBW: the sum of eight absolute differences in each half. */
const sumOfDifferences: Description = binary((s, a, b) => {
  const words = s.op('i16x8.extadd_pairwise_i8x16_u', absoluteDifference(s, a, b));
  const sums = s.let(s.op('i32x4.extadd_pairwise_i16x8_u', words));
  const low = s.op('v128.and', sums, lanes64(s, 0xffffffffn));
  return s.op('i64x2.add', low, s.op('i64x2.shr_u', sums, s.i32(32)));
});

/** MPSADBW: eight sums of four absolute differences; bit 2 and bits 1-0 of the immediate choose the blocks. */
const multipleSums: Description = withOperands((s, d, x, _site, imm) => {
  const control = byteImmediate(s, imm);
  const b = s.let(x.getVector());
  const a = s.let(d.getVector());
  const first = s.let(splat(s, '8x16', s.op('i32.and', control, s.i32(4))));
  const block = s.let(splat(s, '8x16', s.op('i32.shl', s.op('i32.and', control, s.i32(3)), s.i32(2))));
  let sum: Value | undefined;
  for (let k = 0; k < 4; k++) {
    const offset = splat(s, '8x16', s.i32(k));
    const moving = s.op(
      'i8x16.swizzle',
      a,
      s.op('i8x16.add', s.op('i8x16.add', byteIndices(s), offset), first),
    );
    const fixed = s.op('i8x16.swizzle', b, s.op('i8x16.add', offset, block));
    const term = s.op('i16x8.extend_low_i8x16_u', absoluteDifference(s, s.let(moving), s.let(fixed)));
    sum = sum ? s.op('i16x8.add', sum, term) : term;
  }
  d.setVector(sum!);
});

/** PHMINPOSUW: the smallest word, then its index; value << 3 | index orders by both. */
const minimumPosition: Description = unary((s, x) => {
  const three = s.i32(3);
  const tagged = (half: string, indices: Value): Value =>
    s.op('v128.or', s.op('i32x4.shl', s.op(`i32x4.extend_${half}_i16x8_u`, x), three), indices);
  const four = s.let(
    s.op('i32x4.min_u', tagged('low', lanes32(s, 0, 1, 2, 3)), tagged('high', lanes32(s, 4, 5, 6, 7))),
  );
  const two = s.let(s.op('i32x4.min_u', four, shuffle(s, byteLanes([1, 0], 8), four, four)));
  const one = s.op('i32x4.min_u', two, shuffle(s, byteLanes([1, 0, 3, 2], 4), two, two));
  const best = s.let(s.widen(s.lanes('i32x4.extract_lane', [0], one)));
  const index = s.shl(s.and(best, s.i64(7)), s.i64(16));
  return s.lanes('i64x2.replace_lane', [0], zero(s), s.or(s.shrU(best, s.i64(3)), index));
});

/** PTEST: ZF = no common bit, CF = no bit of the source outside the destination. */
const ptest: Description = withOperands((s, d, x) => {
  const b = s.let(x.getVector());
  const a = s.let(d.getVector());
  const none = (v: Value): Value => s.widen(s.eqz(s.op('v128.any_true', v)));
  const zf = s.mul(none(s.op('v128.and', a, b)), s.i64(ZF));
  const cf = s.mul(none(s.op('v128.andnot', b, a)), s.i64(CF));
  s.flags(FLAGS_EXPLICIT, undefined, s.or(zf, cf));
});

function logical(op: string): Record<string, Description> {
  const name = op.slice(op.indexOf('.') + 1);
  const mnemonic = name === 'andnot' ? 'andn' : name;
  const description = name === 'andnot' ? andNot : same(op);
  return { [`p${mnemonic}`]: description, [`${mnemonic}ps`]: description, [`${mnemonic}pd`]: description };
}

export const SSE_INTEGER: Descriptions = {
  ...logical('v128.and'),
  ...logical('v128.andnot'),
  ...logical('v128.or'),
  ...logical('v128.xor'),
  ptest,

  paddb: same('i8x16.add'),
  paddw: same('i16x8.add'),
  paddd: same('i32x4.add'),
  paddq: same('i64x2.add'),
  psubb: same('i8x16.sub'),
  psubw: same('i16x8.sub'),
  psubd: same('i32x4.sub'),
  psubq: same('i64x2.sub'),
  paddsb: same('i8x16.add_sat_s'),
  paddsw: same('i16x8.add_sat_s'),
  paddusb: same('i8x16.add_sat_u'),
  paddusw: same('i16x8.add_sat_u'),
  psubsb: same('i8x16.sub_sat_s'),
  psubsw: same('i16x8.sub_sat_s'),
  psubusb: same('i8x16.sub_sat_u'),
  psubusw: same('i16x8.sub_sat_u'),
  pavgb: same('i8x16.avgr_u'),
  pavgw: same('i16x8.avgr_u'),

  pcmpeqb: same('i8x16.eq'),
  pcmpeqw: same('i16x8.eq'),
  pcmpeqd: same('i32x4.eq'),
  pcmpeqq: same('i64x2.eq'),
  pcmpgtb: same('i8x16.gt_s'),
  pcmpgtw: same('i16x8.gt_s'),
  pcmpgtd: same('i32x4.gt_s'),
  pcmpgtq: same('i64x2.gt_s'),
  pminub: same('i8x16.min_u'),
  pminsb: same('i8x16.min_s'),
  pminuw: same('i16x8.min_u'),
  pminsw: same('i16x8.min_s'),
  pminud: same('i32x4.min_u'),
  pminsd: same('i32x4.min_s'),
  pmaxub: same('i8x16.max_u'),
  pmaxsb: same('i8x16.max_s'),
  pmaxuw: same('i16x8.max_u'),
  pmaxsw: same('i16x8.max_s'),
  pmaxud: same('i32x4.max_u'),
  pmaxsd: same('i32x4.max_s'),

  pmullw: same('i16x8.mul'),
  pmulld: same('i32x4.mul'),
  pmulhw: multiplyHigh(true),
  pmulhuw: multiplyHigh(false),
  pmuludq: multiplyEven(false),
  pmuldq: multiplyEven(true),
  pmulhrsw: multiplyRounded,
  pmaddwd: same('i32x4.dot_i16x8_s'),
  pmaddubsw: multiplyAddBytes,
  psadbw: sumOfDifferences,
  mpsadbw: multipleSums,
  phminposuw: minimumPosition,

  psllw: shift('i16x8.shl', 16),
  pslld: shift('i32x4.shl', 32),
  psllq: shift('i64x2.shl', 64),
  psrlw: shift('i16x8.shr_u', 16),
  psrld: shift('i32x4.shr_u', 32),
  psrlq: shift('i64x2.shr_u', 64),
  psraw: shift('i16x8.shr_s', 16),
  psrad: shift('i32x4.shr_s', 32),
  pslldq: byteShift(true),
  psrldq: byteShift(false),

  pabsb: unary((s, x) => s.op('i8x16.abs', x)),
  pabsw: unary((s, x) => s.op('i16x8.abs', x)),
  pabsd: unary((s, x) => s.op('i32x4.abs', x)),
  psignb: sign('i8x16'),
  psignw: sign('i16x8'),
  psignd: sign('i32x4'),
  phaddw: horizontal('i16x8.add', 2),
  phaddsw: horizontal('i16x8.add_sat_s', 2),
  phaddd: horizontal('i32x4.add', 4),
  phsubw: horizontal('i16x8.sub', 2),
  phsubsw: horizontal('i16x8.sub_sat_s', 2),
  phsubd: horizontal('i32x4.sub', 4),

  packsswb: pack('i8x16.narrow_i16x8_s'),
  packuswb: pack('i8x16.narrow_i16x8_u'),
  packssdw: pack('i16x8.narrow_i32x4_s'),
  packusdw: pack('i16x8.narrow_i32x4_u'),
  punpcklbw: interleave(LOW_HALF, 1),
  punpcklwd: interleave(LOW_HALF, 2),
  punpckldq: interleave(LOW_HALF, 4),
  punpcklqdq: interleave(LOW_HALF, 8),
  punpckhbw: interleave(HIGH_HALF, 1),
  punpckhwd: interleave(HIGH_HALF, 2),
  punpckhdq: interleave(HIGH_HALF, 4),
  punpckhqdq: interleave(HIGH_HALF, 8),
  unpcklps: interleave(LOW_HALF, 4),
  unpcklpd: interleave(LOW_HALF, 8),
  unpckhps: interleave(HIGH_HALF, 4),
  unpckhpd: interleave(HIGH_HALF, 8),
};
