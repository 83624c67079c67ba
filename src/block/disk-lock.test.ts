import { describe, expect, it } from 'vitest';
import { lockDisk } from './disk-lock.ts';
import { FakeLocks } from './fake-locks.ts';

const EXCLUSIVE = { shared: false };
const SHARED = { shared: true };

/** A time limit that the test lets pass. */
function limit(): { readonly timeout: () => AbortSignal; readonly pass: () => void } {
  const controller = new AbortController();
  const error = new Error('time');
  error.name = 'TimeoutError';
  return { timeout: () => controller.signal, pass: () => controller.abort(error) };
}

describe('lockDisk', () => {
  it('gives a free disk at once', async () => {
    expect((await lockDisk(new FakeLocks(), 'sda', EXCLUSIVE)).ok).toBe(true);
  });

  it('waits 5 s by default', async () => {
    const waits: number[] = [];
    await lockDisk(new FakeLocks(), 'sda', {
      shared: false,
      timeout: (ms) => {
        waits.push(ms);
        return new AbortController().signal;
      },
    });
    expect(waits).toEqual([5000]);
  });

  it('refuses a disk that stays in use, and says what to do', async () => {
    const locks = new FakeLocks();
    await lockDisk(locks, 'sda', EXCLUSIVE);
    const { timeout, pass } = limit();
    const second = lockDisk(locks, 'sda', { shared: false, timeout });
    pass();
    expect(await second).toEqual({
      ok: false,
      error:
        'The disk “sda” is in use by another machine, probably in another tab of this browser. ' +
        'Close that one, or start it with readonly=on on both sides, then try again.',
    });
  });

  it('gives the disk to who waits when the first lets go', async () => {
    const locks = new FakeLocks();
    const first = await lockDisk(locks, 'sda', EXCLUSIVE);
    const second = lockDisk(locks, 'sda', { shared: false, timeout: limit().timeout });
    expect(first.ok && first.value.release()).toBe(undefined);
    expect((await second).ok).toBe(true);
  });

  it('lets several read, and nobody write meanwhile', async () => {
    const locks = new FakeLocks();
    expect((await lockDisk(locks, 'sda', SHARED)).ok).toBe(true);
    expect((await lockDisk(locks, 'sda', SHARED)).ok).toBe(true);
    const { timeout, pass } = limit();
    const writer = lockDisk(locks, 'sda', { shared: false, timeout });
    pass();
    expect((await writer).ok).toBe(false);
  });

  it('does not confuse disks', async () => {
    const locks = new FakeLocks();
    await lockDisk(locks, 'sda', EXCLUSIVE);
    expect((await lockDisk(locks, 'sdb', EXCLUSIVE)).ok).toBe(true);
  });

  it('says so if the browser gives no locks', async () => {
    const broken = { request: () => Promise.reject(new DOMException('no', 'SecurityError')) };
    expect(await lockDisk(broken, 'sda', EXCLUSIVE)).toEqual({
      ok: false,
      error: 'The browser gave no lock for the disk “sda”: SecurityError.',
    });
  });
});
