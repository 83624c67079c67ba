/** INTERIM until src/vcpu serves CPUID and MSRs. */
import { TWO_32 } from '../base/bits.ts';
import type { Views } from '../base/views.ts';
import { VCPU } from '../layout/vcpu.ts';
import { readTsc, writeTsc } from '../time/tsc.ts';
import type { HostCalls } from '../vcpu/link.ts';
import type { VcpuParts } from './vcpu-parts.ts';

export function interimRegisters(
  views: Views,
  index: number,
  { clock, irqchip }: VcpuParts,
): Pick<HostCalls, 'cpuid' | 'readMsr' | 'writeMsr'> {
  const get = (cpu: number, r: number): number => views.u32[(cpu + VCPU.at.regs + r * 8) >>> 2]!;
  const set = (cpu: number, r: number, v: number): void => {
    views.u32[(cpu + VCPU.at.regs + r * 8) >>> 2] = v;
    views.u32[((cpu + VCPU.at.regs + r * 8) >>> 2) + 1] = 0;
  };
  return {
    cpuid: (cpu) => {
      const leaf = get(cpu, 0);
      const out =
        leaf === 0
          ? [1, 0x68747541, 0x444d4163, 0x69746e65]
          : leaf === 1
            ? [
                0x00000f00,
                0x00000800,
                0x00802201 | (1 << 19) | (1 << 20) | (1 << 23) | (1 << 9) | 1 | (1 << 13),
                0x078bfbff,
              ]
            : leaf === 0x80000000
              ? [0x80000008, 0, 0, 0]
              : leaf === 0x80000001
                ? [0, 0, 1, 0x20100800]
                : leaf === 0x80000008
                  ? [0x3028, 0, 0, 0]
                  : [0, 0, 0, 0];
      set(cpu, 0, out[0]!);
      set(cpu, 3, out[1]!);
      set(cpu, 1, out[2]!);
      set(cpu, 2, out[3]!);
    },
    readMsr: (cpu) => {
      const msr = get(cpu, 1);
      let value: readonly [number, number] | undefined;
      if (msr === 0x10) {
        const t = readTsc(views, cpu, clock.now());
        value = [Math.floor(t / TWO_32), t >>> 0];
      } else if (msr === 0x1b) value = irqchip.readApicBase(index);
      else if (msr === 0x6e0) value = irqchip.readTscDeadline(index);
      else if (msr >= 0x800 && msr < 0x900) value = irqchip.readX2apic(index, msr - 0x800);
      else if (msr === 0xfe || msr === 0x2ff || msr === 0x1a0 || msr === 0x8b) value = [0, 0];
      if (value === undefined) return 1;
      set(cpu, 2, value[0]);
      set(cpu, 0, value[1]);
      return 0;
    },
    writeMsr: (cpu) => {
      const msr = get(cpu, 1),
        high = get(cpu, 2),
        low = get(cpu, 0);
      if (msr === 0x10) {
        writeTsc(views, cpu, clock.now(), high, low);
        irqchip.tscMoved(index);
        return 0;
      }
      if (msr === 0x1b) return irqchip.writeApicBase(index, high, low) ? 0 : 1;
      if (msr === 0x6e0) {
        irqchip.writeTscDeadline(index, high, low);
        return 0;
      }
      if (msr >= 0x800 && msr < 0x900) return irqchip.writeX2apic(index, msr - 0x800, high, low) ? 0 : 1;
      return msr === 0x8b || msr === 0x2ff || msr === 0x1a0 ? 0 : 1;
    },
  };
}
