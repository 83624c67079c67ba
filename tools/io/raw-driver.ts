/** Requests per second of our block queue and driver without a machine above them: the page of e2e/block, built and opened. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'vite';
import { launchProfile } from '../runner/chromium.ts';
import { serveSite } from '../runner/site.ts';
import { root } from '../runner/stale.ts';

export const BLOCK_SITE_FOLDER = join(root, 'build', 'block-site');

export async function buildBlockSite(): Promise<void> {
  await build({
    root: join(root, 'e2e', 'block'),
    configFile: false,
    base: './',
    logLevel: 'warn',
    worker: { format: 'es' },
    build: { outDir: BLOCK_SITE_FOLDER, emptyOutDir: true, target: 'es2023' },
  });
}

export interface Speed {
  readonly name: string;
  readonly perSecond: number;
}

/** What that page, once built, says of a driver: random and sequential 4 KiB requests, and reads straight from a handle. */
export async function rawDriverSpeed(aio: string): Promise<readonly Speed[]> {
  const profile = mkdtempSync(join(tmpdir(), 'virtab-profile-'));
  const [site, context] = await Promise.all([
    serveSite({ folder: BLOCK_SITE_FOLDER }),
    launchProfile(profile),
  ]);
  try {
    const page = await context.newPage();
    await page.goto(site.url);
    await page.waitForFunction(() => 'disk' in window);
    return await page.evaluate(
      (driver) =>
        (window as unknown as { disk(command: 'speed', aio: string): Promise<Speed[]> }).disk(
          'speed',
          driver,
        ),
      aio,
    );
  } finally {
    await context.close();
    site.close();
    rmSync(profile, { recursive: true, force: true });
  }
}
