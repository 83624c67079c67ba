/** What the core keeps per vCPU. `cpu` in the code is the host address of this block. */
import { struct } from './struct.ts';

/** Index of a register slot in `VCPU.regs`; slots 0-15 are the general registers in encoding order. */
export const REG_RAX = 0;
export const REG_RCX = 1;
export const REG_RDX = 2;
export const REG_RBX = 3;
export const REG_RSP = 4;
export const REG_RBP = 5;
export const REG_RSI = 6;
export const REG_RDI = 7;
/** Always 0: what a missing base or index register reads. */
export const REG_ZERO = 16;
/**
 * (E/R)IP of the start of the running code's page: rip = pageRip + offset of the instruction in its
 * page. It is the base register of RIP-relative operands, which makes decoded blocks position-independent.
 */
export const REG_PAGE_RIP = 17;

/** Index of a segment register, in encoding order, then the two system segments. */
export const SEG_ES = 0;
export const SEG_CS = 1;
export const SEG_SS = 2;
export const SEG_DS = 3;
export const SEG_FS = 4;
export const SEG_GS = 5;
export const SEG_LDTR = 6;
export const SEG_TR = 7;

/** What `segmentLinear` is asked for. */
export const SEGMENT_READ = 0;
export const SEGMENT_WRITE = 1;
/** Added: #GP(0) unless the linear address is a multiple of 16, which comes before limit and type. */
export const SEGMENT_ALIGNED = 2;

/**
 * How `flagResult`, `flagA` and `flagB` give CF, OF and AF. All three are kept sign-extended from the
 * operand size to 64 bits, which keeps both orders (signed and unsigned), so no kind needs a size.
 * ZF, SF and PF come from `flagResult` for all kinds but FLAGS_EXPLICIT.
 */
/** All six flags are in `flagA`, at their EFLAGS positions. */
export const FLAGS_EXPLICIT = 0;
/** r = a + b: CF = r <u a, OF = (a ^ r) & (b ^ r) < 0, AF = (a ^ b ^ r) & 10h. */
export const FLAGS_ADD = 1;
/** r = a + b + 1: CF = r <=u a, OF and AF as ADD. */
export const FLAGS_ADC = 2;
/** r = a - b: CF = a <u b, OF = (a ^ b) & (a ^ r) < 0, AF = (a ^ b ^ r) & 10h. */
export const FLAGS_SUB = 3;
/** r = a - b - 1: CF = a <=u b, OF and AF as SUB. */
export const FLAGS_SBB = 4;
/** CF = OF = AF = 0. */
export const FLAGS_LOGIC = 5;
/** r = a + 1: CF = b (0 or 1), OF = (~a & r) < 0, AF = (a ^ 1 ^ r) & 10h. */
export const FLAGS_INC = 6;
/** r = a - 1: CF = b (0 or 1), OF = (a & ~r) < 0, AF = (a ^ 1 ^ r) & 10h. */
export const FLAGS_DEC = 7;
/** CF, OF and AF are in `flagA` at their EFLAGS positions. */
export const FLAGS_RESULT = 8;

/** How many calls the interpreter remembers to guess where they return; a power of two. */
export const RETURNS = 32;

export const VCPU = struct({
  // What translated code asks for most comes first: its machine code is 3 bytes shorter for each access below 128.
  /** FLAGS_*. */
  flagKind: 'u32',
  /** Host address of the TLB of the current context (user; kernel; kernel with EFLAGS.AC under SMAP). */
  tlb: 'u32',
  flagResult: 'u64',
  flagA: 'u64',
  flagB: 'u64',
  /** Instructions left before the interpreter returns; `budgetStart - budget` modulo BUDGET_USED_UP have run since entry. */
  budget: 'i32',
  /** ATTENTION_* bits, set atomically by any thread, tested by the run loop and by STI-like instructions. */
  attention: 'u32',
  /** General registers, REG_ZERO, REG_PAGE_RIP; the rest is unused. */
  regs: ['u64', 32],

  /** EFLAGS without the six arithmetic flags (bit 1 set): TF IF DF IOPL NT RF VM AC VIF VIP ID. */
  eflags: 'u32',
  /** (E/R)IP; current only at block boundaries, exits and calls that say so. */
  rip: 'u64',
  budgetStart: 'i32',
  /** SHADOW_*: interrupts are held off for one more instruction, the one at `shadowRip`. */
  shadow: 'u32',
  /** Blocks are decoded for this mode: MODE_* bits. */
  mode: 'u32',
  cpl: 'u32',
  /** 2, 4 or 8: bytes of a stack address (SS.B, or 64-bit mode). */
  stackBytes: 'u32',
  shadowRip: 'u64',
  /** ANDed into stack pointers: FFFFh, FFFFFFFFh or all ones. */
  stackMask: 'u64',
  /** ANDed into (E/R)IP: 32 bits outside 64-bit mode. */
  ripMask: 'u64',
  /** ANDed into linear addresses of code: 32 bits outside 64-bit mode. */
  linearMask: 'u64',
  /** ANDed into effective addresses, by address size code: 0 = 16, 1 = 32, 2 = 64 bits. */
  addressMask: ['u64', 3],

  /** Base added to an effective address, by segment: 0 for ES CS SS DS in 64-bit mode. */
  segEffective: ['u64', 8],
  /** Hidden part of the segment registers, by segment. */
  segBase: ['u64', 8],
  /** In bytes, granularity applied: the last valid offset. */
  segLimit: ['u32', 8],
  /** Descriptor bits 40-55 without the limit: type 0-3, S 4, DPL 5-6, P 7, AVL 12, L 13, D/B 14, G 15. */
  segAttr: ['u32', 8],
  segSelector: ['u32', 8],

  gdtBase: 'u64',
  idtBase: 'u64',
  gdtLimit: 'u32',
  idtLimit: 'u32',

  cr0: 'u64',
  cr2: 'u64',
  cr3: 'u64',
  cr4: 'u64',
  efer: 'u64',
  xcr0: 'u64',
  dr: ['u64', 8],

  star: 'u64',
  lstar: 'u64',
  cstar: 'u64',
  sfmask: 'u64',
  kernelGsBase: 'u64',
  sysenterCs: 'u64',
  sysenterEsp: 'u64',
  sysenterEip: 'u64',
  tscAux: 'u64',
  /** Added to the guest clock's ticks. */
  tscOffset: 'u64',
  /** The TSC at RDTSC's last look at the clock, and what the guest has read last (wasm/time-stamp.ts). */
  tscRead: 'u64',
  tscLast: 'u64',
  /** Ticks per instruction, times 2^16, by which it goes on without a look; 0: it looks each time. */
  tscRate: 'u32',
  /** How often it may still do so, and `budget` at the last look. */
  tscGuesses: 'u32',
  tscBudget: 'u32',
  pat: 'u64',

  /** A fault raised and not yet delivered: 1 + vector, or 0. */
  exception: 'u32',
  exceptionError: 'u32',
  /** Goes to CR2 when a #PF is delivered. */
  exceptionAddress: 'u64',

  /** What the run loop must do next: EXIT_*, with two arguments. */
  exitReason: 'u32',
  exitArg0: 'u32',
  exitArg1: 'u32',
  /** 1 once the guest has executed HLT and nothing has woken it. */
  halted: 'u32',

  /**
   * Accesses that cannot go straight to RAM (page-crossing, MMIO, marked code) go through here:
   * `readSlow`, `writeSlow` and `rmwSlow` return its address, `commitWrite` carries it out.
   */
  scratch: ['u8', 64],
  scratchLinear: 'u64',
  scratchSize: 'u32',
  /** Host address (or gpa for MMIO) of the first and of the second part, and bytes in the first part. */
  scratchFirst: 'u32',
  scratchSecond: 'u32',
  scratchSplit: 'u32',
  scratchKind: 'u32',
  /** 1 from the delivery of an NMI to the next IRET: no other NMI may be delivered meanwhile. */
  nmiBlocked: 'u32',
  /** What the region that is being left by a fault or after a write gives back to its budget (layout/access.ts). */
  refund: 'i32',
  pad0: 'u32',

  /** Enabled breakpoints on instructions, data and ports: bit n is DRn. Kept by `updateBreakpoints`. */
  breakpointsCode: 'u32',
  breakpointsData: 'u32',
  breakpointsIo: 'u32',
  /** Bits of DR6 that the current instruction has earned: a #DB follows it. */
  debugPending: 'u32',
  /** Counts events delivered, software interrupts included: an instruction that caused one is not single-stepped. */
  delivered: 'u32',
  /** 1: the next fetch passes its breakpoint, as RF asked for. */
  debugResume: 'u32',

  /** Next free byte and end of this vCPU's part of the arena of decoded blocks. */
  arenaNext: 'u32',
  arenaEnd: 'u32',
  arenaStart: 'u32',
  /** Length of each fill list of the TLB: no index stands in one twice. */
  tlbFilled: ['u32', 6],
  /** Bytes of guest RAM, copied here because every page walk checks it. */
  ramBytes: 'u32',
  /** A20: all ones, or bit 20 clear. */
  a20Mask: 'u32',

  /** A block is reported hot (EXIT_HOT) when none of these bits is set in its count of entries. Survives a reset. */
  heatMask: 'u32',
  /** FPU_BLOCKED_* bits: instruction groups that would raise #NM or #UD; kept by updateMode. */
  fpuBlocked: 'u32',
  xmm: ['v128', 16],
  mxcsr: 'u32',
  fpuControl: 'u16',
  fpuStatus: 'u16',
  /** One bit per physical register: 1 = not empty. */
  fpuTag: 'u8',
  pad1: ['u8', 3],
  fpuOpcode: 'u16',
  fpuCodeSelector: 'u16',
  fpuDataSelector: 'u16',
  pad2: 'u16',
  fpuCodeOffset: 'u64',
  fpuDataOffset: 'u64',
  /** 8 physical registers of 16 bytes: significand u64, then sign and exponent u16. */
  fpu: ['v128', 8],

  /** Counters, u64 each. */
  countInstructions: 'u64',
  countBlocksDecoded: 'u64',
  countInstructionsDecoded: 'u64',
  countTlbFills: 'u64',
  countExceptions: 'u64',
  countInterrupts: 'u64',
  countInvalidations: 'u64',
  countUndefined: 'u64',
  /** Calls of translated regions. */
  countRegionEntries: 'u64',
  /** Instructions executed in them. */
  countRegionInstructions: 'u64',

  /**
   * Where INVLPG has to look for other pieces of a large page: bit (context * 8 + linear bits 21-23)
   * says that pieces of one were filled there, bit 24 + context that of a 1 GiB one; for the lower and
   * the upper half of the address space, of local and then of global pages. Behind the counters, which outlive a reset.
   */
  tlbLarge: ['u32', 4],
  /** Bits of CR4 and EFER that the CPU model has; they outlive a reset. */
  cr4Allowed: 'u32',
  eferAllowed: 'u32',
  /** The translated code that runs, as BLOCK.region, or 0: for whoever looks from another thread where time goes. */
  region: 'u32',
  /** 1 + the doorbell whose thread this vCPU has yet to wake, 0: none (docs/ioeventfd.md, Patience). */
  owedKick: 'u32',

  /**
   * By segment, outside 64-bit mode: how many bytes from offset 0 on may be read, and written. 0 where only
   * `segmentLinear` can tell: expand-down segments, and those of a type that forbids it.
   */
  segReadable: ['u64', 6],
  segWritable: ['u64', 6],
  /** Bit n: limit or attributes of segment n were set since. */
  segStale: 'u32',

  /** JOURNAL_*: stores to RAM are noted from `journalNext` on, which must not pass `journalEnd`. */
  journal: 'u32',
  journalNext: 'u32',
  journalEnd: 'u32',

  /** Records of the latest calls that were interpreted, a ring whose newest is `returnsTop` bytes behind its start; 0: none. */
  returns: ['u32', RETURNS],
  returnsTop: 'u32',

  /** What a `LINK` has to have in its field `links` to be good: `linksOf` of the current privilege (wasm/links.ts). */
  links: 'u32',
  /** That of user code and of the kernel, and the `mode` for which it holds. */
  linksOf: ['u32', 2],
  linksMode: ['u32', 2],
  /** The last number that was given to either. */
  linksLast: 'u32',
  /** LINKS_*. */
  linksKernel: 'u32',
});

/** Width of a physical address (CPUID 8000_0008h EAX bits 0-7): page-table bits above it are reserved. */
export const PHYSICAL_ADDRESS_BITS = 40;

/** Subtracted from the budget to use it up without miscounting what has run: no stay is as long. */
export const BUDGET_USED_UP = 1 << 30;

/** `VCPU.mode` bits; part of the key of a block. */
export const MODE_CODE16 = 0;
export const MODE_CODE32 = 1;
export const MODE_CODE64 = 2;
export const MODE_CODE_MASK = 3;
/** CS, DS, ES and SS have base 0 and cover 4 GiB (or 64-bit mode): their accesses need no checks. */
export const MODE_FLAT = 4;
/** Real or virtual-8086 mode, where some encodings are no instructions. */
export const MODE_REAL = 8;

/** Breakpoints on code or data are enabled: blocks are single instructions, and nothing is translated. */
export const MODE_DEBUG = 16;
/** The stack pointer is SP, as SS.B is 0 outside 64-bit mode. */
export const MODE_STACK16 = 32;

/** The interpreter repeats what a region did (`-jit verify`): its blocks lead to no translated code. */
export const MODE_REPLAY = 0x80;

/** `VCPU.journal`: stores are not noted. */
export const JOURNAL_OFF = 0;
/** Translated code stores through write tags, and notes that itself; no write reaches a device but through the host. */
export const JOURNAL_OPEN = 1;
/** The same, but no page gets a write tag, so that the core sees every store. */
export const JOURNAL_CLOSED = 2;

/** `VCPU.shadow`: after STI; after a load of SS, which holds debug traps off too. */
export const SHADOW_STI = 1;
export const SHADOW_STACK = 2;

export const FPU_BLOCKED_X87 = 1;
export const FPU_BLOCKED_MMX = 2;
export const FPU_BLOCKED_SSE = 4;

/** `VCPU.attention` bits. */
/** An interrupt may be deliverable (LAPIC or PIC has one). */
export const ATTENTION_INTERRUPT = 1;
export const ATTENTION_NMI = 2;
export const ATTENTION_STOP = 4;
export const ATTENTION_MAIL = 8;
export const ATTENTION_INIT = 16;
/** The compile worker has answered: it is worth a turn of the event loop. */
export const ATTENTION_COMPILED = 32;

/** One entry of the TLB. A tag is the linear address of a page, or TLB_EMPTY. */
export const TLB_ENTRY = struct({
  readTag: 'u64',
  writeTag: 'u64',
  executeTag: 'u64',
  /** host address = low 32 bits of the linear address + addend (mod 2^32). */
  addend: 'u32',
  /** TLB_GLOBAL, TLB_LARGE, TLB_HUGE, TLB_WRITABLE, TLB_LISTED_*. */
  flags: 'u32',
});
/** Equal to no page address, and what memory.fill with FFh writes. */
export const TLB_EMPTY = -1;
/** `TLB_ENTRY.flags`: survives CR3 writes; piece of a 2 or 4 MiB page; of a 1 GiB page. */
export const TLB_GLOBAL = 1;
export const TLB_LARGE = 2;
export const TLB_HUGE = 4;
/** The page tables let this context write (dirty bit included), even if the write tag is empty. */
export const TLB_WRITABLE = 8;
/** The entry stands in its context's fill list of local entries; in that of global ones. */
export const TLB_LISTED_LOCAL = 16;
export const TLB_LISTED_GLOBAL = 32;
export const TLB_CONTEXT_USER = 0;
export const TLB_CONTEXT_KERNEL = 1;
export const TLB_CONTEXT_KERNEL_AC = 2;

/** Header of a decoded block, followed by its records. */
export const BLOCK = struct({
  /** Physical address of its first byte. */
  address: 'u32',
  /** `VCPU.mode` that it was decoded for; BLOCK_DEAD once invalidated. */
  mode: 'u32',
  /** Next block in the same bucket of the block hash and of the page hash (host address or 0). */
  hashNext: 'u32',
  pageNext: 'u32',
  /** Instructions (the end record not counted) and bytes of guest code. */
  count: 'u16',
  bytes: 'u16',
  /** Entries so far. */
  heat: 'u32',
  /** Translated code that covers it, or 0: slot in the table of regions << 8 | number of the entry. */
  region: 'u32',
  pad: 'u32',
});
/** Instructions of a block at most. */
export const MAX_BLOCK_INSTRUCTIONS = 63;
export const BLOCK_DEAD = 0xffffffff;

/** Where translated code for a physical address and mode is, so that a region finds the next one itself. */
export const REGION_CACHE = struct({
  address: 'u32',
  mode: 'u32',
  /** As `BLOCK.region`; 0: the entry is empty. */
  region: 'u32',
  pad: 'u32',
});

/** From an (E/R)IP of flat code to its translation, without a look at TLB and region cache (wasm/links.ts). */
export const LINK = struct({
  rip: 'u64',
  /** `VCPU.links` when it was made. */
  links: 'u32',
  /** As `BLOCK.region`. */
  region: 'u32',
});
/** `VCPU.linksKernel`: the kernel may have executed a page that is not global; one in the lower half of the address space. */
export const LINKS_LOCAL = 1;
export const LINKS_LOW = 2;

/** One decoded instruction. */
export const RECORD = struct({
  /** Which handler executes it. */
  handler: 'u16',
  /** Bits 0-11: offset of the instruction in its page; bits 12-15: its length in bytes (15 at most). */
  place: 'u16',
  /** Byte offsets into `VCPU.regs` (AH = 1), or another register number as the handler needs. */
  reg: 'u8',
  rm: 'u8',
  index: 'u8',
  /** Bits 0-1 scale, 2-3 address size code, 4-6 segment, 7: the segment needs checking. */
  flags: 'u8',
  disp: 'i32',
  imm: 'i32',
});

/**
 * A block of one instruction that goes on in the next page (`address` & 4095 + `bytes` > 4096) has 16 bytes behind its end
 * record: those of the next page, then zeros. They are compared each time before it runs.
 */
export const BLOCK_TAIL_OFFSET = BLOCK.size + 2 * RECORD.size;
export const BLOCK_TAIL_BYTES = 16;

/**
 * In the link of a record (`imm`, the host address of the block that a branch leads to): only a guess, by what it was last time.
 * Links without it are to blocks of the same page that hold for as long as the record.
 */
export const LINK_GUESS = 1;

/** `RECORD.flags`: places of the address size code and of the segment; segment accesses need `segmentLinear`. */
export const RECORD_ADDRESS_SIZE_SHIFT = 2;
export const RECORD_SEGMENT_SHIFT = 4;
export const RECORD_CHECKED = 0x80;

/** Handler 0: the block was invalidated; look the instruction's address up again. */
export const HANDLER_LOOKUP = 0;

export function blockHash(physical: number): number {
  return (physical ^ (physical >>> 12)) & 0xffff;
}
