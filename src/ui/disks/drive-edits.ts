/** Disks as parts of a configuration: each is a `-drive if=none` and the `-device virtio-blk-pci` in front of it. Pure. */
import { BLK_DEFAULTS } from '../../config/devices.ts';
import type { DeviceConfig, DriveConfig } from '../../config/devices.ts';
import { DRIVE_DEFAULTS } from '../../config/device-options.ts';
import type { VmConfig } from '../../config/vm-config.ts';

export type BlkDevice = Extract<DeviceConfig, { readonly kind: 'virtio-blk' }>;

/** `disk0`, `disk1`: the first that no drive has. */
export function freeDriveId(config: VmConfig, prefix = 'disk'): string {
  for (let number = 0; ; number++) {
    const id = `${prefix}${number}`;
    if (!config.drives.some((drive) => drive.id === id)) return id;
  }
}

export function withDrive(
  config: VmConfig,
  drive: Partial<DriveConfig> & { readonly file: string },
): VmConfig {
  const id = drive.id ?? freeDriveId(config);
  return {
    ...config,
    drives: [...config.drives, { ...DRIVE_DEFAULTS, ...drive, id, interface: 'none' }],
    devices: [...config.devices, { ...BLK_DEFAULTS, drive: id }],
  };
}

export function withoutDrive(config: VmConfig, id: string): VmConfig {
  return {
    ...config,
    drives: config.drives.filter((drive) => drive.id !== id),
    devices: config.devices.filter((device) => device.kind !== 'virtio-blk' || device.drive !== id),
  };
}

/** A drive that came with its device (`if=virtio`) gets one of its own, so that the device can be changed. */
export function withDevices(config: VmConfig): VmConfig {
  const implied = config.drives.filter((drive) => drive.interface === 'virtio');
  if (implied.length === 0) return config;
  return {
    ...config,
    drives: config.drives.map((drive) => ({ ...drive, interface: 'none' })),
    devices: [...config.devices, ...implied.map(({ id }): DeviceConfig => ({ ...BLK_DEFAULTS, drive: id }))],
  };
}

export function editDrive(config: VmConfig, id: string, change: Partial<DriveConfig>): VmConfig {
  return {
    ...config,
    drives: config.drives.map((drive) => (drive.id === id ? { ...drive, ...change } : drive)),
  };
}

export function renameImage(config: VmConfig, from: string, to: string): VmConfig {
  return {
    ...config,
    drives: config.drives.map((drive) => (drive.file === from ? { ...drive, file: to } : drive)),
  };
}

export function blkDeviceOf(config: VmConfig, drive: string): BlkDevice | undefined {
  return config.devices.find(
    (device): device is BlkDevice => device.kind === 'virtio-blk' && device.drive === drive,
  );
}

/** Changes the device at `index` of `config.devices`. */
export function editDevice(config: VmConfig, index: number, change: Partial<DeviceConfig>): VmConfig {
  return {
    ...config,
    devices: config.devices.map((device, at) =>
      at === index ? ({ ...device, ...change } as DeviceConfig) : device,
    ),
  };
}

/** The name that the machine gives a device (machine/hardware-plan.ts): its id, or its kind and number. */
export function deviceName(config: VmConfig, index: number): string {
  const device = config.devices[index];
  if (device === undefined) return '';
  const number = config.devices.slice(0, index).filter(({ kind }) => kind === device.kind).length;
  return device.id ?? `${device.kind}${number}`;
}
