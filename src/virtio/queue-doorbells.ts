/**
 * Which queues of one device ring doorbells: runs the state machine of ioeventfd-state.ts and does what a change of
 * state means. On the thread that owns the device; the devices themselves know nothing of it.
 */
import type { Views } from '../base/views.ts';
import {
  doorbellOf,
  IOEVENTFD_ASSIGNED,
  IOEVENTFD_DEASSIGNED,
  IOEVENTFD_OFFLIMITS,
} from '../layout/ioeventfd.ts';
import { doorbellCounts } from '../sync/doorbell.ts';
import type { DoorbellCounts, DoorbellListener } from '../sync/doorbell.ts';
import { KickPatience } from './kick-patience.ts';
import type { DoorbellMatch, IoeventfdTable } from './ioeventfd.ts';
import { IOEVENTFD_STATE_NAMES, nextIoeventfdState } from './ioeventfd-state.ts';
import type { IoeventfdEvent, IoeventfdState } from './ioeventfd-state.ts';
import type { QueueCounters } from './queue.ts';
import type { VirtioState } from './state.ts';

export const IOEVENTFD_SETTINGS = ['on', 'off', 'auto'] as const;
export type IoeventfdSetting = (typeof IOEVENTFD_SETTINGS)[number];

export interface IoeventfdDecision {
  readonly enabled: boolean;
  /** A sentence for the settings panel and `info ioeventfd`. */
  readonly reason: string;
}

/** What the setting comes to on this machine. */
export function decideIoeventfd(
  setting: IoeventfdSetting,
  host: { readonly hasIothread: boolean; readonly cores: number; readonly isDisk: boolean },
): IoeventfdDecision {
  if (!host.hasIothread)
    return { enabled: false, reason: 'The device has no iothread: the vCPU serves its queues itself.' };
  if (setting === 'on') return { enabled: true, reason: 'Switched on.' };
  if (setting === 'off') return { enabled: false, reason: 'Switched off: each kick waits for the device.' };
  if (host.cores < 2)
    return {
      enabled: false,
      reason: 'There is one core: another thread could only run while the guest waits.',
    };
  return {
    enabled: true,
    // docs/benchmarks-io.md. There are no figures of network streams, where a measurement of KVM's had rows that lost.
    reason: host.isDisk
      ? 'The guest runs on while another core serves the queue: measured, disks are faster by it with several requests at a time, and may be slower with one.'
      : 'The guest runs on while another core serves the queue. Only disks were measured.',
  };
}

export interface QueueDoorbellsOptions {
  readonly views: Views;
  readonly table: IoeventfdTable;
  readonly state: VirtioState;
  readonly queues: number;
  /** Of the thread that owns the device. */
  readonly listener: DoorbellListener;
  /** Where the driver kicks `queue` (`VirtioPci.notifyMatch`). */
  readonly notifyMatch: (queue: number) => DoorbellMatch;
  /** `DeviceHost.kick`. */
  readonly kick: (queue: number) => void;
  /** `DeviceHost.counters`, for a device whose kicks may wait a little where that lets requests gather. */
  readonly patientBy?: (queue: number) => QueueCounters;
  readonly enabled: boolean;
}

export interface QueueDoorbellReport {
  readonly queue: number;
  readonly state: (typeof IOEVENTFD_STATE_NAMES)[number];
  /** Wanted, but the table was full. */
  readonly lacksSlot: boolean;
  readonly counts: DoorbellCounts;
}

export class QueueDoorbells {
  readonly #options: QueueDoorbellsOptions;
  #driverOk = false;
  #enabled: boolean;

  constructor(options: QueueDoorbellsOptions) {
    this.#options = options;
    this.#enabled = options.enabled;
    for (let queue = 0; queue < options.queues; queue++) this.#setState(queue, IOEVENTFD_DEASSIGNED);
  }

  get enabled(): boolean {
    return this.#enabled;
  }

  /** For `DeviceHostOptions.onDriver`. */
  driver(isReady: boolean): void {
    this.#driverOk = isReady;
    this.#all(isReady ? 'driver-ok' : 'reset');
  }

  /** `ioeventfd=on|off` while the guest runs. */
  switchTo(enabled: boolean): void {
    this.#enabled = enabled;
    this.#all(enabled ? 'switch-on' : 'switch-off');
  }

  /** Another device has let go of a slot. */
  slotFree(): void {
    this.#all('slot-free');
  }

  snapshotLoaded(driverOk: boolean): void {
    this.#driverOk = driverOk;
    this.#all('snapshot-load');
  }

  /**
   * vhost's worker takes the queue: it listens to the doorbell from now on, and `kick` is not called any more.
   * False: there is no slot for it.
   */
  take(queue: number): boolean {
    const { table, state, notifyMatch } = this.#options;
    if (!table.assign(doorbellOf(state.slot, queue), notifyMatch(queue), 'vhost')) return false;
    this.#apply(queue, 'vhost-take');
    return true;
  }

  /** vhost's worker has forgotten the doorbell. */
  release(queue: number): void {
    this.#apply(queue, 'vhost-release');
  }

  report(): QueueDoorbellReport[] {
    const { views, state, table, queues } = this.#options;
    return Array.from({ length: queues }, (_, queue) => {
      const doorbell = doorbellOf(state.slot, queue);
      const now = this.#state(queue);
      return {
        queue,
        state: IOEVENTFD_STATE_NAMES[now],
        lacksSlot: now === IOEVENTFD_DEASSIGNED && this.#enabled && this.#driverOk && !table.has(doorbell),
        counts: doorbellCounts(views, doorbell),
      };
    });
  }

  #all(event: IoeventfdEvent): void {
    for (let queue = 0; queue < this.#options.queues; queue++) this.#apply(queue, event);
  }

  #state(queue: number): IoeventfdState {
    return this.#options.state.getQueue(queue, 'ioeventfd') as IoeventfdState;
  }

  #setState(queue: number, state: IoeventfdState): void {
    this.#options.state.setQueue(queue, 'ioeventfd', state);
  }

  #apply(queue: number, event: IoeventfdEvent): void {
    const { table, state, listener, notifyMatch } = this.#options;
    const doorbell = doorbellOf(state.slot, queue);
    const facts = { driverOk: this.#driverOk, enabled: this.#enabled };
    const before = this.#state(queue);
    let after = nextIoeventfdState(before, event, { ...facts, slot: table.has(doorbell) || table.hasRoom() });
    // A queue that is not enabled has nothing to kick for.
    if (after === IOEVENTFD_ASSIGNED && state.getQueue(queue, 'enabled') === 0) after = IOEVENTFD_DEASSIGNED;
    if (after === before) return;
    if (after === IOEVENTFD_ASSIGNED) {
      // First somebody listens, then somebody rings.
      listener.listen(doorbell, this.#onRing(queue, doorbell));
      if (!table.assign(doorbell, notifyMatch(queue))) {
        listener.forget(doorbell);
        after = nextIoeventfdState(after, 'slot-lost', { ...facts, slot: false });
      }
    }
    this.#setState(queue, after);
    if (before === IOEVENTFD_ASSIGNED) this.#letGo(queue, doorbell, after);
    if (before === IOEVENTFD_OFFLIMITS && after === IOEVENTFD_DEASSIGNED) table.withdraw(doorbell);
    // Kicks for vhost may have come while nobody listened.
    if (before === IOEVENTFD_OFFLIMITS && this.#driverOk) this.#options.kick(queue);
  }

  #onRing(queue: number, doorbell: number): () => void {
    const { kick, patientBy, listener } = this.#options;
    if (patientBy === undefined) return () => kick(queue);
    const patience = new KickPatience();
    let before = { ...patientBy(queue) };
    return () => {
      kick(queue);
      const { chains, interrupts, suppressedInterrupts } = patientBy(queue);
      patience.woken(chains - before.chains, interrupts > before.interrupts);
      before = { chains, interrupts, suppressedInterrupts };
      listener.setPatient(doorbell, patience.patient);
    };
  }

  /** Drains: after the withdrawal nobody rings any more, so one look takes the last kicks. */
  #letGo(queue: number, doorbell: number, after: IoeventfdState): void {
    const { table, listener } = this.#options;
    // vhost keeps the slot: what rings from now on is its.
    if (after !== IOEVENTFD_OFFLIMITS) table.withdraw(doorbell);
    listener.forget(doorbell);
    if (this.#driverOk) this.#options.kick(queue);
  }
}
