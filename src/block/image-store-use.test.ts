import { beforeEach, describe, expect, it } from 'vitest';
import { lockDisk } from './disk-lock.ts';
import { FakeLocks } from './fake-locks.ts';
import { FakeOpfs } from './fake-opfs.ts';
import { ImageStore } from './image-store.ts';

const MIB = 1024 * 1024;
const IN_USE = 'The disk “a” is in use by a machine, here or in another tab. End that first.';

let folder: FakeOpfs;
let locks: FakeLocks;
let store: ImageStore;

beforeEach(() => {
  folder = new FakeOpfs();
  locks = new FakeLocks();
  store = new ImageStore({ folder, locks, timeout: () => AbortSignal.timeout(1) });
});

function stream(...pieces: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start: (controller) => {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  });
}

/** Vitest takes minutes for a million elements. */
function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.from(a).equals(b);
}

/** As a machine does it. */
async function use(name: string): Promise<void> {
  await lockDisk(locks, name, { shared: false });
}

describe('the list', () => {
  it('has names, sizes and what is in use, in order', async () => {
    folder.put('b', new Uint8Array(512));
    folder.put('a', new Uint8Array(1024));
    await use('a');
    expect(await store.list()).toEqual([
      { name: 'a', bytes: 1024, inUse: true },
      { name: 'b', bytes: 512, inUse: false },
    ]);
  });

  it('removes what an import left that was cut off, and shows no probe', async () => {
    folder.put('.import-a', new Uint8Array(512));
    folder.put('.virtab-probe-1', new Uint8Array(512));
    expect(await store.list()).toEqual([]);
    expect(folder.names).toEqual(['.virtab-probe-1']);
  });
});

describe('an image', () => {
  it('is made of zeroes, grown, renamed and removed', async () => {
    expect(await store.create('a', 1024)).toMatchObject({ ok: true });
    expect(await store.grow('a', 2048)).toMatchObject({ ok: true });
    expect(await store.rename('a', 'b')).toMatchObject({ ok: true });
    expect(folder.contents('b').data).toEqual(new Uint8Array(2048));
    expect(await store.remove('b')).toMatchObject({ ok: true });
    expect(folder.names).toEqual([]);
  });

  it.each([
    ['create', () => store.create('a', 1024)],
    ['grow', () => store.grow('a', 4096)],
    ['remove', () => store.remove('a')],
    ['rename', () => store.rename('a', 'b')],
    ['rename to', () => store.rename('b', 'a')],
    ['import', () => store.import('a', stream(), 0)],
    ['export', () => store.export('a', () => Promise.resolve())],
  ])('that a machine uses refuses: %s', async (_, action) => {
    folder.put('a', new Uint8Array(1024));
    folder.put('b', new Uint8Array(1024));
    await use('a');
    expect(await action()).toEqual({ ok: false, error: IN_USE });
    expect(folder.contents('a').data).toHaveLength(1024);
  });

  it('does not take the name of another', async () => {
    folder.put('a', new Uint8Array(512));
    folder.put('b', new Uint8Array(1024));
    expect(await store.rename('a', 'b')).toMatchObject({ ok: false });
    expect(await store.import('b', stream(new Uint8Array(512)), 512)).toMatchObject({ ok: false });
    expect(folder.contents('b').data).toHaveLength(1024);
  });

  it.each(['', '.hidden', 'a/b', 'a\\b', 'a:b', 'x'.repeat(201), 'a\n'])('is not called %j', async (name) => {
    expect(await store.create(name, 512)).toMatchObject({ ok: false });
    expect(folder.names).toEqual([]);
  });
});

describe('an import', () => {
  it('is byte for byte what came, whatever the pieces, and leaves zeroes as holes of 64 KiB', async () => {
    const data = new Uint8Array(3 * MIB + 700);
    data.fill(7, 0, 10);
    data.fill(9, 3 * MIB);
    const progress: number[] = [];
    const done = await store.import(
      'a',
      stream(data.subarray(0, 100), data.subarray(100, 2 * MIB + 5), data.subarray(2 * MIB + 5)),
      data.length,
      (bytes) => progress.push(bytes),
    );
    expect(done).toMatchObject({ ok: true });
    expect(same(folder.contents('a').data, data)).toBe(true);
    expect(folder.contents('a').calls.filter((call) => call.startsWith('write'))).toEqual([
      'write 0+65536',
      `write ${3 * MIB}+700`,
    ]);
    expect(progress).toEqual([MIB, 2 * MIB, 3 * MIB, 3 * MIB + 700]);
  });

  it('of zeroes alone has its size', async () => {
    await store.import('a', stream(new Uint8Array(2 * MIB)), 2 * MIB);
    expect(folder.contents('a').data).toHaveLength(2 * MIB);
  });

  it('of nothing leaves nothing', async () => {
    expect(await store.import('a', stream(), 0)).toMatchObject({ ok: false });
    expect(await store.list()).toEqual([]);
  });

  it('that finds no room leaves nothing and says so', async () => {
    folder.quotaBytes = MIB;
    const done = await store.import('a', stream(new Uint8Array(2 * MIB).fill(1)), 2 * MIB);
    expect(done).toEqual({ ok: false, error: expect.stringContaining('no room left for “a”') as string });
    expect(folder.names).toEqual([]);
  });
});

it('an export gives the pieces with their places, one after the other', async () => {
  const data = Uint8Array.from({ length: MIB + 300 }, (_, n) => n & 255);
  folder.put('a', data);
  const copy = new Uint8Array(data.length);
  const places: number[] = [];
  const done = await store.export('a', (piece, at) => {
    copy.set(piece, at);
    places.push(at);
    return Promise.resolve();
  });
  expect(done).toEqual({ ok: true, value: data.length });
  expect([same(copy, data), places]).toEqual([true, [0, MIB]]);
});
