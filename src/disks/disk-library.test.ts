import { expect, test } from 'vitest';
import { FakeLocks } from '../block/fake-locks.ts';
import { FakeOpfs } from '../block/fake-opfs.ts';
import { DiskLibrary } from './disk-library.ts';
import type { LibraryEntry, LibraryFolder } from './disk-library.ts';

const MIB = 1024 * 1024;

class FakeFolder extends FakeOpfs implements LibraryFolder {
  async *entries(): AsyncIterable<LibraryEntry> {
    for (const name of this.names) {
      const { data } = this.contents(name);
      yield {
        name,
        getFile: async () => Object.assign(new Blob([data]), { lastModified: 7 }),
        move: async (to) => {
          this.put(to, this.contents(name).data);
          await this.removeEntry(name);
        },
      };
    }
  }
}

class QueryableLocks extends FakeLocks {
  async query(): Promise<{ held: { name: string }[] }> {
    return { held: this.heldNames.map((name) => ({ name })) };
  }
}

function libraryWith(folder = new FakeFolder()) {
  const locks = new QueryableLocks();
  return { folder, locks, library: new DiskLibrary({ folder, locks }) };
}

function hold(locks: FakeLocks, disk: string): void {
  const { signal } = new AbortController();
  void locks.request(
    `virtab-disk-${disk}`,
    { mode: 'exclusive', signal },
    () => new Promise(() => undefined),
  );
}

test('a new disk is listed with its size and as blank', async () => {
  const { library } = libraryWith();
  expect(await library.create('data.img', MIB)).toEqual({ ok: true, value: undefined });
  expect(await library.list()).toEqual([
    { name: 'data.img', sizeBytes: MIB, modified: 7, content: 'blank', inUse: false },
  ]);
});

test('an imported file is there byte for byte, with zeroes left out', async () => {
  const { folder, library } = libraryWith();
  const bytes = new Uint8Array(3 * MIB);
  bytes.fill(5, 0, 100);
  bytes.fill(9, 2 * MIB, 2 * MIB + 100);
  const progress: number[] = [];
  const end = await library.import(1, 'a.img', new Blob([bytes]), (done) => progress.push(done));
  expect(end).toEqual({ ok: true, value: 'imported' });
  // Not toEqual: it takes seconds for so many bytes.
  expect(Buffer.compare(folder.contents('a.img').data, bytes)).toBe(0);
  expect(folder.names).toEqual(['a.img']);
  expect(progress).toEqual([0, MIB, 2 * MIB, 3 * MIB]);
});

test('a file that is no multiple of the sector is filled up with zeroes', async () => {
  const { folder, library } = libraryWith();
  await library.import(1, 'odd.img', new Blob([new Uint8Array(700).fill(1)]), () => undefined);
  expect(folder.contents('odd.img').data.length).toBe(1024);
});

test('a cancelled import leaves nothing behind', async () => {
  const { folder, library } = libraryWith();
  const file = new Blob([new Uint8Array(4 * MIB).fill(1)]);
  const end = library.import(1, 'a.img', file, (done) => {
    if (done === MIB) library.steer(1, 'cancel');
  });
  expect(await end).toEqual({ ok: true, value: 'cancelled' });
  expect(folder.names).toEqual([]);
});

test('a paused import waits, and goes on', async () => {
  const { folder, library } = libraryWith();
  const file = new Blob([new Uint8Array(3 * MIB).fill(1)]);
  const progress: number[] = [];
  const end = library.import(1, 'a.img', file, (done) => {
    progress.push(done);
    if (done === MIB) library.steer(1, 'pause');
  });
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(progress).toEqual([0, MIB]);
  library.steer(1, 'resume');
  expect(await end).toEqual({ ok: true, value: 'imported' });
  expect(folder.names).toEqual(['a.img']);
});

test('an import without room says so and leaves nothing behind', async () => {
  const { folder, library } = libraryWith(new FakeFolder({ quotaBytes: MIB }));
  const end = await library.import(1, 'big.img', new Blob([new Uint8Array(2 * MIB)]), () => undefined);
  expect(end).toEqual({
    ok: false,
    error: 'The browser has no room for a disk of 2097152 bytes. Make room, or choose a smaller size.',
  });
  expect(folder.names).toEqual([]);
});

test('what an import left behind is tidied up', async () => {
  const { folder, library } = libraryWith();
  folder.put('half.img.import', new Uint8Array(512));
  folder.put('whole.img', new Uint8Array(512));
  await library.tidy();
  expect(folder.names).toEqual(['whole.img']);
});

test.each([
  ['delete', (library: DiskLibrary) => library.remove('a.img')],
  ['rename', (library: DiskLibrary) => library.rename('a.img', 'b.img')],
  ['grow', (library: DiskLibrary) => library.grow('a.img', 2 * MIB)],
])('a disk that a machine uses is not touched: %s', async (_, change) => {
  const { folder, library, locks } = libraryWith();
  await library.create('a.img', MIB);
  hold(locks, 'a.img');
  expect(await change(library)).toEqual({
    ok: false,
    error:
      'The disk “a.img” is in use by a machine of this or another tab. Power that machine off, then try again.',
  });
  expect((await library.list()).map(({ name, inUse }) => [name, inUse])).toEqual([['a.img', true]]);
  expect(folder.contents('a.img').data.length).toBe(MIB);
});

test('a disk is renamed, but not onto another', async () => {
  const { folder, library } = libraryWith();
  await library.create('a.img', MIB);
  await library.create('b.img', MIB);
  expect(await library.rename('a.img', 'b.img')).toMatchObject({ ok: false });
  expect(await library.rename('a.img', 'c.img')).toMatchObject({ ok: true });
  expect([...folder.names].sort()).toEqual(['b.img', 'c.img']);
});

test('a disk grows and does not shrink', async () => {
  const { library } = libraryWith();
  await library.create('a.img', 2 * MIB);
  expect(await library.grow('a.img', 4 * MIB)).toMatchObject({ ok: true });
  expect(await library.grow('a.img', MIB)).toMatchObject({
    ok: false,
    error: expect.stringContaining('Making it smaller would destroy'),
  });
});
