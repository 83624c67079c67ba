/** A device for tests: queue 0 returns what it reads, turned to upper case; queue 1 keeps its chains until told. */
import type { DeviceContext, DeviceHostLink, DeviceIdentity, VirtioDevice } from './device.ts';
import type { DescriptorChain } from './queue.ts';
import { readSegments, writeSegments } from './segments.ts';

export class EchoDevice implements VirtioDevice {
  readonly identity: DeviceIdentity = {
    name: 'echo',
    type: 4,
    queueSizes: [16, 8],
    features: [0, 5],
    config: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
    writableConfig: [{ offset: 4, bytes: 2 }],
  };
  readonly events: string[] = [];
  readonly kept: DescriptorChain[] = [];
  host: DeviceHostLink | undefined;
  context: DeviceContext | undefined;
  /** Set: a stop waits for `releaseStop`. */
  holdsStop = false;
  #then: (() => void) | undefined;

  connect(host: DeviceHostLink): void {
    this.host = host;
  }

  start(context: DeviceContext): void {
    this.context = context;
    this.events.push('start');
  }

  serve(index: number): void {
    this.events.push(`serve ${index}`);
    const { memory } = this.context!;
    const queue = this.context!.queue(index)!;
    for (let chain = queue.next(); chain !== undefined; chain = queue.next()) {
      if (index === 1) {
        this.kept.push(chain);
        continue;
      }
      const text = readSegments(memory, chain.readable, 0, chain.readableBytes);
      const written = writeSegments(
        memory,
        chain.writable,
        0,
        text.map((byte) => byte & ~0x20),
      );
      queue.complete(chain, written);
    }
    queue.flush();
  }

  stop(then: () => void): void {
    this.events.push('stop');
    this.kept.length = 0;
    if (this.holdsStop) this.#then = then;
    else then();
  }

  releaseStop(): void {
    this.#then?.();
    this.#then = undefined;
  }

  configWritten(config: DataView): void {
    this.events.push(`config ${config.getUint16(4, true).toString(16)}`);
  }
}
