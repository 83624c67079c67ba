import { expect, test } from 'vitest';
import { nativeCommand } from './native-command.ts';
import { DEFAULT_CONFIG } from './vm-config.ts';

test('the same machine in QEMU, an option a line', () => {
  const command = nativeCommand(
    { ...DEFAULT_CONFIG, noReboot: true, jit: 'on' },
    { kernel: 'vmlinuz', initrd: 'my initrd.img', commandLine: 'console=ttyS0' },
  );
  expect(command.split(' \\\n  ')).toEqual([
    'qemu-system-x86_64',
    '-m 512M',
    '-smp 1',
    '-kernel vmlinuz',
    "-initrd 'my initrd.img'",
    '-append console=ttyS0',
    '-serial stdio',
    '-no-reboot',
    '-display none',
  ]);
});
