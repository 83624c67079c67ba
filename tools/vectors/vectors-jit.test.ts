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

const core = read('build/core.wasm');
const interpreter = read('build/interpreter.wasm');
const replay = new JitReplay(core, interpreter, 'long');
const all = readdirSync(fileURLToPath(new URL('../../test/vectors/', import.meta.url))).filter((name) =>
  name.endsWith('.bin.gz'),
);
const undefinedEncodings = all.filter((name) => name.includes('undefined'));
const files = all.filter((name) => !undefinedEncodings.includes(name));

/** Differences of one file that nobody has accounted for, as text. */
function unknownDifferences(file: string): string {
  const groups = decodeFile(gunzipSync(read(`test/vectors/${file}`)), new CaseState());
  return replay
    .replay(groups, 20)
    .filter(
      (difference) =>
        !KNOWN_DIFFERENCES.some((k) => k.group.test(difference.group) && k.text.test(difference.text)),
    )
    .slice(0, 20)
    .map(({ text }) => text)
    .join('\n');
}

describe('vectors recorded on the real CPU, by translated code', () => {
  it.each(files)('every case of %s agrees', { timeout: 120_000 }, (file) => {
    expect(unknownDifferences(file)).toBe('');
  });

  it('leaves to the interpreter only what crosses pages or the core does not compile', () => {
    console.log(`vectors: ${replay.translated} translated, ${replay.interpreted} interpreted`);
    expect(replay.interpreted).toBeLessThan(replay.translated / 10);
  });

  it.each(undefinedEncodings)('every encoding of %s is refused', { timeout: 120_000 }, (file) => {
    expect(unknownDifferences(file)).toBe('');
  });
});
