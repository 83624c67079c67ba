/** A virtio device on the thread that owns it: its host, its doorbells, and what `ioeventfd=` comes to for it. */
import type { Views } from '../base/views.ts';
import type { Switch } from '../config/devices.ts';
import type { VirtioFunction } from '../control/hardware.ts';
import type { IoeventfdInfo } from '../control/info.ts';
import type { GuestMemory } from '../memory/guest-memory.ts';
import { DeviceHost } from '../virtio/device-host.ts';
import type { QueueHandover, QueueHolder } from '../virtio/device-host.ts';
import type { VirtioDevice } from '../virtio/device.ts';
import type { IoeventfdTable } from '../virtio/ioeventfd.ts';
import { RingExchange } from '../virtio/ring-exchange.ts';
import type { VirtioPci } from '../virtio/pci-transport.ts';
import type { DeviceOwner } from '../virtio/owner.ts';
import { decideIoeventfd, QueueDoorbells } from '../virtio/queue-doorbells.ts';
import type { IoeventfdDecision } from '../virtio/queue-doorbells.ts';
import type { EventLoop } from './event-loop.ts';

/** What the devices of a thread share. */
export interface DeviceSurroundings {
  readonly views: Views;
  readonly memory: GuestMemory;
  readonly table: IoeventfdTable;
  readonly loop: EventLoop;
  /** Hardware threads. */
  readonly cores: number;
  /** store-order.ts */
  readonly hasStoreOrder: boolean;
  readonly onProblem: (message: string) => void;
  /** A device was reset: a slot that it gave back may be what another one lacks. */
  readonly onReset: () => void;
}

export class HostedDevice {
  readonly fn: VirtioFunction;
  readonly device: VirtioDevice;
  readonly #cores: number;
  readonly #hasStoreOrder: boolean;
  readonly #transport: VirtioPci;
  readonly #host: DeviceHost;
  readonly #doorbells: QueueDoorbells;
  #setting: Switch;
  #decision: IoeventfdDecision;

  constructor(
    fn: VirtioFunction,
    device: VirtioDevice,
    transport: VirtioPci,
    surroundings: DeviceSurroundings,
  ) {
    const { views, memory, table, loop, cores, hasStoreOrder, onProblem, onReset } = surroundings;
    const { state, interrupts } = transport;
    this.fn = fn;
    this.device = device;
    this.#cores = cores;
    this.#hasStoreOrder = hasStoreOrder;
    this.#transport = transport;
    this.#setting = fn.device.ioeventfd;
    this.#decision = this.#decide();
    this.#host = new DeviceHost({
      state,
      memory,
      device,
      interrupts,
      eventIdx: fn.device.eventIdx,
      ...(hasStoreOrder ? {} : { exchange: (queue) => new RingExchange(views, fn.slot, queue) }),
      modern: !fn.device.disableModern,
      defer: (task) => loop.defer(task),
      onProblem,
      onDriver: (isReady) => {
        this.#doorbells.driver(isReady);
        if (!isReady) onReset();
      },
    });
    this.#doorbells = new QueueDoorbells({
      views,
      table,
      state,
      queues: fn.queues,
      listener: loop.doorbells,
      notifyMatch: (queue) => transport.notifyMatch(queue),
      kick: (queue) => this.#host.kick(queue),
      // A packet that waits makes the far side wait.
      ...(fn.device.kind === 'virtio-blk'
        ? { patientBy: (queue: number) => this.#host.counters(queue) }
        : {}),
      enabled: this.#decision.enabled,
    });
    loop.addHost(fn.slot, this.#host);
  }

  /** For a transport on the same thread. */
  get owner(): DeviceOwner {
    return this.#host;
  }

  setIoeventfd(setting: Switch): void {
    this.#setting = setting;
    this.#decision = this.#decide();
    this.#doorbells.switchTo(this.#decision.enabled);
  }

  /** There may be a slot for the queues that lack one. */
  slotFree(): void {
    this.#doorbells.slotFree();
  }

  /** Looks at all queues. */
  kickAll(): void {
    for (let queue = 0; queue < this.fn.queues; queue++) this.#host.kick(queue);
  }

  reset(then: () => void): void {
    this.#host.reset(then);
  }

  /**
   * vhost: another worker serves the queue and listens to its doorbell from now on. Undefined, and nothing changes, where that cannot be:
   * no driver, no slot for a doorbell, chains that the device holds.
   */
  handOver(queue: number, holder: QueueHolder): QueueHandover | undefined {
    if (!this.#doorbells.take(queue)) return undefined;
    const handover = this.#host.handOver(queue, {
      release: (then) =>
        holder.release((position) => {
          // First somebody listens, then somebody looks.
          this.#doorbells.release(queue);
          then(position);
        }),
    });
    if (handover === undefined) this.#doorbells.release(queue);
    return handover;
  }

  takeBack(queue: number, then: () => void): void {
    this.#host.takeBack(queue, then);
  }

  ioeventfdInfo(): IoeventfdInfo {
    const { state } = this.#transport;
    const { enabled, reason } = this.#decision;
    return {
      device: this.fn.name,
      setting: this.#setting,
      enabled,
      reason,
      synchronousKicks: state.get('synchronousKicks'),
      synchronousExits: state.get('synchronousExits'),
      queues: this.#doorbells.report().map(({ counts, ...report }) => {
        const { chains, interrupts, suppressedInterrupts } = this.#host.counters(report.queue);
        return { ...report, ...counts, chains, interrupts, suppressed: suppressedInterrupts };
      }),
    };
  }

  #decide(): IoeventfdDecision {
    const decision = decideIoeventfd(this.#setting, {
      hasIothread: true,
      cores: this.#cores,
      isDisk: this.fn.device.kind === 'virtio-blk',
    });
    if (this.#hasStoreOrder) return decision;
    return {
      ...decision,
      reason: `${decision.reason} This processor may reorder stores, so no kick is suppressed.`,
    };
  }
}
