/**
 * The table of guest writes that ring doorbells (layout/ioeventfd.ts), in shared memory: a flip is one
 * change here, and never one of translated code. The protocol between those who change it and vCPUs that read it
 * without a lock is in docs/ioeventfd.md.
 */
import type { Views } from '../base/views.ts';
import type { WriteMatch, WriteSpace } from '../devices/io-bus.ts';
import {
  IOEVENTFD_SLOT,
  IOEVENTFD_SPACE_MEMORY,
  IOEVENTFD_SPACE_PORT,
  IOEVENTFD_TABLE,
  IOEVENTFD_TABLE_ADDRESS,
  ioeventfdBucket,
  ioeventfdSlotAddress,
  MAX_IOEVENTFD_SLOTS,
} from '../layout/ioeventfd.ts';
import { ringDoorbell } from '../sync/doorbell.ts';
import { SharedLock } from '../sync/lock.ts';

/** A guest write: where, how wide (0: any), and of what value if that matters. */
export interface DoorbellMatch {
  readonly space: WriteSpace;
  readonly address: number;
  readonly bytes: number;
  readonly value?: number;
}

/** While a BAR does not decode: an address that nothing is written to. */
export const NOWHERE: DoorbellMatch = { space: 'port', address: 0xffffffff, bytes: 4 };

/** Whose the last free slots are. */
export type SlotPriority = 'device' | 'vhost';

type TableField = 'slots' | 'used' | 'reserved' | 'refused';
type SlotField = keyof typeof IOEVENTFD_SLOT.at;

const GENERATION = (IOEVENTFD_TABLE_ADDRESS + IOEVENTFD_TABLE.at.generation) >>> 2;

/**
 * Every thread makes its own over the same memory. All accesses are atomic, as vCPUs read while another thread writes; the
 * sentences at some of them say what the order is for.
 */
export class IoeventfdTable implements WriteMatch {
  readonly #views: Views;
  readonly #words: Uint32Array;
  readonly #lock: SharedLock;

  constructor(views: Views) {
    this.#views = views;
    this.#words = views.u32;
    this.#lock = new SharedLock(views, IOEVENTFD_TABLE_ADDRESS + IOEVENTFD_TABLE.at.lock);
  }

  /** Empty, with so many slots. Before the machine runs. `reserved` ones are kept for vhost. */
  create(slots = MAX_IOEVENTFD_SLOTS, reserved = 0): void {
    this.#words.fill(0, IOEVENTFD_TABLE_ADDRESS >>> 2, ioeventfdSlotAddress(MAX_IOEVENTFD_SLOTS) >>> 2);
    this.#setField('slots', Math.min(slots, MAX_IOEVENTFD_SLOTS));
    this.#setField('reserved', reserved);
  }

  get slots(): { readonly total: number; readonly used: number; readonly refused: number } {
    return { total: this.#field('slots'), used: this.#field('used'), refused: this.#field('refused') };
  }

  // --- for vCPUs, without the lock

  /** Rings the doorbell that this write stands for. False: there is none, so whoever has the address handles the write. */
  claim(space: WriteSpace, address: number, value: number, bytes: number): boolean {
    const words = this.#words;
    // Before the slots are read: a change that this look misses bumps the number after it, see below.
    const before = Atomics.load(words, GENERATION);
    const code = spaceCode(space);
    let link = Atomics.load(words, headIndex(address));
    // A chain that changes meanwhile may mislead us, but not for longer than there are slots.
    for (let steps = 0; link !== 0 && steps < MAX_IOEVENTFD_SLOTS; steps++) {
      const slot = link - 1;
      if (this.#matches(slot, code, address, value, bytes)) {
        const doorbell = this.#slot(slot, 'doorbell');
        if (doorbell === 0) return false;
        ringDoorbell(this.#views, doorbell - 1);
        // After the kick: who takes a doorbell away bumps the number first and then serves its last kicks. So either
        // ours is among them, or we see the new number here and the write goes the slow way too.
        return Atomics.load(words, GENERATION) === before;
      }
      link = this.#slot(slot, 'next');
    }
    return false;
  }

  #matches(slot: number, space: number, address: number, value: number, bytes: number): boolean {
    if (this.#slot(slot, 'address') !== address || this.#slot(slot, 'space') !== space) return false;
    const width = this.#slot(slot, 'bytes');
    if (width !== 0 && width !== bytes) return false;
    return this.#slot(slot, 'matches') === 0 || this.#slot(slot, 'value') === value;
  }

  // --- for those who change it

  /** Gives `doorbell` a slot, or moves the one that it has. False: there is none left. */
  assign(doorbell: number, match: DoorbellMatch, priority: SlotPriority = 'device'): boolean {
    return this.#change(() => {
      const present = this.#find(doorbell);
      const slot = present ?? this.#allocate(priority);
      if (slot === undefined) {
        this.#setField('refused', this.#field('refused') + 1);
        return false;
      }
      if (present !== undefined) this.#unlink(present);
      this.#fill(slot, doorbell, match);
      return true;
    });
  }

  /** The addresses have changed (a BAR moved). Does nothing if the doorbell has no slot. */
  move(doorbell: number, match: DoorbellMatch): void {
    this.#change(() => {
      const slot = this.#find(doorbell);
      if (slot === undefined) return;
      this.#unlink(slot);
      this.#fill(slot, doorbell, match);
    });
  }

  /** Kicks go the slow way from now on. The caller then serves what rang before. */
  withdraw(doorbell: number): void {
    this.#change(() => {
      const slot = this.#find(doorbell);
      if (slot === undefined) return;
      this.#unlink(slot);
      this.#setSlot(slot, 'doorbell', 0);
      this.#setField('used', this.#field('used') - 1);
    });
  }

  has(doorbell: number): boolean {
    return this.#find(doorbell) !== undefined;
  }

  /** True if `assign` would succeed. */
  hasRoom(priority: SlotPriority = 'device'): boolean {
    const kept = priority === 'vhost' ? 0 : this.#field('reserved');
    return this.#field('used') + kept < this.#field('slots');
  }

  #change<T>(action: () => T): T {
    this.#lock.acquire();
    try {
      return action();
    } finally {
      // After the change, see `claim`.
      Atomics.add(this.#words, GENERATION, 1);
      this.#lock.release();
    }
  }

  #fill(slot: number, doorbell: number, match: DoorbellMatch): void {
    const head = headIndex(match.address);
    this.#setSlot(slot, 'space', spaceCode(match.space));
    this.#setSlot(slot, 'address', match.address);
    this.#setSlot(slot, 'bytes', match.bytes);
    this.#setSlot(slot, 'matches', match.value === undefined ? 0 : 1);
    this.#setSlot(slot, 'value', match.value ?? 0);
    this.#setSlot(slot, 'next', Atomics.load(this.#words, head));
    this.#setSlot(slot, 'doorbell', doorbell + 1);
    // Last: the slot is complete when a vCPU can find it.
    Atomics.store(this.#words, head, slot + 1);
  }

  #allocate(priority: SlotPriority): number | undefined {
    if (!this.hasRoom(priority)) return undefined;
    const free = this.#find(-1);
    if (free !== undefined) this.#setField('used', this.#field('used') + 1);
    return free;
  }

  /** The slot of a doorbell; of -1: a free one. */
  #find(doorbell: number): number | undefined {
    const total = this.#field('slots');
    for (let slot = 0; slot < total; slot++) {
      if (this.#slot(slot, 'doorbell') === doorbell + 1) return slot;
    }
    return undefined;
  }

  #unlink(slot: number): void {
    const words = this.#words;
    let link = headIndex(this.#slot(slot, 'address'));
    for (let at = Atomics.load(words, link); at !== 0 && at !== slot + 1; at = Atomics.load(words, link))
      link = slotIndex(at - 1, 'next');
    Atomics.store(words, link, this.#slot(slot, 'next'));
  }

  #field(field: TableField): number {
    return Atomics.load(this.#words, (IOEVENTFD_TABLE_ADDRESS + IOEVENTFD_TABLE.at[field]) >>> 2);
  }

  #setField(field: TableField, value: number): void {
    Atomics.store(this.#words, (IOEVENTFD_TABLE_ADDRESS + IOEVENTFD_TABLE.at[field]) >>> 2, value);
  }

  #slot(slot: number, field: SlotField): number {
    return Atomics.load(this.#words, slotIndex(slot, field));
  }

  #setSlot(slot: number, field: SlotField, value: number): void {
    Atomics.store(this.#words, slotIndex(slot, field), value);
  }
}

function headIndex(address: number): number {
  return ((IOEVENTFD_TABLE_ADDRESS + IOEVENTFD_TABLE.at.heads) >>> 2) + ioeventfdBucket(address);
}

function slotIndex(slot: number, field: SlotField): number {
  return (ioeventfdSlotAddress(slot) + IOEVENTFD_SLOT.at[field]) >>> 2;
}

function spaceCode(space: WriteSpace): number {
  return space === 'memory' ? IOEVENTFD_SPACE_MEMORY : IOEVENTFD_SPACE_PORT;
}
