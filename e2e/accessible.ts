/** What axe-core finds in the page as it is now. */
import { AxeBuilder } from '@axe-core/playwright';
import { expect } from '@playwright/test';
import type { Page } from '@playwright/test';

/** axe's words for what keeps people from using the page. */
const GRAVE = ['serious', 'critical'];

interface Fault {
  readonly rule: string;
  readonly impact: string;
  readonly where: readonly string[];
}

async function faults(axe: AxeBuilder): Promise<readonly Fault[]> {
  const { violations } = await axe.analyze();
  return violations
    .filter(({ impact }) => GRAVE.includes(impact ?? ''))
    .map(({ id, impact, nodes }) => ({
      rule: id,
      impact: impact ?? '',
      where: nodes.map(({ html, failureSummary }) => `${html} ${failureSummary ?? ''}`),
    }));
}

/** No serious fault, in the colours of now; and enough contrast in the other ones. */
export async function expectAccessible(page: Page): Promise<void> {
  expect(await faults(new AxeBuilder({ page }))).toEqual([]);
  const isDark = await page.evaluate(() => matchMedia('(prefers-color-scheme: dark)').matches);
  await page.emulateMedia({ colorScheme: isDark ? 'light' : 'dark' });
  expect(await faults(new AxeBuilder({ page }).withRules(['color-contrast']))).toEqual([]);
  await page.emulateMedia({ colorScheme: isDark ? 'dark' : 'light' });
}
