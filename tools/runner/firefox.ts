/** Finds Firefox: Debian's firefox-esr, or what VIRTAB_FIREFOX names. */
import { findProgram } from './find-program.ts';

const NAMES = ['firefox-esr', 'firefox'];

/** The browser's path, or undefined if there is none. */
export function findFirefox(): string | undefined {
  return findProgram('VIRTAB_FIREFOX', NAMES);
}
