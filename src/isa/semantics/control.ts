import type { Builder } from '../../ir/builder.ts';
import type { Value } from '../../ir/ir.ts';
import { EXCEPTION_UD } from '../../layout/exceptions.ts';
import { STATUS_FAULT } from '../../layout/exits.ts';
import { REG_RAX, REG_RBP, REG_RBX, REG_RCX, REG_RSP, VCPU } from '../../layout/vcpu.ts';
import {
  general,
  MemoryOperand,
  pop,
  push,
  RegisterOperand,
  SEGMENT_NAMES,
  setAddressRegister,
  setStackPointer,
  stackOperand,
  stackPointer,
  type Operand,
  type Site,
} from '../operands.ts';
import { arithmeticFlags, ZF, type Description, type Descriptions } from './common.ts';

/** INT1, INT3 and INTO, which virtual-8086 mode treats unlike INT n. */
const ONE_BYTE = 0x100;

function operandBytes(s: Builder, site: Site): Value {
  return s.i32(site.form.operandBits / 8);
}

/** Which segment register a `fixed` operand (PUSH ES) or a ModRM.reg field names. */
function segmentNumber(s: Builder, site: Site, operandIndex: number): Value {
  const { size } = site.form.row.operands[operandIndex]!;
  return s.i32(SEGMENT_NAMES.indexOf(size));
}

function selector(segment: number): number {
  return VCPU.at.segSelector + segment * 4;
}

/** POP to a memory operand: its address is taken with RSP already moved (Intel SDM vol. 2, POP). */
function popMemory(s: Builder, site: Site, bits: number): void {
  const before = stackPointer(s);
  const top = pop(s, site, bits);
  const value = s.let(top.value);
  top.commit();
  const target = new MemoryOperand(s, site, bits);
  const after = stackPointer(s);
  s.writeRegister(general(REG_RSP), 8, before);
  target.set(value);
  s.writeRegister(general(REG_RSP), 8, after);
}

/** Loads a segment register from the stack or memory; `commit` runs unless the load faults. */
function loadSegment(s: Builder, segment: Value, value: Value, commit: () => void): void {
  const status = s.call('loadSegment', 'i32', segment, s.narrow(value));
  s.if(s.eq(status, s.i32(STATUS_FAULT)), () => s.push({ kind: 'finish', status }), undefined, false);
  commit();
  s.push({ kind: 'finish', status });
}

/** The count register of LOOP and JCXZ, as wide as addresses are. */
function count(s: Builder, site: Site): { value: Value; mask: Value } {
  const mask = s.let(site.addressMask(s));
  return { value: s.and(s.readRegister(general(REG_RCX), 8, false), mask), mask };
}

function loop(condition: number | undefined): Description {
  return (s, site) => {
    const { value, mask } = count(s, site);
    const left = s.let(s.and(s.sub(value, s.i64(1)), mask));
    const again = s.ne(left, s.i64(0));
    const taken = s.let(condition === undefined ? again : s.op('i32.and', again, s.condition(condition)));
    s.if(taken, () => s.push({ kind: 'checkBranch' }));
    setAddressRegister(s, site, REG_RCX, left);
    s.branch(taken);
  };
}

/**
 * Reads the far pointer in memory: offset first, then the selector. On AMD the offset has at most 32 bits, even with
 * REX.W (APM vol. 3, LFS and CALL (far)).
 */
function farPointer(d: MemoryOperand, bits: number, s: Builder): { offset: Value; selector: Value } {
  const width = Math.min(bits, 32);
  const offset = s.let(d.at(s.i64(0), width).get());
  return { offset, selector: d.at(s.i64(width / 8), 16).get() };
}

function memory(operand: Operand | undefined): MemoryOperand {
  if (operand instanceof MemoryOperand) return operand;
  throw new Error('the opcode table says that this operand is memory');
}

export const CONTROL: Descriptions = {
  jmp: (s) => s.branch(),
  jcc: (s, site) => s.branch(s.condition(site.form.row.condition)),
  jcxz: (s, site) => s.branch(s.eqz(count(s, site).value)),
  loop: loop(undefined),
  loope: loop(4),
  loopne: loop(5),
  call: (s, site) => {
    s.push({ kind: 'checkBranch' });
    push(s, site, s.nextRip(), site.form.operandBits);
    s.branch();
  },
  callTo: (s, site, d) => {
    const target = s.let(d.get());
    s.push({ kind: 'checkTarget', target });
    push(s, site, s.nextRip(), site.form.operandBits);
    s.branchTo(target);
  },
  jmpTo: (s, _site, d) => {
    const target = s.let(d.get());
    s.push({ kind: 'checkTarget', target });
    s.branchTo(target);
  },
  ret: (s, site, extra) => {
    const top = pop(s, site, site.form.operandBits);
    const target = s.let(top.value);
    s.push({ kind: 'checkTarget', target });
    top.commit(extra?.get());
    s.branchTo(target);
  },
  callFar: (s, site, target) => {
    s.status('callFar', s.narrow(site.immediate(s)), target.get(), operandBytes(s, site));
  },
  jmpFar: (s, site, target) => {
    s.status('jumpFar', s.narrow(site.immediate(s)), target.get(), operandBytes(s, site));
  },
  callFarTo: (s, site, d) => {
    const target = farPointer(memory(d), site.form.operandBits, s);
    s.status('callFar', s.narrow(target.selector), target.offset, operandBytes(s, site));
  },
  jmpFarTo: (s, site, d) => {
    const target = farPointer(memory(d), site.form.operandBits, s);
    s.status('jumpFar', s.narrow(target.selector), target.offset, operandBytes(s, site));
  },
  retFar: (s, site, extra) => {
    const bytes = extra ? s.narrow(extra.get()) : s.i32(0);
    s.status('returnFar', operandBytes(s, site), bytes);
  },
  iret: (s, site) => s.status('iret', operandBytes(s, site)),
  int: (s, _site, vector) => s.status('softwareInterrupt', s.narrow(vector.get())),
  int3: (s) => s.status('softwareInterrupt', s.i32(ONE_BYTE | 3)),
  int1: (s) => s.status('softwareInterrupt', s.i32(ONE_BYTE | 1)),
  into: (s) => {
    s.if(s.condition(0), () => s.status('softwareInterrupt', s.i32(ONE_BYTE | 4)));
    s.leave();
  },
  bound: (s, _site, d, x) => {
    const index = s.let(d.getSigned());
    const bounds = memory(x);
    const low = s.let(bounds.getSigned());
    const high = bounds.at(s.i64(d.bits / 8)).getSigned();
    const outside = s.op('i32.or', s.ltS(index, low), s.ltS(high, index));
    s.if(outside, () => s.raise(5), undefined, false);
  },
  ud1: (s) => s.raise(EXCEPTION_UD),
  ud2: (s) => s.raise(EXCEPTION_UD),

  push: (s, site, x) => {
    const spec = site.form.row.operands[0]!;
    const bits = site.form.operandBits;
    if (spec.letter === 'fixed') {
      const segment = SEGMENT_NAMES.indexOf(spec.size);
      push(s, site, s.readState('i64.load32_u', selector(segment)), bits);
      return;
    }
    push(s, site, s.let(x.get()), bits);
  },
  pop: (s, site, d) => {
    const bits = site.form.operandBits;
    if (site.form.row.operands[0]!.letter === 'fixed') {
      const top = pop(s, site, bits);
      loadSegment(s, segmentNumber(s, site, 0), top.value, () => top.commit());
      return;
    }
    if (d.memory) {
      popMemory(s, site, bits);
      return;
    }
    const top = pop(s, site, bits);
    top.commit();
    d.set(top.value);
  },
  pusha: (s, site) => {
    const bits = site.form.operandBits;
    const sp = stackPointer(s);
    for (let i = 0; i < 8; i++) {
      const value = i === REG_RSP ? sp : s.readRegister(general(i), 8, false);
      stackOperand(s, site, s.sub(sp, s.i64(((i + 1) * bits) / 8)), bits).set(value);
    }
    setStackPointer(s, site, s.sub(sp, s.i64(bits)));
  },
  popa: (s, site) => {
    const bits = site.form.operandBits;
    const sp = stackPointer(s);
    const values = Array.from({ length: 8 }, (_, i) =>
      stackOperand(s, site, s.add(sp, s.i64((i * bits) / 8)), bits).get(),
    );
    values.forEach((value, i) => {
      const register = 7 - i;
      if (register !== REG_RSP) new RegisterOperand(s, general(register), bits).set(value);
    });
    setStackPointer(s, site, s.add(sp, s.i64(bits)));
  },
  enter: (s, site) => {
    const image = s.let(s.narrow(site.immediate(s)));
    const frame = s.op('i32.and', image, s.i32(0xffff));
    const level = s.op('i32.and', s.op('i32.shr_u', image, s.i32(16)), s.i32(31));
    s.status('enter', operandBytes(s, site), frame, level);
  },
  leave: (s, site) => {
    const bits = site.form.operandBits;
    const bp = s.readRegister(general(REG_RBP), 8, false);
    const value = stackOperand(s, site, bp, bits).get();
    setStackPointer(s, site, s.add(bp, s.i64(bits / 8)));
    new RegisterOperand(s, general(REG_RBP), bits).set(value);
  },
  pushf: (s, site) => {
    push(s, site, s.call('readFlags', 'i64', operandBytes(s, site)), site.form.operandBits);
  },
  popf: (s, site) => {
    const top = pop(s, site, site.form.operandBits);
    const status = s.call('writeFlags', 'i32', top.value, operandBytes(s, site));
    s.if(s.eq(status, s.i32(STATUS_FAULT)), () => s.push({ kind: 'finish', status }), undefined, false);
    top.commit();
    s.push({ kind: 'finish', status });
  },

  movToSegment: (s, site, _d, x) => {
    s.status('loadSegment', site.registerNumber(s), s.narrow(x.get()));
  },
  movFromSegment: (s, site, d) => {
    const value = s.readStateAt('i64.load32_u', VCPU.at.segSelector, site.registerNumber(s), 4);
    if (d instanceof MemoryOperand) d.at(s.i64(0), 16).set(value);
    else d.set(value);
  },
  loadFar: (s, site, d, x) => {
    const target = farPointer(memory(x), d.bits, s);
    loadSegment(s, segmentNumber(s, site, 2), target.selector, () => d.set(target.offset));
  },
  xlat: (s, site) => {
    const table = s.readRegister(general(REG_RBX), 8, false);
    const al = new RegisterOperand(s, general(REG_RAX), 8);
    const address = s.let(s.and(s.add(table, al.get()), site.addressMask(s)));
    al.set(new MemoryOperand(s, site, 8, address).get());
  },
  arpl: (s, _site, d, x) => {
    const rpl = s.let(s.and(x.get(), s.i64(3)));
    const old = s.let(d.get());
    const lower = s.ltU(s.and(old, s.i64(3)), rpl);
    const kept = s.let(s.and(arithmeticFlags(s), s.i64(~ZF)));
    // Only a selector that changes is written.
    s.if(
      lower,
      () => {
        d.set(s.or(s.and(old, s.i64(~3n)), rpl));
        s.flags(0, undefined, s.or(kept, s.i64(ZF)));
      },
      () => s.flags(0, undefined, kept),
    );
  },

  nop: () => {},
  nopE: () => {},
  prefetch: () => {},
  pause: () => {},
};
