/** The Internet checksum (RFC 1071) and where the headers of a frame are. Frames come from guests: every offset is checked. */

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_IPV6 = 0x86dd;
const ETHERTYPE_VLAN = 0x8100;
const ETHERTYPE_QINQ = 0x88a8;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
const IPV6_HEADER_BYTES = 40;

/** The 16-bit ones' complement sum of `bytes` from `start` up to `end`, added to `sum`. Not folded, not complemented. */
export function addToSum(bytes: Uint8Array, start: number, end: number, sum = 0): number {
  let total = sum;
  let at = start;
  for (; at + 1 < end; at += 2) total += (bytes[at]! << 8) | bytes[at + 1]!;
  if (at < end) total += bytes[at]! << 8;
  return total;
}

/** The checksum field that belongs to a sum. */
export function finishSum(sum: number): number {
  let folded = sum;
  // 65,535 octets sum to less than 2^32, so a double holds it exactly.
  while (folded > 0xffff) folded = (folded % 0x10000) + Math.floor(folded / 0x10000);
  return ~folded & 0xffff;
}

export interface IpHeaders {
  readonly version: 4 | 6;
  /** Where the IP header is, and the one behind it. */
  readonly ip: number;
  readonly transport: number;
  /** Of that one. Not set for a fragment that does not start the packet. */
  readonly protocol: number;
}

/** Undefined unless it is IP, complete up to the transport header. Extension headers of IPv6 are not followed. */
export function findHeaders(bytes: Uint8Array): IpHeaders | undefined {
  let at = 12;
  let type = word(bytes, at);
  for (let tags = 0; tags < 2 && (type === ETHERTYPE_VLAN || type === ETHERTYPE_QINQ); tags++) {
    at += 4;
    type = word(bytes, at);
  }
  const ip = at + 2;
  if (type === ETHERTYPE_IPV4) {
    if (ip + 20 > bytes.length || bytes[ip]! >>> 4 !== 4) return undefined;
    const transport = ip + (bytes[ip]! & 15) * 4;
    if (transport < ip + 20 || transport > bytes.length) return undefined;
    const isLaterFragment = (word(bytes, ip + 6) & 0x1fff) !== 0;
    return { version: 4, ip, transport, protocol: isLaterFragment ? -1 : bytes[ip + 9]! };
  }
  if (type === ETHERTYPE_IPV6) {
    const transport = ip + IPV6_HEADER_BYTES;
    if (transport > bytes.length || bytes[ip]! >>> 4 !== 6) return undefined;
    return { version: 6, ip, transport, protocol: bytes[ip + 6]! };
  }
  return undefined;
}

/** The sum of the pseudo header (RFC 9293, 3.1; RFC 8200, 8.1) for `bytes` of TCP or UDP. */
export function pseudoHeaderSum(bytes: Uint8Array, headers: IpHeaders, length: number): number {
  const { ip, version, protocol } = headers;
  const addresses =
    version === 4 ? addToSum(bytes, ip + 12, ip + 20) : addToSum(bytes, ip + 8, ip + IPV6_HEADER_BYTES);
  return addresses + protocol + length;
}

function word(bytes: Uint8Array, at: number): number {
  return at + 1 < bytes.length ? (bytes[at]! << 8) | bytes[at + 1]! : -1;
}
