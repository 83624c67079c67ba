/** A vCPU in 64-bit mode with 1 GiB mapped one to one and nothing else: runs a few bytes of code. */
import { viewsOf, type Views } from '../../base/views.ts';
import { MACHINE } from '../../layout/machine.ts';
import { MACHINE_BASE, RAM_BASE } from '../../layout/map.ts';
import { ATTENTION_INTERRUPT, VCPU } from '../../layout/vcpu.ts';
import type { Compiler } from '../compiler.ts';
import type { HostCalls } from '../link.ts';
import { Vcpu, type RunEnd, type VcpuOptions } from '../vcpu.ts';

const RAM_BYTES = 16 << 20;
const CODE = 0x10000;
const STACK = 0x8000;
const GDT = 0x48000;
const IDT = 0x49000;
/** Handlers, 256 bytes each. */
const HANDLERS = 0x50000;
const PML4 = 0x1000;
const PDPT = 0x2000;
const SEGMENT_CS = 1;
const ATTR_CODE64 = 0xa09b;
const ATTR_DATA = 0xc093;

export interface BareMachine {
  readonly memory: WebAssembly.Memory;
  readonly views: Views;
  readonly vcpu: Vcpu<'port'>;
  register(index: number): bigint;
  /** Asks for an external interrupt, which stays until it is acknowledged. */
  interrupt(vector: number): void;
}

export interface Program {
  /** Guest-physical (and linear) address of the first byte. */
  readonly at?: number;
  /** Hexadecimal bytes; blanks are ignored. `OUT 80h, AL` (e6 80) and HLT end the run. */
  readonly code: string;
  readonly registers?: Readonly<Record<number, bigint>>;
}

export interface BareEnvironment {
  readonly hostNow?: () => number;
  /** Called at each turn of the run loop. */
  readonly turn?: () => void;
  /** Called when the guest writes to a port, which ends the run. */
  readonly portWrite?: () => void;
  /** ATTENTION_MAIL. */
  readonly takeMail?: () => void;
  readonly compiler?: Compiler;
  readonly verify?: NonNullable<VcpuOptions['verify']>;
  /** What the guest's devices answer. */
  readonly host?: Partial<HostCalls>;
}

export function bareMachine(
  core: BufferSource,
  interpreter: BufferSource,
  jit: boolean,
  {
    hostNow = () => performance.now(),
    turn,
    portWrite,
    takeMail,
    compiler,
    verify,
    host,
  }: BareEnvironment = {},
): BareMachine {
  const memory = new WebAssembly.Memory({
    initial: (RAM_BASE + RAM_BYTES) / 65536,
    maximum: 65536,
    shared: true,
  });
  const views = viewsOf(memory.buffer);
  views.u32[(MACHINE_BASE + MACHINE.at.vcpuCount) >>> 2] = 1;
  let pending = -1;
  const vcpu: Vcpu<'port'> = new Vcpu({
    views,
    memory,
    index: 0,
    vcpuCount: 1,
    coreModule: new WebAssembly.Module(core),
    interpreterModule: new WebAssembly.Module(interpreter),
    jit,
    ...(compiler === undefined ? {} : { compiler }),
    ...(verify === undefined ? {} : { verify }),
    host: {
      mmioRead: () => undefined,
      mmioWrite: () => undefined,
      portRead: () => 0,
      portWrite: () => {
        portWrite?.();
        vcpu.leave('port');
      },
      cpuid: () => undefined,
      readMsr: () => 1,
      writeMsr: () => 1,
      tsc: () => 0,
      random: () => undefined,
      taskPriority: () => 0,
      setTaskPriority: () => undefined,
      ...host,
    },
    environment: {
      pendingVector: () => pending,
      acknowledge: () => {
        const vector = pending;
        pending = -1;
        views.u32[(vcpu.cpu + VCPU.at.attention) >>> 2]! &= ~ATTENTION_INTERRUPT;
        return vector;
      },
      takeMail: () => takeMail?.(),
      now: () => 0,
      nextDeadline: () => {
        turn?.();
        if (views.u32[(vcpu.cpu + VCPU.at.halted) >>> 2] === 0) return Infinity;
        vcpu.leave('port');
        return 0;
      },
      expire: () => undefined,
    },
    hostNow,
  });
  vcpu.reset(RAM_BYTES);
  const { cpu } = vcpu;
  const set64 = (offset: number, value: bigint): void => views.data.setBigUint64(offset, value, true);
  set64(RAM_BASE + PML4, BigInt(PDPT) | 3n);
  set64(RAM_BASE + PDPT, 0x83n);
  set64(cpu + VCPU.at.cr3, BigInt(PML4));
  set64(cpu + VCPU.at.cr4, 0x20n);
  set64(cpu + VCPU.at.efer, 0x500n);
  set64(cpu + VCPU.at.cr0, 0x80000011n);
  for (let segment = 0; segment < 6; segment++) {
    views.u32[(cpu + VCPU.at.segLimit + segment * 4) >>> 2] = 0xffffffff;
    views.u32[(cpu + VCPU.at.segAttr + segment * 4) >>> 2] = segment === SEGMENT_CS ? ATTR_CODE64 : ATTR_DATA;
    set64(cpu + VCPU.at.segBase + segment * 8, 0n);
  }
  vcpu.core.updateMode(cpu);
  set64(cpu + VCPU.at.regs + 4 * 8, BigInt(STACK));
  return {
    memory,
    views,
    vcpu,
    register: (index) => views.data.getBigUint64(cpu + VCPU.at.regs + index * 8, true),
    interrupt: (vector) => {
      pending = vector;
      views.u32[(cpu + VCPU.at.attention) >>> 2]! |= ATTENTION_INTERRUPT;
    },
  };
}

/** Code by interrupt vector, reached through interrupt gates at CPL 0; ends with IRETQ (48 cf) or leaves. */
export function setHandlers(machine: BareMachine, handlers: Readonly<Record<number, string>>): void {
  const { views, vcpu } = machine;
  const set64 = (at: number, value: bigint): void => views.data.setBigUint64(RAM_BASE + at, value, true);
  const set32 = (offset: number, value: number): void => {
    views.u32[(vcpu.cpu + offset) >>> 2] = value;
  };
  set64(GDT + 8, 0x00af9b000000ffffn);
  set64(GDT + 16, 0x00cf93000000ffffn);
  for (const [vector, code] of Object.entries(handlers)) {
    const target = BigInt(HANDLERS + Number(vector) * 256);
    set64(
      IDT + Number(vector) * 16,
      ((target & 0xffff0000n) << 32n) | 0x8e00_0008_0000n | (target & 0xffffn),
    );
    views.u8.set(parseCode(code), RAM_BASE + Number(target));
  }
  set32(VCPU.at.gdtBase, GDT);
  set32(VCPU.at.gdtLimit, 0x17);
  set32(VCPU.at.idtBase, IDT);
  set32(VCPU.at.idtLimit, 0xfff);
  set32(VCPU.at.segSelector + 4, 8);
  set32(VCPU.at.segSelector + 8, 0x10);
}

function parseCode(code: string): number[] {
  return (code.replace(/\s/g, '').match(/../g) ?? []).map((byte) => parseInt(byte, 16));
}

/** Runs a program until it writes to a port or halts. */
export function run(machine: BareMachine, { at = CODE, code, registers = {} }: Program): RunEnd<'port'> {
  const { views, vcpu } = machine;
  views.u8.set(parseCode(code), RAM_BASE + at);
  for (const [index, value] of Object.entries(registers)) {
    views.data.setBigUint64(vcpu.cpu + VCPU.at.regs + Number(index) * 8, value, true);
  }
  views.data.setBigUint64(vcpu.cpu + VCPU.at.rip, BigInt(at), true);
  return vcpu.run();
}
