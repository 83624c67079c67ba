/** Where a multiboot loader puts what it brings besides the kernel. */
import type { Result } from '../base/result.ts';
import { success } from '../base/result.ts';
import { PAGE_SIZE } from '../layout/map.ts';
import { bootError, mebibytes } from './boot-error.ts';
import type { BootError } from './boot-error.ts';
import type { Load } from './load.ts';

/** True if none of `loads` touches the `bytes` from `gpa`. */
export function isFree(loads: readonly Load[], gpa: number, bytes: number): boolean {
  return loads.every((item) => gpa + bytes <= item.gpa || item.gpa + item.memoryBytes <= gpa);
}

const HIGH_MEMORY = 0x10_0000;

export interface ModulePlaces {
  readonly addresses: readonly number[];
  /** The first page behind kernel and modules. */
  readonly end: number;
}

/** One behind the other on page boundaries (header flag 0, which costs nothing), above 1 MiB and above the kernel. */
export function placeModules(
  kernel: readonly Load[],
  sizes: readonly number[],
  ramBytes: number,
): Result<ModulePlaces, BootError> {
  let end = nextPage(Math.max(HIGH_MEMORY, ...kernel.map(({ gpa, memoryBytes }) => gpa + memoryBytes)));
  const addresses: number[] = [];
  for (const size of sizes) {
    addresses.push(end);
    end = nextPage(end + size);
  }
  if (end <= ramBytes) return success({ addresses, end });
  const total = sizes.reduce((sum, size) => sum + size, 0);
  return bootError(
    'memory-too-small',
    `Kernel and modules (${mebibytes(total)}) do not fit into ${mebibytes(ramBytes)} of memory.`,
    `Give the machine more memory: -m ${Math.ceil(end / 0x400_0000) * 64} or more.`,
  );
}

function nextPage(address: number): number {
  return Math.ceil(address / PAGE_SIZE) * PAGE_SIZE;
}
