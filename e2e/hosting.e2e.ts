/** The built site on hosts as they are: in a sub-folder, without headers, without a network, with a newer version. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { buildServiceWorker } from '../tools/site/service-worker.ts';
import { buildSite } from '../tools/site/build-site.ts';
import { pvhKernel } from '../src/machine/pvh-kernel.ts';
import { ECHO, print } from './tiny-guest.ts';
import { expect, test } from './virtab-page.ts';

test.use({ serviceWorkers: 'allow' });

/** The shell of the default guest (tools/guest/initramfs.ts). */
const PROMPT = 'root@virtab:~#';
/** As some hosts do it. */
const PLAIN_HOST = { isolated: false, base: '/some/sub/path/', maxAgeSeconds: 600 };

let built: string;
let folder: string;

test.beforeAll(async () => {
  built = mkdtempSync(join(tmpdir(), 'virtab-built-'));
  await buildSite({ folder: built, guest: true, logLevel: 'warn' });
});

test.afterAll(() => rmSync(built, { recursive: true, force: true }));

/** Each test has a site of its own, which it may change. */
test.beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'virtab-site-'));
  cpSync(built, folder, { recursive: true });
});

test.afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Opens the page at a host without headers, and waits until it has reloaded itself. */
async function visit(page: Page, url: string): Promise<void> {
  await page.goto(url);
  await page.waitForFunction(() => crossOriginIsolated);
}

/** Until the page has told that it needs no network any more. */
async function waitUntilKept(page: Page): Promise<void> {
  await expect(page.locator('html')).toHaveAttribute('data-offline', 'ready', { timeout: 30_000 });
}

/** A guest that boots in an instant, in place of Debian; the next build of the site has it. */
async function changeGuest(greeting: string): Promise<void> {
  writeFileSync(join(folder, 'guest', 'vmlinuz'), pvhKernel([...print(greeting), ...ECHO]));
  writeFileSync(join(folder, 'guest', 'initrd.img'), 'none');
  await buildServiceWorker(folder);
}

test('a plain host in a sub-folder: one reload, then Debian boots; without the network it boots again', async ({
  virtab,
  serve,
}) => {
  const site = await serve({ folder, guestFolder: join(folder, 'guest'), ...PLAIN_HOST });
  let loads = 0;
  virtab.page.on('load', () => loads++);
  await visit(virtab.page, site.url);
  await virtab.waitForOutput(PROMPT, 90_000);
  expect(loads).toBe(2);
  await waitUntilKept(virtab.page);

  site.close();
  await virtab.page.reload();
  await virtab.waitForOutput(PROMPT, 90_000);
  await virtab.type('echo sum: $((6 * 7))\n');
  await virtab.waitForOutput('sum: 42');
});

test('a host with the headers: no reload, and the next visit needs no network', async ({ virtab, serve }) => {
  await changeGuest('ready> ');
  const site = await serve({ folder, guestFolder: join(folder, 'guest') });
  let loads = 0;
  virtab.page.on('load', () => loads++);
  await virtab.page.goto(site.url);
  await virtab.waitForOutput('ready>');
  await waitUntilKept(virtab.page);
  expect(loads).toBe(1);

  site.close();
  await virtab.page.goto(`${site.url}?m=300M`);
  await virtab.waitForOutput('ready>');
  await virtab.button('Power off').click();
  await virtab.button('Start again').click();
  await expect.poll(async () => (await virtab.consoleText()).split('ready>').length - 1).toBe(2);
});

test('a new version is offered, and nothing of it is used before it is accepted', async ({
  virtab,
  serve,
}) => {
  await changeGuest('first> ');
  const site = await serve({ folder, guestFolder: join(folder, 'guest'), ...PLAIN_HOST });
  await visit(virtab.page, site.url);
  await virtab.waitForOutput('first>');
  await waitUntilKept(virtab.page);

  const page = join(folder, 'index.html');
  writeFileSync(page, readFileSync(page, 'utf8').replace('<title>Virtab<', '<title data-next>Virtab<'));
  await changeGuest('second> ');
  await virtab.page.reload();
  await virtab.waitForOutput('first>');
  const offer = virtab.page.getByRole('complementary', { name: 'New version' });
  await expect(offer).toContainText('A new version of Virtab is ready.');
  await virtab.lookAt('new-version');
  await expect(virtab.page.locator('title[data-next]')).toHaveCount(0);

  await offer.getByRole('button', { name: 'Reload now' }).click();
  await expect(virtab.page.locator('title[data-next]')).toHaveCount(1);
  await virtab.waitForOutput('second>');
  await waitUntilKept(virtab.page);
  await expect.poll(() => virtab.page.evaluate(async () => (await caches.keys()).length)).toBe(1);
});

test('a tab with the old version goes on with its own files while another one has changed', async ({
  virtab,
  serve,
  context,
}) => {
  await changeGuest('first> ');
  const site = await serve({ folder, guestFolder: join(folder, 'guest'), ...PLAIN_HOST });
  await visit(virtab.page, site.url);
  await virtab.waitForOutput('first>');
  await waitUntilKept(virtab.page);

  // The next version has other names for its files, as a real one has.
  const page = join(folder, 'index.html');
  const text = readFileSync(page, 'utf8');
  const script = /assets\/index-[\w-]+\.js/.exec(text)?.[0] ?? '';
  renameSync(join(folder, script), join(folder, 'assets/index-next.js'));
  writeFileSync(page, text.replace(script, 'assets/index-next.js'));
  const core = readdirSync(join(folder, 'assets')).find((name) => name.startsWith('core-')) ?? '';
  rmSync(join(folder, 'assets', core));
  await changeGuest('second> ');

  const second = await context.newPage();
  await second.goto(site.url);
  await second.getByRole('button', { name: 'Reload now' }).click();
  await expect(second.locator('script[src*="index-next"]')).toHaveCount(1);

  await expect(virtab.page.getByRole('complementary', { name: 'New version' })).toContainText(
    'Another tab has changed to a new version of Virtab.',
  );
  await virtab.button('Power off').click();
  await virtab.button('Start again').click();
  await expect.poll(async () => (await virtab.consoleText()).split('first>').length - 1).toBe(2);
});

test('a deployment that is not complete yet changes nothing', async ({ virtab, serve }) => {
  await changeGuest('first> ');
  const site = await serve({ folder, guestFolder: join(folder, 'guest'), ...PLAIN_HOST });
  await visit(virtab.page, site.url);
  await virtab.waitForOutput('first>');
  await waitUntilKept(virtab.page);

  // The new worker is there, and expects another page than the one that is still on the server.
  const page = join(folder, 'index.html');
  const old = readFileSync(page, 'utf8');
  writeFileSync(page, old.replace('<title>Virtab<', '<title data-next>Virtab<'));
  await changeGuest('second> ');
  writeFileSync(page, old);

  await virtab.page.reload();
  await virtab.waitForOutput('first>');
  const rejected = await virtab.page.evaluate(async () => {
    const registration = await navigator.serviceWorker.ready;
    await registration.update();
    const worker = registration.installing;
    if (worker === null) return 'redundant';
    return await new Promise<string>((resolve) => {
      worker.addEventListener('statechange', () => resolve(worker.state));
    });
  });
  expect(rejected).toBe('redundant');
  await expect(virtab.page.getByRole('complementary', { name: 'New version' })).toBeHidden();
});

test('a site without its service worker and without headers says who can do what', async ({
  virtab,
  serve,
}) => {
  rmSync(join(folder, 'service-worker.js'));
  const site = await serve({ folder, ...PLAIN_HOST });
  await virtab.page.goto(site.url);
  await expect(virtab.notice).toHaveAttribute('data-kind', 'no-isolation');
  await expect(virtab.notice).toContainText('its service worker, which would, could not be set up');
  await expect(virtab.notice).toContainText('Cross-Origin-Opener-Policy: same-origin');
});

test('in a frame of a page that is not isolated the page asks for a tab of its own', async ({
  virtab,
  serve,
}) => {
  writeFileSync(
    join(folder, 'outer.html'),
    '<iframe title="Virtab" src="./" width="800" height="600"></iframe>',
  );
  const site = await serve({ folder, ...PLAIN_HOST });
  await virtab.page.goto(`${site.url}outer.html`);
  const notice = virtab.page.frameLocator('iframe').locator('.notice');
  await expect(notice).toHaveAttribute('data-kind', 'no-isolation');
  await expect(notice).toContainText('Open the page in a tab of its own');
});

test('a reload past the service worker (Shift+Reload) isolates the page again', async ({ virtab, serve }) => {
  await changeGuest('ready> ');
  const site = await serve({ folder, guestFolder: join(folder, 'guest'), ...PLAIN_HOST });
  await visit(virtab.page, site.url);
  await virtab.waitForOutput('ready>');
  await virtab.page.addInitScript(() => {
    const seen = sessionStorage.getItem('isolated') ?? '';
    sessionStorage.setItem('isolated', `${seen}${crossOriginIsolated} `);
  });
  const devtools = await virtab.page.context().newCDPSession(virtab.page);
  await devtools.send('Page.reload', { ignoreCache: true });
  const seen = await virtab.page.waitForFunction(
    () => crossOriginIsolated && sessionStorage.getItem('isolated'),
  );
  expect(await seen.jsonValue()).toBe('false true ');
  await virtab.waitForOutput('ready>');
});

test('the site can be installed as an app', async ({ virtab, serve }) => {
  const site = await serve({ folder, ...PLAIN_HOST });
  await visit(virtab.page, site.url);
  await waitUntilKept(virtab.page);
  const devtools = await virtab.page.context().newCDPSession(virtab.page);
  const { errors, url } = await devtools.send('Page.getAppManifest');
  expect({ errors, url }).toEqual({ errors: [], url: `${site.url}manifest.webmanifest` });
  const { installabilityErrors } = await devtools.send('Page.getInstallabilityErrors');
  // Playwright's windows are private ones, in which nothing can be installed.
  expect(installabilityErrors.map(({ errorId }) => errorId)).toEqual(['in-incognito']);
});
