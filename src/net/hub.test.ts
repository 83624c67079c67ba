import { describe, expect, it } from 'vitest';
import { Hub } from './hub.ts';
import { NO_OFFLOAD } from './net-backend.ts';
import type { Frame } from './net-backend.ts';
import { isIntact, pattern, tcpFrame, TestReceiver } from './test-frames.ts';

const frame = (bytes: number): Frame => ({ bytes: pattern(bytes), offload: NO_OFFLOAD });

function hubOf(count: number) {
  const hub = new Hub();
  const receivers = Array.from({ length: count }, () => new TestReceiver());
  const ports = receivers.map((receiver, n) => hub.connect(receiver, `port${n}`));
  return { hub, receivers, ports };
}

describe('a hub', () => {
  it('gives a frame to all but its sender, and ends the burst', () => {
    const { receivers, ports } = hubOf(3);
    ports[1]!.send(frame(60));
    ports[1]!.send(frame(61));
    ports[1]!.sendDone();
    expect(receivers.map(({ frames, bursts }) => [frames.map(({ bytes }) => bytes.length), bursts])).toEqual([
      [[60, 61], 1],
      [[], 0],
      [[60, 61], 1],
    ]);
  });

  it('gives each what it takes', () => {
    const { receivers, ports } = hubOf(3);
    receivers[1]!.supports = { checksum: true, tcp4: true, tcp6: true, ecn: true };
    const sent = tcpFrame(4, pattern(500));
    ports[0]!.send({ ...sent, offload: { ...sent.offload, segmentation: 'tcp4', segmentBytes: 200 } });
    expect(receivers[1]!.frames.map(({ bytes }) => bytes.length)).toEqual([554]);
    expect(receivers[2]!.frames.map(({ bytes }) => [bytes.length, isIntact(bytes)])).toEqual([
      [254, true],
      [254, true],
      [154, true],
    ]);
  });

  it('keeps frames in order for a port without room, and drops what is too much', () => {
    const { receivers, ports } = hubOf(3);
    receivers[1]!.room = 1;
    for (let n = 0; n < 300; n++) ports[0]!.send(frame(60 + n));
    expect([receivers[1]!.frames.length, receivers[2]!.frames.length, ports[1]!.counters.dropped]).toEqual([
      1, 300, 43,
    ]);
    receivers[1]!.room = Infinity;
    ports[1]!.receiveReady();
    expect(receivers[1]!.frames.map(({ bytes }) => bytes.length)).toEqual(
      Array.from({ length: 257 }, (_, n) => 60 + n),
    );
    expect([receivers[1]!.bursts, ports[1]!.counters.receivedFrames]).toEqual([1, 257]);
  });

  it('drops what is malformed and counts it at its sender, once', () => {
    const { receivers, ports } = hubOf(3);
    receivers[2]!.supports = { checksum: true, tcp4: true, tcp6: true, ecn: true };
    ports[0]!.send({ bytes: pattern(60), offload: { ...NO_OFFLOAD, checksum: { start: 100, offset: 0 } } });
    expect(receivers.map(({ frames }) => frames.length)).toEqual([0, 0, 0]);
    expect(ports[0]!.counters.malformed).toBe(1);
  });

  it('carries nothing to or from a port whose link is down, nor what waited for it', () => {
    const { receivers, ports } = hubOf(2);
    receivers[1]!.room = 0;
    ports[0]!.send(frame(60));
    ports[1]!.setLink(false);
    ports[0]!.send(frame(61));
    ports[1]!.send(frame(62));
    receivers[1]!.room = Infinity;
    ports[1]!.setLink(true);
    ports[1]!.receiveReady();
    ports[0]!.send(frame(63));
    expect([receivers[0]!.frames.length, receivers[1]!.frames.map(({ bytes }) => bytes.length)]).toEqual([
      0,
      [63],
    ]);
  });

  it('forgets a port that is closed', () => {
    const { receivers, ports } = hubOf(2);
    ports[1]!.close();
    ports[0]!.send(frame(60));
    expect(receivers[1]!.frames).toEqual([]);
  });
});
