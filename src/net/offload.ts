/** Does what a frame's sender left undone and its receiver does not take: checksums and TCP segmentation. */
import { addToSum, findHeaders, finishSum, PROTOCOL_TCP, pseudoHeaderSum } from './checksum.ts';
import type { IpHeaders } from './checksum.ts';
import { NO_OFFLOAD } from './net-backend.ts';
import type { Frame, Offload, OffloadSupport } from './net-backend.ts';

const TCP_HEADER_BYTES = 20;
const TCP_SEQUENCE = 4;
const TCP_FLAGS = 13;
const TCP_CHECKSUM = 16;
const TCP_FIN = 1;
const TCP_PSH = 8;
const TCP_CWR = 0x80;
/** What no real sender goes below (Linux: TCP_MIN_SND_MSS): a frame is not cut into more pieces than that gives. */
const MIN_SEGMENT_BYTES = 48;

/** The frame as `supports` can take it: itself, or pieces of it. Undefined: it is not what it says it is. */
export function adaptFrame(frame: Frame, supports: OffloadSupport): readonly Frame[] | undefined {
  const { bytes, offload } = frame;
  // Also where the receiver does the work: it is another guest, and need not be told nonsense.
  if (offload.checksum !== undefined && !fits(bytes, offload.checksum)) return undefined;
  if (offload.segmentation !== 'none' && offload.segmentBytes < MIN_SEGMENT_BYTES) return undefined;
  if (offload.segmentation !== 'none') {
    const isTaken = supports[offload.segmentation] && supports.checksum && (supports.ecn || !offload.hasEcn);
    return isTaken ? [frame] : segment(frame);
  }
  if (offload.checksum === undefined || supports.checksum) return [frame];
  return [completeChecksum(bytes, offload.checksum)];
}

type PartialChecksum = NonNullable<Offload['checksum']>;

function fits(bytes: Uint8Array, { start, offset }: PartialChecksum): boolean {
  return start < bytes.length && start + offset + 2 <= bytes.length;
}

/** virtio 1.2, 5.1.6.2: the field holds the sum of the pseudo header, so summing over it gives the whole. */
function completeChecksum(bytes: Uint8Array<ArrayBuffer>, { start, offset }: PartialChecksum): Frame {
  const at = start + offset;
  const copy = bytes.slice();
  const sum = finishSum(addToSum(bytes, start, bytes.length));
  // A UDP checksum of 0 means that there is none; its complement is the same number (RFC 768).
  putWord(copy, at, sum === 0 ? 0xffff : sum);
  return { bytes: copy, offload: { ...NO_OFFLOAD, isChecked: true } };
}

function segment({ bytes, offload }: Frame): readonly Frame[] | undefined {
  const headers = findHeaders(bytes);
  const { segmentBytes } = offload;
  if (headers === undefined || headers.protocol !== PROTOCOL_TCP) return undefined;
  if (headers.version !== (offload.segmentation === 'tcp4' ? 4 : 6)) return undefined;
  const { transport } = headers;
  if (transport + TCP_HEADER_BYTES > bytes.length) return undefined;
  const payload = transport + (bytes[transport + 12]! >>> 4) * 4;
  if (payload < transport + TCP_HEADER_BYTES || payload > bytes.length) return undefined;
  const frames: Frame[] = [];
  for (let at = payload; at < bytes.length || frames.length === 0; at += segmentBytes) {
    const end = Math.min(at + segmentBytes, bytes.length);
    const piece = new Uint8Array(payload + end - at);
    piece.set(bytes.subarray(0, payload));
    piece.set(bytes.subarray(at, end), payload);
    finishPiece(piece, headers, {
      index: frames.length,
      offset: at - payload,
      isLast: end === bytes.length,
      hasEcn: offload.hasEcn,
    });
    frames.push({ bytes: piece, offload: { ...NO_OFFLOAD, isChecked: true } });
  }
  return frames;
}

interface Piece {
  readonly index: number;
  /** Of its payload in the whole. */
  readonly offset: number;
  readonly isLast: boolean;
  readonly hasEcn: boolean;
}

function finishPiece(bytes: Uint8Array, headers: IpHeaders, piece: Piece): void {
  const { ip, transport, version } = headers;
  const length = bytes.length - transport;
  if (version === 4) {
    putWord(bytes, ip + 2, bytes.length - ip);
    putWord(bytes, ip + 4, (getWord(bytes, ip + 4) + piece.index) & 0xffff);
    putWord(bytes, ip + 10, 0);
    putWord(bytes, ip + 10, finishSum(addToSum(bytes, ip, transport)));
  } else {
    putWord(bytes, ip + 4, length);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const sequence = transport + TCP_SEQUENCE;
  view.setUint32(sequence, view.getUint32(sequence) + piece.offset);
  if (!piece.isLast) bytes[transport + TCP_FLAGS]! &= ~(TCP_FIN | TCP_PSH);
  if (piece.hasEcn && piece.index > 0) bytes[transport + TCP_FLAGS]! &= ~TCP_CWR;
  putWord(bytes, transport + TCP_CHECKSUM, 0);
  const sum = addToSum(bytes, transport, bytes.length, pseudoHeaderSum(bytes, headers, length));
  putWord(bytes, transport + TCP_CHECKSUM, finishSum(sum));
}

function getWord(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

function putWord(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value & 0xff;
}
