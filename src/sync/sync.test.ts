import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { viewsOf } from '../base/views.ts';
import {
  CAUSE_INTERRUPT,
  CAUSE_MAIL,
  CAUSE_STOP,
  RING,
  SERIAL_OUT_BASE,
  STOP_PAUSE,
  STOP_QUIT,
  THREAD,
  threadAddress,
} from '../layout/machine.ts';
import { SharedLock } from './lock.ts';
import { ByteRing, createRing } from './ring.ts';
import { acknowledgeStop, requestStop, stopAnswer, stopObeyed, stopRequest } from './stop.ts';
import { wakeThread, WakeWord } from './wake.ts';

const THREAD_NUMBER = 3;

function memory() {
  return viewsOf(new SharedArrayBuffer(0x40000));
}

function threadWord(views: ReturnType<typeof memory>, field: 'wake' | 'sleeping' | 'causes') {
  return views.i32[(threadAddress(THREAD_NUMBER) + THREAD.at[field]) >>> 2];
}

/** Runs `source` in a thread that gets the shared buffer as `buffer`. */
function inThread(buffer: ArrayBufferLike, source: string): Promise<number> {
  const code = `const { workerData: { buffer } } = require('node:worker_threads'); ${source}`;
  const worker = new Worker(code, { eval: true, workerData: { buffer } });
  return new Promise((resolve) => worker.on('exit', resolve));
}

describe('the wake word', () => {
  it('gives each cause once', () => {
    const views = memory();
    const word = new WakeWord(views, THREAD_NUMBER);
    wakeThread(views, THREAD_NUMBER, CAUSE_MAIL);
    wakeThread(views, THREAD_NUMBER, CAUSE_INTERRUPT);
    expect(word.take()).toBe(CAUSE_MAIL | CAUSE_INTERRUPT);
    expect(word.take()).toBe(0);
  });

  it('does not wait when a cause is set already', () => {
    const views = memory();
    const word = new WakeWord(views, THREAD_NUMBER);
    wakeThread(views, THREAD_NUMBER, CAUSE_MAIL);
    expect(word.wait(Infinity)).toBe(CAUSE_MAIL);
    expect(threadWord(views, 'sleeping')).toBe(0);
  });

  it('comes back without a cause after the timeout', () => {
    const views = memory();
    expect(new WakeWord(views, THREAD_NUMBER).wait(5)).toBe(0);
  });

  it('is woken by another thread', async () => {
    const views = memory();
    const causes = (threadAddress(THREAD_NUMBER) + THREAD.at.causes) >>> 2;
    const wake = (threadAddress(THREAD_NUMBER) + THREAD.at.wake) >>> 2;
    const waker = inThread(
      views.buffer,
      `const words = new Int32Array(buffer);
       Atomics.or(words, ${causes}, ${CAUSE_INTERRUPT}); Atomics.add(words, ${wake}, 1); Atomics.notify(words, ${wake});`,
    );
    expect(new WakeWord(views, THREAD_NUMBER).wait(5000)).toBe(CAUSE_INTERRUPT);
    await waker;
  });

  it('wakes a promise-based waiter, whose sleeping flag one waker claims', async () => {
    const views = memory();
    const waiting = new WakeWord(views, THREAD_NUMBER).waitAsync(5000);
    expect(threadWord(views, 'sleeping')).toBe(1);
    wakeThread(views, THREAD_NUMBER, CAUSE_MAIL);
    expect(threadWord(views, 'sleeping')).toBe(0);
    await expect(waiting).resolves.toBe(CAUSE_MAIL);
  });
});

describe('stopping', () => {
  it('is a request with a wake-up, and an answer', async () => {
    const views = memory();
    const obeyed = stopObeyed(views, THREAD_NUMBER, STOP_PAUSE, 5000);
    requestStop(views, THREAD_NUMBER, STOP_PAUSE);
    expect(new WakeWord(views, THREAD_NUMBER).take()).toBe(CAUSE_STOP);
    expect(stopRequest(views, THREAD_NUMBER)).toBe(STOP_PAUSE);
    acknowledgeStop(views, THREAD_NUMBER, STOP_PAUSE);
    await expect(obeyed).resolves.toBe(true);
    expect(stopAnswer(views, THREAD_NUMBER)).toBe(STOP_PAUSE);
  });

  it('reports a thread that does not answer', async () => {
    const views = memory();
    requestStop(views, THREAD_NUMBER, STOP_QUIT);
    await expect(stopObeyed(views, THREAD_NUMBER, STOP_QUIT, 5)).resolves.toBe(false);
  });
});

describe('the lock', () => {
  it('lets no increment of four threads get lost', { timeout: 60_000 }, async () => {
    const views = memory();
    const file = new URL('lock.ts', import.meta.url).href;
    const source = `
      require('tsx/cjs');
      import('tsx/esm/api').then(({ tsImport }) => tsImport(${JSON.stringify(file)}, ${JSON.stringify(import.meta.url)})).then(({ SharedLock }) => {
        const i32 = new Int32Array(buffer);
        const lock = new SharedLock({ i32 }, 0x100);
        for (let n = 0; n < 20000; n++) { lock.acquire(); i32[0x50]++; lock.release(); }
      });`;
    await Promise.all([1, 2, 3, 4].map(() => inThread(views.buffer, source)));
    expect(views.i32[0x50]).toBe(80_000);
    expect(views.i32[0x40]).toBe(0);
  });

  it('can be taken again after its release', () => {
    const views = memory();
    const lock = new SharedLock(views, 0x100, 'spin');
    lock.acquire();
    expect(views.i32[0x40]).toBe(1);
    lock.release();
    lock.acquire();
    expect(views.i32[0x40]).toBe(1);
  });
});

describe('the byte ring', () => {
  function ringOf(capacity: number) {
    const views = memory();
    createRing(views, SERIAL_OUT_BASE, capacity);
    return { views, ring: new ByteRing(views, SERIAL_OUT_BASE) };
  }

  it('gives bytes back in order across the wrap', () => {
    const { ring } = ringOf(8);
    expect(ring.push(Uint8Array.of(1, 2, 3, 4, 5, 6))).toBe(6);
    expect([...ring.pop(4)]).toEqual([1, 2, 3, 4]);
    expect(ring.push(Uint8Array.of(7, 8, 9, 10, 11))).toBe(5);
    expect([...ring.pop(100)]).toEqual([5, 6, 7, 8, 9, 10, 11]);
  });

  it('takes no more than it has room for', () => {
    const { ring } = ringOf(4);
    expect(ring.push(Uint8Array.of(1, 2, 3, 4, 5))).toBe(4);
    expect(ring.pushByte(6)).toBe(false);
    expect(ring.free).toBe(0);
    expect(ring.popByte()).toBe(1);
    expect(ring.pushByte(6)).toBe(true);
  });

  it('reports that it is empty', () => {
    const { ring } = ringOf(4);
    expect(ring.popByte()).toBe(-1);
    expect(ring.pop(4)).toHaveLength(0);
  });

  it('keeps working when its counters pass 2^32', () => {
    const { views } = ringOf(8);
    views.u32[(SERIAL_OUT_BASE + RING.at.head) >>> 2] = 0xfffffffe;
    views.u32[(SERIAL_OUT_BASE + RING.at.tail) >>> 2] = 0xfffffffe;
    const ring = new ByteRing(views, SERIAL_OUT_BASE);
    expect(ring.push(Uint8Array.of(1, 2, 3, 4))).toBe(4);
    expect(ring.length).toBe(4);
    expect([...ring.pop(8)]).toEqual([1, 2, 3, 4]);
    expect(ring.free).toBe(8);
  });
});
