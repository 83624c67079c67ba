/** Synchronous exits from a vCPU to a device's thread, and code invalidations from there to the vCPUs. */
import { CALLS_BASE } from './map.ts';
import { struct } from './struct.ts';

/** One per vCPU: it has one exit outstanding at most. */
export const EXIT_CALL = struct({
  /** CALL_*. */
  state: 'i32',
  /** The thread that is to answer. */
  target: 'u32',
  /** Number of the virtio device. */
  device: 'u32',
  operation: 'u32',
  argument: 'u32',
  pad: ['u32', 11],
});
export const CALL_FREE = 0;
export const CALL_ASKED = 1;
/** The target has seen it and will answer. */
export const CALL_TAKEN = 2;
export const CALL_ANSWERED = 3;

export function exitCallAddress(vcpu: number): number {
  return CALLS_BASE + vcpu * EXIT_CALL.size;
}

export const CODE_MAIL_ENTRIES = 8;

/** One per vCPU: memory that others have written and that it has decoded as code. */
export const CODE_MAIL = struct({
  lock: 'i32',
  /** Counts what was posted, and what the vCPU has carried out. */
  posted: 'i32',
  done: 'i32',
  count: 'u32',
  /** More than fits: everything decoded is to be dropped. */
  overflow: 'u32',
  gpa: ['u32', CODE_MAIL_ENTRIES],
  bytes: ['u32', CODE_MAIL_ENTRIES],
  pad: ['u32', 11],
});

export function codeMailAddress(vcpu: number): number {
  return CALLS_BASE + 0x400 + vcpu * CODE_MAIL.size;
}
