/**
 * Guest writes that are kicks (docs/ioeventfd.md): found in the table and carried out here, so that the vCPU neither calls JavaScript
 * nor waits. The same protocol as `IoeventfdTable.claim` and `ringDoorbell` in TypeScript, whose tests run its interleavings; all
 * accesses are atomic, as other threads change the table meanwhile.
 */
import {
  CAUSE_DOORBELL,
  DOORBELL_availAddress,
  DOORBELL_availIdx,
  DOORBELL_kicks,
  DOORBELL_notifies,
  DOORBELL_patient,
  DOORBELL_SIZE,
  DOORBELL_thread,
  DOORBELLS_ADDRESS,
  IOEVENTFD_BUCKETS,
  IOEVENTFD_SLOT_address,
  IOEVENTFD_SLOT_bytes,
  IOEVENTFD_SLOT_doorbell,
  IOEVENTFD_SLOT_matches,
  IOEVENTFD_SLOT_next,
  IOEVENTFD_SLOT_SIZE,
  IOEVENTFD_SLOT_space,
  IOEVENTFD_SLOT_value,
  IOEVENTFD_SLOTS_ADDRESS,
  IOEVENTFD_TABLE_ADDRESS,
  IOEVENTFD_TABLE_generation,
  IOEVENTFD_TABLE_heads,
  MAX_IOEVENTFD_SLOTS,
  THREAD_causes,
  THREAD_SIZE,
  THREAD_sleeping,
  THREAD_wake,
  THREADS_BASE,
  VCPU_owedKick,
} from './generated/layout';

// @ts-ignore: decorator
@inline function slotAddress(slot: u32): usize {
  return IOEVENTFD_SLOTS_ADDRESS + slot * IOEVENTFD_SLOT_SIZE;
}

// @ts-ignore: decorator
@inline function matches(slot: usize, space: u32, address: u32, bytes: u32, value: u32): bool {
  if (atomic.load<u32>(slot, IOEVENTFD_SLOT_address) != address) return false;
  if (atomic.load<u32>(slot, IOEVENTFD_SLOT_space) != space) return false;
  const width = atomic.load<u32>(slot, IOEVENTFD_SLOT_bytes);
  if (width != 0 && width != bytes) return false;
  return (
    atomic.load<u32>(slot, IOEVENTFD_SLOT_matches) == 0 ||
    atomic.load<u32>(slot, IOEVENTFD_SLOT_value) == value
  );
}

// @ts-ignore: decorator
@inline function bellAddress(doorbell: u32): usize {
  return DOORBELLS_ADDRESS + doorbell * DOORBELL_SIZE;
}

/** True if the run loop will wake the thread that listens to `bell`: soon, and at the latest before the vCPU halts. */
function canWait(cpu: usize, doorbell: u32, bell: usize): bool {
  if (atomic.load<u32>(bell, DOORBELL_patient) == 0) return false;
  const owed = load<u32>(cpu, VCPU_owedKick);
  if (owed == 0) {
    store<u32>(cpu, doorbell + 1, VCPU_owedKick);
    return true;
  }
  return load<u32>(bellAddress(owed - 1), DOORBELL_thread) == load<u32>(bell, DOORBELL_thread);
}

function ring(cpu: usize, doorbell: u32): void {
  const bell = bellAddress(doorbell);
  // On hosts that may reorder stores: this thread reads what it wrote itself, and the store below releases what came before.
  const avail = load<u32>(bell, DOORBELL_availAddress);
  if (avail != 0) atomic.store<u32>(bell, load<u16>(avail), DOORBELL_availIdx);
  // Before the look at `sleeping`: the listener announces its sleep and looks at the count after that.
  atomic.add<u32>(bell, 1, DOORBELL_kicks);
  const thread: usize = THREADS_BASE + load<u32>(bell, DOORBELL_thread) * THREAD_SIZE;
  if (atomic.load<u32>(thread, THREAD_sleeping) == 0) return;
  if (canWait(cpu, doorbell, bell)) return;
  // Only one of several kickers finds it set and pays for the notify.
  if (atomic.xchg<u32>(thread, 0, THREAD_sleeping) == 0) return;
  // The cause before the word that is waited on, and that only after the claim (sync/wake.ts).
  atomic.or<u32>(thread, CAUSE_DOORBELL, THREAD_causes);
  atomic.add<u32>(thread, 1, THREAD_wake);
  atomic.notify(thread + THREAD_wake, 1);
  atomic.add<u32>(bell, 1, DOORBELL_notifies);
}

/** True if the write was a kick, and is over. False: whoever has the address handles it. */
export function ringsDoorbell(cpu: usize, space: u32, address: u32, bytes: u32, value: u64): bool {
  // Before the slots: a change that this look misses bumps it afterwards.
  const before = atomic.load<u32>(IOEVENTFD_TABLE_ADDRESS, IOEVENTFD_TABLE_generation);
  const bucket = (address >>> 2) & (IOEVENTFD_BUCKETS - 1);
  let link = atomic.load<u32>(IOEVENTFD_TABLE_ADDRESS + bucket * 4, IOEVENTFD_TABLE_heads);
  // A chain that changes meanwhile may mislead us, but not for longer than there are slots.
  for (let steps = 0; link != 0 && steps < MAX_IOEVENTFD_SLOTS; steps++) {
    const slot = slotAddress(link - 1);
    if (matches(slot, space, address, bytes, <u32>value)) {
      const doorbell = atomic.load<u32>(slot, IOEVENTFD_SLOT_doorbell);
      if (doorbell == 0) return false;
      ring(cpu, doorbell - 1);
      // After the kick: who takes a doorbell away bumps the number first and then serves its last kicks. So either ours is
      // among them, or we see the new number and the write goes the slow way too.
      return atomic.load<u32>(IOEVENTFD_TABLE_ADDRESS, IOEVENTFD_TABLE_generation) == before;
    }
    link = atomic.load<u32>(slot, IOEVENTFD_SLOT_next);
  }
  return false;
}

/** `ringsDoorbell` for a write that was held back (`-jit verify`). */
export function kick(cpu: usize, space: u32, address: u32, bytes: u32, value: u64): i32 {
  return ringsDoorbell(cpu, space, address, bytes, value) ? 1 : 0;
}
