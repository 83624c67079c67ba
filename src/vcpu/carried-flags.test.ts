/** The flags of ADC and SBB in translated code, whose kind depends on the carry that came in. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { RAM_BASE } from '../layout/map.ts';
import { bareMachine, run } from './testing/bare-machine.ts';

const CORE = readFileSync('build/core.wasm');
const INTERPRETER = readFileSync('build/interpreter.wasm');
const RDX = 2;
const RBP = 5;
const RDI = 7;
const R8 = 8;
const OUT = 0x70000;
// mov ecx, 100000; 1: mov eax, r8d; cmp ebp, edi; (adc or sbb) eax, edx
const START = 'b9a0860100 4489c0 39fd';
// setb [70000h]; setbe [70001h]; sete, sets, setl, setle, seto behind them; dec ecx; jnz 1b; out 80h, al
const END =
  '0f92042500000700 0f96042501000700 0f94042502000700 0f98042503000700 0f9c042504000700 0f9e042505000700 ' +
  '0f90042506000700 ffc9 75bd e680';
const ADC = '11d0';
const SBB = '19d0';

it.each([
  // a, b, carry in; below, below or equal, equal, sign, less, less or equal, overflow
  ['adc', ADC, 0xffffffffn, 0n, 0n, [0, 0, 0, 1, 1, 1, 0]],
  ['adc', ADC, 0xffffffffn, 0n, 1n, [1, 1, 1, 0, 0, 1, 0]],
  ['adc', ADC, 0xffffffffn, 0xffffffffn, 1n, [1, 1, 0, 1, 1, 1, 0]],
  ['adc', ADC, 0x7fffffffn, 0n, 1n, [0, 0, 0, 1, 0, 0, 1]],
  ['adc', ADC, 0x80000000n, 0x80000000n, 0n, [1, 1, 1, 0, 1, 1, 1]],
  ['sbb', SBB, 5n, 5n, 0n, [0, 1, 1, 0, 0, 1, 0]],
  ['sbb', SBB, 5n, 5n, 1n, [1, 1, 0, 1, 1, 1, 0]],
  ['sbb', SBB, 0n, 0xffffffffn, 1n, [1, 1, 1, 0, 0, 1, 0]],
  ['sbb', SBB, 0x80000000n, 0n, 1n, [0, 0, 0, 0, 1, 1, 1]],
  ['sbb', SBB, 0x7fffffffn, 0xffffffffn, 0n, [1, 1, 0, 1, 0, 0, 1]],
])('%s %s %i, %i with carry %i', (_name, code, a, b, carry, expected) => {
  // Stays as short as they get, so that what is hot is soon translated.
  let time = 0;
  const machine = bareMachine(CORE, INTERPRETER, true, { hostNow: () => time++ });
  // The comparison carries if ebp < edi.
  run(machine, { code: START + code + END, registers: { [R8]: a, [RDX]: b, [RBP]: 1n - carry, [RDI]: 1n } });
  expect(machine.vcpu.figures.jit.regions).toBe(1);
  expect([...machine.views.u8.subarray(RAM_BASE + OUT, RAM_BASE + OUT + 7)]).toEqual(expected);
});
