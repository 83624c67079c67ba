/** The entropy device (virtio 1.2, 5.4): one queue of buffers to be filled. */
import type { DeviceContext, DeviceIdentity, VirtioDevice } from './device.ts';
import { writeSegments } from './segments.ts';

export interface VirtioRngOptions {
  readonly name: string;
  /** Fills private memory with random bytes from the host. */
  readonly fill: (bytes: Uint8Array<ArrayBuffer>) => void;
}

const VIRTIO_ID_ENTROPY = 4;
const QUEUE_SIZE = 8;
const REQUEST_QUEUE = 0;
/** A buffer may be filled in part (5.4.6.1): this much costs the host next to nothing. */
const MAX_BYTES = 4096;

export class VirtioRng implements VirtioDevice {
  readonly identity: DeviceIdentity;
  readonly #fill: VirtioRngOptions['fill'];
  #context: DeviceContext | undefined;

  constructor({ name, fill }: VirtioRngOptions) {
    this.#fill = fill;
    this.identity = {
      name,
      type: VIRTIO_ID_ENTROPY,
      queueSizes: [QUEUE_SIZE],
      features: [],
      config: new Uint8Array(0),
    };
  }

  connect(): void {}

  start(context: DeviceContext): void {
    this.#context = context;
  }

  serve(index: number): void {
    const context = this.#context;
    const queue = context?.queue(index);
    if (context === undefined || queue === undefined || index !== REQUEST_QUEUE) return;
    const turn = context.turn();
    for (let chain = queue.next(); chain !== undefined; chain = queue.next()) {
      const bytes = new Uint8Array(Math.min(chain.writableBytes, MAX_BYTES));
      this.#fill(bytes);
      queue.complete(chain, writeSegments(context.memory, chain.writable, 0, bytes));
      if (turn.goesOn(bytes.length)) continue;
      context.serveAgain(index);
      break;
    }
    queue.flush();
  }

  stop(then: () => void): void {
    this.#context = undefined;
    then();
  }
}
