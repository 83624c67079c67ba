import { describe, expect, it } from 'vitest';
import { fileFromBytes, readOnce, type BootFile } from './boot-file.ts';

/** Gives each time what is next on the list. */
function changing(...results: BootFile[]): BootFile {
  return { name: 'vmlinuz', read: (progress, signal) => results.shift()!.read(progress, signal) };
}

const { signal } = new AbortController();
const missing: BootFile = {
  name: 'vmlinuz',
  read: () => Promise.resolve({ ok: false, error: { kind: 'not-found', message: 'gone', advice: '' } }),
};

describe('a file that is read once', () => {
  it('gives the same bytes again although the site has others now', async () => {
    const file = readOnce(
      changing(fileFromBytes('old', Uint8Array.of(1, 2)), fileFromBytes('new', Uint8Array.of(3))),
    );
    await file.read(() => undefined, signal);
    const seen: (number | undefined)[] = [];
    const again = await file.read((...progress) => seen.push(...progress), signal);
    expect(again).toEqual({ ok: true, value: Uint8Array.of(1, 2) });
    expect(seen).toEqual([2, 2]);
  });

  it('is read again after a failure', async () => {
    const file = readOnce(changing(missing, fileFromBytes('new', Uint8Array.of(3))));
    expect((await file.read(() => undefined, signal)).ok).toBe(false);
    expect(await file.read(() => undefined, signal)).toEqual({ ok: true, value: Uint8Array.of(3) });
  });
});
