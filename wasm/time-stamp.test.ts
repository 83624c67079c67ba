import { beforeEach, describe, expect, it } from 'vitest';
import { REG_RAX, REG_RCX, REG_RDX } from '../src/layout/vcpu.ts';
import { TestCore } from './testing/core.ts';

let core: TestCore;

beforeEach(() => {
  core = new TestCore().longMode();
  core.tsc = 1_000_000;
  core.set('budget', 50_000);
});

/** RDTSC after so many more instructions. */
function readAfter(instructions: number): number {
  core.set('budget', Number(core.get('budget')) - instructions);
  core.call('rdtsc');
  return Number((core.reg(REG_RDX) << 32n) | core.reg(REG_RAX));
}

it('without a rate each RDTSC looks at the clock', () => {
  const first = readAfter(0);
  core.tsc = 1_000_700;
  expect([first, readAfter(100)]).toEqual([1_000_000, 1_000_700]);
});

describe('with a rate of two and a half ticks an instruction, RDTSC', () => {
  beforeEach(() => core.set('tscRate', 2.5 * 65536));

  it('counts instructions from its last look', () => {
    const first = readAfter(0);
    core.tsc = 2_000_000;
    expect([first, readAfter(100), readAfter(300)]).toEqual([1_000_000, 1_000_250, 1_001_000]);
  });

  it('looks again after 4,000 ticks', () => {
    readAfter(0);
    core.tsc = 1_005_000;
    expect(readAfter(1601)).toBe(1_005_000);
  });

  it('looks again after 16 guesses', () => {
    Array.from({ length: 17 }, () => readAfter(10));
    core.tsc = 1_000_777;
    expect(readAfter(10)).toBe(1_000_777);
  });

  it('looks again when the budget was used up', () => {
    readAfter(0);
    core.tsc = 1_000_123;
    expect(readAfter(2 ** 30)).toBe(1_000_123);
  });

  it('never goes back: a guess that was too high is waited for', () => {
    readAfter(0);
    const guessed = readAfter(1000);
    core.set('tscGuesses', 0);
    core.tsc = 1_002_000;
    const afterLook = readAfter(0);
    expect([guessed, afterLook, readAfter(100), readAfter(300)]).toEqual([
      1_002_500, 1_002_520, 1_002_540, 1_003_000,
    ]);
  });

  it('is what RDMSR of the counter reads, too', () => {
    readAfter(0);
    core.tsc = 2_000_000;
    core.set('budget', Number(core.get('budget')) - 100);
    core.setReg(REG_RCX, 0x10);
    core.call('rdmsr');
    expect([core.reg(REG_RDX), core.reg(REG_RAX)]).toEqual([0n, 1_000_250n]);
  });

  it('goes on from 0 after a reset', () => {
    readAfter(0);
    core.tsc = 5;
    core.call('reset');
    core.longMode();
    expect(readAfter(0)).toBe(5);
  });
});
