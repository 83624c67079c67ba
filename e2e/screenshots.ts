/** Pictures of the page's states: `npm run screenshots` names the folder in VIRTAB_SCREENSHOTS. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from '@playwright/test';

/** Small enough for files of less than 100 KB. */
const DESKTOP = { width: 1000, height: 640 };
const PHONE = { width: 390, height: 780 };

const LOOKS = [
  { look: 'light', colorScheme: 'light', size: DESKTOP },
  { look: 'dark', colorScheme: 'dark', size: DESKTOP },
  { look: 'phone', colorScheme: 'light', size: PHONE },
] as const;

/** Time for the console to draw itself anew. */
const SETTLE_MS = 300;

export async function takeScreenshots(page: Page, folder: string, name: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const before = page.viewportSize();
  for (const { look, colorScheme, size } of LOOKS) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize(size);
    await page.waitForTimeout(SETTLE_MS);
    await page.screenshot({ path: join(folder, `${name}-${look}.png`), animations: 'disabled' });
  }
  await page.emulateMedia({ colorScheme: null });
  if (before !== null) await page.setViewportSize(before);
}
