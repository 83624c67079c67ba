/** Disks, network and the devices in front of them, as QEMU's options describe them. */

export const CACHE_SETTINGS = ['writeback', 'writethrough', 'none', 'unsafe'] as const;
export type CacheSetting = (typeof CACHE_SETTINGS)[number];

export const ERROR_ACTIONS = ['report', 'stop', 'enospc'] as const;
export type ErrorAction = (typeof ERROR_ACTIONS)[number];

export const SWITCHES = ['on', 'off', 'auto'] as const;
export type Switch = (typeof SWITCHES)[number];

/** `-drive`: a medium, or with `file` and `size` absent a drive without one. */
export interface DriveConfig {
  readonly id: string;
  /** Name of an image in the browser's storage, or of a file that was given to the machine; for the runner a path. */
  readonly file?: string;
  /** Makes the image if there is none (Virtab's own; QEMU has qemu-img). */
  readonly sizeBytes?: number;
  /** `virtio`: comes with a virtio-blk-pci of its own. */
  readonly interface: 'virtio' | 'none';
  /** Name of an AIO driver, or `auto`. */
  readonly aio: string;
  readonly cache: CacheSetting;
  readonly readOnly: boolean;
  readonly writeErrors: ErrorAction;
  readonly readErrors: ErrorAction;
}

/** `-netdev hubport`: a port of one of the hubs, which all tabs of the browser share by their number. */
export interface NetdevConfig {
  readonly id: string;
  readonly hub: number;
}

/** What all virtio functions can be told. */
export interface VirtioOptions {
  readonly id?: string;
  /** Device number on PCI bus 0; the first free one if absent. */
  readonly address?: number;
  readonly ioeventfd: Switch;
  readonly eventIdx: boolean;
  /** Name of an `-object iothread`; the thread for its kind of device if absent. */
  readonly iothread?: string;
  readonly disableLegacy: boolean;
  readonly disableModern: boolean;
}

export type DeviceConfig = VirtioOptions &
  (
    | {
        readonly kind: 'virtio-blk';
        readonly drive: string;
        readonly queues: number;
        readonly queueSize: number;
        readonly serial?: string;
      }
    | {
        readonly kind: 'virtio-net';
        readonly netdev: string;
        readonly mac?: string;
        readonly pairs: number;
        readonly mtu?: number;
      }
    | { readonly kind: 'virtio-rng' }
    | { readonly kind: 'virtio-console' }
  );

export type DeviceKind = DeviceConfig['kind'];

export const VIRTIO_DEFAULTS: VirtioOptions = {
  ioeventfd: 'auto',
  eventIdx: true,
  disableLegacy: false,
  disableModern: false,
};

export const BLK_DEFAULTS = { kind: 'virtio-blk', queues: 1, queueSize: 256, ...VIRTIO_DEFAULTS } as const;
export const NET_DEFAULTS = { kind: 'virtio-net', pairs: 1, ...VIRTIO_DEFAULTS } as const;

/** Of virtio-blk and virtio-net: as many as MSI-X vectors and shared state have room for. */
export const MAX_QUEUES = 15;
