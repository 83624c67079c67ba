/** How a machine reads in a list. */
import type { SavedMachine } from '../../store/saved-machine.ts';
import { formatBytes } from '../text.ts';

export function describeMachine({ config, kernelFile }: SavedMachine): string {
  const parts = [
    `${formatBytes(config.memoryBytes)} of memory`,
    kernelFile ?? (config.kernel === undefined ? 'default guest' : (config.kernel.split('/').at(-1) ?? '')),
  ];
  if (config.jit !== 'off') parts.push(`JIT ${config.jit}`);
  return parts.join(', ');
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export function formatAge(ms: number): string {
  const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
  if (ms < MINUTE) return 'just now';
  if (ms < HOUR) return relative.format(-Math.floor(ms / MINUTE), 'minute');
  if (ms < DAY) return relative.format(-Math.floor(ms / HOUR), 'hour');
  return relative.format(-Math.floor(ms / DAY), 'day');
}
