/** Moves between XMM, MMX and general registers and memory. */
import type { Builder } from '../../ir/builder.ts';
import type { Value } from '../../ir/ir.ts';
import { REG_RDI } from '../../layout/vcpu.ts';
import { general, MemoryOperand, RegisterOperand, type Operand, type Site } from '../operands.ts';
import type { Description, Descriptions } from './common.ts';
import {
  byteImmediate,
  byteIndices,
  byteLanes,
  enterMmx,
  lanes16,
  lanes64,
  shuffle,
  splat,
  unary,
  vectorOperand,
  withOperands,
  zero,
  type VectorOperand,
} from './sse-common.ts';

/** All of a 128-bit operand. */
const wholeVector: Description = withOperands((_s, d, x) => d.setVector(x.getVector()));

/** The low bits alone, whichever side is memory. */
const lowPart: Description = (_s, _site, d, x) => d.set(x.get());

function isXmm(operand: VectorOperand): boolean {
  return operand instanceof RegisterOperand && operand.ref.file === 'xmm';
}

/** An i64 at the bottom of a v128, zeros above. */
function extended(s: Builder, value: Value): Value {
  return s.lanes('i64x2.replace_lane', [0], zero(s), value);
}

/** MOVD and MOVQ: into an XMM register with zeros above. */
const zeroExtended: Description = withOperands((s, d, x) => {
  if (!isXmm(d)) d.set(x.get());
  else if (isXmm(x)) d.setVector(s.op('v128.and', x.getVector(), lanes64(s, 0xffffffffffffffffn, 0n)));
  else if (x instanceof MemoryOperand) d.setVector(x.getVector());
  else d.setVector(extended(s, x.get()));
});

/** MOVSS and MOVSD: only a load clears the rest of the register. */
const scalar: Description = withOperands((_s, d, x) => {
  if (x instanceof MemoryOperand) d.setVector(x.getVector());
  else d.set(x.get());
});

const highHalf: Description = withOperands((s, d, x) => {
  if (d instanceof MemoryOperand) d.set(s.lanes('i64x2.extract_lane', [1], x.getVector()));
  else d.setVector(s.lanes('i64x2.replace_lane', [1], d.getVector(), x.get()));
});

function halves(lanes: readonly number[]): Description {
  return withOperands((s, d, x) => {
    const b = x.getVector();
    d.setVector(shuffle(s, byteLanes(lanes, 8), d.getVector(), b));
  });
}

function duplicate(lanes: readonly number[], size: number): Description {
  return unary((s, x) => shuffle(s, byteLanes(lanes, size), x, x));
}

function signMask(op: string): Description {
  return (s, _site, d, x) => {
    const mask = s.widen(s.op(op, vectorOperand(x).getVector()));
    // An MMX register is in both halves.
    d.set(x.bits === 64 ? s.zeroExtend(mask, 8) : mask);
  };
}

/** MASKMOVQ and MASKMOVDQU: the bytes whose mask byte is negative, at DS:rDI. */
const maskedStore: Description = withOperands((s, d, mask, site) => {
  const bytes = d.bits / 8;
  // Even if the store faults.
  if (bytes === 8) enterMmx(s);
  const rdi = s.readRegister(general(REG_RDI), 8, false);
  const target = new MemoryOperand(s, site, d.bits, s.let(s.and(rdi, site.addressMask(s))));
  const data = s.let(d.getVector());
  const selected = s.let(mask.getVector());
  const half = (v: Value, lane: number): Value => s.lanes('i64x2.extract_lane', [lane], v);
  const linear = target.linear(bytes, 1);
  s.status(
    'maskedStore',
    linear,
    target.segmentValue,
    s.i32(bytes),
    half(data, 0),
    half(data, 1),
    half(selected, 0),
    half(selected, 1),
  );
});

/** i64: lane `index` (i32) of `bytes` each, zero-extended. */
export function extractLane(s: Builder, x: Value, index: Value, bytes: number): Value {
  if (index.kind === 'const') {
    const at = Number(index.value);
    const lanes = Array.from({ length: 16 }, (_, i) => (i < bytes ? at * bytes + i : 16));
    if (bytes === 8) return s.lanes('i64x2.extract_lane', [at], x);
    return s.lanes('i64x2.extract_lane', [0], shuffle(s, lanes, x, zero(s)));
  }
  const first = splat(s, '8x16', s.op('i32.mul', index, s.i32(bytes)));
  const moved = s.op('i8x16.swizzle', x, s.op('i8x16.add', first, byteIndices(s)));
  return s.zeroExtend(s.lanes('i64x2.extract_lane', [0], moved), bytes * 8);
}

/** `x` with lane `index` (i32) of `bytes` each replaced by the low bits of an i64. */
export function insertLane(s: Builder, x: Value, index: Value, bytes: number, value: Value): Value {
  const shape = { 1: 'i8x16', 2: 'i16x8', 4: 'i32x4', 8: 'i64x2' }[bytes]!;
  const lane = bytes === 8 ? value : s.narrow(value);
  if (index.kind === 'const') return s.lanes(`${shape}.replace_lane`, [Number(index.value)], x, lane);
  const numbers = s.vector(laneNumbers(bytes));
  const chosen = s.op(`${shape}.eq`, s.op(`${shape}.splat`, bytes === 8 ? s.widen(index) : index), numbers);
  return s.op('v128.bitselect', s.op(`${shape}.splat`, lane), x, chosen);
}

function laneNumbers(bytes: number): Uint8Array {
  return Uint8Array.from({ length: 16 }, (_, i) => (i % bytes === 0 ? i / bytes : 0));
}

function laneIndex(s: Builder, imm: Operand | undefined, lanes: number): Value {
  return s.let(s.op('i32.and', s.narrow(imm!.get()), s.i32(lanes - 1)));
}

function laneBytes(d: Operand, site: Site): number {
  return site.form.operandBits === 0 ? d.bits / 8 : site.form.operandBits / 8;
}

function extract(bytes: number | undefined): Description {
  return (s, site, d, x, imm) => {
    const size = bytes ?? laneBytes(d, site);
    const source = vectorOperand(x);
    const index = laneIndex(s, imm, source.bits / 8 / size);
    d.set(extractLane(s, s.let(source.getVector()), index, size));
  };
}

function insert(bytes: number | undefined): Description {
  return withOperands((s, d, x, site, imm) => {
    const size = bytes ?? laneBytes(x, site);
    const index = laneIndex(s, imm, d.bits / 8 / size);
    const value = s.let(x.get());
    d.setVector(insertLane(s, d.getVector(), index, size, value));
  });
}

/** INSERTPS: bits 7-6 choose the source lane (of a register), 5-4 the destination, 3-0 what becomes zero. */
const insertps: Description = withOperands((s, d, x, _site, imm) => {
  const control = byteImmediate(s, imm);
  const field = (shift: number): Value => s.op('i32.and', s.op('i32.shr_u', control, s.i32(shift)), s.i32(3));
  const value = s.let(
    x instanceof MemoryOperand ? x.get() : extractLane(s, s.let(x.getVector()), s.let(field(6)), 4),
  );
  const placed = insertLane(s, d.getVector(), s.let(field(4)), 4, value);
  d.setVector(s.op('v128.and', placed, s.op('v128.not', laneMask(s, control, 4))));
});

/** All ones in each lane of `bytes` whose bit in the i32 is set. */
export function laneMask(s: Builder, bits: Value, bytes: 2 | 4 | 8): Value {
  const all = lanes16(s, 1, 2, 4, 8, 16, 32, 64, 128);
  if (bytes === 2) return s.op('i16x8.eq', s.op('v128.and', splat(s, '16x8', bits), all), all);
  const weights = bytes === 4 ? [1, 2, 4, 8] : [1, 1, 2, 2];
  const mask = s.vector(new Uint8Array(Uint32Array.from(weights).buffer));
  return s.op('i32x4.eq', s.op('v128.and', splat(s, '32x4', bits), mask), mask);
}

export const SSE_MOVE: Descriptions = {
  movups: wholeVector,
  movupd: wholeVector,
  movaps: wholeVector,
  movapd: wholeVector,
  movdqa: wholeVector,
  movdqu: wholeVector,
  lddqu: wholeVector,
  movntps: wholeVector,
  movntpd: wholeVector,
  movntdq: wholeVector,
  movntdqa: wholeVector,
  movntq: lowPart,
  movss: scalar,
  movsd: scalar,
  movd: zeroExtended,
  movq: zeroExtended,
  movq2dq: zeroExtended,
  movdq2q: lowPart,
  movlps: lowPart,
  movlpd: lowPart,
  movhps: highHalf,
  movhpd: highHalf,
  movhlps: halves([3, 1]),
  movlhps: halves([0, 2]),
  movsldup: duplicate([0, 0, 2, 2], 4),
  movshdup: duplicate([1, 1, 3, 3], 4),
  movddup: duplicate([0, 0], 8),
  movmskps: signMask('i32x4.bitmask'),
  movmskpd: signMask('i64x2.bitmask'),
  pmovmskb: signMask('i8x16.bitmask'),
  maskmovq: maskedStore,
  maskmovdqu: maskedStore,
  pextrb: extract(1),
  pextrw: extract(2),
  pextrd: extract(undefined),
  extractps: extract(4),
  pinsrb: insert(1),
  pinsrw: insert(2),
  pinsrd: insert(undefined),
  insertps,
  emms: () => {},
};
