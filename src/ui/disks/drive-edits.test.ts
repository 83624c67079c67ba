import { expect, test } from 'vitest';
import { DEFAULT_CONFIG } from '../../config/vm-config.ts';
import { toQemuArguments } from '../../config/qemu-options.ts';
import {
  blkDeviceOf,
  deviceName,
  editDevice,
  editDrive,
  freeDriveId,
  renameImage,
  withDevices,
  withDrive,
  withoutDrive,
} from './drive-edits.ts';

const TWO = withDrive(withDrive(DEFAULT_CONFIG, { file: 'a.img' }), { file: 'b.img', readOnly: true });

test('a disk is a drive and a device in front of it', () => {
  expect(toQemuArguments(TWO).filter((argument) => /img|virtio/.test(argument))).toEqual([
    'file=a.img,format=raw,if=none,id=disk0',
    'file=b.img,format=raw,if=none,id=disk1,readonly=on',
    'virtio-blk-pci,drive=disk0',
    'virtio-blk-pci,drive=disk1',
  ]);
});

test('a disk goes with its device, and its id is free again', () => {
  const one = withoutDrive(TWO, 'disk0');
  expect(one.drives.map(({ file }) => file)).toEqual(['b.img']);
  expect(one.devices).toHaveLength(1);
  expect(freeDriveId(one)).toBe('disk0');
});

test('changes reach the one disk and the one device', () => {
  const changed = editDevice(editDrive(TWO, 'disk1', { cache: 'unsafe' }), 1, { ioeventfd: 'off' });
  expect(changed.drives.map(({ cache }) => cache)).toEqual(['writeback', 'unsafe']);
  expect(blkDeviceOf(changed, 'disk0')?.ioeventfd).toBe('auto');
  expect(blkDeviceOf(changed, 'disk1')?.ioeventfd).toBe('off');
});

test('a drive with a device of its own gets one that can be changed', () => {
  const config = withDevices({
    ...TWO,
    drives: TWO.drives.map((drive) => ({ ...drive, interface: 'virtio' })),
    devices: [],
  });
  expect(config.drives.map((drive) => drive.interface)).toEqual(['none', 'none']);
  expect(config.devices).toEqual(TWO.devices);
});

test('devices are named by their kind and number, as the machine does it', () => {
  expect([0, 1].map((index) => deviceName(TWO, index))).toEqual(['virtio-blk0', 'virtio-blk1']);
});

test('a renamed image is found by its new name', () => {
  expect(renameImage(TWO, 'a.img', 'home.img').drives.map(({ file }) => file)).toEqual(['home.img', 'b.img']);
});
