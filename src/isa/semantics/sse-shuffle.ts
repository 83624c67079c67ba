/** Permutations: shuffles, blends, alignment and extension of lanes. */
import type { Builder } from '../../ir/builder.ts';
import type { Value } from '../../ir/ir.ts';
import type { Description, Descriptions } from './common.ts';
import {
  binary,
  byteImmediate,
  byteIndices,
  byteLanes,
  lanes32,
  lowHalves,
  shuffle,
  splat,
  unary,
  withOperands,
} from './sse-common.ts';
import { laneMask } from './sse-move.ts';

/** The four 2-bit fields of an immediate, as 32-bit lanes. */
function fields(s: Builder, control: Value): Value {
  // Each lane's field is moved to bits 7-6 by a multiplication, as lanes have no shift count of their own.
  const moved = s.op('i32x4.mul', splat(s, '32x4', control), lanes32(s, 64, 16, 4, 1));
  return s.op('v128.and', s.op('i32x4.shr_u', moved, s.i32(6)), lanes32(s, 3, 3, 3, 3));
}

function constantFields(control: Value): number[] | undefined {
  if (control.kind !== 'const') return undefined;
  const bits = Number(control.value);
  return [0, 2, 4, 6].map((shift) => (bits >> shift) & 3);
}

/** Byte indices of the 32-bit lanes that the immediate names. */
function doublewordIndices(s: Builder, control: Value): Value {
  const first = s.op('i32x4.mul', fields(s, control), splat(s, '32x4', s.i32(0x04040404)));
  return s.op('i32x4.add', first, splat(s, '32x4', s.i32(0x03020100)));
}

const pshufd: Description = withOperands((s, d, x, _site, imm) => {
  const control = byteImmediate(s, imm);
  const value = s.let(x.getVector());
  const known = constantFields(control);
  d.setVector(
    known
      ? shuffle(s, byteLanes(known, 4), value, value)
      : s.op('i8x16.swizzle', value, doublewordIndices(s, control)),
  );
});

/** PSHUFW, PSHUFLW and PSHUFHW permute the words of one half. */
function shuffleWords(high: boolean): Description {
  return withOperands((s, d, x, _site, imm) => {
    const control = byteImmediate(s, imm);
    const value = s.let(x.getVector());
    const known = constantFields(control);
    const first = high ? 4 : 0;
    if (known) {
      const chosen = known.map((field) => field + first);
      d.setVector(
        shuffle(s, byteLanes(high ? [0, 1, 2, 3, ...chosen] : [...chosen, 4, 5, 6, 7], 2), value, value),
      );
      return;
    }
    const narrowed = s.op('i16x8.narrow_i32x4_u', fields(s, control), fields(s, control));
    const start = first * 0x0202 + 0x0100;
    const chosen = s.op(
      'i16x8.add',
      s.op('i16x8.mul', narrowed, splat(s, '16x8', s.i32(0x0202))),
      splat(s, '16x8', s.i32(start)),
    );
    // The other half keeps its place.
    const indices = shuffle(s, byteLanes(high ? [0, 3] : [2, 1], 8), byteIndices(s), chosen);
    d.setVector(s.op('i8x16.swizzle', value, indices));
  });
}

/** SHUFPS: the lower two lanes from the destination, the upper two from the source. */
const shufps: Description = withOperands((s, d, x, _site, imm) => {
  const control = byteImmediate(s, imm);
  const b = s.let(x.getVector());
  const a = s.let(d.getVector());
  const known = constantFields(control);
  if (known) {
    d.setVector(
      shuffle(
        s,
        byteLanes(
          known.map((field, i) => field + (i < 2 ? 0 : 4)),
          4,
        ),
        a,
        b,
      ),
    );
    return;
  }
  const indices = s.let(doublewordIndices(s, control));
  const low = s.op('i8x16.swizzle', a, indices);
  const high = s.op('i8x16.swizzle', b, indices);
  d.setVector(shuffle(s, byteLanes([0, 3], 8), low, high));
});

const shufpd: Description = withOperands((s, d, x, _site, imm) => {
  const control = byteImmediate(s, imm);
  const b = s.let(x.getVector());
  const a = s.let(d.getVector());
  const half = (v: Value, bit: number): Value => {
    const chosen = s.op('i32.and', control, s.i32(bit));
    return s.select(chosen, s.lanes('i64x2.extract_lane', [1], v), s.lanes('i64x2.extract_lane', [0], v));
  };
  d.setVector(s.lanes('i64x2.replace_lane', [1], s.op('i64x2.splat', half(a, 1)), half(b, 2)));
});

/** PSHUFB: bit 7 of an index gives 0, bits above the register's size are ignored. */
const pshufb: Description = binary((s, a, b, width) => {
  const mask = splat(s, '8x16', s.i32(width === 128 ? 0x8f : 0x87));
  return s.op('i8x16.swizzle', a, s.op('v128.and', b, mask));
});

/** PALIGNR: destination above source, moved right by whole bytes. */
const palignr: Description = withOperands((s, d, x, _site, imm) => {
  const count = byteImmediate(s, imm);
  const b = s.let(x.getVector());
  const a = s.let(d.getVector());
  const indices = s.let(s.op('i8x16.add_sat_u', byteIndices(s), splat(s, '8x16', count)));
  if (d.bits === 64) {
    d.setVector(s.op('i8x16.swizzle', lowHalves(s, b, a), indices));
    return;
  }
  const low = s.op('i8x16.swizzle', b, indices);
  const high = s.op('i8x16.swizzle', a, s.op('i8x16.sub', indices, splat(s, '8x16', s.i32(16))));
  d.setVector(s.op('v128.or', low, high));
});

/** Blends by the sign of each lane of XMM0. */
function blendVariable(shape: string, bits: number): Description {
  return binary((s, a, b) => {
    const xmm0 = s.readRegister({ file: 'xmm', where: 0 }, 16, false);
    return s.op('v128.bitselect', b, a, s.op(`${shape}.shr_s`, xmm0, s.i32(bits - 1)));
  });
}

/** Blends by the bits of the immediate. */
function blend(bytes: 2 | 4 | 8): Description {
  return withOperands((s, d, x, _site, imm) => {
    const control = byteImmediate(s, imm);
    const b = s.let(x.getVector());
    const a = s.let(d.getVector());
    if (control.kind !== 'const') {
      d.setVector(s.op('v128.bitselect', b, a, laneMask(s, control, bytes)));
      return;
    }
    const lanes = 16 / bytes;
    const bits = Number(control.value);
    const chosen = Array.from({ length: lanes }, (_, i) => i + ((bits >> i) & 1) * lanes);
    d.setVector(shuffle(s, byteLanes(chosen, bytes), a, b));
  });
}

/** PMOVSX and PMOVZX: as many doublings as lie between the two sizes. */
function extend(...ops: string[]): Description {
  return unary((s, x) => ops.reduce((value, op) => s.op(op, value), x));
}

function extensions(suffix: 's' | 'u'): Record<string, Description> {
  const name = suffix === 's' ? 'pmovsx' : 'pmovzx';
  const bw = `i16x8.extend_low_i8x16_${suffix}`;
  const wd = `i32x4.extend_low_i16x8_${suffix}`;
  const dq = `i64x2.extend_low_i32x4_${suffix}`;
  return {
    [`${name}bw`]: extend(bw),
    [`${name}bd`]: extend(bw, wd),
    [`${name}bq`]: extend(bw, wd, dq),
    [`${name}wd`]: extend(wd),
    [`${name}wq`]: extend(wd, dq),
    [`${name}dq`]: extend(dq),
  };
}

export const SSE_SHUFFLE: Descriptions = {
  pshufd,
  pshufw: shuffleWords(false),
  pshuflw: shuffleWords(false),
  pshufhw: shuffleWords(true),
  shufps,
  shufpd,
  pshufb,
  palignr,
  pblendvb: blendVariable('i8x16', 8),
  blendvps: blendVariable('i32x4', 32),
  blendvpd: blendVariable('i64x2', 64),
  blendps: blend(4),
  blendpd: blend(8),
  pblendw: blend(2),
  ...extensions('s'),
  ...extensions('u'),
};
