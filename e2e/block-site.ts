/** The page of e2e/block, built: it opens disks without a machine. */
import { join } from 'node:path';
import { build } from 'vite';
import { root } from '../tools/runner/stale.ts';
import type { DiskCommands } from './block/messages.ts';

export const BLOCK_SITE_FOLDER = join(root, 'build', 'block-site');

export type Returned<C extends keyof DiskCommands> = Awaited<ReturnType<DiskCommands[C]>>;

/** What that page offers. */
export type DiskWindow = Window & { disk(command: string, ...args: unknown[]): Promise<unknown> };

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
