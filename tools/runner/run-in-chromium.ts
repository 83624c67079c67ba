/** Runs a session in a page of a headless Chromium of its own. */
import { basename } from 'node:path';
import type { RunnerBridge } from '../../src/runner.ts';
import { launchChromium } from './chromium.ts';
import type { Runner, RunnerOptions } from './runner.ts';
import { ensureSite, serveSite, SITE_FOLDER } from './site.ts';

export async function runInChromium(options: RunnerOptions): Promise<Runner> {
  await ensureSite();
  const files = new Map([['/file/kernel', options.kernel]]);
  if (options.initrd !== undefined) files.set('/file/initrd', options.initrd);
  const started = performance.now();
  const [site, browser] = await Promise.all([serveSite({ folder: SITE_FOLDER, files }), launchChromium()]);
  const close = async (): Promise<void> => {
    await browser.close();
    site.close();
  };
  try {
    const page = await browser.newPage();
    const crashed = new Promise<never>((_, reject) => {
      page.on('crash', () =>
        reject(new Error('the page crashed: the browser ran out of memory or hit a bug of its own')),
      );
      browser.on('disconnected', () => reject(new Error('the browser ended')));
    });
    // Awaited below, or not at all when the page never comes up.
    crashed.catch(() => undefined);
    page.on('pageerror', (error) => console.error(`page: ${error.message}`));
    await page.exposeFunction('virtabOutput', (text: string) =>
      options.onOutput(Buffer.from(text, 'latin1')),
    );
    await page.goto(`${site.url}runner.html`);
    await page.waitForFunction(() => window.virtabRunner !== undefined);
    const pageStartMs = performance.now() - started;

    const request = {
      config: options.config,
      kernel: { name: basename(options.kernel), url: '/file/kernel' },
      ...(options.initrd === undefined
        ? {}
        : { initrd: { name: basename(options.initrd), url: '/file/initrd' } }),
      ...(options.until === undefined ? {} : { until: options.until }),
      ...(options.marker === undefined ? {} : { marker: options.marker }),
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
      end: () => void page.evaluate(() => window.virtabRunner?.end()).catch(ignore),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
