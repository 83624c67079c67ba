import type { Builder } from '../../ir/builder.ts';
import type { Value } from '../../ir/ir.ts';
import { EXCEPTION_DE, EXCEPTION_GP } from '../../layout/exceptions.ts';
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
  REG_RAX,
  REG_RBX,
  REG_RCX,
  REG_RDX,
  VCPU,
} from '../../layout/vcpu.ts';
import { general, MemoryOperand, RegisterOperand, type Operand } from '../operands.ts';
import {
  AF,
  arithmeticFlags,
  carry,
  CF,
  compare,
  CONDITION_B,
  CONDITION_O,
  OF,
  OF_SHIFT,
  PF,
  SF,
  ZF,
  type Description,
  type Descriptions,
} from './common.ts';

function accumulator(s: Builder, bits: number): RegisterOperand {
  return new RegisterOperand(s, general(REG_RAX), bits);
}

function logic(op: 'and' | 'or' | 'xor'): Description {
  return (s, _site, d, x) => {
    const b = x.getSigned();
    const { now } = d.update((a) => s[op](a, b));
    s.flags(FLAGS_LOGIC, now);
  };
}

function bitTest(change: ((s: Builder, old: Value, bit: Value) => Value) | undefined): Description {
  return (s, _site, d, x) => {
    const bits = d.bits;
    const index = s.let(x.getSigned());
    const bit = s.let(s.shl(s.i64(1), s.and(index, s.i64(bits - 1))));
    // A register index reaches beyond a memory operand: it selects the unit that is accessed.
    const far = d instanceof MemoryOperand && x instanceof RegisterOperand;
    const unit = far ? d.at(s.mul(s.shrS(index, s.i64(Math.log2(bits))), s.i64(bits / 8))) : d;
    const old = change ? unit.update((value) => change(s, value, bit)).old : s.let(unit.get());
    s.flagBits(CF, s.widen(s.op('i64.ne', s.and(old, bit), s.i64(0))));
  };
}

/** The count of a shift: modulo 32, or 64 for 64-bit operands. */
function shiftCount(s: Builder, d: Operand, count: Operand): Value {
  return s.let(s.and(count.get(), s.i64(d.bits === 64 ? 63 : 31)));
}

/** `value` of a shift by a nonzero count: result, CF and OF (each 0 or 1). */
type Shift = (s: Builder, a: Value, count: Value, bits: number) => { r: Value; cf: Value; of: Value };

function shift(compute: Shift): Description {
  return (s, _site, d, x) => {
    const count = shiftCount(s, d, x);
    let parts: ReturnType<Shift> | undefined;
    const { now } = d.update((old) => {
      parts = compute(s, old, count, d.bits);
      return s.signExtend(parts.r, d.bits);
    });
    const { cf, of } = parts!;
    s.if(s.ne(count, s.i64(0)), () => {
      s.flags(FLAGS_RESULT, now, s.or(cf, s.shl(of, s.i64(OF_SHIFT))));
    });
  };
}

function topBit(s: Builder, value: Value, bits: number): Value {
  return s.and(s.shrU(value, s.i64(bits - 1)), s.i64(1));
}

/** Rotates change only CF and OF. */
function setCarryAndOverflow(s: Builder, cf: Value, of: Value): void {
  s.flagBits(CF | OF, s.or(cf, s.shl(of, s.i64(OF_SHIFT))));
}

function rotate(left: boolean): Description {
  return (s, _site, d, x) => {
    const bits = d.bits;
    const count = shiftCount(s, d, x);
    const turn = s.let(s.and(count, s.i64(bits - 1)));
    const { now } = d.update((old) => {
      if (bits === 64) return s.op(left ? 'i64.rotl' : 'i64.rotr', old, turn);
      const a = s.let(s.zeroExtend(old, bits));
      const back = s.and(s.sub(s.i64(bits), turn), s.i64(63));
      const r = left ? s.or(s.shl(a, turn), s.shrU(a, back)) : s.or(s.shrU(a, turn), s.shl(a, back));
      return s.signExtend(r, bits);
    });
    s.if(s.ne(count, s.i64(0)), () => {
      const top = s.let(topBit(s, now, bits));
      const cf = left ? s.let(s.and(now, s.i64(1))) : top;
      const of = left ? s.xor(top, cf) : s.xor(top, topBit(s, now, bits - 1));
      setCarryAndOverflow(s, cf, of);
    });
  };
}

/** RCL and RCR: a rotation of bits + 1 bits, CF on top. */
function rotateThroughCarry(left: boolean): Description {
  return (s, _site, d, x) => {
    const bits = d.bits;
    const masked = shiftCount(s, d, x);
    const count = bits >= 32 ? masked : s.let(s.op('i64.rem_u', masked, s.i64(bits + 1)));
    const cin = s.let(carry(s));
    let cf: Value = cin;
    const { now } = d.update((old) => {
      const a = s.let(s.zeroExtend(old, bits));
      const one = s.i64(1);
      // For a 64-bit operand a shift by 64 must give 0, so the wrapped part is shifted in two steps.
      const rest = s.let(s.sub(s.i64(bits), count));
      const zero = s.let(s.eqz(count));
      let r: Value;
      if (left) {
        const wrapped = s.shrU(s.shrU(a, one), rest);
        r = s.or(s.or(s.shl(a, count), s.shl(cin, s.sub(count, one))), wrapped);
        cf = s.let(s.select(zero, cin, s.and(s.shrU(a, rest), one)));
      } else {
        const wrapped = s.shl(s.shl(a, one), rest);
        r = s.or(s.or(s.shrU(a, count), s.shl(cin, rest)), wrapped);
        cf = s.let(s.select(zero, cin, s.and(s.shrU(a, s.sub(count, one)), one)));
      }
      return s.signExtend(s.select(zero, a, r), bits);
    });
    s.if(s.ne(masked, s.i64(0)), () => {
      const top = s.let(topBit(s, now, bits));
      setCarryAndOverflow(s, cf, left ? s.xor(top, cf) : s.xor(top, topBit(s, now, bits - 1)));
    });
  };
}

function doubleShift(left: boolean): Description {
  return (s, _site, d, x, c) => {
    const bits = d.bits;
    const count = shiftCount(s, d, c);
    const fill = s.let(x.get());
    let cf: Value = s.i64(0);
    const { old, now } = d.update((value) => {
      const a = s.let(s.zeroExtend(value, bits));
      const one = s.i64(1);
      const rest = s.let(s.sub(s.i64(bits), count));
      let r: Value;
      if (bits === 16) {
        // Counts above 16 shift the source operand on into itself, as the hardware does.
        const sh = s.i64(16);
        const wide = s.let(
          left
            ? s.or(s.or(s.shl(a, s.i64(32)), s.shl(fill, sh)), a)
            : s.or(s.or(a, s.shl(fill, sh)), s.shl(a, s.i64(32))),
        );
        r = left ? s.shrU(wide, s.sub(s.i64(32), count)) : s.shrU(wide, count);
        cf = s.let(
          s.and(left ? s.shrU(wide, s.sub(s.i64(48), count)) : s.shrU(wide, s.sub(count, one)), one),
        );
      } else {
        r = left
          ? s.or(s.shl(a, count), s.shrU(s.shrU(fill, one), s.sub(rest, one)))
          : s.or(s.shrU(a, count), s.shl(s.shl(fill, one), s.sub(rest, one)));
        cf = s.let(s.and(s.shrU(a, left ? rest : s.sub(count, one)), one));
      }
      return s.signExtend(s.select(s.eqz(count), a, r), bits);
    });
    s.if(s.ne(count, s.i64(0)), () => {
      const of = topBit(s, s.xor(old, now), bits);
      s.flags(FLAGS_RESULT, now, s.or(cf, s.shl(of, s.i64(OF_SHIFT))));
    });
  };
}

/** Sets CF and OF if `overflow` (i32); the other flags follow the result, as they are undefined. */
function multiplyFlags(s: Builder, result: Value, overflow: Value): void {
  s.flags(FLAGS_RESULT, result, s.select(overflow, s.i64(CF | OF), s.i64(0)));
}

function highPart(s: Builder, bits: number): RegisterOperand {
  return new RegisterOperand(s, general(REG_RDX), bits);
}

function multiply(signed: boolean): Description {
  return (s, _site, x) => {
    const bits = x.bits;
    const low = accumulator(s, bits);
    const b = s.let(signed ? x.getSigned() : x.get());
    const a = s.let(signed ? low.getSigned() : low.get());
    const product = s.let(s.mul(a, b));
    if (bits === 64) {
      const high = s.call(signed ? 'mulHighSigned' : 'mulHighUnsigned', 'i64', a, b);
      low.set(product);
      highPart(s, 64).set(high);
      const expected = signed ? s.shrS(product, s.i64(63)) : s.i64(0);
      multiplyFlags(s, product, s.ne(high, expected));
      return;
    }
    const result = s.let(s.signExtend(product, bits));
    if (bits === 8) {
      accumulator(s, 16).set(product);
    } else {
      low.set(product);
      highPart(s, bits).set(s.shrU(product, s.i64(bits)));
    }
    const fits = signed ? result : s.zeroExtend(product, bits);
    multiplyFlags(s, result, s.ne(product, fits));
  };
}

function multiplyInto(s: Builder, d: Operand, a: Value, b: Value): void {
  const bits = d.bits;
  const product = s.let(s.mul(a, b));
  if (bits === 64) {
    const high = s.call('mulHighSigned', 'i64', a, b);
    d.set(product);
    multiplyFlags(s, product, s.ne(high, s.shrS(product, s.i64(63))));
    return;
  }
  const result = s.let(s.signExtend(product, bits));
  d.set(result);
  multiplyFlags(s, result, s.ne(product, result));
}

function divide(signed: boolean): Description {
  return (s, _site, x) => {
    const bits = x.bits;
    const divisor = s.let(signed ? x.getSigned() : x.get());
    if (bits === 64) {
      s.status(signed ? 'divideSigned64' : 'divide64', divisor);
      return;
    }
    s.if(s.eqz(divisor), () => s.raise(EXCEPTION_DE), undefined, false);
    const low = accumulator(s, bits);
    const dividend = s.let(
      bits === 8
        ? signed
          ? accumulator(s, 16).getSigned()
          : accumulator(s, 16).get()
        : s.signExtend(s.or(s.shl(highPart(s, bits).get(), s.i64(bits)), low.get()), signed ? bits * 2 : 64),
    );
    if (signed && bits === 32) {
      // The one quotient that wasm traps on; it does not fit either.
      const trap = s.op('i32.and', s.eq(dividend, s.i64(1n << 63n)), s.eq(divisor, s.i64(-1)));
      s.if(trap, () => s.raise(EXCEPTION_DE), undefined, false);
    }
    const kind = signed ? 's' : 'u';
    const quotient = s.let(s.op(`i64.div_${kind}`, dividend, divisor));
    const fits = signed ? s.signExtend(quotient, bits) : s.zeroExtend(quotient, bits);
    s.if(s.ne(quotient, fits), () => s.raise(EXCEPTION_DE), undefined, false);
    const remainder = s.let(s.op(`i64.rem_${kind}`, dividend, divisor));
    if (bits === 8) {
      accumulator(s, 16).set(s.or(s.zeroExtend(quotient, 8), s.shl(s.zeroExtend(remainder, 8), s.i64(8))));
    } else {
      low.set(quotient);
      highPart(s, bits).set(remainder);
    }
  };
}

function add(s: Builder, d: Operand, b: Value): void {
  const { old, now } = d.update((a) => s.signExtend(s.add(a, b), d.bits));
  s.flags(FLAGS_ADD, now, old, b);
}

function withCarry(subtract: boolean): Description {
  return (s, _site, d, x) => {
    const b = s.let(x.getSigned());
    const cin = s.condition(2);
    const wide = s.let(s.widen(cin));
    const { old, now } = d.update((a) =>
      s.signExtend(subtract ? s.sub(s.sub(a, b), wide) : s.add(s.add(a, b), wide), d.bits),
    );
    const kind = subtract
      ? s.select(cin, s.i32(FLAGS_SBB), s.i32(FLAGS_SUB))
      : s.select(cin, s.i32(FLAGS_ADC), s.i32(FLAGS_ADD));
    s.flags(kind, now, old, b);
  };
}

function step(kind: number, delta: number): Description {
  return (s, _site, d) => {
    const cf = s.let(carry(s));
    const { old, now } = d.update((a) => s.signExtend(s.add(a, s.i64(delta)), d.bits));
    s.flags(kind, now, old, cf);
  };
}

function extend(signed: boolean): Description {
  return (_s, _site, d, x) => d.set(signed ? x.getSigned() : x.get());
}

/** BSF and BSR with source 0 leave the destination unchanged (AMD APM vol. 3, BSF). */
function bitScan(forward: boolean): Description {
  return (s, _site, d, x) => {
    const value = s.let(x.get());
    const found = forward ? s.op('i64.ctz', value) : s.sub(s.i64(63), s.op('i64.clz', value));
    s.if(s.ne(value, s.i64(0)), () => d.set(found));
    s.flags(FLAGS_LOGIC, s.signExtend(value, x.bits));
  };
}

function countZeros(trailing: boolean): Description {
  return (s, _site, d, x) => {
    const bits = x.bits;
    const value = s.let(x.get());
    const count = s.let(
      trailing
        ? s.op('i64.ctz', bits === 64 ? value : s.or(value, s.i64(1n << BigInt(bits))))
        : s.sub(s.op('i64.clz', value), s.i64(64 - bits)),
    );
    d.set(count);
    s.flags(FLAGS_RESULT, count, s.widen(s.eqz(value)));
  };
}

/** CRC32 adds a byte at a time over the reflected polynomial 1EDC6F41h (Intel SDM vol. 2, CRC32). */
function crc32(s: Builder, d: Operand, x: Operand): void {
  let crc = s.let(s.zeroExtend(d.get(), 32));
  const data = s.let(x.get());
  for (let shiftBy = 0; shiftBy < x.bits; shiftBy += 8) {
    crc = s.let(s.xor(crc, s.and(s.shrU(data, s.i64(shiftBy)), s.i64(0xff))));
    for (let bit = 0; bit < 8; bit++) {
      const reduce = s.and(s.sub(s.i64(0), s.and(crc, s.i64(1))), s.i64(0x82f63b78));
      crc = s.let(s.xor(s.shrU(crc, s.i64(1)), reduce));
    }
  }
  d.set(crc);
}

function swapBytes(s: Builder, value: Value, bits: number): Value {
  if (bits === 16) {
    // BSWAP with a 16-bit operand clears it on AMD and Intel; MOVBE swaps.
    return s.or(s.shl(value, s.i64(8)), s.shrU(value, s.i64(8)));
  }
  const even = s.i64(0x00ff00ff00ff00ffn);
  const swapped8 = s.let(s.or(s.shl(s.and(value, even), s.i64(8)), s.and(s.shrU(value, s.i64(8)), even)));
  const words = s.i64(0x0000ffff0000ffffn);
  const swapped16 = s.let(
    s.or(s.shl(s.and(swapped8, words), s.i64(16)), s.and(s.shrU(swapped8, s.i64(16)), words)),
  );
  return bits === 32 ? swapped16 : s.op('i64.rotl', swapped16, s.i64(32));
}

/** BMI: SF and ZF follow the result, OF is 0, CF is what the instruction says (i64, 0 or 1); AF and PF are undefined. */
function bitField(s: Builder, d: Operand, result: Value, cf: Value = s.i64(0)): void {
  const now = s.let(s.signExtend(result, d.bits));
  d.set(now);
  s.flags(FLAGS_RESULT, now, cf);
}

/** BLSR, BLSMSK and BLSI: something with the lowest set bit, and CF where there is none (BLSI: where there is). */
function lowestBit(change: (s: Builder, a: Value) => Value, carryWhenZero: boolean): Description {
  return (s, _site, d, x) => {
    const a = s.let(x.get());
    bitField(s, d, change(s, a), s.widen(carryWhenZero ? s.eqz(a) : s.ne(a, s.i64(0))));
  };
}

/** The low `count` bits of `a`, all of them from `bits` on. */
function lowBits(s: Builder, a: Value, count: Value, bits: number): Value {
  const mask = s.sub(s.shl(s.i64(1), count), s.i64(1));
  return s.select(s.op('i64.ge_u', count, s.i64(bits)), a, s.and(a, mask));
}

/** Shifts and rotations without flags. */
function plainShift(op: 'shl' | 'shrU' | 'shrS'): Description {
  return (s, _site, d, x, c) => {
    const a = s.let(op === 'shrS' ? x.getSigned() : x.get());
    d.set(s[op](a, s.and(c.get(), s.i64(d.bits - 1))));
  };
}

/** RDRAND and RDSEED: the pool never runs dry, so CF is always 1 and the other flags are 0. */
function random(s: Builder, d: Operand): void {
  d.set(s.call('random', 'i64'));
  s.flags(FLAGS_EXPLICIT, undefined, s.i64(CF));
}

/** ADCX and ADOX: an addition whose only flag is CF or OF. */
function addFlag(flag: bigint): Description {
  return (s, _site, d, x) => {
    const cin = s.let(s.widen(s.condition(flag === CF ? CONDITION_B : CONDITION_O)));
    const a = s.let(d.get());
    const b = s.let(x.get());
    const sum = s.let(s.add(s.add(a, b), cin));
    d.set(sum);
    const low = s.zeroExtend(sum, d.bits);
    const cout =
      d.bits === 32
        ? s.shrU(sum, s.i64(32))
        : s.widen(s.select(s.narrow(cin), s.op('i64.le_u', low, a), s.ltU(low, a)));
    const position = flag === CF ? cout : s.shl(cout, s.i64(OF_SHIFT));
    s.flagBits(flag, position);
  };
}

function setCarry(value: (s: Builder) => Value): Description {
  return (s) => s.flagBits(CF, value(s));
}

const AH = { file: 'general', where: 1 } as const;

/** Decimal adjusts: AL gets +-6 and +-60h by the digits and flags (Intel SDM vol. 2, DAA, DAS). */
function decimalAdjust(subtract: boolean): Description {
  return (s) => {
    const al = accumulator(s, 8);
    const old = s.let(al.get());
    const flags = s.let(arithmeticFlags(s));
    const digit = s.op('i64.gt_u', s.and(old, s.i64(15)), s.i64(9));
    const low = s.let(s.op('i32.or', digit, s.ne(s.and(flags, s.i64(AF)), s.i64(0))));
    const high = s.let(s.op('i32.or', s.op('i64.gt_u', old, s.i64(0x99)), s.narrow(s.and(flags, s.i64(CF)))));
    const adjust = s.let(s.add(s.select(low, s.i64(6), s.i64(0)), s.select(high, s.i64(0x60), s.i64(0))));
    const r = s.let(s.signExtend(subtract ? s.sub(old, adjust) : s.add(old, adjust), 8));
    al.set(r);
    let cf: Value = high;
    if (subtract) {
      // DAS also borrows when the low adjustment alone wraps.
      const borrow = s.op('i32.and', low, s.ltU(old, s.i64(6)));
      cf = s.op('i32.or', high, borrow);
    }
    s.flags(FLAGS_RESULT, r, s.or(s.widen(cf), s.shl(s.widen(low), s.i64(4))));
  };
}

function asciiAdjust(sign: 1 | -1): Description {
  return (s) => {
    const ax = accumulator(s, 16);
    const old = s.let(ax.get());
    const flags = arithmeticFlags(s);
    const digit = s.op('i64.gt_u', s.and(old, s.i64(15)), s.i64(9));
    const adjust = s.let(s.op('i32.or', digit, s.ne(s.and(flags, s.i64(AF)), s.i64(0))));
    const sum = sign === 1 ? s.add(old, s.i64(0x106)) : s.sub(old, s.i64(0x106));
    const r = s.let(s.and(s.select(adjust, sum, old), s.i64(0xff0f)));
    ax.set(r);
    s.flags(FLAGS_RESULT, s.signExtend(r, 8), s.select(adjust, s.i64(CF | AF), s.i64(0)));
  };
}

export const INTEGER: Descriptions = {
  add: (s, _site, d, x) => add(s, d, s.let(x.getSigned())),
  adc: withCarry(false),
  sub: (s, _site, d, x) => {
    const b = s.let(x.getSigned());
    const { old, now } = d.update((a) => s.signExtend(s.sub(a, b), d.bits));
    s.flags(FLAGS_SUB, now, old, b);
  },
  sbb: withCarry(true),
  cmp: (s, _site, d, x) => compare(s, s.let(d.getSigned()), s.let(x.getSigned()), d.bits),
  and: logic('and'),
  or: logic('or'),
  xor: logic('xor'),
  test: (s, _site, d, x) => s.flags(FLAGS_LOGIC, s.and(d.getSigned(), x.getSigned())),
  inc: step(FLAGS_INC, 1),
  dec: step(FLAGS_DEC, -1),
  neg: (s, _site, d) => {
    const { old, now } = d.update((a) => s.signExtend(s.sub(s.i64(0), a), d.bits));
    s.flags(FLAGS_SUB, now, s.i64(0), old);
  },
  not: (s, _site, d) => {
    d.update((a) => s.not(a));
  },

  shl: shift((s, a, count, bits) => {
    const r = s.let(s.shl(a, count));
    const last = s.sub(s.i64(bits), count);
    // Above 64 - bits the bit that left is still in the 64-bit value only for narrow operands.
    const cf = s.let(
      bits === 64
        ? s.and(s.shrU(a, s.and(last, s.i64(63))), s.i64(1))
        : s.and(s.shrU(s.shl(s.zeroExtend(a, bits), count), s.i64(bits)), s.i64(1)),
    );
    return { r, cf, of: s.xor(topBit(s, r, bits), cf) };
  }),
  shr: shift((s, old, count, bits) => {
    const a = s.let(s.zeroExtend(old, bits));
    const r = s.let(s.shrU(a, count));
    const cf = s.let(s.and(s.shrU(a, s.and(s.sub(count, s.i64(1)), s.i64(63))), s.i64(1)));
    return { r, cf, of: topBit(s, s.xor(s.shl(r, s.i64(1)), r), bits) };
  }),
  sar: shift((s, a, count) => {
    const cf = s.let(s.and(s.shrS(a, s.and(s.sub(count, s.i64(1)), s.i64(63))), s.i64(1)));
    return { r: s.shrS(a, count), cf, of: s.i64(0) };
  }),
  rol: rotate(true),
  ror: rotate(false),
  rcl: rotateThroughCarry(true),
  rcr: rotateThroughCarry(false),
  shld: doubleShift(true),
  shrd: doubleShift(false),

  bt: bitTest(undefined),
  bts: bitTest((s, old, bit) => s.or(old, bit)),
  btr: bitTest((s, old, bit) => s.and(old, s.not(bit))),
  btc: bitTest((s, old, bit) => s.xor(old, bit)),
  bsf: bitScan(true),
  bsr: bitScan(false),
  tzcnt: countZeros(true),
  lzcnt: countZeros(false),
  popcnt: (s, _site, d, x) => {
    const value = s.let(x.get());
    d.set(s.op('i64.popcnt', value));
    s.flags(FLAGS_EXPLICIT, undefined, s.select(s.eqz(value), s.i64(ZF), s.i64(0)));
  },

  mul: multiply(false),
  imul1: multiply(true),
  imul: (s, _site, d, x, y) => multiplyInto(s, d, s.let(x.getSigned()), s.let(y.getSigned())),
  imul2: (s, _site, d, x) => multiplyInto(s, d, s.let(d.getSigned()), s.let(x.getSigned())),
  div: divide(false),
  idiv: divide(true),

  mov: (_s, _site, d, x) => d.set(x.get()),
  movzx: extend(false),
  movsx: extend(true),
  // With 16-bit operands it reads 32 bits all the same.
  movsxd: (s, _site, d, x) =>
    d.set(x instanceof MemoryOperand ? x.at(s.i64(0), 32).getSigned() : x.getSigned()),
  lea: (_s, _site, d, x) => d.set((x as MemoryOperand).effectiveAddress),
  xchg: (s, _site, d, x) => {
    const b = s.let(x.get());
    const { old } = d.update(() => b);
    x.set(old);
  },
  xchgReg: (s, _site, d, x) => {
    const a = s.let(d.get());
    const b = s.let(x.get());
    d.set(b);
    x.set(a);
  },
  xadd: (s, _site, d, x) => {
    const b = s.let(x.getSigned());
    if (d.memory) {
      const { old, now } = d.update((a) => s.signExtend(s.add(a, b), d.bits));
      x.set(old);
      s.flags(FLAGS_ADD, now, old, b);
      return;
    }
    const a = s.let(d.getSigned());
    const sum = s.let(s.signExtend(s.add(a, b), d.bits));
    x.set(a);
    d.set(sum);
    s.flags(FLAGS_ADD, sum, a, b);
  },
  cmpxchg: (s, _site, d, x) => {
    const { bits } = d;
    const expected = s.let(accumulator(s, bits).getSigned());
    const b = s.let(x.getSigned());
    if (d.memory) {
      const { old } = d.update((a) => s.select(s.eq(a, expected), b, a));
      s.if(s.ne(old, expected), () => accumulator(s, bits).set(old));
      compare(s, expected, old, bits);
      return;
    }
    const a = s.let(d.getSigned());
    s.if(
      s.eq(a, expected),
      () => d.set(b),
      () => accumulator(s, bits).set(a),
    );
    compare(s, expected, a, bits);
  },
  cmpxchg8b: (s, site, d) => {
    const flags = s.let(arithmeticFlags(s));
    const setZero = (equal: Value): void =>
      s.flags(
        FLAGS_EXPLICIT,
        undefined,
        s.or(s.and(flags, s.i64(~ZF)), s.select(equal, s.i64(ZF), s.i64(0))),
      );
    const part = (register: number, bits: number): RegisterOperand =>
      new RegisterOperand(s, general(register), bits);
    const target = d as MemoryOperand;
    if (site.form.operandBits === 64) {
      const misaligned = s.ne(s.and(target.linear(16, 1), s.i64(15)), s.i64(0));
      s.if(misaligned, () => s.raise(EXCEPTION_GP, s.i32(0)), undefined, false);
      const low = s.let(part(REG_RAX, 64).get());
      const high = s.let(part(REG_RDX, 64).get());
      const newLow = s.let(part(REG_RBX, 64).get());
      const newHigh = s.let(part(REG_RCX, 64).get());
      const wide = target.at(s.i64(0), 128);
      let equal: Value = s.i32(0);
      const { old } = wide.update((value) => {
        const lowEqual = s.eq(s.lanes('i64x2.extract_lane', [0], value), low);
        const highEqual = s.eq(s.lanes('i64x2.extract_lane', [1], value), high);
        equal = s.let(s.op('i32.and', lowEqual, highEqual));
        const replaced = s.lanes('i64x2.replace_lane', [1], s.op('i64x2.splat', newLow), newHigh);
        return s.op('v128.bitselect', replaced, value, s.op('i64x2.splat', s.sub(s.i64(0), s.widen(equal))));
      });
      s.if(s.eqz(equal), () => {
        part(REG_RAX, 64).set(s.lanes('i64x2.extract_lane', [0], old));
        part(REG_RDX, 64).set(s.lanes('i64x2.extract_lane', [1], old));
      });
      setZero(equal);
      return;
    }
    const pair = (high: number, low: number): Value =>
      s.let(s.or(s.shl(part(high, 32).get(), s.i64(32)), part(low, 32).get()));
    const expected = pair(REG_RDX, REG_RAX);
    const replacement = pair(REG_RCX, REG_RBX);
    const { old } = target
      .at(s.i64(0), 64)
      .update((value) => s.select(s.eq(value, expected), replacement, value));
    const equal = s.let(s.eq(old, expected));
    s.if(s.eqz(equal), () => {
      part(REG_RAX, 32).set(old);
      part(REG_RDX, 32).set(s.shrU(old, s.i64(32)));
    });
    setZero(equal);
  },
  bswap: (s, _site, d) => {
    const value = s.let(d.get());
    d.set(d.bits === 16 ? s.i64(0) : swapBytes(s, value, d.bits));
  },
  movbe: (s, _site, d, x) => d.set(swapBytes(s, s.let(x.get()), d.bits)),
  crc32: (s, _site, d, x) => crc32(s, d, x),
  andn: (s, _site, d, x, y) => bitField(s, d, s.and(s.not(x.get()), y.get())),
  blsr: lowestBit((s, a) => s.and(a, s.sub(a, s.i64(1))), true),
  blsmsk: lowestBit((s, a) => s.xor(a, s.sub(a, s.i64(1))), true),
  blsi: lowestBit((s, a) => s.and(a, s.sub(s.i64(0), a)), false),
  bzhi: (s, _site, d, x, c) => {
    const a = s.let(x.get());
    const count = s.let(s.and(c.get(), s.i64(0xff)));
    bitField(s, d, lowBits(s, a, count, d.bits), s.widen(s.op('i64.ge_u', count, s.i64(d.bits))));
  },
  bextr: (s, _site, d, x, c) => {
    const a = s.let(x.get());
    const control = s.let(c.get());
    const start = s.let(s.and(control, s.i64(0xff)));
    const length = s.let(s.and(s.shrU(control, s.i64(8)), s.i64(0xff)));
    const from = s.select(s.op('i64.ge_u', start, s.i64(d.bits)), s.i64(0), s.shrU(a, start));
    bitField(s, d, lowBits(s, s.let(from), length, d.bits));
  },
  pdep: (s, _site, d, x, y) => {
    const a = s.let(x.get());
    d.set(s.call('depositBits', 'i64', a, s.let(y.get())));
  },
  pext: (s, _site, d, x, y) => {
    const a = s.let(x.get());
    d.set(s.call('extractBits', 'i64', a, s.let(y.get())));
  },
  // The high half wins where both destinations are one register.
  mulx: (s, _site, high, low, x) => {
    const bits = high.bits;
    const a = s.let(highPart(s, bits).get());
    const b = s.let(x.get());
    const product = s.let(s.mul(a, b));
    const upper = bits === 64 ? s.call('mulHighUnsigned', 'i64', a, b) : s.shrU(product, s.i64(32));
    low.set(product);
    high.set(upper);
  },
  shlx: plainShift('shl'),
  shrx: plainShift('shrU'),
  sarx: plainShift('shrS'),
  rorx: (s, _site, d, x, c) => {
    const a = s.let(x.get());
    const count = s.and(c.get(), s.i64(d.bits - 1));
    if (d.bits === 64) d.set(s.op('i64.rotr', a, count));
    else d.set(s.shrU(s.or(a, s.shl(a, s.i64(32))), count));
  },
  rdrand: (s, _site, d) => random(s, d),
  rdseed: (s, _site, d) => random(s, d),
  rdpid: (s, _site, d) => d.set(s.readState('i64.load', VCPU.at.tscAux)),
  adcx: addFlag(CF),
  adox: addFlag(OF),

  cmovcc: (s, site, d, x) => {
    const value = s.let(x.get());
    const kept = s.let(d.get());
    d.set(s.select(s.condition(site.form.row.condition), value, kept));
  },
  setcc: (s, site, d) => d.set(s.widen(s.condition(site.form.row.condition))),

  cbw: (s, site) => {
    const bits = site.form.operandBits;
    accumulator(s, bits).set(accumulator(s, bits / 2).getSigned());
  },
  cwd: (s, site) => {
    const bits = site.form.operandBits;
    highPart(s, bits).set(s.shrS(accumulator(s, bits).getSigned(), s.i64(63)));
  },

  clc: setCarry((s) => s.i64(0)),
  stc: setCarry((s) => s.i64(CF)),
  cmc: setCarry((s) => s.xor(carry(s), s.i64(CF))),
  lahf: (s) =>
    s.writeRegister(AH, 1, s.or(s.and(arithmeticFlags(s), s.i64(SF | ZF | AF | PF | CF)), s.i64(2))),
  sahf: (s) => {
    const kept = s.and(arithmeticFlags(s), s.i64(OF));
    const image = s.and(s.readRegister(AH, 1, false), s.i64(SF | ZF | AF | PF | CF));
    s.flags(FLAGS_EXPLICIT, undefined, s.or(kept, image));
  },
  salc: (s) => accumulator(s, 8).set(s.sub(s.i64(0), carry(s))),

  daa: decimalAdjust(false),
  das: decimalAdjust(true),
  aaa: asciiAdjust(1),
  aas: asciiAdjust(-1),
  aam: (s, _site, x) => {
    const base = s.let(x.get());
    s.if(s.eqz(base), () => s.raise(EXCEPTION_DE), undefined, false);
    const al = s.let(accumulator(s, 8).get());
    const low = s.let(s.op('i64.rem_u', al, base));
    accumulator(s, 16).set(s.or(s.shl(s.op('i64.div_u', al, base), s.i64(8)), low));
    s.flags(FLAGS_LOGIC, s.signExtend(low, 8));
  },
  aad: (s, _site, x) => {
    const ax = s.let(accumulator(s, 16).get());
    const sum = s.let(s.and(s.add(ax, s.mul(s.shrU(ax, s.i64(8)), x.get())), s.i64(0xff)));
    accumulator(s, 16).set(sum);
    s.flags(FLAGS_LOGIC, s.signExtend(sum, 8));
  },
};
