/** Rebuild what is older than its sources, as make does. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));

/** When the newest file in `path` was written, in ms; 0 if there is none. Tests and generated files do not count. */
function newest(path: string): number {
  if (path.endsWith('.test.ts') || path.endsWith('generated')) return 0;
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return 0;
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name))));
}

/** True if `output` is missing or older than one of `inputs`; all relative to the checkout. */
export function isStale(output: string, inputs: readonly string[]): boolean {
  const built = newest(join(root, output));
  return built === 0 || inputs.some((input) => newest(join(root, input)) > built);
}
