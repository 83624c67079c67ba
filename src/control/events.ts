/** The closed list of what a machine reports. */
import type { MachineStats } from './stats.ts';
import type { MachineStatus } from './status.ts';

export type MachineEvent =
  | { readonly kind: 'status'; readonly status: MachineStatus }
  /** Bytes that the guest wrote to COM1, in order and complete. The array belongs to the receiver. */
  | { readonly kind: 'serialOutput'; readonly bytes: Uint8Array }
  /** The machine went through reset by itself (guest request) or by command. */
  | { readonly kind: 'reset' }
  /** Something that the user must know about a disk or device; the machine goes on. */
  | { readonly kind: 'warning'; readonly subject: string; readonly message: string }
  | { readonly kind: 'stats'; readonly stats: MachineStats };

export type MachineListener = (event: MachineEvent) => void;
