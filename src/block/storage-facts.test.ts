import { describe, expect, it } from 'vitest';
import { FakeOpfs } from './fake-opfs.ts';
import type { FakeOpfsOptions } from './fake-opfs.ts';
import { chooseDriver, poolSize, probeStorage } from './storage-facts.ts';
import type { StorageFacts } from './storage-facts.ts';

function probe(options: FakeOpfsOptions, msPerCall = 0.0025): Promise<StorageFacts> {
  let time = 0;
  return probeStorage({
    directory: new FakeOpfs(options),
    cores: 8,
    now: () => (time += msPerCall),
    unique: 'test',
  });
}

describe('probeStorage', () => {
  it.each<[string, FakeOpfsOptions, Partial<StorageFacts>]>([
    ['Chromium', { quotaBytes: 1e9 }, { syncHandles: true, unsafeHandles: true, privateWindow: false }],
    [
      'a browser without modes',
      { quotaBytes: 1e9, modes: false },
      { syncHandles: true, unsafeHandles: false },
    ],
    [
      'a private window, whose truncate does nothing',
      { quotaBytes: 1e9, privateWindow: true },
      { syncHandles: true, privateWindow: true },
    ],
    [
      'storage that is full',
      { quotaBytes: 100 },
      { syncHandles: false, problem: 'QuotaExceededError: No space available for this operation.' },
    ],
  ])('recognises %s', async (_text, options, facts) => {
    expect(await probe(options)).toMatchObject(facts);
  });

  it('takes storage that needs 0.8 ms for 4 KiB for that of a private window', async () => {
    expect(await probe({ quotaBytes: 1e9 }, 0.8)).toMatchObject({ privateWindow: true });
  });

  it('measures a read in microseconds', async () => {
    expect((await probe({ quotaBytes: 1e9 })).readMicroseconds).toBeCloseTo(2.5);
  });

  it('leaves nothing behind', async () => {
    const directory = new FakeOpfs({ quotaBytes: 1e9 });
    await probeStorage({ directory, cores: 2, now: () => 0, unique: 'a' });
    expect(directory.names).toEqual([]);
  });

  it('says what is missing where there is no storage', async () => {
    expect(await probeStorage({ directory: undefined, cores: 2, now: () => 0, unique: 'a' })).toMatchObject({
      syncHandles: false,
      problem: 'The browser has no private file system for pages.',
    });
  });
});

describe('chooseDriver', () => {
  const good: StorageFacts = {
    syncHandles: true,
    unsafeHandles: true,
    privateWindow: false,
    cores: 8,
    readMicroseconds: 5,
    problem: '',
  };

  it.each<[string, Partial<StorageFacts>, boolean, string, RegExp]>([
    ['many cores', {}, true, 'threads', /^4 helper threads: .* 8 hardware threads\.$/],
    ['two cores', { cores: 2 }, true, 'opfs', /^With 2 hardware threads/],
    ['one handle only', { unsafeHandles: false }, true, 'opfs', /opens a file only once/],
    ['no storage', { syncHandles: false, problem: 'x' }, true, 'memory', /no access to its storage \(x\)/],
    ['a private window', { privateWindow: true }, false, 'memory', /private window/],
    [
      'a private window with the image',
      { privateWindow: true },
      true,
      'opfs',
      /private window, which is slow/,
    ],
  ])('with %s', (_text, facts, exists, driver, reason) => {
    const choice = chooseDriver({ ...good, ...facts }, exists);
    expect(choice.driver).toBe(driver);
    expect(choice.reason).toMatch(reason);
  });

  it.each<[string, Partial<StorageFacts>]>([
    ['no storage', { syncHandles: false }],
    ['a private window', { privateWindow: true }],
  ])('warns that nothing is kept with %s', (_text, facts) => {
    expect(chooseDriver({ ...good, ...facts }, false).warning).toMatch(/lost when/);
  });
});

describe('poolSize', () => {
  it.each([
    [1, 1],
    [2, 1],
    [4, 2],
    [6, 4],
    [64, 4],
  ])('on %d hardware threads is %d', (cores, size) => {
    expect(poolSize(cores)).toBe(size);
  });
});
