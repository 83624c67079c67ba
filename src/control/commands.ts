/** The closed list of what may be asked of a machine. */
import type { Switch } from '../config/devices.ts';
import type { Medium } from './io-control.ts';
import type { MachineState } from './status.ts';

export type Command =
  /** Powers the machine on: loads kernel and initrd, then runs from reset. */
  | { readonly kind: 'start' }
  | { readonly kind: 'pause' }
  | { readonly kind: 'resume' }
  /** The reset button: RAM keeps its contents, the boot files are loaded anew. */
  | { readonly kind: 'reset' }
  /** Pulls the plug: the guest is not asked. */
  | { readonly kind: 'powerOff' }
  /** Ends the machine for good and frees its memory and threads. */
  | { readonly kind: 'stop' }
  /** Bytes for COM1, as if typed at the terminal. */
  | { readonly kind: 'serialInput'; readonly bytes: Uint8Array }
  /** Puts a medium into a drive that has none: the guest sees a disk of that size. */
  | {
      readonly kind: 'attachDisk';
      readonly drive: string;
      readonly medium: Medium;
      readonly readOnly: boolean;
    }
  /** Takes the medium out; what the guest has under way on it fails. */
  | { readonly kind: 'ejectDisk'; readonly drive: string }
  /** Makes the disk larger; the guest is told. */
  | { readonly kind: 'resizeDisk'; readonly drive: string; readonly bytes: number }
  /** Of one device by its name, or of all. */
  | { readonly kind: 'setIoeventfd'; readonly device?: string; readonly setting: Switch };

export type CommandKind = Command['kind'];

/** In which states a command means something; elsewhere it is refused and changes nothing. */
export const LEGAL_IN: { readonly [K in CommandKind]: readonly MachineState[] } = {
  start: ['off', 'shutdown', 'crashed'],
  pause: ['running'],
  resume: ['paused'],
  reset: ['running', 'paused'],
  powerOff: ['loading', 'running', 'paused'],
  stop: ['off', 'loading', 'running', 'paused', 'shutdown', 'crashed'],
  serialInput: ['running', 'paused'],
  attachDisk: ['running', 'paused'],
  ejectDisk: ['running', 'paused'],
  resizeDisk: ['running', 'paused'],
  setIoeventfd: ['running', 'paused'],
};

export function isLegal(kind: CommandKind, state: MachineState): boolean {
  return LEGAL_IN[kind].includes(state);
}
