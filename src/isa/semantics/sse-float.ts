/**
 * Floating-point arithmetic. Each description computes with the operators of WebAssembly, which round to
 * nearest and report nothing, and keeps that result where nothing else could be seen: the operands are
 * normal numbers, so is the result, and inexactness either has its sticky flag set already or did not
 * happen. Everything else is computed again by the core's `sseCompute`, exactly and with its exceptions.
 */
import type { Builder } from '../../ir/builder.ts';
import type { Type, Value } from '../../ir/ir.ts';
import {
  MXCSR_MASKS,
  MXCSR_PE,
  MXCSR_PM,
  MXCSR_RC,
  SSE_ADD,
  SSE_ADDSUB,
  SSE_COMPARE,
  SSE_DIV,
  SSE_DOT,
  SSE_DOUBLE,
  SSE_IMMEDIATE_SHIFT,
  SSE_LANES_SHIFT,
  SSE_MAX,
  SSE_MIN,
  SSE_MUL,
  SSE_ORDER,
  SSE_RECIPROCAL,
  SSE_RECIPROCAL_ROOT,
  SSE_ROUND,
  SSE_SQRT,
  SSE_SUB,
} from '../../layout/sse.ts';
import { FLAGS_EXPLICIT, VCPU } from '../../layout/vcpu.ts';
import type { Operand } from '../operands.ts';
import { CF, ZF, type Description, type Descriptions } from './common.ts';
import {
  byteImmediate,
  byteLanes,
  lanes32,
  lanes64,
  shuffle,
  splat,
  withOperands,
  zero,
  type VectorOperand,
} from './sse-common.ts';

/** A floating-point format and what belongs to it. */
export interface Format {
  readonly scalar: 'f32' | 'f64';
  readonly shape: 'f32x4' | 'f64x2';
  readonly bits: 32 | 64;
  /** For `sseCompute`. */
  readonly code: number;
  /** Bit patterns of the smallest normal number and of infinity. */
  readonly minimum: bigint;
  readonly infinity: bigint;
}

export const SINGLE: Format = {
  scalar: 'f32',
  shape: 'f32x4',
  bits: 32,
  code: 0,
  minimum: 0x00800000n,
  infinity: 0x7f800000n,
};
export const DOUBLE: Format = {
  scalar: 'f64',
  shape: 'f64x2',
  bits: 64,
  code: SSE_DOUBLE,
  minimum: 0x0010000000000000n,
  infinity: 0x7ff0000000000000n,
};

/** A float constant by its bits. */
export function float(s: Builder, { scalar }: Format, bits: bigint): Value {
  return scalar === 'f32'
    ? s.op('f32.reinterpret_i32', s.i32(Number(bits)))
    : s.op('f64.reinterpret_i64', s.i64(bits));
}

/** The same constant in all lanes. */
export function floats(s: Builder, { bits }: Format, pattern: bigint): Value {
  const lane = Number(pattern);
  return bits === 32 ? lanes32(s, lane, lane, lane, lane) : lanes64(s, pattern);
}

export function mxcsr(s: Builder): Value {
  return s.readState('i32.load', VCPU.at.mxcsr);
}

export function all(s: Builder, ...conditions: Value[]): Value {
  return conditions.reduce((a, b) => s.op('i32.and', a, b));
}

/** i32: MXCSR has all exceptions masked, rounds to nearest and has noted an inexact result before. */
function quietAndInexact(s: Builder): Value {
  const mask = s.op('i32.and', mxcsr(s), s.i32(MXCSR_MASKS | MXCSR_RC | MXCSR_PE));
  return s.eq(mask, s.i32(MXCSR_MASKS | MXCSR_PE));
}

/** i32: a (further) inexact result changes nothing in MXCSR; with `rounding`, and it rounds to nearest. */
export function inexactIsSilent(s: Builder, rounding: boolean): Value {
  const relevant = MXCSR_PM | MXCSR_PE | (rounding ? MXCSR_RC : 0);
  return s.eq(s.op('i32.and', mxcsr(s), s.i32(relevant)), s.i32(MXCSR_PM | MXCSR_PE));
}

/** i32 for scalars, a mask for vectors: neither denormal nor NaN; infinities pass. */
function isNormal(s: Builder, shape: string, value: Value, minimum: Value): Value {
  return s.op(`${shape}.ge`, s.op(`${shape}.abs`, value), minimum);
}

/** As isNormal; zeros pass too. */
export function isNormalOrZero(s: Builder, f: Format, value: Value): Value {
  const zeroFloat = float(s, f, 0n);
  const normal = isNormal(s, f.scalar, value, float(s, f, f.minimum));
  return s.op('i32.or', normal, s.op(`${f.scalar}.eq`, value, zeroFloat));
}

/** i32: all lanes are normal or zero. */
export function areNormalOrZero(s: Builder, f: Format, value: Value): Value {
  const normal = isNormal(s, f.shape, value, floats(s, f, f.minimum));
  return s.op('i32x4.all_true', s.op('v128.or', normal, s.op(`${f.shape}.eq`, value, zero(s))));
}

/** i32: a finite number whose biased exponent is at least this. By the upper 32 bits: cheaper than to compare floats. */
function hasExponent(s: Builder, { bits }: Format, value: Value, least: number): Value {
  const upper =
    bits === 32
      ? s.op('i32.reinterpret_f32', value)
      : s.op('i32.wrap_i64', s.op('i64.shr_u', s.op('i64.reinterpret_f64', value), s.i64(32)));
  const [one, infinite] = bits === 32 ? [0x01000000, 0xff000000] : [0x00200000, 0xffe00000];
  const withoutSign = s.op('i32.shl', upper, s.i32(1));
  return s.op(
    'i32.lt_u',
    s.op('i32.sub', withoutSign, s.i32(least * one)),
    s.i32((infinite - least * one) | 0),
  );
}

/** A result that cannot have overflowed or underflowed: at least twice the smallest normal number, below infinity. */
export function isInside(s: Builder, f: Format, result: Value): Value {
  return hasExponent(s, f, result, 2);
}

export function areInside(s: Builder, f: Format, result: Value): Value {
  const size = s.let(s.op(`${f.shape}.abs`, result));
  return s.op(
    'v128.and',
    s.op(`${f.shape}.gt`, size, floats(s, f, f.minimum)),
    s.op(`${f.shape}.lt`, size, floats(s, f, f.infinity)),
  );
}

/** i64: the bits of a float. */
export function bitsOf(s: Builder, value: Value): Value {
  if (value.type === 'f64') return s.op('i64.reinterpret_f64', value);
  return s.widen(s.op('i32.reinterpret_f32', value));
}

function half(s: Builder, vector: Value, lane: 0 | 1): Value {
  return s.lanes('i64x2.extract_lane', [lane], vector);
}

export interface Computation {
  readonly operation: number;
  readonly format: Format;
  readonly lanes: number;
  /** i32. */
  readonly immediate?: Value;
}

function codeOf(s: Builder, { operation, format, lanes, immediate }: Computation): Value {
  const code = s.i32(operation | format.code | (lanes << SSE_LANES_SHIFT));
  if (!immediate) return code;
  return s.op('i32.or', code, s.op('i32.shl', immediate, s.i32(SSE_IMMEDIATE_SHIFT)));
}

/** i64: the core's result for one lane, whose operands are given by their bits. */
export function computeScalar(s: Builder, computation: Computation, a: Value, b: Value): Value {
  const none = s.i64(0);
  return s.call('sseCompute', 'i64', codeOf(s, computation), a, none, b, none);
}

/** The core's result for all lanes. */
export function computeVector(s: Builder, computation: Computation, a: Value, b: Value): Value {
  const low = s.call(
    'sseCompute',
    'i64',
    codeOf(s, computation),
    half(s, a, 0),
    half(s, a, 1),
    half(s, b, 0),
    half(s, b, 1),
  );
  const high = s.readState('i64.load', VCPU.at.scratch);
  return s.lanes('i64x2.replace_lane', [1], s.op('i64x2.splat', low), high);
}

function lanesOf(format: Format): number {
  return 128 / format.bits;
}

/** Writes what WebAssembly computed if `sound`, else what the core does. */
function settle(s: Builder, d: VectorOperand, sound: Value, fast: Value, slow: () => Value): void {
  const result = s.variable(fast);
  s.if(
    sound,
    () => {},
    () => s.assign(result, ofType(s, fast.type, slow())),
    true,
  );
  if (fast.type === 'v128') d.setVector(result);
  else d.set(result);
}

/** A float whose bits are given as an i64; other values are what they are. */
export function ofType(s: Builder, type: Type, value: Value): Value {
  if (type === 'f64') return s.op('f64.reinterpret_i64', value);
  return type === 'f32' ? s.op('f32.reinterpret_i32', s.op('i32.wrap_i64', value)) : value;
}

/** ADD, SUB, MUL, DIV on one lane. */
function scalarArithmetic(format: Format, name: string, operation: number): Description {
  const { scalar } = format;
  return withOperands((s, d, x) => {
    const b = s.let(x.getFloat());
    const a = s.let(d.getFloat());
    const r = s.let(s.op(`${scalar}.${name}`, a, b));
    const sound = all(
      s,
      quietAndInexact(s),
      hasExponent(s, format, a, 1),
      hasExponent(s, format, b, 1),
      isInside(s, format, r),
    );
    settle(s, d, sound, r, () =>
      computeScalar(s, { operation, format, lanes: 1 }, bitsOf(s, a), bitsOf(s, b)),
    );
  });
}

/** `fast` gives the wasm result of whole vectors; the core's operation may differ in name only. */
function vectorArithmetic(
  format: Format,
  operation: number,
  fast: (s: Builder, a: Value, b: Value) => Value,
  operands: (s: Builder, a: Value, b: Value) => [Value, Value] = (_s, a, b) => [a, b],
): Description {
  const { shape } = format;
  return withOperands((s, d, x) => {
    const second = s.let(x.getVector());
    const first = s.let(d.getVector());
    const [a, b] = operands(s, first, second).map((value) => s.let(value)) as [Value, Value];
    const r = s.let(fast(s, a, b));
    const smaller = s.op(`${shape}.pmin`, s.op(`${shape}.abs`, a), s.op(`${shape}.abs`, b));
    const normal = s.op(`${shape}.ge`, smaller, floats(s, format, format.minimum));
    const inside = s.op('i32x4.all_true', s.op('v128.and', normal, areInside(s, format, r)));
    const sound = all(s, quietAndInexact(s), inside);
    settle(s, d, sound, r, () => computeVector(s, { operation, format, lanes: lanesOf(format) }, a, b));
  });
}

function scalarRoot(format: Format): Description {
  return withOperands((s, d, x) => {
    const b = s.let(x.getFloat());
    const r = s.let(s.op(`${format.scalar}.sqrt`, b));
    const normal = hasExponent(s, format, b, 1);
    const sound = all(s, quietAndInexact(s), normal, isInside(s, format, r));
    settle(s, d, sound, r, () =>
      computeScalar(s, { operation: SSE_SQRT, format, lanes: 1 }, s.i64(0), bitsOf(s, b)),
    );
  });
}

function vectorRoot(format: Format): Description {
  return withOperands((s, d, x) => {
    const b = s.let(x.getVector());
    const r = s.let(s.op(`${format.shape}.sqrt`, b));
    const normal = isNormal(s, format.shape, b, floats(s, format, format.minimum));
    const inside = s.op('i32x4.all_true', s.op('v128.and', normal, areInside(s, format, r)));
    const sound = all(s, quietAndInexact(s), inside);
    settle(s, d, sound, r, () =>
      computeVector(s, { operation: SSE_SQRT, format, lanes: lanesOf(format) }, b, b),
    );
  });
}

/** MIN and MAX give the second operand unless the first is strictly smaller or larger. */
function scalarChoice(format: Format, name: 'lt' | 'gt', operation: number): Description {
  return withOperands((s, d, x) => {
    const b = s.let(x.getFloat());
    const a = s.let(d.getFloat());
    const r = s.select(s.op(`${format.scalar}.${name}`, a, b), a, b);
    const sound = all(s, isNormalOrZero(s, format, a), isNormalOrZero(s, format, b));
    settle(s, d, sound, s.let(r), () =>
      computeScalar(s, { operation, format, lanes: 1 }, bitsOf(s, a), bitsOf(s, b)),
    );
  });
}

function vectorChoice(format: Format, name: 'pmin' | 'pmax', operation: number): Description {
  return withOperands((s, d, x) => {
    const b = s.let(x.getVector());
    const a = s.let(d.getVector());
    // wasm gives its first operand unless the second is strictly smaller or larger.
    const r = s.op(`${format.shape}.${name}`, b, a);
    const sound = all(s, areNormalOrZero(s, format, a), areNormalOrZero(s, format, b));
    settle(s, d, sound, s.let(r), () =>
      computeVector(s, { operation, format, lanes: lanesOf(format) }, a, b),
    );
  });
}

/** The predicates EQ LT LE UNORD and, with bit 2, their negations, for operands that are not NaN. */
function predicate(s: Builder, immediate: Value, eq: Value, lt: Value, le: Value, never: Value): Value {
  const bit = (mask: number): Value => s.op('i32.and', immediate, s.i32(mask));
  return s.select(bit(2), s.select(bit(1), never, le), s.select(bit(1), lt, eq));
}

function compareScalar(format: Format): Description {
  const { scalar } = format;
  return withOperands((s, d, x, _site, imm) => {
    const immediate = s.let(s.op('i32.and', byteImmediate(s, imm), s.i32(7)));
    const b = s.let(x.getFloat());
    const a = s.let(d.getFloat());
    const [eq, lt, le] = ['eq', 'lt', 'le'].map((name) => s.op(`${scalar}.${name}`, a, b)) as [
      Value,
      Value,
      Value,
    ];
    const holds = predicate(s, immediate, eq, lt, le, s.i32(0));
    const negated = s.op('i32.xor', holds, s.op('i32.shr_u', immediate, s.i32(2)));
    const mask = s.let(s.sub(s.i64(0), s.widen(negated)));
    const sound = all(s, isNormalOrZero(s, format, a), isNormalOrZero(s, format, b));
    settle(s, d, sound, mask, () =>
      computeScalar(s, { operation: SSE_COMPARE, format, lanes: 1, immediate }, bitsOf(s, a), bitsOf(s, b)),
    );
  });
}

function compareVector(format: Format): Description {
  const { shape } = format;
  return withOperands((s, d, x, _site, imm) => {
    const immediate = s.let(s.op('i32.and', byteImmediate(s, imm), s.i32(7)));
    const b = s.let(x.getVector());
    const a = s.let(d.getVector());
    const [eq, lt, le] = ['eq', 'lt', 'le'].map((name) => s.op(`${shape}.${name}`, a, b)) as [
      Value,
      Value,
      Value,
    ];
    const holds = predicate(s, immediate, eq, lt, le, zero(s));
    const negation = splat(s, '32x4', s.op('i32.sub', s.i32(0), s.op('i32.shr_u', immediate, s.i32(2))));
    const mask = s.let(s.op('v128.xor', holds, negation));
    const sound = all(s, areNormalOrZero(s, format, a), areNormalOrZero(s, format, b));
    settle(s, d, sound, mask, () =>
      computeVector(s, { operation: SSE_COMPARE, format, lanes: lanesOf(format), immediate }, a, b),
    );
  });
}

/** COMISS and UCOMISS: ZF, PF, CF = 000 greater, 001 less, 100 equal, 111 unordered; OF, SF and AF are cleared. */
function order(format: Format, quiet: boolean): Description {
  const { scalar } = format;
  return withOperands((s, d, x) => {
    const b = s.let(x.getFloat());
    const a = s.let(d.getFloat());
    const less = s.mul(s.widen(s.op(`${scalar}.lt`, a, b)), s.i64(CF));
    const equal = s.mul(s.widen(s.op(`${scalar}.eq`, a, b)), s.i64(ZF));
    const image = s.variable(s.or(less, equal));
    const sound = all(s, isNormalOrZero(s, format, a), isNormalOrZero(s, format, b));
    s.if(
      s.eqz(sound),
      () => {
        const immediate = s.i32(quiet ? 1 : 0);
        const computation = { operation: SSE_ORDER, format, lanes: 1, immediate };
        s.assign(image, computeScalar(s, computation, bitsOf(s, a), bitsOf(s, b)));
      },
      undefined,
      false,
    );
    s.flags(FLAGS_EXPLICIT, undefined, image);
  });
}

/** Only the core knows; these are rare. */
function coreScalar(format: Format, operation: number): Description {
  return withOperands((s, d, x) => {
    const b = s.let(x.get());
    d.set(computeScalar(s, { operation, format, lanes: 1 }, d.get(), b));
  });
}

function coreVector(format: Format, operation: number): Description {
  return withOperands((s, d, x, _site, imm) => {
    const b = s.let(x.getVector());
    const computation = { operation, format, lanes: lanesOf(format) };
    const immediate = imm && byteImmediate(s, imm);
    d.setVector(
      computeVector(s, immediate ? { ...computation, immediate } : computation, s.let(d.getVector()), b),
    );
  });
}

/** ROUNDxx: bits 1-0 of the immediate are the mode, unless bit 2 says MXCSR's; bit 3 keeps inexactness quiet. */
function rounding(s: Builder, imm: Operand | undefined): { immediate: Value; mode: Value; silent: Value } {
  const immediate = byteImmediate(s, imm);
  const fromMxcsr = s.op('i32.and', s.op('i32.shr_u', mxcsr(s), s.i32(13)), s.i32(3));
  const mode = s.let(
    s.select(s.op('i32.and', immediate, s.i32(4)), fromMxcsr, s.op('i32.and', immediate, s.i32(3))),
  );
  const silent = s.op(
    'i32.or',
    s.op('i32.and', s.op('i32.shr_u', immediate, s.i32(3)), s.i32(1)),
    inexactIsSilent(s, false),
  );
  return { immediate, mode, silent: s.let(silent) };
}

function roundBy(s: Builder, shape: string, mode: Value, value: Value): Value {
  const bit = (mask: number): Value => s.op('i32.and', mode, s.i32(mask));
  const by = (name: string): Value => s.op(`${shape}.${name}`, value);
  return s.select(
    bit(2),
    s.select(bit(1), by('trunc'), by('ceil')),
    s.select(bit(1), by('floor'), by('nearest')),
  );
}

function roundScalar(format: Format): Description {
  return withOperands((s, d, x, _site, imm) => {
    const { immediate, mode, silent } = rounding(s, imm);
    const b = s.let(x.getFloat());
    const r = s.let(roundBy(s, format.scalar, mode, b));
    const exact = s.op(`${format.scalar}.eq`, r, b);
    const sound = all(s, isNormalOrZero(s, format, b), s.op('i32.or', exact, silent));
    settle(s, d, sound, r, () =>
      computeScalar(s, { operation: SSE_ROUND, format, lanes: 1, immediate }, s.i64(0), bitsOf(s, b)),
    );
  });
}

function roundVector(format: Format): Description {
  return withOperands((s, d, x, _site, imm) => {
    const { immediate, mode, silent } = rounding(s, imm);
    const b = s.let(x.getVector());
    const r = s.let(roundBy(s, format.shape, mode, b));
    const exact = s.op('i32x4.all_true', s.op(`${format.shape}.eq`, r, b));
    const sound = all(s, areNormalOrZero(s, format, b), s.op('i32.or', exact, silent));
    settle(s, d, sound, r, () =>
      computeVector(s, { operation: SSE_ROUND, format, lanes: lanesOf(format), immediate }, b, b),
    );
  });
}

/** HADD and HSUB: even with odd lanes, those of the destination first. */
function horizontal(format: Format, name: string, operation: number): Description {
  const lanes = lanesOf(format);
  const pick = (odd: number): number[] =>
    byteLanes(
      Array.from({ length: lanes }, (_, i) => i * 2 + odd),
      format.bits / 8,
    );
  return vectorArithmetic(
    format,
    operation,
    (s, a, b) => s.op(`${format.shape}.${name}`, a, b),
    (s, a, b) => [shuffle(s, pick(0), a, b), shuffle(s, pick(1), a, b)],
  );
}

/** Even lanes subtract: that is, add with the sign turned. */
function alternating(format: Format): Description {
  const signs = (s: Builder): Value =>
    format.bits === 32 ? lanes32(s, 0x80000000, 0, 0x80000000, 0) : lanes64(s, 1n << 63n, 0n);
  return vectorArithmetic(format, SSE_ADDSUB, (s, a, b) =>
    s.op(`${format.shape}.add`, a, s.op('v128.xor', b, signs(s))),
  );
}

/** The four formats of an instruction. */
function family(
  name: string,
  scalar: (format: Format) => Description,
  vector: (format: Format) => Description,
): Record<string, Description> {
  return {
    [`${name}ss`]: scalar(SINGLE),
    [`${name}sd`]: scalar(DOUBLE),
    [`${name}ps`]: vector(SINGLE),
    [`${name}pd`]: vector(DOUBLE),
  };
}

function arithmetic(name: string, operation: number): Record<string, Description> {
  return family(
    name,
    (f) => scalarArithmetic(f, name, operation),
    (f) => vectorArithmetic(f, operation, (s, a, b) => s.op(`${f.shape}.${name}`, a, b)),
  );
}

export const SSE_FLOAT: Descriptions = {
  ...arithmetic('add', SSE_ADD),
  ...arithmetic('sub', SSE_SUB),
  ...arithmetic('mul', SSE_MUL),
  ...arithmetic('div', SSE_DIV),
  ...family('sqrt', scalarRoot, vectorRoot),
  ...family(
    'min',
    (f) => scalarChoice(f, 'lt', SSE_MIN),
    (f) => vectorChoice(f, 'pmin', SSE_MIN),
  ),
  ...family(
    'max',
    (f) => scalarChoice(f, 'gt', SSE_MAX),
    (f) => vectorChoice(f, 'pmax', SSE_MAX),
  ),
  ...family('cmp', compareScalar, compareVector),
  ...family('round', roundScalar, roundVector),
  comiss: order(SINGLE, false),
  comisd: order(DOUBLE, false),
  ucomiss: order(SINGLE, true),
  ucomisd: order(DOUBLE, true),
  addsubps: alternating(SINGLE),
  addsubpd: alternating(DOUBLE),
  haddps: horizontal(SINGLE, 'add', SSE_ADD),
  haddpd: horizontal(DOUBLE, 'add', SSE_ADD),
  hsubps: horizontal(SINGLE, 'sub', SSE_SUB),
  hsubpd: horizontal(DOUBLE, 'sub', SSE_SUB),
  dpps: coreVector(SINGLE, SSE_DOT),
  dppd: coreVector(DOUBLE, SSE_DOT),
  rcpss: coreScalar(SINGLE, SSE_RECIPROCAL),
  rcpps: coreVector(SINGLE, SSE_RECIPROCAL),
  rsqrtss: coreScalar(SINGLE, SSE_RECIPROCAL_ROOT),
  rsqrtps: coreVector(SINGLE, SSE_RECIPROCAL_ROOT),
};
