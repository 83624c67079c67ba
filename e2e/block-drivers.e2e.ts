/** The block drivers over the files of a real Chromium, in an ordinary profile and in a private window. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, expect, test } from '@playwright/test';
import type { BrowserContext, Page } from '@playwright/test';
import { launchOptions } from '../tools/runner/chromium.ts';
import { serveSite } from '../tools/runner/site.ts';
import type { SiteServer } from '../tools/runner/site.ts';
import { BLOCK_SITE_FOLDER, buildBlockSite } from '../tools/io/raw-driver.ts';
import type { DiskWindow, Returned } from './block-site.ts';
import type { DiskCommands, TargetName } from './block/messages.ts';

const MIB = 1024 * 1024;

let server: SiteServer;
let profile: string;
let context: BrowserContext;

async function open(where: BrowserContext): Promise<Page> {
  const page = await where.newPage();
  await page.goto(server.url);
  await page.waitForFunction(() => 'disk' in window);
  return page;
}

async function ask<C extends keyof DiskCommands>(
  page: Page,
  command: C,
  ...args: Parameters<DiskCommands[C]>
): Promise<Returned<C>> {
  const answer = await page.evaluate(
    ([name, values]) => (window as unknown as DiskWindow).disk(name, ...values),
    [command, args] as const,
  );
  return answer as Returned<C>;
}

test.beforeAll(async () => {
  await buildBlockSite();
  server = await serveSite({ folder: BLOCK_SITE_FOLDER });
  // Playwright's own contexts are private windows: their storage is in memory.
  profile = mkdtempSync(join(tmpdir(), 'virtab-profile-'));
  context = await chromium.launchPersistentContext(profile, launchOptions());
});

test.afterAll(async () => {
  await context.close();
  server.close();
  rmSync(profile, { recursive: true, force: true });
});

for (const target of ['opfs', 'threads', 'file', 'memory'] satisfies TargetName[]) {
  test(`the driver ${target} keeps its contract`, async () => {
    const page = await open(context);
    const results = await ask(page, 'contract', target);
    expect(results.filter(({ problem }) => problem !== '')).toEqual([]);
    expect(results.length).toBeGreaterThan(10);
    await page.close();
  });
}

test('an ordinary profile has several handles per file and is not private', async () => {
  const page = await open(context);
  const facts = await ask(page, 'probe');
  expect(facts).toMatchObject({ syncHandles: true, unsafeHandles: true, privateWindow: false, problem: '' });
  await page.close();
});

test('a private window is recognised, and gets a disk in memory with a warning', async ({ browser }) => {
  const incognito = await browser.newContext();
  const page = await open(incognito);
  expect(await ask(page, 'probe')).toMatchObject({ syncHandles: true, privateWindow: true });
  expect(await ask(page, 'open', 'sda', 'auto', MIB, 0)).toEqual({
    problem: '',
    driver: 'memory',
    reason: 'In a private window storage is slow and kept nowhere.',
    warning: 'This is a private window: what is written to this disk is lost when it is closed.',
  });
  await incognito.close();
});

for (const aio of ['opfs', 'threads']) {
  test(`${aio}: what was written is there after a reload, and a second tab is refused meanwhile`, async () => {
    const page = await open(context);
    expect(await ask(page, 'open', `kept-${aio}`, aio, 8 * MIB, 4)).toMatchObject({
      problem: '',
      driver: aio,
    });
    const written = await ask(page, 'write', 64, 65_536, 7);
    expect(written).toEqual({ statuses: Array.from({ length: 64 }, () => 'ok'), paused: '' });

    const second = await open(context);
    expect((await ask(second, 'open', `kept-${aio}`, aio, 0, 4)).problem).toMatch(
      /is in use by another machine/,
    );
    await second.close();

    expect(await ask(page, 'close')).toBe('ok');
    await page.reload();
    await page.waitForFunction(() => 'disk' in window);
    expect((await ask(page, 'open', `kept-${aio}`, aio, 0, 4)).problem).toBe('');
    expect(await ask(page, 'verify', 64, 65_536, 7)).toBe(true);
    await page.close();
  });

  test(`${aio}: a disk without room pauses, and goes on with nothing lost when there is some`, async () => {
    const page = await open(context);
    const devtools = await context.newCDPSession(page);
    const { origin } = new URL(server.url);
    const { usage } = await devtools.send('Storage.getUsageAndQuota', { origin });
    await devtools.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: usage + 2 * MIB });

    const refused = await ask(page, 'open', `large-${aio}`, aio, 64 * MIB, 4);
    expect(refused.problem).toBe(
      'The browser has no room for a disk of 67108864 bytes. Make room, or choose a smaller size.',
    );

    await ask(page, 'openSparse', `full-${aio}`, aio, 16 * MIB);
    const full = await ask(page, 'write', 64, 65_536, 3);
    expect(full.paused).toBe(
      `The browser has no room left for the disk “full-${aio}”. The machine is paused and nothing is lost: make room, then continue.`,
    );
    expect(full.statuses.length).toBeLessThan(64);
    expect((await ask(page, 'resume')).paused).not.toBe('');

    await devtools.send('Storage.overrideQuotaForOrigin', { origin });
    const done = await ask(page, 'resume');
    expect(done).toEqual({ statuses: Array.from({ length: 64 }, () => 'ok'), paused: '' });
    expect(await ask(page, 'verify', 64, 65_536, 3)).toBe(true);
    expect(await ask(page, 'close')).toBe('ok');
    await page.close();
  });
}

test('the queue reports its speed over each driver', async () => {
  const page = await open(context);
  for (const aio of ['opfs', 'threads']) {
    for (const { name, perSecond, latency } of await ask(page, 'speed', aio)) {
      console.log(`${name}: ${Math.round(perSecond)}/s ${latency}`);
      expect(perSecond).toBeGreaterThan(100);
    }
  }
  await page.close();
});
