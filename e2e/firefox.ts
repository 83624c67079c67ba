/** The page in Debian's Firefox, driven by WebDriver BiDi: Playwright drives only a Firefox of its own. */
import { test as base, expect } from '@playwright/test';
import { launch } from 'puppeteer-core';
import type { Browser, Page } from 'puppeteer-core';
import type { VirtabWindow } from '../src/main.ts';
import { GUEST_FOLDER } from '../tools/guest/folders.ts';
import { findFirefox } from '../tools/runner/firefox.ts';
import { serveSite, SITE_FOLDER } from '../tools/runner/site.ts';
import type { SiteOptions, SiteServer } from '../tools/runner/site.ts';

export class FirefoxPage {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  /** Everything that the console has shown; nothing while the page is being loaded. */
  async consoleText(): Promise<string> {
    try {
      return await this.page.evaluate(() => (window as VirtabWindow).virtab?.consoleText() ?? '');
    } catch {
      // The page reloads itself at its first visit.
      return '';
    }
  }

  async waitForOutput(text: string, timeout = 90_000): Promise<void> {
    await expect.poll(() => this.consoleText(), { timeout, intervals: [200] }).toContain(text);
  }

  /** Types at the console; the guest's shell must be waiting. */
  async type(text: string): Promise<void> {
    await this.page.focus('[aria-label="Serial console of the guest"]');
    await this.page.keyboard.type(text);
  }

  async text(selector: string): Promise<string> {
    return await this.page.$eval(selector, (node) => node.textContent);
  }

  async fill(field: string, text: string): Promise<void> {
    const input = await this.page.waitForSelector(`::-p-aria([name="${field}"])`);
    await input?.click({ count: 3 });
    await input?.type(text);
  }

  async click(button: string): Promise<void> {
    await this.page.locator(`::-p-aria([name="${button}"][role="button"])`).click();
  }
}

interface Fixtures {
  /** A page in a window that shares nothing with other tests. */
  readonly firefox: FirefoxPage;
  /** A server for the built page; closed at the end of the test. */
  readonly serve: (options?: Partial<SiteOptions>) => Promise<SiteServer>;
}

interface WorkerFixtures {
  readonly firefoxBrowser: Browser;
}

export const test = base.extend<Fixtures, WorkerFixtures>({
  firefoxBrowser: [
    // Playwright reads the names of the fixtures that it needs from the first parameter.
    async ({}, use) => {
      const executablePath = findFirefox();
      if (executablePath === undefined) {
        throw new Error("There is no Firefox: install Debian's firefox-esr, or name one in VIRTAB_FIREFOX.");
      }
      const browser = await launch({ browser: 'firefox', headless: true, executablePath });
      await use(browser);
      await browser.close();
    },
    { scope: 'worker', timeout: 60_000 },
  ],
  firefox: async ({ firefoxBrowser }, use) => {
    const context = await firefoxBrowser.createBrowserContext();
    const page = await context.newPage();
    await use(new FirefoxPage(page));
    await context.close();
  },
  serve: async ({}, use) => {
    const servers: SiteServer[] = [];
    await use(async (options) => {
      const server = await serveSite({ folder: SITE_FOLDER, guestFolder: GUEST_FOLDER, ...options });
      servers.push(server);
      return server;
    });
    for (const server of servers) server.close();
  },
});

export { expect };
