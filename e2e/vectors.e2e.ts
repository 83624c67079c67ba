/** The vectors recorded on the real CPU, in the browser: what tools/vectors/vectors.test.ts runs under Node. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { Page } from '@playwright/test';
import { build } from 'vite';
import { decodeFile, encodeFile } from '../src/interp/vectors-file.ts';
import { CaseState } from '../src/interp/vectors-state.ts';
import { root } from '../tools/runner/stale.ts';
import { expect, test } from './virtab-page.ts';
import type { VectorReport } from './vectors/worker.ts';
import type { VectorWindow } from './vectors/page.ts';

/** Beside the product's page, never in it. */
const FOLDER = join(root, 'build', 'e2e-vectors');
const VECTORS = join(root, 'test', 'vectors');
const FILES = readdirSync(VECTORS).filter((name) => name.endsWith('.bin.gz'));

test.beforeAll(async () => {
  await build({
    configFile: false,
    root: join(root, 'e2e', 'vectors'),
    logLevel: 'warn',
    base: './',
    worker: { format: 'es' },
    build: { target: 'es2023', outDir: FOLDER, emptyOutDir: true },
  });
});

/** Vector files by name, and what the suite needs beside them. */
function served(vectors: readonly (readonly [name: string, path: string])[]): ReadonlyMap<string, string> {
  return new Map([
    ['/core.wasm', join(root, 'build', 'core.wasm')],
    ['/interpreter.wasm', join(root, 'build', 'interpreter.wasm')],
    ...vectors.map(([name, path]) => [`/vectors/${name}`, path] as const),
  ]);
}

async function replay(page: Page, url: string, files: readonly string[]): Promise<VectorReport> {
  await page.goto(url);
  await page.waitForFunction(() => (window as VectorWindow).vectors !== undefined);
  return await page.evaluate(async (names) => {
    const { vectors } = window as VectorWindow;
    if (vectors === undefined) throw new Error('the page is not ready');
    return await vectors.run(names);
  }, files);
}

/** A file whose first case claims that the CPU went on one byte further. */
function withWrongRip(file: string): Buffer {
  const state = new CaseState();
  const [group] = decodeFile(gunzipSync(readFileSync(join(VECTORS, file))), state);
  const recorded = group?.cases.find(({ outcome }) => outcome.vector < 0);
  if (group === undefined || recorded === undefined) throw new Error(`${file} has no case without exception`);
  const { outcome } = recorded;
  const wrong = { ...recorded, outcome: { ...outcome, rip: outcome.rip + 1n } };
  return gzipSync(encodeFile([{ ...group, cases: [wrong] }], state));
}

test('the interpreter agrees with every recorded case in Chromium', async ({ page, serve }) => {
  test.setTimeout(300_000);
  const site = await serve({
    folder: FOLDER,
    files: served(FILES.map((name) => [name, join(VECTORS, name)])),
  });
  const report = await replay(page, site.url, FILES);
  console.log(
    `vectors in Chromium: ${report.cases} cases of ${report.groups} groups, ${Math.round(report.milliseconds)} ms`,
  );
  expect(report).toMatchObject({
    differences: [],
    missing: [],
    replayed: { long: FILES.length, legacy: FILES.filter((name) => !name.startsWith('64')).length },
  });
  expect(report.cases).toBeGreaterThan(150_000);
});

test('a case that differs is reported with its group, code and registers', async ({
  page,
  serve,
}, testInfo) => {
  const path = testInfo.outputPath('wrong.bin.gz');
  writeFileSync(path, withWrongRip('64-00-7f.bin.gz'));
  const site = await serve({ folder: FOLDER, files: served([['64-wrong.bin.gz', path]]) });
  const report = await replay(page, site.url, ['64-wrong.bin.gz']);
  expect(report.cases).toBe(1);
  expect(report.differences).toEqual([
    expect.stringMatching(/^64-wrong\.bin\.gz, long mode:\n[^]*RIP [0-9a-f]+, expected [0-9a-f]+/),
  ]);
});
