import { describe, expect, it } from 'vitest';
import { parseQemuOptions, toQemuArguments } from './qemu-options.ts';
import { parseUrl, toUrlQuery } from './url-options.ts';

function parse(...argv: readonly string[]) {
  const parsed = parseQemuOptions(argv);
  return parsed.ok ? parsed.value.config : parsed.error;
}

const DRIVE = {
  id: 'virtio0',
  interface: 'virtio',
  aio: 'auto',
  cache: 'writeback',
  readOnly: false,
  writeErrors: 'enospc',
  readErrors: 'report',
};
const DEVICE = { ioeventfd: 'auto', eventIdx: true, disableLegacy: false, disableModern: false };
const BLK = { kind: 'virtio-blk', queues: 1, queueSize: 256, ...DEVICE };
const NET = { kind: 'virtio-net', pairs: 1, ...DEVICE };

describe('-drive', () => {
  it.each([
    ['file=disk.img', { file: 'disk.img' }],
    ['disk.img', { file: 'disk.img' }],
    ['file=disk.img,format=raw,if=virtio,media=disk', { file: 'disk.img' }],
    ['file=a,,b.img', { file: 'a,b.img' }],
    ['file=x,id=root,if=none', { file: 'x', id: 'root', interface: 'none' }],
    ['file=x,size=1G', { file: 'x', sizeBytes: 1 << 30 }],
    ['size=64M,aio=memory', { sizeBytes: 64 << 20, aio: 'memory' }],
    ['file=x,cache=unsafe,readonly=on', { file: 'x', cache: 'unsafe', readOnly: true }],
    ['file=x,readonly', { file: 'x', readOnly: true }],
    ['file=x,werror=stop,rerror=stop', { file: 'x', writeErrors: 'stop', readErrors: 'stop' }],
  ])('reads %s', (value, expected) => {
    expect(parse('-drive', value)).toMatchObject({ drives: [{ ...DRIVE, ...expected }] });
  });

  it('numbers drives without a name', () => {
    expect(parse('-drive', 'a', '-drive', 'b')).toMatchObject({
      drives: [{ id: 'virtio0' }, { id: 'virtio1' }],
    });
  });

  it.each([
    ['file=x,cahce=none', '-drive: a drive has no property "cahce".', 'Did you mean cache?'],
    [
      'file=x,cache=fast',
      '-drive: "cache=fast" is not a value that cache of a drive takes.',
      'Write it as cache=writeback|writethrough|none|unsafe.',
    ],
    [
      'file=x,format=qcow3',
      '-drive: "format=qcow3" is not a value that format of a drive takes.',
      'Write it as format=raw.',
    ],
    [
      'file=x,size=0',
      '-drive: "size=0" is not a value that size of a drive takes.',
      'Write it as size=SIZE (512M, 4G).',
    ],
    [
      'file=x,rerror=enospc',
      '-drive file=x,rerror=enospc: reading needs no space.',
      'Use rerror=report or rerror=stop.',
    ],
  ])('refuses %s and says why', (value, message, advice) => {
    expect(parse('-drive', value)).toEqual({ option: '-drive', message, advice });
  });

  it('refuses two drives of one name', () => {
    expect(parse('-drive', 'a,id=x', '-drive', 'b,id=x')).toMatchObject({
      message: '-drive b,id=x: there are two drives "x".',
    });
  });
});

describe('virtio devices', () => {
  const NONE = ['-drive', 'file=x,if=none,id=d'] as const;
  const PORT = ['-netdev', 'hubport,id=n,hubid=3'] as const;

  it.each([
    [[...NONE, '-device', 'virtio-blk-pci,drive=d'], { ...BLK, drive: 'd' }],
    [
      [...NONE, '-object', 'iothread,id=io1', '-device',
        'virtio-blk-pci,drive=d,ioeventfd=off,event_idx=off,num-queues=4,iothread=io1,serial=ABC,addr=0x1a'],
      { ...BLK, drive: 'd', ioeventfd: 'off', eventIdx: false, queues: 4, iothread: 'io1', serial: 'ABC', address: 26 },
    ], // oxfmt-ignore
    [[...PORT, '-device', 'virtio-net-pci,netdev=n'], { ...NET, netdev: 'n' }],
    [
      [...PORT, '-device', 'virtio-net,netdev=n,mac=52:54:00:AA:bb:01,mq=on,queues=2,id=card'],
      { ...NET, netdev: 'n', mac: '52:54:00:aa:bb:01', pairs: 2, id: 'card' },
    ],
    [['-device', 'virtio-rng-pci,disable-legacy=on'], { kind: 'virtio-rng', ...DEVICE, disableLegacy: true }],
    [['-device', 'virtio-serial-pci', '-device', 'virtconsole'], { kind: 'virtio-console', ...DEVICE }],
  ])('reads %j', (argv, expected) => {
    expect(parse(...argv)).toMatchObject({ devices: [expected] });
  });

  it.each([
    [['-device', 'virtio-blk-pci'], 'virtio-blk-pci needs drive=.'],
    [['-device', 'virtio-blk-pci,drive=d'], 'there is no drive "d".'],
    [['-drive', 'x,id=d', '-device', 'virtio-blk-pci,drive=d'], 'the drive "d" has a device already.'],
    [[...NONE, '-device', 'virtio-blk-pci,drive=d,iothread=io1'], 'there is no iothread "io1".'],
    [
      [...NONE, '-device', 'virtio-blk-pci,drive=d', '-device', 'virtio-blk-pci,drive=d'],
      'has a device already.',
    ],
    [
      [...NONE, '-device', 'virtio-blk-pci,drive=d,num-queues=16'],
      'is not a value that num-queues of virtio-blk-pci takes.',
    ],
    [
      [...NONE, '-device', 'virtio-blk-pci,drive=d,queue-size=100'],
      'is not a value that queue-size of virtio-blk-pci takes.',
    ],
    [
      [...PORT, '-device', 'virtio-net-pci,netdev=n,mac=01:00:00:00:00:00'],
      'is not a value that mac of virtio-net-pci takes.',
    ],
    [['-device', 'virtio-rng-pci,disable-legacy=on,disable-modern=on'], 'nothing is left of the device.'],
    [['-device', 'virtconsole'], 'there is no device "virtconsole" yet.'],
    [['-netdev', 'tap,id=n'], 'there is no network "tap" yet.'],
    [['-object', 'memory-backend-ram,id=x'], 'the only objects here are threads for devices.'],
  ])('refuses %j', (argv, message) => {
    expect(parse(...argv)).toMatchObject({ message: expect.stringContaining(message) as string });
  });
});

it('what is printed is read as it was', () => {
  const argv = [
    '-drive', 'file=a,,b.img,size=1G,if=none,id=d,aio=opfs,cache=none,readonly=on,werror=stop',
    '-drive', 'file=c',
    '-object', 'iothread,id=io1',
    '-netdev', 'hubport,id=n,hubid=7',
    '-device', 'virtio-blk-pci,drive=d,num-queues=2,queue-size=64,serial=S,id=x,addr=5,ioeventfd=on,event_idx=off,iothread=io1',
    '-device', 'virtio-net-pci,netdev=n,mac=52:54:00:00:00:01,mq=on,queues=3,host_mtu=1400',
    '-device', 'virtio-rng-pci,disable-modern=on',
  ]; // oxfmt-ignore
  const first = parseQemuOptions(argv);
  expect(first.ok).toBe(true);
  const config = first.ok ? first.value.config : undefined;
  expect(parseQemuOptions(toQemuArguments(config!))).toMatchObject({ ok: true, value: { config } });
  expect(parseUrl(new URLSearchParams(toUrlQuery(config!)))).toEqual({ ok: true, value: config });
});
