import { describe, expect, it } from 'vitest';
import { Hub } from './hub.ts';
import { HubLink } from './hub-link.ts';
import { NO_OFFLOAD } from './net-backend.ts';
import type { Frame } from './net-backend.ts';
import { isIntact, pattern, tcpFrame, TestReceiver } from './test-frames.ts';

const plain = (bytes: number): Frame => ({ bytes: pattern(bytes), offload: NO_OFFLOAD });

/** Two tabs, each with a hub, a card and a link; messages arrive when the test says so. */
function twoTabs() {
  const messages: Uint8Array<ArrayBuffer>[] = [];
  const hubs = [new Hub(), new Hub()];
  const cards = [new TestReceiver(), new TestReceiver()];
  const ports = hubs.map((hub, n) => hub.connect(cards[n]!, 'card'));
  const here = new HubLink(hubs[0]!, 'link', (message) => messages.push(message));
  const there = new HubLink(hubs[1]!, 'link', () => messages.push(new Uint8Array(0)));
  const deliver = () => {
    for (const message of messages.splice(0)) there.arrived(message);
  };
  return { messages, cards, ports, here, there, deliver };
}

describe('hubs of two tabs', () => {
  it('exchange bursts of frames in one message, and nothing comes back', () => {
    const { messages, cards, ports, deliver } = twoTabs();
    const frames = [plain(60), plain(1514), plain(14)];
    for (const frame of frames) ports[0]!.send(frame);
    ports[0]!.sendDone();
    expect(messages).toHaveLength(1);
    deliver();
    expect([cards[1]!.frames, cards[1]!.bursts, messages]).toEqual([frames, 1, []]);
  });

  it('keep offloads on the way, and do what the far card does not take', () => {
    const { cards, ports, deliver } = twoTabs();
    const frame = tcpFrame(6, pattern(3000));
    ports[0]!.send({
      ...frame,
      offload: { ...frame.offload, segmentation: 'tcp6', segmentBytes: 1440, hasEcn: true },
    });
    ports[0]!.sendDone();
    deliver();
    expect(cards[1]!.frames.map(({ bytes }) => [bytes.length, isIntact(bytes)])).toEqual([
      [1514, true],
      [1514, true],
      [194, true],
    ]);
  });

  it('send a long burst in several messages', () => {
    const { messages, ports } = twoTabs();
    for (let n = 0; n < 10; n++) ports[0]!.send(plain(65_000));
    ports[0]!.sendDone();
    expect(messages.map(({ length }) => length)).toEqual([5 * 65_012, 5 * 65_012]);
  });

  it.each([
    ['a header cut short', Uint8Array.of(60, 0, 0, 0, 0)],
    ['a frame cut short', Uint8Array.of(60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3)],
    ['a frame that is too short', Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)],
    ['a frame of 4 GiB', Uint8Array.of(255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 1)],
    ['an unknown segmentation', Uint8Array.of(14, 0, 0, 0, 1, 9, 0, 0, 0, 0, 0, 0, ...pattern(14))],
    ['segmentation without a checksum', Uint8Array.of(14, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...pattern(14))],
  ])('refuse a message with %s', (_, message) => {
    const { there, cards } = twoTabs();
    there.arrived(message);
    expect([there.refused, cards[1]!.frames]).toEqual([1, []]);
  });
});
