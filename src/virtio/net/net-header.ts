/** struct virtio_net_hdr to and from what travels with a frame (virtio 1.2, 5.1.6). */
import { NO_OFFLOAD } from '../../net/net-backend.ts';
import type { Offload, Segmentation } from '../../net/net-backend.ts';
import {
  HDR_CSUM_OFFSET,
  HDR_CSUM_START,
  HDR_FLAGS,
  HDR_GSO_SIZE,
  HDR_GSO_TYPE,
  HDR_HDR_LEN,
  HDR_NUM_BUFFERS,
  HDR_BYTES,
  VIRTIO_NET_HDR_F_DATA_VALID,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_ECN,
  VIRTIO_NET_HDR_GSO_NONE,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
} from './net-layout.ts';

const SEGMENTATIONS: Readonly<Record<number, Segmentation>> = {
  [VIRTIO_NET_HDR_GSO_NONE]: 'none',
  [VIRTIO_NET_HDR_GSO_TCPV4]: 'tcp4',
  [VIRTIO_NET_HDR_GSO_TCPV6]: 'tcp6',
};
const GSO_TYPES = {
  none: VIRTIO_NET_HDR_GSO_NONE,
  tcp4: VIRTIO_NET_HDR_GSO_TCPV4,
  tcp6: VIRTIO_NET_HDR_GSO_TCPV6,
} as const;

/**
 * 5.1.6.2: what the driver wants done. `hdr_len` is a hint that we do without. Undefined: a kind of segmentation that was not
 * offered, or segmentation without a checksum.
 */
export function readHeader(header: Uint8Array<ArrayBuffer>): Offload | undefined {
  const data = new DataView(header.buffer, header.byteOffset);
  const flags = data.getUint8(HDR_FLAGS);
  const type = data.getUint8(HDR_GSO_TYPE);
  const segmentation = SEGMENTATIONS[type & ~VIRTIO_NET_HDR_GSO_ECN];
  const needsChecksum = (flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) !== 0;
  if (segmentation === undefined || (segmentation !== 'none' && !needsChecksum)) return undefined;
  if (!needsChecksum) return NO_OFFLOAD;
  return {
    checksum: { start: data.getUint16(HDR_CSUM_START, true), offset: data.getUint16(HDR_CSUM_OFFSET, true) },
    isChecked: false,
    segmentation,
    segmentBytes: segmentation === 'none' ? 0 : data.getUint16(HDR_GSO_SIZE, true),
    hasEcn: (type & VIRTIO_NET_HDR_GSO_ECN) !== 0,
  };
}

/** 5.1.6.4.1. `headersBytes`: how much of the frame is headers, for `hdr_len`. */
export function writeHeader(
  offload: Offload,
  options: { readonly buffers: number; readonly headersBytes: number; readonly mayClaimValid: boolean },
): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(HDR_BYTES);
  const data = new DataView(header.buffer);
  data.setUint16(HDR_NUM_BUFFERS, options.buffers, true);
  const { checksum, segmentation, hasEcn } = offload;
  if (checksum !== undefined) {
    data.setUint8(HDR_FLAGS, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    data.setUint16(HDR_CSUM_START, checksum.start, true);
    data.setUint16(HDR_CSUM_OFFSET, checksum.offset, true);
  } else if (offload.isChecked && options.mayClaimValid) {
    data.setUint8(HDR_FLAGS, VIRTIO_NET_HDR_F_DATA_VALID);
  }
  if (segmentation !== 'none') {
    data.setUint8(HDR_GSO_TYPE, GSO_TYPES[segmentation] | (hasEcn ? VIRTIO_NET_HDR_GSO_ECN : 0));
    data.setUint16(HDR_GSO_SIZE, offload.segmentBytes, true);
    data.setUint16(HDR_HDR_LEN, options.headersBytes, true);
  }
  return header;
}
