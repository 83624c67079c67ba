/** Feature bits of the transport and the ring (virtio 1.2, chapter 6) and device_status (2.1). Device types have theirs. */

export const VIRTIO_F_NOTIFY_ON_EMPTY = 24;
export const VIRTIO_F_ANY_LAYOUT = 27;
export const VIRTIO_F_INDIRECT_DESC = 28;
export const VIRTIO_F_EVENT_IDX = 29;
export const VIRTIO_F_VERSION_1 = 32;

/** Bits that only a legacy driver may see (6.3). */
export const LEGACY_FEATURES: readonly number[] = [VIRTIO_F_ANY_LAYOUT];

export const ACKNOWLEDGE = 1;
export const DRIVER = 2;
export const DRIVER_OK = 4;
export const FEATURES_OK = 8;
export const DEVICE_NEEDS_RESET = 0x40;
export const FAILED = 0x80;

/** 4.1.5.1.2.1: what a vector register reads when none is assigned. */
export const VIRTIO_MSI_NO_VECTOR = 0xffff;

// --- ISR status (4.1.4.5)
export const ISR_QUEUE = 1;
export const ISR_CONFIG = 2;

/** Bits 0-31 and 32-63 of a set of features. */
export function featureWords(bits: readonly number[]): [low: number, high: number] {
  let low = 0;
  let high = 0;
  for (const bit of bits) {
    if (bit < 32) low |= 1 << bit;
    else high |= 1 << (bit - 32);
  }
  return [low >>> 0, high >>> 0];
}

export function hasFeature(words: readonly number[], bit: number): boolean {
  return ((words[bit >>> 5]! >>> (bit & 31)) & 1) !== 0;
}
