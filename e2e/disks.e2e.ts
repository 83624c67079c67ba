/** Disks in the page: dropped, imported, written by Debian's kernel, there again after a reload. In an ordinary profile. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from '@playwright/test';
import type { BrowserContext, Locator, TestInfo } from '@playwright/test';
import { launchOptions } from '../tools/runner/chromium.ts';
import type { SiteOptions } from '../tools/runner/site.ts';
import { pvhKernel } from '../src/machine/pvh-kernel.ts';
import { dropFiles } from './drops.ts';
import { ECHO, print } from './tiny-guest.ts';
import { expect, test as base, VirtabPage } from './virtab-page.ts';

const MIB = 1024 * 1024;
const PROMPT = 'root@virtab:~#';

interface Profile {
  /** A browser that keeps what it stores: Playwright's own contexts are private windows. */
  readonly profile: BrowserContext;
}

const test = base.extend<Profile>({
  profile: async ({}, use) => {
    const folder = mkdtempSync(join(tmpdir(), 'virtab-disks-'));
    const context = await chromium.launchPersistentContext(folder, {
      ...launchOptions(),
      viewport: { width: 1280, height: 800 },
    });
    await use(context);
    await context.close();
    rmSync(folder, { recursive: true, force: true });
  },
  virtab: async ({ profile }, use) => {
    await use(new VirtabPage(await profile.newPage()));
  },
});

/** A raw image of 4 MiB that begins with `text`. */
function image(path: string, text: string, bytes = 4 * MIB): string {
  const data = Buffer.alloc(bytes);
  data.write(text, 'latin1');
  writeFileSync(path, data);
  return path;
}

/** A site whose kernel says `alive> ` and repeats what is typed. */
function tinyGuest(testInfo: TestInfo): Partial<SiteOptions> {
  const kernel = testInfo.outputPath('vmlinux');
  writeFileSync(kernel, pvhKernel([...print('alive> '), ...ECHO]));
  return { files: new Map([['/kernel', kernel]]), guestFolder: '/nonexistent' };
}

function card(virtab: VirtabPage, section: string, name: string): Locator {
  return virtab.page.getByRole('region', { name: section }).locator('.card', { hasText: name });
}

async function createDisk(virtab: VirtabPage, name: string, size: string): Promise<void> {
  await virtab.button('New empty disk').click();
  await virtab.page.getByRole('dialog').getByLabel('Name').fill(name);
  await virtab.page.getByLabel('Size', { exact: true }).fill(size);
  await virtab.button('Create').click();
}

test('a dropped image is imported, written by the guest, and as the guest left it after a reload', async ({
  virtab,
  serve,
}, testInfo) => {
  const site = await serve();
  const { page } = virtab;
  await page.goto(site.url);
  await virtab.waitForOutput(PROMPT, 90_000);
  await dropFiles(page, image(testInfo.outputPath('data.img'), 'hello from the host'));
  await expect(page.getByRole('dialog')).toContainText('data.img (4 MiB, raw data)');
  await virtab.lookAt('drop-image');
  await page.getByRole('button', { name: /Copy it into the browser, writable/ }).click();
  await expect(card(virtab, 'This machine', 'data.img')).toContainText('aio=');

  // The guest has an empty drive for this: no reboot.
  await virtab.waitForOutput('detected capacity change from 0 to 8192');
  await virtab.type(
    'head -c 19 /dev/vda; echo; echo kept by the browser | dd of=/dev/vda bs=512 seek=8 conv=fsync\n',
  );
  await virtab.waitForOutput('\nhello from the host');
  await virtab.type('sync; echo written; \n');
  await virtab.waitForOutput('\nwritten');
  await expect(card(virtab, 'This machine', 'data.img')).toContainText(
    'everything that the guest has flushed',
  );
  await virtab.lookAt('disks');

  // What is written without a flush could be lost: leaving asks.
  await virtab.type('echo not flushed | dd of=/dev/vda bs=512 seek=9; echo un-flushed\n');
  await virtab.waitForOutput('\nun-flushed');
  await expect(card(virtab, 'This machine', 'data.img')).toContainText('data that is not flushed yet');
  const question = page.waitForEvent('dialog');
  void page.close({ runBeforeUnload: true });
  const dialog = await question;
  expect(dialog.type()).toBe('beforeunload');
  await dialog.dismiss();
  await virtab.type('dd if=/dev/zero of=/dev/vda bs=512 seek=10 count=1 conv=fsync; echo flushed\n');
  await expect(card(virtab, 'This machine', 'data.img')).toContainText(
    'everything that the guest has flushed',
  );

  await page.reload();
  await virtab.waitForOutput(PROMPT, 90_000);
  await virtab.type('dd if=/dev/vda bs=512 skip=8 count=1 2> /dev/null | head -n 1\n');
  await virtab.waitForOutput('\nkept by the browser');
});

test('an image is used in place, read-only, and asked for again after a reload', async ({
  virtab,
  serve,
}, testInfo) => {
  const site = await serve();
  const { page } = virtab;
  const path = image(testInfo.outputPath('medium.img'), 'read in place');
  await page.goto(site.url);
  await virtab.waitForOutput(PROMPT, 90_000);
  await dropFiles(page, path);
  await page.getByRole('button', { name: /Use the file where it is/ }).click();
  await expect(card(virtab, 'This machine', 'medium.img')).toContainText('aio=file');
  // The guest knows that it cannot write: it does not even try.
  await virtab.type(
    'head -c 13 /dev/vdc; echo; cat /sys/block/vdc/ro; dd if=/dev/zero of=/dev/vdc bs=512 count=1; sync; echo tried\n',
  );
  await virtab.waitForOutput('\nread in place\n1\n');
  await virtab.waitForOutput("dd: error writing '/dev/vdc': Operation not permitted");
  await virtab.waitForOutput('\ntried');
  await expect(card(virtab, 'This machine', 'medium.img')).toContainText('vdc');
  expect(readFileSync(path, 'latin1').slice(0, 13)).toBe('read in place');
  await virtab.button('Settings').click();
  await expect(page.getByRole('combobox', { name: 'aio' })).toBeDisabled();

  await page.reload();
  await virtab.waitForOutput(PROMPT, 90_000);
  await virtab.button('Disks').click();
  await expect(card(virtab, 'This machine', 'medium.img')).toContainText('drop it again');
  await virtab.lookAt('disk-missing');
  await dropFiles(page, path);
  await page.getByRole('button', { name: /Use the file where it is/ }).click();
  await expect(card(virtab, 'This machine', 'medium.img')).toContainText('aio=file');
});

test('a dropped kernel starts after a look at what it is started with', async ({
  virtab,
  serve,
}, testInfo) => {
  const site = await serve({ guestFolder: '/nonexistent' });
  const kernel = testInfo.outputPath('vmlinux');
  writeFileSync(kernel, pvhKernel([...print('dropped and started> '), ...ECHO]));
  await virtab.page.goto(site.url);
  await expect(virtab.notice).toHaveAttribute('data-kind', 'no-guest');
  await dropFiles(virtab.page, kernel);
  await expect(virtab.page.getByRole('dialog')).toContainText('vmlinux');
  await virtab.button('Start this guest').click();
  await virtab.waitForOutput('dropped and started>');

  // It is kept with the machine.
  await virtab.page.reload();
  await virtab.waitForOutput('dropped and started>');
});

test('files that cannot be used each get a sentence that says why', async ({ virtab, serve }, testInfo) => {
  const site = await serve({ guestFolder: '/nonexistent' });
  await virtab.page.goto(site.url);
  await expect(virtab.notice).toHaveAttribute('data-kind', 'no-guest');
  const empty = testInfo.outputPath('empty.img');
  writeFileSync(empty, '');
  const qcow2 = testInfo.outputPath('debian.qcow2');
  writeFileSync(qcow2, Buffer.from([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3]));
  await dropFiles(virtab.page, empty);
  await expect(virtab.notice).toContainText('empty.img is empty.');
  await virtab.button('Close').click();
  await dropFiles(virtab.page, qcow2);
  await expect(virtab.notice).toContainText('debian.qcow2 is a qcow2 disk image, which cannot be used yet.');
  await expect(virtab.notice).toContainText('qemu-img convert -O raw');
});

test('a disk is created, detached, renamed, grown, exported and deleted', async ({
  virtab,
  serve,
}, testInfo) => {
  const site = await serve({ guestFolder: '/nonexistent' });
  const { page } = virtab;
  await page.goto(site.url);
  // Chromium's dialog for files cannot be answered from here; without it, an export is a download.
  await page.evaluate(() => Reflect.deleteProperty(window, 'showSaveFilePicker'));
  await virtab.button('Disks').click();
  await createDisk(virtab, 'work.img', '2M');
  await expect(card(virtab, 'This machine', 'work.img')).toContainText('raw, 2 MiB, blank, writable');
  await virtab.button('Detach work.img').click();

  await virtab.button('Rename work.img').click();
  await page.getByRole('dialog').getByLabel('Name').fill('home.img');
  await virtab.button('Rename').click();
  await virtab.button('Grow home.img').click();
  await page.getByLabel('Size', { exact: true }).fill('1M');
  await virtab.button('Grow').click();
  await expect(page.getByRole('alert').filter({ hasText: 'a disk cannot shrink' })).toBeVisible();
  await page.getByLabel('Size', { exact: true }).fill('3M');
  await virtab.button('Grow').click();
  await expect(card(virtab, 'In this browser', 'home.img')).toContainText('3 MiB');
  await virtab.lookAt('disk-stored');

  const download = page.waitForEvent('download');
  await virtab.button('Export home.img').click();
  const file = testInfo.outputPath('exported.img');
  await (await download).saveAs(file);
  expect(readFileSync(file).length).toBe(3 * MIB);

  await virtab.button('Delete home.img').click();
  await expect(page.getByRole('dialog')).toContainText('there is no way back');
  await virtab.lookAt('disk-delete');
  await virtab.button('Delete the disk').click();
  await expect(card(virtab, 'In this browser', 'home.img')).toHaveCount(0);
});

test('an import can be cancelled, and leaves nothing behind', async ({ virtab, serve }, testInfo) => {
  const site = await serve({ guestFolder: '/nonexistent' });
  const { page } = virtab;
  await page.goto(site.url);
  const path = testInfo.outputPath('large.img');
  writeFileSync(path, Buffer.alloc(400 * MIB, 7));
  await dropFiles(page, path);
  await page.getByRole('button', { name: /Copy it into the browser/ }).click();
  const job = page.locator('.job');
  await expect(job).toContainText('Importing large.img');
  await job.getByRole('button', { name: 'Pause' }).click();
  await virtab.lookAt('import');
  // Not resumed: a fast machine has all of it before the next click.
  await expect(job.getByRole('button', { name: 'Resume' })).toBeVisible();
  await job.getByRole('button', { name: 'Cancel' }).click();
  await expect(job).toHaveCount(0);
  await expect(card(virtab, 'In this browser', 'large.img')).toHaveCount(0);
  await expect(card(virtab, 'This machine', 'large.img')).toHaveCount(0);
});

test('a disk that came while the guest runs is no reason to start it again', async ({
  virtab,
  serve,
}, testInfo) => {
  const site = await serve(tinyGuest(testInfo));
  await virtab.page.goto(`${site.url}?kernel=kernel`);
  await virtab.waitForOutput('alive>');
  await virtab.button('Disks').click();
  await createDisk(virtab, 'work.img', '2M');
  const created = card(virtab, 'This machine', 'work.img');
  await expect(created).toContainText('In use');
  await expect(virtab.page.getByText('closing or reloading this page is a power cut')).toBeVisible();
  await virtab.button('Settings').click();
  await expect(virtab.page.getByRole('region', { name: 'Disk work.img' })).toBeVisible();
  const foot = virtab.page.locator('.panel-foot');
  await expect(foot).toBeHidden();

  // What would be refused at the next start is not offered.
  await expect(virtab.page.getByRole('combobox', { name: 'aio' }).getByRole('option')).toHaveText([
    'auto',
    'opfs',
    'threads',
  ]);
  await virtab.page.getByRole('combobox', { name: 'cache' }).selectOption('unsafe');
  await expect(foot).toContainText('Changed: disks.');
  await virtab.page.getByRole('combobox', { name: 'cache' }).selectOption('writeback');
  await expect(foot).toBeHidden();

  await virtab.button('Disks').click();
  await virtab.button('Detach work.img').click();
  await expect(virtab.page.getByRole('dialog')).toContainText('unmount it there first');
  await virtab.button('Detach it now').click();
  await expect(created).toHaveCount(0);
  await virtab.button('Settings').click();
  await expect(foot).toBeHidden();
});

test('without room the page says so, and where room can be made', async ({
  virtab,
  serve,
  profile,
}, testInfo) => {
  const site = await serve({ guestFolder: '/nonexistent' });
  const { page } = virtab;
  await page.goto(site.url);
  const devtools = await profile.newCDPSession(page);
  const { origin } = new URL(site.url);
  await devtools.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 3 * MIB });
  await virtab.button('Disks').click();
  await createDisk(virtab, 'big.img', '64M');
  await expect(page.locator('.panel').getByRole('alert')).toContainText(
    'The browser has no room for a disk of',
  );
  await dropFiles(page, image(testInfo.outputPath('data.img'), 'x', 8 * MIB));
  await page.getByRole('button', { name: /Copy it into the browser/ }).click();
  await expect(page.locator('.panel').getByRole('alert')).toContainText(
    'The browser has no room left for “data.img”. Delete disks that are not needed',
  );
  await virtab.lookAt('no-room');
});

test('a second tab with the same disk is told that it is in use', async ({
  virtab,
  serve,
  profile,
}, testInfo) => {
  const site = await serve(tinyGuest(testInfo));
  const address = `${site.url}?kernel=kernel&drive=file=shared.img,size=1M`;
  await virtab.page.goto(address);
  await virtab.button('Allow it').click();
  await virtab.waitForOutput('alive>');
  const second = new VirtabPage(await profile.newPage());
  await second.page.goto(address);
  await second.button('Allow it').click();
  await expect(second.notice).toHaveAttribute('data-kind', 'bad-disk', { timeout: 30_000 });
  await expect(second.notice).toContainText('shared.img” is in use by another machine');
  await second.lookAt('disk-in-use');
});

test('a link gets a saved disk only when the user allows it, and is told its name', async ({
  virtab,
  serve,
}, testInfo) => {
  const site = await serve(tinyGuest(testInfo));
  await virtab.page.goto(`${site.url}?kernel=kernel&drive=file=secret.img,size=1M`);
  await expect(virtab.page.getByRole('dialog')).toContainText(
    'the disk “secret.img” (to read and change it)',
  );
  await expect(virtab.page.getByRole('dialog')).toContainText('the kernel kernel');
  await virtab.lookAt('link-question');
  await virtab.button('Start without').click();
  await virtab.waitForOutput('alive>');
  await virtab.button('Disks').click();
  await expect(virtab.page.getByText('This machine has no disk.')).toBeVisible();
});
