/** What a source holds of the queue: its client, with the queue's actions on it. */
import type { BlockClient, BlockRequest, QueueCounters } from './block-backend.ts';
import type { QueueClient } from './queue-client.ts';

export interface ClientActions {
  take(client: QueueClient): void;
  kick(client: QueueClient): void;
  cancel(client: QueueClient, request: BlockRequest): boolean;
  drain(client: QueueClient, then: () => void): void;
  reset(client: QueueClient, then: () => void): void;
  detach(client: QueueClient, then: () => void): void;
}

export class ClientHandle implements BlockClient {
  readonly #client: QueueClient;
  readonly #actions: ClientActions;

  constructor(client: QueueClient, actions: ClientActions) {
    this.#client = client;
    this.#actions = actions;
  }

  get inFlight(): number {
    return this.#client.inFlight;
  }

  get counters(): QueueCounters {
    return this.#client.counters;
  }

  take(): void {
    this.#actions.take(this.#client);
  }

  kick(): void {
    this.#actions.kick(this.#client);
  }

  cancel(request: BlockRequest): boolean {
    return this.#actions.cancel(this.#client, request);
  }

  drain(then: () => void): void {
    this.#actions.drain(this.#client, then);
  }

  reset(then: () => void): void {
    this.#actions.reset(this.#client, then);
  }

  detach(then: () => void): void {
    this.#actions.detach(this.#client, then);
  }
}
