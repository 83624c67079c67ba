/** What the core asks of its vCPU's thread (`HOST_IMPORTS`): ports and MMIO from the bus, time, task priority. */
import type { Views } from '../base/views.ts';
import type { AccessBytes } from '../devices/io-bus.ts';
import { VCPU } from '../layout/vcpu.ts';
import { readTsc } from '../time/tsc.ts';
import type { HostCalls } from '../vcpu/link.ts';
import type { VcpuParts } from './vcpu-parts.ts';

export function createHostCalls(
  views: Views,
  index: number,
  { bus, clock, irqchip }: VcpuParts,
  registers: Pick<HostCalls, 'cpuid' | 'readMsr' | 'writeMsr'>,
): HostCalls {
  return {
    ...registers,
    // wasm passes i32: addresses above 2 GiB arrive negative.
    mmioRead: (cpu, gpa, size) => bus.loadMmio(gpa >>> 0, size, views.data, cpu + VCPU.at.scratch),
    mmioWrite: (cpu, gpa, size) => bus.storeMmio(gpa >>> 0, size, views.data, cpu + VCPU.at.scratch),
    portRead: (_, port, size) => bus.readPort(port & 0xffff, size as AccessBytes),
    portWrite: (_, port, size, value) => {
      bus.writePort(
        port & 0xffff,
        size === 4 ? value >>> 0 : value & ((1 << (size * 8)) - 1),
        size as AccessBytes,
      );
    },
    tsc: (cpu) => readTsc(views, cpu, clock.now()),
    taskPriority: () => irqchip.taskPriority(index),
    setTaskPriority: (_, value) => irqchip.setTaskPriority(index, value),
  };
}
