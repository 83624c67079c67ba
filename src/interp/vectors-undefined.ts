/**
 * What the manuals leave undefined after an instruction, by description (`Row.semantics`). The replay compares
 * everything else. References: AMD64 Architecture Programmer's Manual vol. 3 (rFLAGS table of each instruction), Intel
 * SDM vol. 2 ("Flags Affected") where AMD's is less exact.
 */
export const CF = 1;
export const PF = 4;
export const AF = 0x10;
export const ZF = 0x40;
export const SF = 0x80;
export const OF = 0x800;
const ALL = CF | PF | AF | ZF | SF | OF;

/**
 * When a rule holds. `count` is a shift count masked to 5 bits (6 for 64-bit operands), `size` the operand's bits.
 * - always
 * - shifted: count is not 0
 * - shiftedFar: count is neither 0 nor 1
 * - beyond: count is at least size
 * - past: count is more than size
 * - word: the operand size is 16
 */
export type Condition = 'always' | 'shifted' | 'shiftedFar' | 'beyond' | 'past' | 'word';

export interface UndefinedRule {
  readonly when: Condition;
  readonly flags: number;
  /** The destination (register or memory) is undefined too. */
  readonly result?: true;
}

const logic: readonly UndefinedRule[] = [{ when: 'always', flags: AF }];
// The last bit shifted out does not exist beyond the operand (SDM: SAL/SAR/SHL/SHR).
const logicalShift: readonly UndefinedRule[] = [
  { when: 'shifted', flags: AF },
  { when: 'shiftedFar', flags: OF },
  { when: 'beyond', flags: CF },
];
const rotate: readonly UndefinedRule[] = [{ when: 'shiftedFar', flags: OF }];
const doubleShift: readonly UndefinedRule[] = [
  { when: 'shifted', flags: AF },
  { when: 'shiftedFar', flags: OF },
  { when: 'past', flags: ALL, result: true },
];
const multiply: readonly UndefinedRule[] = [{ when: 'always', flags: SF | ZF | AF | PF }];
const divide: readonly UndefinedRule[] = [{ when: 'always', flags: ALL }];
const bitTest: readonly UndefinedRule[] = [{ when: 'always', flags: OF | SF | AF | PF }];
const bitScan: readonly UndefinedRule[] = [{ when: 'always', flags: CF | OF | SF | AF | PF }];
const bitCount: readonly UndefinedRule[] = [{ when: 'always', flags: OF | SF | AF | PF }];
const bitField: readonly UndefinedRule[] = [{ when: 'always', flags: AF | PF }];

export const UNDEFINED: Readonly<Record<string, readonly UndefinedRule[]>> = {
  and: logic,
  or: logic,
  xor: logic,
  test: logic,
  shl: logicalShift,
  shr: logicalShift,
  sar: [
    { when: 'shifted', flags: AF },
    { when: 'shiftedFar', flags: OF },
  ],
  rol: rotate,
  ror: rotate,
  rcl: rotate,
  rcr: rotate,
  shld: doubleShift,
  shrd: doubleShift,
  mul: multiply,
  imul1: multiply,
  imul2: multiply,
  imul: multiply,
  div: divide,
  idiv: divide,
  bt: bitTest,
  bts: bitTest,
  btr: bitTest,
  btc: bitTest,
  bsf: bitScan,
  bsr: bitScan,
  tzcnt: bitCount,
  lzcnt: bitCount,
  andn: bitField,
  blsi: bitField,
  blsr: bitField,
  blsmsk: bitField,
  bzhi: bitField,
  bextr: [{ when: 'always', flags: AF | PF | SF }],
  aaa: [{ when: 'always', flags: OF | SF | ZF | PF }],
  aas: [{ when: 'always', flags: OF | SF | ZF | PF }],
  daa: [{ when: 'always', flags: OF }],
  das: [{ when: 'always', flags: OF }],
  aam: [{ when: 'always', flags: OF | AF | CF }],
  aad: [{ when: 'always', flags: OF | AF | CF }],
  bswap: [{ when: 'word', flags: 0, result: true }],
};

/** Mnemonics whose count operand decides. */
export interface OperandFacts {
  readonly size: number;
  readonly count: number;
}

function holds(when: Condition, { size, count }: OperandFacts): boolean {
  switch (when) {
    case 'always':
      return true;
    case 'shifted':
      return count !== 0;
    case 'shiftedFar':
      return count > 1;
    case 'beyond':
      return count >= size;
    case 'past':
      return count > size;
    case 'word':
      return size === 16;
  }
}

export function undefinedAfter(mnemonic: string, facts: OperandFacts): { flags: number; result: boolean } {
  let flags = 0;
  let result = false;
  for (const rule of UNDEFINED[mnemonic] ?? []) {
    if (!holds(rule.when, facts)) continue;
    flags |= rule.flags;
    result ||= rule.result === true;
  }
  return { flags, result };
}

/**
 * What differs between implementations when an instruction of several accesses faults; the manuals promise none of it.
 * - memory: bytes written before the fault
 * - registers: those loaded before the fault
 * - address: which of the accesses faults first: CR2 within the operand, R/W bit of the error code
 * - order: several faults apply; which one wins
 */
export type Tolerance = 'memory' | 'registers' | 'address' | 'order';

export const TOLERATED_ON_FAULT: Readonly<Record<string, readonly Tolerance[]>> = {
  // Zen pushes CS and rIP before it checks the target, with the stack of the new mode.
  callFar: ['memory', 'address', 'order'],
  callFarTo: ['memory', 'address', 'order'],
  jmpFarTo: ['address', 'order'],
  loadFar: ['address'],
  // Zen reads CS before rIP, more bytes of it than it uses, and checks what it read later.
  retFar: ['address', 'order'],
  iret: ['address', 'order'],
  pusha: ['memory', 'address'],
  popa: ['registers', 'address'],
  enter: ['memory', 'address'],
  bound: ['address'],
  cmpxchg8b: ['address'],
  fxsave: ['memory', 'address', 'order'],
  fxrstor: ['address', 'order'],
  x87mem: ['memory', 'address', 'order'],
  cmps: ['order'],
  movs: ['order'],
  // Zen enters MMX state first, and names the first byte of the operand, stored or not.
  maskmovq: ['address', 'registers', 'order'],
  maskmovdqu: ['address', 'order'],
  // Zen reads for reading and then writes; a read-modify-write here faults as a write at once.
  arpl: ['address', 'order'],
  // Zen pushes before it checks the target against the limit.
  call: ['memory', 'order'],
  callTo: ['memory', 'order'],
};

/**
 * Approximations: AMD and Intel differ, and both promise a relative error of at most 1.5 * 2^-12 (APM vol. 4, RCPPS,
 * RSQRTPS), so that two of them differ by twice that. Zeros, infinities and NaNs are exact.
 */
export const APPROXIMATE: ReadonlySet<string> = new Set(['rcpps', 'rcpss', 'rsqrtps', 'rsqrtss']);
export const APPROXIMATION_ERROR = 3 / 4096;

/**
 * D9h with these ModRM bytes: F2XM1, FYL2X, FPTAN, FPATAN, FYL2XP1, FSINCOS, FSIN, FCOS. Both makers promise less than one
 * unit in the last place and not which side of the exact result it is on (APM vol. 1, 6.4; SDM vol. 1, 8.3.10): the last bit
 * and C1 may differ.
 */
export const TRANSCENDENTAL: ReadonlySet<number> = new Set([0xf0, 0xf1, 0xf2, 0xf3, 0xf9, 0xfb, 0xfe, 0xff]);
