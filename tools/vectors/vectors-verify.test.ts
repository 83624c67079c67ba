/**
 * The recorded vectors once more, as `-jit verify` runs translated code: each twice, with everything compared that the CPU has. One
 * group in eight; `npx tsx tools/vectors/replay.ts --verify` takes all.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { decodeFile } from '../../src/interp/vectors-file.ts';
import { KNOWN_DIFFERENCES } from '../../src/interp/vectors-known.ts';
import { CaseState } from '../../src/interp/vectors-state.ts';
import { JitReplay } from './machine.ts';

function read(path: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url))));
}

const replay = new JitReplay(read('build/core.wasm'), read('build/interpreter.wasm'), 'long', true);
const files = readdirSync(fileURLToPath(new URL('../../test/vectors/', import.meta.url))).filter(
  (name) => name.endsWith('.bin.gz') && !name.includes('undefined'),
);

describe('vectors recorded on the real CPU, under verify', () => {
  it.each(files)('every case of %s agrees', { timeout: 300_000 }, (file) => {
    const all = decodeFile(gunzipSync(read(`test/vectors/${file}`)), new CaseState());
    const groups = all.filter((_, i) => i % 8 === 0);
    const unknown = replay
      .replay(groups, 20)
      .filter(({ group, text }) => !KNOWN_DIFFERENCES.some((k) => k.group.test(group) && k.text.test(text)));
    expect(unknown.map(({ text }) => text).join('\n')).toBe('');
  });

  it('were translated and compared for the most part', () => {
    expect(replay.interpreted).toBeLessThan(replay.translated / 10);
    expect(replay.verified).toBeGreaterThan(replay.translated * 0.9);
  });
});
