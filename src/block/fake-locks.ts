/** A LockManager for tests in Node: first come first served, shared locks together, waiting ends with the signal. */
import type { LockService } from './disk-lock.ts';
import type { LockList } from './image-store.ts';

interface Waiting {
  readonly name: string;
  readonly mode: 'exclusive' | 'shared';
  readonly start: () => void;
}

export class FakeLocks implements LockService, LockList {
  #held: { readonly name: string; readonly mode: 'exclusive' | 'shared' }[] = [];
  #waiting: Waiting[] = [];

  get heldNames(): readonly string[] {
    return this.#held.map(({ name }) => name);
  }

  async query(): Promise<{ held: { name: string }[] }> {
    return { held: this.heldNames.map((name) => ({ name })) };
  }

  request(
    name: string,
    options: { mode: 'exclusive' | 'shared'; signal: AbortSignal },
    work: () => Promise<void>,
  ): Promise<unknown> {
    const { mode, signal } = options;
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        name,
        mode,
        start: () => {
          const held = { name, mode };
          this.#held.push(held);
          void work().then(() => {
            this.#held = this.#held.filter((other) => other !== held);
            this.#grant();
            resolve(undefined);
          });
        },
      };
      this.#waiting.push(waiting);
      signal.addEventListener('abort', () => {
        if (!this.#waiting.includes(waiting)) return;
        this.#waiting = this.#waiting.filter((other) => other !== waiting);
        reject(signal.reason as Error);
      });
      this.#grant();
    });
  }

  #grant(): void {
    for (const waiting of this.#waiting) {
      const conflict = this.#held.some(
        ({ name, mode }) => name === waiting.name && (mode === 'exclusive' || waiting.mode === 'exclusive'),
      );
      if (conflict) continue;
      this.#waiting = this.#waiting.filter((other) => other !== waiting);
      waiting.start();
    }
  }
}
