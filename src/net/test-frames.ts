/** Frames for tests, and a naive look at their checksums. */
import { NO_OFFLOAD, NO_OFFLOAD_SUPPORT } from './net-backend.ts';
import type { Frame, NetReceiver, OffloadSupport } from './net-backend.ts';

export const MAC_A = Uint8Array.of(0x52, 0x54, 0, 0, 0, 0xaa);
export const MAC_B = Uint8Array.of(0x52, 0x54, 0, 0, 0, 0xbb);
export const BROADCAST = new Uint8Array(6).fill(0xff);

/** Where the TCP header of the frames below is. */
export const TCP4 = 14 + 20;
export const TCP6 = 14 + 40;
export const TCP_HEADER = 20;

export function ethernet(
  to: Uint8Array,
  from: Uint8Array,
  type: number,
  payload: Uint8Array,
): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(...to, ...from, type >>> 8, type & 0xff, ...payload);
}

/** As a sender with checksum offload leaves it: the TCP checksum field holds the sum of the pseudo header. */
export function tcpFrame(version: 4 | 6, payload: Uint8Array, flags = 0x18): Frame {
  const tcp = new Uint8Array(TCP_HEADER + payload.length);
  const view = new DataView(tcp.buffer);
  view.setUint16(0, 1234);
  view.setUint16(2, 80);
  view.setUint32(4, 0xfffffff0);
  view.setUint8(12, 0x50);
  view.setUint8(13, flags);
  view.setUint16(14, 0xffff);
  tcp.set(payload, TCP_HEADER);
  const ip = version === 4 ? ipv4(tcp.length) : ipv6(tcp.length);
  const bytes = ethernet(MAC_B, MAC_A, version === 4 ? 0x0800 : 0x86dd, Uint8Array.of(...ip, ...tcp));
  const start = 14 + ip.length;
  const pseudo = naiveSum([...addresses(bytes, version), 0, 6, tcp.length >>> 8, tcp.length & 0xff]);
  bytes[start + 16] = pseudo >>> 8;
  bytes[start + 17] = pseudo & 0xff;
  return { bytes, offload: { ...NO_OFFLOAD, checksum: { start, offset: 16 } } };
}

function ipv4(length: number): Uint8Array {
  const ip = Uint8Array.of(0x45, 0, 0, 0, 0x12, 0xff, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2);
  const view = new DataView(ip.buffer);
  view.setUint16(2, ip.length + length);
  view.setUint16(10, ~naiveSum(ip) & 0xffff);
  return ip;
}

function ipv6(length: number): Uint8Array {
  const ip = new Uint8Array(40);
  ip.set([0x60, 0, 0, 0, length >>> 8, length & 0xff, 6, 64]);
  ip[8] = 0xfe;
  ip[23] = 1;
  ip[24] = 0xfe;
  ip[39] = 2;
  return ip;
}

function addresses(bytes: Uint8Array, version: 4 | 6): Uint8Array {
  return version === 4 ? bytes.subarray(26, 34) : bytes.subarray(22, 54);
}

/** Ones' complement sum, folded at every step. */
export function naiveSum(bytes: Iterable<number>): number {
  const list = [...bytes];
  let sum = 0;
  for (let n = 0; n < list.length; n += 2) {
    sum += (list[n]! << 8) | (list[n + 1] ?? 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

/** True if the TCP checksum, and that of an IPv4 header, are right, and the lengths too. */
export function isIntact(bytes: Uint8Array): boolean {
  const version = bytes[14]! >>> 4;
  const start = version === 4 ? TCP4 : TCP6;
  const tcp = bytes.subarray(start);
  const pseudo = [...addresses(bytes, version === 4 ? 4 : 6), 0, 6, tcp.length >>> 8, tcp.length & 0xff];
  const length = version === 4 ? (bytes[16]! << 8) | bytes[17]! : (bytes[18]! << 8) | bytes[19]!;
  const isLengthRight = length === (version === 4 ? bytes.length - 14 : tcp.length);
  const isHeaderRight = version === 6 || naiveSum(bytes.subarray(14, 34)) === 0xffff;
  return isLengthRight && isHeaderRight && naiveSum([...pseudo, ...tcp]) === 0xffff;
}

export function pattern(bytes: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: bytes }, (_, n) => (n * 7 + (n >> 8)) & 0xff);
}

/** Takes frames as long as it has room. */
export class TestReceiver implements NetReceiver {
  supports: OffloadSupport = NO_OFFLOAD_SUPPORT;
  readonly frames: Frame[] = [];
  room = Infinity;
  bursts = 0;

  receive(frame: Frame): boolean {
    if (this.room === 0) return false;
    this.room--;
    this.frames.push(frame);
    return true;
  }

  receiveDone(): void {
    this.bursts++;
  }

  sendReady(): void {}
}
