/** The split virtqueue in guest memory: offsets, sizes and flags (virtio 1.2, 2.7). All little-endian. */

/** 2.7: the largest queue size. */
export const MAX_QUEUE_SIZE = 32768;

// --- 2.7.5, struct virtq_desc
export const DESCRIPTOR_BYTES = 16;
export const DESCRIPTOR_ADDR = 0;
export const DESCRIPTOR_LEN = 8;
export const DESCRIPTOR_FLAGS = 12;
export const DESCRIPTOR_NEXT = 14;
export const VIRTQ_DESC_F_NEXT = 1;
export const VIRTQ_DESC_F_WRITE = 2;
export const VIRTQ_DESC_F_INDIRECT = 4;

// --- 2.7.6, struct virtq_avail
export const AVAIL_FLAGS = 0;
export const AVAIL_IDX = 2;
export const AVAIL_RING = 4;
export const VIRTQ_AVAIL_F_NO_INTERRUPT = 1;

// --- 2.7.8, struct virtq_used
export const USED_FLAGS = 0;
export const USED_IDX = 2;
export const USED_RING = 4;
export const USED_ELEMENT_BYTES = 8;
export const VIRTQ_USED_F_NO_NOTIFY = 1;

/** 2.7: alignment of the descriptor table, the available ring and the used ring. */
export const DESCRIPTOR_ALIGN = 16;
export const AVAIL_ALIGN = 2;
export const USED_ALIGN = 4;

export function descriptorTableBytes(size: number): number {
  return DESCRIPTOR_BYTES * size;
}

/** With `used_event` behind the ring. */
export function availBytes(size: number): number {
  return AVAIL_RING + 2 * size + 2;
}

/** With `avail_event` behind the ring. */
export function usedBytes(size: number): number {
  return USED_RING + USED_ELEMENT_BYTES * size + 2;
}

export interface RingAddresses {
  readonly descriptors: number;
  readonly avail: number;
  readonly used: number;
}

/** 2.7.2: the legacy layout, all in one piece: the used ring starts at the next multiple of `align`. */
export function legacyRing(start: number, size: number, align: number): RingAddresses {
  const avail = start + descriptorTableBytes(size);
  return { descriptors: start, avail, used: Math.ceil((avail + availBytes(size)) / align) * align };
}
