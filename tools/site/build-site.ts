/** Builds the page as a static site: for `npm run build`, the browser tests and the runner. */
import { cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'vite';
import type { LogLevel } from 'vite';
import type { SiteVersion } from '../../src/site/site-version.ts';
import { GUEST_FOLDER } from '../guest/folders.ts';
import { root } from '../runner/stale.ts';
import { buildServiceWorker } from './service-worker.ts';

export interface BuildOptions {
  readonly folder: string;
  /** Whether the default guest becomes part of the site, if there is one. */
  readonly guest: boolean;
  readonly logLevel?: LogLevel;
}

export async function buildSite({ folder, guest, logLevel = 'info' }: BuildOptions): Promise<SiteVersion> {
  await build({ root, logLevel, build: { outDir: folder, emptyOutDir: true } });
  if (guest && existsSync(join(GUEST_FOLDER, 'manifest.json'))) {
    cpSync(GUEST_FOLDER, join(folder, 'guest'), { recursive: true });
  }
  return await buildServiceWorker(folder);
}
