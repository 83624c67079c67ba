/** A virtqueue as its device uses it: asks for kicks when it runs dry, interrupts when the driver wants it. */
import type { DeviceQueue } from './device.ts';
import type { DescriptorChain, QueueCounters, Virtqueue } from './queue.ts';

export class ServedQueue implements DeviceQueue {
  readonly index: number;
  readonly virtqueue: Virtqueue;
  readonly #interrupt: () => void;
  /** The driver has been asked for a kick at the next chain. */
  #isAsking = false;

  constructor(index: number, virtqueue: Virtqueue, interrupt: () => void) {
    this.index = index;
    this.virtqueue = virtqueue;
    this.#interrupt = interrupt;
  }

  get size(): number {
    return this.virtqueue.size;
  }

  get inFlight(): number {
    return this.virtqueue.inFlight;
  }

  get counters(): QueueCounters {
    return this.virtqueue.counters;
  }

  next(): DescriptorChain | undefined {
    for (;;) {
      const chain = this.virtqueue.pop();
      if (chain !== undefined) {
        if (this.#isAsking) this.virtqueue.disableNotifications();
        this.#isAsking = false;
        return chain;
      }
      if (this.#isAsking) return undefined;
      // From the first time on that this says there is nothing more, a kick is on its way for whatever comes.
      this.#isAsking = !this.virtqueue.enableNotifications();
    }
  }

  giveBack(chain: DescriptorChain): void {
    this.virtqueue.unpop(chain);
  }

  complete(chain: DescriptorChain, written: number): void {
    this.virtqueue.push(chain, written);
  }

  expose(): void {
    this.virtqueue.expose();
  }

  flush(): void {
    if (this.virtqueue.publish()) this.#interrupt();
  }
}
