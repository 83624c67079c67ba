/** How numbers and states read on the page. */
import type { LoadStep, MachineStatus, ShutdownReason } from '../control/status.ts';

/** Bytes with three significant digits, in binary units. */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const units = ['KiB', 'MiB', 'GiB'];
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(1)} ${units[unit]}`;
}

/** A count with a decimal unit: 1,234 -> 1.23 k. */
export function formatCount(count: number): string {
  if (count < 1000) return String(Math.round(count));
  const units = ['k', 'M', 'G', 'T'];
  let value = count / 1000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)} ${units[unit]}`;
}

export function formatMips(mips: number): string {
  return mips >= 99.95 ? mips.toFixed(0) : mips.toFixed(1);
}

export const STEP_NAMES: { readonly [K in LoadStep]: string } = {
  core: 'Emulator',
  kernel: 'Kernel',
  initrd: 'RAM disk',
  memory: 'Memory',
  processor: 'Processor',
};

export function describeShutdown(reason: ShutdownReason): string {
  switch (reason.kind) {
    case 'power-off':
      return 'The guest powered itself off.';
    case 'unplugged':
      return 'You turned the machine off.';
    case 'reset-refused':
      return 'The guest asked for a reset; this machine is set to stop instead.';
    case 'debug-exit':
      return `The guest ended the machine with debug exit status ${reason.status}.`;
    case 'triple-fault':
      return `The guest's processor shut down after a triple fault at rip 0x${reason.rip}.`;
  }
}

/** One word for the status light's label. */
export function statusWord(status: MachineStatus): string {
  switch (status.state) {
    case 'off':
      return status.problem === undefined ? 'Off' : 'Cannot start';
    case 'loading':
      return 'Loading';
    case 'running':
      return 'Running';
    case 'paused':
      return 'Paused';
    case 'shutdown':
      return status.reason.kind === 'triple-fault' ? 'Triple fault' : 'Off';
    case 'crashed':
      return 'Crashed';
  }
}

/** A span of time with its largest unit: 90 s, 12 min, 3.5 h. */
export function formatDuration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
}
