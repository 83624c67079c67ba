import { beforeEach, describe, expect, it } from 'vitest';
import { STATUS_BRANCH, STATUS_FAULT, STATUS_NEXT } from '../src/layout/exits.ts';
import { REG_RCX, REG_RSP, SEG_CS, SEG_DS, SEG_GS, SEG_SS } from '../src/layout/vcpu.ts';
import {
  GDT,
  KERNEL_CODE,
  KERNEL_DATA,
  KERNEL_STACK,
  TestCore,
  USER_CODE32,
  USER_CODE64,
  USER_DATA,
} from './testing/core.ts';

const HANDLER = 0xffff_8000_1234_5678n;
const STACK = 0x28000;
let core: TestCore;

/** Puts values of 8 bytes (or `bytes`) onto the stack, the first one on top. */
function push(values: (number | bigint)[], bytes = 8): void {
  values.forEach((value, i) => core.write(STACK + i * bytes, bytes, value));
  core.setReg(REG_RSP, STACK);
}

beforeEach(() => {
  core = new TestCore().longMode();
  core.set('rip', 0x301000);
  core.setReg(REG_RSP, STACK);
  core.set('eflags', 0x2);
});

describe('IRETQ', () => {
  it('returns from an interrupt to where user code was', () => {
    core.userMode();
    core.set('eflags', 0x202);
    core.gate64(0x31, HANDLER);
    core.call('interruptVector', 0x31);
    expect(core.call('iret', 8)).toBe(STATUS_BRANCH);
    expect([core.get('rip'), core.reg(REG_RSP), core.get('cpl'), core.get('eflags')]).toEqual([
      0x301000n,
      BigInt(STACK),
      3n,
      0x202n,
    ]);
    expect([core.selector(SEG_CS), core.selector(SEG_SS)]).toEqual([USER_CODE64, USER_DATA]);
  });

  it('pops the stack pointer without a change of level too', () => {
    push([0x302000, KERNEL_CODE, 0x202, 0x27000, KERNEL_DATA]);
    core.call('iret', 8);
    expect(core.reg(REG_RSP)).toBe(0x27000n);
  });

  it('accepts a null SS inside the kernel', () => {
    push([0x302000, KERNEL_CODE, 0x202, 0x27000, 0]);
    expect(core.call('iret', 8)).toBe(STATUS_BRANCH);
    expect([core.selector(SEG_SS), core.get('cpl')]).toEqual([0, 0n]);
  });

  it('goes to compatibility mode', () => {
    push([0x302000, USER_CODE32, 0x202, 0x27000, USER_DATA]);
    core.call('iret', 8);
    expect([core.get('mode') & 3n, core.get('cpl'), core.get('stackBytes')]).toEqual([1n, 3n, 4n]);
  });

  it('makes data segments null that the outer level may not use', () => {
    push([0x302000, USER_CODE64, 0x202, 0x27000, USER_DATA]);
    core.call('iret', 8);
    expect(core.selector(SEG_DS)).toBe(0);
  });

  it('ends the blocking of NMIs', () => {
    core.set('nmiBlocked', 1);
    push([0x302000, KERNEL_CODE, 2, 0x27000, KERNEL_DATA]);
    core.call('iret', 8);
    expect(core.get('nmiBlocked')).toBe(0n);
  });

  it('returns to the run loop when an interrupt waits for IF', () => {
    core.set('attention', 1);
    core.set('budget', 100);
    core.set('budgetStart', 100);
    push([0x302000, KERNEL_CODE, 0x202, 0x27000, KERNEL_DATA]);
    core.call('iret', 8);
    expect(core.budgetUsedUp).toBe(true);
  });

  it.each([
    ['NT', [0x302000, KERNEL_CODE, 0x202, 0x27000, KERNEL_DATA], 0x4002, 0],
    ['a null CS', [0x302000, 0, 0x202, 0x27000, KERNEL_DATA], 2, 0],
    ['a null SS for user mode', [0x302000, USER_CODE64, 0x202, 0x27000, 3], 2, 0],
    ['a non-canonical RIP', [1n << 47n, KERNEL_CODE, 0x202, 0x27000, KERNEL_DATA], 2, 0],
    ['a data segment as CS', [0x302000, KERNEL_DATA, 0x202, 0x27000, KERNEL_DATA], 2, KERNEL_DATA],
    ['an SS of another level', [0x302000, USER_CODE64, 0x202, 0x27000, KERNEL_DATA], 2, KERNEL_DATA],
    ['a selector beyond the GDT', [0x302000, 0x2008, 0x202, 0x27000, KERNEL_DATA], 2, 0x2008],
  ] as const)('raises #GP for %s and changes nothing', (_name, values, eflags, error) => {
    core.set('eflags', eflags);
    push([...values]);
    expect(core.call('iret', 8)).toBe(STATUS_FAULT);
    expect(core.fault()).toEqual({ vector: 13, error });
    expect([core.reg(REG_RSP), core.selector(SEG_CS), core.get('eflags')]).toEqual([
      BigInt(STACK),
      KERNEL_CODE,
      BigInt(eflags),
    ]);
  });

  it('raises #NP for code that is not present', () => {
    core.write(GDT + KERNEL_CODE, 8, 0x00af1b000000ffffn);
    push([0x302000, KERNEL_CODE, 0x202, 0x27000, KERNEL_DATA]);
    core.call('iret', 8);
    expect(core.fault()).toEqual({ vector: 11, error: KERNEL_CODE });
  });

  it('lets user code change neither IOPL nor IF', () => {
    core.userMode();
    push([0x302000, USER_CODE64, 0x3202, 0x27000, USER_DATA]);
    core.map(BigInt(STACK), BigInt(STACK) | 7n | 0x80n, 2);
    core.map(0n, 7n | 0x80n, 2);
    core.call('flushTlb', 0);
    expect(core.call('iret', 8)).toBe(STATUS_BRANCH);
    expect(core.get('eflags')).toBe(2n);
  });
});

describe('SYSCALL and SYSRET', () => {
  beforeEach(() => {
    core.set('star', (0x1bn << 48n) | (8n << 32n));
    core.set('lstar', HANDLER);
    core.set('cstar', HANDLER + 0x100n);
    core.set('sfmask', 0x700);
  });

  it('enter the kernel with RIP in RCX and RFLAGS in R11', () => {
    core.userMode();
    core.set('eflags', 0x202);
    core.set('flagA', 0x41);
    expect(core.call('syscall')).toBe(STATUS_BRANCH);
    expect([core.reg(REG_RCX), core.reg(11), core.get('rip'), core.get('cpl')]).toEqual([
      0x301000n,
      0x243n,
      HANDLER,
      0n,
    ]);
    expect([core.selector(SEG_CS), core.selector(SEG_SS), core.get('eflags')]).toEqual([8, 0x10, 2n]);
    expect(core.reg(REG_RSP)).toBe(BigInt(STACK));
  });

  it('come from compatibility mode to CSTAR', () => {
    core.userMode(USER_CODE32);
    core.call('syscall');
    expect(core.get('rip')).toBe(HANDLER + 0x100n);
    expect(core.get('mode') & 3n).toBe(2n);
  });

  it('return to 64-bit code with the flags of R11', () => {
    core.setReg(REG_RCX, 0x401000);
    core.setReg(11, 0x10247);
    expect(core.call('sysret', 8)).toBe(STATUS_BRANCH);
    expect([core.get('rip'), core.get('cpl'), core.get('eflags')]).toEqual([0x401000n, 3n, 0x202n]);
    expect([core.selector(SEG_CS), core.selector(SEG_SS)]).toEqual([0x2b, 0x23]);
    expect(core.call64('materializeFlags')).toBe(0x45n);
  });

  it('return to 32-bit code', () => {
    core.setReg(REG_RCX, 0xffff_ffff_0040_1000n);
    core.setReg(11, 0x202);
    core.call('sysret', 4);
    expect([core.get('rip'), core.selector(SEG_CS), core.get('mode') & 3n]).toEqual([0x401000n, 0x1b, 1n]);
  });

  it.each([
    ['SYSCALL without EFER.SCE', 'syscall', KERNEL_CODE, 0xd00, 6],
    ['SYSRET at CPL 3', 'sysret', USER_CODE64, 0xd01, 13],
    ['SYSENTER in long mode', 'sysenter', USER_CODE64, 0xd01, 6],
  ] as const)('%s raises an exception', (_name, name, code, efer, vector) => {
    core.set('efer', efer);
    core.set('segAttr', 0xc093 | ((code & 3) << 5), SEG_SS);
    core.call('updateMode');
    expect(core.call(name, 8)).toBe(STATUS_FAULT);
    expect(core.fault()).toEqual({ vector, error: 0 });
  });
});

describe('SWAPGS', () => {
  it('exchanges the base of GS', () => {
    core.set('kernelGsBase', 0x1111);
    core.set('segBase', 0x2222, SEG_GS);
    expect(core.call('swapgs')).toBe(STATUS_NEXT);
    expect([core.get('kernelGsBase'), core.get('segBase', SEG_GS), core.get('segEffective', SEG_GS)]).toEqual(
      [0x2222n, 0x1111n, 0x1111n],
    );
  });
});

describe('far transfers in 64-bit mode', () => {
  it('jump to 32-bit code of the same level', () => {
    core.write(GDT + 0x40, 8, 0x00cf9b000000ffffn);
    expect(core.call('jumpFar', 0x40, 0x302000n, 4)).toBe(STATUS_BRANCH);
    expect([core.get('rip'), core.get('mode') & 7n]).toEqual([0x302000n, 5n]);
  });

  it('call and return', () => {
    core.call('callFar', KERNEL_CODE, 0x302000n, 8);
    expect(core.stack(2, 8)).toEqual([0x301000n, BigInt(KERNEL_CODE)]);
    core.call('returnFar', 8, 16);
    expect([core.get('rip'), core.reg(REG_RSP)]).toEqual([0x301000n, BigInt(STACK + 16)]);
  });

  it('return to user mode with SS and RSP', () => {
    push([0x302000, USER_CODE64, 0x27000, USER_DATA]);
    core.call('returnFar', 8, 0);
    expect([core.get('cpl'), core.reg(REG_RSP), core.selector(SEG_SS)]).toEqual([3n, 0x27000n, USER_DATA]);
  });

  it('enter the kernel through a 64-bit call gate', () => {
    core.write(GDT + 0x40, 8, 0x1234ec0000085678n);
    core.write(GDT + 0x48, 8, 0xffff8000n);
    core.userMode();
    expect(core.call('callFar', 0x43, 0n, 8)).toBe(STATUS_BRANCH);
    expect(core.get('rip')).toBe(0xffff_8000_1234_5678n);
    expect(core.reg(REG_RSP)).toBe(BigInt(KERNEL_STACK - 32));
    expect(core.stack(4, 8)).toEqual([0x301000n, BigInt(USER_CODE64), BigInt(STACK), BigInt(USER_DATA)]);
    expect([core.selector(SEG_SS), core.get('cpl')]).toEqual([0, 0n]);
  });

  it.each([
    ['a null selector', 0, 0n, 0],
    ['a data segment', KERNEL_DATA, 0n, KERNEL_DATA],
    ['code of an outer level', USER_CODE64, 0n, USER_CODE64 & ~3],
    ['a TSS', 0x30, 0n, 0x30],
  ])('raise #GP for %s', (_name, selector, offset, error) => {
    expect(core.call('jumpFar', selector, offset, 8)).toBe(STATUS_FAULT);
    expect(core.fault()).toEqual({ vector: 13, error });
  });
});
