import type { Builder } from '../../ir/builder.ts';
import type { Value } from '../../ir/ir.ts';
import { EXCEPTION_MF } from '../../layout/exceptions.ts';
import { FPU_BLOCKED_MMX, FPU_BLOCKED_SSE, VCPU } from '../../layout/vcpu.ts';
import { MemoryOperand, RegisterOperand, type Operand, type Site } from '../operands.ts';
import type { Description, Descriptions } from './common.ts';

/** What `checkFpu` is asked about. */
const CHECK_MMX = 1;
const CHECK_SSE = 2;

/** Status word: ES (an unmasked x87 exception is pending), and TOP. */
const FSW_ES = 0x80;
const FSW_TOP = 0x3800;

/** An operand in a register or in memory, which is what MMX and SSE instructions have beside immediates. */
export type VectorOperand = RegisterOperand | MemoryOperand;

export function vectorOperand(operand: Operand | undefined): VectorOperand {
  if (operand instanceof RegisterOperand || operand instanceof MemoryOperand) return operand;
  throw new Error('the opcode table says that this operand is a register or memory');
}

/** A description whose operands but for an immediate are registers or memory. */
export type VectorDescription = (
  s: Builder,
  d: VectorOperand,
  x: VectorOperand,
  site: Site,
  imm?: Operand,
) => void;

export function withOperands(description: VectorDescription): Description {
  return (s, site, d, x, imm) => description(s, vectorOperand(d), vectorOperand(x), site, imm);
}

/** d = f(d, x) on whole vectors. MMX operands are in both halves of theirs. */
export function binary(compute: (s: Builder, a: Value, b: Value, width: number) => Value): Description {
  return withOperands((s, d, x) => {
    const b = s.let(x.getVector());
    const a = s.let(d.getVector());
    d.setVector(compute(s, a, b, d.bits));
  });
}

/** d = f(x) on whole vectors. */
export function unary(compute: (s: Builder, x: Value, width: number) => Value): Description {
  return withOperands((s, d, x) => d.setVector(compute(s, s.let(x.getVector()), d.bits)));
}

/** The 16 bytes of a vector constant, given by its lanes. */
export function lanes8(s: Builder, ...lanes: number[]): Value {
  return s.vector(Uint8Array.from(lanes));
}
export function lanes16(s: Builder, ...lanes: number[]): Value {
  return s.vector(new Uint8Array(Uint16Array.from(lanes).buffer));
}
export function lanes32(s: Builder, ...lanes: number[]): Value {
  return s.vector(new Uint8Array(Uint32Array.from(lanes).buffer));
}
export function lanes64(s: Builder, low: bigint, high = low): Value {
  return s.vector(new Uint8Array(BigUint64Array.of(low, high).buffer));
}

export function zero(s: Builder): Value {
  return s.vector(new Uint8Array(16));
}

/** 0, 1, ... 15. */
export function byteIndices(s: Builder): Value {
  return lanes8(s, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

/** Lanes 0-15 are bytes of `a`, 16-31 of `b`. */
export function shuffle(s: Builder, lanes: readonly number[], a: Value, b: Value): Value {
  return s.lanes('i8x16.shuffle', lanes, a, b);
}

/** Byte lanes for a shuffle of larger lanes: `size` bytes each. */
export function byteLanes(lanes: readonly number[], size: number): number[] {
  return lanes.flatMap((lane) => Array.from({ length: size }, (_, i) => lane * size + i));
}

/** The low halves of two vectors, `a` below `b`. */
export function lowHalves(s: Builder, a: Value, b: Value): Value {
  return shuffle(s, byteLanes([0, 2], 8), a, b);
}

/** i32: an 8-bit immediate, zero-extended. */
export function byteImmediate(s: Builder, imm: Operand | undefined): Value {
  return s.let(s.narrow(imm!.get()));
}

export function splat(s: Builder, lanes: '8x16' | '16x8' | '32x4', value: Value): Value {
  return s.op(`i${lanes}.splat`, value);
}

/** v128.select on an i32 condition. */
export function zeroUnless(s: Builder, condition: Value, value: Value): Value {
  return s.select(condition, value, zero(s));
}

const NO_TRANSITION = new Set(['cvtpi2ps', 'cvtpi2pd']);

/**
 * What every instruction on XMM or MMX registers does around its own work (AMD64 APM vol. 2, table 8-8; Intel SDM
 * vol. 3, tables 13-1 and 12-1): #UD or #NM where CR0 and CR4 hold it off, #MF if an x87 exception is pending, and
 * for MMX registers the transition from x87.
 */
function gated(description: Description): Description {
  return (s, site, ...operands) => {
    const { row } = site.form;
    const letters = row.operands.map(({ letter }) => letter);
    const mmx = letters.some((letter) => 'PQN'.includes(letter)) || row.semantics === 'emms';
    const sse = letters.some((letter) => 'VWU'.includes(letter));
    const mask = (mmx ? FPU_BLOCKED_MMX : 0) | (sse ? FPU_BLOCKED_SSE : 0);
    s.push({ kind: 'fpuGate', blocked: mask, check: sse ? CHECK_SSE : CHECK_MMX });
    if (!mmx) {
      description(s, site, ...operands);
      return;
    }
    // A conversion from memory touches no MMX register.
    const transition = !(site.form.memory && NO_TRANSITION.has(row.semantics));
    if (transition) {
      const status = s.readState('i32.load16_u', VCPU.at.fpuStatus);
      s.if(s.op('i32.and', status, s.i32(FSW_ES)), () => s.raise(EXCEPTION_MF), undefined, false);
    }
    description(s, site, ...operands);
    // Behind the work, which may fault, unless that made it earlier.
    if (transition) enterMmx(s, row.semantics === 'emms' ? 0 : 0xff);
  };
}

/** TOP becomes 0, and the registers valid or (EMMS) empty: SDM vol. 1, 9.6.2. */
export function enterMmx(s: Builder, tags = 0xff): void {
  const status = s.readState('i32.load16_u', VCPU.at.fpuStatus);
  s.writeState('i32.store16', VCPU.at.fpuStatus, s.op('i32.and', status, s.i32(0xffff ^ FSW_TOP)));
  s.writeState('i32.store8', VCPU.at.fpuTag, s.i32(tags));
}

export function gateAll(descriptions: Descriptions): Descriptions {
  return Object.fromEntries(
    Object.entries(descriptions).map(([name, description]) => [name, gated(description)]),
  );
}
