/** A thread that writes guest memory as a disk does (cross-modifying.test.ts): first code, then the flag that says so. */
import { workerData } from 'node:worker_threads';
import { viewsOf } from '../../src/base/views.ts';
import { RAM_BASE, vcpuAddress } from '../../src/layout/map.ts';
import { VCPU } from '../../src/layout/vcpu.ts';
import { GuestMemory } from '../../src/memory/guest-memory.ts';
import { postCodeWrite } from '../../src/sync/code-mail.ts';

export interface WriterOrder {
  readonly memory: WebAssembly.Memory;
  readonly ramBytes: number;
  readonly rounds: number;
  /** Of the first function, `mov eax, imm32; ret`; the others lie a page apart. */
  readonly functions: number;
  /** Where the number of the last function that was written goes. */
  readonly written: number;
  /** Where the guest says which one it runs. */
  readonly running: number;
}

/** Translated instructions in front of each write. */
const WARM = 50_000;

const { memory, ramBytes, rounds, functions, written, running } = workerData as WriterOrder;
const views = viewsOf(memory.buffer);
const guest = new GuestMemory(views, ramBytes, (gpa, bytes) => postCodeWrite(views, 1, gpa, bytes));
const never = new Int32Array(new SharedArrayBuffer(4));
const translated = (): number =>
  Atomics.load(views.u32, (vcpuAddress(0) + VCPU.at.countRegionInstructions) >>> 2);

function waitUntil(isSo: () => boolean): void {
  while (!isSo()) Atomics.wait(never, 0, 0, 1);
}

for (let round = 1; round <= rounds; round++) {
  waitUntil(() => Atomics.load(views.u32, (RAM_BASE + running) >>> 2) === round);
  const before = translated();
  waitUntil(() => translated() - before > WARM);
  guest.write(functions + (round - 1) * 0x1000 + 1, Uint8Array.of(round));
  guest.write(written, Uint8Array.of(round));
}
