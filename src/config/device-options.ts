/** `-drive`, `-netdev`, `-object` and the virtio models of `-device`: read, checked against each other, and written back. */
import { success } from '../base/result.ts';
import type { Result } from '../base/result.ts';
import { configError } from './config-error.ts';
import type { ConfigError } from './config-error.ts';
import {
  BLK_DEFAULTS,
  CACHE_SETTINGS,
  ERROR_ACTIONS,
  MAX_QUEUES,
  NET_DEFAULTS,
  SWITCHES,
  VIRTIO_DEFAULTS,
} from './devices.ts';
import type { DeviceConfig, DeviceKind, DriveConfig, NetdevConfig, VirtioOptions } from './devices.ts';
import { applyProperties, escapeValue, PropertyKinds, splitList } from './properties.ts';
import type { Property } from './properties.ts';
import { formatSize } from './size.ts';

// --- -drive

const drive = new PropertyKinds<DriveConfig>();

const DRIVE: readonly Property<DriveConfig>[] = [
  drive.text('file', 'NAME', (file) => ({ file })),
  drive.text('id', 'NAME', (id) => ({ id })),
  drive.choice('format', ['raw'], () => ({})),
  drive.choice('if', ['virtio', 'none'], (kind) => ({ interface: kind })),
  drive.choice('media', ['disk'], () => ({})),
  drive.text('aio', 'NAME (aio=? lists them)', (aio) => ({ aio })),
  drive.choice('cache', CACHE_SETTINGS, (cache) => ({ cache })),
  drive.flag('readonly', (readOnly) => ({ readOnly })),
  drive.flag('read-only', (readOnly) => ({ readOnly })),
  drive.size('size', (sizeBytes) => ({ sizeBytes })),
  drive.choice('werror', ERROR_ACTIONS, (writeErrors) => ({ writeErrors })),
  drive.choice('rerror', ERROR_ACTIONS, (readErrors) => ({ readErrors })),
];

export const DRIVE_DEFAULTS = {
  interface: 'virtio',
  aio: 'auto',
  cache: 'writeback',
  readOnly: false,
  writeErrors: 'enospc',
  readErrors: 'report',
} as const satisfies Omit<DriveConfig, 'id'>;

/** QEMU numbers drives without a name by their interface; so do we. */
export function parseDrive(
  value: string,
  shown: string,
  drives: readonly DriveConfig[],
): Result<DriveConfig, ConfigError> {
  const parts = splitList(value);
  // QEMU takes a file's name without its key in front.
  if (parts[0] !== undefined && parts[0] !== '' && !parts[0].includes('=')) parts[0] = `file=${parts[0]}`;
  const start: DriveConfig = { id: freeId('virtio', drives), ...DRIVE_DEFAULTS };
  const parsed = applyProperties(start, parts, DRIVE, shown, 'a drive');
  if (!parsed.ok) return parsed;
  const { id, readErrors } = parsed.value;
  if (drives.some((other) => other.id === id)) {
    return configError(
      shown,
      `${shown} ${value}: there are two drives "${id}".`,
      'Give each an id of its own.',
    );
  }
  if (readErrors === 'enospc') {
    return configError(
      shown,
      `${shown} ${value}: reading needs no space.`,
      'Use rerror=report or rerror=stop.',
    );
  }
  return parsed;
}

function freeId(prefix: string, drives: readonly DriveConfig[]): string {
  for (let number = 0; ; number++) {
    const id = `${prefix}${number}`;
    if (!drives.some((drive) => drive.id === id)) return id;
  }
}

export function printDrive(drive: DriveConfig): string {
  const parts: (string | undefined)[] = [
    drive.file === undefined ? undefined : `file=${escapeValue(drive.file)}`,
    drive.sizeBytes === undefined ? undefined : `size=${formatSize(drive.sizeBytes)}`,
    'format=raw',
    `if=${drive.interface}`,
    `id=${drive.id}`,
    unless(drive.aio, DRIVE_DEFAULTS.aio, `aio=${drive.aio}`),
    unless(drive.cache, DRIVE_DEFAULTS.cache, `cache=${drive.cache}`),
    drive.readOnly ? 'readonly=on' : undefined,
    unless(drive.writeErrors, DRIVE_DEFAULTS.writeErrors, `werror=${drive.writeErrors}`),
    unless(drive.readErrors, DRIVE_DEFAULTS.readErrors, `rerror=${drive.readErrors}`),
  ];
  return joined(parts);
}

function unless(value: string, usual: string, shown: string): string | undefined {
  return value === usual ? undefined : shown;
}

function joined(parts: readonly (string | undefined)[]): string {
  return parts.filter((part) => part !== undefined).join(',');
}

// --- -netdev

type NetdevDraft = { readonly id?: string; readonly hub: number };

const netdev = new PropertyKinds<NetdevDraft>();

const HUBPORT: readonly Property<NetdevDraft>[] = [
  netdev.text('id', 'NAME', (id) => ({ id })),
  netdev.whole('hubid', { from: 0, to: 0xffff }, (hub) => ({ hub })),
];

export function parseNetdev(
  value: string,
  shown: string,
  netdevs: readonly NetdevConfig[],
): Result<NetdevConfig, ConfigError> {
  const [kind, ...parts] = splitList(value);
  if (kind !== 'hubport') {
    return configError(
      shown,
      `${shown} ${value}: there is no network "${kind}" yet.`,
      `Use ${shown} hubport,id=NAME,hubid=NUMBER: cards on the same hub reach each other, in all tabs of this browser.`,
    );
  }
  const parsed = applyProperties<NetdevDraft>({ hub: 0 }, parts, HUBPORT, shown, 'a hub port');
  if (!parsed.ok) return parsed;
  const { id, hub } = parsed.value;
  if (id === undefined || netdevs.some((other) => other.id === id)) {
    return configError(
      shown,
      `${shown} ${value}: it needs an id of its own.`,
      `Write it as ${shown} hubport,id=net0,hubid=0.`,
    );
  }
  return success({ id, hub });
}

export function printNetdev({ id, hub }: NetdevConfig): string {
  return `hubport,id=${id},hubid=${hub}`;
}

// --- -object

export function parseObject(
  value: string,
  shown: string,
  iothreads: readonly string[],
): Result<string, ConfigError> {
  const match = /^iothread,id=([\w.-]+)$/.exec(value);
  const id = match?.[1];
  if (id === undefined) {
    return configError(
      shown,
      `${shown} ${value}: the only objects here are threads for devices.`,
      `Write it as ${shown} iothread,id=NAME.`,
    );
  }
  if (iothreads.includes(id)) {
    return configError(
      shown,
      `${shown} ${value}: there are two iothreads "${id}".`,
      'Give each an id of its own.',
    );
  }
  if (iothreads.length >= MAX_IOTHREADS) {
    return configError(
      shown,
      `${shown} ${value}: a machine has ${MAX_IOTHREADS} iothreads at most.`,
      'Leave it out.',
    );
  }
  return success(id);
}

/** Beside the two that are there anyway. */
export const MAX_IOTHREADS = 6;

// --- -device

type Draft<K extends DeviceKind> = Omit<Extract<DeviceConfig, { readonly kind: K }>, 'drive' | 'netdev'> & {
  readonly drive?: string;
  readonly netdev?: string;
};

function virtioProperties<T extends VirtioOptions>(): readonly Property<T>[] {
  const any = new PropertyKinds<T>();
  const set = (change: Partial<VirtioOptions>): Partial<T> => change as Partial<T>;
  return [
    any.text('id', 'NAME', (id) => set({ id })),
    // QEMU's numbers are hexadecimal, with or without 0x.
    {
      name: 'addr',
      value: '2..1f',
      apply: (target, value) => {
        const address = /^(0x)?[\da-f]{1,2}$/i.test(value) ? Number.parseInt(value, 16) : -1;
        return address >= 2 && address <= 31 ? { ...target, address } : undefined;
      },
    },
    any.choice('ioeventfd', SWITCHES, (ioeventfd) => set({ ioeventfd })),
    any.flag('event_idx', (eventIdx) => set({ eventIdx })),
    any.text('iothread', 'NAME', (iothread) => set({ iothread })),
    any.flag('disable-legacy', (disableLegacy) => set({ disableLegacy })),
    any.flag('disable-modern', (disableModern) => set({ disableModern })),
  ];
}

const blk = new PropertyKinds<Draft<'virtio-blk'>>();

const BLK: readonly Property<Draft<'virtio-blk'>>[] = [
  blk.text('drive', 'ID', (drive) => ({ drive })),
  blk.whole('num-queues', { from: 1, to: MAX_QUEUES }, (queues) => ({ queues })),
  blk.whole('queue-size', { from: 4, to: 1024, powerOfTwo: true }, (queueSize) => ({ queueSize })),
  blk.text('serial', 'TEXT', (serial) => ({ serial })),
  ...virtioProperties<Draft<'virtio-blk'>>(),
];

const MAC = /^[\da-f]{2}(:[\da-f]{2}){5}$/i;

const net = new PropertyKinds<Draft<'virtio-net'>>();

const NET: readonly Property<Draft<'virtio-net'>>[] = [
  net.text('netdev', 'ID', (netdev) => ({ netdev })),
  {
    name: 'mac',
    value: '52:54:00:12:34:56',
    // Bit 0 of the first byte is for groups.
    apply: (target, mac) =>
      MAC.test(mac) && (Number.parseInt(mac.slice(0, 2), 16) & 1) === 0
        ? { ...target, mac: mac.toLowerCase() }
        : undefined,
  },
  // QEMU's switch for several queue pairs, which here follows from their number.
  net.flag('mq', () => ({})),
  net.whole('queues', { from: 1, to: MAX_QUEUES }, (pairs) => ({ pairs })),
  net.whole('host_mtu', { from: 68, to: 65_535 }, (mtu) => ({ mtu })),
  ...virtioProperties<Draft<'virtio-net'>>(),
];

const MODELS: Readonly<Record<string, DeviceKind>> = {
  'virtio-blk-pci': 'virtio-blk',
  'virtio-blk': 'virtio-blk',
  'virtio-net-pci': 'virtio-net',
  'virtio-net': 'virtio-net',
  'virtio-rng-pci': 'virtio-rng',
  'virtio-rng': 'virtio-rng',
  'virtio-serial-pci': 'virtio-console',
  'virtio-serial': 'virtio-console',
};

/** The virtio models of `-device`. */
export const VIRTIO_MODELS = Object.keys(MODELS).filter((name) => name.endsWith('-pci'));

/** Undefined: not a virtio model. */
export function parseVirtioDevice(
  value: string,
  shown: string,
): Result<DeviceConfig, ConfigError> | undefined {
  const [model = '', ...parts] = splitList(value);
  const kind = Object.hasOwn(MODELS, model) ? MODELS[model] : undefined;
  switch (kind) {
    case undefined:
      return undefined;
    case 'virtio-blk': {
      const parsed = applyProperties<Draft<'virtio-blk'>>(BLK_DEFAULTS, parts, BLK, shown, model);
      if (!parsed.ok) return parsed;
      const { drive } = parsed.value;
      return drive === undefined
        ? missing(shown, value, model, 'drive')
        : withInterface(shown, value, { ...parsed.value, drive });
    }
    case 'virtio-net': {
      const parsed = applyProperties<Draft<'virtio-net'>>(NET_DEFAULTS, parts, NET, shown, model);
      if (!parsed.ok) return parsed;
      const { netdev } = parsed.value;
      return netdev === undefined
        ? missing(shown, value, model, 'netdev')
        : withInterface(shown, value, { ...parsed.value, netdev });
    }
    case 'virtio-rng':
    case 'virtio-console': {
      const start: DeviceConfig = { kind, ...VIRTIO_DEFAULTS };
      const parsed = applyProperties<DeviceConfig>(start, parts, virtioProperties(), shown, model);
      return parsed.ok ? withInterface(shown, value, parsed.value) : parsed;
    }
  }
}

function missing(shown: string, value: string, model: string, property: string): Result<never, ConfigError> {
  return configError(
    shown,
    `${shown} ${value}: ${model} needs ${property}=.`,
    `Write it as ${shown} ${model},${property}=ID, with the id of a -${property}.`,
  );
}

function withInterface(
  shown: string,
  value: string,
  device: DeviceConfig,
): Result<DeviceConfig, ConfigError> {
  return device.disableLegacy && device.disableModern
    ? configError(
        shown,
        `${shown} ${value}: nothing is left of the device.`,
        'Disable one interface at most.',
      )
    : success(device);
}

export function printDevice(device: DeviceConfig): string {
  return joined([...ownParts(device), ...virtioParts(device)]);
}

function ownParts(device: DeviceConfig): (string | undefined)[] {
  switch (device.kind) {
    case 'virtio-blk':
      return [
        `virtio-blk-pci,drive=${device.drive}`,
        device.queues === BLK_DEFAULTS.queues ? undefined : `num-queues=${device.queues}`,
        device.queueSize === BLK_DEFAULTS.queueSize ? undefined : `queue-size=${device.queueSize}`,
        device.serial === undefined ? undefined : `serial=${escapeValue(device.serial)}`,
      ];
    case 'virtio-net':
      return [
        `virtio-net-pci,netdev=${device.netdev}`,
        device.mac === undefined ? undefined : `mac=${device.mac}`,
        device.pairs === NET_DEFAULTS.pairs ? undefined : `mq=on,queues=${device.pairs}`,
        device.mtu === undefined ? undefined : `host_mtu=${device.mtu}`,
      ];
    case 'virtio-rng':
      return ['virtio-rng-pci'];
    case 'virtio-console':
      return ['virtio-serial-pci'];
  }
}

function virtioParts(device: DeviceConfig): (string | undefined)[] {
  return [
    device.id === undefined ? undefined : `id=${device.id}`,
    device.address === undefined ? undefined : `addr=${device.address.toString(16)}`,
    unless(device.ioeventfd, VIRTIO_DEFAULTS.ioeventfd, `ioeventfd=${device.ioeventfd}`),
    device.eventIdx ? undefined : 'event_idx=off',
    device.iothread === undefined ? undefined : `iothread=${device.iothread}`,
    device.disableLegacy ? 'disable-legacy=on' : undefined,
    device.disableModern ? 'disable-modern=on' : undefined,
  ];
}

// --- against each other

export interface Hardware {
  readonly drives: readonly DriveConfig[];
  readonly netdevs: readonly NetdevConfig[];
  readonly devices: readonly DeviceConfig[];
  readonly iothreads: readonly string[];
}

/** What one option cannot see: names that stand for nothing, or for too much. `dash`: in front of options, in messages. */
export function checkHardware(hardware: Hardware, dash: string): Result<undefined, ConfigError> {
  const { drives, netdevs, devices, iothreads } = hardware;
  const option = `${dash}device`;
  const used = new Set<string>();
  for (const device of devices) {
    const shown = `${option} ${printDevice(device)}`;
    if (device.iothread !== undefined && !iothreads.includes(device.iothread)) {
      return configError(
        option,
        `${shown}: there is no iothread "${device.iothread}".`,
        `Add ${dash}object iothread,id=${device.iothread}.`,
      );
    }
    const medium =
      device.kind === 'virtio-blk'
        ? ({ kind: 'drive', id: device.drive, known: drives } as const)
        : device.kind === 'virtio-net'
          ? ({ kind: 'netdev', id: device.netdev, known: netdevs } as const)
          : undefined;
    if (medium === undefined) continue;
    const { kind, id, known } = medium;
    if (!known.some((candidate) => candidate.id === id)) {
      return configError(
        option,
        `${shown}: there is no ${kind} "${id}".`,
        `Add ${dash}${kind} with id=${id}.`,
      );
    }
    const taken =
      used.has(`${kind} ${id}`) ||
      drives.some((drive) => kind === 'drive' && drive.id === id && drive.interface !== 'none');
    if (taken) {
      return configError(
        option,
        `${shown}: the ${kind} "${id}" has a device already.`,
        kind === 'drive' ? 'Use if=none for a drive that a -device names.' : 'Give each device its own.',
      );
    }
    used.add(`${kind} ${id}`);
  }
  return success(undefined);
}
