import { expect, test } from 'vitest';
import { MIB } from '../base/units.ts';
import { parseUrl } from './url-options.ts';
import { translateAddress } from './v86-names.ts';

function translated(query: string) {
  return translateAddress(new URLSearchParams(query));
}

test.each([
  ['m=256', 'm=256'],
  [
    'bzimage.url=vmlinuz&initrd.url=initrd.img&cmdline=quiet',
    'kernel=vmlinuz&initrd=initrd.img&append=quiet',
  ],
  ['memory_size=134217728', 'm=128'],
  ['hda.size=1000&hda.async=true&mute=1', ''],
  ['profile=large', 'm=2G&jit=on'],
  ['m=512M&profile=small', 'm=128M&m=512M'],
  ['profile=default&no-reboot', 'no-reboot='],
])('%s means %s', (given, ours) => {
  const address = translated(given);
  expect(address.ok && address.value.parameters).toEqual([...new URLSearchParams(ours)]);
});

test('an image by its address becomes a read-only drive, and is to be fetched', () => {
  const address = translated('hda.url=images/debian.img%3Fv=2&cdrom.url=/iso/tools.iso');
  expect(address).toEqual({
    ok: true,
    value: {
      parameters: [
        ['drive', 'file=debian.img,readonly=on'],
        ['drive', 'file=tools.iso,readonly=on'],
      ],
      images: [
        { url: 'images/debian.img?v=2', name: 'debian.img' },
        { url: '/iso/tools.iso', name: 'tools.iso' },
      ],
    },
  });
});

test('what is given beside a profile goes before it', () => {
  const address = translated('m=1G&profile=small');
  const config = parseUrl(address.ok ? address.value.parameters : []);
  expect(config).toMatchObject({ ok: true, value: { memoryBytes: 1024 * MIB } });
});

test.each([
  ['relay_url=wss://example', 'There is no network relay yet'],
  ['fda.url=dos.img', 'Floppy disks are not there yet'],
  ['profile=windows95', 'the profile "windows95", which does not exist'],
])('%s is refused with the reason', (given, reason) => {
  expect(translated(given)).toMatchObject({ ok: false, error: { message: expect.stringContaining(reason) } });
});
