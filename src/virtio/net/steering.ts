/**
 * Automatic receive steering (virtio 1.2, 5.1.6.5.6): packets of a flow come in on the queue pair on which the driver sent
 * packets of it last.
 */
import { findHeaders, PROTOCOL_TCP, PROTOCOL_UDP } from '../../net/checksum.ts';

const BUCKETS = 256;

export class Steering {
  readonly #pairOf = new Uint8Array(BUCKETS);
  /** As many pairs as the driver uses now. */
  pairs = 1;

  reset(): void {
    this.#pairOf.fill(0);
    this.pairs = 1;
  }

  sent(frame: Uint8Array, pair: number): void {
    if (this.pairs > 1) this.#pairOf[flowBucket(frame)] = pair;
  }

  pairFor(frame: Uint8Array): number {
    return this.pairs === 1 ? 0 : this.#pairOf[flowBucket(frame)]! % this.pairs;
  }
}

/** The same for both directions of a flow: addresses and ports are only added up. */
function flowBucket(frame: Uint8Array): number {
  const headers = findHeaders(frame);
  if (headers === undefined) return 0;
  const { ip, transport, version, protocol } = headers;
  const [from, to] = version === 4 ? [ip + 12, ip + 20] : [ip + 8, ip + 40];
  let sum = 0;
  for (let at = from; at < to; at += 4) sum = (sum + word(frame, at)) | 0;
  if ((protocol === PROTOCOL_TCP || protocol === PROTOCOL_UDP) && transport + 4 <= frame.length) {
    const ports = word(frame, transport);
    sum = (sum + (ports >>> 16) + (ports & 0xffff)) | 0;
  }
  return Math.imul(sum, 0x9e3779b1) >>> 24;
}

function word(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}
