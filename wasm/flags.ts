/** Lazy arithmetic flags (vcpu.ts, FLAGS_*) to and from their EFLAGS positions. */
import {
  FLAGS_ADC,
  FLAGS_ADD,
  FLAGS_ARITHMETIC,
  FLAGS_DEC,
  FLAGS_EXPLICIT,
  FLAGS_INC,
  FLAGS_LOGIC,
  FLAGS_RESULT,
  FLAGS_SBB,
  FLAGS_SUB,
  FLAG_AF,
  FLAG_CF,
  FLAG_OF,
  FLAG_PF,
  FLAG_RF,
  FLAG_SF,
  FLAG_ZF,
  RFLAGS_FIXED,
  VCPU_breakpointsCode,
  VCPU_eflags,
  VCPU_flagA,
  VCPU_flagB,
  VCPU_flagKind,
  VCPU_flagResult,
} from './generated/layout';
import { eflags, FLAGS_IMPLEMENTED, yieldToRunLoop } from './cpu';

/** CF, OF and AF of an addition or subtraction: `sign` has OF in bit 63, `half` AF in bit 4. */
// @ts-ignore: decorator
@inline function carries(carry: bool, sign: u64, half: u64): u64 {
  return (carry ? FLAG_CF : 0) | ((sign >> 52) & FLAG_OF) | (half & FLAG_AF);
}

/** All six arithmetic flags at their EFLAGS positions. */
export function materializeFlags(cpu: usize): u64 {
  const kind = load<i32>(cpu, VCPU_flagKind);
  const a = load<u64>(cpu, VCPU_flagA);
  if (kind == FLAGS_EXPLICIT) return a & FLAGS_ARITHMETIC;

  const r = load<u64>(cpu, VCPU_flagResult);
  const b = load<u64>(cpu, VCPU_flagB);
  let flags: u64 = (r == 0 ? FLAG_ZF : 0) | ((r >> 56) & FLAG_SF);
  if ((popcnt<u64>(r & 0xff) & 1) == 0) flags |= FLAG_PF;
  switch (kind) {
    case FLAGS_ADD:
      return flags | carries(r < a, (a ^ r) & (b ^ r), a ^ b ^ r);
    case FLAGS_ADC:
      return flags | carries(r <= a, (a ^ r) & (b ^ r), a ^ b ^ r);
    case FLAGS_SUB:
      return flags | carries(a < b, (a ^ b) & (a ^ r), a ^ b ^ r);
    case FLAGS_SBB:
      return flags | carries(a <= b, (a ^ b) & (a ^ r), a ^ b ^ r);
    case FLAGS_INC:
      return flags | carries((b & 1) != 0, ~a & r, a ^ 1 ^ r);
    case FLAGS_DEC:
      return flags | carries((b & 1) != 0, a & ~r, a ^ 1 ^ r);
    case FLAGS_RESULT:
      return flags | (a & (FLAG_CF | FLAG_OF | FLAG_AF));
    case FLAGS_LOGIC:
    default:
      return flags;
  }
}

/** RFLAGS as the guest sees them. */
export function getFlags(cpu: usize): u32 {
  return eflags(cpu) | <u32>materializeFlags(cpu);
}

/** Sets all of RFLAGS. RF is kept where a breakpoint could need it: the run loop then takes the next instruction past that. */
export function setFlags(cpu: usize, value: u32): void {
  setArithmeticFlags(cpu, value);
  const resumes = (value & FLAG_RF) != 0 && load<u32>(cpu, VCPU_breakpointsCode) != 0;
  const kept = value & FLAGS_IMPLEMENTED & ~(FLAGS_ARITHMETIC | FLAG_RF);
  store<u32>(cpu, kept | RFLAGS_FIXED | (resumes ? FLAG_RF : 0), VCPU_eflags);
  if (resumes) yieldToRunLoop(cpu);
}

export function setArithmeticFlags(cpu: usize, value: u32): void {
  store<u32>(cpu, FLAGS_EXPLICIT, VCPU_flagKind);
  store<u64>(cpu, value & FLAGS_ARITHMETIC, VCPU_flagA);
}

export function setZeroFlag(cpu: usize, value: bool): void {
  const others = <u32>materializeFlags(cpu) & ~FLAG_ZF;
  setArithmeticFlags(cpu, value ? others | FLAG_ZF : others);
}
