/** `npm test`: everything that the suite needs, then the suite; its last line is `N passed, N failed`. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './runner/stale.ts';

interface Counts {
  readonly passed: number;
  readonly failed: number;
}

const results = join(root, 'test-results');
const vitestResult = join(results, 'vitest.json');
const playwrightResult = join(results, 'playwright.json');

function run(name: string, ...args: string[]): Promise<number> {
  console.log(`\n== ${name}`);
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

function readJson(file: string): Record<string, unknown> | undefined {
  if (!existsSync(file)) return undefined;
  return JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}

/** A runner that failed without a failing test (a file that does not load, a crash) is one failure. */
function counts(exitCode: number, passed: number, failed: number): Counts {
  return { passed, failed: exitCode !== 0 && failed === 0 ? 1 : failed };
}

async function unitTests(): Promise<Counts> {
  const code = await run('vitest', join(root, 'node_modules/vitest/vitest.mjs'), 'run');
  const report = readJson(vitestResult);
  return counts(code, numberOf(report?.['numPassedTests']), numberOf(report?.['numFailedTests']));
}

async function browserTests(): Promise<Counts> {
  const playwright = join(root, 'node_modules/@playwright/test/cli.js');
  const code = await run('playwright', playwright, 'test', '--config', 'e2e/playwright.config.ts');
  const stats = readJson(playwrightResult)?.['stats'] as Record<string, unknown> | undefined;
  return counts(
    code,
    numberOf(stats?.['expected']) + numberOf(stats?.['flaky']),
    numberOf(stats?.['unexpected']),
  );
}

mkdirSync(results, { recursive: true });
for (const file of [vitestResult, playwrightResult]) rmSync(file, { force: true });

const setUp = await run('setup', '--import', 'tsx', 'tools/setup-test.ts');
if (setUp === 0) {
  const all = [await unitTests(), await browserTests()];
  const passed = all.reduce((sum, part) => sum + part.passed, 0);
  const failed = all.reduce((sum, part) => sum + part.failed, 0);
  console.log(`\n${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
} else {
  console.log('\n0 passed, 1 failed');
  process.exitCode = 1;
}
