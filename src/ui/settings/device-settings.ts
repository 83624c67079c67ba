/** The settings of each disk and each network card of the machine, and what can be added. */
import {
  BLK_DEFAULTS,
  CACHE_SETTINGS,
  MAX_QUEUES,
  NET_DEFAULTS,
  SWITCHES,
  VIRTIO_DEFAULTS,
} from '../../config/devices.ts';
import type { CacheSetting, DeviceConfig, Switch } from '../../config/devices.ts';
import { DRIVE_DEFAULTS } from '../../config/device-options.ts';
import type { VmConfig } from '../../config/vm-config.ts';
import type { DeviceInfo } from '../../control/info.ts';
import { editDevice, editDrive } from '../disks/drive-edits.ts';
import { button, element, ICON } from '../dom.ts';
import type { MachineSession } from '../machine-session.ts';
import { textButton } from '../machines/machines-panel.ts';
import { number, segments, select } from './controls.ts';
import { section, settingRow } from './setting-row.ts';
import type { SettingRow } from './setting-row.ts';

/** `-drive aio=`: the drivers that open an image in the browser's storage. */
const AIO_CHOICES = ['auto', 'opfs', 'threads'];

const ON_OFF = [
  { value: 'on', label: 'on' },
  { value: 'off', label: 'off' },
] as const;
type OnOff = 'on' | 'off';

const TEXTS = {
  readOnly: {
    title: 'Read-only',
    option: 'readonly',
    sentence: 'The guest cannot change the disk, and several machines may have it at once.',
    usual: DRIVE_DEFAULTS.readOnly ? 'on' : 'off',
  },
  cache: {
    title: 'Cache',
    option: 'cache',
    sentence:
      'When a write counts as done. writeback: when the browser has it; flushes reach the disk. writethrough: when it is on the disk, safest and slowest. none: as writeback, since a browser’s own cache cannot be bypassed. unsafe: flushes are ignored, for data that you can lose.',
    usual: DRIVE_DEFAULTS.cache,
  },
  aio: {
    title: 'I/O engine',
    option: 'aio',
    sentence:
      'How the browser’s files are read and written. opfs: one after the other on the disk’s thread. threads: several at once on helper threads, which pays with four cores or more. Requests are kept in order and merged here, so a guest does best without a scheduler of its own: echo none > /sys/block/vda/queue/scheduler.',
    usual: DRIVE_DEFAULTS.aio,
  },
  ioeventfd: {
    title: 'ioeventfd',
    option: 'ioeventfd',
    sentence:
      'On, the guest runs on while another thread does its I/O: less steal time (top in the guest shows it), less spinlock contention. Off, it stands still for each notification; without an idle core that can lower the latency. QEMU has it on; for network cards it was off when it came. Flips while the guest runs.',
    usual: VIRTIO_DEFAULTS.ioeventfd,
  },
  eventIdx: {
    title: 'Fewer notifications',
    option: 'event_idx',
    sentence:
      'Guest and device tell each other from which request on they want to be notified, so that busy queues notify rarely. Off only to look for faults.',
    usual: VIRTIO_DEFAULTS.eventIdx ? 'on' : 'off',
  },
  queues: {
    title: 'Queues',
    option: 'num-queues',
    sentence:
      'Several let several CPUs of the guest send requests without waiting for each other; for one CPU one is enough.',
    usual: String(BLK_DEFAULTS.queues),
  },
  hub: {
    title: 'Network',
    option: 'hubid',
    sentence:
      'Cards with the same number reach each other, in all tabs of this browser. There is no way out to the Internet yet.',
    usual: '0',
  },
  pairs: {
    title: 'Queue pairs',
    option: 'queues',
    sentence: 'Several let several CPUs of the guest send and receive at once; for one CPU one is enough.',
    usual: String(NET_DEFAULTS.pairs),
  },
  rng: {
    title: 'Random numbers',
    option: 'virtio-rng-pci',
    sentence: 'A source of good random numbers for the guest: keys can be made right after the start.',
    usual: 'off',
  },
} as const;

export class DeviceSettings {
  readonly node = element('div');
  readonly #session: MachineSession;
  /** What the running machine says belongs in these, by disk or device. */
  readonly #aioRows = new Map<string, SettingRow>();
  readonly #ioeventfdRows = new Map<number, SettingRow>();
  #shown = '';

  constructor(session: MachineSession) {
    this.#session = session;
    this.show();
  }

  show(): void {
    const { config } = this.#session;
    // A field that is replaced while it is used loses its focus: only what exists decides, not what it is set to.
    const state = JSON.stringify([
      config.drives.map(({ id, file }) => [id, file]),
      config.devices.map(kindOf),
    ]);
    if (state === this.#shown) {
      for (const update of this.#updates) update(config);
      return;
    }
    this.#shown = state;
    this.#updates = [];
    this.#aioRows.clear();
    this.#ioeventfdRows.clear();
    this.node.replaceChildren(
      ...config.devices.flatMap((device, index) => this.#section(device, index)),
      section('More devices', ...this.#more()),
    );
    for (const update of this.#updates) update(config);
  }

  #updates: ((config: VmConfig) => void)[] = [];

  /** What `auto` chose. */
  setInfo(info: DeviceInfo | undefined): void {
    const session = this.#session;
    for (const [drive, row] of this.#aioRows) {
      const medium = info?.disks.find((disk) => disk.drive === session.liveDrive(drive))?.medium;
      const isAuto = session.config.drives.find(({ id }) => id === drive)?.aio === 'auto';
      row.setNote(
        medium === undefined || !session.isInMachine(drive)
          ? ''
          : `${isAuto ? `auto chose ${medium.aio}. ` : ''}${medium.aioReason}`,
      );
    }
    for (const [index, row] of this.#ioeventfdRows) {
      const name = session.machineDevice(index);
      const told = info?.ioeventfd.find(({ device }) => device === name);
      row.setNote(
        told === undefined || name === undefined
          ? ''
          : `${told.setting === 'auto' ? `auto chose ${told.enabled ? 'on' : 'off'}. ` : ''}${told.reason}`,
      );
    }
  }

  #section(device: DeviceConfig, index: number): HTMLElement[] {
    switch (device.kind) {
      case 'virtio-blk': {
        const drive = this.#session.config.drives.find(({ id }) => id === device.drive);
        return drive?.file === undefined
          ? []
          : [section(`Disk ${drive.file}`, ...this.#diskRows(drive.id, index))];
      }
      case 'virtio-net':
        return [section(`Network card ${device.netdev}`, ...this.#cardRows(device.netdev, index))];
      case 'virtio-rng':
      case 'virtio-console':
        return [];
    }
  }

  #diskRows(drive: string, index: number): HTMLElement[] {
    const edit = (change: Parameters<typeof editDrive>[2]): void =>
      void this.#session.edit((config) => editDrive(config, drive, change));
    const driveOf = (config: VmConfig) => config.drives.find(({ id }) => id === drive);

    const cache = select<CacheSetting>(
      'cache',
      CACHE_SETTINGS.map((value) => ({ value, label: value })),
      (value) => edit({ cache: value }),
    );
    // An address can have asked for another.
    const asked = driveOf(this.#session.config)?.aio ?? 'auto';
    const aio = select(
      'aio',
      [...new Set([...AIO_CHOICES, asked])].map((value) => ({ value, label: value })),
      (value) => edit({ aio: value }),
    );
    const readOnly = segments<OnOff>('readonly', ON_OFF, (value) => edit({ readOnly: value === 'on' }));
    const queues = number({ label: 'num-queues', minimum: 1, maximum: MAX_QUEUES }, (value) =>
      this.#editDevice(index, { queues: value }),
    );
    this.#updates.push((config) => {
      const now = driveOf(config);
      if (now === undefined) return;
      cache.show(now.cache);
      aio.show(now.aio);
      readOnly.show(now.readOnly ? 'on' : 'off');
      // A file that is read where it is can only be read, and by one driver.
      const isInPlace = now.file !== undefined && this.#session.isInPlace(now.file);
      readOnly.setDisabled(isInPlace);
      aio.setDisabled(isInPlace);
      const device = config.devices[index];
      if (device?.kind === 'virtio-blk') queues.show(device.queues);
    });
    const aioRow = settingRow(TEXTS.aio, aio.node);
    this.#aioRows.set(drive, aioRow);
    return [
      this.#ioeventfdRow(index),
      aioRow.node,
      settingRow(TEXTS.cache, cache.node).node,
      settingRow(TEXTS.readOnly, readOnly.node).node,
      this.#eventIdxRow(index),
      settingRow(TEXTS.queues, queues.node).node,
    ];
  }

  #cardRows(netdev: string, index: number): HTMLElement[] {
    const hub = number(
      { label: 'hubid', minimum: 0, maximum: 65_535 },
      (value) =>
        void this.#session.edit((config) => ({
          ...config,
          netdevs: config.netdevs.map((one) => (one.id === netdev ? { ...one, hub: value } : one)),
        })),
    );
    const pairs = number({ label: 'queues', minimum: 1, maximum: MAX_QUEUES }, (value) =>
      this.#editDevice(index, { pairs: value }),
    );
    this.#updates.push((config) => {
      hub.show(config.netdevs.find(({ id }) => id === netdev)?.hub ?? 0);
      const device = config.devices[index];
      if (device?.kind === 'virtio-net') pairs.show(device.pairs);
    });
    return [
      settingRow(TEXTS.hub, hub.node).node,
      this.#ioeventfdRow(index),
      this.#eventIdxRow(index),
      settingRow(TEXTS.pairs, pairs.node).node,
      textButton('Remove this card', () => this.#removeCard(netdev), `Remove the network card ${netdev}`),
    ];
  }

  #ioeventfdRow(index: number): HTMLElement {
    const control = segments<Switch>(
      'ioeventfd',
      SWITCHES.map((value) => ({ value, label: value })),
      (value) => void this.#session.setIoeventfd(index, value),
    );
    this.#updates.push((config) => control.show(config.devices[index]?.ioeventfd ?? 'auto'));
    const row = settingRow(TEXTS.ioeventfd, control.node);
    this.#ioeventfdRows.set(index, row);
    return row.node;
  }

  #eventIdxRow(index: number): HTMLElement {
    const control = segments<OnOff>('event_idx', ON_OFF, (value) =>
      this.#editDevice(index, { eventIdx: value === 'on' }),
    );
    this.#updates.push((config) => control.show(config.devices[index]?.eventIdx === false ? 'off' : 'on'));
    return settingRow(TEXTS.eventIdx, control.node).node;
  }

  #more(): HTMLElement[] {
    const rng = segments<OnOff>(
      'virtio-rng-pci',
      ON_OFF,
      (value) =>
        void this.#session.edit((config) => ({
          ...config,
          devices: [
            ...config.devices.filter(({ kind }) => kind !== 'virtio-rng'),
            ...(value === 'on' ? [{ kind: 'virtio-rng' as const, ...VIRTIO_DEFAULTS }] : []),
          ],
        })),
    );
    this.#updates.push((config) =>
      rng.show(config.devices.some(({ kind }) => kind === 'virtio-rng') ? 'on' : 'off'),
    );
    return [
      settingRow(TEXTS.rng, rng.node).node,
      element(
        'div',
        { class: 'panel-actions' },
        button('Add a network card', ICON.add, () => this.#addCard()).node,
      ),
    ];
  }

  #addCard(): void {
    void this.#session.edit((config) => {
      const taken = config.netdevs.map(({ id }) => id);
      let number = 0;
      while (taken.includes(`net${number}`)) number++;
      const id = `net${number}`;
      return {
        ...config,
        netdevs: [...config.netdevs, { id, hub: 0 }],
        devices: [...config.devices, { ...NET_DEFAULTS, netdev: id }],
      };
    });
  }

  #removeCard(netdev: string): void {
    void this.#session.edit((config) => ({
      ...config,
      netdevs: config.netdevs.filter(({ id }) => id !== netdev),
      devices: config.devices.filter((device) => device.kind !== 'virtio-net' || device.netdev !== netdev),
    }));
  }

  #editDevice(index: number, change: Partial<DeviceConfig>): void {
    void this.#session.edit((config) => editDevice(config, index, change));
  }
}

function kindOf(device: DeviceConfig): string {
  switch (device.kind) {
    case 'virtio-blk':
      return `disk ${device.drive}`;
    case 'virtio-net':
      return `card ${device.netdev}`;
    default:
      return 'other';
  }
}
