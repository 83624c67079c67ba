import { beforeEach, describe, expect, it } from 'vitest';
import { STATUS_FAULT, STATUS_NEXT } from '../src/layout/exits.ts';
import {
  FLAGS_ADC,
  FLAGS_ADD,
  FLAGS_DEC,
  FLAGS_INC,
  FLAGS_LOGIC,
  FLAGS_RESULT,
  FLAGS_SBB,
  FLAGS_SUB,
  REG_RAX,
  REG_RDX,
} from '../src/layout/vcpu.ts';
import { TestCore } from './testing/core.ts';

const MAX = 0xffff_ffff_ffff_ffffn;
const MIN_SIGNED = -(1n << 63n);
let core: TestCore;

beforeEach(() => {
  core = new TestCore();
});

describe('wide products', () => {
  it.each([
    [MAX, MAX, 0xffff_ffff_ffff_fffen],
    [1n << 32n, 1n << 32n, 1n],
    [
      0x1234_5678_9abc_def0n,
      0xfedc_ba98_7654_3210n,
      (0x1234_5678_9abc_def0n * 0xfedc_ba98_7654_3210n) >> 64n,
    ],
    [0xffff_ffffn, 0xffff_ffffn, 0n],
  ])('unsigned %x * %x', (a, b, high) => {
    expect(core.call64('mulHighUnsigned', a, b)).toBe(high);
  });

  it.each([
    [-1n, -1n, 0n],
    [-1n, 1n, MAX],
    [MIN_SIGNED, MIN_SIGNED, 1n << 62n],
    [-5n, 1n << 62n, BigInt.asUintN(64, (-5n * (1n << 62n)) >> 64n)],
  ])('signed %d * %d', (a, b, high) => {
    expect(core.call64('mulHighSigned', a, b)).toBe(high);
  });
});

describe('128-bit division', () => {
  it.each([
    [100n, 7n],
    [(MAX - 1n) << 64n, MAX],
    [(0x1234n << 64n) | MAX, 0x8000_0000_0000_0001n],
    [(1n << 64n) | 1n, 0xffff_ffff_0000_0000n],
    [(0x7fff_ffff_ffff_ffffn << 64n) | 0x1234n, 0x8000_0000_0000_0000n],
    [(0x1_0000_0000n << 64n) | 5n, 0x1_0000_0001n],
  ])('%x / %x gives quotient and remainder', (dividend, divisor) => {
    core.setReg(REG_RAX, dividend);
    core.setReg(REG_RDX, dividend >> 64n);
    expect(core.call('divide64', divisor)).toBe(STATUS_NEXT);
    expect([core.reg(REG_RAX), core.reg(REG_RDX)]).toEqual([dividend / divisor, dividend % divisor]);
  });

  it.each([
    [-100n, 7n],
    [100n, -7n],
    [-(1n << 100n), 1n << 60n],
    [-(1n << 126n) + 5n, MIN_SIGNED],
    [MIN_SIGNED, 1n],
  ])('%d / %d rounds towards 0', (dividend, divisor) => {
    core.setReg(REG_RAX, dividend);
    core.setReg(REG_RDX, dividend >> 64n);
    const quotient = dividend / divisor;
    expect(core.call('divideSigned64', divisor)).toBe(STATUS_NEXT);
    expect([core.reg(REG_RAX), core.reg(REG_RDX)]).toEqual([
      BigInt.asUintN(64, quotient),
      BigInt.asUintN(64, dividend % divisor),
    ]);
  });

  it.each([
    ['by 0', 'divide64', 5n, 0n],
    ['with a quotient of 65 bits', 'divide64', 7n << 64n, 7n],
    ['of the smallest number by -1', 'divideSigned64', MIN_SIGNED, -1n],
    ['with a signed quotient of 2^63', 'divideSigned64', 1n << 63n, 1n],
  ] as const)('%s raises #DE and keeps the registers', (_name, name, dividend, divisor) => {
    core.setReg(REG_RAX, dividend);
    core.setReg(REG_RDX, dividend >> 64n);
    expect(core.call(name, divisor)).toBe(STATUS_FAULT);
    expect(core.fault()).toEqual({ vector: 0, error: 0 });
    expect(core.reg(REG_RAX)).toBe(BigInt.asUintN(64, dividend));
  });
});

describe('flags', () => {
  it.each([
    ['ADD 80h + 80h', FLAGS_ADD, 0n, -128n, -128n, 0x845n],
    ['ADD 7Fh + 1', FLAGS_ADD, -128n, 127n, 1n, 0x890n],
    ['ADC FFh + 0 + 1', FLAGS_ADC, 0n, -1n, 0n, 0x55n],
    ['SUB 0 - 1', FLAGS_SUB, -1n, 0n, 1n, 0x95n],
    ['SUB 80h - 1', FLAGS_SUB, 127n, -128n, 1n, 0x810n],
    ['SBB 5 - 5 - 1', FLAGS_SBB, -1n, 5n, 5n, 0x95n],
    ['AND giving 0', FLAGS_LOGIC, 0n, 0n, 0n, 0x44n],
    ['INC 7Fh with CF', FLAGS_INC, -128n, 127n, 1n, 0x891n],
    ['DEC 0 without CF', FLAGS_DEC, -1n, 0n, 0n, 0x94n],
    ['a shift that says CF and OF', FLAGS_RESULT, 3n, 0x801n, 0n, 0x805n],
  ])('%s', (_name, kind, result, a, b, flags) => {
    core.set('flagKind', kind);
    core.set('flagResult', result);
    core.set('flagA', a);
    core.set('flagB', b);
    expect(core.call64('materializeFlags')).toBe(flags);
  });
});
