import { describe, expect, it } from 'vitest';
import { BLK_DEFAULTS, NET_DEFAULTS, VIRTIO_DEFAULTS } from '../../config/devices.ts';
import { DEFAULT_CONFIG } from '../../config/vm-config.ts';
import type { VmConfig } from '../../config/vm-config.ts';
import { withDrive } from '../disks/drive-edits.ts';
import { differences, machineSettings } from './machine-settings.ts';

describe('what a restart would change', () => {
  it.each<[string, Partial<VmConfig>, readonly string[]]>([
    ['nothing', {}, []],
    ['a setting', { memoryBytes: 64 << 20 }, ['memory']],
    ['a disk', withDrive(DEFAULT_CONFIG, { file: 'root.img' }), ['disks']],
    ['how a disk is attached', { devices: [{ ...BLK_DEFAULTS, drive: 'disk0', queues: 2 }] }, ['disks']],
    [
      'a card',
      { netdevs: [{ id: 'net0', hub: 0 }], devices: [{ ...NET_DEFAULTS, netdev: 'net0' }] },
      ['network'],
    ],
    ['random numbers', { devices: [{ kind: 'virtio-rng', ...VIRTIO_DEFAULTS }] }, ['other devices']],
    [
      'a setting and a disk',
      { ...withDrive(DEFAULT_CONFIG, { file: 'root.img' }), jit: 'off' },
      ['JIT', 'disks'],
    ],
  ])('names %s', (_, change, nouns) => {
    expect(differences(DEFAULT_CONFIG, { ...DEFAULT_CONFIG, ...change }, machineSettings(''))).toEqual(nouns);
  });
});
