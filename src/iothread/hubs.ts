/** The hubs that the network cards of a thread are plugged into, each joined to those of the same number in other tabs. */
import { CAUSE_COMPLETION } from '../layout/machine.ts';
import { HubLink } from '../net/hub-link.ts';
import { Hub } from '../net/hub.ts';
import { createMessageRing, MessageRing } from '../sync/message-ring.ts';
import type { EventLoop } from './event-loop.ts';

/** For a helper that carries frames: this thread waits in `Atomics.wait` and would never see a channel's messages. */
export interface HubLinkSetup {
  readonly hub: number;
  /** Bursts of frames from the hub to the other tabs, and from them to the hub. */
  readonly outgoing: SharedArrayBuffer;
  readonly incoming: SharedArrayBuffer;
  /** The machine's memory, and the thread to wake in it. */
  readonly memory: SharedArrayBuffer;
  readonly thread: number;
}

export interface HubsOptions {
  readonly loop: EventLoop;
  readonly memory: SharedArrayBuffer;
  readonly thread: number;
  /** Resolves when the helper listens; undefined where there are no other tabs. */
  readonly link: ((setup: HubLinkSetup) => Promise<void>) | undefined;
}

/** Four of the largest messages, each way. */
const LINK_BYTES = 1 << 20;

export class Hubs {
  readonly #options: HubsOptions;
  readonly #hubs = new Map<number, Hub>();
  readonly #links: Promise<void>[] = [];

  constructor(options: HubsOptions) {
    this.#options = options;
  }

  get(number: number): Hub {
    const present = this.#hubs.get(number);
    if (present !== undefined) return present;
    const hub = new Hub();
    this.#hubs.set(number, hub);
    this.#link(number, hub);
    return hub;
  }

  /** A helper needs the event loop of this thread until it listens. */
  async linked(): Promise<void> {
    await Promise.all(this.#links);
  }

  #link(number: number, hub: Hub): void {
    const { loop, memory, thread, link } = this.#options;
    if (link === undefined) return;
    const outgoing = createMessageRing(LINK_BYTES);
    const incoming = createMessageRing(LINK_BYTES);
    const sent = new MessageRing(outgoing);
    const received = new MessageRing(incoming);
    // A burst without room is lost, as on a wire: TCP sends it again.
    const port = new HubLink(hub, 'other tabs', (burst) => void sent.send(burst));
    loop.onCause(CAUSE_COMPLETION, () => {
      for (let burst = received.receive(); burst !== undefined; burst = received.receive())
        port.arrived(burst);
    });
    this.#links.push(link({ hub: number, outgoing, incoming, memory, thread }));
  }
}
