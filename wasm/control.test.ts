import { beforeEach, describe, expect, it } from 'vitest';
import {
  EXIT_HLT,
  STATUS_BRANCH,
  STATUS_EXIT,
  STATUS_FAULT,
  STATUS_NEXT,
} from '../src/layout/exits.ts';
import { MODE_REAL, MODE_STACK16, REG_RAX, REG_RCX, REG_RDX, SEG_CS, SEG_FS } from '../src/layout/vcpu.ts';
import {
  ATTR_CODE32,
  CR0_PE,
  CR0_PG,
  CR4_PAE,
  KERNEL_CODE,
  PAGE_TABLES,
  TestCore,
  TSS,
  USER_CODE64,
} from './testing/core.ts';

let core: TestCore;

beforeEach(() => {
  core = new TestCore().longMode();
  core.set('eflags', 2);
  core.set('budget', 100);
  core.set('budgetStart', 100);
});

function msr(number: number, value: bigint): void {
  core.setReg(REG_RCX, number);
  core.setReg(REG_RAX, value & 0xffffffffn);
  core.setReg(REG_RDX, value >> 32n);
}

describe('power-on state', () => {
  it('is that of the manual', () => {
    core.call('reset');
    expect([core.get('rip'), core.get('segBase', SEG_CS), core.get('cr0'), core.get('eflags')]).toEqual([
      0xfff0n,
      0xffff0000n,
      0x60000010n,
      2n,
    ]);
    expect([core.get('mode'), core.get('cpl'), core.get('stackMask'), core.get('ripMask')]).toEqual([
      BigInt(MODE_REAL | MODE_STACK16),
      0n,
      0xffffn,
      0xffffffffn,
    ]);
  });
});

describe('CR0', () => {
  it('activates long mode when paging goes on with EFER.LME', () => {
    core = new TestCore().protectedMode();
    core.set('efer', 0x100);
    core.set('cr4', CR4_PAE);
    core.set('cr3', PAGE_TABLES);
    expect(core.call('writeControl', 0, CR0_PE | CR0_PG)).toBe(STATUS_BRANCH);
    expect(core.get('efer')).toBe(0x500n);
    expect(core.get('mode') & 3n).toBe(1n);
  });

  it.each([
    ['PG without PE', CR0_PG],
    ['NW without CD', 0x80000011n | 0x20000000n],
    ['bits above 31', 0x1_8000_0011n],
    ['leaving long mode from 64-bit code', CR0_PE],
  ])('refuses %s', (_name, value) => {
    expect(core.call('writeControl', 0, value)).toBe(STATUS_FAULT);
    expect(core.fault()).toEqual({ vector: 13, error: 0 });
  });

  it.each([
    ['without PAE', 0n, ATTR_CODE32, 0x8b],
    ['from a segment with L', CR4_PAE, 0xa09b, 0x8b],
    ['with a 16-bit TSS', CR4_PAE, ATTR_CODE32, 0x83],
  ])('does not activate long mode %s', (_name, cr4, code, tss) => {
    core = new TestCore().protectedMode();
    core.set('efer', 0x100);
    core.set('cr4', cr4);
    core.set('segAttr', code, SEG_CS);
    core.set('segAttr', tss, 7);
    expect(core.call('writeControl', 0, CR0_PE | CR0_PG)).toBe(STATUS_FAULT);
  });

  it('leaves long mode from compatibility mode', () => {
    core.set('segAttr', ATTR_CODE32, SEG_CS);
    core.call('updateMode');
    expect(core.call('writeControl', 0, CR0_PE)).toBe(STATUS_BRANCH);
    expect(core.get('efer')).toBe(0x901n);
  });
});

describe('CR3, CR4 and CR8', () => {
  it.each([
    ['a reserved bit of CR4', 4, 1n << 31n],
    ['CR4 without PAE in long mode', 4, 0n],
    ['a CR3 beyond the physical width', 3, 1n << 40n],
    ['a CR8 above 15', 8, 16n],
  ])('refuse %s', (_name, number, value) => {
    expect(core.call('writeControl', number, value)).toBe(STATUS_FAULT);
    expect(core.fault()).toEqual({ vector: 13, error: 0 });
  });

  it('have the bits of the CPU model and no others', () => {
    const smap = CR4_PAE | (1n << 21n);
    expect(core.call('writeControl', 4, smap)).toBe(STATUS_BRANCH);
    core.set('cr4Allowed', 0x1507bf);
    core.call('reset');
    expect(core.call('writeControl', 4, smap)).toBe(STATUS_FAULT);
  });

  it('need CPL 0', () => {
    core.userMode();
    expect(core.call('writeControl', 3, 0n)).toBe(STATUS_FAULT);
    core.call64('readControl', 3);
    expect(core.fault()).toEqual({ vector: 13, error: 0 });
  });

  it("CR8 is the local APIC's, and lets pending interrupts in", () => {
    core.set('eflags', 0x202);
    core.set('attention', 1);
    expect(core.call('writeControl', 8, 9n)).toBe(STATUS_BRANCH);
    expect([core.taskPriority, core.budgetUsedUp, core.call64('readControl', 8)]).toEqual([9, true, 9n]);
  });

  it('CR1 does not exist', () => {
    core.call('writeControl', 1, 0n);
    expect(core.fault()).toEqual({ vector: 6, error: 0 });
  });
});

describe('debug registers', () => {
  it('keep reserved bits as they are', () => {
    core.call('writeDebug', 7, 0xffffffffn & ~0x2000n);
    core.call('writeDebug', 6, 0n);
    expect([core.call64('readDebug', 7), core.call64('readDebug', 6)]).toEqual([0xffff0fffn, 0xffff0ff0n]);
  });

  it('4 is another name of 6 without CR4.DE, and none with it', () => {
    expect(core.call64('readDebug', 4)).toBe(0xffff0ff0n);
    core.set('cr4', CR4_PAE | 8n);
    core.call64('readDebug', 4);
    expect(core.fault()).toEqual({ vector: 6, error: 0 });
  });

  it('raise #DB under DR7.GD', () => {
    core.set('dr', 0x2400, 7);
    core.call('writeDebug', 0, 1n);
    expect(core.fault()).toEqual({ vector: 1, error: 0 });
    expect([core.get('dr', 7), core.get('dr', 6)]).toEqual([0x400n, 0xffff2ff0n]);
  });
});

describe('model-specific registers', () => {
  it.each([
    ['LSTAR', 0xc0000082, 0xffff_8000_0000_1234n],
    ['STAR', 0xc0000081, 0x0023_0010_1234_5678n],
    ['KERNEL_GS_BASE', 0xc0000102, 0x7fff_ffff_f000n],
    ['PAT', 0x277, 0x0007_0106_0007_0106n],
  ])('%s reads what was written', (_name, number, value) => {
    msr(number, value);
    expect(core.call('wrmsr')).toBe(STATUS_NEXT);
    core.setReg(REG_RAX, 0);
    core.call('rdmsr');
    expect((core.reg(REG_RDX) << 32n) | core.reg(REG_RAX)).toBe(value);
  });

  it('FS_BASE takes effect at once', () => {
    msr(0xc0000100, 0x7f00_0000_1000n);
    core.call('wrmsr');
    expect([core.get('segBase', SEG_FS), core.get('segEffective', SEG_FS)]).toEqual([
      0x7f00_0000_1000n,
      0x7f00_0000_1000n,
    ]);
  });

  it.each([
    ['a non-canonical LSTAR', 0xc0000082, 1n << 47n],
    ['an unknown bit of EFER', 0xc0000080, 0x1d01n],
    ['EFER.LME while paging', 0xc0000080, 0x401n],
    ['a memory type that does not exist', 0x277, 2n],
  ])('refuse %s', (_name, number, value) => {
    msr(number, value);
    expect(core.call('wrmsr')).toBe(STATUS_FAULT);
    expect(core.fault()).toEqual({ vector: 13, error: 0 });
  });

  it('raise #GP where the host does not know them', () => {
    core.msrResult = 1;
    msr(0x1234, 0n);
    core.call('rdmsr');
    expect(core.fault()).toEqual({ vector: 13, error: 0 });
  });

  it('EFER takes AutoIBRS, which CPUID offers', () => {
    msr(0xc0000080, 0x200d01n);
    expect(core.call('wrmsr')).toBe(STATUS_BRANCH);
    expect(core.get('efer')).toBe(0x200d01n);
  });

  it('EFER.LMA cannot be written', () => {
    msr(0xc0000080, 0x901n);
    core.call('wrmsr');
    expect(core.get('efer')).toBe(0xd01n);
  });
});

describe('time stamps', () => {
  it('come from the host', () => {
    core.set('tscAux', 5);
    core.call('rdtscp');
    expect([core.reg(REG_RAX), core.reg(REG_RDX), core.reg(REG_RCX)]).toEqual([0x23456789n, 1n, 5n]);
  });

  it('need CPL 0 under CR4.TSD', () => {
    core.set('cr4', CR4_PAE | 4n);
    core.userMode();
    core.call('rdtsc');
    expect(core.fault()).toEqual({ vector: 13, error: 0 });
  });
});

describe('interrupt flag', () => {
  it('STI opens the window after one more instruction, and returns to the run loop if somebody waits', () => {
    core.set('attention', 1);
    expect(core.call('sti')).toBe(STATUS_BRANCH);
    expect([core.get('eflags'), core.get('shadow'), core.budgetUsedUp]).toEqual([0x202n, 1n, true]);
  });

  it('STI costs nothing if nobody waits', () => {
    expect(core.call('sti')).toBe(STATUS_NEXT);
    expect(core.get('budget')).toBe(100n);
  });

  it('CLI and STI need IOPL', () => {
    core.userMode();
    expect(core.call('cli')).toBe(STATUS_FAULT);
    expect(core.call('sti')).toBe(STATUS_FAULT);
    core.set('eflags', 0x3202);
    expect(core.call('cli')).toBe(STATUS_NEXT);
    expect(core.get('eflags')).toBe(0x3002n);
  });

  it('POPF changes IF and IOPL as CPL and IOPL allow', () => {
    core.call('writeFlags', 0x3ed7n, 8);
    expect(core.get('eflags')).toBe(0x3602n);
    core.userMode();
    core.call('writeFlags', 0n, 8);
    expect(core.get('eflags')).toBe(0x3002n);
    core.set('eflags', 2);
    core.call('writeFlags', 0x3ed7n, 8);
    expect(core.get('eflags')).toBe(0x402n);
  });

  it('POPF of 16 bits leaves AC and ID', () => {
    core.set('eflags', 0x240002);
    core.call('writeFlags', 0n, 2);
    expect(core.get('eflags')).toBe(0x240002n);
    core.call('writeFlags', 0n, 8);
    expect(core.get('eflags')).toBe(2n);
  });

  it('POPF leaves the block when it sets TF', () => {
    expect(core.call('writeFlags', 0x100n, 8)).toBe(STATUS_BRANCH);
    expect(core.budgetUsedUp).toBe(true);
  });

  it('PUSHF shows all flags', () => {
    core.set('eflags', 0x202);
    core.set('flagA', 0x8d5);
    expect(core.call64('readFlags', 8)).toBe(0xad7n);
  });
});

describe('HLT', () => {
  it('leaves with its reason', () => {
    expect(core.call('hlt')).toBe(STATUS_EXIT);
    expect([core.get('exitReason'), core.get('halted')]).toEqual([BigInt(EXIT_HLT), 1n]);
  });

  it('needs CPL 0', () => {
    core.userMode();
    expect(core.call('hlt')).toBe(STATUS_FAULT);
  });
});

describe('ports', () => {
  it('are reached with the size and only the bytes of the access', () => {
    expect(core.call64('portIn', 0x60, 1)).toBe(0x81n);
    core.call('portOut', 0x3f8, 1, 0x1234n);
    expect(core.log).toEqual(['in 60 1', 'out 3f8 1 34']);
  });

  it('follow the I/O permission bitmap of the TSS', () => {
    core.userMode();
    core.set('segLimit', 0x68 + 0x80, 7);
    core.write(TSS + 0x68, 2, 0b1111_1011);
    core.call64('portIn', 2, 1);
    expect(core.fault()).toBeUndefined();
    core.call64('portIn', 2, 2);
    expect(core.fault()).toEqual({ vector: 13, error: 0 });
  });

  it('beyond the end of the bitmap are closed', () => {
    core.userMode();
    core.set('segLimit', 0x68 + 1, 7);
    core.call64('portIn', 0, 1);
    expect(core.fault()).toBeUndefined();
    core.call64('portIn', 8, 1);
    expect(core.fault()).toEqual({ vector: 13, error: 0 });
  });
});

describe('floating-point gates', () => {
  it.each([
    ['x87 under TS', 0, 8n, 0n, 7],
    ['x87 under EM', 0, 4n, 0n, 7],
    ['MMX under EM', 1, 4n, 0n, 6],
    ['SSE without OSFXSR', 2, 0n, 0n, 6],
    ['SSE under TS', 2, 8n, 0x200n, 7],
  ])('%s', (_name, kind, cr0, cr4, vector) => {
    core.set('cr0', cr0);
    core.set('cr4', cr4);
    expect(core.call('checkFpu', kind)).toBe(STATUS_FAULT);
    expect(core.fault()).toEqual({ vector, error: 0 });
  });
});

describe('XSETBV', () => {
  it.each([
    ['x87 and SSE', 3n, STATUS_NEXT],
    ['without x87', 2n, STATUS_FAULT],
    ['AVX, which is not there', 7n, STATUS_FAULT],
  ])('%s', (_name, value, status) => {
    core.set('cr4', CR4_PAE | (1n << 18n));
    msr(0, value);
    expect(core.call('xsetbv')).toBe(status);
  });
});

describe('segment registers in 64-bit mode', () => {
  it('a null selector leaves the base of FS, as on AMD', () => {
    core.set('segBase', 0x1234, SEG_FS);
    expect(core.call('loadSegment', SEG_FS, 0)).toBe(STATUS_NEXT);
    expect([core.selector(SEG_FS), core.get('segBase', SEG_FS)]).toEqual([0, 0x1234n]);
  });

  it('LAR gives the attributes, LSL the limit, and ZF', () => {
    expect(core.call64('lar', KERNEL_CODE)).toBe(0x00af9b00n);
    expect(core.call64('lsl', KERNEL_CODE)).toBe(0xffffffffn);
    expect(core.call64('materializeFlags')).toBe(0x40n);
  });

  it.each([
    ['a null selector', 0],
    ['one beyond the table', 0x2000],
    ['a selector with too high an RPL', KERNEL_CODE | 3],
  ])('LAR of %s clears ZF', (_name, selector) => {
    core.call64('lar', selector);
    expect(core.call64('materializeFlags')).toBe(0n);
    expect(core.fault()).toBeUndefined();
  });

  it('VERW refuses code, VERR does not', () => {
    core.call('verify', USER_CODE64, 1);
    expect(core.call64('materializeFlags')).toBe(0n);
    core.call('verify', USER_CODE64, 0);
    expect(core.call64('materializeFlags')).toBe(0x40n);
  });

  it('LTR marks the TSS busy and refuses a busy one', () => {
    core.write(0x10000 + 0x30, 8, 0x0000890000000067n);
    expect(core.call('loadTask', 0x30)).toBe(STATUS_NEXT);
    expect(core.read(0x10000 + 0x35, 1)).toBe(0x8bn);
    expect(core.call('loadTask', 0x30)).toBe(STATUS_FAULT);
    expect(core.fault()).toEqual({ vector: 13, error: 0x30 });
  });
});
