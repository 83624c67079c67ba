/** Settings and machines: changed, kept, shared, chosen at the start. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestInfo } from '@playwright/test';
import type { VirtabWindow } from '../src/main.ts';
import { pvhKernel } from '../src/machine/pvh-kernel.ts';
import { ECHO, print } from './tiny-guest.ts';
import { expect, test } from './virtab-page.ts';
import type { VirtabPage } from './virtab-page.ts';

/** A default guest of a few instructions. */
function tinyGuest(testInfo: TestInfo): string {
  const folder = testInfo.outputPath('guest');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'vmlinuz'), pvhKernel([...print('alive> '), ...ECHO]));
  writeFileSync(join(folder, 'initrd.img'), Buffer.alloc(512));
  const file = (name: string) => ({ file: name, bytes: 512 });
  writeFileSync(
    join(folder, 'manifest.json'),
    JSON.stringify({
      format: 1,
      release: 'tiny',
      commandLine: 'console=ttyS0',
      kernel: file('vmlinuz'),
      initrd: file('initrd.img'),
    }),
  );
  return folder;
}

async function answerName(virtab: VirtabPage, name: string, confirm: string): Promise<void> {
  await virtab.page.getByRole('dialog').getByLabel('Name').fill(name);
  await virtab.page.getByRole('dialog').getByRole('button', { name: confirm }).click();
}

test('a changed setting says when it takes effect, takes effect, and is there after a reload', async ({
  virtab,
  serve,
}, testInfo) => {
  const site = await serve({ guestFolder: tinyGuest(testInfo) });
  const { page } = virtab;
  await page.goto(site.url);
  await virtab.waitForOutput('alive>');
  await virtab.button('Settings').click();
  await page.getByRole('spinbutton', { name: 'Memory in MiB' }).fill('96');
  await page.getByRole('spinbutton', { name: 'Memory in MiB' }).press('Enter');
  const foot = page.locator('.panel-foot');
  await expect(foot).toContainText('Changed: memory. It takes effect when the machine is started again.');
  await expect(page.locator('.strip')).toContainText('512 MiB');
  await virtab.lookAt('settings-changed');
  await page.getByRole('textbox', { name: 'CPU model' }).fill('qemu64,+smaap');
  await page.getByRole('textbox', { name: 'CPU model' }).press('Enter');
  await expect(page.locator('.setting', { hasText: 'CPU model' })).toContainText(
    'Write it as +smap or -smap.',
  );
  await page.getByRole('textbox', { name: 'CPU model' }).fill('qemu64,-bmi2');
  await page.getByRole('textbox', { name: 'CPU model' }).press('Enter');
  await expect(foot).toContainText('Changed: memory, CPU model.');
  await foot.getByRole('button', { name: 'Restart now' }).click();
  await expect(page.locator('.strip')).toContainText('96 MiB');
  await expect(foot).toBeHidden();

  await page.reload();
  await virtab.waitForOutput('alive>');
  await expect(page.locator('.strip')).toContainText('96 MiB');
  await virtab.button('Settings').click();
  await expect(page.getByRole('spinbutton', { name: 'Memory in MiB' })).toHaveValue('96');
  await expect(page.getByRole('textbox', { name: 'CPU model' })).toHaveValue('qemu64,-bmi2');
});

test('a machine that is slow because of its JIT setting says so', async ({ virtab, serve }, testInfo) => {
  const site = await serve({ guestFolder: tinyGuest(testInfo) });
  const { page } = virtab;
  await page.goto(site.url);
  await virtab.waitForOutput('alive>');
  const badge = page.locator('.bar-badge');
  await expect(badge).toBeHidden();
  await page.goto(`${site.url}?jit=verify`);
  await virtab.waitForOutput('alive>');
  await expect(badge).toHaveText('JIT verify');
  await expect(badge).toHaveAttribute('title', /clock passes 16 times more slowly/);
  await virtab.lookAt('verify');
});

test('a guest that is started again is told the size that its console has then', async ({
  virtab,
  serve,
}, testInfo) => {
  const site = await serve({ guestFolder: tinyGuest(testInfo) });
  const { page } = virtab;
  const commandLine = () => page.evaluate(() => (window as VirtabWindow).virtab?.machine?.config.commandLine);
  const size = async () =>
    (await page.locator('.strip-size b').innerText()).replace(/(\d+) × (\d+)/, 'COLUMNS=$1 LINES=$2');
  await page.goto(site.url);
  await virtab.waitForOutput('alive>');
  const before = await size();
  expect(await commandLine()).toBe(`console=ttyS0 ${before}`);
  await virtab.button('Power off').click();
  // The notice takes room from the console.
  await expect.poll(size).not.toBe(before);
  await expect(virtab.button('Tell the guest')).toBeDisabled();
  await page.setViewportSize({ width: 1000, height: 640 });
  await virtab.button('Start again').click();
  await expect(virtab.status).toHaveText('Running');
  expect(await commandLine()).toBe(`console=ttyS0 ${await size()}`);
  await expect(virtab.button('Tell the guest')).toHaveAttribute('data-news', 'false');
});

test('settings are shared as a link, as a QEMU command and as a file', async ({
  virtab,
  serve,
  context,
}, testInfo) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  const site = await serve({ guestFolder: tinyGuest(testInfo) });
  const { page } = virtab;
  const clipboard = () => page.evaluate(() => navigator.clipboard.readText());
  await page.goto(`${site.url}?m=80&no-reboot`);
  await virtab.waitForOutput('alive>');
  await virtab.button('Settings').click();

  await virtab.button('Copy link').click();
  await expect.poll(clipboard).toBe(`${site.url}?m=80M&no-reboot`);
  await virtab.button('Copy as QEMU command').click();
  await expect.poll(clipboard).toContain('qemu-system-x86_64 \\\n  -m 80M');

  const download = page.waitForEvent('download');
  await virtab.button('Export settings').click();
  const file = testInfo.outputPath('machine.json');
  await (await download).saveAs(file);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ virtab: 1, name: 'From a link' });

  await page.goto(site.url);
  await virtab.waitForOutput('alive>');
  await virtab.button('Settings').click();
  await page.getByLabel('Import settings: choose a file').setInputFiles(file);
  await virtab.button('Use them').click();
  await expect(page.getByRole('spinbutton', { name: 'Memory in MiB' })).toHaveValue('80');

  writeFileSync(file, '{}');
  await page.getByLabel('Import settings: choose a file').setInputFiles(file);
  await expect(virtab.notice).toContainText('machine.json: This is not a machine of Virtab.');
});

test('several machines: one is chosen at the start, each with its own settings', async ({
  virtab,
  serve,
  context,
}, testInfo) => {
  const site = await serve({ guestFolder: tinyGuest(testInfo) });
  const { page } = virtab;
  await page.goto(site.url);
  await virtab.waitForOutput('alive>');
  await virtab.button('Machines').click();
  await virtab.button('Rename').click();
  await answerName(virtab, 'First', 'Rename');
  await expect(page.locator('.machine-name')).toHaveText('First');
  await virtab.button('New machine').click();
  await answerName(virtab, 'Second', 'Create');
  await expect(page.locator('.machine-name')).toHaveText('Second');
  await virtab.waitForOutput('alive>');
  await virtab.button('Settings').click();
  await page.getByRole('spinbutton', { name: 'Memory in MiB' }).fill('64');
  await page.getByRole('spinbutton', { name: 'Memory in MiB' }).press('Enter');
  await virtab.button('Machines').click();
  await virtab.lookAt('machines');

  const other = await context.newPage();
  await other.goto(site.url);
  await expect(other.getByRole('heading', { name: 'Which machine?' })).toBeVisible();
  await expect(other.locator('.choose-card', { hasText: 'Second' })).toContainText('64 MiB of memory');
  await other.locator('.choose-card', { hasText: 'First' }).click();
  await expect(other.locator('.machine-name')).toHaveText('First');
  await expect(other.locator('.strip')).toContainText('512 MiB');
  await other.close();

  await virtab.button('Delete First').click();
  await virtab.button('Delete the machine').click();
  await expect(page.getByText('No others yet.')).toBeVisible();
});

test('a machine from a link is kept only when the user says so', async ({ virtab, serve }, testInfo) => {
  const site = await serve({ guestFolder: tinyGuest(testInfo) });
  const { page } = virtab;
  await page.goto(`${site.url}?profile=small`);
  await virtab.waitForOutput('alive>');
  await expect(page.locator('.strip')).toContainText('128 MiB');
  await page.goto(site.url);
  await virtab.waitForOutput('alive>');
  await expect(page.locator('.strip')).toContainText('512 MiB');

  await page.goto(`${site.url}?profile=small`);
  await virtab.waitForOutput('alive>');
  await virtab.button('Machines').click();
  await virtab.button('Keep this machine').click();
  await answerName(virtab, 'Small one', 'Keep');
  await expect(virtab.button('Rename')).toBeVisible();
  await page.goto(site.url);
  await expect(page.locator('.machine-name')).toHaveText('Small one');
  await expect(page.locator('.strip')).toContainText('128 MiB');
});

test('an image that the address names is fetched and read in place', async ({ virtab, serve }, testInfo) => {
  const image = testInfo.outputPath('linked.img');
  writeFileSync(image, Buffer.alloc(1024 * 1024, 1));
  const site = await serve({
    guestFolder: tinyGuest(testInfo),
    files: new Map([['/images/linked.img', image]]),
  });
  await virtab.page.goto(`${site.url}?hda.url=images/linked.img`);
  await virtab.waitForOutput('alive>');
  await virtab.button('Disks').click();
  const disk = virtab.page.locator('.card', { hasText: 'linked.img' });
  await expect(disk).toContainText('raw, 1 MiB, read-only');
  await expect(disk).toContainText('aio=file');

  await virtab.page.goto(`${site.url}?hda.url=images/missing.img`);
  await expect(virtab.notice).toContainText('missing.img could not be read: the server answered 404');
});
