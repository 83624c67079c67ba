/** Sizes as QEMU reads and writes them: a number and one of B K M G T, powers of 1024; plain numbers are MiB. */
import { KIB, MIB, GIB } from '../base/units.ts';

const UNITS: Readonly<Record<string, number>> = { b: 1, k: KIB, m: MIB, '': MIB, g: GIB, t: 1024 * GIB };

/** Undefined if `text` is no size. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([bkmgt]?)$/i.exec(text.trim());
  const unit = UNITS[match?.[2]?.toLowerCase() ?? '?'];
  if (match === null || unit === undefined) return undefined;
  const bytes = Math.ceil(Number(match[1]) * unit);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** The shortest form that is exact: `512M`, `3G`. */
export function formatSize(bytes: number): string {
  if (bytes % GIB === 0) return `${bytes / GIB}G`;
  if (bytes % MIB === 0) return `${bytes / MIB}M`;
  if (bytes % KIB === 0) return `${bytes / KIB}K`;
  return `${bytes}B`;
}
