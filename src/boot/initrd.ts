import type { Result } from '../base/result.ts';
import { success } from '../base/result.ts';
import { PAGE_SIZE } from '../layout/map.ts';
import { bootError, mebibytes } from './boot-error.ts';
import type { BootError } from './boot-error.ts';

export interface InitrdLimits {
  readonly ramBytes: number;
  /** First address that the kernel leaves alone while it starts. */
  readonly kernelEnd: number;
  /** Highest address that a byte of the initrd may have (boot.rst: initrd_addr_max). */
  readonly addressMax: number;
}

/** As high as the kernel allows, on a page boundary, as Linux's boot protocol asks for. */
export function placeInitrd(bytes: number, limits: InitrdLimits): Result<number, BootError> {
  const end = Math.min(limits.ramBytes, limits.addressMax + 1);
  const start = Math.floor((end - bytes) / PAGE_SIZE) * PAGE_SIZE;
  if (start >= limits.kernelEnd) return success(start);
  const needed = limits.kernelEnd + bytes;
  if (needed > limits.addressMax + 1) {
    return bootError(
      'bad-initrd',
      `The initrd has ${mebibytes(bytes)}, but this kernel can only take one of ` +
        `${mebibytes(limits.addressMax + 1 - limits.kernelEnd)}.`,
      'Use a smaller initrd.',
    );
  }
  return bootError(
    'memory-too-small',
    `Kernel and initrd (${mebibytes(bytes)}) do not fit into ${mebibytes(limits.ramBytes)} of memory.`,
    // Unpacking an initrd takes about its size again and more.
    `Give the machine more memory: -m ${Math.ceil((needed + bytes * 2) / 0x400_0000) * 64} or more.`,
  );
}
