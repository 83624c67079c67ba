import { expect, test } from 'vitest';
import { parseUrl } from '../config/url-options.ts';
import type { VmConfig } from '../config/vm-config.ts';
import { harmless, reachesFor } from './link-check.ts';

function configOf(query: string): VmConfig {
  const config = parseUrl(new URLSearchParams(query));
  if (!config.ok) throw new Error(config.error.message);
  return config.value;
}

test.each([
  ['m=1G&kernel=evil', []],
  ['drive=file=home.img', ['the disk “home.img” (to read and change it)']],
  ['drive=file=home.img,readonly=on', ['the disk “home.img” (to read it)']],
  ['drive=size=1G,aio=memory', []],
  ['netdev=hubport,id=n,hubid=3&device=virtio-net-pci,netdev=n', ['the network of your other tabs (hub 3)']],
] as const)('%s reaches for %j', (query, wanted) => {
  expect(reachesFor(configOf(query))).toEqual(wanted);
});

test('an image that the link itself brings is nothing of the user’s', () => {
  expect(reachesFor(configOf('drive=file=theirs.img'), ['theirs.img'])).toEqual([]);
});

test('without the user’s consent neither disks nor networks are left, and nothing dangles', () => {
  const config = harmless(
    configOf(
      'm=1G&drive=file=home.img,if=none,id=a&device=virtio-blk-pci,drive=a&netdev=hubport,id=n,hubid=3&device=virtio-net-pci,netdev=n&device=virtio-rng-pci',
    ),
  );
  expect(config).toMatchObject({ drives: [], netdevs: [], memoryBytes: 1 << 30 });
  expect(config.devices.map(({ kind }) => kind)).toEqual(['virtio-rng']);
});
