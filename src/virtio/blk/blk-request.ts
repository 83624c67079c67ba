/**
 * Parsing: a descriptor chain becomes a validated request (virtio 1.2, 5.2.6). Touches no disk. The header and the
 * range of a discard are read once, into private memory.
 */
import { TWO_32 } from '../../base/bits.ts';
import { SECTOR_BYTES } from '../../block/block-backend.ts';
import type { BlockOperation, BlockProperties } from '../../block/block-backend.ts';
import type { GuestMemory } from '../../memory/guest-memory.ts';
import type { DescriptorChain } from '../queue.ts';
import { readSegments, sliceSegments } from '../segments.ts';
import type { Segment } from '../segments.ts';
import {
  HEADER_BYTES,
  HEADER_SECTOR,
  HEADER_TYPE,
  RANGE_BYTES,
  RANGE_FLAG_UNMAP,
  RANGE_FLAGS,
  RANGE_NUM_SECTORS,
  RANGE_SECTOR,
  VIRTIO_BLK_S_IOERR,
  VIRTIO_BLK_S_UNSUPP,
  VIRTIO_BLK_T_BARRIER,
  VIRTIO_BLK_T_DISCARD,
  VIRTIO_BLK_T_FLUSH,
  VIRTIO_BLK_T_FLUSH_OUT,
  VIRTIO_BLK_T_GET_ID,
  VIRTIO_BLK_T_IN,
  VIRTIO_BLK_T_OUT,
  VIRTIO_BLK_T_WRITE_ZEROES,
} from './blk-layout.ts';

export interface DiskRequest {
  readonly kind: 'disk';
  readonly operation: BlockOperation;
  readonly offset: number;
  readonly length: number;
  /** Of a read or write: all of them RAM, `length` bytes together. */
  readonly segments: readonly Segment[];
  readonly unmap: boolean;
}

export type ParsedRequest =
  | DiskRequest
  /** Wants the device ID string, in these buffers. */
  | { readonly kind: 'get-id'; readonly segments: readonly Segment[] }
  /** Over before it began. */
  | { readonly kind: 'failed'; readonly status: number }
  /** There is no status byte to say it with. */
  | { readonly kind: 'unanswerable' };

const IOERR: ParsedRequest = { kind: 'failed', status: VIRTIO_BLK_S_IOERR };
const UNSUPP: ParsedRequest = { kind: 'failed', status: VIRTIO_BLK_S_UNSUPP };

export function parseRequest(
  memory: GuestMemory,
  chain: DescriptorChain,
  disk: BlockProperties,
): ParsedRequest {
  if (chain.writableBytes === 0) return { kind: 'unanswerable' };
  const header = readHeader(memory, chain.readable);
  if (header === undefined) return IOERR;
  const { type, sector } = header;
  const outBytes = chain.readableBytes - HEADER_BYTES;
  // The last writable byte is the status.
  const inBytes = chain.writableBytes - 1;
  switch (type) {
    case VIRTIO_BLK_T_IN:
      return transfer('read', sector, sliceSegments(chain.writable, 0, inBytes), inBytes, disk);
    case VIRTIO_BLK_T_OUT:
      if (disk.readOnly) return IOERR;
      return transfer('write', sector, sliceSegments(chain.readable, HEADER_BYTES, outBytes), outBytes, disk);
    case VIRTIO_BLK_T_FLUSH:
    case VIRTIO_BLK_T_FLUSH_OUT:
      return { kind: 'disk', operation: 'flush', offset: 0, length: 0, segments: [], unmap: false };
    case VIRTIO_BLK_T_GET_ID:
      return { kind: 'get-id', segments: sliceSegments(chain.writable, 0, inBytes) };
    case VIRTIO_BLK_T_DISCARD:
      if (disk.discardGranularity === 0) return UNSUPP;
      return range('discard', readSegments(memory, chain.readable, HEADER_BYTES, outBytes), disk);
    case VIRTIO_BLK_T_WRITE_ZEROES:
      return range('write-zeroes', readSegments(memory, chain.readable, HEADER_BYTES, outBytes), disk);
    default:
      return UNSUPP;
  }
}

interface Header {
  readonly type: number;
  readonly sector: number;
}

/** Each field is read once. */
function readHeader(memory: GuestMemory, readable: readonly Segment[]): Header | undefined {
  const [first] = readable;
  if (first !== undefined && first.bytes >= HEADER_BYTES) {
    const type = memory.readU32(first.gpa + HEADER_TYPE);
    const sector = memory.readU64(first.gpa + HEADER_SECTOR);
    if (type === undefined || sector === undefined) return undefined;
    return { type: withoutBarrier(type), sector };
  }
  // 2.7.4: a device assumes nothing about how a buffer is cut into descriptors.
  const header = readSegments(memory, readable, 0, HEADER_BYTES);
  if (header.length < HEADER_BYTES) return undefined;
  const data = new DataView(header.buffer);
  return {
    type: withoutBarrier(data.getUint32(HEADER_TYPE, true)),
    sector: readSector(data, HEADER_SECTOR),
  };
}

function withoutBarrier(type: number): number {
  return (type & ~VIRTIO_BLK_T_BARRIER) >>> 0;
}

/** Exact up to 2^53, which is beyond any disk. */
function readSector(data: DataView, offset: number): number {
  return data.getUint32(offset, true) + data.getUint32(offset + 4, true) * TWO_32;
}

function transfer(
  operation: 'read' | 'write',
  sector: number,
  segments: readonly Segment[],
  length: number,
  disk: BlockProperties,
): ParsedRequest {
  const offset = sector * SECTOR_BYTES;
  if (!isOnDisk(offset, length, disk)) return IOERR;
  return { kind: 'disk', operation, offset, length, segments, unmap: false };
}

/** 5.2.6.2: one range per request is what max_discard_seg and max_write_zeroes_seg allow. */
function range(
  operation: 'discard' | 'write-zeroes',
  bytes: Uint8Array,
  disk: BlockProperties,
): ParsedRequest {
  if (disk.readOnly) return IOERR;
  if (bytes.length !== RANGE_BYTES) return bytes.length > RANGE_BYTES ? UNSUPP : IOERR;
  const data = new DataView(bytes.buffer, bytes.byteOffset);
  const offset = readSector(data, RANGE_SECTOR) * SECTOR_BYTES;
  const length = data.getUint32(RANGE_NUM_SECTORS, true) * SECTOR_BYTES;
  const flags = data.getUint32(RANGE_FLAGS, true);
  // 5.2.6.2: the unmap flag is for zeroes only, and there is no other.
  if ((flags & ~RANGE_FLAG_UNMAP) !== 0 || (operation === 'discard' && flags !== 0)) return UNSUPP;
  if (!isOnDisk(offset, length, disk)) return IOERR;
  return { kind: 'disk', operation, offset, length, segments: [], unmap: (flags & RANGE_FLAG_UNMAP) !== 0 };
}

function isOnDisk(offset: number, length: number, disk: BlockProperties): boolean {
  return offset % disk.blockSize === 0 && length % disk.blockSize === 0 && offset + length <= disk.sizeBytes;
}
