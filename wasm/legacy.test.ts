import { beforeEach, describe, expect, it } from 'vitest';
import { STATUS_BRANCH, STATUS_FAULT, STATUS_FAULT_AT_RIP, STATUS_NEXT } from '../src/layout/exits.ts';
import {
  MODE_REAL,
  MODE_STACK16,
  REG_RAX,
  REG_RBP,
  REG_RSP,
  SEG_CS,
  SEG_DS,
  SEG_ES,
  SEG_FS,
  SEG_GS,
  SEG_LDTR,
  SEG_SS,
  SEG_TR,
  SHADOW_STACK,
} from '../src/layout/vcpu.ts';
import {
  GDT,
  IDT,
  KERNEL_CODE,
  KERNEL_DATA,
  KERNEL_STACK,
  TestCore,
  TSS,
  TSS_SELECTOR,
  USER_CODE32,
  USER_DATA,
} from './testing/core.ts';

const STACK = 0x28000;
let core: TestCore;

function push(values: number[], bytes: number): void {
  values.forEach((value, i) => core.write(STACK + i * bytes, bytes, value));
  core.setReg(REG_RSP, STACK);
}

function allSelectors(): number[] {
  return [SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS].map((segment) => core.selector(segment));
}

describe('real mode', () => {
  beforeEach(() => {
    core = new TestCore();
    core.setSegment(SEG_CS, 0x1000, 0x10000, 0xffff, 0x9b);
    core.setSegment(SEG_SS, 0x2000, 0x20000, 0xffff, 0x93);
    core.call('updateMode');
    core.set('rip', 0x123);
    core.set('idtLimit', 0x3ff);
    core.setReg(REG_RSP, 0xdead_0100);
    core.set('eflags', 0x302);
  });

  it('delivers through the interrupt vector table and IRET comes back', () => {
    core.write(0x21 * 4, 4, 0x50000678);
    expect(core.call('softwareInterrupt', 0x21)).toBe(STATUS_BRANCH);
    expect([core.get('rip'), core.selector(SEG_CS), core.get('segBase', SEG_CS), core.get('eflags')]).toEqual(
      [0x678n, 0x5000, 0x50000n, 2n],
    );
    expect(core.reg(REG_RSP)).toBe(0xdead00fan);
    expect(core.dump(0x200fa, 6)).toBe('230100100203');
    core.call('iret', 2);
    expect([core.get('rip'), core.selector(SEG_CS), core.get('eflags'), core.reg(REG_RSP)]).toEqual([
      0x123n,
      0x1000,
      0x302n,
      0xdead0100n,
    ]);
  });

  it('shuts down when the table is too short for a double fault', () => {
    core.set('idtLimit', 0);
    expect(core.deliver(13)).toBe(4);
  });

  it('loads a segment with its paragraph and leaves the limit, as unreal mode needs', () => {
    core.set('segLimit', 0xffffffff, SEG_DS);
    core.call('loadSegment', SEG_DS, 0x1234);
    expect([core.get('segBase', SEG_DS), core.get('segLimit', SEG_DS)]).toEqual([0x12340n, 0xffffffffn]);
  });

  it('calls and returns far', () => {
    core.call('callFar', 0x3000, 0x44n, 2);
    expect([core.get('rip'), core.selector(SEG_CS)]).toEqual([0x44n, 0x3000]);
    core.call('returnFar', 2, 4);
    expect([core.get('rip'), core.selector(SEG_CS), core.reg(REG_RSP)]).toEqual([
      0x123n,
      0x1000,
      0xdead0104n,
    ]);
  });

  it('raises #GP beyond a limit and #SS for a word at the end of the stack', () => {
    expect(core.call64('segmentLinear', SEG_DS, 0xffffn, 2, 0)).toBe(0xffff_ffff_ffff_ffffn);
    expect(core.fault()).toEqual({ vector: 13, error: 0 });
    core.call64('segmentLinear', SEG_SS, 0xffffn, 2, 0);
    expect(core.fault()).toEqual({ vector: 12, error: 0 });
  });

  it('enters protected mode by CR0 and a far jump', () => {
    core.set('gdtBase', GDT);
    core.set('gdtLimit', 0xff);
    core.write(GDT + 8, 8, 0x00cf9a000000ffffn);
    expect(core.call('writeControl', 0, 0x11n)).toBe(STATUS_BRANCH);
    expect(core.get('cpl')).toBe(0n);
    expect(core.call('jumpFar', 8, 0x12345678n, 4)).toBe(STATUS_BRANCH);
    expect([core.get('rip'), core.get('mode') & 3n, core.read(GDT + 13, 1)]).toEqual([
      0x12345678n,
      1n,
      0x9bn,
    ]);
  });
});

describe('protected mode', () => {
  beforeEach(() => {
    core = new TestCore().protectedMode();
    core.set('rip', 0x301000);
    core.setReg(REG_RSP, STACK);
    core.set('eflags', 0x202);
  });

  it('delivers on the same stack at the same level', () => {
    core.gate32(13, 0x12345678);
    core.deliver(13, 0x18);
    expect(core.stack(4, 4)).toEqual([0x18n, 0x301000n, 8n, 0x10202n]);
    expect([core.get('rip'), core.get('eflags')]).toEqual([0x12345678n, 2n]);
  });

  it('delivers from user mode on the stack of the TSS, and IRET comes back', () => {
    core.userMode(USER_CODE32);
    core.gate32(0x80, 0x302000, 0xee);
    expect(core.call('softwareInterrupt', 0x80)).toBe(STATUS_BRANCH);
    expect(core.reg(REG_RSP)).toBe(BigInt(KERNEL_STACK - 20));
    expect(core.stack(5, 4)).toEqual([
      0x301000n,
      BigInt(USER_CODE32),
      0x202n,
      BigInt(STACK),
      BigInt(USER_DATA),
    ]);
    expect([core.selector(SEG_SS), core.get('cpl')]).toEqual([KERNEL_DATA, 0n]);
    core.call('iret', 4);
    expect([core.get('cpl'), core.reg(REG_RSP), core.get('rip')]).toEqual([3n, BigInt(STACK), 0x301000n]);
  });

  it('pushes words through a 16-bit gate', () => {
    core.gate32(0x80, 0x2000, 0x86);
    core.call('softwareInterrupt', 0x80);
    expect(core.stack(3, 2)).toEqual([0x1000n, 8n, 0x202n]);
  });

  it('stays at its level in conforming code', () => {
    core.write(GDT + 0x40, 8, 0x00cf9e000000ffffn);
    core.userMode(USER_CODE32);
    core.call('jumpFar', 0x40, 0x1000n, 4);
    expect([core.get('cpl'), core.selector(SEG_CS)]).toEqual([3n, 0x43]);
  });

  it.each([
    ['a read-only segment', 0xc091, 0xffffffff, 0n, 1],
    ['execute-only code', 0xc099, 0xffffffff, 0n, 0],
    ['a null segment', 0, 0xffffffff, 0n, 0],
    ['an offset beyond the limit', 0x4093, 0xfff, 0xffdn, 0],
    ['an offset below an expand-down limit', 0x4097, 0xfff, 0xfffn, 0],
    ['a 16-bit expand-down segment above 64 KiB', 0x0097, 0xfff, 0xfffdn, 0],
  ])('checks %s', (_name, attr, limit, offset, write) => {
    core.setSegment(SEG_DS, 0x10, 0x1000, limit, attr);
    core.call('updateMode');
    expect(core.get('mode') & 4n).toBe(0n);
    expect(core.call64('segmentLinear', SEG_DS, offset, 4, write)).toBe(0xffff_ffff_ffff_ffffn);
    expect(core.fault()).toEqual({ vector: 13, error: 0 });
  });

  it('adds the base and wraps at 4 GiB', () => {
    core.setSegment(SEG_DS, 0x10, 0xffff_f000, 0xffffffff, 0xc093);
    expect(core.call64('segmentLinear', SEG_DS, 0x2000n, 4, 1)).toBe(0x1000n);
  });

  it('accepts an offset above an expand-down limit', () => {
    core.setSegment(SEG_DS, 0x10, 0, 0xfff, 0x4097);
    expect(core.call64('segmentLinear', SEG_DS, 0x1000n, 4, 1)).toBe(0x1000n);
  });

  it.each([
    ['null into SS', SEG_SS, 0, 13, 0],
    ['code into SS', SEG_SS, KERNEL_CODE, 13, KERNEL_CODE],
    ['an absent segment into DS', SEG_DS, 0x40, 11, 0x40],
    ['an absent segment into SS', SEG_SS, 0x40, 12, 0x40],
    ['a system segment into ES', SEG_ES, TSS_SELECTOR, 13, TSS_SELECTOR],
    ['an LDT selector without an LDT', SEG_ES, 0xc, 13, 0xc],
  ])('refuses %s', (_name, segment, selector, vector, error) => {
    core.set('segAttr', 0, SEG_LDTR);
    core.write(GDT + 0x40, 8, 0x00cf13000000ffffn);
    expect(core.call('loadSegment', segment, selector)).toBe(STATUS_FAULT);
    expect(core.fault()).toEqual({ vector, error });
  });

  it('reports that the mode is no longer flat', () => {
    core.write(GDT + 0x40, 8, 0x00cf93100000ffffn);
    expect(core.call('loadSegment', SEG_DS, 0x40)).toBe(STATUS_BRANCH);
    expect(core.call('loadSegment', SEG_ES, 0x40)).toBe(STATUS_NEXT);
  });

  it('holds interrupts off after a load of SS', () => {
    expect(core.call('loadSegment', SEG_SS, KERNEL_DATA)).toBe(STATUS_BRANCH);
    expect(core.get('shadow')).toBe(BigInt(SHADOW_STACK));
  });

  it('reads descriptors from the LDT', () => {
    core.write(GDT + 0x40, 8, 0x0000820150000017n);
    core.write(0x15000 + 8, 8, 0x00cf93000000ffffn);
    expect(core.call('loadLdt', 0x40)).toBe(STATUS_NEXT);
    expect(core.call('loadSegment', SEG_ES, 0xc)).toBe(STATUS_NEXT);
    expect([core.get('segLimit', SEG_ES), core.get('segBase', SEG_LDTR)]).toEqual([0xffffffffn, 0x15000n]);
  });

  it('copies parameters through a call gate, and RETF drops them on both stacks', () => {
    core.write(GDT + 0x40, 8, 0x0030ec0200085678n);
    core.userMode(USER_CODE32);
    push([0x11111111, 0x22222222], 4);
    expect(core.call('callFar', 0x43, 0n, 4)).toBe(STATUS_BRANCH);
    expect(core.get('rip')).toBe(0x305678n);
    expect(core.stack(6, 4)).toEqual([
      0x301000n,
      BigInt(USER_CODE32),
      0x11111111n,
      0x22222222n,
      BigInt(STACK),
      BigInt(USER_DATA),
    ]);
    core.call('returnFar', 4, 8);
    expect([core.get('cpl'), core.reg(REG_RSP), core.get('rip')]).toEqual([3n, BigInt(STACK + 8), 0x301000n]);
  });

  it('calls an outer-level gate only with a fitting DPL', () => {
    core.write(GDT + 0x40, 8, 0x00308c0200085678n);
    core.userMode(USER_CODE32);
    expect(core.call('callFar', 0x43, 0n, 4)).toBe(STATUS_FAULT);
    expect(core.fault()).toEqual({ vector: 13, error: 0x40 });
  });

  it('enters and leaves by SYSENTER and SYSEXIT', () => {
    core.set('sysenterCs', 8);
    core.set('sysenterEsp', 0x22000);
    core.set('sysenterEip', 0x303000);
    core.userMode(USER_CODE32);
    core.call('sysenter');
    expect([core.get('rip'), core.reg(REG_RSP), core.get('cpl'), core.get('eflags')]).toEqual([
      0x303000n,
      0x22000n,
      0n,
      2n,
    ]);
    core.setReg(1, 0x27000);
    core.setReg(2, 0x304000);
    core.call('sysexit', 4);
    expect([core.get('rip'), core.reg(REG_RSP), core.get('cpl')]).toEqual([0x304000n, 0x27000n, 3n]);
    expect([core.selector(SEG_CS), core.selector(SEG_SS)]).toEqual([0x1b, 0x23]);
  });

  it('raises #TS with the stack selector when the TSS names a bad one', () => {
    core.write(TSS + 8, 4, USER_DATA);
    core.userMode(USER_CODE32);
    core.gate32(0x80, 0x302000, 0xee);
    core.call('softwareInterrupt', 0x80);
    expect(core.fault()).toEqual({ vector: 10, error: USER_DATA & ~3 });
  });
});

describe('ENTER', () => {
  beforeEach(() => {
    core = new TestCore().protectedMode();
    core.setReg(REG_RSP, STACK);
    core.setReg(REG_RBP, 0x29000);
  });

  it('makes a frame', () => {
    expect(core.call('enter', 4, 0x20, 0)).toBe(STATUS_NEXT);
    expect([core.reg(REG_RBP), core.reg(REG_RSP), core.read(STACK - 4, 4)]).toEqual([
      BigInt(STACK - 4),
      BigInt(STACK - 0x24),
      0x29000n,
    ]);
  });

  it('copies the display of outer procedures', () => {
    core.write(0x29000 - 8, 4, 0xbbbb);
    core.write(0x29000 - 4, 4, 0xaaaa);
    core.call('enter', 4, 0, 3);
    expect(core.stack(4, 4)).toEqual([BigInt(STACK - 4), 0xbbbbn, 0xaaaan, 0x29000n]);
  });
});

describe('virtual-8086 mode', () => {
  beforeEach(() => {
    core = new TestCore().protectedMode();
    push([0x1234, 0x1000, 0x23202, 0x100, 0x2000, 0x3000, 0x4000, 0x5000, 0x6000], 4);
    core.call('iret', 4);
  });

  it('is entered by IRET with VM in the image', () => {
    expect(allSelectors()).toEqual([0x3000, 0x1000, 0x2000, 0x4000, 0x5000, 0x6000]);
    expect([core.get('cpl'), core.get('mode'), core.get('rip'), core.get('segBase', SEG_FS)]).toEqual([
      3n,
      BigInt(MODE_REAL | MODE_STACK16),
      0x1234n,
      0x50000n,
    ]);
  });

  it('is left by an interrupt, which saves and clears the data segments', () => {
    core.gate32(0x31, 0x302000);
    core.call('interruptVector', 0x31);
    expect(core.stack(9, 4)).toEqual([
      0x1234n,
      0x1000n,
      0x23202n,
      0x100n,
      0x2000n,
      0x3000n,
      0x4000n,
      0x5000n,
      0x6000n,
    ]);
    expect(allSelectors()).toEqual([0, KERNEL_CODE, KERNEL_DATA, 0, 0, 0]);
    expect(core.get('eflags') & 0x20000n).toBe(0n);
    core.call('iret', 4);
    expect(allSelectors()).toEqual([0x3000, 0x1000, 0x2000, 0x4000, 0x5000, 0x6000]);
  });

  it('needs IOPL 3 for INT n, PUSHF and IRET', () => {
    core.set('eflags', 0x20202);
    expect(core.call('softwareInterrupt', 0x21)).toBe(STATUS_FAULT);
    expect(core.fault()).toEqual({ vector: 13, error: 0 });
    core.call64('readFlags', 2);
    expect(core.fault()).toEqual({ vector: 13, error: 0 });
    expect(core.call('iret', 2)).toBe(STATUS_FAULT);
  });

  it('lets INT3 through whatever the IOPL', () => {
    core.set('eflags', 0x20202);
    core.gate32(3, 0x302000, 0xee);
    expect(core.call('softwareInterrupt', 0x103)).toBe(STATUS_BRANCH);
  });

  it('redirects INT n into the guest under CR4.VME when its bit is clear', () => {
    core.set('cr4', 1);
    core.set('segLimit', 0x68 + 0x20 + 0x80, SEG_TR);
    core.write(TSS + 0x66, 2, 0x88);
    core.write(0x21 * 4, 4, 0x50000678);
    expect(core.call('softwareInterrupt', 0x21)).toBe(STATUS_BRANCH);
    expect([core.selector(SEG_CS), core.get('rip'), core.get('cpl')]).toEqual([0x5000, 0x678n, 3n]);
    expect(core.dump(0x200fa, 6)).toBe('341200100232');
  });

  it('keeps a virtual interrupt flag under CR4.VME', () => {
    core.set('cr4', 1);
    core.set('eflags', 0x20202);
    core.call('sti');
    expect(core.get('eflags')).toBe(0xa0202n);
    expect(core.call64('readFlags', 2) & 0xffffn).toBe(0x3202n);
    core.call('writeFlags', 0n, 2);
    expect(core.get('eflags')).toBe(0x20202n);
  });
});

describe('task switches', () => {
  const OTHER = 0x16000;
  const OTHER_SELECTOR = 0x50;

  beforeEach(() => {
    core = new TestCore().protectedMode();
    core.set('rip', 0x301000);
    core.setReg(REG_RSP, STACK);
    core.set('eflags', 0x202);
    core.write(GDT + OTHER_SELECTOR, 8, 0x0000890000000067n | (BigInt(OTHER) << 16n));
    core.write(OTHER + 0x20, 4, 0x304000);
    core.write(OTHER + 0x24, 4, 0x2);
    core.write(OTHER + 0x28, 4, 0xaaaa);
    core.write(OTHER + 0x38, 4, 0x2a000);
    core.write(OTHER + 0x48, 4, KERNEL_DATA);
    core.write(OTHER + 0x4c, 4, KERNEL_CODE);
    core.write(OTHER + 0x50, 4, KERNEL_DATA);
    core.write(OTHER + 0x54, 4, KERNEL_DATA);
  });

  it('by JMP save the old task and load the new one', () => {
    core.setReg(REG_RAX, 0x5555);
    expect(core.call('jumpFar', OTHER_SELECTOR, 0n, 4)).toBe(STATUS_BRANCH);
    expect([
      core.read(TSS + 0x20, 4),
      core.read(TSS + 0x24, 4),
      core.read(TSS + 0x28, 4),
      core.read(TSS + 0x4c, 2),
    ]).toEqual([0x301000n, 0x202n, 0x5555n, 8n]);
    expect([core.get('rip'), core.reg(REG_RAX), core.reg(REG_RSP), core.selector(SEG_TR)]).toEqual([
      0x304000n,
      0xaaaan,
      0x2a000n,
      OTHER_SELECTOR,
    ]);
    expect(allSelectors()).toEqual([KERNEL_DATA, KERNEL_CODE, KERNEL_DATA, KERNEL_DATA, 0, 0]);
    expect([core.read(GDT + OTHER_SELECTOR + 5, 1), core.read(GDT + TSS_SELECTOR + 5, 1)]).toEqual([
      0x8bn,
      0x89n,
    ]);
    expect(core.get('cr0') & 8n).toBe(8n);
  });

  it('by CALL link back, and IRET with NT returns', () => {
    core.call('callFar', OTHER_SELECTOR, 0n, 4);
    expect([core.read(OTHER, 2), core.get('eflags')]).toEqual([BigInt(TSS_SELECTOR), 0x4002n]);
    expect(core.call('iret', 4)).toBe(STATUS_BRANCH);
    expect([core.get('rip'), core.selector(SEG_TR), core.get('eflags')]).toEqual([
      0x301000n,
      TSS_SELECTOR,
      0x202n,
    ]);
    expect([core.read(GDT + OTHER_SELECTOR + 5, 1), core.read(GDT + TSS_SELECTOR + 5, 1)]).toEqual([
      0x89n,
      0x8bn,
    ]);
  });

  it('by a task gate for a double fault get the error code on the new stack', () => {
    core.write(IDT + 8 * 8, 8, 0x0000850000500000n);
    expect(core.deliver(8)).toBe(STATUS_BRANCH);
    expect([core.get('rip'), core.reg(REG_RSP), core.read(0x29ffc, 4)]).toEqual([0x304000n, 0x29ffcn, 0n]);
  });

  it('refuse a busy task', () => {
    core.write(GDT + OTHER_SELECTOR + 5, 1, 0x8b);
    expect(core.call('jumpFar', OTHER_SELECTOR, 0n, 4)).toBe(STATUS_FAULT);
    expect(core.fault()).toEqual({ vector: 13, error: OTHER_SELECTOR });
  });

  it('fault in the new task when its segments are bad', () => {
    core.write(OTHER + 0x54, 4, 0x2000);
    expect(core.call('jumpFar', OTHER_SELECTOR, 0n, 4)).toBe(STATUS_FAULT_AT_RIP);
    expect(core.fault()).toEqual({ vector: 10, error: 0x2000 });
    expect([core.get('rip'), core.selector(SEG_TR)]).toEqual([0x304000n, OTHER_SELECTOR]);
  });

  it('to a 16-bit task fill the upper halves with ones', () => {
    core.write(GDT + OTHER_SELECTOR, 8, 0x000081000000002bn | (BigInt(OTHER) << 16n));
    core.write(OTHER, 8, 0);
    core.write(OTHER + 0x0e, 2, 0x4000);
    core.write(OTHER + 0x10, 2, 2);
    core.write(OTHER + 0x12, 2, 0x1234);
    core.write(OTHER + 0x22, 2, KERNEL_DATA);
    core.write(OTHER + 0x24, 2, KERNEL_CODE);
    core.write(OTHER + 0x26, 2, KERNEL_DATA);
    core.write(OTHER + 0x28, 2, KERNEL_DATA);
    core.write(OTHER + 0x2a, 2, 0);
    expect(core.call('jumpFar', OTHER_SELECTOR, 0n, 4)).toBe(STATUS_BRANCH);
    expect([core.get('rip'), core.reg(REG_RAX)]).toEqual([0x4000n, 0xffff1234n]);
  });
});
