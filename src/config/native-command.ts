/** The command that gives the same machine in native QEMU. */
import { OPTIONS } from './options.ts';
import { shellQuote } from './qemu-options.ts';
import type { VmConfig } from './vm-config.ts';

export interface BootNames {
  readonly kernel: string;
  readonly initrd?: string;
  readonly commandLine: string;
}

/** Virtab's own, which QEMU would refuse. */
const OWN_OPTIONS = ['jit'];

export function nativeCommand(config: VmConfig, boot: BootNames): string {
  const complete: VmConfig = {
    ...config,
    kernel: boot.kernel,
    ...(boot.initrd === undefined ? {} : { initrd: boot.initrd }),
    commandLine: boot.commandLine,
  };
  const options = OPTIONS.filter(({ name }) => !OWN_OPTIONS.includes(name)).flatMap((option) =>
    option
      .print(complete)
      .map((value) =>
        option.value === undefined ? `-${option.name}` : `-${option.name} ${shellQuote(value)}`,
      ),
  );
  // Without a screen QEMU would open a window of its own.
  return ['qemu-system-x86_64', ...options, '-display none'].join(' \\\n  ');
}
