/** PCMPESTRI, PCMPESTRM, PCMPISTRI and PCMPISTRM (Intel SDM vol. 2, 4.1). The core compares, this places the result. */
import type { Builder } from '../../ir/builder.ts';
import type { Value } from '../../ir/ir.ts';
import { FLAGS_EXPLICIT, REG_RAX, REG_RCX, REG_RDX } from '../../layout/vcpu.ts';
import { general, RegisterOperand } from '../operands.ts';
import type { Description, Descriptions } from './common.ts';
import { byteImmediate, lanes8, shuffle, splat, withOperands, zero } from './sse-common.ts';
import { laneMask } from './sse-move.ts';

/** Told to `compareStrings` beside the immediate: strings end at their first zero. */
const IMPLICIT_LENGTH = 0x100;
/** In its result: index of the last or first match, and flags; the mask is in the low 16 bits. */
const INDEX_SHIFT = 16;
const FLAGS_SHIFT = 32;

/** A byte of ones or zeros for each of 16 bits. */
function byteMask(s: Builder, bits: Value): Value {
  const both = s.let(splat(s, '16x8', bits));
  const spread = shuffle(s, [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1], both, both);
  const weights = lanes8(s, 1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128);
  return s.op('i8x16.eq', s.op('v128.and', spread, weights), weights);
}

function compareStrings(explicit: boolean, index: boolean): Description {
  return withOperands((s, d, x, site, imm) => {
    const control = byteImmediate(s, imm);
    const b = s.let(x.getVector());
    const a = s.let(d.getVector());
    const half = (v: Value, lane: number): Value => s.lanes('i64x2.extract_lane', [lane], v);
    const length = (register: number): Value =>
      explicit ? new RegisterOperand(s, general(register), site.form.operandBits).getSigned() : s.i64(0);
    const result = s.call(
      'compareStrings',
      'i64',
      explicit ? control : s.op('i32.or', control, s.i32(IMPLICIT_LENGTH)),
      half(a, 0),
      half(a, 1),
      half(b, 0),
      half(b, 1),
      length(REG_RAX),
      length(REG_RDX),
    );
    if (index) {
      s.writeRegister(general(REG_RCX), 8, s.and(s.shrU(result, s.i64(INDEX_SHIFT)), s.i64(0xff)));
    } else {
      const mask = s.let(s.and(result, s.i64(0xffff)));
      const bits = s.let(s.narrow(mask));
      const expanded = s.select(s.op('i32.and', control, s.i32(1)), laneMask(s, bits, 2), byteMask(s, bits));
      const plain = s.lanes('i64x2.replace_lane', [0], zero(s), mask);
      const xmm0 = { file: 'xmm', where: 0 } as const;
      s.writeRegister(xmm0, 16, s.select(s.op('i32.and', control, s.i32(0x40)), expanded, plain));
    }
    s.flags(FLAGS_EXPLICIT, undefined, s.shrU(result, s.i64(FLAGS_SHIFT)));
  });
}

export const SSE_STRING: Descriptions = {
  pcmpestri: compareStrings(true, true),
  pcmpestrm: compareStrings(true, false),
  pcmpistri: compareStrings(false, true),
  pcmpistrm: compareStrings(false, false),
};
