/** Accesses of translated code that go where an access through the same register has been (jit/pages.ts). */
import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { RAM_BASE } from '../layout/map.ts';
import { bareMachine, run, type BareMachine } from './testing/bare-machine.ts';

const CORE = readFileSync('build/core.wasm');
const INTERPRETER = readFileSync('build/interpreter.wasm');
const RAX = 0;
const RDX = 2;
const RBX = 3;
const PDPT = 0x2000;
const PD = 0x3000;
const PT = 0x4000;
const DATA = 0x70000;
/** Frames of the two pages at DATA: not beside each other. */
const FIRST = 0x90000;
const SECOND = 0x97000;

let machine: BareMachine;

beforeEach(() => {
  // Stays as short as they get, so that what is hot is soon translated.
  let time = 0;
  machine = bareMachine(CORE, INTERPRETER, true, { hostNow: () => time++ });
  const { data, u8 } = machine.views;
  const entry = (at: number, value: number): void =>
    data.setBigUint64(RAM_BASE + at, BigInt(value | 3), true);
  entry(PDPT, PD);
  entry(PD, PT);
  for (let page = 0; page < 512; page++) entry(PT + page * 8, page << 12);
  entry(PT + (DATA >>> 12) * 8, FIRST);
  entry(PT + (DATA >>> 12) * 8 + 8, SECOND);
  u8.set([0xa1, 0xa2, 0xa3, 0xa4], RAM_BASE + FIRST + 4092);
  u8.set([0xb1, 0xb2, 0xb3, 0xb4], RAM_BASE + SECOND);
  // What lies behind the first frame.
  u8.fill(0xee, RAM_BASE + FIRST + 4096, RAM_BASE + FIRST + 4100);
});

/** Runs `access` behind `cmp dword [rbx], 0` until both are translated code. */
function runLoop(access: string): void {
  const bytes = access.replaceAll(' ', '').length / 2;
  const back = (0x100 - (3 + bytes + 4)).toString(16);
  // mov ecx, 100000; 1: cmp dword [rbx], 0; ...; dec ecx; jnz 1b; out 80h, al
  run(machine, {
    code: `b9a0860100 833b00 ${access} ffc9 75${back} e680`,
    registers: { [RBX]: BigInt(DATA) },
  });
  expect(machine.vcpu.figures.jit.regions).toBe(1);
}

describe('an access through a register whose page is known', () => {
  it('reads the bytes of both pages where it crosses into the next', () => {
    // mov edx, [rbx + 4094]
    runLoop('8b93fe0f0000');
    expect(machine.register(RDX)).toBe(0xb2b1a4a3n);
  });

  it('writes the bytes of both pages where it crosses into the next', () => {
    // mov eax, 44332211h; mov [rbx], eax; mov [rbx + 4093], eax
    runLoop('b811223344 8903 8983fd0f0000');
    const { u8 } = machine.views;
    expect([...u8.subarray(RAM_BASE + FIRST + 4092, RAM_BASE + FIRST + 4097)]).toEqual([
      0xa1, 0x11, 0x22, 0x33, 0xee,
    ]);
    expect([...u8.subarray(RAM_BASE + SECOND, RAM_BASE + SECOND + 2)]).toEqual([0x44, 0xb2]);
  });

  it('reads the last bytes of the page, and the first of the next one', () => {
    // mov edx, [rbx + 4092]; mov eax, [rbx + 4096]
    runLoop('8b93fc0f0000 8b8300100000');
    expect(machine.register(RDX)).toBe(0xa4a3a2a1n);
    expect(machine.register(RAX)).toBe(0xb4b3b2b1n);
  });

  it('reads the bytes in front of the page', () => {
    machine.views.u8.set([0xc1, 0xc2, 0xc3, 0xc4], RAM_BASE + DATA - 4);
    // mov edx, [rbx - 4]; mov eax, [rbx - 1]
    runLoop('8b53fc 8b43ff');
    expect(machine.register(RDX)).toBe(0xc4c3c2c1n);
    expect(machine.register(RAX)).toBe(0xc4n);
  });
});
