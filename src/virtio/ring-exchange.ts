/**
 * What stands between the I/O thread and the vCPU's on hosts that may reorder plain stores and loads (docs/ioeventfd.md): neither reads an
 * index of the ring that the other one's plain stores have moved.
 *
 * - `avail.idx` comes with the kick, read by the thread that wrote it; so the driver is never told not to kick.
 * - `used.idx` is stored, and the interrupt decided, by the vCPU's thread. Machines on such hosts have one vCPU.
 */
import type { Views } from '../base/views.ts';
import { DOORBELL, doorbellAddress, doorbellOf } from '../layout/ioeventfd.ts';
import { CAUSE_MAIL, THREAD_VCPU0 } from '../layout/machine.ts';
import { RAM_BASE, vcpuAddress } from '../layout/map.ts';
import { ATTENTION_MAIL, VCPU } from '../layout/vcpu.ts';
import { USED_POSTED, VIRTIO_QUEUE, virtioQueueAddress } from '../layout/virtio.ts';
import type { GuestMemory } from '../memory/guest-memory.ts';
import { noteAvailIdx } from '../sync/doorbell.ts';
import { wakeThread } from '../sync/wake.ts';
import type { VirtioInterrupts } from './interrupts.ts';
import { AVAIL_FLAGS, AVAIL_IDX, USED_IDX, VIRTQ_AVAIL_F_NO_INTERRUPT } from './ring-layout.ts';
import type { RingAddresses } from './ring-layout.ts';
import type { VirtioState } from './state.ts';

/** The I/O thread's end, for one queue. */
export class RingExchange {
  readonly #views: Views;
  readonly #doorbell: number;
  readonly #bell: number;
  readonly #posted: number;

  constructor(views: Views, slot: number, queue: number) {
    this.#views = views;
    this.#doorbell = doorbellOf(slot, queue);
    this.#bell = doorbellAddress(this.#doorbell) >>> 2;
    this.#posted = usedPostedIndex(slot, queue);
  }

  /** While the vCPU waits for this thread: what it has made available counts as kicked. */
  open(ring: RingAddresses): void {
    // Atomic for the vCPU's thread, which reads it at each kick.
    Atomics.store(
      this.#views.u32,
      this.#bell + (DOORBELL.at.availAddress >>> 2),
      RAM_BASE + ring.avail + AVAIL_IDX,
    );
    noteAvailIdx(this.#views, this.#doorbell);
  }

  close(): void {
    Atomics.store(this.#views.u32, this.#bell + (DOORBELL.at.availAddress >>> 2), 0);
    Atomics.store(this.#views.i32, this.#posted, 0);
  }

  /** As of the last kick. */
  get availIdx(): number {
    // Acquire: see noteAvailIdx.
    return Atomics.load(this.#views.i32, this.#bell + (DOORBELL.at.availIdx >>> 2)) & 0xffff;
  }

  postUsed(idx: number): void {
    // Release: the elements, and what they speak of, are in memory.
    Atomics.store(this.#views.i32, this.#posted, USED_POSTED | idx);
  }

  /** Has the vCPU's thread look at what was posted, also out of HLT. */
  deliver(): void {
    Atomics.or(this.#views.i32, (vcpuAddress(0) + VCPU.at.attention) >>> 2, ATTENTION_MAIL);
    wakeThread(this.#views, THREAD_VCPU0, CAUSE_MAIL);
  }
}

/** On the vCPU's thread, for ATTENTION_MAIL: publishes what was posted of a device's queues. */
export function publishUsed(
  views: Views,
  memory: GuestMemory,
  state: VirtioState,
  queues: number,
  interrupts: VirtioInterrupts,
): void {
  for (let queue = 0; queue < queues; queue++) {
    // Acquire: the elements are read by this thread's guest after this.
    const posted = Atomics.exchange(views.i32, usedPostedIndex(state.slot, queue), 0);
    if (posted === 0 || state.getQueue(queue, 'enabled') === 0) continue;
    const { avail, used } = state.ringOf(queue);
    memory.writeU16(used + USED_IDX, posted & 0xffff);
    // This thread's own guest writes the flags.
    const flags = memory.readU16(avail + AVAIL_FLAGS) ?? 0;
    if ((flags & VIRTQ_AVAIL_F_NO_INTERRUPT) === 0) interrupts.queue(queue);
  }
}

function usedPostedIndex(slot: number, queue: number): number {
  return (virtioQueueAddress(slot, queue) + VIRTIO_QUEUE.at.usedPosted) >>> 2;
}
