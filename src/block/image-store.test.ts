import { expect, test } from 'vitest';
import { FakeLocks } from './fake-locks.ts';
import { FakeOpfs } from './fake-opfs.ts';
import { ImageStore } from './image-store.ts';
import { SteeredStream } from './steered-stream.ts';

const MIB = 1024 * 1024;

function storeWith(folder = new FakeOpfs()) {
  const locks = new FakeLocks();
  return { folder, locks, store: new ImageStore({ folder, locks }) };
}

function hold(locks: FakeLocks, disk: string): void {
  const { signal } = new AbortController();
  void locks.request(
    `virtab-disk-${disk}`,
    { mode: 'exclusive', signal },
    () => new Promise(() => undefined),
  );
}

test('a new disk is listed with its size', async () => {
  const { store } = storeWith();
  expect(await store.create('data.img', MIB)).toEqual({ ok: true, value: undefined });
  expect(await store.list()).toEqual([{ name: 'data.img', bytes: MIB, inUse: false }]);
});

test('an imported file is there byte for byte, with progress', async () => {
  const { folder, store } = storeWith();
  const bytes = new Uint8Array(3 * MIB);
  bytes.fill(5, 0, 100);
  bytes.fill(9, 2 * MIB, 2 * MIB + 100);
  const progress: number[] = [];
  const end = await store.import('a.img', new Blob([bytes]).stream(), bytes.length, (done) =>
    progress.push(done),
  );
  expect(end).toEqual({ ok: true, value: undefined });
  // Not toEqual: it takes seconds for so many bytes.
  expect(Buffer.compare(folder.contents('a.img').data, bytes)).toBe(0);
  expect(folder.names).toEqual(['a.img']);
  expect(progress).toEqual([MIB, 2 * MIB, 3 * MIB]);
});

test('a cancelled import leaves nothing behind', async () => {
  const { folder, store } = storeWith();
  const steered = new SteeredStream(new Blob([new Uint8Array(4 * MIB).fill(1)]).stream());
  const end = await store.import('a.img', steered.readable, 4 * MIB, () => steered.steer('cancel'));
  expect(end.ok).toBe(false);
  expect(steered.isCancelled).toBe(true);
  expect(folder.names).toEqual([]);
});

test('a paused import waits, and goes on', async () => {
  const { folder, store } = storeWith();
  const pieces = [1, 2, 3].map((byte) => new Uint8Array(MIB).fill(byte));
  const source = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      const piece = pieces.shift();
      if (piece === undefined) controller.close();
      else controller.enqueue(piece);
    },
  });
  const steered = new SteeredStream(source);
  const progress: number[] = [];
  const end = store.import('a.img', steered.readable, 3 * MIB, (done) => {
    progress.push(done);
    if (done === MIB) steered.steer('pause');
  });
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(progress).toEqual([MIB]);
  steered.steer('resume');
  expect(await end).toEqual({ ok: true, value: undefined });
  expect(folder.names).toEqual(['a.img']);
});

test('an import without room says so and leaves nothing behind', async () => {
  const { folder, store } = storeWith(new FakeOpfs({ quotaBytes: MIB }));
  const end = await store.import('big.img', new Blob([new Uint8Array(2 * MIB).fill(1)]).stream(), 2 * MIB);
  expect(end).toMatchObject({ ok: false, error: expect.stringContaining('has no room left for “big.img”') });
  expect(folder.names).toEqual([]);
});

test('what an import left behind is gone from the next list on', async () => {
  const { folder, store } = storeWith();
  folder.put('.import-half.img', new Uint8Array(512));
  folder.put('whole.img', new Uint8Array(512));
  expect((await store.list()).map(({ name }) => name)).toEqual(['whole.img']);
  expect(folder.names).toEqual(['whole.img']);
});

test.each([
  ['delete', (store: ImageStore) => store.remove('a.img')],
  ['rename', (store: ImageStore) => store.rename('a.img', 'b.img')],
  ['grow', (store: ImageStore) => store.grow('a.img', 2 * MIB)],
])('a disk that a machine uses is not touched: %s', async (_, change) => {
  const { folder, store, locks } = storeWith();
  await store.create('a.img', MIB);
  hold(locks, 'a.img');
  expect(await change(store)).toEqual({
    ok: false,
    error: 'The disk “a.img” is in use by a machine, here or in another tab. End that first.',
  });
  expect((await store.list()).map(({ name, inUse }) => [name, inUse])).toEqual([['a.img', true]]);
  expect(folder.contents('a.img').data.length).toBe(MIB);
});

test('a disk is renamed, but not onto another', async () => {
  const { folder, store } = storeWith();
  await store.create('a.img', MIB);
  await store.create('b.img', MIB);
  expect(await store.rename('a.img', 'b.img')).toMatchObject({ ok: false });
  expect(await store.rename('a.img', 'c.img')).toMatchObject({ ok: true });
  expect(folder.names.toSorted()).toEqual(['b.img', 'c.img']);
});

test('a disk grows and does not shrink', async () => {
  const { store } = storeWith();
  await store.create('a.img', 2 * MIB);
  expect(await store.grow('a.img', 4 * MIB)).toMatchObject({ ok: true });
  expect(await store.grow('a.img', MIB)).toMatchObject({
    ok: false,
    error: expect.stringContaining('Making it smaller would destroy'),
  });
});

test.each(['', '../escape', 'a/b', 'tab\tbed', '.hidden'])(
  '“%s” cannot be the name of a disk',
  async (name) => {
    const { folder, store } = storeWith();
    expect(await store.create(name, MIB)).toMatchObject({
      ok: false,
      error: expect.stringContaining('cannot be the name of a disk'),
    });
    expect(folder.names).toEqual([]);
  },
);
