import { CACHE_MODES } from './block-backend.ts';
import type { CacheMode } from './block-backend.ts';
import { failure, success } from '../base/result.ts';
import type { Result } from '../base/result.ts';

/** What each mode means here, for the settings panel. */
export const CACHE_MODE_TEXTS: Readonly<Record<CacheMode, string>> = {
  writeback:
    'A write is done when the host has it in its cache; the guest decides with FLUSH when it must be on the medium.',
  writethrough: 'A write is done when it is on the medium: safe without any help from the guest, and slow.',
  none:
    'As writeback, and nothing is cached by Virtab itself. Unlike in QEMU the cache of the host cannot be bypassed: ' +
    'a browser has no O_DIRECT.',
  unsafe:
    'The guest’s FLUSH is ignored; everything is flushed when the disk is closed. Fast, and a crash of the host or ' +
    'the browser may destroy what is on the disk.',
};

export function parseCacheMode(text: string): Result<CacheMode> {
  const mode = CACHE_MODES.find((name) => name === text);
  return mode === undefined
    ? failure(`cache=${text} does not exist. The modes are ${CACHE_MODES.join(', ')}.`)
    : success(mode);
}
