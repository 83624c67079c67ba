/**
 * What modern and legacy registers have in common: the meaning of a write, whichever layout it came through. Registers are served
 * on the vCPU's thread under the device's lock; the owner is called without it.
 */
import type { ConfigRange } from './device.ts';
import {
  DEVICE_NEEDS_RESET,
  DRIVER_OK,
  FEATURES_OK,
  featureWords,
  LEGACY_FEATURES,
  VIRTIO_F_VERSION_1,
  VIRTIO_MSI_NO_VECTOR,
} from './features.ts';
import type { VirtioInterrupts } from './interrupts.ts';
import type { MsixTable } from './msix.ts';
import type { DeviceOwner } from './owner.ts';
import type { VirtioState } from './state.ts';

const [LEGACY_WORD] = featureWords(LEGACY_FEATURES);

export interface RegistersOptions {
  readonly state: VirtioState;
  readonly msix: MsixTable;
  readonly interrupts: VirtioInterrupts;
  readonly owner: DeviceOwner;
  readonly writableConfig: readonly ConfigRange[];
}

export class DriverRegisters {
  readonly state: VirtioState;
  readonly msix: MsixTable;
  readonly #interrupts: VirtioInterrupts;
  readonly #owner: DeviceOwner;
  readonly #writableConfig: readonly ConfigRange[];

  constructor(options: RegistersOptions) {
    this.state = options.state;
    this.msix = options.msix;
    this.#interrupts = options.interrupts;
    this.#owner = options.owner;
    this.#writableConfig = options.writableConfig;
  }

  /** device_status (2.1, 3.1.1): 0 resets, FEATURES_OK is refused if the features do not fit, DRIVER_OK starts. */
  writeStatus(value: number, isLegacy: boolean): void {
    const { state } = this;
    if (value === 0) {
      this.reset();
      return;
    }
    const starts = state.locked(() => {
      // Until the reset is done the driver has nothing to say.
      if (state.get('resetting') !== 0) return false;
      if (isLegacy) state.set('legacy', 1);
      const before = state.get('status');
      let after = (value & ~DEVICE_NEEDS_RESET) | (before & DEVICE_NEEDS_RESET);
      if (!isLegacy) {
        if ((after & ~before & FEATURES_OK) !== 0 && !this.#featuresFit()) after &= ~FEATURES_OK;
        if ((after & FEATURES_OK) === 0) after &= ~DRIVER_OK;
      }
      state.set('status', after);
      return (after & ~before & DRIVER_OK) !== 0;
    });
    if (!starts) return;
    state.count('synchronousExits');
    this.#owner.start();
  }

  /** What a driver may accept through the modern interface. */
  get modernFeatures(): readonly [low: number, high: number] {
    const [low, high] = this.state.deviceFeatures;
    return [(low & ~LEGACY_WORD) >>> 0, high];
  }

  /** 2.2.2, 6.1: only what was offered, and VERSION_1 through the modern interface. */
  #featuresFit(): boolean {
    const { state } = this;
    const offered = this.modernFeatures;
    const accepted = state.driverFeatures;
    if ((accepted[0] & ~offered[0]) !== 0 || (accepted[1] & ~offered[1]) !== 0) return false;
    return state.isNegotiated(VIRTIO_F_VERSION_1);
  }

  /** Any value that the driver writes is 0 to the registers: see `DeviceOwner.reset`. */
  reset(): void {
    const { state } = this;
    const begins = state.locked(() => {
      if (state.get('resetting') !== 0) return false;
      state.set('resetting', 1);
      return true;
    });
    if (!begins) return;
    state.count('synchronousExits');
    this.#owner.reset();
  }

  /** Under the lock. After FEATURES_OK the choice is made (3.1.1). */
  writeDriverFeatures(word: number, value: number): void {
    const { state } = this;
    if (word > 1 || (state.get('status') & FEATURES_OK) !== 0) return;
    state.setFeatures('driverFeatures', word === 0 ? 0 : 1, value);
  }

  /** The queue that the driver has selected, undefined if there is none. */
  get selectedQueue(): number | undefined {
    const queue = this.state.get('queueSelect');
    return queue < this.state.get('queueCount') ? queue : undefined;
  }

  /** 4.1.5.1.2.1: a vector that does not exist reads back as NO_VECTOR. */
  validVector(vector: number): number {
    return vector < this.msix.vectors ? vector : VIRTIO_MSI_NO_VECTOR;
  }

  /** A queue was enabled. The owner opens it at DRIVER_OK, or now if that is past. */
  queueEnabled(queue: number): void {
    if ((this.state.get('status') & DRIVER_OK) === 0) return;
    this.state.count('synchronousExits');
    this.#owner.enableQueue(queue);
  }

  /** A kick that no doorbell took: the vCPU waits until the owner has looked. */
  kick(queue: number): void {
    if (queue >= this.state.get('queueCount')) return;
    this.state.count('synchronousKicks');
    this.state.noteAvailIdx(queue);
    this.#owner.kick(queue);
  }

  takeIsr(): number {
    return this.#interrupts.takeIsr();
  }

  readConfig(offset: number, bytes: number): number {
    return this.state.locked(() => {
      const { config } = this.state;
      let value = 0;
      // Behind its end configuration space reads as zero.
      for (let n = 0; n < bytes; n++) value |= (config[offset + n] ?? 0) << (8 * n);
      return value >>> 0;
    });
  }

  writeConfig(offset: number, value: number, bytes: number): void {
    const { state } = this;
    const changed = state.locked(() => {
      const { config } = state;
      let any = false;
      for (let n = 0; n < bytes; n++) {
        const at = offset + n;
        const writable = this.#writableConfig.some(
          (range) => at >= range.offset && at < range.offset + range.bytes,
        );
        if (!writable || at >= config.length) continue;
        config[at] = (value >>> (8 * n)) & 0xff;
        any = true;
      }
      return any;
    });
    if (!changed) return;
    state.count('synchronousExits');
    this.#owner.configWritten();
  }
}
