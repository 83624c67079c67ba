/** How long a stay in guest code lasts: interrupts and timers wait for its end. The clock here is that of the guest's own work. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { RAM_BASE } from '../layout/map.ts';
import { VCPU } from '../layout/vcpu.ts';
import { run, type BareMachine } from './testing/bare-machine.ts';
import { eagerMachine, translatedInstructions } from './testing/eager-machine.ts';

const CORE = readFileSync('build/core.wasm');
const INTERPRETER = readFileSync('build/interpreter.wasm');
const LIMIT_US = 100;
const STAYS = 2000;

interface Spent {
  readonly machine: BareMachine;
  /** Of each stay, in us. */
  readonly stays: readonly number[];
}

/** Runs an endless loop whose instructions take `nsOf(stay)` each. */
function spend(nsOf: (stay: number) => number): Spent {
  const stays: number[] = [];
  let us = 0;
  const machine: BareMachine = eagerMachine(CORE, INTERPRETER, {
    // Read at the start of a stay and at its end.
    hostNow: () => (us + (inStay() * nsOf(stays.length)) / 1000) / 1000,
    turn: () => {
      const lasted = (ran() * nsOf(stays.length)) / 1000;
      us += lasted;
      stays.push(lasted);
      counted = total();
      if (stays.length === STAYS) machine.vcpu.leave('port');
    },
  });
  const { views, vcpu } = machine;
  let counted = 0;
  const total = (): number => Number(views.data.getBigUint64(vcpu.cpu + VCPU.at.countInstructions, true));
  const ran = (): number => total() - counted;
  const inStay = (): number =>
    views.i32[(vcpu.cpu + VCPU.at.budgetStart) >>> 2]! - views.i32[(vcpu.cpu + VCPU.at.budget) >>> 2]!;
  views.u8.set([0xeb, 0xfe], RAM_BASE + 0x10000);
  run(machine, { code: 'ebfe' });
  return { machine, stays };
}

describe('a stay', () => {
  it.each([0.5, 2, 10, 40])('is as long as it should be where an instruction takes %f ns', (ns) => {
    const { machine, stays } = spend(() => ns);
    expect(translatedInstructions(machine)).toBeGreaterThan(1_000_000);
    expect(Math.max(...stays)).toBeLessThanOrEqual(LIMIT_US);
    // Not shorter than it has to be, either: each ends with a turn of the run loop.
    expect(stays.at(-1)).toBeGreaterThan(50);
  });

  it('is too long once at most when the guest comes to code that is ten times as slow', () => {
    const { stays } = spend((stay) => (stay < 1000 ? 1 : 10));
    expect(stays.filter((us) => us > LIMIT_US).length).toBeLessThanOrEqual(1);
    expect(stays.at(-1)).toBeGreaterThan(50);
  });
});
