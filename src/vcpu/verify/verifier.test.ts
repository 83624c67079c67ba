import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { bareMachine, run } from '../testing/bare-machine.ts';

const CORE = readFileSync('build/core.wasm');
const INTERPRETER = readFileSync('build/interpreter.wasm');
const RAX = 0;
const RCX = 1;
// 1: add eax, 1; dec ecx; jnz 1b; out 80h, al
const LOOP = '83c001 ffc9 75f9 e680';

describe('verify', () => {
  it('x', () => {
    const machine = bareMachine(CORE, INTERPRETER, true, { verify: {} });
    for (let i = 0; i < 20; i++)
    console.log(run(machine, { code: LOOP, registers: { [RAX]: 0n, [RCX]: 5000n } }), machine.register(RAX), machine.vcpu.figures.verify, machine.vcpu.figures.jit.regions);
  });
});
