/** A site whose vCPU translates wrongly: the built page, with another script for that one worker. */
import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'vite';
import { SITE_FOLDER } from '../tools/runner/site.ts';
import { root } from '../tools/runner/stale.ts';

/** Files by path, for `serve`. The folder that they are in is the caller's. */
export async function wrongVcpu(): Promise<{
  readonly folder: string;
  readonly files: ReadonlyMap<string, string>;
}> {
  const scripts = readdirSync(join(SITE_FOLDER, 'assets')).filter((name) => /^vcpu-.*\.js$/.test(name));
  if (scripts.length !== 1) throw new Error(`the site has ${scripts.length} scripts of vCPUs`);
  const folder = mkdtempSync(join(tmpdir(), 'virtab-wrong-vcpu-'));
  await build({
    root,
    configFile: false,
    logLevel: 'warn',
    publicDir: false,
    build: {
      outDir: folder,
      emptyOutDir: false,
      target: 'es2023',
      lib: { entry: 'e2e/wrong-vcpu/worker.ts', formats: ['es'], fileName: () => 'vcpu.js' },
    },
  });
  return { folder, files: new Map([[`/assets/${scripts[0]}`, join(folder, 'vcpu.js')]]) };
}
