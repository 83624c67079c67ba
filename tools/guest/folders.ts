import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const PROJECT_FOLDER = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
export const GUEST_FOLDER = join(PROJECT_FOLDER, 'build/guest');

/** Where downloads are kept: `VIRTAB_CACHE`, or `.cache/` in the project. */
export function cacheFolder(): string {
  const chosen = process.env['VIRTAB_CACHE'];
  return chosen === undefined || chosen === '' ? join(PROJECT_FOLDER, '.cache') : resolve(chosen);
}
