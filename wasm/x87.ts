/**
 * x87 instructions (APM volume 5): decodes the opcode and ModRM bytes and carries the instruction out
 * on the register stack of the vCPU block. Numbers are computed in softfloat80.ts and x87math.ts; x87fast.ts comes first
 * and takes the ordinary cases.
 */
import { raise } from './cpu';
import { materializeFlags } from './flags';
import {
  EXCEPTION_UD,
  FLAGS_EXPLICIT,
  REG_RAX,
  STATUS_NEXT,
  VCPU_flagA,
  VCPU_flagKind,
  VCPU_fpuControl,
  VCPU_fpuStatus,
  VCPU_regs,
} from './generated/layout';
import {
  add80,
  clearFlags,
  compare80,
  COMPARE_UNORDERED,
  DE,
  divide80,
  extract80,
  extractedSe,
  extractedSig,
  fromFloat32,
  fromFloat64,
  fromInt64,
  IE,
  INDEFINITE_SE,
  INDEFINITE_SIG,
  INTEGER_BIT,
  isDenormal,
  isInfinity,
  isNaN80,
  isSignaling,
  isUnsupported,
  isZero,
  multiply80,
  OE,
  propagateOne,
  remainder80,
  remainderPartial,
  remainderQuotient,
  rFlags,
  ROUND_CHOP,
  roundToInteger80,
  rSe,
  rSig,
  scale80,
  setResult,
  sqrt80,
  toFloat32,
  toFloat64,
  toInteger,
  UE,
  ZE,
} from './softfloat80';
import { loadDecimal, storeDecimal } from './x87bcd';
import { loadEnvironment, restoreState, saveState, storeEnvironment } from './x87env';
import {
  cosine,
  exponentialMinusOne,
  logarithm,
  logarithmPlusOne,
  reductionRange,
  arctangent,
  secondSe,
  secondSig,
  sine,
  sineAndCosine,
  tangent,
} from './x87math';
import { hostForRead, hostForWrite, stored } from './x87memory';
import { NOT_ORDINARY, ordinaryControl, product, quotient, sum } from './x87ordinary';
import {
  checkAvailable,
  checkWaiting,
  controlWord,
  freeRegister,
  initialize,
  isEmpty,
  noteInstruction,
  noteOperand,
  pop,
  push,
  pushResult,
  registerAt,
  seOf,
  setConditions,
  setControl,
  setStatus,
  setTop,
  sigOf,
  signal,
  stackFault,
  STATUS_C0,
  STATUS_C1,
  STATUS_C2,
  STATUS_C3,
  statusWord,
  topOf,
  underflowTo,
  writeRegister,
  writeResult,
} from './x87state';

// @ts-ignore: decorator
@inline const FLOAT32_INDEFINITE: u32 = 0xffc00000;
// @ts-ignore: decorator
@inline const FLOAT64_INDEFINITE: u64 = 0xfff8000000000000;

/** Bits 3-5 of ModRM in the arithmetic opcodes. */
// @ts-ignore: decorator
@inline const OP_ADD: u32 = 0;
// @ts-ignore: decorator
@inline const OP_MUL: u32 = 1;
// @ts-ignore: decorator
@inline const OP_COM: u32 = 2;
// @ts-ignore: decorator
@inline const OP_COMP: u32 = 3;
// @ts-ignore: decorator
@inline const OP_SUB: u32 = 4;
// @ts-ignore: decorator
@inline const OP_SUBR: u32 = 5;
// @ts-ignore: decorator
@inline const OP_DIV: u32 = 6;

/** ST(0) op b into the result globals. `op` is not a comparison. */
function compute(op: u32, aSe: u32, aSig: u64, bSe: u32, bSig: u64, cw: u32): void {
  switch (op) {
    case OP_ADD:
      add80(aSe, aSig, bSe, bSig, 0, cw);
      break;
    case OP_MUL:
      multiply80(aSe, aSig, bSe, bSig, cw);
      break;
    case OP_SUB:
      add80(aSe, aSig, bSe, bSig, 1, cw);
      break;
    case OP_SUBR:
      add80(bSe, bSig, aSe, aSig, 1, cw);
      break;
    case OP_DIV:
      divide80(aSe, aSig, bSe, bSig, cw);
      break;
    default:
      divide80(bSe, bSig, aSe, aSig, cw);
  }
}

/** ST(0) op b into a register where that is ordinary: the new status word. */
export function ordinary(status: u32, register: i32, op: u32, aSe: u32, aSig: u64, bSe: u32, bSig: u64): u32 {
  switch (op) {
    case OP_ADD:
      return sum(status, register, aSe, aSig, bSe, bSig);
    case OP_MUL:
      return product(status, register, aSe, aSig, bSe, bSig);
    case OP_SUB:
      return sum(status, register, aSe, aSig, bSe ^ 0x8000, bSig);
    case OP_SUBR:
      return sum(status, register, aSe ^ 0x8000, aSig, bSe, bSig);
    case OP_DIV:
      return quotient(status, register, aSe, aSig, bSe, bSig);
    default:
      return quotient(status, register, bSe, bSig, aSe, aSig);
  }
}

/** Arithmetic and comparison with a memory operand, already widened; `loaded` holds DE for a denormal. */
export function withOperand(cpu: i32, op: u32, bSe: u32, bSig: u64, loaded: u32): void {
  if (isEmpty(cpu, 0)) {
    if (op == OP_COM || op == OP_COMP) compareUnderflow(cpu, op == OP_COMP ? 1 : 0);
    else underflowTo(cpu, 0);
    return;
  }
  const aSe = seOf(cpu, 0);
  const aSig = sigOf(cpu, 0);
  if (op == OP_COM || op == OP_COMP) {
    const order = compare80(aSe, aSig, bSe, bSig, false);
    const flags = order == COMPARE_UNORDERED ? rFlags : rFlags | loaded;
    finishCompare(cpu, order, flags, op == OP_COMP ? 1 : 0);
    return;
  }
  if (loaded == 0 && ordinaryControl(cpu)) {
    const status = ordinary(statusWord(cpu), registerAt(cpu, 0), op, aSe, aSig, bSe, bSig);
    if (status != NOT_ORDINARY) {
      store<u16>(cpu, status, VCPU_fpuStatus);
      return;
    }
  }
  compute(op, aSe, aSig, bSe, bSig, controlWord(cpu));
  // IE, ZE and NaN operands come before the denormal operand.
  const flags = (rFlags & (IE | ZE)) != 0 || isNaN80(aSe, aSig) ? rFlags : rFlags | loaded;
  if (signal(cpu, flags)) writeResult(cpu, 0);
}

/** Arithmetic between ST(0) and ST(i) into ST(target), popping once if `pops`. */
function withRegister(cpu: i32, op: u32, i: u32, target: u32, pops: bool): void {
  if (isEmpty(cpu, 0) || isEmpty(cpu, i)) {
    if (underflowTo(cpu, target) && pops) pop(cpu);
    return;
  }
  compute(op, seOf(cpu, 0), sigOf(cpu, 0), seOf(cpu, i), sigOf(cpu, i), controlWord(cpu));
  if (!signal(cpu, rFlags)) return;
  writeResult(cpu, target);
  if (pops) pop(cpu);
}

function finishCompare(cpu: i32, order: u32, flags: u32, pops: u32): void {
  const completes = signal(cpu, flags);
  setConditions(cpu, STATUS_C0 | STATUS_C2 | STATUS_C3, order);
  if (!completes) return;
  for (; pops > 0; pops--) pop(cpu);
}

function compareUnderflow(cpu: i32, pops: u32): void {
  const completes = stackFault(cpu, false);
  setConditions(cpu, STATUS_C0 | STATUS_C2 | STATUS_C3, COMPARE_UNORDERED);
  if (!completes) return;
  for (; pops > 0; pops--) pop(cpu);
}

/** FCOM, FUCOM and their popping forms. */
function compareRegister(cpu: i32, i: u32, quiet: bool, pops: u32): void {
  if (isEmpty(cpu, 0) || isEmpty(cpu, i)) {
    compareUnderflow(cpu, pops);
    return;
  }
  const order = compare80(seOf(cpu, 0), sigOf(cpu, 0), seOf(cpu, i), sigOf(cpu, i), quiet);
  finishCompare(cpu, order, rFlags, pops);
}

/**
 * FCOMI, FUCOMI: the order goes to ZF, PF and CF; OF, SF and AF are cleared. C1 changes with a stack
 * fault only.
 */
function compareToFlags(cpu: i32, i: u32, quiet: bool, pops: bool): void {
  let order = COMPARE_UNORDERED;
  let completes: bool;
  if (isEmpty(cpu, 0) || isEmpty(cpu, i)) {
    completes = stackFault(cpu, false);
  } else {
    order = compare80(seOf(cpu, 0), sigOf(cpu, 0), seOf(cpu, i), sigOf(cpu, i), quiet);
    const c1 = statusWord(cpu) & STATUS_C1;
    completes = signal(cpu, rFlags);
    setConditions(cpu, STATUS_C1, c1);
  }
  // C0, C2, C3 are at bits 8, 10, 14: CF, PF, ZF stand eight lower.
  store<u64>(cpu, order >> 8, VCPU_flagA);
  store<u32>(cpu, FLAGS_EXPLICIT, VCPU_flagKind);
  if (completes && pops) pop(cpu);
}

/** FST and FSTP to a register. */
function storeRegister(cpu: i32, i: u32, pops: bool): void {
  if (isEmpty(cpu, 0)) {
    if (underflowTo(cpu, i) && pops) pop(cpu);
    return;
  }
  setConditions(cpu, STATUS_C1, 0);
  writeRegister(cpu, i, seOf(cpu, 0), sigOf(cpu, 0));
  if (pops) pop(cpu);
}

/** D9 D8+i, an undocumented FSTP: an empty ST(0) is popped without a fault. */
function storeAlias(cpu: i32, i: u32): void {
  if (!isEmpty(cpu, 0)) {
    storeRegister(cpu, i, true);
    return;
  }
  setConditions(cpu, STATUS_C1, 0);
  pop(cpu);
}

function exchange(cpu: i32, i: u32): void {
  const emptyTop = isEmpty(cpu, 0);
  const emptyOther = isEmpty(cpu, i);
  if (emptyTop || emptyOther) {
    if (!stackFault(cpu, false)) return;
    if (emptyTop) writeRegister(cpu, 0, INDEFINITE_SE, INDEFINITE_SIG);
    if (emptyOther) writeRegister(cpu, i, INDEFINITE_SE, INDEFINITE_SIG);
  } else {
    setConditions(cpu, STATUS_C1, 0);
  }
  const se = seOf(cpu, 0);
  const sig = sigOf(cpu, 0);
  writeRegister(cpu, 0, seOf(cpu, i), sigOf(cpu, i));
  writeRegister(cpu, i, se, sig);
}

function loadRegister(cpu: i32, i: u32): void {
  clearFlags();
  if (isEmpty(cpu, i)) {
    // The fault of the source; the stack may be full as well, and overflow wins nothing by that.
    if (stackFault(cpu, false)) push(cpu, INDEFINITE_SE, INDEFINITE_SIG);
    return;
  }
  setResult(seOf(cpu, i), sigOf(cpu, i));
  pushResult(cpu, 0);
}

function conditionalMove(cpu: i32, condition: u32, negate: bool, i: u32): void {
  const flags = <u32>materializeFlags(cpu);
  let met: bool;
  switch (condition) {
    case 0:
      met = (flags & 0x01) != 0;
      break;
    case 1:
      met = (flags & 0x40) != 0;
      break;
    case 2:
      met = (flags & 0x41) != 0;
      break;
    default:
      met = (flags & 0x04) != 0;
  }
  if (isEmpty(cpu, 0) || isEmpty(cpu, i)) {
    underflowTo(cpu, 0);
    return;
  }
  if (met != negate) writeRegister(cpu, 0, seOf(cpu, i), sigOf(cpu, i));
}

/** FXAM (APM volume 5, table of condition codes): works on empty registers too. */
function examine(cpu: i32): void {
  const se = seOf(cpu, 0);
  const sig = sigOf(cpu, 0);
  let kind: u32;
  if (isEmpty(cpu, 0)) kind = STATUS_C3 | STATUS_C0;
  else if (isUnsupported(se, sig)) kind = 0;
  else if (isNaN80(se, sig)) kind = STATUS_C0;
  else if (isInfinity(se, sig)) kind = STATUS_C2 | STATUS_C0;
  else if (isZero(se, sig)) kind = STATUS_C3;
  else if (isDenormal(se, sig)) kind = STATUS_C3 | STATUS_C2;
  else kind = STATUS_C2;
  if ((se & 0x8000) != 0) kind |= STATUS_C1;
  setConditions(cpu, STATUS_C0 | STATUS_C1 | STATUS_C2 | STATUS_C3, kind);
}

/** FLD1, FLDL2T, FLDL2E, FLDPI, FLDLG2, FLDLN2, FLDZ: rounded as RC says, without PE. */
function loadConstant(cpu: i32, index: u32): void {
  const rc = (controlWord(cpu) >> 10) & 3;
  clearFlags();
  switch (index) {
    case 0:
      setResult(0x3fff, INTEGER_BIT);
      break;
    case 1:
      setResult(0x4000, 0xd49a784bcd1b8afe + u64(rc == 2));
      break;
    case 2:
      setResult(0x3fff, 0xb8aa3b295c17f0bc - u64(rc == 1 || rc == 3));
      break;
    case 3:
      setResult(0x4000, 0xc90fdaa22168c235 - u64(rc == 1 || rc == 3));
      break;
    case 4:
      setResult(0x3ffd, 0x9a209a84fbcff799 - u64(rc == 1 || rc == 3));
      break;
    case 5:
      setResult(0x3ffe, 0xb17217f7d1cf79ac - u64(rc == 1 || rc == 3));
      break;
    default:
      setResult(0, 0);
  }
  pushResult(cpu, 0);
}

/** The result globals replace ST(0). */
// @ts-ignore: decorator
@inline function replaceTop(cpu: i32): void {
  if (signal(cpu, rFlags)) writeResult(cpu, 0);
}

/** The result globals replace ST(1), and ST(0) is popped. */
// @ts-ignore: decorator
@inline function replaceSecondAndPop(cpu: i32): void {
  if (!signal(cpu, rFlags)) return;
  writeResult(cpu, 1);
  pop(cpu);
}

/** FXTRACT, FSINCOS, FPTAN: one result replaces ST(0), the other is pushed. */
function replaceTopAndPush(cpu: i32, se: u32, sig: u64): void {
  const first = rSe;
  const firstSig = rSig;
  if (!signal(cpu, rFlags)) return;
  writeRegister(cpu, 0, first, firstSig);
  push(cpu, se, sig);
}

/** Stack faults of an instruction that replaces ST(0) and pushes: true if one was answered. */
function pushingFault(cpu: i32): bool {
  const underflow = isEmpty(cpu, 0);
  if (!underflow && isEmpty(cpu, 7)) return false;
  if (stackFault(cpu, !underflow)) {
    writeRegister(cpu, 0, INDEFINITE_SE, INDEFINITE_SIG);
    push(cpu, INDEFINITE_SE, INDEFINITE_SIG);
  }
  return true;
}

/** FPREM and FPREM1, with the quotient's bits 2, 1, 0 in C0, C3, C1. */
function partialRemainder(cpu: i32, nearest: bool): void {
  setConditions(cpu, STATUS_C2, 0);
  if (isEmpty(cpu, 0) || isEmpty(cpu, 1)) {
    underflowTo(cpu, 0);
    return;
  }
  remainder80(seOf(cpu, 0), sigOf(cpu, 0), seOf(cpu, 1), sigOf(cpu, 1), nearest, controlWord(cpu));
  const flags = rFlags;
  if (!signal(cpu, flags)) return;
  writeResult(cpu, 0);
  if ((flags & IE) != 0 || isNaN80(rSe, rSig)) return;
  let conditions: u32 = 0;
  if (remainderPartial) {
    conditions = STATUS_C2;
  } else {
    if ((remainderQuotient & 4) != 0) conditions |= STATUS_C0;
    if ((remainderQuotient & 2) != 0) conditions |= STATUS_C3;
    if ((remainderQuotient & 1) != 0) conditions |= STATUS_C1;
  }
  setConditions(cpu, STATUS_C0 | STATUS_C1 | STATUS_C2 | STATUS_C3, conditions);
}

/** FSIN, FCOS, FSINCOS, FPTAN share the range check: outside of it nothing happens but C2 = 1. */
function trigonometric(cpu: i32, low: u32): void {
  setConditions(cpu, STATUS_C2, 0);
  const pushes = low == 0xf2 || low == 0xfb;
  if (pushes) {
    if (pushingFault(cpu)) return;
  } else if (isEmpty(cpu, 0)) {
    underflowTo(cpu, 0);
    return;
  }
  const se = seOf(cpu, 0);
  const sig = sigOf(cpu, 0);
  const cw = controlWord(cpu);
  if (!reductionRange(se, sig)) {
    setConditions(cpu, STATUS_C1 | STATUS_C2, STATUS_C2);
    return;
  }
  switch (low) {
    case 0xfe:
      sine(se, sig, cw);
      replaceTop(cpu);
      break;
    case 0xff:
      cosine(se, sig, cw);
      replaceTop(cpu);
      break;
    case 0xfb:
      sineAndCosine(se, sig, cw);
      replaceTopAndPush(cpu, secondSe, secondSig);
      break;
    default:
      tangent(se, sig, cw);
      replaceTopAndPush(cpu, secondSe, secondSig);
  }
}

function twoOperandTranscendental(modrm: u32, ySe: u32, ySig: u64, xSe: u32, xSig: u64, cw: u32): void {
  if (modrm == 0xf1) logarithm(ySe, ySig, xSe, xSig, cw);
  else if (modrm == 0xf3) arctangent(ySe, ySig, xSe, xSig, cw);
  else logarithmPlusOne(ySe, ySig, xSe, xSig, cw);
}

/** D9 E0-FF. */
function unaryOrConstant(cpu: i32, modrm: u32): i32 {
  switch (modrm) {
    case 0xe0: // FCHS
    case 0xe1: // FABS
      if (isEmpty(cpu, 0)) {
        underflowTo(cpu, 0);
        return STATUS_NEXT;
      }
      setConditions(cpu, STATUS_C1, 0);
      writeRegister(cpu, 0, modrm == 0xe0 ? seOf(cpu, 0) ^ 0x8000 : seOf(cpu, 0) & 0x7fff, sigOf(cpu, 0));
      return STATUS_NEXT;
    case 0xe4: // FTST
      if (isEmpty(cpu, 0)) {
        compareUnderflow(cpu, 0);
        return STATUS_NEXT;
      }
      const order = compare80(seOf(cpu, 0), sigOf(cpu, 0), 0, 0, false);
      finishCompare(cpu, order, rFlags, 0);
      return STATUS_NEXT;
    case 0xe5:
      examine(cpu);
      return STATUS_NEXT;
    case 0xe8:
    case 0xe9:
    case 0xea:
    case 0xeb:
    case 0xec:
    case 0xed:
    case 0xee:
      loadConstant(cpu, modrm & 7);
      return STATUS_NEXT;
    case 0xf4: // FXTRACT
      if (!pushingFault(cpu)) {
        extract80(seOf(cpu, 0), sigOf(cpu, 0));
        const significandSe = rSe;
        const significandSig = rSig;
        setResult(extractedSe, extractedSig);
        replaceTopAndPush(cpu, significandSe, significandSig);
      }
      return STATUS_NEXT;
    case 0xf6: // FDECSTP
      setTop(cpu, topOf(cpu) - 1);
      setConditions(cpu, STATUS_C1, 0);
      return STATUS_NEXT;
    case 0xf7: // FINCSTP
      setTop(cpu, topOf(cpu) + 1);
      setConditions(cpu, STATUS_C1, 0);
      return STATUS_NEXT;
    case 0xf5: // FPREM1
      partialRemainder(cpu, true);
      return STATUS_NEXT;
    case 0xf8: // FPREM
      partialRemainder(cpu, false);
      return STATUS_NEXT;
    case 0xf2: // FPTAN
    case 0xfb: // FSINCOS
    case 0xfe: // FSIN
    case 0xff: // FCOS
      trigonometric(cpu, modrm);
      return STATUS_NEXT;
    case 0xf1: // FYL2X
    case 0xf3: // FPATAN
    case 0xf9: // FYL2XP1
      if (isEmpty(cpu, 0) || isEmpty(cpu, 1)) {
        if (underflowTo(cpu, 1)) pop(cpu);
        return STATUS_NEXT;
      }
      twoOperandTranscendental(
        modrm,
        seOf(cpu, 1),
        sigOf(cpu, 1),
        seOf(cpu, 0),
        sigOf(cpu, 0),
        controlWord(cpu),
      );
      replaceSecondAndPop(cpu);
      return STATUS_NEXT;
    case 0xfd: // FSCALE
      if (isEmpty(cpu, 0) || isEmpty(cpu, 1)) {
        underflowTo(cpu, 0);
        return STATUS_NEXT;
      }
      scale80(seOf(cpu, 0), sigOf(cpu, 0), seOf(cpu, 1), sigOf(cpu, 1), controlWord(cpu));
      replaceTop(cpu);
      return STATUS_NEXT;
    case 0xf0: // F2XM1
    case 0xfa: // FSQRT
    case 0xfc: // FRNDINT
      if (isEmpty(cpu, 0)) {
        underflowTo(cpu, 0);
        return STATUS_NEXT;
      }
      if (modrm == 0xf0) exponentialMinusOne(seOf(cpu, 0), sigOf(cpu, 0), controlWord(cpu));
      else if (modrm == 0xfa) sqrt80(seOf(cpu, 0), sigOf(cpu, 0), controlWord(cpu));
      else roundToInteger80(seOf(cpu, 0), sigOf(cpu, 0), controlWord(cpu));
      replaceTop(cpu);
      return STATUS_NEXT;
    default:
      return raise(cpu, EXCEPTION_UD, 0);
  }
}

/** Whether a register form is undefined: D9 D1-D7, E2, E3, E6, E7, EF and the holes of DA, DB, DD, DE, DF. */
function isUndefined(opcode: u32, modrm: u32): bool {
  switch (opcode) {
    case 0xd9:
      if (modrm > 0xd0 && modrm < 0xd8) return true;
      return modrm == 0xe2 || modrm == 0xe3 || modrm == 0xe6 || modrm == 0xe7 || modrm == 0xef;
    case 0xda:
      return modrm >= 0xe0 && modrm != 0xe9;
    case 0xdb:
      return (modrm >= 0xe5 && modrm < 0xe8) || modrm >= 0xf8;
    case 0xdd:
      return modrm >= 0xf0;
    case 0xde:
      return modrm >= 0xd8 && modrm < 0xe0 && modrm != 0xd9;
    case 0xdf:
      return (modrm > 0xe0 && modrm < 0xe8) || modrm >= 0xf8;
    default:
      return false;
  }
}

/** An x87 instruction with register operands: all cases of it. `code` is that of `x87Register` (x87fast.ts). */
export function registerForm(cpu: i32, code: i32): i32 {
  const opcode = (<u32>code >> 8) & 0xff;
  const modrm = <u32>code & 0xff;
  if (isUndefined(opcode, modrm)) return raise(cpu, EXCEPTION_UD, 0);
  if (opcode == 0xdb && modrm >= 0xe0 && modrm < 0xe8) return controlRegister(cpu, modrm);
  if (opcode == 0xdf && modrm == 0xe0) {
    // FNSTSW AX
    const available = checkAvailable(cpu);
    if (available == STATUS_NEXT) store<u16>(cpu + (REG_RAX << 3), statusWord(cpu), VCPU_regs);
    return available;
  }
  const waiting = checkWaiting(cpu);
  if (waiting != STATUS_NEXT) return waiting;
  noteInstruction(cpu, code);
  const row = (modrm >> 3) & 7;
  const i = modrm & 7;
  switch (opcode) {
    case 0xd8:
      if (row == OP_COM || row == OP_COMP) compareRegister(cpu, i, false, row == OP_COMP ? 1 : 0);
      else withRegister(cpu, row, i, 0, false);
      return STATUS_NEXT;
    case 0xd9:
      if (row == 0) loadRegister(cpu, i);
      else if (row == 1) exchange(cpu, i);
      else if (row == 3) storeAlias(cpu, i);
      else if (row >= 4) return unaryOrConstant(cpu, modrm);
      return STATUS_NEXT;
    case 0xda:
      if (row < 4) conditionalMove(cpu, row, false, i);
      else compareRegister(cpu, 1, true, 2);
      return STATUS_NEXT;
    case 0xdb:
      if (row < 4) conditionalMove(cpu, row, true, i);
      else compareToFlags(cpu, i, row == 5, false);
      return STATUS_NEXT;
    case 0xdc:
      if (row == OP_COM || row == OP_COMP) compareRegister(cpu, i, false, row == OP_COMP ? 1 : 0);
      else withRegister(cpu, row, i, i, false);
      return STATUS_NEXT;
    case 0xdd:
      if (row == 0) {
        freeRegister(cpu, i);
        setConditions(cpu, STATUS_C1, 0);
      } else if (row == 1) exchange(cpu, i);
      else if (row == 2) storeRegister(cpu, i, false);
      else if (row == 3) storeRegister(cpu, i, true);
      else compareRegister(cpu, i, true, row == 5 ? 1 : 0);
      return STATUS_NEXT;
    case 0xde:
      if (row == 2) compareRegister(cpu, i, false, 1);
      else if (row == 3) compareRegister(cpu, 1, false, 2);
      else withRegister(cpu, row, i, i, true);
      return STATUS_NEXT;
    default:
      if (row == 0) {
        // FFREEP
        freeRegister(cpu, i);
        setConditions(cpu, STATUS_C1, 0);
        pop(cpu);
      } else if (row == 1) exchange(cpu, i);
      else if (row < 4) storeRegister(cpu, i, true);
      else compareToFlags(cpu, i, row == 5, true);
      return STATUS_NEXT;
  }
}

/** DB E0-E4: FNENI, FNDISI (8087) and FNSETPM (287) do nothing; FNCLEX, FNINIT. None of them waits. */
function controlRegister(cpu: i32, modrm: u32): i32 {
  const available = checkAvailable(cpu);
  if (available != STATUS_NEXT) return available;
  if (modrm == 0xe2) store<u16>(cpu, statusWord(cpu) & 0x7f00, VCPU_fpuStatus);
  else if (modrm == 0xe3) initialize(cpu);
  return STATUS_NEXT;
}

/**
 * FLD of a widened operand: a signaling NaN turns quiet with IE. An unmasked DE does not keep the number
 * from being pushed (seen on AMD's CPUs).
 */
export function loadOperand(cpu: i32): void {
  if (isSignaling(rSe, rSig)) propagateOne(rSe, rSig);
  const denormal = isEmpty(cpu, 7) ? rFlags & DE : 0;
  pushResult(cpu, rFlags & ~DE);
  if (denormal != 0) setStatus(cpu, statusWord(cpu) | denormal);
}

/** FST and FSTP m32 or m64. */
function storeFloat(cpu: i32, linear: i64, segment: i32, size: i32, pops: bool): i32 {
  const host = hostForWrite(cpu, linear, size, segment);
  if (host == 0) return 1;
  let bits: u64;
  if (isEmpty(cpu, 0)) {
    if (!stackFault(cpu, false)) return STATUS_NEXT;
    bits = size == 4 ? FLOAT32_INDEFINITE : FLOAT64_INDEFINITE;
  } else {
    const cw = controlWord(cpu);
    bits =
      size == 4 ? toFloat32(seOf(cpu, 0), sigOf(cpu, 0), cw) : toFloat64(seOf(cpu, 0), sigOf(cpu, 0), cw);
    const flags = rFlags;
    if (!signal(cpu, flags)) return STATUS_NEXT;
    if ((flags & ~cw & (OE | UE)) != 0) return STATUS_NEXT;
  }
  if (size == 4) store<u32>(host, <u32>bits);
  else store<u64>(host, bits);
  stored(cpu, host);
  if (pops) pop(cpu);
  return STATUS_NEXT;
}

/** FIST, FISTP, FISTTP. */
function storeInteger(cpu: i32, linear: i64, segment: i32, size: i32, chop: bool, pops: bool): i32 {
  const host = hostForWrite(cpu, linear, size, segment);
  if (host == 0) return 1;
  let value: i64;
  if (isEmpty(cpu, 0)) {
    if (!stackFault(cpu, false)) return STATUS_NEXT;
    value = <i64>(~(<u64>0) << ((size << 3) - 1));
  } else {
    value = toInteger(
      seOf(cpu, 0),
      sigOf(cpu, 0),
      size << 3,
      chop ? ROUND_CHOP : (controlWord(cpu) >> 10) & 3,
    );
    if (!signal(cpu, rFlags)) return STATUS_NEXT;
  }
  if (size == 2) store<u16>(host, <u16>value);
  else if (size == 4) store<u32>(host, <u32>value);
  else store<i64>(host, value);
  stored(cpu, host);
  if (pops) pop(cpu);
  return STATUS_NEXT;
}

/** Control-type instructions with a memory operand: they leave the last-instruction pointers alone. */
function isControlMemory(opcode: u32, row: u32): bool {
  return (opcode == 0xd9 && row >= 4) || (opcode == 0xdd && (row == 4 || row >= 6));
}

/** FLDENV, FLDCW, FNSTENV, FNSTCW, FRSTOR, FNSAVE, FNSTSW. */
function controlMemory(cpu: i32, opcode: u32, row: u32, linear: i64, segment: i32, bytes: i32): i32 {
  const loads = row == 4 || (opcode == 0xd9 && row == 5);
  const allowed = loads ? checkWaiting(cpu) : checkAvailable(cpu);
  if (allowed != STATUS_NEXT) return allowed;
  if (row == 4) {
    return opcode == 0xd9
      ? loadEnvironment(cpu, linear, segment, bytes)
      : restoreState(cpu, linear, segment, bytes);
  }
  if (row == 6) {
    return opcode == 0xd9
      ? storeEnvironment(cpu, linear, segment, bytes)
      : saveState(cpu, linear, segment, bytes);
  }
  if (row == 5) {
    const from = hostForRead(cpu, linear, 2, segment);
    if (from == 0) return 1;
    setControl(cpu, load<u16>(from));
    return STATUS_NEXT;
  }
  const host = hostForWrite(cpu, linear, 2, segment);
  if (host == 0) return 1;
  store<u16>(host, opcode == 0xd9 ? load<u16>(cpu, VCPU_fpuControl) : load<u16>(cpu, VCPU_fpuStatus));
  stored(cpu, host);
  return STATUS_NEXT;
}

/** Size of a memory operand that is read, by opcode and row; 0: it is stored, or the form is undefined. */
function loadSize(opcode: u32, row: u32): i32 {
  switch (opcode) {
    case 0xd8:
    case 0xda:
      return 4;
    case 0xdc:
      return 8;
    case 0xde:
      return 2;
    case 0xd9:
      return row == 0 ? 4 : 0;
    case 0xdb:
      return row == 0 ? 4 : row == 5 ? 10 : 0;
    case 0xdd:
      return row == 0 ? 8 : 0;
    default:
      return row == 0 ? 2 : row == 4 ? 10 : row == 5 ? 8 : 0;
  }
}

/** An x87 instruction with a memory operand at `linear`: all cases of it. Parameters are those of `x87Memory`. */
export function memoryForm(cpu: i32, code: i32, linear: i64, segment: i32, bytes: i32): i32 {
  const opcode = (<u32>code >> 8) & 0xff;
  const row = (<u32>code >> 3) & 7;
  if (isControlMemory(opcode, row)) return controlMemory(cpu, opcode, row, linear, segment, bytes);
  if (
    (opcode == 0xd9 && row == 1) ||
    (opcode == 0xdb && (row == 4 || row == 6)) ||
    (opcode == 0xdd && row == 5)
  ) {
    return raise(cpu, EXCEPTION_UD, 0);
  }
  const waiting = checkWaiting(cpu);
  if (waiting != STATUS_NEXT) return waiting;
  const size = loadSize(opcode, row);
  if (size == 0) return storeForm(cpu, code, opcode, row, linear, segment);
  const host = hostForRead(cpu, linear, size, segment);
  if (host == 0) return 1;
  noteInstruction(cpu, code);
  noteOperand(cpu, linear, segment);
  switch (opcode) {
    case 0xd8:
      fromFloat32(load<u32>(host));
      withOperand(cpu, row, rSe, rSig, rFlags);
      return STATUS_NEXT;
    case 0xdc:
      fromFloat64(load<u64>(host));
      withOperand(cpu, row, rSe, rSig, rFlags);
      return STATUS_NEXT;
    case 0xda:
      fromInt64(load<i32>(host));
      withOperand(cpu, row, rSe, rSig, 0);
      return STATUS_NEXT;
    case 0xde:
      fromInt64(load<i16>(host));
      withOperand(cpu, row, rSe, rSig, 0);
      return STATUS_NEXT;
    case 0xd9:
      fromFloat32(load<u32>(host));
      loadOperand(cpu);
      return STATUS_NEXT;
    case 0xdd:
      fromFloat64(load<u64>(host));
      loadOperand(cpu);
      return STATUS_NEXT;
    case 0xdb:
      if (row == 0) fromInt64(load<i32>(host));
      else setResult(load<u16>(host, 8), load<u64>(host));
      pushResult(cpu, 0);
      return STATUS_NEXT;
    default:
      if (row == 0) fromInt64(load<i16>(host));
      else if (row == 5) fromInt64(load<i64>(host));
      else loadDecimal(load<u64>(host), load<u16>(host, 8));
      pushResult(cpu, 0);
      return STATUS_NEXT;
  }
}

/** Size of a memory operand that is stored. */
function storeSize(opcode: u32, row: u32): i32 {
  switch (opcode) {
    case 0xd9:
      return 4;
    case 0xdb:
      return row == 7 ? 10 : 4;
    case 0xdd:
      return 8;
    default:
      return row == 6 ? 10 : row == 7 ? 8 : 2;
  }
}

/** The storing forms: the destination is probed before anything else changes. */
function storeForm(cpu: i32, code: i32, opcode: u32, row: u32, linear: i64, segment: i32): i32 {
  const size = storeSize(opcode, row);
  const host = hostForWrite(cpu, linear, size, segment);
  if (host == 0) return 1;
  noteInstruction(cpu, code);
  noteOperand(cpu, linear, segment);
  if (size == 10) {
    return row == 6 ? storeDecimalForm(cpu, host) : storeExtended(cpu, host);
  }
  if (opcode == 0xd9) return storeFloat(cpu, linear, segment, 4, row == 3);
  if (opcode == 0xdd && row >= 2) return storeFloat(cpu, linear, segment, 8, row == 3);
  return storeInteger(cpu, linear, segment, size, row == 1, row != 2);
}

/** FSTP m80: no exception but a stack underflow. */
function storeExtended(cpu: i32, host: i32): i32 {
  let se = INDEFINITE_SE;
  let sig = INDEFINITE_SIG;
  if (isEmpty(cpu, 0)) {
    if (!stackFault(cpu, false)) return STATUS_NEXT;
  } else {
    se = seOf(cpu, 0);
    sig = sigOf(cpu, 0);
    setConditions(cpu, STATUS_C1, 0);
  }
  store<u64>(host, sig);
  store<u16>(host, se, 8);
  stored(cpu, host);
  pop(cpu);
  return STATUS_NEXT;
}

/** FBSTP. */
function storeDecimalForm(cpu: i32, host: i32): i32 {
  let se = INDEFINITE_SE;
  let sig = INDEFINITE_SIG;
  if (isEmpty(cpu, 0)) {
    if (!stackFault(cpu, false)) return STATUS_NEXT;
  } else {
    storeDecimal(seOf(cpu, 0), sigOf(cpu, 0), controlWord(cpu));
    se = rSe;
    sig = rSig;
    if (!signal(cpu, rFlags)) return STATUS_NEXT;
  }
  store<u64>(host, sig);
  store<u16>(host, se, 8);
  stored(cpu, host);
  pop(cpu);
  return STATUS_NEXT;
}
