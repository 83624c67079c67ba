/** Builds the service worker of a site, with the list of the site's files in it. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { build } from 'vite';
import type { SiteFile, SiteVersion } from '../../src/site/site-version.ts';
import { root } from '../runner/stale.ts';

export const SERVICE_WORKER = 'service-worker.js';

/** Debugging aids, which no visitor loads. */
const NOT_KEPT = /\.map$/;

/** Every file below `folder`, in an order that depends on nothing but the names. */
export function siteVersion(folder: string): SiteVersion {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => statSync(join(folder, path)).isFile())
    .map((path) => path.split(sep).join('/'))
    .filter((path) => path !== SERVICE_WORKER && !NOT_KEPT.test(path))
    .sort()
    .map((path) => describe(folder, path));
  const all = createHash('sha256').update(JSON.stringify(files)).digest('hex');
  return { version: all.slice(0, 16), files };
}

function describe(folder: string, path: string): SiteFile {
  const bytes = readFileSync(join(folder, path));
  return {
    path,
    group: path.startsWith('guest/') ? 'guest' : 'shell',
    bytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  };
}

/** The last step of a build: the worker knows what the folder holds now. */
export async function buildServiceWorker(folder: string): Promise<SiteVersion> {
  const site = siteVersion(folder);
  await build({
    root,
    configFile: false,
    publicDir: false,
    logLevel: 'warn',
    define: { __VIRTAB_SITE__: JSON.stringify(site) },
    build: {
      outDir: relative(root, folder),
      emptyOutDir: false,
      target: 'es2023',
      rolldownOptions: {
        input: 'src/service-worker/service-worker.ts',
        // A classic script: not every browser that has service workers takes modules there.
        output: { format: 'iife', entryFileNames: SERVICE_WORKER },
      },
    },
  });
  return site;
}
