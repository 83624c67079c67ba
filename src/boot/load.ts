/** What a boot protocol puts into guest memory, as a list that is checked before anything is written. */
import type { Result } from '../base/result.ts';
import { success } from '../base/result.ts';
import { isRam } from '../memory/physical-map.ts';
import { bootError, mebibytes } from './boot-error.ts';
import type { BootError } from './boot-error.ts';

export interface Load {
  /** For messages. */
  readonly what: string;
  readonly gpa: number;
  readonly bytes: Uint8Array;
  /** Bytes that it takes in memory; what is behind `bytes` is zeroed. At least `bytes.length`. */
  readonly memoryBytes: number;
}

/** Where a loader writes; `GuestMemory` is one. Each returns false, with nothing written, outside RAM. */
export interface BootMemory {
  readonly ramBytes: number;
  write(gpa: number, bytes: Uint8Array): boolean;
  fill(gpa: number, bytes: number, value: number): boolean;
}

export function load(what: string, gpa: number, bytes: Uint8Array, memoryBytes = bytes.length): Load {
  return { what, gpa, bytes, memoryBytes };
}

/** Fails if a load is not in RAM or two of them overlap. */
export function checkLoads(loads: readonly Load[], ramBytes: number): Result<true, BootError> {
  const sorted = loads.toSorted((a, b) => a.gpa - b.gpa);
  for (const [index, item] of sorted.entries()) {
    const end = item.gpa + item.memoryBytes;
    if (!isRam(item.gpa, item.memoryBytes, ramBytes)) {
      return end > ramBytes
        ? bootError(
            'memory-too-small',
            `${item.what} needs memory up to ${mebibytes(end)}, but the machine has ${mebibytes(ramBytes)}.`,
            `Give the machine more memory: -m ${Math.ceil(end / 0x10_0000) + 64} or more.`,
          )
        : bootError(
            'bad-kernel',
            `${item.what} is to be loaded at 0x${item.gpa.toString(16)}, where a PC has its video memory.`,
            'Use a kernel that is linked to run above 1 MiB.',
          );
    }
    const next = sorted[index + 1];
    if (next !== undefined && next.gpa < end) {
      return bootError(
        'bad-kernel',
        `${item.what} and ${next.what} would lie over each other at 0x${next.gpa.toString(16)}.`,
        'Use a kernel that is linked to run above 1 MiB, or give the machine more memory (-m).',
      );
    }
  }
  return success(true);
}

/** Only after checkLoads. */
export function applyLoads(memory: BootMemory, loads: readonly Load[]): void {
  for (const { gpa, bytes, memoryBytes } of loads) {
    memory.write(gpa, bytes);
    memory.fill(gpa + bytes.length, memoryBytes - bytes.length, 0);
  }
}
