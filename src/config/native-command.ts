/** The command that gives the same machine in native QEMU. */
import type { DriveConfig } from './devices.ts';
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

/** `size=` and the AIO drivers of browsers are Virtab's; `threads` is QEMU's default, too. */
function nativeDrive({ sizeBytes: _, ...drive }: DriveConfig): DriveConfig {
  return { ...drive, aio: 'auto' };
}

export function nativeCommand(config: VmConfig, boot: BootNames): string {
  const complete: VmConfig = {
    ...config,
    drives: config.drives.map(nativeDrive),
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
