/** A driver for tests: fills a split virtqueue in guest memory as Linux does, and takes what the device has used. */
import { viewsOf } from '../base/views.ts';
import type { Views } from '../base/views.ts';
import { RAM_BASE } from '../layout/map.ts';
import { GuestMemory } from '../memory/guest-memory.ts';
import { legacyRing } from './ring-layout.ts';
import type { RingAddresses } from './ring-layout.ts';
import type { Segment } from './segments.ts';

const DESC_NEXT = 1;
const DESC_WRITE = 2;
const DESC_INDIRECT = 4;

export interface TestRam {
  readonly views: Views;
  readonly memory: GuestMemory;
  /** Guest RAM alone. */
  readonly ram: Uint8Array;
  readonly data: DataView;
}

export function testRam(bytes: number): TestRam {
  const views = viewsOf(new SharedArrayBuffer(RAM_BASE + bytes));
  return {
    views,
    memory: new GuestMemory(views, bytes, () => {}),
    ram: views.u8.subarray(RAM_BASE, RAM_BASE + bytes),
    data: new DataView(views.buffer, RAM_BASE, bytes),
  };
}

export interface TestDriverOptions {
  readonly data: DataView;
  readonly start: number;
  readonly size: number;
  readonly eventIdx?: boolean;
  /** Where indirect tables go: one of `size` descriptors per head. None: direct chains. */
  readonly indirectTables?: number;
}

export interface UsedElement {
  readonly id: number;
  readonly len: number;
}

export class TestDriver {
  readonly ring: RingAddresses;
  readonly size: number;
  readonly #data: DataView;
  readonly #eventIdx: boolean;
  readonly #tables: number | undefined;
  readonly #free: number[];
  readonly #chains = new Map<number, number[]>();
  #availIdx = 0;
  #kickedIdx = 0;
  #usedIdx = 0;

  constructor(options: TestDriverOptions) {
    this.#data = options.data;
    this.size = options.size;
    this.ring = legacyRing(options.start, options.size, 4096);
    this.#eventIdx = options.eventIdx ?? false;
    this.#tables = options.indirectTables;
    this.#free = Array.from({ length: options.size }, (_, n) => options.size - 1 - n);
  }

  get freeDescriptors(): number {
    return this.#free.length;
  }

  descriptor(index: number, gpa: number, bytes: number, flags: number, next: number, table?: number): void {
    const at = (table ?? this.ring.descriptors) + 16 * index;
    this.#data.setUint32(at, gpa >>> 0, true);
    this.#data.setUint32(at + 4, Math.floor(gpa / 2 ** 32), true);
    this.#data.setUint32(at + 8, bytes, true);
    this.#data.setUint16(at + 12, flags, true);
    this.#data.setUint16(at + 14, next, true);
  }

  /** Makes one chain available and returns its head. */
  add(readable: readonly Segment[], writable: readonly Segment[]): number {
    const buffers = [
      ...readable.map((segment) => ({ ...segment, flags: 0 })),
      ...writable.map((segment) => ({ ...segment, flags: DESC_WRITE })),
    ];
    const head = this.#free.pop();
    if (head === undefined) throw new Error('the queue is full');
    const used = [head];
    if (this.#tables !== undefined) {
      const table = this.#tables + head * this.size * 16;
      buffers.forEach(({ gpa, bytes, flags }, n) =>
        this.descriptor(n, gpa, bytes, n + 1 < buffers.length ? flags | DESC_NEXT : flags, n + 1, table),
      );
      this.descriptor(head, table, buffers.length * 16, DESC_INDIRECT, 0);
    } else {
      for (let n = 1; n < buffers.length; n++) used.push(this.#free.pop()!);
      buffers.forEach(({ gpa, bytes, flags }, n) =>
        this.descriptor(
          used[n]!,
          gpa,
          bytes,
          n + 1 < buffers.length ? flags | DESC_NEXT : flags,
          used[n + 1] ?? 0,
        ),
      );
    }
    this.#chains.set(head, used);
    this.makeAvailable(head);
    return head;
  }

  makeAvailable(head: number): void {
    this.#data.setUint16(this.ring.avail + 4 + 2 * (this.#availIdx % this.size), head, true);
    this.setAvailIdx(this.#availIdx + 1);
  }

  setAvailIdx(idx: number): void {
    this.#availIdx = idx & 0xffff;
    this.#data.setUint16(this.ring.avail + 2, this.#availIdx, true);
  }

  /** 2.7.10: whether the device wants a kick for what was added since the last question. */
  needsKick(): boolean {
    const before = this.#kickedIdx;
    this.#kickedIdx = this.#availIdx;
    if (!this.#eventIdx) return (this.#data.getUint16(this.ring.used, true) & 1) === 0;
    const event = this.#data.getUint16(this.ring.used + 4 + 8 * this.size, true);
    return ((this.#availIdx - event - 1) & 0xffff) < ((this.#availIdx - before) & 0xffff);
  }

  /** Takes everything that was used; with EVENT_IDX it then wants an interrupt for the next one. */
  takeUsed(): UsedElement[] {
    const taken: UsedElement[] = [];
    const idx = this.#data.getUint16(this.ring.used + 2, true);
    while (this.#usedIdx !== idx) {
      const at = this.ring.used + 4 + 8 * (this.#usedIdx % this.size);
      const id = this.#data.getUint32(at, true);
      taken.push({ id, len: this.#data.getUint32(at + 4, true) });
      this.#free.push(...(this.#chains.get(id) ?? []));
      this.#chains.delete(id);
      this.#usedIdx = (this.#usedIdx + 1) & 0xffff;
    }
    if (this.#eventIdx) this.setUsedEvent(this.#usedIdx);
    return taken;
  }

  setUsedEvent(idx: number): void {
    this.#data.setUint16(this.ring.avail + 4 + 2 * this.size, idx & 0xffff, true);
  }

  /** VIRTQ_AVAIL_F_NO_INTERRUPT. */
  setNoInterrupt(on: boolean): void {
    this.#data.setUint16(this.ring.avail, on ? 1 : 0, true);
  }
}
