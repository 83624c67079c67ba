/** Where a virtio device's registers are on PCI (virtio 1.2, 4.1). The BARs are QEMU's, which drivers' bug reports show. */

export const VIRTIO_PCI_VENDOR = 0x1af4;
/** 4.1.2.1: modern device IDs start here. */
export const VIRTIO_PCI_MODERN_ID = 0x1040;
/** 4.1.2.1: transitional device IDs, by device type. */
export const TRANSITIONAL_IDS: Readonly<Record<number, number>> = {
  1: 0x1000,
  2: 0x1001,
  3: 0x1003,
  4: 0x1005,
  5: 0x1002,
  8: 0x1004,
  9: 0x1009,
};

export const LEGACY_BAR = 0;
export const MSIX_BAR = 1;
export const MODERN_BAR = 4;

export const MSIX_BAR_BYTES = 0x1000;
export const MSIX_PBA_OFFSET = 0x800;

// --- the modern BAR
export const MODERN_BAR_BYTES = 0x4000;
export const COMMON_OFFSET = 0x0000;
export const ISR_OFFSET = 0x1000;
export const DEVICE_OFFSET = 0x2000;
export const NOTIFY_OFFSET = 0x3000;
export const REGION_BYTES = 0x1000;
/** Every queue has an address of its own to kick at (4.1.4.4): a doorbell needs no data match. */
export const NOTIFY_MULTIPLIER = 4;

// --- 4.1.4, struct virtio_pci_cap
export const CAP_ID_VENDOR = 0x09;
export const CAP_ID_MSIX = 0x11;
export const VIRTIO_PCI_CAP_COMMON_CFG = 1;
export const VIRTIO_PCI_CAP_NOTIFY_CFG = 2;
export const VIRTIO_PCI_CAP_ISR_CFG = 3;
export const VIRTIO_PCI_CAP_DEVICE_CFG = 4;
export const VIRTIO_PCI_CAP_PCI_CFG = 5;
/** In struct virtio_pci_cap, from the capability's ID on. */
export const CAP_BAR = 4;
export const CAP_OFFSET = 8;
export const CAP_LENGTH = 12;
export const CAP_PCI_CFG_DATA = 16;

// --- 4.1.4.3, struct virtio_pci_common_cfg
export const COMMON_DEVICE_FEATURE_SELECT = 0;
export const COMMON_DEVICE_FEATURE = 4;
export const COMMON_DRIVER_FEATURE_SELECT = 8;
export const COMMON_DRIVER_FEATURE = 12;
export const COMMON_CONFIG_MSIX_VECTOR = 16;
export const COMMON_NUM_QUEUES = 18;
export const COMMON_DEVICE_STATUS = 20;
export const COMMON_CONFIG_GENERATION = 21;
export const COMMON_QUEUE_SELECT = 22;
export const COMMON_QUEUE_SIZE = 24;
export const COMMON_QUEUE_MSIX_VECTOR = 26;
export const COMMON_QUEUE_ENABLE = 28;
export const COMMON_QUEUE_NOTIFY_OFF = 30;
export const COMMON_QUEUE_DESC = 32;
export const COMMON_QUEUE_DRIVER = 40;
export const COMMON_QUEUE_DEVICE = 48;
/** Without the fields of optional features behind it. */
export const COMMON_BYTES = 56;

// --- 4.1.4.10, the legacy interface: ports in BAR 0
export const LEGACY_BAR_BYTES = 0x40;
export const LEGACY_DEVICE_FEATURES = 0;
export const LEGACY_DRIVER_FEATURES = 4;
export const LEGACY_QUEUE_ADDRESS = 8;
export const LEGACY_QUEUE_SIZE = 12;
export const LEGACY_QUEUE_SELECT = 14;
export const LEGACY_QUEUE_NOTIFY = 16;
export const LEGACY_DEVICE_STATUS = 18;
export const LEGACY_ISR_STATUS = 19;
export const LEGACY_CONFIG_MSIX_VECTOR = 20;
export const LEGACY_QUEUE_MSIX_VECTOR = 22;
export const LEGACY_CONFIG = 20;
export const LEGACY_CONFIG_WITH_MSIX = 24;
