import { describe, expect, it } from 'vitest';
import { createMessageRing, MessageRing } from './message-ring.ts';

function rings(bytes: number) {
  const buffer = createMessageRing(bytes);
  return { producer: new MessageRing(buffer), consumer: new MessageRing(buffer) };
}

describe('a message ring', () => {
  it('gives messages whole and in order, also across its end and empty ones', () => {
    const { producer, consumer } = rings(16);
    const sent = [producer.send(Uint8Array.of(1, 2, 3)), producer.send(new Uint8Array(0))];
    const first = [consumer.receive(), consumer.receive(), consumer.receive()];
    producer.send(Uint8Array.of(4, 5, 6, 7, 8, 9));
    expect(sent).toEqual([true, true]);
    expect(first).toEqual([Uint8Array.of(1, 2, 3), new Uint8Array(0), undefined]);
    expect(consumer.receive()).toEqual(Uint8Array.of(4, 5, 6, 7, 8, 9));
  });

  it('takes nothing of what does not fit, and counts it', () => {
    const { producer, consumer } = rings(16);
    expect([producer.send(new Uint8Array(8)), producer.send(new Uint8Array(1)), producer.lost]).toEqual([
      true,
      false,
      1,
    ]);
    expect([consumer.receive(), consumer.receive()]).toEqual([new Uint8Array(8), undefined]);
  });

  it('wakes a consumer that waits', async () => {
    const { producer, consumer } = rings(64);
    const got = new Promise((resolve) => void consumer.consume((message) => resolve(message)));
    await Promise.resolve();
    producer.send(Uint8Array.of(7));
    expect(await got).toEqual(Uint8Array.of(7));
  });
});
