/** What the browser must have. Checked before anything else, so that nothing fails half-way without a word. */
import type { Problem } from '../control/status.ts';

/** (module (func (result i32) (i8x16.extract_lane_s 0 (i8x16.splat (i32.const 0))))) */
const SIMD_PROBE = [
  0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7f, 3, 2, 1, 0, 10, 11, 1, 9, 0, 0x41, 0, 0xfd,
  15, 0xfd, 21, 0, 11,
];

function validates(bytes: readonly number[]): boolean {
  return WebAssembly.validate(new Uint8Array(bytes));
}

/** What is missing, by the name that the browser's release notes use. */
export function missingFeatures(): readonly string[] {
  if (typeof WebAssembly !== 'object') return ['WebAssembly'];
  const missing: string[] = [];
  if (typeof Worker !== 'function') missing.push('web workers');
  if (typeof Atomics !== 'object') missing.push('Atomics');
  // Browsers that can isolate a page have it even where it is hidden (HTML standard, 7.1.4).
  if (!('crossOriginIsolated' in globalThis)) missing.push('cross-origin isolation');
  if (!validates(SIMD_PROBE)) missing.push('WebAssembly SIMD');
  if (typeof ResizeObserver !== 'function') missing.push('ResizeObserver');
  if (typeof HTMLDialogElement !== 'function') missing.push('the dialog element');
  return missing;
}

export function checkRequirements(): Problem | undefined {
  const missing = missingFeatures();
  if (missing.length > 0) {
    return {
      kind: 'missing-features',
      message: `This browser lacks what the virtual machine is built on: ${missing.join(', ')}.`,
      advice: 'Please use a current Chromium, Chrome, Edge, Firefox or Safari.',
    };
  }
  return undefined;
}
