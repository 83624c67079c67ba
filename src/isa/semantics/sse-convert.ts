/** Conversions between integers, single and double precision; see sse-float.ts for when the core takes over. */
import type { Builder } from '../../ir/builder.ts';
import type { Value } from '../../ir/ir.ts';
import {
  MXCSR_MASKS,
  MXCSR_PE,
  MXCSR_RC,
  SSE_FROM_F32,
  SSE_FROM_F64,
  SSE_FROM_I32,
  SSE_FROM_I64,
  SSE_TO_I32,
  SSE_TO_I64,
} from '../../layout/sse.ts';
import type { Description, Descriptions } from './common.ts';
import { byteLanes, enterMmx, shuffle, splat, withOperands, zero, type VectorOperand } from './sse-common.ts';
import {
  all,
  areInside,
  areNormalOrZero,
  bitsOf,
  computeScalar,
  computeVector,
  DOUBLE,
  float,
  floats,
  inexactIsSilent,
  isInside,
  isNormalOrZero,
  mxcsr,
  ofType,
  SINGLE,
  type Format,
} from './sse-float.ts';

function settle(
  s: Builder,
  sound: Value,
  fast: Value,
  slow: () => Value,
  write: (value: Value) => void,
): void {
  const result = s.variable(fast);
  s.if(
    sound,
    () => {},
    () => s.assign(result, ofType(s, fast.type, slow())),
    true,
  );
  write(result);
}

function patternOf({ bits }: Format, value: number): bigint {
  if (bits === 32) return BigInt(new Uint32Array(Float32Array.of(value).buffer)[0]!);
  return new BigUint64Array(Float64Array.of(value).buffer)[0]!;
}

/** i32: all masked and rounding to nearest, an inexact result noted before. */
function demotionIsSilent(s: Builder): Value {
  const mask = s.op('i32.and', mxcsr(s), s.i32(MXCSR_MASKS | MXCSR_RC | MXCSR_PE));
  return s.eq(mask, s.i32(MXCSR_MASKS | MXCSR_PE));
}

// --- to integers

/** CVTxx2SI: out of range gives the integer indefinite, which only the core does. */
function scalarToInteger(format: Format, truncate: boolean): Description {
  return withOperands((s, d, x) => {
    const { scalar } = format;
    const { bits } = d;
    const operation = bits === 64 ? SSE_TO_I64 : SSE_TO_I32;
    const b = s.let(x.getFloat());
    const rounded = truncate ? b : s.let(s.op(`${scalar}.nearest`, b));
    const limit = float(s, format, patternOf(format, bits === 64 ? 2 ** 63 : 2 ** 31));
    const size = s.op(`${scalar}.abs`, rounded);
    const integer = s.let(s.op(`i64.trunc_sat_${scalar}_s`, rounded));
    const exact = s.op(`${scalar}.eq`, truncate ? s.op(`${scalar}.trunc`, b) : rounded, b);
    const sound = all(
      s,
      s.op(`${scalar}.lt`, size, limit),
      s.op('i32.or', exact, inexactIsSilent(s, !truncate)),
    );
    const computation = { operation, format, lanes: 1, immediate: s.i32(truncate ? 1 : 0) };
    settle(
      s,
      sound,
      integer,
      () => computeScalar(s, computation, s.i64(0), bitsOf(s, b)),
      (value) => d.set(value),
    );
  });
}

/** Four singles or two doubles to 32-bit integers; two leave zeros above, or fill an MMX register. */
function vectorToIntegers(format: Format, lanes: number, truncate: boolean): Description {
  return withOperands((s, d, x) => {
    const { shape } = format;
    const b = s.let(x.getVector());
    // Even if the conversion itself raises an exception.
    if (d.bits === 64) enterMmx(s);
    const rounded = truncate ? s.op(`${shape}.trunc`, b) : s.op(`${shape}.nearest`, b);
    const whole = s.let(rounded);
    const integers = s.let(
      format.bits === 32
        ? s.op('i32x4.trunc_sat_f32x4_s', whole)
        : s.op('i32x4.trunc_sat_f64x2_s_zero', whole),
    );
    // Two singles: the other two lanes are not looked at.
    const every = (mask: Value): Value =>
      lanes === 2 && format.bits === 32
        ? s.eq(s.op('i32.and', s.op('i32x4.bitmask', mask), s.i32(3)), s.i32(3))
        : s.op('i32x4.all_true', mask);
    const inRange = every(
      s.op(`${shape}.lt`, s.op(`${shape}.abs`, whole), floats(s, format, patternOf(format, 2 ** 31))),
    );
    const exact = every(s.op(`${shape}.eq`, whole, b));
    const sound = all(s, inRange, s.op('i32.or', exact, inexactIsSilent(s, !truncate)));
    const computation = { operation: SSE_TO_I32, format, lanes, immediate: s.i32(truncate ? 1 : 0) };
    settle(
      s,
      sound,
      integers,
      () => computeVector(s, computation, b, b),
      (value) => d.setVector(value),
    );
  });
}

// --- from integers

/** CVTSI2SS and CVTSI2SD: exact up to 24 or 53 bits, beyond that rounded. */
function integerToScalar(format: Format): Description {
  return withOperands((s, d, x) => {
    const { scalar } = format;
    const value = s.let(x.getSigned());
    const result = s.let(s.op(`${scalar}.convert_i64_s`, value));
    const precision = format.bits === 32 ? 24 : 53;
    if (x.bits <= precision) {
      d.set(result);
      return;
    }
    const small = s.ltU(s.add(value, s.i64(1n << BigInt(precision))), s.i64(1n << BigInt(precision + 1)));
    const sound = s.op('i32.or', small, inexactIsSilent(s, true));
    const computation = { operation: SSE_FROM_I64, format, lanes: 1 };
    settle(
      s,
      sound,
      result,
      () => computeScalar(s, computation, s.i64(0), value),
      (v) => d.set(v),
    );
  });
}

/** i32: the 32-bit lanes fit into the 24 bits of a single. */
function fitSingle(s: Builder, value: Value, mask: number): Value {
  const high = s.op('i32x4.shr_s', value, s.i32(24));
  const fits = s.op(
    'v128.or',
    s.op('i32x4.eq', high, zero(s)),
    s.op('i32x4.eq', high, splat(s, '32x4', s.i32(-1))),
  );
  return s.eq(s.op('i32.and', s.op('i32x4.bitmask', fits), s.i32(mask)), s.i32(mask));
}

/** CVTDQ2PS, CVTPI2PS. */
function integersToSingles(lanes: number): Description {
  return withOperands((s, d, x) => {
    const value = s.let(x.getVector());
    if (lanes === 2 && !x.memory) enterMmx(s);
    const result = s.let(s.op('f32x4.convert_i32x4_s', value));
    const sound = s.op('i32.or', fitSingle(s, value, (1 << lanes) - 1), inexactIsSilent(s, true));
    const computation = { operation: SSE_FROM_I32, format: SINGLE, lanes };
    settle(
      s,
      sound,
      result,
      () => computeVector(s, computation, value, value),
      (v) => writeLanes(s, d, v, lanes),
    );
  });
}

/** Two singles leave the upper half of the destination alone. */
function writeLanes(s: Builder, d: VectorOperand, value: Value, lanes: number): void {
  if (lanes === 4) d.setVector(value);
  else d.setVector(shuffle(s, byteLanes([0, 3], 8), value, d.getVector()));
}

/** CVTDQ2PD, CVTPI2PD: always exact. */
const integersToDoubles: Description = withOperands((s, d, x) =>
  d.setVector(s.op('f64x2.convert_low_i32x4_s', x.getVector())),
);

// --- between the formats

const singleToDouble: Description = withOperands((s, d, x) => {
  const b = s.let(x.getFloat());
  const computation = { operation: SSE_FROM_F32, format: DOUBLE, lanes: 1 };
  settle(
    s,
    isNormalOrZero(s, SINGLE, b),
    s.let(s.op('f64.promote_f32', b)),
    () => computeScalar(s, computation, s.i64(0), bitsOf(s, b)),
    (v) => d.set(v),
  );
});

const doubleToSingle: Description = withOperands((s, d, x) => {
  const b = s.let(x.getFloat());
  const r = s.let(s.op('f32.demote_f64', b));
  const sound = all(s, demotionIsSilent(s), isInside(s, SINGLE, r));
  const computation = { operation: SSE_FROM_F64, format: SINGLE, lanes: 1 };
  settle(
    s,
    sound,
    r,
    () => computeScalar(s, computation, s.i64(0), bitsOf(s, b)),
    (v) => d.set(v),
  );
});

/** Only the low two lanes count. */
const singlesToDoubles: Description = withOperands((s, d, x) => {
  const whole = s.let(x.getVector());
  const b = s.let(shuffle(s, byteLanes([0, 0], 8), whole, whole));
  const computation = { operation: SSE_FROM_F32, format: DOUBLE, lanes: 2 };
  settle(
    s,
    areNormalOrZero(s, SINGLE, b),
    s.let(s.op('f64x2.promote_low_f32x4', b)),
    () => computeVector(s, computation, b, b),
    (v) => d.setVector(v),
  );
});

const doublesToSingles: Description = withOperands((s, d, x) => {
  const b = s.let(x.getVector());
  const r = s.let(s.op('f32x4.demote_f64x2_zero', b));
  const inside = s.op('i32.and', s.op('i32x4.bitmask', areInside(s, SINGLE, r)), s.i32(3));
  const sound = all(s, demotionIsSilent(s), s.eq(inside, s.i32(3)));
  const computation = { operation: SSE_FROM_F64, format: SINGLE, lanes: 2 };
  settle(
    s,
    sound,
    r,
    () => computeVector(s, computation, b, b),
    (v) => d.setVector(v),
  );
});

export const SSE_CONVERT: Descriptions = {
  cvtss2si: scalarToInteger(SINGLE, false),
  cvtsd2si: scalarToInteger(DOUBLE, false),
  cvttss2si: scalarToInteger(SINGLE, true),
  cvttsd2si: scalarToInteger(DOUBLE, true),
  cvtps2dq: vectorToIntegers(SINGLE, 4, false),
  cvttps2dq: vectorToIntegers(SINGLE, 4, true),
  cvtpd2dq: vectorToIntegers(DOUBLE, 2, false),
  cvttpd2dq: vectorToIntegers(DOUBLE, 2, true),
  cvtps2pi: vectorToIntegers(SINGLE, 2, false),
  cvttps2pi: vectorToIntegers(SINGLE, 2, true),
  cvtpd2pi: vectorToIntegers(DOUBLE, 2, false),
  cvttpd2pi: vectorToIntegers(DOUBLE, 2, true),
  cvtsi2ss: integerToScalar(SINGLE),
  cvtsi2sd: integerToScalar(DOUBLE),
  cvtdq2ps: integersToSingles(4),
  cvtpi2ps: integersToSingles(2),
  cvtdq2pd: integersToDoubles,
  cvtpi2pd: integersToDoubles,
  cvtss2sd: singleToDouble,
  cvtsd2ss: doubleToSingle,
  cvtps2pd: singlesToDoubles,
  cvtpd2ps: doublesToSingles,
};
