/** Web Locks for one thread: two drives of a machine must not have the same image. */
import type { LockService } from '../../src/block/disk-lock.ts';
import { domError } from './dom-error.ts';

interface Held {
  readonly mode: 'exclusive' | 'shared';
  readonly over: Promise<void>;
}

const held = new Map<string, readonly Held[]>();

export const nodeLocks: LockService = {
  request: async (name, { mode, signal }, work) => {
    const others = (): readonly Held[] => held.get(name) ?? [];
    const isFree = (): boolean => others().every((other) => mode === 'shared' && other.mode === 'shared');
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(domError('AbortError', 'the lock was not free in time')));
    });
    // Nobody waits for it once the lock is free.
    aborted.catch(() => undefined);
    while (!isFree()) await Promise.race([aborted, ...others().map(({ over }) => over)]);
    const over = work();
    const mine: Held = { mode, over };
    held.set(name, [...others(), mine]);
    await over;
    held.set(
      name,
      others().filter((other) => other !== mine),
    );
  },
};
