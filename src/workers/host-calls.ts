/** What the core asks of its vCPU's thread (`HOST_IMPORTS`): ports and MMIO, CPUID, MSRs, time, task priority. */
import type { Views } from '../base/views.ts';
import type { AccessBytes } from '../devices/io-bus.ts';
import { APIC_BASE_ENABLE } from '../irqchip/lapic.ts';
import { cpuid } from '../isa/cpuid.ts';
import type { CpuModel } from '../isa/cpuid.ts';
import { vcpuAddress } from '../layout/map.ts';
import { CR4_OSXSAVE } from '../layout/registers.ts';
import { REG_RAX, REG_RBX, REG_RCX, REG_RDX, VCPU } from '../layout/vcpu.ts';
import { readTsc } from '../time/tsc.ts';
import type { HostCalls } from '../vcpu/link.ts';
import type { ModelSpecificRegisters } from '../vcpu/msr.ts';
import { RandomPool } from '../vcpu/random-pool.ts';
import type { VcpuParts } from './vcpu-parts.ts';

export interface HostCallsOptions {
  readonly views: Views;
  readonly index: number;
  readonly parts: VcpuParts;
  readonly model: CpuModel;
  readonly msrs: ModelSpecificRegisters;
}

export function createHostCalls(options: HostCallsOptions): HostCalls {
  const { views, index, model, msrs } = options;
  const { bus, clock, irqchip } = options.parts;
  const { u32, data } = views;
  const cpu = vcpuAddress(index);
  const pool = new RandomPool((bytes) => void crypto.getRandomValues(bytes));
  const general = (register: number): number => (cpu + VCPU.at.regs + register * 8) >>> 2;

  /** CPUID clears the upper halves of its four registers. */
  const setGeneral = (register: number, value: number): void => {
    u32[general(register)] = value;
    u32[general(register) + 1] = 0;
  };

  /** A device may take its time: the next RDTSC does not guess how long. */
  const lookAtClock = (): void => {
    u32[(cpu + VCPU.at.tscGuesses) >>> 2] = 0;
  };

  return {
    // wasm passes i32: addresses above 2 GiB arrive negative.
    mmioRead: (_, gpa, size) => {
      lookAtClock();
      bus.loadMmio(gpa >>> 0, size, data, cpu + VCPU.at.scratch);
    },
    mmioWrite: (_, gpa, size) => {
      lookAtClock();
      bus.storeMmio(gpa >>> 0, size, data, cpu + VCPU.at.scratch);
    },
    portRead: (_, port, size) => {
      lookAtClock();
      return bus.readPort(port & 0xffff, size as AccessBytes);
    },
    portWrite: (_, port, size, value) => {
      lookAtClock();
      const bytes = size as AccessBytes;
      bus.writePort(port & 0xffff, bytes === 4 ? value >>> 0 : value & ((1 << (bytes * 8)) - 1), bytes);
    },
    cpuid: () => {
      const result = cpuid(model, u32[general(REG_RAX)]!, u32[general(REG_RCX)]!, {
        apicId: index,
        apicEnabled: (irqchip.readApicBase(index)[1] & APIC_BASE_ENABLE) !== 0,
        osxsave: (u32[(cpu + VCPU.at.cr4) >>> 2]! & CR4_OSXSAVE) !== 0,
      });
      setGeneral(REG_RAX, result.eax);
      setGeneral(REG_RBX, result.ebx);
      setGeneral(REG_RCX, result.ecx);
      setGeneral(REG_RDX, result.edx);
    },
    // KVM's clock stamps guest memory with the TSC, which RDTSC must not fall behind.
    readMsr: () => {
      lookAtClock();
      return msrs.read();
    },
    writeMsr: () => {
      lookAtClock();
      return msrs.write();
    },
    tsc: () => readTsc(views, cpu, clock.now()),
    random: () => pool.take(views.u8, cpu + VCPU.at.scratch, 8),
    taskPriority: () => irqchip.taskPriority(index),
    setTaskPriority: (_, value) => irqchip.setTaskPriority(index, value),
  };
}
