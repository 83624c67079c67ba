import { expect, test } from 'vitest';
import { nativeCommand } from './native-command.ts';
import { parseUrl } from './url-options.ts';
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

test('disks and cards are described as QEMU knows them', () => {
  const config = parseUrl(
    new URLSearchParams(
      'drive=file=root.img,size=1M,if=none,id=disk0,aio=opfs,cache=unsafe&device=virtio-blk-pci,drive=disk0,ioeventfd=off&netdev=hubport,id=net0,hubid=0&device=virtio-net-pci,netdev=net0&device=virtio-rng-pci',
    ),
  );
  const command = nativeCommand(config.ok ? config.value : DEFAULT_CONFIG, { kernel: 'k', commandLine: '' });
  expect(command.split(' \\\n  ')).toEqual(
    expect.arrayContaining([
      '-drive file=root.img,format=raw,if=none,id=disk0,cache=unsafe',
      '-device virtio-blk-pci,drive=disk0,ioeventfd=off',
      '-netdev hubport,id=net0,hubid=0',
      '-device virtio-net-pci,netdev=net0',
      '-device virtio-rng-pci',
    ]),
  );
});
