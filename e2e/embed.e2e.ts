/** The example page: the API as somebody else uses it. */
import { expect, test } from './virtab-page.ts';

test('the example page boots a machine, shows its console and sends it lines', async ({ page, serve }) => {
  const site = await serve();
  await page.goto(`${site.url}examples/embed.html`);
  await expect(page.getByRole('status')).toHaveText('running', { timeout: 30_000 });
  const screen = page.getByLabel('Console');
  await expect(screen).toContainText('root@virtab:~#', { timeout: 90_000 });
  await page.getByLabel('Type to the guest').fill('echo sum: $((6 * 7))');
  await page.getByRole('button', { name: 'Send' }).click();
  await expect(screen).toContainText('sum: 42');
});
