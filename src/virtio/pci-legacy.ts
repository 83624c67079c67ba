/** The legacy interface: ports in BAR 0 (virtio 1.2, 4.1.4.10). */
import type { AccessBytes, IoHandler } from '../devices/io-bus.ts';
import {
  LEGACY_CONFIG,
  LEGACY_CONFIG_MSIX_VECTOR,
  LEGACY_CONFIG_WITH_MSIX,
  LEGACY_DEVICE_FEATURES,
  LEGACY_DEVICE_STATUS,
  LEGACY_DRIVER_FEATURES,
  LEGACY_ISR_STATUS,
  LEGACY_QUEUE_ADDRESS,
  LEGACY_QUEUE_MSIX_VECTOR,
  LEGACY_QUEUE_NOTIFY,
  LEGACY_QUEUE_SELECT,
  LEGACY_QUEUE_SIZE,
} from './pci-layout.ts';
import type { DriverRegisters } from './registers.ts';

export class LegacyPorts implements IoHandler {
  readonly #registers: DriverRegisters;

  constructor(registers: DriverRegisters) {
    this.#registers = registers;
  }

  /** Device configuration moves when MSI-X is enabled. */
  get #config(): number {
    return this.#registers.msix.enabled ? LEGACY_CONFIG_WITH_MSIX : LEGACY_CONFIG;
  }

  read(offset: number, bytes: AccessBytes): number {
    const registers = this.#registers;
    if (offset >= this.#config) return registers.readConfig(offset - this.#config, bytes);
    if (offset === LEGACY_ISR_STATUS) return registers.takeIsr();
    const value = registers.state.locked(() => this.#read(offset));
    return (value & (0xffffffff >>> (32 - 8 * bytes))) >>> 0;
  }

  #read(offset: number): number {
    const registers = this.#registers;
    const { state } = registers;
    const queue = registers.selectedQueue;
    switch (offset) {
      case LEGACY_DEVICE_FEATURES:
        return state.deviceFeatures[0];
      case LEGACY_DRIVER_FEATURES:
        return state.driverFeatures[0];
      case LEGACY_QUEUE_ADDRESS:
        return queue === undefined ? 0 : state.getQueue(queue, 'page');
      case LEGACY_QUEUE_SIZE:
        return queue === undefined ? 0 : state.getQueue(queue, 'maxSize');
      case LEGACY_QUEUE_SELECT:
        return state.get('queueSelect');
      case LEGACY_DEVICE_STATUS:
        return state.get('status');
      case LEGACY_CONFIG_MSIX_VECTOR:
        return state.get('configVector');
      case LEGACY_QUEUE_MSIX_VECTOR:
        return queue === undefined ? 0xffff : state.getQueue(queue, 'vector');
      default:
        return 0;
    }
  }

  write(offset: number, value: number, bytes: AccessBytes): void {
    const registers = this.#registers;
    const { state } = registers;
    if (offset >= this.#config) {
      registers.writeConfig(offset - this.#config, value, bytes);
      return;
    }
    switch (offset) {
      case LEGACY_QUEUE_NOTIFY:
        registers.kick(value & 0xffff);
        return;
      case LEGACY_DEVICE_STATUS:
        registers.writeStatus(value & 0xff, true);
        return;
      case LEGACY_QUEUE_ADDRESS:
        this.#writeQueueAddress(value);
        return;
      default:
        state.locked(() => {
          if (state.get('resetting') === 0) this.#write(offset, value);
        });
    }
  }

  /** Under the lock. */
  #write(offset: number, value: number): void {
    const registers = this.#registers;
    const { state } = registers;
    const queue = registers.selectedQueue;
    switch (offset) {
      case LEGACY_DRIVER_FEATURES: {
        state.set('legacy', 1);
        // There is no way to refuse: what was not offered is not negotiated.
        registers.writeDriverFeatures(0, (value & state.deviceFeatures[0]) >>> 0);
        return;
      }
      case LEGACY_QUEUE_SELECT:
        state.set('queueSelect', value & 0xffff);
        return;
      case LEGACY_CONFIG_MSIX_VECTOR:
        state.set('configVector', registers.validVector(value & 0xffff));
        return;
      case LEGACY_QUEUE_MSIX_VECTOR:
        if (queue !== undefined) state.setQueue(queue, 'vector', registers.validVector(value & 0xffff));
        return;
    }
  }

  /** A page number enables the queue; 0 takes it away, which only a reset can do to a queue in use. */
  #writeQueueAddress(page: number): void {
    const registers = this.#registers;
    const { state } = registers;
    const queue = registers.selectedQueue;
    if (queue === undefined) return;
    const isEnabled = state.getQueue(queue, 'enabled') !== 0;
    if (page === 0) {
      if (isEnabled) registers.reset();
      return;
    }
    if (isEnabled || state.get('resetting') !== 0) return;
    state.locked(() => {
      state.set('legacy', 1);
      state.setQueue(queue, 'page', page);
      state.setQueue(queue, 'enabled', 1);
    });
    registers.queueEnabled(queue);
  }
}
