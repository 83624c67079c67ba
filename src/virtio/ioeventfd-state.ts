/**
 * How a virtqueue's kicks travel: one function from (state, event) to state. docs/ioeventfd.md has the table; the
 * test of this file is that table.
 */
import { IOEVENTFD_ASSIGNED, IOEVENTFD_DEASSIGNED, IOEVENTFD_OFFLIMITS } from '../layout/ioeventfd.ts';

export type IoeventfdState =
  | typeof IOEVENTFD_DEASSIGNED
  | typeof IOEVENTFD_ASSIGNED
  | typeof IOEVENTFD_OFFLIMITS;

export const IOEVENTFD_STATE_NAMES = ['deassigned', 'assigned', 'offlimits'] as const;

export const IOEVENTFD_EVENTS = [
  /** The driver set DRIVER_OK. */
  'driver-ok',
  /** The driver, or the machine, resets the device. */
  'reset',
  /** A legacy driver kicked before DRIVER_OK. */
  'legacy-kick',
  /** The user switched `ioeventfd` while the guest runs. */
  'switch-on',
  'switch-off',
  /** A slot of the table became free, or was taken away. */
  'slot-free',
  'slot-lost',
  /** vhost takes the queue over, and lets it go. */
  'vhost-take',
  'vhost-release',
  /** A snapshot was loaded: no worker owns anything yet. */
  'snapshot-load',
] as const;
export type IoeventfdEvent = (typeof IOEVENTFD_EVENTS)[number];

/** What holds once the event has happened. */
export interface IoeventfdFacts {
  readonly driverOk: boolean;
  /** The setting, and a thread other than the vCPU's to ring for. */
  readonly enabled: boolean;
  /** The queue has a slot of the table, or can have one. */
  readonly slot: boolean;
}

export function nextIoeventfdState(
  state: IoeventfdState,
  event: IoeventfdEvent,
  facts: IoeventfdFacts,
): IoeventfdState {
  const own = facts.driverOk && facts.enabled && facts.slot ? IOEVENTFD_ASSIGNED : IOEVENTFD_DEASSIGNED;
  switch (event) {
    case 'vhost-take':
      return IOEVENTFD_OFFLIMITS;
    case 'vhost-release':
    case 'snapshot-load':
      return own;
    case 'reset':
      // While vhost has the queue only vhost lets go of it.
      return state === IOEVENTFD_OFFLIMITS ? IOEVENTFD_OFFLIMITS : IOEVENTFD_DEASSIGNED;
    case 'legacy-kick':
      return state;
    case 'driver-ok':
    case 'switch-on':
    case 'switch-off':
    case 'slot-free':
    case 'slot-lost':
      return state === IOEVENTFD_OFFLIMITS ? IOEVENTFD_OFFLIMITS : own;
  }
}
