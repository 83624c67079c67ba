import { describe, expect, it } from 'vitest';
import { parseQemuOptions } from '../config/qemu-options.ts';
import { planHardware } from './hardware-plan.ts';

function plan(...argv: readonly string[]) {
  const parsed = parseQemuOptions(argv);
  if (!parsed.ok) throw new Error(parsed.error.message);
  const planned = planHardware(parsed.value.config, () => '52:54:00:00:00:99');
  return planned.ok ? planned.value : planned.error;
}

function functions(...argv: readonly string[]) {
  const planned = plan(...argv);
  return 'functions' in planned
    ? planned.functions.map((fn) => [fn.slot, fn.pciDevice, fn.name, fn.type, fn.queues, fn.thread])
    : planned;
}

describe('the hardware plan', () => {
  it('has nothing and no threads for a machine without devices', () => {
    expect(plan()).toEqual({ functions: [], drives: [], netdevs: [], threads: [] });
  });

  it('puts devices first, then those of drives with if=virtio, and disks and networks on threads of their own', () => {
    expect(
      functions(
        '-drive', 'a', '-drive', 'b,if=none,id=b', '-netdev', 'hubport,id=n,hubid=1',
        '-device', 'virtio-net-pci,netdev=n,queues=2', '-device', 'virtio-blk-pci,drive=b,num-queues=4,id=disk', '-device', 'virtio-rng-pci',
      ), // oxfmt-ignore
    ).toEqual([
      [0, 2, 'virtio-net0', 1, 5, 9],
      [1, 3, 'disk', 2, 4, 8],
      [2, 4, 'virtio-rng0', 4, 1, 8],
      [3, 5, 'virtio-blk1', 2, 1, 8],
    ]);
  });

  it('keeps the places that were asked for', () => {
    expect(functions('-device', 'virtio-rng-pci', '-device', 'virtio-rng-pci,addr=2')).toEqual([
      [0, 3, 'virtio-rng0', 4, 1, 8],
      [1, 2, 'virtio-rng1', 4, 1, 8],
    ]);
  });

  it('starts an iothread that a device names, and not those that nobody uses', () => {
    expect(
      plan('-object', 'iothread,id=x', '-object', 'iothread,id=y', '-device', 'virtio-rng-pci,iothread=y'),
    ).toMatchObject({ functions: [{ thread: 11 }], threads: [{ thread: 11, name: 'y' }] });
  });

  it('gives cards an address of their own', () => {
    expect(plan('-netdev', 'hubport,id=n,hubid=1', '-device', 'virtio-net-pci,netdev=n')).toMatchObject({
      functions: [{ device: { mac: '52:54:00:00:00:99' } }],
    });
  });

  it('refuses two devices in one place', () => {
    expect(functions('-device', 'virtio-rng-pci,addr=4', '-device', 'virtio-rng-pci,addr=4')).toMatchObject({
      message: 'Two devices of the machine have the same addr=.',
    });
  });

  it('refuses more devices than there is room for', () => {
    const rng = Array.from({ length: 17 }, () => ['-device', 'virtio-rng-pci']).flat();
    expect(functions(...rng)).toMatchObject({
      message: 'The machine has 17 virtio devices; there is room for 16.',
    });
  });
});
