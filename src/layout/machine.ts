/** Words that all threads of one machine share. */
import { struct } from './struct.ts';
import { RINGS_BASE, THREADS_BASE } from './map.ts';

export const MACHINE = struct({
  magic: 'u32',
  ramBytes: 'u32',
  vcpuCount: 'u32',
  /** The latest guest time that any thread has seen, in ns since power-on (see time/). */
  clockLatest: 'u64',
  /** The guest's time passes so many times slower than the host's (0: as fast); settled before any thread starts. */
  clockDivisor: 'u32',
});
export const MACHINE_MAGIC = 0x56544142;

/** One thread's words; each on a cache line of its own. */
export const THREAD = struct({
  /** Bumped by whoever wants the thread to look; the only word that it ever waits on. */
  wake: 'i32',
  /** 1 while the thread waits (or is about to): only then is a notify needed. */
  sleeping: 'i32',
  /** Why: CAUSE_* bits, OR-ed in before `wake` is bumped. */
  causes: 'i32',
  /** STOP_*: what the page asks of the thread. */
  stop: 'i32',
  /** The value of `stop` that the thread has obeyed. */
  stopped: 'i32',
  pad: ['i32', 11],
});

export const MAX_THREADS = 32;
/** Threads by number: vCPUs first. */
export const THREAD_VCPU0 = 0;
export const THREAD_IO0 = 8;
/** The page: woken with CAUSE_DOORBELL when a ring that it drains has bytes. */
export const THREAD_PAGE = 31;

export function threadAddress(index: number): number {
  return THREADS_BASE + index * THREAD.size;
}

export const CAUSE_MAIL = 1;
export const CAUSE_INTERRUPT = 2;
export const CAUSE_STOP = 4;
export const CAUSE_REPLY = 8;
export const CAUSE_DOORBELL = 16;
export const CAUSE_EXIT = 32;
export const CAUSE_COMPLETION = 64;

export const STOP_RUN = 0;
export const STOP_PAUSE = 1;
export const STOP_QUIT = 2;

/** A single-producer, single-consumer byte ring; its bytes follow the header. */
export const RING = struct({
  /** Bytes ever written and ever read, mod 2^32. */
  head: 'u32',
  tail: 'u32',
  capacity: 'u32',
  /** Bytes that found no room. */
  dropped: 'u32',
});

/** Guest to page, by serial port (COM1 is 0). */
export const SERIAL_OUT_BASE = RINGS_BASE;
export const SERIAL_OUT_BYTES = 0x10000;
/** Page to guest. */
export const SERIAL_IN_BASE = RINGS_BASE + 0x20000;
export const SERIAL_IN_BYTES = 0x4000;

/** The virtio console, guest to page and back. */
export const CONSOLE_OUT_BASE = RINGS_BASE + 0x28000;
export const CONSOLE_OUT_BYTES = 0x10000;
export const CONSOLE_IN_BASE = RINGS_BASE + 0x40000;
export const CONSOLE_IN_BYTES = 0x4000;
