/**
 * MSI-X of one function (PCI 3.0, 6.8.2): the table, the pending bits and the two masks, in shared memory. vCPUs write
 * entries one at a time (under the device's lock); the owner of the device reads them without a lock, under a sequence count.
 */
import type { Views } from '../base/views.ts';
import {
  MAX_MSIX_VECTORS,
  MSIX_ENTRY,
  msixEntryAddress,
  VIRTIO_DEVICE,
  virtioAddress,
} from '../layout/virtio.ts';

export const MSIX_CONTROL_ENABLE = 1 << 15;
export const MSIX_CONTROL_MASK = 1 << 14;
export const MSIX_ENTRY_BYTES = 16;
const ENTRY_MASKED = 1;

/** A device's memory write of `data` to `address`: what makes an interrupt of it. */
export type SendMsi = (address: number, data: number) => void;

interface Entry {
  readonly address: number;
  readonly data: number;
  readonly isMasked: boolean;
}

export class MsixTable {
  readonly vectors: number;
  readonly #u32: Uint32Array;
  readonly #i32: Int32Array;
  readonly #table: number;
  readonly #sequence: number;
  readonly #control: number;
  readonly #pending: number;
  readonly #send: SendMsi;

  constructor(views: Views, slot: number, vectors: number, send: SendMsi) {
    if (!(vectors > 0 && vectors <= MAX_MSIX_VECTORS)) throw new Error(`${vectors} MSI-X vectors`);
    this.vectors = vectors;
    this.#u32 = views.u32;
    this.#i32 = views.i32;
    this.#table = msixEntryAddress(slot, 0) >>> 2;
    const device = virtioAddress(slot);
    this.#sequence = (device + VIRTIO_DEVICE.at.msixSequence) >>> 2;
    this.#control = (device + VIRTIO_DEVICE.at.msixControl) >>> 2;
    this.#pending = (device + VIRTIO_DEVICE.at.msixPending) >>> 2;
    this.#send = send;
  }

  /** 6.8.2.9: after a reset of the function all vectors are masked. */
  reset(): void {
    for (let vector = 0; vector < MAX_MSIX_VECTORS; vector++) {
      const at = this.#table + vector * (MSIX_ENTRY_BYTES >>> 2);
      this.#u32.fill(0, at, at + 3);
      this.#u32[at + 3] = ENTRY_MASKED;
    }
    this.#u32.fill(0, this.#pending, this.#pending + MAX_MSIX_VECTORS / 32);
    this.#u32[this.#control] = 0;
  }

  get enabled(): boolean {
    // Ordered with nothing: a change of the mode while the device interrupts is the driver's own race.
    return (Atomics.load(this.#i32, this.#control) & MSIX_CONTROL_ENABLE) !== 0;
  }

  // --- registers, from vCPUs

  /** A word of the table; 0 behind its end. */
  readTable(offset: number): number {
    return offset < this.vectors * MSIX_ENTRY_BYTES ? this.#u32[this.#table + (offset >>> 2)]! : 0;
  }

  /** Under the device's lock. */
  writeTable(offset: number, value: number): void {
    if (offset >= this.vectors * MSIX_ENTRY_BYTES) return;
    const vector = Math.floor(offset / MSIX_ENTRY_BYTES);
    const field = offset & 0xc;
    // Odd before the field changes and even after it: a reader that saw either number twice read no half entry.
    Atomics.add(this.#i32, this.#sequence, 1);
    this.#u32[this.#table + (offset >>> 2)] =
      field === MSIX_ENTRY.at.control ? value & ENTRY_MASKED : field === 0 ? (value & ~3) >>> 0 : value;
    Atomics.add(this.#i32, this.#sequence, 1);
    if (field === MSIX_ENTRY.at.control) this.#retry(vector);
  }

  readPending(offset: number): number {
    const word = offset >>> 2;
    if (word >= MAX_MSIX_VECTORS / 32) return 0;
    return Atomics.load(this.#i32, this.#pending + word) >>> 0;
  }

  /** Message Control was written. */
  setControl(control: number): void {
    // Before the look at the pending bits: a signal that still saw the mask has set its bit by then, or looks again.
    Atomics.store(this.#i32, this.#control, control);
    for (let vector = 0; vector < this.vectors; vector++) this.#retry(vector);
  }

  // --- interrupts, from any thread

  signal(vector: number): void {
    if (!(vector >= 0 && vector < this.vectors)) return;
    if (this.#sendIfUnmasked(vector)) return;
    // 6.8.2.10. Set before the second look: whoever unmasks looks at the bit after that. So one of us sees both, and
    // who clears the bit sends.
    Atomics.or(this.#i32, this.#pending + (vector >>> 5), 1 << (vector & 31));
    this.#retry(vector);
  }

  #retry(vector: number): void {
    const word = this.#pending + (vector >>> 5);
    const bit = 1 << (vector & 31);
    if ((Atomics.load(this.#i32, word) & bit) === 0) return;
    const entry = this.#entry(vector);
    if (this.#isMasked(entry)) return;
    // Only one thread finds it set.
    if ((Atomics.and(this.#i32, word, ~bit) & bit) !== 0) this.#send(entry.address, entry.data);
  }

  #sendIfUnmasked(vector: number): boolean {
    const entry = this.#entry(vector);
    if (this.#isMasked(entry)) return false;
    this.#send(entry.address, entry.data);
    return true;
  }

  #isMasked(entry: Entry): boolean {
    const control = Atomics.load(this.#i32, this.#control);
    return entry.isMasked || (control & (MSIX_CONTROL_ENABLE | MSIX_CONTROL_MASK)) !== MSIX_CONTROL_ENABLE;
  }

  #entry(vector: number): Entry {
    const at = this.#table + vector * (MSIX_ENTRY_BYTES >>> 2);
    for (;;) {
      const before = Atomics.load(this.#i32, this.#sequence);
      const address = Atomics.load(this.#u32, at);
      const high = Atomics.load(this.#u32, at + 1);
      const data = Atomics.load(this.#u32, at + 2);
      const control = Atomics.load(this.#u32, at + 3);
      // The loads above are ordered before this one: an even and unchanged number means that no write fell between.
      const after = Atomics.load(this.#i32, this.#sequence);
      if (before === after && (before & 1) === 0) {
        // Upper addresses are not the local APICs': such a write goes nowhere.
        return { address: high === 0 ? address : 0, data, isMasked: (control & ENTRY_MASKED) !== 0 };
      }
    }
  }
}
