/** How much is translated at a time and kept, where the guest has more code than that. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { RAM_BASE } from '../layout/map.ts';
import { VCPU } from '../layout/vcpu.ts';
import { bareMachine, run, type BareMachine } from './testing/bare-machine.ts';
import { eagerMachine, translatedInstructions } from './testing/eager-machine.ts';
import { ManualCompiler } from './testing/manual-compiler.ts';
import { heatMask, reportsNeeded } from './tiering.ts';

const CORE = readFileSync('build/core.wasm');
const INTERPRETER = readFileSync('build/interpreter.wasm');
const RBX = 3;
const RSI = 6;
const R8 = 8;
const FIRST = 0x100000;
const TURNS = 2000;

/** Functions on pages of their own; the n-th adds n to RBX in each of its turns. */
function putFunctions({ views }: BareMachine, count: number): void {
  for (let n = 0; n < count; n++) {
    const at = RAM_BASE + FIRST + n * 0x1000;
    // mov ecx, 2000; 1: add rbx, n; dec ecx; jnz 1b; ret
    views.u8.set(Buffer.from('b9d0070000 4881c300000000 ffc9 75f5 c3'.replaceAll(' ', ''), 'hex'), at);
    views.data.setUint32(at + 8, n, true);
  }
}

/** Calls so many of them, from the first; gives RBX. */
function callAll(machine: BareMachine, count: number): bigint {
  // 1: call rsi; add rsi, 1000h; dec r8d; jnz 1b; out 80h
  const code = 'ffd6 4881c600100000 41ffc8 75f2 e680';
  run(machine, { code, registers: { [RBX]: 0n, [RSI]: BigInt(FIRST), [R8]: BigInt(count) } });
  return machine.register(RBX);
}

function sumOf(count: number): bigint {
  return BigInt((TURNS * count * (count - 1)) / 2);
}

describe('while much is waiting for the compiler', () => {
  it('a page has to be reported more often before it waits, too', () => {
    expect([0, 1, 8, 32].map(reportsNeeded)).toEqual([4, 8, 36, 132]);
  });

  it('pages are left interpreted, and translated once the compiler has answered', () => {
    const pages = 300;
    const compiler = new ManualCompiler();
    let time = 0;
    const machine = bareMachine(CORE, INTERPRETER, true, { compiler, hostNow: () => time++ });
    machine.views.u32[(machine.vcpu.cpu + VCPU.at.heatMask) >>> 2] = heatMask(4);
    putFunctions(machine, pages);
    expect(callAll(machine, pages)).toBe(sumOf(pages));
    const { queue, postponed } = machine.vcpu.figures.jit;
    // Each page was reported 500 times, and some of them are with the compiler.
    expect(queue).toBeLessThan(200);
    expect(postponed).toBeGreaterThan(10_000);
    for (let i = 0; i < 20; i++) {
      compiler.answer();
      callAll(machine, pages);
    }
    const before = translatedInstructions(machine);
    expect(callAll(machine, pages)).toBe(sumOf(pages));
    expect(translatedInstructions(machine) - before).toBeGreaterThan(0.9 * pages * TURNS * 3);
  });
});

describe('a guest with more code than is kept', () => {
  it(
    'runs on while the oldest modules make room, and has them translated again',
    { timeout: 120_000 },
    () => {
      const pages = 2200;
      const machine = eagerMachine(CORE, INTERPRETER);
      putFunctions(machine, pages);
      expect(callAll(machine, pages)).toBe(sumOf(pages));
      const { modules, liveModules, liveRegions, evicted, regions } = machine.vcpu.figures.jit;
      expect(modules).toBeGreaterThan(2100);
      expect(liveModules).toBeLessThanOrEqual(2048);
      expect(evicted).toBe(modules - liveModules);
      expect(evicted).toBeGreaterThan(0);
      expect(liveRegions).toBeLessThan(regions);
      const before = translatedInstructions(machine);
      expect(callAll(machine, 100)).toBe(sumOf(100));
      expect(translatedInstructions(machine) - before).toBeGreaterThan(0.4 * 100 * TURNS * 3);
      expect(machine.vcpu.figures.jit.liveModules).toBeLessThanOrEqual(2048);
    },
  );
});
