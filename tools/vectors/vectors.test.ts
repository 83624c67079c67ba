import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { platformsOf, VectorSuite } from './suite.ts';

function read(path: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url))));
}

const files = readdirSync(fileURLToPath(new URL('../../test/vectors/', import.meta.url))).filter((name) =>
  name.endsWith('.bin.gz'),
);
const suite = new VectorSuite(read('build/core.wasm'), read('build/interpreter.wasm'));
for (const file of files) suite.add(file, gunzipSync(read(`test/vectors/${file}`)));

describe('vectors recorded on the real CPU', () => {
  it.each(files.flatMap((file) => platformsOf(file).map((kind) => [file, kind] as const)))(
    'the interpreter agrees with every case of %s in %s mode',
    { timeout: 120_000 },
    (file, kind) => {
      expect(suite.unknownDifferences(file, kind)).toBe('');
    },
  );

  it('cover every form of the table that is not excluded with a reason', () => {
    const report = suite.coverage();
    console.log(
      `vectors: ${report.cases.size} of ${report.forms} forms, ${suite.caseCount} cases, ${report.excluded.length} excluded`,
    );
    for (const reason of suite.goneDifferences()) console.log(`no longer differs: ${reason}`);
    expect(report.missing).toEqual([]);
  });
});
