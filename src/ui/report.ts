/** What a person sends when something failed: text that says all that we would ask for, and nothing that a disk holds. */
import { formatQemuCommand } from '../config/qemu-options.ts';
import type { VmConfig } from '../config/vm-config.ts';
import type { MachineStats } from '../control/stats.ts';

/** Put here by the build: the package's version and the commit. */
declare const __VIRTAB_VERSION__: string;

export interface ReportedError {
  readonly title: string;
  readonly message: string;
  /** What the failing part says of itself: registers, a stack. */
  readonly report?: string;
}

export interface MachineFacts {
  readonly config?: VmConfig | undefined;
  readonly stats?: MachineStats | undefined;
}

export interface Surroundings {
  readonly version: string;
  readonly time: Date;
  readonly userAgent: string;
  readonly isolated: boolean;
  readonly cores: number;
}

export function surroundings(): Surroundings {
  return {
    version: __VIRTAB_VERSION__,
    time: new Date(),
    userAgent: navigator.userAgent,
    isolated: globalThis.crossOriginIsolated,
    cores: navigator.hardwareConcurrency,
  };
}

export function composeReport(error: ReportedError, machine: MachineFacts, around: Surroundings): string {
  const parts = [`${error.title}\n${error.message}`];
  if (error.report !== undefined && error.report !== error.message) parts.push(error.report);
  if (machine.config !== undefined) parts.push(formatQemuCommand(machine.config));
  if (machine.stats !== undefined) parts.push(describeStats(machine.stats));
  const { version, time, userAgent, isolated, cores } = around;
  parts.push(
    `Virtab ${version}, ${time.toISOString()}\n${userAgent}\n${cores} hardware threads, ${isolated ? '' : 'not '}cross-origin isolated`,
  );
  return `${parts.join('\n\n')}\n`;
}

function describeStats(stats: MachineStats): string {
  return Object.entries(stats)
    .map(
      ([name, value]) => `${name} ${typeof value === 'number' ? Math.round(value * 10) / 10 : String(value)}`,
    )
    .join(', ');
}
