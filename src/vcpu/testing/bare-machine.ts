/** A vCPU in 64-bit mode with 1 GiB mapped one to one and nothing else: runs a few bytes of code. */
import { viewsOf, type Views } from '../../base/views.ts';
import { MACHINE } from '../../layout/machine.ts';
import { MACHINE_BASE, RAM_BASE } from '../../layout/map.ts';
import { VCPU } from '../../layout/vcpu.ts';
import { Vcpu, type RunEnd } from '../vcpu.ts';

const RAM_BYTES = 16 << 20;
const CODE = 0x10000;
const STACK = 0x8000;
const PML4 = 0x1000;
const PDPT = 0x2000;
const SEGMENT_CS = 1;
const ATTR_CODE64 = 0xa09b;
const ATTR_DATA = 0xc093;

export interface BareMachine {
  readonly views: Views;
  readonly vcpu: Vcpu<'port'>;
  register(index: number): bigint;
}

export interface Program {
  /** Guest-physical (and linear) address of the first byte. */
  readonly at?: number;
  /** Hexadecimal bytes; blanks are ignored. `OUT 80h, AL` (e6 80) and HLT end the run. */
  readonly code: string;
  readonly registers?: Readonly<Record<number, bigint>>;
}

export function bareMachine(core: BufferSource, interpreter: BufferSource, jit: boolean): BareMachine {
  const memory = new WebAssembly.Memory({
    initial: (RAM_BASE + RAM_BYTES) / 65536,
    maximum: 65536,
    shared: true,
  });
  const views = viewsOf(memory.buffer);
  views.u32[(MACHINE_BASE + MACHINE.at.vcpuCount) >>> 2] = 1;
  const vcpu: Vcpu<'port'> = new Vcpu({
    views,
    memory,
    index: 0,
    vcpuCount: 1,
    coreModule: new WebAssembly.Module(core),
    interpreterModule: new WebAssembly.Module(interpreter),
    jit,
    host: {
      mmioRead: () => undefined,
      mmioWrite: () => undefined,
      portRead: () => 0,
      portWrite: () => vcpu.leave('port'),
      cpuid: () => undefined,
      readMsr: () => 1,
      writeMsr: () => 1,
      tsc: () => 0,
      random: () => undefined,
      taskPriority: () => 0,
      setTaskPriority: () => undefined,
    },
    environment: {
      pendingVector: () => -1,
      takeMail: () => {},
      acknowledge: () => -1,
      now: () => 0,
      nextDeadline: () => {
        if (views.u32[(vcpu.cpu + VCPU.at.halted) >>> 2] === 0) return Infinity;
        vcpu.leave('port');
        return 0;
      },
      expire: () => undefined,
    },
    hostNow: () => performance.now(),
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
    views,
    vcpu,
    register: (index) => views.data.getBigUint64(cpu + VCPU.at.regs + index * 8, true),
  };
}

/** Runs a program until it writes to a port or halts. */
export function run(machine: BareMachine, { at = CODE, code, registers = {} }: Program): RunEnd<'port'> {
  const { views, vcpu } = machine;
  const bytes = (code.replace(/\s/g, '').match(/../g) ?? []).map((byte) => parseInt(byte, 16));
  views.u8.set(bytes, RAM_BASE + at);
  for (const [index, value] of Object.entries(registers)) {
    views.data.setBigUint64(vcpu.cpu + VCPU.at.regs + Number(index) * 8, value, true);
  }
  views.data.setBigUint64(vcpu.cpu + VCPU.at.rip, BigInt(at), true);
  return vcpu.run();
}
