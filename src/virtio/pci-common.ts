/** The common configuration structure of the modern interface (virtio 1.2, 4.1.4.3). */
import type { AccessBytes, IoHandler } from '../devices/io-bus.ts';
import {
  COMMON_BYTES,
  COMMON_CONFIG_MSIX_VECTOR,
  COMMON_DEVICE_FEATURE,
  COMMON_DEVICE_FEATURE_SELECT,
  COMMON_DEVICE_STATUS,
  COMMON_DRIVER_FEATURE,
  COMMON_DRIVER_FEATURE_SELECT,
  COMMON_QUEUE_DESC,
  COMMON_QUEUE_DEVICE,
  COMMON_QUEUE_DRIVER,
  COMMON_QUEUE_ENABLE,
  COMMON_QUEUE_MSIX_VECTOR,
  COMMON_QUEUE_SELECT,
  COMMON_QUEUE_SIZE,
} from './pci-layout.ts';
import type { DriverRegisters } from './registers.ts';
import type { QueueField } from './state.ts';

/** By offset: halves of the 64-bit addresses. */
const ADDRESS_FIELDS: Readonly<Record<number, QueueField>> = {
  [COMMON_QUEUE_DESC]: 'descriptorsLow',
  [COMMON_QUEUE_DESC + 4]: 'descriptorsHigh',
  [COMMON_QUEUE_DRIVER]: 'availLow',
  [COMMON_QUEUE_DRIVER + 4]: 'availHigh',
  [COMMON_QUEUE_DEVICE]: 'usedLow',
  [COMMON_QUEUE_DEVICE + 4]: 'usedHigh',
};

export class CommonConfig implements IoHandler {
  readonly #registers: DriverRegisters;

  constructor(registers: DriverRegisters) {
    this.#registers = registers;
  }

  read(offset: number, bytes: AccessBytes): number {
    if (offset + bytes > COMMON_BYTES) return 0;
    const word = this.#registers.state.locked(() => this.#word(offset & ~3));
    return ((word >>> (8 * (offset & 3))) & (0xffffffff >>> (32 - 8 * bytes))) >>> 0;
  }

  /** The 32 bits at a multiple of 4. */
  #word(offset: number): number {
    const { state } = this.#registers;
    const queue = this.#registers.selectedQueue;
    const field = (name: QueueField): number => (queue === undefined ? 0 : state.getQueue(queue, name));
    const pair = (low: number, high: number): number => (low | (high << 16)) >>> 0;
    switch (offset) {
      case COMMON_DEVICE_FEATURE_SELECT:
        return state.get('deviceFeatureSelect');
      case COMMON_DEVICE_FEATURE:
        return this.#registers.modernFeatures[state.get('deviceFeatureSelect')] ?? 0;
      case COMMON_DRIVER_FEATURE_SELECT:
        return state.get('driverFeatureSelect');
      case COMMON_DRIVER_FEATURE:
        return state.driverFeatures[state.get('driverFeatureSelect')] ?? 0;
      case COMMON_CONFIG_MSIX_VECTOR:
        return pair(state.get('configVector'), state.get('queueCount'));
      case COMMON_DEVICE_STATUS:
        return pair(state.get('status') | (state.get('configGeneration') << 8), state.get('queueSelect'));
      case COMMON_QUEUE_SIZE:
        // 4.1.4.3.1: size 0 says that there is no such queue.
        return pair(field('size'), queue === undefined ? 0xffff : field('vector'));
      case COMMON_QUEUE_ENABLE:
        // queue_notify_off is the queue's number: one address each.
        return pair(field('enabled'), queue ?? 0);
      default: {
        const address = ADDRESS_FIELDS[offset];
        return address === undefined ? 0 : field(address);
      }
    }
  }

  /** 4.1.3.1: the driver uses the width of the field, and 32 bits twice for 64. */
  write(offset: number, value: number, bytes: AccessBytes): void {
    const registers = this.#registers;
    const { state } = registers;
    if (offset === COMMON_DEVICE_STATUS) {
      registers.writeStatus(value & 0xff, false);
      return;
    }
    const enabled = state.locked(() => {
      if (state.get('resetting') !== 0) return undefined;
      return this.#write(offset, value, bytes);
    });
    if (enabled !== undefined) registers.queueEnabled(enabled);
  }

  /** Under the lock; the queue that was enabled, if one was. */
  #write(offset: number, value: number, bytes: AccessBytes): number | undefined {
    const registers = this.#registers;
    const { state } = registers;
    if (bytes === 4) {
      if (offset === COMMON_DEVICE_FEATURE_SELECT) state.set('deviceFeatureSelect', value);
      else if (offset === COMMON_DRIVER_FEATURE_SELECT) state.set('driverFeatureSelect', value);
      else if (offset === COMMON_DRIVER_FEATURE)
        registers.writeDriverFeatures(state.get('driverFeatureSelect'), value);
    }
    if (bytes === 2 && offset === COMMON_CONFIG_MSIX_VECTOR)
      state.set('configVector', registers.validVector(value));
    if (bytes === 2 && offset === COMMON_QUEUE_SELECT) state.set('queueSelect', value);
    const queue = registers.selectedQueue;
    if (queue === undefined) return undefined;
    const address = ADDRESS_FIELDS[offset];
    const isEnabled = state.getQueue(queue, 'enabled') !== 0;
    // 4.1.4.3.2: a queue does not change any more once it is enabled.
    if (bytes === 4 && address !== undefined && !isEnabled) state.setQueue(queue, address, value);
    if (bytes !== 2) return undefined;
    if (offset === COMMON_QUEUE_SIZE && !isEnabled) state.setQueue(queue, 'size', value);
    if (offset === COMMON_QUEUE_MSIX_VECTOR) state.setQueue(queue, 'vector', registers.validVector(value));
    if (offset !== COMMON_QUEUE_ENABLE || value !== 1 || isEnabled) return undefined;
    state.setQueue(queue, 'enabled', 1);
    return queue;
  }
}
