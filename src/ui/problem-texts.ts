/** Headings for what can keep a machine from running. */
import type { ProblemKind } from '../control/status.ts';

export const PROBLEM_TITLES: { readonly [K in ProblemKind]: string } = {
  'no-isolation': 'This page cannot share memory between threads',
  'missing-features': 'This browser is too old',
  'no-guest': 'There is no guest here yet',
  'bad-address': 'The address of this page asks for something impossible',
  'bad-kernel': 'This kernel cannot be started',
  'bad-initrd': 'This initial RAM disk cannot be used',
  'not-found': 'A file is missing',
  'memory-too-small': 'The machine has too little memory',
  'memory-refused': 'Not enough memory in this browser',
  'core-missing': 'The emulator is incomplete',
  unsupported: 'This is not supported yet',
  'bad-disk': 'A disk cannot be used',
  'disk-paused': 'The machine waits for its disk',
  'page-failed': 'This page could not start',
  'worker-lost': 'The machine stopped working',
  'translation-wrong': 'Translated code is wrong',
};
