/** What happens to a request that the driver could not carry out: QEMU's `werror` and `rerror`. */
import type { BlockStatus } from './block-backend.ts';
import type { DriverOperationKind } from './block-driver.ts';

export const WRITE_ERROR_POLICIES = ['enospc', 'stop', 'report'] as const;
export const READ_ERROR_POLICIES = ['report', 'stop'] as const;
export type WriteErrorPolicy = (typeof WRITE_ERROR_POLICIES)[number];
export type ReadErrorPolicy = (typeof READ_ERROR_POLICIES)[number];

/** `werror=enospc`, `rerror=report`: QEMU's defaults. `ignore` is not offered: it reports a success that was none. */
export interface ErrorPolicy {
  /** `enospc` stops where the host has no room, and reports everything else to the guest. */
  readonly write: WriteErrorPolicy;
  readonly read: ReadErrorPolicy;
}

export const DEFAULT_ERROR_POLICY: ErrorPolicy = { write: 'enospc', read: 'report' };

/** The status that the disk pauses with, or undefined if the guest is told. */
export function pauseStatus(
  policy: ErrorPolicy,
  kind: DriverOperationKind | 'flush',
  status: BlockStatus,
): 'no-space' | 'io-error' | undefined {
  if (status !== 'no-space' && status !== 'io-error') return undefined;
  if (kind === 'read') return policy.read === 'stop' ? status : undefined;
  switch (policy.write) {
    case 'stop':
      return status;
    case 'enospc':
      return status === 'no-space' ? status : undefined;
    case 'report':
      return undefined;
  }
}

/** What the page says while the disk is paused. */
export function pauseMessage(id: string, status: 'no-space' | 'io-error', problem: string): string {
  return status === 'no-space'
    ? `The browser has no room left for the disk “${id}”. The machine is paused and nothing is lost: make room, then continue.`
    : `The disk “${id}” failed: ${problem || 'the browser gave no reason.'} The machine is paused.`;
}
