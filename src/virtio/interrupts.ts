/** Used-buffer and configuration-change notifications (virtio 1.2, 2.3; 4.1.5.3, 4.1.5.4): MSI-X, or INTx with ISR status. */
import { ISR_CONFIG, ISR_QUEUE } from './features.ts';
import type { MsixTable } from './msix.ts';
import type { VirtioState } from './state.ts';

/**
 * The INTx pin: runs `action` while nobody else changes the level or ISR status. What it returns is the new level.
 * Backed by the PCI bus's lock and `PciFunction.setInterrupt`.
 */
export type IntxPin = (action: () => boolean) => void;

export class VirtioInterrupts {
  readonly #state: VirtioState;
  readonly #msix: MsixTable;
  readonly #pin: IntxPin;

  constructor(state: VirtioState, msix: MsixTable, pin: IntxPin) {
    this.#state = state;
    this.#msix = msix;
    this.#pin = pin;
  }

  /** The used ring of `queue` has news. */
  queue(queue: number): void {
    // 4.1.4.5.1: the queue bit is for INTx only.
    if (this.#msix.enabled) this.#msix.signal(this.#state.getQueue(queue, 'vector'));
    else this.#raise(ISR_QUEUE);
  }

  /** Configuration or DEVICE_NEEDS_RESET changed. */
  config(): void {
    this.#raise(ISR_CONFIG);
    if (this.#msix.enabled) this.#msix.signal(this.#state.get('configVector'));
  }

  #raise(bit: number): void {
    this.#pin(() => {
      this.#state.set('isr', this.#state.get('isr') | bit);
      return !this.#msix.enabled;
    });
  }

  /** The driver read ISR status: reading clears it and lowers the line, in one step. */
  takeIsr(): number {
    let isr = 0;
    this.#pin(() => {
      isr = this.#state.get('isr');
      this.#state.set('isr', 0);
      return false;
    });
    return isr;
  }

  /** The level that belongs to the present state: for a change of the mode, from under the pin's lock. */
  get level(): boolean {
    return this.#state.get('isr') !== 0 && !this.#msix.enabled;
  }

  /** After a reset. */
  clear(): void {
    this.takeIsr();
  }
}
