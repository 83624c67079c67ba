/**
 * A hub: what one port sends, all others receive. Each gets it as its offloads allow. A port without room keeps a
 * bounded number of frames waiting, so that a slow guest holds up nobody; what is more is dropped and counted.
 */
import type { Frame, NetBackend, NetConnection, NetReceiver, PortCounters } from './net-backend.ts';
import { adaptFrame } from './offload.ts';

/** About a full receive queue: beyond that TCP is better told by a loss. */
const MAX_WAITING = 256;

class HubPort implements NetConnection {
  readonly name: string;
  readonly counters: PortCounters = {
    sentFrames: 0,
    sentBytes: 0,
    receivedFrames: 0,
    receivedBytes: 0,
    dropped: 0,
    malformed: 0,
  };
  readonly #hub: Hub;
  readonly #receiver: NetReceiver;
  readonly #waiting: Frame[] = [];
  #isUp = true;
  /** Received since the last `receiveDone`. */
  #isDirty = false;

  constructor(hub: Hub, receiver: NetReceiver, name: string) {
    this.#hub = hub;
    this.#receiver = receiver;
    this.name = name;
  }

  send(frame: Frame): boolean {
    if (!this.#isUp) return true;
    this.counters.sentFrames++;
    this.counters.sentBytes += frame.bytes.length;
    let isMalformed = false;
    for (const port of this.#hub.ports) {
      if (port !== this && !port.#deliver(frame)) isMalformed = true;
    }
    if (isMalformed) this.counters.malformed++;
    return true;
  }

  sendDone(): void {
    for (const port of this.#hub.ports) if (port !== this) port.#done();
  }

  receiveReady(): void {
    while (this.#waiting.length > 0 && this.#hand(this.#waiting[0]!)) this.#waiting.shift();
    this.#done();
  }

  setLink(isUp: boolean): void {
    this.#isUp = isUp;
    if (!isUp) this.#waiting.length = 0;
  }

  close(): void {
    this.#hub.remove(this);
  }

  /** False: the frame is malformed. */
  #deliver(frame: Frame): boolean {
    if (!this.#isUp) return true;
    const frames = adaptFrame(frame, this.#receiver.supports);
    if (frames === undefined) return false;
    for (const adapted of frames) {
      // Nothing overtakes what waits already.
      if (this.#waiting.length === 0 && this.#hand(adapted)) continue;
      if (this.#waiting.length < MAX_WAITING) this.#waiting.push(adapted);
      else this.counters.dropped++;
    }
    return true;
  }

  #hand(frame: Frame): boolean {
    if (!this.#receiver.receive(frame)) return false;
    this.#isDirty = true;
    this.counters.receivedFrames++;
    this.counters.receivedBytes += frame.bytes.length;
    return true;
  }

  #done(): void {
    if (!this.#isDirty) return;
    this.#isDirty = false;
    this.#receiver.receiveDone();
  }
}

export class Hub implements NetBackend {
  /** Replaced, never changed: a port may come or go while frames are handed out. */
  #ports: readonly HubPort[] = [];

  get ports(): readonly HubPort[] {
    return this.#ports;
  }

  connect(receiver: NetReceiver, name: string): NetConnection {
    const port = new HubPort(this, receiver, name);
    this.#ports = [...this.#ports, port];
    return port;
  }

  remove(port: NetConnection): void {
    this.#ports = this.#ports.filter((other) => other !== port);
  }
}
