import { describe, expect, it } from 'vitest';
import { addToSum, findHeaders, finishSum } from './checksum.ts';
import { NO_OFFLOAD, NO_OFFLOAD_SUPPORT } from './net-backend.ts';
import type { Frame, Offload } from './net-backend.ts';
import { adaptFrame } from './offload.ts';
import { ethernet, isIntact, MAC_A, MAC_B, pattern, TCP4, TCP6, tcpFrame } from './test-frames.ts';

const everything = { checksum: true, tcp4: true, tcp6: true, ecn: true };

function large(version: 4 | 6, bytes: number, offload: Partial<Offload> = {}, flags?: number): Frame {
  const frame = tcpFrame(version, pattern(bytes), flags);
  const segmentation = version === 4 ? 'tcp4' : 'tcp6';
  return { ...frame, offload: { ...frame.offload, segmentation, segmentBytes: 1460, ...offload } };
}

describe('the Internet checksum', () => {
  it('is that of the example in RFC 1071, section 3', () => {
    expect(finishSum(addToSum(Uint8Array.of(0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7), 0, 8))).toBe(
      ~0xddf2 & 0xffff,
    );
  });

  it('takes an odd byte as the high one', () => {
    expect(finishSum(addToSum(Uint8Array.of(9, 0, 1, 2), 1, 4))).toBe(~0x0201 & 0xffff);
  });

  it('does not overflow over the longest packet', () => {
    expect(finishSum(addToSum(new Uint8Array(65_534).fill(0xff), 0, 65_534))).toBe(0);
  });
});

describe('the headers of a frame', () => {
  const payload = Uint8Array.of(
    0x45,
    0,
    0,
    28,
    0,
    0,
    0,
    0,
    64,
    17,
    0,
    0,
    1,
    1,
    1,
    1,
    2,
    2,
    2,
    2,
    0,
    0,
    0,
    0,
    0,
    8,
    0,
    0,
  );

  it.each([
    ['plain', ethernet(MAC_B, MAC_A, 0x0800, payload), { version: 4, ip: 14, transport: 34, protocol: 17 }],
    [
      'behind a VLAN tag',
      ethernet(MAC_B, MAC_A, 0x8100, Uint8Array.of(0, 5, 8, 0, ...payload)),
      { version: 4, ip: 18, transport: 38, protocol: 17 },
    ],
    ['cut short', ethernet(MAC_B, MAC_A, 0x0800, payload.subarray(0, 19)), undefined],
    [
      'with a header length beyond the end',
      ethernet(MAC_B, MAC_A, 0x0800, Uint8Array.of(0x4f, ...payload.subarray(1))),
      undefined,
    ],
    [
      'with a header length of 4',
      ethernet(MAC_B, MAC_A, 0x0800, Uint8Array.of(0x41, ...payload.subarray(1))),
      undefined,
    ],
    ['of ARP', ethernet(MAC_B, MAC_A, 0x0806, payload), undefined],
    ['of nothing', new Uint8Array(0), undefined],
  ])('are found: %s', (_, bytes, expected) => {
    expect(findHeaders(bytes)).toEqual(expected);
  });
});

describe('a frame for a receiver', () => {
  it('stays as it is where all is supported', () => {
    const frame = large(4, 4000);
    expect(adaptFrame(frame, everything)).toEqual([frame]);
  });

  it.each([4, 6] as const)('gets its checksum completed: IPv%d', (version) => {
    const frame = tcpFrame(version, pattern(301));
    const adapted = adaptFrame(frame, NO_OFFLOAD_SUPPORT)!;
    expect(adapted).toHaveLength(1);
    expect(adapted[0]!.offload).toEqual({ ...NO_OFFLOAD, isChecked: true });
    expect([isIntact(frame.bytes), isIntact(adapted[0]!.bytes)]).toEqual([false, true]);
  });

  it.each([
    ['starts behind the end', { start: 1000, offset: 0 }],
    ['ends behind the end', { start: 300, offset: 73 }],
    ['is far away', { start: 34, offset: 65_535 }],
  ])('is refused when its checksum %s', (_, checksum) => {
    const frame: Frame = { bytes: pattern(374), offload: { ...NO_OFFLOAD, checksum } };
    expect(adaptFrame(frame, NO_OFFLOAD_SUPPORT)).toBeUndefined();
  });

  it.each([4, 6] as const)('is cut into intact segments: IPv%d', (version) => {
    const payload = pattern(3000);
    const frames = adaptFrame(large(version, 3000), { ...everything, tcp4: false, tcp6: false })!;
    const start = (version === 4 ? TCP4 : TCP6) + 20;
    expect(frames.map(({ bytes }) => bytes.length - start)).toEqual([1460, 1460, 80]);
    expect(frames.map(({ bytes }) => isIntact(bytes))).toEqual([true, true, true]);
    expect(frames.flatMap(({ bytes }) => [...bytes.subarray(start)])).toEqual([...payload]);
    const sequence = frames.map(({ bytes }) => new DataView(bytes.buffer).getUint32(start - 16));
    expect(sequence).toEqual([0xfffffff0, 0xfffffff0 + 1460 - 2 ** 32, 0xfffffff0 + 2920 - 2 ** 32]);
  });

  it('numbers IPv4 segments, and leaves FIN and PSH to the last and CWR to the first', () => {
    const frames = adaptFrame(large(4, 3000, { hasEcn: true }, 0x99), NO_OFFLOAD_SUPPORT)!;
    expect(frames.map(({ bytes }) => (bytes[18]! << 8) | bytes[19]!)).toEqual([0x12ff, 0x1300, 0x1301]);
    expect(frames.map(({ bytes }) => bytes[TCP4 + 13])).toEqual([0x90, 0x10, 0x19]);
  });

  it('keeps CWR in all segments where it is not about congestion', () => {
    const frames = adaptFrame(large(4, 2000, {}, 0x90), NO_OFFLOAD_SUPPORT)!;
    expect(frames.map(({ bytes }) => bytes[TCP4 + 13])).toEqual([0x90, 0x90]);
  });

  it('is one segment when there is no payload', () => {
    const frames = adaptFrame(large(4, 0), NO_OFFLOAD_SUPPORT)!;
    expect(frames.map(({ bytes }) => [bytes.length, isIntact(bytes)])).toEqual([[54, true]]);
  });

  const tcp = tcpFrame(4, pattern(100));
  const edited = (at: number, value: number): Uint8Array<ArrayBuffer> => {
    const bytes = tcp.bytes.slice();
    bytes[at] = value;
    return bytes;
  };

  it.each([
    ['segments of no size', tcp.bytes, { segmentBytes: 0 }],
    ['segments of one byte', tcp.bytes, { segmentBytes: 1 }],
    ['UDP', edited(23, 17), {}],
    ['IPv4 that says IPv6', tcp.bytes, { segmentation: 'tcp6' as const }],
    ['a TCP header of 4 bytes', edited(TCP4 + 12, 0x10), {}],
    ['a TCP header beyond the end', tcp.bytes.slice(0, TCP4 + 10), {}],
    ['options beyond the end', edited(TCP4 + 12, 0xf0).slice(0, TCP4 + 40), {}],
    ['a later fragment', edited(21, 1), {}],
  ])('is refused when it cannot be cut: %s', (_, bytes, offload) => {
    const frame: Frame = {
      bytes,
      offload: { ...tcp.offload, segmentation: 'tcp4', segmentBytes: 60, ...offload },
    };
    expect(adaptFrame(frame, NO_OFFLOAD_SUPPORT)).toBeUndefined();
  });
});
