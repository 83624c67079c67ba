/** A tab with a machine whose guest is Debian's kernel with a shell, in a browser that keeps what it stores. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from '@playwright/test';
import type { BrowserContext } from '@playwright/test';
import type { DeviceInfo } from '../src/control/info.ts';
import type { VirtabWindow } from '../src/main.ts';
import { launchOptions } from '../tools/runner/chromium.ts';
import { expect, test as base, VirtabPage } from './virtab-page.ts';

export const PROMPT = 'root@virtab:~#';
const KERNEL = 'console=ttyS0 quiet cryptomgr.notests';

/** A tab with a machine, and its guest's shell. */
export class Guest extends VirtabPage {
  #commands = 0;

  async boot(url: string, options: Readonly<Record<string, string>>, append = ''): Promise<this> {
    const query = new URLSearchParams({ ...options, append: `${KERNEL} ${append}` });
    await this.page.goto(`${url}?${query.toString()}`);
    await this.allow();
    await this.waitForOutput(PROMPT, 90_000);
    return this;
  }

  /** A link that gives the machine a disk or a network is asked about, at each load. */
  async allow(): Promise<void> {
    await this.button('Allow it').click({ timeout: 60_000 });
  }

  /** What the command prints; it ends when the shell has run it. */
  async run(command: string, timeout = 60_000): Promise<string> {
    const number = ++this.#commands;
    // What is typed is shown too, so the marks must not stand in it as they are printed.
    await this.send(`echo begin''-${number}-; ${command}; echo; echo end''-${number}-\n`);
    const end = `\nend-${number}-`;
    await this.waitForOutput(end, timeout);
    const text = await this.consoleText();
    const begin = `\nbegin-${number}-\n`;
    return text.slice(text.lastIndexOf(begin) + begin.length, text.lastIndexOf(end)).trim();
  }

  send(text: string): Promise<void> {
    return this.page.evaluate((typed) => (window as VirtabWindow).virtab?.machine?.serial.write(typed), text);
  }

  /** Disks, doorbells and threads, as the machine tells. */
  async deviceInfo(): Promise<DeviceInfo> {
    const info = await this.page.evaluate(() => (window as VirtabWindow).virtab?.machine?.deviceInfo());
    if (info === undefined) throw new Error('the machine does not run');
    return info;
  }
}

export interface GuestFixtures {
  /** A browser that keeps what it stores: Playwright's own contexts are private windows. */
  readonly profile: BrowserContext;
  readonly tab: () => Promise<Guest>;
}

export const test = base.extend<GuestFixtures>({
  profile: async ({}, use) => {
    const folder = mkdtempSync(join(tmpdir(), 'virtab-io-'));
    const context = await chromium.launchPersistentContext(folder, launchOptions());
    await use(context);
    await context.close();
    rmSync(folder, { recursive: true, force: true });
  },
  tab: async ({ profile }, use) => {
    await use(async () => new Guest(await profile.newPage()));
  },
});

export { expect };
