/** The page for people who use a keyboard, a screen reader, a phone, or want less motion. */
import { writeFileSync } from 'node:fs';
import type { TestInfo } from '@playwright/test';
import { pvhKernel } from '../src/machine/pvh-kernel.ts';
import { ECHO, print, SPIN } from './tiny-guest.ts';
import { expect, test } from './virtab-page.ts';
import type { VirtabPage } from './virtab-page.ts';

function writeKernel(testInfo: TestInfo, code: readonly number[]): ReadonlyMap<string, string> {
  const kernel = testInfo.outputPath('vmlinux');
  writeFileSync(kernel, pvhKernel(code));
  return new Map([['/kernel', kernel]]);
}

/** Which control has the focus, by its role and name as assistive technology sees it. */
async function focused(virtab: VirtabPage): Promise<string> {
  return await virtab.page.evaluate(() => {
    const node = document.activeElement;
    return node?.getAttribute('aria-label') ?? node?.textContent.trim() ?? '';
  });
}

/** Presses Tab until `name` has the focus; as many times as there can be controls before it. */
async function tabTo(virtab: VirtabPage, name: string): Promise<void> {
  await expect
    .poll(
      async () => {
        await virtab.page.keyboard.press('Tab');
        return await focused(virtab);
      },
      { intervals: [0], timeout: 20_000 },
    )
    .toBe(name);
}

for (const panel of ['Disks', 'Machines', 'Settings']) {
  test(`axe finds no serious fault in the panel ${panel}`, async ({ virtab, serve }, testInfo) => {
    const site = await serve({ files: writeKernel(testInfo, [...print('ready> '), ...ECHO]) });
    await virtab.page.goto(`${site.url}?kernel=kernel`);
    await virtab.waitForOutput('ready>');
    await virtab.button(panel).click();
    await expect(virtab.page.getByRole('complementary', { name: panel })).toBeVisible();
    await virtab.lookAt(`panel-${panel.toLowerCase()}`);
  });
}

test('with the keyboard alone: type, leave the console, pause, resume, open a panel, close it, go on', async ({
  virtab,
  serve,
}, testInfo) => {
  const site = await serve({ files: writeKernel(testInfo, [...print('ready> '), ...ECHO]) });
  const { keyboard } = virtab.page;
  await virtab.page.goto(`${site.url}?kernel=kernel`);
  await virtab.waitForOutput('ready>');
  // The console has the focus from the start, and Tab is the guest's.
  await keyboard.type('one\ttwo');
  await expect.poll(() => virtab.consoleText()).toMatch(/ready> one\s+two/);
  expect(await focused(virtab)).toBe('Serial console of the guest');

  await keyboard.press('Control+Shift+ArrowUp');
  expect(await focused(virtab)).not.toBe('Serial console of the guest');
  await virtab.button('Pause').waitFor();
  await virtab.page.keyboard.press('Shift+Tab');
  await tabTo(virtab, 'Pause');
  await keyboard.press('Enter');
  await expect(virtab.status).toHaveText('Paused');
  await keyboard.press('Control+Shift+ArrowUp');
  await virtab.page.keyboard.press('Shift+Tab');
  await tabTo(virtab, 'Resume');
  await keyboard.press('Space');
  await expect(virtab.status).toHaveText('Running');

  await keyboard.press('Control+Shift+ArrowUp');
  await tabTo(virtab, 'Disks');
  await keyboard.press('Enter');
  await tabTo(virtab, 'New empty disk');
  await keyboard.press('Enter');
  await expect(virtab.page.getByRole('dialog')).toBeVisible();
  await keyboard.press('Escape');
  await expect(virtab.page.getByRole('dialog')).toBeHidden();
  expect(await focused(virtab)).toBe('New empty disk');
  await keyboard.press('Escape');
  await expect(virtab.page.getByRole('complementary', { name: 'Disks' })).toBeHidden();
});

test('screen reader mode puts what the guest prints into the page, and stays on', async ({
  virtab,
  serve,
}, testInfo) => {
  const site = await serve({ files: writeKernel(testInfo, [...print('ready> '), ...ECHO]) });
  await virtab.page.goto(`${site.url}?kernel=kernel`);
  await virtab.waitForOutput('ready>');
  const tree = virtab.page.locator('.xterm-accessibility');
  await expect(tree).toHaveCount(0);
  await virtab.button('Turn on screen reader mode of the console').focus();
  await virtab.lookAt('screen-reader-switch');
  await virtab.page.keyboard.press('Enter');
  await expect(virtab.button('Screen reader mode of the console is on')).toHaveAttribute(
    'aria-pressed',
    'true',
  );
  await virtab.type('spoken');
  await expect(tree).toContainText('ready> spoken');

  await virtab.page.reload();
  await virtab.waitForOutput('ready>');
  await expect(tree).toContainText('ready>');
});

test('what happens to the machine is announced without taking the focus', async ({
  virtab,
  serve,
}, testInfo) => {
  const site = await serve({ files: writeKernel(testInfo, [...print('ready> '), ...ECHO]) });
  await virtab.page.goto(`${site.url}?kernel=kernel`);
  await virtab.waitForOutput('ready>');
  const statuses = virtab.page.getByRole('status');
  await expect(statuses.filter({ hasText: 'Running' })).toHaveCount(1);
  await virtab.button('Power off').click();
  await expect(statuses.filter({ hasText: 'You turned the machine off.' })).not.toHaveCount(0);
  expect(await focused(virtab)).toBe('Serial console of the guest');
});

test('nothing moves while the page loads, boots, and shows what it has to say', async ({
  virtab,
  serve,
}, testInfo) => {
  const site = await serve({ files: writeKernel(testInfo, [...print('ready> '), ...ECHO]) });
  await virtab.page.addInitScript(() => {
    const shifts: [number, ...string[]][] = [];
    (window as { shifts?: typeof shifts }).shifts = shifts;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as (PerformanceEntry & {
        value: number;
        hadRecentInput: boolean;
        sources: { node: Element | null }[];
      })[]) {
        if (entry.hadRecentInput) continue;
        shifts.push([entry.value, ...entry.sources.map(({ node }) => node?.className ?? '')]);
      }
    }).observe({ type: 'layout-shift', buffered: true });
  });
  await virtab.page.goto(`${site.url}?kernel=kernel`);
  await virtab.waitForOutput('ready>');
  await virtab.page.evaluate(() =>
    (window as { virtab?: { machine?: { powerOff(): unknown } } }).virtab?.machine?.powerOff(),
  );
  await expect(virtab.notice).toHaveAttribute('data-kind', 'unplugged');
  await virtab.page.waitForTimeout(600);
  const shifts = await virtab.page.evaluate(
    () => (window as { shifts?: [number, ...string[]][] }).shifts ?? [],
  );
  // The share of the window that moved, times how far: 0.1 is still called good (Web Vitals, CLS).
  const total = shifts.reduce((sum, [value]) => sum + value, 0);
  expect(total, JSON.stringify(shifts)).toBeLessThan(0.001);
});

test.describe('with less motion', () => {
  test.use({ contextOptions: { reducedMotion: 'reduce' } });

  test('nothing is animated', async ({ virtab, serve }, testInfo) => {
    const site = await serve({ files: writeKernel(testInfo, [...print('spinning'), ...SPIN]) });
    await virtab.page.goto(`${site.url}?kernel=kernel`);
    await virtab.waitForOutput('spinning');
    await virtab.button('Settings').click();
    expect(await virtab.page.evaluate(() => document.getAnimations().length)).toBe(0);
  });
});

test.describe('on a phone', () => {
  test.use({ viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true });

  test('the keys that a phone lacks reach the guest, and leave the focus where it is', async ({
    virtab,
    serve,
  }, testInfo) => {
    // Application mode of the cursor keys: what the guest gets then, it prints as a letter.
    const site = await serve({ files: writeKernel(testInfo, [...print('\x1b[?1hready> '), ...ECHO]) });
    await virtab.page.goto(`${site.url}?kernel=kernel`);
    await virtab.waitForOutput('ready>');
    await virtab.button('Up arrow').tap();
    await virtab.button('Left arrow').tap();
    await virtab.waitForOutput('ready> AD');
    expect(await focused(virtab)).toBe('Serial console of the guest');
    await virtab.button('Control, for the next key').tap();
    await expect(virtab.button('Control, for the next key')).toHaveAttribute('aria-pressed', 'true');
    await virtab.page.keyboard.type('h');
    // Ctrl-H is a backspace.
    await virtab.page.keyboard.type('X');
    await virtab.waitForOutput('ready> AX');
    await virtab.lookAt('phone-keys');
    for (const name of ['Escape', 'Tab', 'Up arrow', 'Control, for the next key']) {
      const box = await virtab.button(name).boundingBox();
      expect(box?.height).toBeGreaterThanOrEqual(40);
    }
  });

  test('every panel fits and can be closed', async ({ virtab, serve }, testInfo) => {
    const site = await serve({ files: writeKernel(testInfo, [...print('ready> '), ...ECHO]) });
    await virtab.page.goto(`${site.url}?kernel=kernel`);
    await virtab.waitForOutput('ready>');
    for (const panel of ['Disks', 'Machines', 'Settings']) {
      await virtab.button(panel).tap();
      await expect(virtab.page.getByRole('complementary', { name: panel })).toBeVisible();
      expect(await virtab.page.evaluate(() => document.documentElement.scrollWidth)).toBe(390);
      await virtab.button('Close panel').tap();
    }
  });
});
