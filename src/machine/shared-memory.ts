/** Allocates the machine's one shared memory and writes what every thread expects to find in it. */
import type { Result } from '../base/result.ts';
import { MIB } from '../base/units.ts';
import { viewsOf } from '../base/views.ts';
import type { Views } from '../base/views.ts';
import type { Problem } from '../control/status.ts';
import {
  CONSOLE_IN_BASE,
  CONSOLE_IN_BYTES,
  CONSOLE_OUT_BASE,
  CONSOLE_OUT_BYTES,
  MACHINE,
  MACHINE_MAGIC,
  SERIAL_IN_BASE,
  SERIAL_IN_BYTES,
  SERIAL_OUT_BASE,
  SERIAL_OUT_BYTES,
} from '../layout/machine.ts';
import { MACHINE_BASE, RAM_BASE } from '../layout/map.ts';
import { createRing } from '../sync/ring.ts';

const WASM_PAGE = 65536;

export interface SharedMemory {
  readonly memory: WebAssembly.Memory;
  readonly views: Views;
}

export function allocateSharedMemory(ramBytes: number, vcpus: number): Result<SharedMemory, Problem> {
  const pages = Math.ceil((RAM_BASE + ramBytes) / WASM_PAGE);
  let memory: WebAssembly.Memory;
  try {
    memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  } catch {
    return { ok: false, error: memoryRefused(ramBytes) };
  }
  const views = viewsOf(memory.buffer);
  const machine = MACHINE_BASE >>> 2;
  views.u32[machine + (MACHINE.at.ramBytes >>> 2)] = ramBytes;
  views.u32[machine + (MACHINE.at.vcpuCount >>> 2)] = vcpus;
  createRing(views, SERIAL_OUT_BASE, SERIAL_OUT_BYTES);
  createRing(views, SERIAL_IN_BASE, SERIAL_IN_BYTES);
  createRing(views, CONSOLE_OUT_BASE, CONSOLE_OUT_BYTES);
  createRing(views, CONSOLE_IN_BASE, CONSOLE_IN_BYTES);
  views.u32[machine + (MACHINE.at.magic >>> 2)] = MACHINE_MAGIC;
  return { ok: true, value: { memory, views } };
}

function memoryRefused(ramBytes: number): Problem {
  const megabytes = Math.round(ramBytes / MIB);
  return {
    kind: 'memory-refused',
    message: `The browser refused ${megabytes} MiB of shared memory for the machine.`,
    advice: 'Close other tabs, or give the machine less memory (option m, for example m=256).',
  };
}
