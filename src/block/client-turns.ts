/** Whose turn it is among the sources of a disk. */
import type { QueueClient } from './queue-client.ts';

export class ClientTurns {
  #clients: readonly QueueClient[] = [];
  /** Index of the guest's client that is asked first next time. */
  #turn = 0;

  /** Changed by replacement only, so it may be walked while clients come and go. */
  get all(): readonly QueueClient[] {
    return this.#clients;
  }

  add(client: QueueClient): void {
    this.#clients = [...this.#clients, client];
  }

  remove(client: QueueClient): void {
    this.#clients = this.#clients.filter((other) => other !== client);
  }

  /** The guest's clients in turn. `mayTake`: requests may be taken at all. */
  nextGuest(mayTake: boolean): QueueClient | undefined {
    const clients = this.#clients;
    for (let step = 0; step < clients.length; step++) {
      const index = (this.#turn + step) % clients.length;
      const client = clients[index]!;
      if (client.priority !== 'guest' || !(client.holds || (client.mayTake && mayTake))) continue;
      this.#turn = (index + 1) % clients.length;
      return client;
    }
    return undefined;
  }

  /** The jobs in turn, but only one of all their requests at a time. */
  nextJob(): QueueClient | undefined {
    const jobs = this.#clients.filter((client) => client.priority === 'job');
    if (jobs.some((client) => client.inFlight > 0)) return undefined;
    const job = jobs.find((client) => client.mayTake);
    if (job !== undefined) {
      // Behind the others for the next time.
      this.remove(job);
      this.add(job);
    }
    return job;
  }
}
