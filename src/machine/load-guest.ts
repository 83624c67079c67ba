/** Puts the guest's files into the machine's memory. Only while no vCPU runs. */
import type { Result } from '../base/result.ts';
import type { Views } from '../base/views.ts';
import { bootGuest } from '../boot/boot.ts';
import type { StartState } from '../boot/start-state.ts';
import type { VmConfig } from '../config/vm-config.ts';
import type { Problem } from '../control/status.ts';
import { GuestMemory } from '../memory/guest-memory.ts';

export interface GuestImage {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface GuestImages {
  readonly kernel: GuestImage;
  readonly initrd?: GuestImage;
  /** Of a multiboot kernel; their names are their command lines. */
  readonly modules?: readonly GuestImage[];
}

/** The result is what the boot CPU starts with. */
export function loadGuest(views: Views, config: VmConfig, images: GuestImages): Result<StartState, Problem> {
  // Decoded code that is overwritten here is forgotten with the CPU's reset, which follows.
  const memory = new GuestMemory(views, config.memoryBytes, () => undefined);
  const plan = bootGuest(memory, {
    kernel: images.kernel.bytes,
    kernelName: images.kernel.name,
    ...(images.initrd === undefined ? {} : { initrd: images.initrd.bytes }),
    ...(images.modules === undefined
      ? {}
      : { modules: images.modules.map(({ name, bytes }) => ({ commandLine: name, bytes })) }),
    commandLine: config.commandLine ?? '',
    cpus: config.cpus,
    serialPorts: config.serial.filter((backend) => backend !== 'none').length,
  });
  if (!plan.ok)
    return { ok: false, error: { ...plan.error, message: `${images.kernel.name}: ${plan.error.message}` } };
  return { ok: true, value: plan.value.start };
}
