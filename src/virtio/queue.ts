/**
 * The split virtqueue, device side (virtio 1.2, 2.7). One for every queue of every device.
 *
 * The driver may be hostile and may change its memory while we read it. Therefore each index, address, length and flag
 * is read once, into a variable, and checked there; a chain is checked as a whole before anybody sees it. A ring
 * that breaks the rules breaks the queue: it yields nothing any more until the driver resets the device, which the
 * owner asks for with DEVICE_NEEDS_RESET (2.1.2).
 *
 * Only the thread that owns the device calls this.
 */
import type { Result } from '../base/result.ts';
import { failure, success } from '../base/result.ts';
import type { GuestMemory } from '../memory/guest-memory.ts';
import {
  AVAIL_ALIGN,
  AVAIL_FLAGS,
  AVAIL_IDX,
  AVAIL_RING,
  availBytes,
  DESCRIPTOR_ADDR,
  DESCRIPTOR_ALIGN,
  DESCRIPTOR_BYTES,
  DESCRIPTOR_FLAGS,
  DESCRIPTOR_LEN,
  DESCRIPTOR_NEXT,
  descriptorTableBytes,
  MAX_QUEUE_SIZE,
  USED_ALIGN,
  USED_ELEMENT_BYTES,
  USED_FLAGS,
  USED_IDX,
  USED_RING,
  usedBytes,
  VIRTQ_AVAIL_F_NO_INTERRUPT,
  VIRTQ_DESC_F_INDIRECT,
  VIRTQ_DESC_F_NEXT,
  VIRTQ_DESC_F_WRITE,
  VIRTQ_USED_F_NO_NOTIFY,
} from './ring-layout.ts';
import type { RingExchange } from './ring-exchange.ts';
import type { RingAddresses } from './ring-layout.ts';
import type { Segment } from './segments.ts';

/** 2.7.5.2: a chain is at most 2^32 bytes long in total; the used element's `len` has 32 bits. */
const MAX_CHAIN_BYTES = 0xffffffff;

/** What the driver made available: buffers that the device reads, then buffers that it writes (2.7.4.2). */
export interface DescriptorChain {
  /** Index of the first descriptor: what the used element names. */
  readonly head: number;
  readonly readable: readonly Segment[];
  readonly writable: readonly Segment[];
  readonly readableBytes: number;
  readonly writableBytes: number;
}

export interface VirtqueueOptions {
  readonly memory: GuestMemory;
  readonly ring: RingAddresses;
  /** What the driver chose. */
  readonly size: number;
  /** What the device offered: bounds indirect tables. */
  readonly maxSize: number;
  /** VIRTIO_F_INDIRECT_DESC was negotiated. */
  readonly indirect: boolean;
  /** VIRTIO_F_EVENT_IDX was negotiated. */
  readonly eventIdx: boolean;
  /** On hosts that may reorder stores; without VIRTIO_F_EVENT_IDX then. */
  readonly exchange?: RingExchange;
  /** Called once, with what the driver did wrong. */
  readonly onBroken: (reason: string) => void;
}

/** Where a queue stands: what a snapshot or another owner (vhost) needs beside the ring itself. */
export interface QueuePosition {
  readonly nextAvail: number;
  readonly nextUsed: number;
}

/** Of one queue, since it was enabled. */
export interface QueueCounters {
  chains: number;
  /** Interrupts that the driver wanted, and those that it suppressed. */
  interrupts: number;
  suppressedInterrupts: number;
}

class ChainBuilder implements DescriptorChain {
  readonly readable: Segment[] = [];
  readonly writable: Segment[] = [];
  readableBytes = 0;
  writableBytes = 0;
  descriptors = 0;
  readonly head: number;

  constructor(head: number) {
    this.head = head;
  }
}

export class Virtqueue {
  readonly size: number;
  readonly counters: QueueCounters = { chains: 0, interrupts: 0, suppressedInterrupts: 0 };
  readonly #memory: GuestMemory;
  readonly #descriptors: number;
  readonly #avail: number;
  readonly #used: number;
  readonly #usedEvent: number;
  readonly #availEvent: number;
  readonly #maxSize: number;
  readonly #indirect: boolean;
  readonly #eventIdx: boolean;
  readonly #exchange: RingExchange | undefined;
  readonly #onBroken: (reason: string) => void;
  /** By head: 1 while the device has the chain. */
  readonly #inFlight: Uint8Array;
  #inFlightCount = 0;
  #broken: string | undefined;
  /** All 16-bit, free-running. Next to pop; `avail.idx` as last read; next used element; published `used.idx`. */
  #nextAvail: number;
  #availIdx: number;
  #nextUsed: number;
  #publishedUsed: number;
  /** `used.idx` at the last look at the driver's wish for interrupts. */
  #askedUsed: number;
  /** The same with EVENT_IDX; none yet: the first is sent. */
  #signalledUsed: number | undefined;

  /** Refuses rings that are not wholly in RAM or not as 2.7 wants them. */
  static create(options: VirtqueueOptions, position?: QueuePosition): Result<Virtqueue> {
    const { memory, ring, size, maxSize } = options;
    if (!(size > 0 && size <= Math.min(maxSize, MAX_QUEUE_SIZE)) || (size & (size - 1)) !== 0)
      return failure(`queue size ${size} is not a power of two up to ${maxSize}`);
    if (
      ring.descriptors % DESCRIPTOR_ALIGN !== 0 ||
      !memory.isRam(ring.descriptors, descriptorTableBytes(size))
    )
      return failure('the descriptor table is misaligned or not in RAM');
    if (ring.avail % AVAIL_ALIGN !== 0 || !memory.isRam(ring.avail, availBytes(size)))
      return failure('the available ring is misaligned or not in RAM');
    if (ring.used % USED_ALIGN !== 0 || !memory.isRam(ring.used, usedBytes(size)))
      return failure('the used ring is misaligned or not in RAM');
    return success(new Virtqueue(options, position ?? { nextAvail: 0, nextUsed: 0 }));
  }

  private constructor(options: VirtqueueOptions, position: QueuePosition) {
    const { ring, size } = options;
    this.size = size;
    this.#memory = options.memory;
    this.#descriptors = ring.descriptors;
    this.#avail = ring.avail;
    this.#used = ring.used;
    this.#usedEvent = ring.avail + AVAIL_RING + 2 * size;
    this.#availEvent = ring.used + USED_RING + USED_ELEMENT_BYTES * size;
    this.#maxSize = options.maxSize;
    this.#indirect = options.indirect;
    this.#eventIdx = options.eventIdx;
    this.#exchange = options.exchange;
    this.#onBroken = options.onBroken;
    this.#inFlight = new Uint8Array(size);
    this.#nextAvail = position.nextAvail & 0xffff;
    this.#availIdx = this.#nextAvail;
    this.#nextUsed = position.nextUsed & 0xffff;
    this.#publishedUsed = this.#nextUsed;
    this.#askedUsed = this.#nextUsed;
  }

  /** What the driver did wrong, if it did. */
  get broken(): string | undefined {
    return this.#broken;
  }

  /** Chains popped and not yet pushed. */
  get inFlight(): number {
    return this.#inFlightCount;
  }

  get position(): QueuePosition {
    return { nextAvail: this.#nextAvail, nextUsed: this.#nextUsed };
  }

  // --- available ring

  /** The next chain, undefined if there is none (or the queue is broken). */
  pop(): DescriptorChain | undefined {
    if (this.#broken !== undefined) return undefined;
    if (this.#nextAvail === this.#availIdx && !this.#readAvailIdx()) return undefined;
    const memory = this.#memory;
    const head = memory.readU16(this.#avail + AVAIL_RING + 2 * (this.#nextAvail & (this.size - 1)))!;
    if (head >= this.size) return this.#break(`descriptor ${head} in the available ring does not exist`);
    if (this.#inFlight[head] !== 0) return this.#break(`descriptor ${head} is available twice`);
    const chain = this.#readChain(head);
    if (chain === undefined) return undefined;
    this.#nextAvail = (this.#nextAvail + 1) & 0xffff;
    this.#inFlight[head] = 1;
    this.#inFlightCount++;
    this.counters.chains++;
    return chain;
  }

  /** Gives back what was popped last, in reverse order: it will be popped again. */
  unpop(chain: DescriptorChain): void {
    this.#release(chain);
    this.counters.chains--;
    this.#nextAvail = (this.#nextAvail - 1) & 0xffff;
  }

  /** Reads `avail.idx` anew; false if nothing is available. */
  #readAvailIdx(): boolean {
    // Acquire: ring entries and descriptors before this index are visible to the reads that follow (2.7.13.3).
    const idx = this.#exchange?.availIdx ?? this.#memory.loadU16(this.#avail + AVAIL_IDX)!;
    if (((idx - this.#nextAvail) & 0xffff) > this.size) {
      this.#break(`avail.idx ${idx} is more than a queue ahead of ${this.#nextAvail}`);
      return false;
    }
    this.#availIdx = idx;
    return idx !== this.#nextAvail;
  }

  #readChain(head: number): DescriptorChain | undefined {
    const memory = this.#memory;
    const chain = new ChainBuilder(head);
    let index = head;
    for (;;) {
      const at = this.#descriptors + DESCRIPTOR_BYTES * index;
      const flags = memory.readU16(at + DESCRIPTOR_FLAGS)!;
      if ((flags & VIRTQ_DESC_F_INDIRECT) !== 0) {
        if (!this.#readIndirect(chain, at, flags)) return undefined;
        return chain;
      }
      // A chain cannot be longer than its table: one that is goes in circles.
      if (chain.descriptors === this.size) return this.#break('a descriptor chain is longer than the queue');
      if (!this.#append(chain, at, flags)) return undefined;
      if ((flags & VIRTQ_DESC_F_NEXT) === 0) return chain;
      index = memory.readU16(at + DESCRIPTOR_NEXT)!;
      if (index >= this.size) return this.#break(`next descriptor ${index} does not exist`);
    }
  }

  /** 2.7.5.3: `at` is a descriptor that names a table, which ends the chain. */
  #readIndirect(chain: ChainBuilder, at: number, flags: number): boolean {
    const memory = this.#memory;
    if (!this.#indirect)
      return this.#fail('an indirect descriptor, but VIRTIO_F_INDIRECT_DESC is not negotiated');
    // 2.7.5.3.1: not both flags. The write-only flag means nothing here (2.7.5.3.2).
    if ((flags & VIRTQ_DESC_F_NEXT) !== 0) return this.#fail('an indirect descriptor with a next one');
    const table = memory.readU64(at + DESCRIPTOR_ADDR)!;
    const bytes = memory.readU32(at + DESCRIPTOR_LEN)!;
    const count = bytes / DESCRIPTOR_BYTES;
    if (count === 0 || !Number.isInteger(count)) return this.#fail(`an indirect table of ${bytes} bytes`);
    if (!memory.isRam(table, bytes)) return this.#fail('an indirect table that is not in RAM');
    let index = 0;
    for (let read = 0; read < count; read++) {
      const entry = table + DESCRIPTOR_BYTES * index;
      const entryFlags = memory.readU16(entry + DESCRIPTOR_FLAGS)!;
      if ((entryFlags & VIRTQ_DESC_F_INDIRECT) !== 0) return this.#fail('an indirect descriptor in a table');
      // 2.7.5.3.1 bounds the chain by the queue size of the device, which may be more than the driver uses.
      if (chain.descriptors === this.#maxSize)
        return this.#fail('an indirect chain is longer than the queue');
      if (!this.#append(chain, entry, entryFlags)) return false;
      if ((entryFlags & VIRTQ_DESC_F_NEXT) === 0) return true;
      index = memory.readU16(entry + DESCRIPTOR_NEXT)!;
      if (index >= count) return this.#fail(`next descriptor ${index} is not in the indirect table`);
    }
    return this.#fail('an indirect chain goes in circles');
  }

  #append(chain: ChainBuilder, at: number, flags: number): boolean {
    const memory = this.#memory;
    const gpa = memory.readU64(at + DESCRIPTOR_ADDR)!;
    const bytes = memory.readU32(at + DESCRIPTOR_LEN)!;
    chain.descriptors++;
    if (!memory.isRam(gpa, bytes)) return this.#fail('a buffer that is not in RAM');
    if (chain.readableBytes + chain.writableBytes + bytes > MAX_CHAIN_BYTES)
      return this.#fail('a chain of more than 4 GiB');
    if ((flags & VIRTQ_DESC_F_WRITE) !== 0) {
      if (bytes > 0) chain.writable.push({ gpa, bytes });
      chain.writableBytes += bytes;
      return true;
    }
    // 2.7.4.2: device-readable buffers come first.
    if (chain.writable.length > 0) return this.#fail('a device-readable buffer behind a device-writable one');
    if (bytes > 0) chain.readable.push({ gpa, bytes });
    chain.readableBytes += bytes;
    return true;
  }

  /** True if something is available that has not been popped. */
  get hasAvailable(): boolean {
    return this.#broken === undefined && (this.#nextAvail !== this.#availIdx || this.#readAvailIdx());
  }

  // --- kicks

  /** Asks the driver not to kick: the device looks by itself for a while. Only a hint (2.7.10). */
  disableNotifications(): void {
    // With EVENT_IDX there is nothing to write: avail_event stays behind, so no new entry crosses it (2.7.10.1).
    // On a host that may reorder stores each kick is needed for what it carries.
    if (this.#exchange !== undefined || this.#eventIdx || this.#broken !== undefined) return;
    this.#memory.storeU16(this.#used + USED_FLAGS, VIRTQ_USED_F_NO_NOTIFY);
  }

  /** Asks for a kick at the next buffer. True: one came in before that, so go on popping. */
  enableNotifications(): boolean {
    if (this.#broken !== undefined) return false;
    // Sequentially consistent with the look at avail.idx below: the driver writes avail.idx, then looks here. So either
    // it sees our wish and kicks, or we see its buffer.
    if (this.#eventIdx) this.#memory.storeU16(this.#availEvent, this.#nextAvail);
    else this.#memory.storeU16(this.#used + USED_FLAGS, 0);
    return this.hasAvailable;
  }

  // --- used ring

  /** Fills the next used element; the driver sees it after `publish`. `written`: bytes from the first writable one on. */
  push(chain: DescriptorChain, written: number): void {
    this.#release(chain);
    if (this.#broken !== undefined) return;
    const at = this.#used + USED_RING + USED_ELEMENT_BYTES * (this.#nextUsed & (this.size - 1));
    this.#memory.writeU32(at, chain.head);
    this.#memory.writeU32(at + 4, Math.min(written, chain.writableBytes));
    this.#nextUsed = (this.#nextUsed + 1) & 0xffff;
  }

  #release(chain: DescriptorChain): void {
    if (this.#inFlight[chain.head] !== 1) throw new Error(`descriptor ${chain.head} is not the device's`);
    this.#inFlight[chain.head] = 0;
    this.#inFlightCount--;
  }

  /** Makes all pushed elements visible at once; whether the driver wants an interrupt is asked by the next `publish`. */
  expose(): void {
    if (this.#broken !== undefined || this.#nextUsed === this.#publishedUsed) return;
    this.#publishedUsed = this.#nextUsed;
    if (this.#exchange !== undefined) return this.#exchange.postUsed(this.#nextUsed);
    // Release: buffers and used elements are visible before the index (2.7.8.2). Sequentially consistent with the look
    // at the driver's wish in `publish`: it writes its wish, then looks at used.idx.
    this.#memory.storeU16(this.#used + USED_IDX, this.#nextUsed);
  }

  /** Makes all pushed elements visible at once. True: the driver wants an interrupt (2.7.7). */
  publish(): boolean {
    this.expose();
    if (this.#broken !== undefined || this.#publishedUsed === this.#askedUsed) return false;
    this.#askedUsed = this.#publishedUsed;
    if (this.#exchange !== undefined) {
      this.#exchange.deliver();
      return false;
    }
    const wanted = this.#wantsInterrupt();
    if (wanted) this.counters.interrupts++;
    else this.counters.suppressedInterrupts++;
    return wanted;
  }

  #wantsInterrupt(): boolean {
    const memory = this.#memory;
    if (!this.#eventIdx)
      return (memory.loadU16(this.#avail + AVAIL_FLAGS)! & VIRTQ_AVAIL_F_NO_INTERRUPT) === 0;
    const event = memory.loadU16(this.#usedEvent)!;
    const before = this.#signalledUsed;
    this.#signalledUsed = this.#publishedUsed;
    return before === undefined || crosses(event, before, this.#publishedUsed);
  }

  // --- mistakes of the driver

  #fail(reason: string): false {
    this.#break(reason);
    return false;
  }

  #break(reason: string): undefined {
    if (this.#broken !== undefined) return undefined;
    this.#broken = reason;
    this.#onBroken(reason);
    return undefined;
  }
}

/** 2.7.7.2, 2.7.10: an index that went from `before` to `now` has passed `event`. */
export function crosses(event: number, before: number, now: number): boolean {
  return ((now - event - 1) & 0xffff) < ((now - before) & 0xffff);
}
