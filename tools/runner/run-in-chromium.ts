/** Runs a session in a page of a headless Chromium of its own. */
import { basename, join } from 'node:path';
import type { Page } from '@playwright/test';
import { failure } from '../../src/base/result.ts';
import type { RunnerBridge } from '../../src/runner.ts';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { launchChromium, launchProfile } from './chromium.ts';
import { renameFiles } from './host-disks.ts';
import type { HostDisk, Runner, RunnerOptions } from './runner.ts';
import { ensureSite, serveSite, SITE_FOLDER } from './site.ts';

interface StartedBrowser {
  readonly page: Page;
  onEnd(action: () => void): void;
  close(): Promise<void>;
}

async function startPrivate(): Promise<StartedBrowser> {
  const browser = await launchChromium();
  return {
    page: await browser.newPage(),
    onEnd: (action) => browser.on('disconnected', action),
    close: () => browser.close(),
  };
}

/** Disks need storage that is not a private window's. */
async function startWithStorage(): Promise<StartedBrowser> {
  const folder = await mkdtemp(join(tmpdir(), 'virtab-profile-'));
  const context = await launchProfile(folder);
  return {
    page: context.pages()[0] ?? (await context.newPage()),
    onEnd: (action) => context.on('close', action),
    close: async () => {
      await context.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function diskUrl({ drive }: HostDisk): string {
  return `/disk/${drive}`;
}

function imageName({ drive, path }: HostDisk): string {
  return `${drive} ${basename(path)}`;
}

export async function runInChromium(options: RunnerOptions): Promise<Runner> {
  await ensureSite();
  const files = new Map([['/file/kernel', options.kernel]]);
  if (options.initrd !== undefined) files.set('/file/initrd', options.initrd);
  const { disks = [] } = options;
  const writable = new Map<string, string>();
  for (const disk of disks) {
    files.set(diskUrl(disk), disk.path);
    if (!disk.readOnly) writable.set(diskUrl(disk), disk.path);
  }
  options.modules?.forEach(({ path }, index) => files.set(`/file/module${index}`, path));
  const started = performance.now();
  const [site, browser] = await Promise.all([
    serveSite({
      folder: SITE_FOLDER,
      files,
      writable,
      ...(options.onSaving === undefined ? {} : { onWrite: options.onSaving }),
    }),
    options.config.drives.length > 0 ? startWithStorage() : startPrivate(),
  ]);
  const close = async (): Promise<void> => {
    await browser.close();
    site.close();
  };
  try {
    const { page } = browser;
    const crashed = new Promise<never>((_, reject) => {
      page.on('crash', () =>
        reject(new Error('the page crashed: the browser ran out of memory or hit a bug of its own')),
      );
      browser.onEnd(() => reject(new Error('the browser ended')));
    });
    // Awaited below, or not at all when the page never comes up.
    crashed.catch(() => undefined);
    page.on('console', (message) => {
      if (message.type() === 'warning') options.onWarning?.(message.text());
    });
    page.on('pageerror', (error) => console.error(`page: ${error.message}`));
    await page.exposeFunction('virtabOutput', (text: string) =>
      options.onOutput(Buffer.from(text, 'latin1')),
    );
    await page.goto(`${site.url}runner.html`);
    await page.waitForFunction(() => window.virtabRunner !== undefined);
    const pageStartMs = performance.now() - started;

    const request = {
      config: renameFiles(options.config, disks, imageName),
      disks: disks.map((disk) => ({
        name: imageName(disk),
        url: diskUrl(disk),
        readOnly: disk.readOnly,
      })),
      kernel: { name: basename(options.kernel), url: '/file/kernel' },
      ...(options.initrd === undefined
        ? {}
        : { initrd: { name: basename(options.initrd), url: '/file/initrd' } }),
      ...(options.modules === undefined
        ? {}
        : {
            modules: options.modules.map(({ commandLine }, index) => ({
              name: commandLine,
              url: `/file/module${index}`,
            })),
          }),
      ...(options.until === undefined ? {} : { until: options.until }),
      ...(options.marker === undefined ? {} : { marker: options.marker }),
      ...(options.profile === undefined ? {} : { profile: options.profile }),
    };
    const finished = page.evaluate((given) => {
      const bridge: RunnerBridge | undefined = window.virtabRunner;
      if (bridge === undefined) throw new Error('the page is not ready');
      return bridge.run(given);
    }, request);
    // The page may be gone by the time these arrive.
    const ignore = (): undefined => undefined;
    return {
      finished: Promise.race([finished, crashed]),
      pageStartMs,
      send: (bytes) => {
        const text = Buffer.from(bytes).toString('latin1');
        void page.evaluate((given) => window.virtabRunner?.send(given), text).catch(ignore);
      },
      info: () => page.evaluate(() => window.virtabRunner?.info()),
      counters: () => page.evaluate(() => window.virtabRunner?.counters()),
      execute: async (command) =>
        (await page.evaluate((given) => window.virtabRunner?.execute(given), command)) ??
        failure('the page is not ready'),
      end: () => void page.evaluate(() => window.virtabRunner?.end()).catch(ignore),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
