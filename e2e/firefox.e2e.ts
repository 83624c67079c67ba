/** The main paths in Debian's Firefox. docs/browsers.md lists what it lacks. */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'puppeteer-core';
import { serveSite, SITE_FOLDER } from '../tools/runner/site.ts';
import { buildServiceWorker } from '../tools/site/service-worker.ts';
import { BLOCK_SITE_FOLDER, buildBlockSite } from '../tools/io/raw-driver.ts';
import { pvhKernel } from '../src/machine/pvh-kernel.ts';
import type { DiskWindow, Returned } from './block-site.ts';
import type { DiskCommands } from './block/messages.ts';
import { expect, test } from './firefox.ts';
import { ECHO, print } from './tiny-guest.ts';

/** The shell of the default guest (tools/guest/initramfs.ts). */
const PROMPT = 'root@virtab:~#';
const MIB = 1024 * 1024;

test('Debian boots to a shell, runs a command, pauses, goes on and powers off', async ({
  firefox,
  serve,
}) => {
  const site = await serve();
  await firefox.page.goto(site.url);
  await firefox.waitForOutput(PROMPT);
  await firefox.type('echo sum: $((6 * 7)); uname -m\n');
  await firefox.waitForOutput('sum: 42');
  await firefox.waitForOutput('x86_64');

  await firefox.click('Pause');
  await expect.poll(() => firefox.text('.status-word')).toBe('Paused');
  await firefox.click('Resume');
  await firefox.type('echo back\\ again\n');
  await firefox.waitForOutput('back again');

  await firefox.type('poweroff -f\n');
  await expect.poll(() => firefox.text('.status-word'), { timeout: 30_000 }).toBe('Off');
});

test('a disk made in the page keeps what the guest wrote over a reload, and so do the settings', async ({
  firefox,
  serve,
}) => {
  const site = await serve();
  await firefox.page.goto(site.url);
  await firefox.waitForOutput(PROMPT);
  await firefox.click('Disks');
  await firefox.click('New empty disk');
  await firefox.fill('Name', 'kept');
  await firefox.fill('Size', '4M');
  await firefox.click('Create');
  // The guest has an empty drive for this: no reboot.
  await firefox.waitForOutput('detected capacity change from 0 to 8192');
  await firefox.type('echo kept by Firefox | dd of=/dev/vda bs=512 conv=fsync; sync; echo written\n');
  await firefox.waitForOutput('\nwritten');
  // Until then the page asks before it goes.
  await expect.poll(() => firefox.text('.card')).not.toContain('not flushed yet');

  await firefox.page.reload();
  await firefox.waitForOutput(PROMPT);
  await firefox.type('head -c 15 /dev/vda\n');
  await firefox.waitForOutput('\nkept by Firefox');
});

test('translated code (jit=on) computes what it should', async ({ firefox, serve }) => {
  const site = await serve();
  await firefox.page.goto(`${site.url}?jit=on`);
  await firefox.waitForOutput(PROMPT);
  await firefox.type('seq 1 1000 | md5sum\n');
  await firefox.waitForOutput('53d025127ae99ab79e8502aae2d9bea6');
});

test('a host without headers: the service worker isolates the page, and it boots without the network', async ({
  firefox,
}) => {
  const folder = mkdtempSync(join(tmpdir(), 'virtab-site-'));
  cpSync(SITE_FOLDER, folder, { recursive: true });
  writeFileSync(join(folder, 'kernel'), pvhKernel([...print('ready> '), ...ECHO]));
  await buildServiceWorker(folder);
  const site = await serveSite({ folder, isolated: false, base: '/some/sub/path/', maxAgeSeconds: 600 });
  try {
    await firefox.page.goto(`${site.url}?kernel=kernel`);
    await firefox.waitForOutput('ready>');
    await firefox.page.waitForSelector('html[data-offline="ready"]');
    site.close();
    await firefox.page.reload();
    await firefox.waitForOutput('ready>');
    await firefox.type('typed');
    await firefox.waitForOutput('ready> typed');
  } finally {
    site.close();
    rmSync(folder, { recursive: true, force: true });
  }
});

async function ask<C extends keyof DiskCommands>(
  page: Page,
  command: C,
  ...args: Parameters<DiskCommands[C]>
): Promise<Returned<C>> {
  const answer = await page.evaluate(
    (name, values) => (window as unknown as DiskWindow).disk(name, ...values),
    command,
    args,
  );
  return answer as Returned<C>;
}

test('a disk in the browser keeps what was written over a reload, with one handle per file', async ({
  firefox,
}) => {
  await buildBlockSite();
  const site = await serveSite({ folder: BLOCK_SITE_FOLDER });
  try {
    const { page } = firefox;
    await page.goto(site.url);
    await page.waitForFunction(() => 'disk' in window);
    expect(await ask(page, 'probe')).toMatchObject({ syncHandles: true, unsafeHandles: false, problem: '' });
    const results = await ask(page, 'contract', 'opfs');
    expect(results.filter(({ problem }) => problem !== '')).toEqual([]);
    // What `auto` chooses: several handles per file, which the driver `threads` needs, are not there.
    expect(await ask(page, 'open', 'kept', 'auto', 8 * MIB, 4)).toMatchObject({
      problem: '',
      driver: 'opfs',
    });
    const written = await ask(page, 'write', 64, 65_536, 7);
    expect(written).toEqual({ statuses: Array.from({ length: 64 }, () => 'ok'), paused: '' });
    expect(await ask(page, 'close')).toBe('ok');

    await page.reload();
    await page.waitForFunction(() => 'disk' in window);
    expect((await ask(page, 'open', 'kept', 'auto', 0, 4)).problem).toBe('');
    expect(await ask(page, 'verify', 64, 65_536, 7)).toBe(true);
    expect(await ask(page, 'close')).toBe('ok');
  } finally {
    site.close();
  }
});
