/**
 * The owner's side of a virtio device: gives a device type its queues while a driver is there, and turns what goes
 * wrong into DEVICE_NEEDS_RESET. Runs on one thread; what vCPUs see of it is in shared memory.
 */
import type { GuestMemory } from '../memory/guest-memory.ts';
import type { DeviceContext, DeviceHostLink, DeviceQueue, ServingTurn, VirtioDevice } from './device.ts';
import {
  DEVICE_NEEDS_RESET,
  DRIVER_OK,
  featureWords,
  LEGACY_FEATURES,
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_VERSION_1,
} from './features.ts';
import type { VirtioInterrupts } from './interrupts.ts';
import type { DeviceOwner } from './owner.ts';
import { Virtqueue } from './queue.ts';
import type { QueueCounters, QueuePosition, VirtqueueOptions } from './queue.ts';
import type { RingExchange } from './ring-exchange.ts';
import { ServedQueue } from './served-queue.ts';
import type { VirtioState } from './state.ts';

export interface DeviceHostOptions {
  readonly state: VirtioState;
  readonly memory: GuestMemory;
  readonly device: VirtioDevice;
  readonly interrupts: VirtioInterrupts;
  /** `event_idx=`; on unless false. */
  readonly eventIdx?: boolean;
  /** `disable-modern=`: a legacy device does not offer VIRTIO_F_VERSION_1. */
  readonly modern?: boolean;
  /** Of each queue, on hosts that may reorder stores. */
  readonly exchange?: (queue: number) => RingExchange;
  /**
   * Runs a task after the thread has looked at everything else. Without it a queue is served until it is empty, which is
   * right where the guest stands still meanwhile.
   */
  readonly defer?: (task: () => void) => void;
  /** Told what a driver did wrong, for the log. */
  readonly onProblem?: (message: string) => void;
  /** Told when the driver sets DRIVER_OK and when the device has been reset: the doorbells depend on it. */
  readonly onDriver?: (isReady: boolean) => void;
}

/** A queue that another thread (vhost) serves: what it needs to go on where this one stops. */
export interface QueueHandover extends Pick<
  VirtqueueOptions,
  'ring' | 'size' | 'maxSize' | 'indirect' | 'eventIdx'
> {
  readonly position: QueuePosition;
}

/** Who serves it. */
export interface QueueHolder {
  /** Takes nothing more, lets go of guest memory, and says where it stopped. */
  release(then: (position: QueuePosition) => void): void;
}

/** One full queue of the usual size; and what takes a millisecond or two where the bytes are copied and summed. */
const TURN_CHAINS = 256;
const TURN_BYTES = 1024 * 1024;
/** Where the guest stands still meanwhile. */
const ENDLESS_TURN: ServingTurn = { goesOn: () => true };

/** `idle`: no driver. `stopping`: reset, and the device still holds something. */
type Phase = 'idle' | 'started' | 'stopping';

export class DeviceHost implements DeviceOwner, DeviceContext, DeviceHostLink {
  readonly memory: GuestMemory;
  readonly #options: DeviceHostOptions;
  readonly #state: VirtioState;
  readonly #device: VirtioDevice;
  readonly #interrupts: VirtioInterrupts;
  readonly #queues = new Map<number, ServedQueue>();
  /** Queues in other hands. */
  readonly #held = new Map<number, QueueHolder>();
  /** What was counted on queues that are closed. */
  readonly #past = new Map<number, QueueCounters>();
  readonly #afterReset: (() => void)[] = [];
  #phase: Phase = 'idle';
  /** The driver has set DRIVER_OK. */
  #isReady = false;

  constructor(options: DeviceHostOptions) {
    this.#options = options;
    this.memory = options.memory;
    this.#state = options.state;
    this.#device = options.device;
    this.#interrupts = options.interrupts;
    this.#describe();
    this.#device.connect(this);
  }

  /** Writes what the transport shows of the device. */
  #describe(): void {
    const state = this.#state;
    const { type, queueSizes, features, config } = this.#device.identity;
    state.locked(() => {
      state.set('type', type);
      state.set('queueCount', queueSizes.length);
      state.set('configGeneration', 0);
      state.set('configBytes', config.length);
      state.config.set(config);
      queueSizes.forEach((size, queue) => state.setQueue(queue, 'maxSize', size));
      const offered = featureWords([
        ...features,
        ...LEGACY_FEATURES,
        VIRTIO_F_INDIRECT_DESC,
        // What crosses an event's index is not known where indices come with kicks.
        ...(this.#options.eventIdx === false || this.#options.exchange !== undefined
          ? []
          : [VIRTIO_F_EVENT_IDX]),
        ...(this.#options.modern === false ? [] : [VIRTIO_F_VERSION_1]),
      ]);
      state.setFeatures('deviceFeatures', 0, offered[0]);
      state.setFeatures('deviceFeatures', 1, offered[1]);
      state.clearDriver();
    });
  }

  get name(): string {
    return this.#device.identity.name;
  }

  /** The driver uses the legacy interface. */
  get isLegacy(): boolean {
    return this.#state.get('legacy') !== 0;
  }

  get isStarted(): boolean {
    return this.#phase === 'started';
  }

  // --- for the transport

  start(): void {
    if (this.#phase === 'stopping' || this.#isReady) return;
    this.#isReady = true;
    if (this.#phase === 'idle') this.#begin();
    this.#options.onDriver?.(true);
  }

  #begin(): void {
    this.#phase = 'started';
    const count = this.#state.get('queueCount');
    for (let queue = 0; queue < count; queue++) this.#openQueue(queue);
    this.#device.start(this);
    // Buffers may have been available before DRIVER_OK (2.1.2 wants no kick for them), or before the device was created.
    for (const queue of this.#queues.keys()) this.#device.serve(queue);
  }

  enableQueue(queue: number): void {
    if (this.#phase !== 'started' || !this.#openQueue(queue)) return;
    this.#device.serve(queue);
  }

  /** `popped` is called once: when the device has popped the queue, which may be before it has done the work. */
  kick(queue: number, popped: () => void = () => {}): void {
    let isPopped = false;
    const answer = (): void => {
      if (isPopped) return;
      isPopped = true;
      popped();
    };
    // Old drivers kick before they set DRIVER_OK (3.1.1 forbids it for modern ones).
    if (
      this.#phase === 'idle' &&
      this.#state.get('legacy') !== 0 &&
      this.#state.getQueue(queue, 'enabled') !== 0
    )
      this.#begin();
    if (this.#phase === 'started' && this.#queues.has(queue)) this.#device.serve(queue, answer);
    answer();
  }

  /** `then` is called when the reset is done, which may be at once. */
  reset(then?: () => void): void {
    if (then !== undefined) this.#afterReset.push(then);
    if (this.#phase === 'stopping') return;
    if (this.#phase === 'idle') {
      this.#resetDone();
      return;
    }
    this.#phase = 'stopping';
    this.#isReady = false;
    this.#options.onDriver?.(false);
    let left = 1 + this.#held.size;
    const stopped = (): void => {
      if (--left === 0) this.#resetDone();
    };
    for (const [index, holder] of this.#held) {
      holder.release(() => {
        this.#held.delete(index);
        stopped();
      });
    }
    this.#device.stop(stopped);
  }

  // --- for vhost

  /** Gives the queue away. Undefined, and nothing changes, without a driver or while the device holds chains of it. */
  handOver(index: number, holder: QueueHolder): QueueHandover | undefined {
    const queue = this.#queues.get(index);
    const facts = this.#queueFacts(index);
    if (this.#phase !== 'started' || queue === undefined || facts === undefined) return undefined;
    const { inFlight, broken, position } = queue.virtqueue;
    if (inFlight > 0 || broken !== undefined) return undefined;
    queue.flush();
    this.#past.set(index, this.counters(index));
    this.#queues.delete(index);
    this.#held.set(index, holder);
    return { ...facts, position };
  }

  /** Has the queue given back, and serves it again. `then` is called when that is done. */
  takeBack(index: number, then: () => void): void {
    const holder = this.#held.get(index);
    // A reset that came first takes all of them back.
    if (holder === undefined || this.#phase !== 'started') return then();
    holder.release((position) => {
      this.#held.delete(index);
      if (this.#openQueue(index, position)) this.#device.serve(index);
      then();
    });
  }

  #resetDone(): void {
    this.#phase = 'idle';
    for (const index of this.#queues.keys()) {
      this.#past.set(index, this.counters(index));
      this.#options.exchange?.(index).close();
    }
    this.#queues.clear();
    const state = this.#state;
    this.#interrupts.clear();
    state.locked(() => state.clearDriver());
    for (const then of this.#afterReset.splice(0)) then();
  }

  configWritten(): void {
    const { config } = this.#state;
    this.#device.configWritten?.(new DataView(config.buffer, config.byteOffset, config.length));
  }

  // --- for the device

  turn(): ServingTurn {
    if (this.#options.defer === undefined) return ENDLESS_TURN;
    let chains = 0;
    let total = 0;
    return { goesOn: (bytes) => ++chains < TURN_CHAINS && (total += bytes) < TURN_BYTES };
  }

  serveAgain(index: number): void {
    // By way of `kick`: the device may have been reset meanwhile.
    this.#options.defer?.(() => this.kick(index));
  }

  hasFeature(bit: number): boolean {
    return this.#state.isNegotiated(bit);
  }

  queue(index: number): DeviceQueue | undefined {
    return this.#queues.get(index);
  }

  /** Of a queue since power-on, through all resets. */
  counters(index: number): QueueCounters {
    const past = this.#past.get(index) ?? { chains: 0, interrupts: 0, suppressedInterrupts: 0 };
    const now = this.#queues.get(index)?.counters;
    if (now === undefined) return past;
    return {
      chains: past.chains + now.chains,
      interrupts: past.interrupts + now.interrupts,
      suppressedInterrupts: past.suppressedInterrupts + now.suppressedInterrupts,
    };
  }

  updateConfig(change: (config: DataView) => void): void {
    const state = this.#state;
    const isLive = state.locked(() => {
      const { config } = state;
      change(new DataView(config.buffer, config.byteOffset, config.length));
      // 2.5.1: a driver that reads the same generation before and after has read one version.
      state.set('configGeneration', (state.get('configGeneration') + 1) & 0xff);
      return (state.get('status') & DRIVER_OK) !== 0 && state.get('resetting') === 0;
    });
    if (isLive) this.#interrupts.config();
  }

  needsReset(reason: string): void {
    this.#options.onProblem?.(`${this.name}: ${reason}`);
    const state = this.#state;
    const isLive = state.locked(() => {
      const status = state.get('status');
      if (status === 0) return false;
      state.set('status', status | DEVICE_NEEDS_RESET);
      return (status & DRIVER_OK) !== 0;
    });
    // 2.1.2: only a driver that has set DRIVER_OK is told.
    if (isLive) this.#interrupts.config();
  }

  /** What the driver has said of a queue; undefined if it has not enabled it. */
  #queueFacts(index: number): Omit<QueueHandover, 'position'> | undefined {
    const state = this.#state;
    return state.locked(() =>
      state.getQueue(index, 'enabled') === 0
        ? undefined
        : {
            ring: state.ringOf(index),
            size: state.getQueue(index, 'size'),
            maxSize: state.getQueue(index, 'maxSize'),
            indirect: state.isNegotiated(VIRTIO_F_INDIRECT_DESC),
            eventIdx: state.isNegotiated(VIRTIO_F_EVENT_IDX),
          },
    );
  }

  #openQueue(index: number, position?: QueuePosition): boolean {
    if (this.#queues.has(index) || this.#held.has(index)) return false;
    const facts = this.#queueFacts(index);
    if (facts === undefined) return false;
    const exchange = this.#options.exchange?.(index);
    const created = Virtqueue.create(
      {
        ...facts,
        memory: this.memory,
        ...(exchange === undefined ? {} : { exchange }),
        onBroken: (reason) => this.needsReset(`queue ${index}: ${reason}`),
      },
      position,
    );
    if (!created.ok) {
      this.needsReset(`queue ${index}: ${created.error}`);
      return false;
    }
    exchange?.open(facts.ring);
    this.#queues.set(index, new ServedQueue(index, created.value, () => this.#interrupts.queue(index)));
    return true;
  }
}
