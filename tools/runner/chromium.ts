/** Finds and starts the browser: Debian's Chromium, or what VIRTAB_CHROMIUM names. */
import { chromium } from '@playwright/test';
import type { Browser, BrowserContext, LaunchOptions } from '@playwright/test';
import { findProgram } from './find-program.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome', 'chrome'];

/** The browser's path, or undefined if there is none. */
export function findChromium(): string | undefined {
  return findProgram('VIRTAB_CHROMIUM', NAMES);
}

/** How Chromium is started here; without a system browser, Playwright's own is used if it is installed. */
export function launchOptions(): LaunchOptions {
  const executablePath = findChromium();
  const args = [
    '--disable-dev-shm-usage',
    '--disable-background-timer-throttling',
    '--disable-renderer-backgrounding',
  ];
  // Chromium refuses to start its sandbox as root.
  if (process.getuid?.() === 0) args.push('--no-sandbox');
  return { headless: true, args, ...(executablePath === undefined ? {} : { executablePath }) };
}

/** The runner has its own meaning for these signals. */
const NO_SIGNALS = { handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false };

export async function launchChromium(): Promise<Browser> {
  return await chromium.launch({ ...launchOptions(), ...NO_SIGNALS });
}

/**
 * A browser with a profile of its own in `folder`: pages of `launchChromium` are private windows, whose storage is slow, small and gone
 * with them.
 */
export async function launchProfile(folder: string): Promise<BrowserContext> {
  return await chromium.launchPersistentContext(folder, { ...launchOptions(), ...NO_SIGNALS });
}
