/** Hardware breakpoints and the single step, through the run loop: AMD64 APM vol. 2, 13.1. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { RAM_BASE } from '../layout/map.ts';
import { VCPU } from '../layout/vcpu.ts';
import { bareMachine, run, setHandlers, type BareMachine } from './testing/bare-machine.ts';

const CORE = readFileSync('build/core.wasm');
const INTERPRETER = readFileSync('build/interpreter.wasm');

const RCX = 1;
const RBX = 3;
const RDI = 7;
/** What the handler of #DB leaves: DR6, the saved RIP, how often it was called. */
const SEEN_DR6 = 13;
const SEEN_RIP = 14;
const COUNT = 15;

const CODE = 0x10000;
const DATA = 0x20000n;
// inc r15; mov r14, [rsp]; mov r13, dr6; or dword [rsp + 16], 10000h (RF); iretq
const HANDLE = '49ffc7 4c8b3424 410f21f5 814c241000000100 48cf';
// nop; nop; iretq
const HANDLE_SOFTWARE = '9090 48cf';

/** DR7 with breakpoint 0 enabled. */
const ON_EXECUTION = 0x401n;
const ON_WRITE_4 = 0xd0401n;
const ON_WRITE_8 = 0x90401n;
const ON_ACCESS_4 = 0xf0401n;
const ON_IO = 0x20401n;
const DR6_RESET = 0xffff0ff0n;

function littleEndian(value: bigint): string {
  return (value.toString(16).padStart(16, '0').match(/../g) ?? []).toReversed().join('');
}

/** movabs rax, address; mov dr0, rax; movabs rax, control; mov dr7, rax: 26 bytes. */
function arm(address: bigint, control: bigint): string {
  return `48b8 ${littleEndian(address)} 0f23c0 48b8 ${littleEndian(control)} 0f23f8`;
}
const ARMED = BigInt(CODE + 26);

/** 64-bit code at CPL 0 with a handler for #DB (vector 1) and one for INT 20h. */
function machineWithHandler(jit: boolean): BareMachine {
  const machine = bareMachine(CORE, INTERPRETER, jit);
  setHandlers(machine, { 1: HANDLE, 0x20: HANDLE_SOFTWARE });
  return machine;
}

function seen(machine: BareMachine): { count: bigint; rip: bigint; dr6: bigint } {
  return {
    count: machine.register(COUNT),
    rip: machine.register(SEEN_RIP),
    dr6: machine.register(SEEN_DR6),
  };
}

describe.each([
  ['interpreter', false],
  ['translated code', true],
])('a breakpoint, %s,', (_name, jit) => {
  it('on an instruction comes before it, each time', () => {
    const machine = machineWithHandler(jit);
    // 1: inc ebx; nop (the breakpoint); dec ecx; jnz 1b
    run(machine, {
      code: `${arm(ARMED + 2n, ON_EXECUTION)} ffc3 90 ffc9 75f9 e680`,
      registers: { [RBX]: 0n, [RCX]: 3000n, [COUNT]: 0n },
    });
    expect(seen(machine)).toEqual({ count: 3000n, rip: ARMED + 2n, dr6: DR6_RESET | 1n });
    expect(machine.register(RBX)).toBe(3000n);
  });

  it('on a write comes after the instruction', () => {
    const machine = machineWithHandler(jit);
    // mov [rbx], ecx; inc ecx
    run(machine, {
      code: `${arm(DATA, ON_WRITE_4)} 890b ffc1 e680`,
      registers: { [RBX]: DATA, [RCX]: 7n, [COUNT]: 0n },
    });
    expect(seen(machine)).toEqual({ count: 1n, rip: ARMED + 2n, dr6: DR6_RESET | 1n });
    expect(machine.register(RCX)).toBe(8n);
  });

  it('on writes lets reads pass, and other bytes of the page', () => {
    const machine = machineWithHandler(jit);
    // mov ecx, [rbx]; mov [rbx + 4], ecx; mov [rbx - 1], cl
    run(machine, {
      code: `${arm(DATA, ON_WRITE_4)} 8b0b 894b04 884bff e680`,
      registers: { [RBX]: DATA, [COUNT]: 0n },
    });
    expect(machine.register(COUNT)).toBe(0n);
  });

  it('on accesses sees a read, a write and both in one', () => {
    const machine = machineWithHandler(jit);
    // mov ecx, [rbx + 3]; mov [rbx], ecx; inc dword [rbx]
    run(machine, {
      code: `${arm(DATA, ON_ACCESS_4)} 8b4b03 890b ff03 e680`,
      registers: { [RBX]: DATA, [COUNT]: 0n },
    });
    expect(machine.register(COUNT)).toBe(3n);
  });

  it('of eight bytes is aligned to them', () => {
    const machine = machineWithHandler(jit);
    // mov [rbx], cl; mov [rbx + 7], cl; mov [rbx + 8], cl
    run(machine, {
      code: `${arm(DATA + 5n, ON_WRITE_8)} 880b 884b07 884b08 e680`,
      registers: { [RBX]: DATA, [COUNT]: 0n },
    });
    expect(machine.register(COUNT)).toBe(2n);
  });

  it('sees a write that crosses into its page', () => {
    const machine = machineWithHandler(jit);
    // mov [rbx], rcx
    run(machine, {
      code: `${arm(DATA, ON_WRITE_4)} 48890b e680`,
      registers: { [RBX]: DATA - 5n, [COUNT]: 0n },
    });
    expect(machine.register(COUNT)).toBe(1n);
  });

  it('interrupts a repeated string instruction behind the element that it watches', () => {
    const machine = machineWithHandler(jit);
    // rep stosb over four watched bytes and one more: RIP is that of the instruction, which goes on
    run(machine, {
      code: `${arm(DATA + 100n, ON_WRITE_4)} f3aa e680`,
      registers: { [RCX]: 105n, [RDI]: DATA, [COUNT]: 0n },
    });
    expect(seen(machine)).toEqual({ count: 4n, rip: ARMED, dr6: DR6_RESET | 1n });
    expect([machine.register(RCX), machine.views.u8[RAM_BASE + Number(DATA) + 104]]).toEqual([0n, 1]);
  });

  it('on a repeated string instruction comes once, however long that takes', () => {
    const machine = machineWithHandler(jit);
    // rep stosb of 1 MiB, which comes back for interrupts
    run(machine, {
      code: `${arm(ARMED, ON_EXECUTION)} f3aa e680`,
      registers: { [RCX]: 0x100000n, [RDI]: 0x100000n, [COUNT]: 0n },
    });
    expect(seen(machine)).toMatchObject({ count: 1n, rip: ARMED });
    expect(machine.register(RCX)).toBe(0n);
  });

  it('on a port needs CR4.DE', () => {
    const machine = machineWithHandler(jit);
    // in al, 60h
    const code = `${arm(0x60n, ON_IO)} e460 e680`;
    run(machine, { code, registers: { [COUNT]: 0n } });
    expect(machine.register(COUNT)).toBe(0n);
    machine.views.u32[(machine.vcpu.cpu + VCPU.at.cr4) >>> 2]! |= 8;
    run(machine, { code, registers: { [COUNT]: 0n } });
    expect(seen(machine)).toMatchObject({ count: 1n, rip: ARMED + 2n });
  });

  it('in MOV SS waits for the instruction behind it', () => {
    const machine = machineWithHandler(jit);
    machine.views.u32[(RAM_BASE + Number(DATA)) >>> 2] = 0x10;
    // mov ss, [rbx]; inc ecx; inc ecx
    run(machine, {
      code: `${arm(DATA, ON_ACCESS_4)} 8e13 ffc1 ffc1 e680`,
      registers: { [RBX]: DATA, [RCX]: 0n, [COUNT]: 0n },
    });
    expect(seen(machine)).toMatchObject({ count: 1n, rip: ARMED + 4n });
  });

  it('stops a loop that ran for long before it was set, and lets go of it again', () => {
    const machine = machineWithHandler(jit);
    // 1: mov [rbx], ecx; dec ecx; jnz 1b; out 80h
    const loop = '890b ffc9 75fa e680';
    const at = 0x18000;
    const registers = { [RBX]: DATA, [RCX]: 100_000n, [COUNT]: 0n };
    run(machine, { at, code: loop, registers });
    run(machine, { code: `${arm(DATA, ON_WRITE_4)} e680` });
    run(machine, { at, code: loop, registers: { ...registers, [RCX]: 5n } });
    expect(machine.register(COUNT)).toBe(5n);
    run(machine, { code: `${arm(DATA, 0x400n)} e680` });
    run(machine, { at, code: loop, registers: { [RCX]: 5000n } });
    expect(machine.register(COUNT)).toBe(5n);
  });
});

describe('the single step', () => {
  // push 102h or 2; popf
  const SET_TF = '6802010000 9d';
  const CLEAR_TF = '6802000000 9d';

  it('traps behind every instruction, POPF that ends it included', () => {
    const machine = machineWithHandler(false);
    run(machine, { code: `${SET_TF} 90 90 ${CLEAR_TF} 90 e680`, registers: { [COUNT]: 0n } });
    expect(seen(machine)).toEqual({ count: 4n, rip: BigInt(CODE + 14), dr6: DR6_RESET | 0x4000n });
  });

  it('does not trap in the handler of INT n, nor behind INT n', () => {
    const machine = machineWithHandler(false);
    // int 20h; nop
    run(machine, { code: `${SET_TF} cd20 90 ${CLEAR_TF} e680`, registers: { [COUNT]: 0n } });
    // nop, push, popf
    expect(machine.register(COUNT)).toBe(3n);
  });

  it('leaves out the load of SS', () => {
    const machine = machineWithHandler(false);
    // mov ss, ecx; nop
    run(machine, { code: `${SET_TF} 8ed1 90 ${CLEAR_TF} e680`, registers: { [RCX]: 0x10n, [COUNT]: 0n } });
    expect(machine.register(COUNT)).toBe(3n);
  });

  it('and a breakpoint on data make one trap', () => {
    const machine = machineWithHandler(false);
    // mov [rbx], ecx
    run(machine, {
      code: `${arm(DATA, ON_WRITE_4)} ${SET_TF} 890b ${CLEAR_TF} e680`,
      registers: { [RBX]: DATA, [COUNT]: 0n },
    });
    expect(seen(machine)).toMatchObject({ count: 3n, dr6: DR6_RESET | 0x4001n });
  });
});
