/**
 * `npm run bench:page`: what a visitor waits for. First and second visit to the prompt of the default guest, at a host
 * with the isolating headers and at one without; and how long the page takes to answer a key while a guest runs flat out.
 * Medians; the browser's cache and storage are empty before every first visit.
 *
 *     npm run bench:page -- [--runs N]
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from '@playwright/test';
import type { BrowserContext, Page } from '@playwright/test';
import { pvhKernel } from '../src/machine/pvh-kernel.ts';
import { ECHO, print } from './tiny-guest.ts';
import { launchOptions } from '../tools/runner/chromium.ts';
import { serveSite } from '../tools/runner/site.ts';
import type { SiteServer } from '../tools/runner/site.ts';
import { root } from '../tools/runner/stale.ts';
import { ensureWasm } from '../tools/runner/wasm.ts';
import { buildSite } from '../tools/site/build-site.ts';

const PROMPT = 'root@virtab:~#';
const KEYS = 200;
const folder = join(root, 'dist');

interface Visit {
  /** In ms since the address was opened. */
  readonly firstPaint: number;
  readonly firstOutput: number;
  readonly prompt: number;
}

interface ConsoleWindow extends Window {
  virtab?: { consoleText(): string };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

async function waitForText(page: Page, text: string): Promise<void> {
  await page.waitForFunction(
    (wanted) => crossOriginIsolated && (window as ConsoleWindow).virtab?.consoleText().includes(wanted),
    text,
    { timeout: 180_000, polling: 20 },
  );
}

async function visit(context: BrowserContext, url: string): Promise<Visit> {
  const page = await context.newPage();
  const begin = performance.now();
  const painted = page.waitForSelector('.bar').then(() => performance.now() - begin);
  await page.goto(url, { waitUntil: 'commit' });
  const firstPaint = await painted;
  await waitForText(page, 'Linux version');
  const firstOutput = performance.now() - begin;
  await waitForText(page, PROMPT);
  const prompt = performance.now() - begin;
  await page.locator('html[data-offline="ready"]').waitFor({ timeout: 60_000 });
  await page.close();
  return { firstPaint, firstOutput, prompt };
}

async function withProfile<T>(use: (context: BrowserContext) => Promise<T>): Promise<T> {
  const profile = mkdtempSync(join(tmpdir(), 'virtab-speed-'));
  const context = await chromium.launchPersistentContext(profile, launchOptions());
  try {
    return await use(context);
  } finally {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  }
}

function show(name: string, visits: readonly Visit[]): void {
  const cell = (key: keyof Visit): string => `${(median(visits.map((one) => one[key])) / 1000).toFixed(2)} s`;
  console.log(
    `${name.padEnd(34)} bar ${cell('firstPaint')}  first output ${cell('firstOutput')}  prompt ${cell('prompt')}`,
  );
}

async function measureVisits(site: SiteServer, name: string, runs: number): Promise<void> {
  const first: Visit[] = [];
  const second: Visit[] = [];
  for (let run = 0; run < runs; run++) {
    await withProfile(async (context) => {
      first.push(await visit(context, site.url));
      second.push(await visit(context, site.url));
    });
  }
  show(`${name}, first visit`, first);
  show(`${name}, second visit`, second);
}

/** Keys typed one by one at a guest that polls its serial port without end, and echoes. */
async function measureKeys(): Promise<void> {
  const file = join(mkdtempSync(join(tmpdir(), 'virtab-speed-')), 'kernel');
  writeFileSync(file, pvhKernel([...print('ready> '), ...ECHO]));
  const site = await serveSite({ folder, files: new Map([['/kernel', file]]) });
  await withProfile(async (context) => {
    const page = await context.newPage();
    await page.addInitScript(() => {
      const entries: PerformanceEventTiming[] = [];
      (window as { entries?: PerformanceEventTiming[] }).entries = entries;
      new PerformanceObserver((list) =>
        entries.push(...(list.getEntries() as PerformanceEventTiming[])),
      ).observe({
        type: 'event',
        // The least that the browser accepts: what is faster is not reported.
        durationThreshold: 16,
      } as PerformanceObserverInit);
    });
    await page.goto(`${site.url}?kernel=kernel`);
    await waitForText(page, 'ready>');
    const echo: number[] = [];
    let typed = 'ready> ';
    for (let key = 0; key < KEYS; key++) {
      const letter = String.fromCharCode(0x61 + (key % 26));
      typed += letter;
      const begin = performance.now();
      await page.keyboard.press(letter);
      await waitForText(page, typed);
      echo.push(performance.now() - begin);
    }
    const slow = await page.evaluate(() =>
      ((window as { entries?: PerformanceEventTiming[] }).entries ?? [])
        .filter(({ name }) => name === 'keydown')
        .map(({ startTime, processingStart, duration }) => ({ wait: processingStart - startTime, duration })),
    );
    const waits = slow.map(({ wait }) => wait);
    const durations = slow.map(({ duration }) => duration).toSorted((a, b) => a - b);
    console.log(
      `${KEYS} keys while the guest runs flat out: ${slow.length} took 16 ms or more to the next frame, ` +
        `95 % of those at most ${durations[Math.floor(durations.length * 0.95)] ?? 0} ms, longest ${durations.at(-1) ?? 0} ms; ` +
        `longest wait for the page ${Math.max(0, ...waits).toFixed(1)} ms; echo from the guest ${median(echo).toFixed(0)} ms (median, with the driver's own time)`,
    );
  });
  site.close();
}

const { values } = parseArgs({ options: { runs: { type: 'string', default: '3' } } });
await ensureWasm(true);
await buildSite({ folder, guest: true, logLevel: 'warn' });
console.log(
  `load of this computer: ${loadavg()
    .map((load) => load.toFixed(1))
    .join(' ')}`,
);
for (const isolated of [true, false]) {
  const site = await serveSite({ folder, isolated, maxAgeSeconds: 600, guestFolder: join(folder, 'guest') });
  await measureVisits(site, isolated ? 'host with headers' : 'host without headers', Number(values.runs));
  site.close();
}
await measureKeys();
