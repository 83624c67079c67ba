/** What the browser tests do with the page, in the words of its users. */
import { test as base, expect } from '@playwright/test';
import type { Locator, Page } from '@playwright/test';
import type { VirtabWindow } from '../src/main.ts';
import { GUEST_FOLDER } from '../tools/guest/folders.ts';
import { serveSite, SITE_FOLDER } from '../tools/runner/site.ts';
import type { SiteOptions, SiteServer } from '../tools/runner/site.ts';
import { expectAccessible } from './accessible.ts';
import { takeScreenshots } from './screenshots.ts';

export class VirtabPage {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  get status(): Locator {
    return this.page.locator('.status-word');
  }

  get notice(): Locator {
    return this.page.locator('.notice');
  }

  button(name: string): Locator {
    return this.page.getByRole('button', { name, exact: true });
  }

  /** Everything that the console has shown. */
  consoleText(): Promise<string> {
    return this.page.evaluate(() => (window as VirtabWindow).virtab?.consoleText() ?? '');
  }

  async waitForOutput(text: string, timeout = 60_000): Promise<void> {
    await expect.poll(() => this.consoleText(), { timeout, intervals: [100] }).toContain(text);
  }

  /** Types at the console; the guest's shell must be waiting. */
  async type(text: string): Promise<void> {
    await this.page.getByLabel('Serial console of the guest').focus();
    await this.page.keyboard.type(text);
  }

  /**
   * A state of the page, looked at: axe finds no serious fault, in light and in dark. `npm run screenshots` keeps
   * pictures of it under this name.
   */
  async lookAt(name: string): Promise<void> {
    const folder = process.env['VIRTAB_SCREENSHOTS'];
    if (folder === undefined) await expectAccessible(this.page);
    else await takeScreenshots(this.page, folder, name);
  }

  /** Instructions that translated code has executed. */
  regionInstructions(): Promise<number> {
    return this.page.evaluate(
      () => (window as VirtabWindow).virtab?.machine?.stats()?.regionInstructions ?? 0,
    );
  }

  instructions(): Promise<number> {
    return this.page.evaluate(() => (window as VirtabWindow).virtab?.machine?.stats()?.instructions ?? 0);
  }
}

export interface Fixtures {
  readonly virtab: VirtabPage;
  /** A server for the built page; closed at the end of the test. */
  readonly serve: (options?: Partial<SiteOptions>) => Promise<SiteServer>;
}

export const test = base.extend<Fixtures>({
  virtab: async ({ page }, use) => {
    await use(new VirtabPage(page));
  },
  // Playwright reads the names of the fixtures that it needs from the first parameter.
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
