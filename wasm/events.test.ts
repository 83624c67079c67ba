import { beforeEach, describe, expect, it } from 'vitest';
import { EXIT_SHUTDOWN, STATUS_BRANCH, STATUS_EXIT, STATUS_FAULT } from '../src/layout/exits.ts';
import { REG_RSP, SEG_CS, SEG_SS } from '../src/layout/vcpu.ts';
import {
  GDT,
  IST_STACK,
  KERNEL_CODE,
  KERNEL_DATA,
  KERNEL_STACK,
  P,
  TestCore,
  TSS,
  USER_CODE32,
  USER_CODE64,
  USER_DATA,
  W,
} from './testing/core.ts';

const HANDLER = 0xffff_8000_1234_5678n;
const PAGE = 0x4000_0000n;
let core: TestCore;

beforeEach(() => {
  core = new TestCore().longMode();
  core.set('rip', 0x301000);
  core.setReg(REG_RSP, 0x28ff8);
  core.set('eflags', 0x202);
});

describe('delivery in long mode', () => {
  it('pushes five values and the error code on an aligned stack', () => {
    core.gate64(14, HANDLER);
    core.set('exceptionAddress', 0x1234);
    expect(core.deliver(14, 2)).toBe(STATUS_BRANCH);
    expect(core.reg(REG_RSP)).toBe(0x28ff0n - 48n);
    expect(core.stack(6, 8)).toEqual([2n, 0x301000n, 8n, 0x10202n, 0x28ff8n, 0x10n]);
    expect(core.get('rip')).toBe(HANDLER);
    expect(core.get('cr2')).toBe(0x1234n);
  });

  it('clears IF through an interrupt gate', () => {
    core.gate64(14, HANDLER, 0x8e);
    core.deliver(14);
    expect(core.get('eflags')).toBe(2n);
  });

  it('keeps IF through a trap gate, and clears TF and NT', () => {
    core.set('eflags', 0x4302);
    core.gate64(14, HANDLER, 0x8f);
    core.deliver(14);
    expect(core.get('eflags')).toBe(0x202n);
  });

  it('pushes the arithmetic flags as they are', () => {
    core.set('flagKind', 0);
    core.set('flagA', 0x8d5);
    core.gate64(0, HANDLER);
    core.deliver(0);
    expect(core.stack(3, 8)[2]).toBe(0x10ad7n);
  });

  it('goes from user mode to the stack of the TSS with a null SS', () => {
    core.userMode();
    core.gate64(13, HANDLER);
    core.deliver(13, 0x18);
    expect(core.reg(REG_RSP)).toBe(BigInt(KERNEL_STACK - 48));
    expect(core.stack(6, 8)).toEqual([
      0x18n,
      0x301000n,
      BigInt(USER_CODE64),
      0x10202n,
      0x28ff8n,
      BigInt(USER_DATA),
    ]);
    expect([core.selector(SEG_CS), core.selector(SEG_SS), core.get('cpl')]).toEqual([KERNEL_CODE, 0, 0n]);
  });

  it('leaves compatibility mode for 64-bit code', () => {
    core.userMode(USER_CODE32);
    core.gate64(6, HANDLER);
    core.deliver(6);
    expect(core.stack(2, 8)).toEqual([0x301000n, BigInt(USER_CODE32)]);
    expect(core.get('mode') & 3n).toBe(2n);
  });

  it('uses the interrupt stack table, also without a change of level', () => {
    core.gate64(2, HANDLER, 0x8e, 1);
    core.call('nonMaskableInterrupt');
    expect(core.reg(REG_RSP)).toBe(BigInt(IST_STACK - 40));
    expect(core.selector(SEG_SS)).toBe(KERNEL_DATA);
    expect(core.get('nmiBlocked')).toBe(1n);
  });

  it('delivers an external interrupt without RF and wakes from HLT', () => {
    core.set('halted', 1);
    core.gate64(0x31, HANDLER);
    expect(core.call('interruptVector', 0x31)).toBe(STATUS_BRANCH);
    expect(core.stack(3, 8)[2]).toBe(0x202n);
    expect(core.get('halted')).toBe(0n);
  });

  it('lets user code INT only through gates of DPL 3', () => {
    core.userMode();
    core.gate64(0x80, HANDLER, 0xee);
    core.gate64(0x81, HANDLER, 0x8e);
    expect(core.call('softwareInterrupt', 0x81)).toBe(STATUS_FAULT);
    expect(core.fault()).toEqual({ vector: 13, error: 0x81 * 8 + 2 });
    expect(core.call('softwareInterrupt', 0x80)).toBe(STATUS_BRANCH);
  });

  it.each([
    ['an absent gate', () => core.gate64(0x80, HANDLER, 0x6e), 11, 0x80 * 8 + 2],
    ['a gate of another type', () => core.gate64(0x80, HANDLER, 0xec), 13, 0x80 * 8 + 2],
    ['a vector beyond the limit', () => core.set('idtLimit', 0x80 * 16 + 14), 13, 0x80 * 8 + 2],
    ['a null selector', () => core.gate64(0x80, HANDLER, 0xee, 0, 0), 13, 0],
    ['a data selector', () => core.gate64(0x80, HANDLER, 0xee, 0, KERNEL_DATA), 13, KERNEL_DATA],
    ['32-bit code', () => core.gate64(0x80, HANDLER, 0xee, 0, USER_CODE32), 13, 0x18],
    ['a handler at a non-canonical address', () => core.gate64(0x80, 1n << 47n, 0xee), 13, 0],
  ])('refuses %s', (_name, prepare, vector, error) => {
    prepare();
    expect(core.call('softwareInterrupt', 0x80)).toBe(STATUS_FAULT);
    expect(core.fault()).toEqual({ vector, error });
  });

  it('raises #TS when the TSS is too short for the stack', () => {
    core.userMode();
    core.set('segLimit', 8, 7);
    core.gate64(0x80, HANDLER, 0xee);
    expect(core.call('softwareInterrupt', 0x80)).toBe(STATUS_FAULT);
    expect(core.fault()).toEqual({ vector: 10, error: 0x30 });
  });

  it("sets the accessed bit of the handler's segment", () => {
    core.write(GDT + KERNEL_CODE, 8, 0x00af9a000000ffffn);
    core.gate64(6, HANDLER);
    core.deliver(6);
    expect(core.read(GDT + KERNEL_CODE + 5, 1)).toBe(0x9bn);
  });
});

describe('faults during delivery', () => {
  beforeEach(() => {
    core.gate64(8, HANDLER + 8n, 0x8e, 1);
  });

  it('give a double fault after a page fault on the stack of a page fault', () => {
    core.gate64(14, HANDLER);
    core.setReg(REG_RSP, PAGE);
    core.set('exceptionAddress', 0x5555);
    expect(core.deliver(14)).toBe(STATUS_BRANCH);
    expect(core.get('rip')).toBe(HANDLER + 8n);
    expect(core.stack(2, 8)).toEqual([0n, 0x301000n]);
    expect(core.get('cr2')).toBe(PAGE - 8n);
  });

  it('give a double fault for #GP upon #NP', () => {
    core.gate64(11, HANDLER, 0x8c);
    core.deliver(11, 0x18);
    expect(core.get('rip')).toBe(HANDLER + 8n);
  });

  it('give a page fault for a page fault upon #GP', () => {
    core.gate64(13, HANDLER);
    core.gate64(14, HANDLER + 14n, 0x8e, 1);
    core.setReg(REG_RSP, PAGE);
    core.deliver(13);
    expect(core.get('rip')).toBe(HANDLER + 14n);
  });

  it('give the second exception with EXT after an interrupt', () => {
    core.gate64(13, HANDLER + 13n, 0x8e, 1);
    core.gate64(0x31, HANDLER, 0x8c);
    expect(core.call('interruptVector', 0x31)).toBe(STATUS_BRANCH);
    expect(core.get('rip')).toBe(HANDLER + 13n);
    expect(core.stack(1, 8)).toEqual([0x31n * 8n + 3n]);
  });

  it('shut the CPU down when the double fault cannot be delivered', () => {
    core.set('idtLimit', 0);
    expect(core.deliver(14)).toBe(STATUS_EXIT);
    expect(core.get('exitReason')).toBe(BigInt(EXIT_SHUTDOWN));
  });

  it('change nothing but CR2 before they end in a delivery', () => {
    core.userMode();
    core.write(TSS + 4, 8, PAGE);
    core.gate64(0x80, HANDLER, 0xee);
    expect(core.call('softwareInterrupt', 0x80)).toBe(STATUS_FAULT);
    expect([core.reg(REG_RSP), core.get('rip'), core.get('cpl')]).toEqual([0x28ff8n, 0x301000n, 3n]);
    expect(core.selector(SEG_CS)).toBe(USER_CODE64);
  });
});

describe('RFLAGS.AC and SMAP', () => {
  it('stay in force over a delivery, and the TLB of that context is used', () => {
    core.set('cr4', 0x2000a0);
    core.map(PAGE, 0x345000n | P | W | 4n);
    core.call('updateMode');
    core.call('writeAc', 1);
    const withAc = core.get('tlb');
    core.gate64(6, HANDLER);
    core.deliver(6);
    expect(core.get('tlb')).toBe(withAc);
  });
});
