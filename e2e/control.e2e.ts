/** The machine's buttons, on a guest that needs no more than a few instructions. */
import { writeFileSync } from 'node:fs';
import type { TestInfo } from '@playwright/test';
import { pvhKernel } from '../src/machine/pvh-kernel.ts';
import { ECHO, print, RESET, SPIN } from './tiny-guest.ts';
import { expect, test } from './virtab-page.ts';

function writeKernel(testInfo: TestInfo, code: readonly number[]): ReadonlyMap<string, string> {
  const kernel = testInfo.outputPath('vmlinux');
  writeFileSync(kernel, pvhKernel(code));
  return new Map([['/kernel', kernel]]);
}

test('typed characters reach the guest and come back', async ({ virtab, serve }, testInfo) => {
  const site = await serve({ files: writeKernel(testInfo, [...print('ready> '), ...ECHO]) });
  await virtab.page.goto(`${site.url}?kernel=kernel`);
  await virtab.waitForOutput('ready>');
  await virtab.type('hello, guest');
  await virtab.waitForOutput('ready> hello, guest');
});

test('a pause stops the guest, keeps what is typed, and resumes', async ({ virtab, serve }, testInfo) => {
  const site = await serve({ files: writeKernel(testInfo, [...print('ready> '), ...ECHO]) });
  await virtab.page.goto(`${site.url}?kernel=kernel`);
  await virtab.waitForOutput('ready>');
  await virtab.button('Pause').click();
  await expect(virtab.status).toHaveText('Paused');
  const paused = await virtab.instructions();
  await virtab.type('typed while paused');
  await virtab.page.waitForTimeout(300);
  expect(await virtab.instructions()).toBe(paused);
  expect(await virtab.consoleText()).not.toContain('typed while paused');
  await virtab.lookAt('paused');
  await virtab.button('Resume').click();
  await virtab.waitForOutput('ready> typed while paused');
});

test('the reset button starts the guest from its beginning', async ({ virtab, serve }, testInfo) => {
  const site = await serve({ files: writeKernel(testInfo, [...print('ready> '), ...ECHO]) });
  await virtab.page.goto(`${site.url}?kernel=kernel`);
  await virtab.waitForOutput('ready>');
  await virtab.button('Reset').click();
  await expect.poll(async () => (await virtab.consoleText()).split('ready>').length - 1).toBe(2);
  await expect(virtab.status).toHaveText('Running');
});

test('power off ends even a guest that spins, and start begins anew', async ({ virtab, serve }, testInfo) => {
  const site = await serve({ files: writeKernel(testInfo, [...print('spinning\r\n'), ...SPIN]) });
  await virtab.page.goto(`${site.url}?kernel=kernel`);
  await virtab.waitForOutput('spinning');
  await virtab.button('Power off').click();
  await expect(virtab.status).toHaveText('Off');
  await virtab.button('Start again').click();
  await expect(virtab.status).toHaveText('Running');
});

test('a guest that resets itself goes round', async ({ virtab, serve }, testInfo) => {
  const site = await serve({ files: writeKernel(testInfo, [...print('once more\r\n'), ...RESET, ...SPIN]) });
  await virtab.page.goto(`${site.url}?kernel=kernel`);
  await expect
    .poll(async () => (await virtab.consoleText()).split('once more').length - 1)
    .toBeGreaterThan(3);
});

test('everything can be reached by keyboard', async ({ virtab, serve }, testInfo) => {
  const site = await serve({ files: writeKernel(testInfo, [...print('ready> '), ...ECHO]) });
  await virtab.page.goto(`${site.url}?kernel=kernel`);
  await virtab.waitForOutput('ready>');
  await virtab.button('Pause').focus();
  await virtab.page.keyboard.press('Enter');
  await expect(virtab.status).toHaveText('Paused');
  await virtab.button('Settings').focus();
  await virtab.page.keyboard.press('Enter');
  await virtab.button('Choose a guest').focus();
  await virtab.page.keyboard.press('Enter');
  await expect(virtab.page.getByRole('dialog')).toBeVisible();
  await virtab.page.keyboard.press('Escape');
  await expect(virtab.page.getByRole('dialog')).toBeHidden();
  await virtab.button('Search').focus();
  await virtab.page.keyboard.press('Enter');
  await virtab.page.keyboard.type('ready');
  await expect(virtab.page.locator('.search-count')).toHaveText('1 of 1');
  await virtab.page.keyboard.press('Escape');
  await expect(virtab.page.getByRole('search')).toBeHidden();
});

test.describe('on a phone', () => {
  test.use({ viewport: { width: 390, height: 780 }, colorScheme: 'dark' });

  test('nothing is cut off and Ctrl applies to the next key', async ({ virtab, serve }, testInfo) => {
    const site = await serve({ files: writeKernel(testInfo, [...print('ready> '), ...ECHO]) });
    await virtab.page.goto(`${site.url}?kernel=kernel`);
    await virtab.waitForOutput('ready>');
    const width = await virtab.page.evaluate(() => document.documentElement.scrollWidth);
    expect(width).toBe(390);
    await virtab.button('Control, for the next key').click();
    await virtab.type('i[x]');
    // Ctrl-I is a tab.
    await expect.poll(() => virtab.consoleText()).toMatch(/ready> +\[x\]/);
    await virtab.lookAt('phone');
  });
});
