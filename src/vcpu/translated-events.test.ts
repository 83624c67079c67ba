/**
 * What reaches a guest while translated code runs: traps, interrupts, code that changes, mappings and modes that change. Each
 * program is shown to have run translated, so that none of this is the interpreter's work. Addresses of the code are 10000h and up.
 */
import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { RAM_BASE } from '../layout/map.ts';
import { FLAG_IF } from '../layout/registers.ts';
import { VCPU } from '../layout/vcpu.ts';
import { run, setHandlers, type BareMachine } from './testing/bare-machine.ts';
import { eagerMachine, translatedInstructions } from './testing/eager-machine.ts';

const CORE = readFileSync('build/core.wasm');
const INTERPRETER = readFileSync('build/interpreter.wasm');
const RAX = 0;
const RCX = 1;
const RBX = 3;
const RSI = 6;
const RDI = 7;
const R8 = 8;
const R9 = 9;
const R10 = 10;
const R11 = 11;
const R12 = 12;
const R13 = 13;
const R14 = 14;
const R15 = 15;
const CODE = 0x10000;

let machine: BareMachine;
/** At each turn of the run loop. */
let turn: () => void;

beforeEach(() => {
  turn = () => undefined;
  machine = eagerMachine(CORE, INTERPRETER, { turn: () => turn() });
});

function put(gpa: number, hex: string): void {
  machine.views.u8.set(Buffer.from(hex.replace(/\s/g, ''), 'hex'), RAM_BASE + gpa);
}

/** Instructions that ran translated in one more run. */
function translatedIn(code: string, registers: Readonly<Record<number, bigint>>): number {
  const before = translatedInstructions(machine);
  expect(run(machine, { code, registers })).toEqual({ kind: 'asked', what: 'port' });
  return translatedInstructions(machine) - before;
}

describe('a fault in translated code', () => {
  it('shows registers, flags and RIP of its instruction, each time', () => {
    // add [rsp + 8], 2 (behind the access); inc r15; mov r14, [rsp + 8]; mov r13, [rsp + 24]; mov r12, rax; add rsp, 8; iretq
    setHandlers(machine, { 14: '4883442408 02 49ffc7 4c8b742408 4c8b6c2418 4989c4 4883c408 48cf' });
    // 1: add al, 60h; mov edx, [rbx] (no page there); lea rax, [rax + 1]; dec ecx; jnz 1b; out 80h
    const code = '0460 8b13 488d4001 ffc9 75f4 e680';
    const many = { [RAX]: 0n, [RBX]: 0x4000_0000n, [RCX]: 5000n, [R15]: 0n };
    expect(translatedIn(code, many)).toBeGreaterThan(15_000);
    expect(machine.register(R15)).toBe(5000n);
    // 60h + 60h: OF and SF, no carry; RIP is behind the access, as the handler has moved it.
    translatedIn(code, { ...many, [RAX]: 0x60n, [RCX]: 1n, [R15]: 0n });
    expect([R12, R13, R14].map((index) => machine.register(index) & 0xffffn)).toEqual([
      0xc0n,
      0x886n,
      BigInt(CODE + 4) & 0xffffn,
    ]);
  });
});

describe('the single step', () => {
  // inc r15; mov r14, [rsp]; iretq
  const HANDLE = '49ffc7 4c8b3424 48cf';

  it('that POPF in translated code begins traps behind the instruction that follows it', () => {
    setHandlers(machine, { 1: HANDLE });
    // 1: cmp ecx, 1; cmove r8, r9; push r8; popfq; inc rbx; nop; dec ecx; jnz 1b; push 2; popfq; out 80h
    const code = '83f901 4d0f44c1 4150 9d 48ffc3 90 ffc9 75ee 6a02 9d e680';
    const registers = { [RBX]: 0n, [RCX]: 3000n, [R8]: 2n, [R9]: 0x102n, [R15]: 0n };
    expect(translatedIn(code, registers)).toBeGreaterThan(20_000);
    // inc, nop, dec, jnz, push, popf
    expect(machine.register(R15)).toBe(6n);
    expect(machine.register(R14)).toBe(BigInt(CODE + 0x15));
    expect(machine.register(RBX)).toBe(3000n);
  });

  it('traps in a loop that was translated before, at each of its instructions', () => {
    setHandlers(machine, { 1: HANDLE });
    // 20000: 1: add rbx, rcx; dec ecx; jnz 1b; ret
    put(0x20000, '4801cb ffc9 75f9 c3');
    // call rsi; out 80h
    expect(translatedIn('ffd6 e680', { [RSI]: 0x20000n, [RCX]: 5000n })).toBeGreaterThan(10_000);
    // push 102h; popfq; call rsi; push 2; popfq; out 80h
    const code = '6802010000 9d ffd6 6a02 9d e680';
    run(machine, { at: 0x11000, code, registers: { [RSI]: 0x20000n, [RCX]: 100n, [R15]: 0n } });
    // call, 100 turns of three instructions, ret, push, popf
    expect(machine.register(R15)).toBe(304n);
  });
});

describe('a breakpoint', () => {
  it('that translated code sets on itself stops it in the same turn, and at each turn from there on', () => {
    // inc r15; mov r14, [rsp]; or dword [rsp + 16], 10000h (RF); iretq
    setHandlers(machine, { 1: '49ffc7 4c8b3424 814c241000000100 48cf' });
    // 1: cmp ecx, 10; cmove r9, r8; mov dr0, rsi; mov dr7, r9; inc rbx; nop (watched); dec ecx; jnz 1b; out 80h
    const code = '83f90a 4d0f44c8 0f23c6 410f23f9 48ffc3 90 ffc9 75ea e680';
    const watched = BigInt(CODE + 17);
    const registers = { [RBX]: 0n, [RCX]: 3000n, [RSI]: watched, [R8]: 0x401n, [R9]: 0x400n, [R15]: 0n };
    expect(translatedIn(code, registers)).toBeGreaterThan(15_000);
    expect([machine.register(R15), machine.register(R14)]).toEqual([10n, watched]);
    expect(machine.register(RBX)).toBe(3000n);
  });
});

describe('an interrupt', () => {
  const VECTOR = 0x40;

  it('comes between two instructions of a translated loop, with the registers of that place', () => {
    // inc r15; mov r14, [rsp]; mov r12, rax; sub r12, rbx; iretq
    setHandlers(machine, { [VECTOR]: '49ffc7 4c8b3424 4989c4 4929dc 48cf' });
    let turns = 0;
    turn = () => {
      if (++turns === 100) machine.interrupt(VECTOR);
    };
    machine.views.u32[(machine.vcpu.cpu + VCPU.at.eflags) >>> 2]! |= FLAG_IF;
    // 1: inc rax; inc rbx; cmp r15d, 0; je 1b; out 80h: only the handler ends it
    const code = '48ffc0 48ffc3 4183ff00 74f4 e680';
    expect(translatedIn(code, { [RAX]: 0n, [RBX]: 0n, [R15]: 0n })).toBeGreaterThan(100_000);
    expect(turns).toBe(100);
    const place = Number(machine.register(R14)) - CODE;
    expect([0, 3, 6, 10]).toContain(place);
    expect(machine.register(R12)).toBe(place === 3 ? 1n : 0n);
  });

  it.each([
    // 1: sti; nop; cli; cmp r15d, 0; je 1b; out 80h
    ['STI', 2, 'fb 90 fa 4183ff00 74f7 e680'],
    // 1: push r8; popfq; cli; cmp r15d, 0; je 1b; out 80h
    ['POPF', 3, '4150 9d fa 4183ff00 74f6 e680'],
  ])('is let in by %s in a translated loop, which shuts it out again at once', (_name, place, code) => {
    // inc r15; mov r14, [rsp]; iretq
    setHandlers(machine, { [VECTOR]: '49ffc7 4c8b3424 48cf' });
    let turns = 0;
    turn = () => {
      turns++;
      if (turns === 100) machine.interrupt(VECTOR);
      if (turns === 200) machine.vcpu.leave('port');
    };
    const translated = translatedIn(code, { [R8]: 0x202n, [R15]: 0n });
    expect(translated).toBeGreaterThan(100_000);
    expect([machine.register(R15), machine.register(R14)]).toEqual([1n, BigInt(CODE + place)]);
  });

  it.each([
    ['a loop', 'ebfe'],
    // 1: call 2f; jmp 1b; 2: ret
    ['calls', 'e802000000 ebf9 c3'],
    // 1: lea rax, [rip - 7]; jmp rax
    ['indirect jumps', '488d05f9ffffff ffe0'],
    // 1: mov edi, 200000h; mov ecx, 10000h; rep stosb; jmp 1b
    ['string instructions', 'bf00002000 b900000100 f3aa ebf2'],
    // 1: mov [rip - 6 - 1000h], eax (the page before); jmp 1b
    ['stores', '8905faefffff ebf8'],
  ])('is looked for every 2,000 instructions, and what they do beside, in %s without end', (_name, code) => {
    const { data } = machine.views;
    const counted = (): number =>
      Number(data.getBigUint64(machine.vcpu.cpu + VCPU.at.countInstructions, true));
    const stays: number[] = [];
    let last = 0;
    turn = () => {
      stays.push(counted() - last);
      last = counted();
      if (stays.length === 500) machine.vcpu.leave('port');
    };
    expect(translatedIn(code, {})).toBeGreaterThan(1000);
    expect(Math.max(...stays)).toBeLessThanOrEqual(2001);
  });
});

/** RCX in the turn in which something changes: not where a stay ends. */
const CHANGE = 1234n;
/** The same, late. */
const LATE = 57n;

describe('code that changes', () => {
  const DATA = 0x20000n;

  it('right behind the store of translated code is executed as it is then', () => {
    // 1: cmp ecx, r8d; cmove rsi, rdi; mov byte [rsi], 7; add eax, 1 (its immediate is at 1000ch); dec ecx; jnz 1b; out 80h
    const code = '4439c1 480f44f7 c60607 83c001 ffc9 75ef e680';
    const registers = { [RAX]: 0n, [RCX]: 3000n, [R8]: LATE, [RSI]: DATA, [RDI]: BigInt(CODE + 12) };
    expect(translatedIn(code, registers)).toBeGreaterThan(15_000);
    expect(machine.register(RAX)).toBe(3000n - LATE + LATE * 7n);
  });

  it('in another page is executed as it is from the next call on', () => {
    // 20000: mov eax, 1; ret
    put(0x20000, 'b801000000 c3');
    // 1: cmp ecx, r8d; cmove rsi, rdi; mov byte [rsi], 7; call r9; add ebx, eax; dec ecx; jnz 1b; out 80h
    const code = '4439c1 480f44f7 c60607 41ffd1 01c3 ffc9 75ed e680';
    const registers = {
      [RBX]: 0n,
      [RCX]: 3000n,
      [R8]: LATE,
      [RSI]: 0x30000n,
      [RDI]: 0x20001n,
      [R9]: 0x20000n,
    };
    expect(translatedIn(code, registers)).toBeGreaterThan(20_000);
    expect(machine.register(RBX)).toBe(3000n - LATE + LATE * 7n);
  });

  it('again and again is executed as it is each time', () => {
    // 1: test ecx, 3fffh; jnz 2f; mov edx, ecx; shr edx, 14; mov [rip + 2], dl (the immediate of the next); 2: add eax, 0; dec ecx; jnz 1b; out 80h
    const code = 'f7c1ff3f0000 750b 89ca c1ea0e 881502000000 83c000 ffc9 75e6 e680';
    expect(translatedIn(code, { [RAX]: 0n, [RCX]: 4n << 14n })).toBeGreaterThan(100_000);
    expect(machine.register(RAX)).toBe((4n + 3n + 2n + 1n) << 14n);
  });
});

describe('pages', () => {
  const PDPT = 0x2000;
  const PD = 0x3000;
  const PT = 0x4000;
  /** Tables of another address space. */
  const OTHER = { pml4: 0xa000, pdpt: 0xb000, pd: 0xc000, pt: 0xd000 };
  const FIRST = 0x90000;
  const SECOND = 0x91000;
  const FUNCTION = 0x30000;
  const ALIAS = 0x31000;

  function map(table: number, linear: number, frame: number): void {
    machine.views.data.setBigUint64(RAM_BASE + table + (linear >>> 12) * 8, BigInt(frame | 3), true);
  }

  function mapAll(pdpt: number, pd: number, pt: number): void {
    map(pdpt, 0, pd);
    map(pd, 0, pt);
    for (let page = 0; page < 0x200000; page += 0x1000) map(pt, page, page);
  }

  beforeEach(() => {
    mapAll(PDPT, PD, PT);
    map(PT, FUNCTION, FIRST);
    // mov eax, 1; ret, and the same with 2
    put(FIRST, 'b801000000 c3');
    put(SECOND, 'b802000000 c3');
  });

  it('behind two mappings are run by both, and changed by a store to either', () => {
    map(PT, ALIAS, FIRST);
    // 1: cmp ecx, r8d; cmove r9, r10; mov byte [r9], 5; call rsi; add ebx, eax; call rdi; add ebx, eax; dec ecx; jnz 1b; out 80h
    const code = '4439c1 4d0f44ca 41c60105 ffd6 01c3 ffd7 01c3 ffc9 75e9 e680';
    const pointers = {
      [RSI]: BigInt(FUNCTION),
      [RDI]: BigInt(ALIAS),
      [R9]: 0x20000n,
      [R10]: BigInt(ALIAS + 1),
    };
    expect(translatedIn(code, { [RBX]: 0n, [RCX]: 5000n, [R8]: CHANGE, ...pointers })).toBeGreaterThan(
      40_000,
    );
    expect(machine.register(RBX)).toBe((5000n - CHANGE) * 2n + CHANGE * 10n);
  });

  it('that translated code gives another frame run what is there from the next call on', () => {
    // 1: cmp ecx, r8d; cmove r10, r11; mov [r9], r10; invlpg [rsi]; call rsi; add ebx, eax; dec ecx; jnz 1b; out 80h
    const code = '4439c1 4d0f44d3 4d8911 0f013e ffd6 01c3 ffc9 75eb e680';
    const entry = BigInt(PT + (FUNCTION >>> 12) * 8);
    const frames = { [R9]: entry, [R10]: BigInt(FIRST | 3), [R11]: BigInt(SECOND | 3) };
    const registers = { [RBX]: 0n, [RCX]: 5000n, [R8]: CHANGE, [RSI]: BigInt(FUNCTION), ...frames };
    expect(translatedIn(code, registers)).toBeGreaterThan(30_000);
    expect(machine.register(RBX)).toBe(5000n - CHANGE + CHANGE * 2n);
  });

  it('that are remapped by their own translated code go on in the other frame', () => {
    // 1: cmp ecx, r8d; cmove r10, r11; mov [r9], r10; invlpg [rip]; add ebx, 1; dec ecx; jnz 1b; out 80h
    const code = (step: string): string => `4439c1 4d0f44d3 4d8911 0f013d00000000 83c3${step} ffc9 75e8 e680`;
    put(FIRST, code('02'));
    const entry = BigInt(PT + (CODE >>> 12) * 8);
    const frames = { [R9]: entry, [R10]: BigInt(CODE | 3), [R11]: BigInt(FIRST | 3) };
    const registers = { [RBX]: 0n, [RCX]: 5000n, [R8]: CHANGE, ...frames };
    expect(translatedIn(code('01'), registers)).toBeGreaterThan(25_000);
    expect(machine.register(RBX)).toBe(5000n - CHANGE + CHANGE * 2n);
  });

  it('that are left by a load of CR3 in translated code go on in the other address space', () => {
    const { pml4, pdpt, pd, pt } = OTHER;
    map(pml4, 0, pdpt);
    mapAll(pdpt, pd, pt);
    map(pt, CODE, FIRST);
    // 1: cmp ecx, r8d; cmove r9, r10; mov cr3, r9; add ebx, 1; dec ecx; jnz 1b; out 80h
    const code = (step: string): string => `4439c1 4d0f44ca 410f22d9 83c3${step} ffc9 75ee e680`;
    put(FIRST, code('02'));
    const registers = { [RBX]: 0n, [RCX]: 5000n, [R8]: CHANGE, [R9]: 0x1000n, [R10]: BigInt(pml4) };
    expect(translatedIn(code('01'), registers)).toBeGreaterThan(20_000);
    expect(machine.register(RBX)).toBe(5000n - CHANGE + CHANGE * 2n);
  });
});

describe('dispatch', () => {
  it('tells apart two functions whose addresses lie at the same place of the region cache', () => {
    // mov eax, 1; ret, and the same with 2
    put(0x20000, 'b801000000 c3');
    put(0x30010, 'b802000000 c3');
    // 1: call rsi; add ebx, eax; call rdi; add ebx, eax; dec ecx; jnz 1b; out 80h
    const code = 'ffd6 01c3 ffd7 01c3 ffc9 75f4 e680';
    const registers = { [RBX]: 0n, [RCX]: 5000n, [RSI]: 0x20000n, [RDI]: 0x30010n };
    expect(translatedIn(code, registers)).toBeGreaterThan(30_000);
    expect(machine.register(RBX)).toBe(15_000n);
  });
});

describe('two modes', () => {
  beforeEach(() => {
    setHandlers(machine, {});
    // GDT entry 3: 32-bit code.
    machine.views.data.setBigUint64(RAM_BASE + 0x48018, 0x00cf9b000000ffffn, true);
    machine.views.u32[(machine.vcpu.cpu + VCPU.at.gdtLimit) >>> 2] = 0x1f;
  });

  it('have a region each in the same page, and translated code changes between them in the middle of it', () => {
    // 1: add ebx, 1; push 18h; push rsi; retfq; 10008: (32-bit) add ebx, 2; jmp 8:10012h; 10012: dec ecx; jnz 1b; out 80h
    const code = '83c301 6a18 56 48cb 83c302 ea120001000800 ffc9 75ea e680';
    const registers = { [RBX]: 0n, [RCX]: 5000n, [RSI]: BigInt(CODE + 8) };
    expect(translatedIn(code, registers)).toBeGreaterThan(20_000);
    expect(machine.register(RBX)).toBe(15_000n);
    const modes = machine.vcpu.regions.filter(({ page }) => page === CODE).map(({ mode }) => mode);
    expect(new Set(modes).size).toBe(2);
  });

  it('run the same bytes as what they mean in each', () => {
    // 64 bits: add ebx, eax; ret. 32 bits: inc eax; add ebx, eax; ret
    put(0x20000, '4001c3 c3');
    // 1: call rdi; push 18h; push rsi; retfq; 10007: (32-bit) call edi; jmp 8:10010h; 10010: dec ecx; jnz 1b; out 80h
    const code = 'ffd7 6a18 56 48cb ffd7 ea100001000800 ffc9 75ec e680';
    const registers = { [RAX]: 0n, [RBX]: 0n, [RCX]: 5000n, [RDI]: 0x20000n, [RSI]: BigInt(CODE + 7) };
    expect(translatedIn(code, registers)).toBeGreaterThan(20_000);
    // 0 + 1 + 1 + 2 + 2 + ... + 4999 + 5000
    expect(machine.register(RBX)).toBe(5000n ** 2n);
  });
});
