import { describe, expect, it } from 'vitest';
import type { Result } from '../../base/result.ts';
import type { DriverFacts } from '../block-driver.ts';
import { FakeOpfs } from '../fake-opfs.ts';
import { ManualDriver } from '../manual-driver.ts';
import { createRawImage, growRawImage, RawImage } from './raw.ts';

function initialise(sizeBytes: number): { image: RawImage; file: ManualDriver; result: Result<DriverFacts> } {
  const file = new ManualDriver({ sizeBytes });
  const image = new RawImage(file);
  const results: Result<DriverFacts>[] = [];
  image.init({ batch: (work) => work() }, (result) => results.push(result));
  return { image, file, result: results[0]! };
}

describe('a raw image', () => {
  it.each([
    [512, 512],
    [4096, 4096],
    [513, 1024],
    [1, 512],
  ])('of %d bytes is a disk of %d', (bytes, disk) => {
    expect(initialise(bytes).result).toMatchObject({ ok: true, value: { sizeBytes: disk } });
  });

  it('that is empty is refused', () => {
    expect(initialise(0).result).toEqual({
      ok: false,
      error: 'The image is empty: a disk of no size. Create it with a size, or choose another file.',
    });
  });

  it('keeps what lies behind its end from the file, until it has grown', () => {
    const { image, file } = initialise(4096);
    const statuses: string[] = [];
    const write = {
      kind: 'write' as const,
      offset: 4096,
      length: 512,
      segments: [new Uint8Array(512)],
      unmap: false,
      done: (status: string) => statuses.push(status),
    };
    image.submit(write);
    expect(file.log).toEqual([]);
    image.resize(8192, (status) => statuses.push(status));
    file.finishAll();
    image.submit(write);
    file.finishAll();
    expect(statuses).toEqual(['io-error', 'ok', 'ok']);
  });
});

describe('createRawImage', () => {
  it('makes a file of that size, on the medium, and lets go of it', async () => {
    const opfs = new FakeOpfs();
    expect(await createRawImage(opfs, 'sda', 1_048_576)).toEqual({ ok: true, value: undefined });
    expect(opfs.contents('sda').durable).toHaveLength(1_048_576);
    expect(opfs.contents('sda').open.size).toBe(0);
  });

  it('does not touch an image that is there', async () => {
    const opfs = new FakeOpfs();
    opfs.put('sda', Uint8Array.of(1, 2, 3));
    expect(await createRawImage(opfs, 'sda', 512)).toEqual({
      ok: false,
      error: 'There is a disk “sda” already. Choose another name, or remove that one first.',
    });
    expect(opfs.contents('sda').data).toEqual(Uint8Array.of(1, 2, 3));
  });

  it.each([false, true])(
    'leaves nothing behind if there is no room, private window: %s',
    async (privateWindow) => {
      const opfs = new FakeOpfs({ quotaBytes: 4096, privateWindow });
      expect(await createRawImage(opfs, 'sda', 8192)).toEqual({
        ok: false,
        error: 'The browser has no room for a disk of 8192 bytes. Make room, or choose a smaller size.',
      });
      expect(opfs.names).toEqual([]);
    },
  );

  it.each([0, -512, 100, Number.NaN, 2 ** 60])('refuses the size %d', async (size) => {
    const result = await createRawImage(new FakeOpfs(), 'sda', size);
    expect(result).toEqual({
      ok: false,
      error: `A disk of ${size} bytes is not possible: the size must be a multiple of 512, and not 0.`,
    });
  });
});

describe('growRawImage', () => {
  it('makes it longer with zeroes', async () => {
    const opfs = new FakeOpfs();
    opfs.put('sda', new Uint8Array(512).fill(7));
    expect((await growRawImage(opfs, 'sda', 1024)).ok).toBe(true);
    expect(opfs.contents('sda').durable).toEqual(
      Uint8Array.of(...new Uint8Array(512).fill(7), ...new Uint8Array(512)),
    );
  });

  it('does not make it shorter', async () => {
    const opfs = new FakeOpfs();
    opfs.put('sda', new Uint8Array(1024));
    expect(await growRawImage(opfs, 'sda', 512)).toEqual({
      ok: false,
      error: 'The disk “sda” has 1024 bytes. Making it smaller would destroy what is at its end.',
    });
  });

  it('says that there is none, or that it is in use', async () => {
    const opfs = new FakeOpfs();
    expect(await growRawImage(opfs, 'sda', 512)).toEqual({
      ok: false,
      error: 'There is no disk “sda”. Create it first.',
    });
    opfs.put('sda', new Uint8Array(512));
    await (await opfs.getFileHandle('sda')).createSyncAccessHandle();
    expect(await growRawImage(opfs, 'sda', 1024)).toEqual({
      ok: false,
      error: 'The disk “sda” is in use, perhaps in another tab. Close that one, then try again.',
    });
  });
});
