/**
 * The one shared memory (memory32, shared): core state first, guest RAM behind it at a fixed base.
 * Addresses here are byte offsets into that memory ("host addresses"); a guest-physical address `gpa`
 * inside RAM is at `RAM_BASE + gpa`. Host address 0 is never valid, so 0 can mean "fault".
 */

export const PAGE_SIZE = 4096;
export const MAX_VCPUS = 8;

/** Machine-wide words: `MACHINE` in machine.ts. */
export const MACHINE_BASE = 0x1000;
/** One `THREAD` block (machine.ts) per thread, by thread number. */
export const THREADS_BASE = 0x2000;
/** What one thread asks of another: calls.ts. 4 KiB. */
export const CALLS_BASE = 0x3000;
/** Interrupt controllers: irqchip.ts. 16 KiB. */
export const IRQCHIP_BASE = 0x4000;
/** Console and log rings: machine.ts. */
export const RINGS_BASE = 0x10000;
/** ioeventfd table and doorbells. 64 KiB. */
export const IOEVENTFD_BASE = 0x60000;
/** Event counters that belong to no vCPU. 64 KiB. */
export const COUNTERS_BASE = 0x70000;
/** Device state that several threads touch. 256 KiB. */
export const DEVICES_BASE = 0x80000;

/** Per-vCPU area: `VCPU` at its start, then the tables below at fixed offsets. */
export const VCPU_BASE = 0x100000;
export const VCPU_STRIDE = 0x180000;

/** Offsets inside a vCPU's area. */
export const TLB_OFFSET = 0x10000;
export const TLB_ENTRIES = 4096;
export const TLB_CONTEXTS = 3;
/** Bytes of one context's TLB. */
export const TLB_BYTES = TLB_ENTRIES * 32;
/** Per context, for its local and then for its global entries: u16 indices of those filled since they were last flushed. */
export const TLB_FILLED_OFFSET = 0x70000;
export const TLB_FILLED_LISTS = TLB_CONTEXTS * 2;
export const TLB_FILLED_BYTES = TLB_ENTRIES * 2;
/** Hash heads (u32 host addresses of `BLOCK`, 0 = empty), by `blockHash(physical address)`. */
export const BLOCK_HASH_OFFSET = 0x80000;
export const BLOCK_HASH_ENTRIES = 65536;
/** Hash heads by physical page number & (entries - 1), chained through `BLOCK.pageNext`. */
export const PAGE_HASH_OFFSET = 0xc0000;
export const PAGE_HASH_ENTRIES = 8192;
/** Room for one uncached block: single step, instructions that cross a page. 4 KiB. */
export const SCRATCH_BLOCK_OFFSET = 0xc8000;
/**
 * `LINK` entries: where calls whose return address lies at a place of the stack go on (`emitReturnLink`), and what addresses
 * lead to (`emitJumpLink`).
 */
export const RETURN_LINKS_OFFSET = 0xc9000;
export const RETURN_LINKS = 1024;
export const JUMP_LINKS_OFFSET = 0xd0000;
export const JUMP_LINKS = 4096;
/**
 * A TLB without entries, 128 KiB: while accesses have to be aligned (CR0.AM, EFLAGS.AC, CPL 3), `VCPU.tlb` points here, and
 * every access takes the slow path, which checks it.
 */
export const TLB_NONE_OFFSET = 0xe0000;
/** `REGION_CACHE` entries by `blockHash(physical address) & (entries - 1)`: the way from region to region. */
export const REGION_CACHE_OFFSET = 0x100000;
export const REGION_CACHE_ENTRIES = 16384;
/**
 * A byte per physical page number & (entries - 1): at most so many entries of the TLB have a write tag for such a page; 255: any
 * number. Up to 1 GiB of RAM each page has its own.
 */
export const WRITE_TAGS_OFFSET = 0x140000;
export const WRITE_TAGS_ENTRIES = 0x40000;

/** One u64 per physical page: bit n says that bytes [64 n, 64 n + 63] were decoded as code. */
export const CODE_BITMAP_BASE = 0x1000000;
/** One bit per physical page: written since the bit was cleared. */
export const DIRTY_BITMAP_BASE = 0x1800000;
/** `-jit verify`: what the two runs of a region wrote over, a part for each vCPU (wasm/journal.ts). */
export const JOURNAL_BASE = 0x1880000;
export const JOURNAL_BYTES = 0xe0000;

/** Decoded blocks, divided among the vCPUs. */
export const ARENA_BASE = 0x2000000;
export const ARENA_BYTES = 0x2000000;

export const RAM_BASE = 0x4000000;
/** RAM ends below the PCI hole, as on QEMU's i440fx with up to 3 GiB. */
export const MAX_RAM_BYTES = 0xc0000000 - RAM_BASE;
export const VGA_HOLE_START = 0xa0000;
export const VGA_HOLE_END = 0xc0000;

export function vcpuAddress(index: number): number {
  return VCPU_BASE + index * VCPU_STRIDE;
}
