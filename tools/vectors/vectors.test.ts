import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { coverage } from '../../src/interp/vectors-coverage.ts';
import { decodeFile } from '../../src/interp/vectors-file.ts';
import type { Group } from '../../src/interp/vectors-file.ts';
import { KNOWN_DIFFERENCES } from '../../src/interp/vectors-known.ts';
import type { Difference, Replay } from '../../src/interp/vectors-replay.ts';
import { CaseState } from '../../src/interp/vectors-state.ts';
import { createReplay } from './machine.ts';

function read(path: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url))));
}

const folder = fileURLToPath(new URL('../../test/vectors/', import.meta.url));
const files = readdirSync(folder).filter((name) => name.endsWith('.bin.gz'));
const core = read('build/core.wasm');
const interpreter = read('build/interpreter.wasm');
const longMode = createReplay(core, interpreter, 'long');
const legacyMode = createReplay(core, interpreter, 'legacy');
const groups = new Map<string, Group[]>(
  files.map((file) => [file, decodeFile(gunzipSync(readFileSync(folder + file)), new CaseState())]),
);
const matched = new Set<string>();

function isKnown(difference: Difference): boolean {
  const known = KNOWN_DIFFERENCES.find(
    ({ group, text }) => group.test(difference.group) && text.test(difference.text),
  );
  if (known) matched.add(known.reason);
  return known !== undefined;
}

/** Differences of one file that nobody has accounted for, as text. */
function unknownDifferences(replay: Replay, file: string): string {
  const all = groups.get(file)!.flatMap((group) => replay.replay(group, 20));
  const unknown = all.filter((difference) => !isKnown(difference));
  return (
    unknown
      .slice(0, 20)
      .map(({ text }) => text)
      .join('\n') + (unknown.length > 20 ? `\n... ${unknown.length} in all` : '')
  );
}

describe('vectors recorded on the real CPU', () => {
  it.each(files)('the interpreter agrees with every case of %s', { timeout: 120_000 }, (file) => {
    expect(unknownDifferences(longMode, file)).toBe('');
  });

  it.each(files.filter((file) => !file.startsWith('64')))(
    'so does legacy protected mode: %s',
    { timeout: 120_000 },
    (file) => {
      expect(unknownDifferences(legacyMode, file)).toBe('');
    },
  );

  it('cover every form of the table that is not excluded with a reason', () => {
    const report = coverage([...groups.values()].flat());
    const cases = [...report.cases.values()].reduce((a, b) => a + b, 0);
    console.log(
      `vectors: ${report.cases.size} of ${report.forms} forms, ${cases} cases, ${report.excluded.length} excluded`,
    );
    for (const { reason } of KNOWN_DIFFERENCES.filter((known) => !matched.has(known.reason)))
      console.log(`no longer differs: ${reason}`);
    expect(report.missing).toEqual([]);
  });
});
