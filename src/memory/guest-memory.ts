/**
 * Guest RAM for everything that is not a vCPU: devices, loaders, tools. Addresses and lengths may come from
 * the guest, so each access is checked, and each write marks the dirty bitmap and reports writes to bytes
 * that some vCPU has decoded as code. What a device publishes (a used-ring entry, a status) it publishes
 * after the write here has returned.
 */
import type { Views } from '../base/views.ts';
import { CODE_BITMAP_BASE, DIRTY_BITMAP_BASE, PAGE_SIZE, RAM_BASE } from '../layout/map.ts';
import { isRam } from './physical-map.ts';

/** Called when bytes that were decoded as code have been overwritten. */
export type CodeWriteHook = (gpa: number, bytes: number) => void;

/** Code bitmap granule: one bit per 64 bytes. */
const GRANULE_SHIFT = 6;

export class GuestMemory {
  readonly #views: Views;
  readonly #onCodeWrite: CodeWriteHook;
  readonly ramBytes: number;

  constructor(views: Views, ramBytes: number, onCodeWrite: CodeWriteHook) {
    this.#views = views;
    this.ramBytes = ramBytes;
    this.#onCodeWrite = onCodeWrite;
  }

  /** True if all `bytes` from `gpa` are RAM. */
  isRam(gpa: number, bytes: number): boolean {
    return isRam(gpa, bytes, this.ramBytes);
  }

  /** The bytes in place, for reading; undefined unless all of them are RAM. The guest may change them meanwhile. */
  view(gpa: number, bytes: number): Uint8Array | undefined {
    if (!this.isRam(gpa, bytes)) return undefined;
    return new Uint8Array(this.#views.buffer, RAM_BASE + gpa, bytes);
  }

  /** A copy of the bytes, undefined unless all of them are RAM. */
  read(gpa: number, bytes: number): Uint8Array<ArrayBuffer> | undefined {
    const source = this.view(gpa, bytes);
    return source === undefined ? undefined : Uint8Array.from(source);
  }

  readU8(gpa: number): number | undefined {
    return this.isRam(gpa, 1) ? this.#views.u8[RAM_BASE + gpa] : undefined;
  }

  readU16(gpa: number): number | undefined {
    return this.isRam(gpa, 2) ? this.#views.data.getUint16(RAM_BASE + gpa, true) : undefined;
  }

  /** An aligned word that a vCPU publishes (a ring's index): what it wrote before is visible to reads after this. */
  loadU16(gpa: number): number | undefined {
    if (!this.isRam(gpa, 2) || (gpa & 1) !== 0) return undefined;
    // Acquire, and ordered after every storeU16 of this thread before it.
    return Atomics.load(this.#views.u16, (RAM_BASE + gpa) >>> 1);
  }

  readU32(gpa: number): number | undefined {
    return this.isRam(gpa, 4) ? this.#views.data.getUint32(RAM_BASE + gpa, true) : undefined;
  }

  /** A guest-physical address or length stored as 64 bits: undefined if not RAM; exact up to 2^53. */
  readU64(gpa: number): number | undefined {
    if (!this.isRam(gpa, 8)) return undefined;
    const { data } = this.#views;
    return data.getUint32(RAM_BASE + gpa, true) + data.getUint32(RAM_BASE + gpa + 4, true) * 0x1_0000_0000;
  }

  /** False, with nothing written, unless all the bytes are RAM. The same holds for the others below. */
  write(gpa: number, bytes: Uint8Array): boolean {
    if (!this.isRam(gpa, bytes.length)) return false;
    this.#views.u8.set(bytes, RAM_BASE + gpa);
    this.#written(gpa, bytes.length);
    return true;
  }

  fill(gpa: number, bytes: number, value: number): boolean {
    if (!this.isRam(gpa, bytes)) return false;
    this.#views.u8.fill(value, RAM_BASE + gpa, RAM_BASE + gpa + bytes);
    this.#written(gpa, bytes);
    return true;
  }

  writeU8(gpa: number, value: number): boolean {
    if (!this.isRam(gpa, 1)) return false;
    this.#views.u8[RAM_BASE + gpa] = value;
    this.#written(gpa, 1);
    return true;
  }

  writeU16(gpa: number, value: number): boolean {
    if (!this.isRam(gpa, 2)) return false;
    this.#views.data.setUint16(RAM_BASE + gpa, value, true);
    this.#written(gpa, 2);
    return true;
  }

  /** Publishes: everything that this thread wrote before is visible to a vCPU that sees the new value. */
  storeU16(gpa: number, value: number): boolean {
    if (!this.isRam(gpa, 2) || (gpa & 1) !== 0) return false;
    // Release, and ordered before every loadU16 of this thread after it.
    Atomics.store(this.#views.u16, (RAM_BASE + gpa) >>> 1, value);
    this.#written(gpa, 2);
    return true;
  }

  writeU32(gpa: number, value: number): boolean {
    if (!this.isRam(gpa, 4)) return false;
    this.#views.data.setUint32(RAM_BASE + gpa, value, true);
    this.#written(gpa, 4);
    return true;
  }

  writeU64(gpa: number, low: number, high: number): boolean {
    if (!this.isRam(gpa, 8)) return false;
    this.#views.data.setUint32(RAM_BASE + gpa, low, true);
    this.#views.data.setUint32(RAM_BASE + gpa + 4, high, true);
    this.#written(gpa, 8);
    return true;
  }

  /**
   * Lets `fill` write the bytes in place (a disk read straight into RAM), and accounts for the write
   * afterwards, also when `fill` throws.
   */
  writeInPlace(gpa: number, bytes: number, fill: (target: Uint8Array) => void): boolean {
    const target = this.view(gpa, bytes);
    if (target === undefined) return false;
    try {
      fill(target);
    } finally {
      this.#written(gpa, bytes);
    }
    return true;
  }

  /** Accounts for a write that somebody made through a `view`, once it is in memory. */
  wroteView(gpa: number, bytes: number): void {
    if (this.isRam(gpa, bytes)) this.#written(gpa, bytes);
  }

  /** True if the page was written by a device or a vCPU since its bit was cleared. */
  isDirty(page: number): boolean {
    // Ordered after the writes that the asking thread already knows of.
    return (
      ((Atomics.load(this.#views.i32, (DIRTY_BITMAP_BASE >>> 2) + (page >>> 5)) >>> (page & 31)) & 1) !== 0
    );
  }

  /** After the bytes are in memory: dirty bits, then code that went stale. */
  #written(gpa: number, bytes: number): void {
    if (bytes === 0) return;
    const words = this.#views.i32;
    const lastPage = Math.floor((gpa + bytes - 1) / PAGE_SIZE);
    for (let page = Math.floor(gpa / PAGE_SIZE); page <= lastPage; page++) {
      const dirty = (DIRTY_BITMAP_BASE >>> 2) + (page >>> 5);
      const bit = 1 << (page & 31);
      // The bytes come before the bit: who clears the bit and copies the page afterwards sees them. A read-modify-write
      // even if the bit is set, because it is also the barrier between our write and the look at the code bits below.
      Atomics.or(words, dirty, bit);
      const start = Math.max(gpa, page * PAGE_SIZE);
      const end = Math.min(gpa + bytes, (page + 1) * PAGE_SIZE);
      if (this.#holdsCode(page, start, end)) this.#onCodeWrite(start, end - start);
    }
  }

  #holdsCode(page: number, start: number, end: number): boolean {
    const words = this.#views.i32;
    const index = (CODE_BITMAP_BASE >>> 2) + page * 2;
    const first = (start % PAGE_SIZE) >>> GRANULE_SHIFT;
    const last = ((end - 1) % PAGE_SIZE) >>> GRANULE_SHIFT;
    // A decoder sets its bits before it reads the bytes, we write the bytes before we read the bits:
    // so either it decodes the new bytes or we see its bits.
    const low = Atomics.load(words, index) & granules(first, last);
    const high = Atomics.load(words, index + 1) & granules(first - 32, last - 32);
    return (low | high) !== 0;
  }
}

/** Bits `first` to `last` of a word of 32, clipped to it. */
function granules(first: number, last: number): number {
  const from = Math.max(first, 0);
  const to = Math.min(last, 31);
  return from > to ? 0 : (-1 << from) & (-1 >>> (31 - to));
}
