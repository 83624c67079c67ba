/**
 * The functions that generated code calls in the wasm core (`wasm/`), by export name. The first
 * parameter of each is `cpu`, the host address of the vCPU block, and is not listed.
 *
 * Results:
 * - `host`: i32 host address, 0 = a fault was raised (`VCPU.exception`).
 * - `status`: i32 STATUS_* (exits.ts); such a call is the last thing that an instruction does.
 * - `linear`: i64 linear address, or -1 = a fault was raised.
 * - `value`: i64, `checked`: i64 but test `VCPU.exception` after it. `void`: cannot fault.
 */
export type CoreType = 'i32' | 'i64';
export type CoreResult = 'host' | 'status' | 'linear' | 'value' | 'checked' | 'void';

export interface CoreFunction {
  readonly params: readonly CoreType[];
  readonly result: CoreResult;
}

const RESULT_TYPES: Readonly<Record<CoreResult, readonly CoreType[]>> = {
  host: ['i32'],
  status: ['i32'],
  linear: ['i64'],
  value: ['i64'],
  checked: ['i64'],
  void: [],
};

/** The WebAssembly signature, `cpu` included. */
export function signatureOf({ params, result }: CoreFunction): {
  readonly params: readonly CoreType[];
  readonly results: readonly CoreType[];
} {
  return { params: ['i32', ...params], results: RESULT_TYPES[result] };
}

function fn(result: CoreResult, ...params: CoreType[]): CoreFunction {
  return { params, result };
}

export const CORE_FUNCTIONS = {
  // --- memory. `access` is described in access.ts; its segment matters for non-canonical addresses (#SS or #GP).
  /** (linear, access): where the bytes (1-64) can be read: RAM, or `VCPU.scratch` filled with them. */
  readSlow: fn('host', 'i64', 'i32'),
  /** (linear, access): where to put the bytes; followed by commitWrite if that is the scratch. */
  writeSlow: fn('host', 'i64', 'i32'),
  /** (linear, access): as writeSlow, with the present contents there; faults as a write (W = 1). */
  rmwSlow: fn('host', 'i64', 'i32'),
  /**
   * (access): carries out the write prepared by writeSlow or rmwSlow, from the scratch. Result: STATUS_BRANCH, rip and
   * refund set, if translated code has to be left behind this instruction: it changed code, or a device wants the
   * run loop's attention. Otherwise 0.
   */
  commitWrite: fn('host', 'i32'),
  /** (host address, bytes): notes what is about to be written over; only regions that are verified call it. */
  journal: fn('void', 'i32', 'i32'),
  /** (linear, access, value): the whole store of up to 8 bytes. 0, STATUS_FAULT_AT_RIP, or as commitWrite. */
  storeSlow: fn('host', 'i64', 'i32', 'i64'),
  /** (access): the instruction has raised its exception: sets rip and refund for STATUS_FAULT_AT_RIP. */
  faultAt: fn('void', 'i32'),
  /** (access, STATUS_*): translated code is left with a status that an instruction's function gave. The status to return. */
  leaveAt: fn('host', 'i32', 'i32'),
  /** (segment, offset, size, SEGMENT_* of vcpu.ts): checks limit and type outside the flat case. */
  segmentLinear: fn('linear', 'i32', 'i64', 'i32', 'i32'),
  /** (offset, access, SEGMENT_*): the same for translated code; a fault is recorded as by `faultAt`. */
  segmentSlow: fn('linear', 'i64', 'i32', 'i32'),
  /** (offset): outside the flat case, 0 and #GP(0) raised if it is beyond the limit of CS, else 1. */
  checkCodeOffset: fn('host', 'i64'),
  /** (linear): host address of code, 0 = fault, 1 = not RAM (exitArg0 = gpa). */
  fetchSlow: fn('host', 'i64'),
  /** (rip, link): the translation there, as BLOCK.region, with pageRip set; 0 = unknown. Link: where to note it, 0 = nowhere. */
  findRegion: fn('host', 'i64', 'i32'),

  // --- events
  /** Delivers `VCPU.exception` with `VCPU.rip`: STATUS_BRANCH, or STATUS_EXIT (shutdown). */
  deliverException: fn('status'),
  /** (vector, | 100h for the one-byte INT1, INT3, INTO, which IOPL does not hold back); rip is the next instruction. */
  softwareInterrupt: fn('status', 'i32'),

  // --- control transfers; rip is the next instruction. `bytes` is the operand size 2, 4 or 8.
  iret: fn('status', 'i32'),
  /** (bytes, extra bytes to pop) */
  returnFar: fn('status', 'i32', 'i32'),
  /** (selector, offset, bytes) */
  jumpFar: fn('status', 'i32', 'i64', 'i32'),
  callFar: fn('status', 'i32', 'i64', 'i32'),
  syscall: fn('status'),
  sysret: fn('status', 'i32'),
  sysenter: fn('status'),
  sysexit: fn('status', 'i32'),

  // --- system registers
  /** (segment register, selector): MOV and POP to a segment register. BRANCH when it is SS or the mode key changed. */
  loadSegment: fn('status', 'i32', 'i32'),
  loadLdt: fn('status', 'i32'),
  loadTask: fn('status', 'i32'),
  /** (number, value) */
  writeControl: fn('status', 'i32', 'i64'),
  readControl: fn('checked', 'i32'),
  writeDebug: fn('status', 'i32', 'i64'),
  readDebug: fn('checked', 'i32'),
  /** (value, bytes): POPF with its IOPL, CPL and VM rules. */
  writeFlags: fn('status', 'i64', 'i32'),
  /** (bytes): the image that PUSHF stores; #GP in virtual-8086 mode with IOPL < 3. */
  readFlags: fn('checked', 'i32'),
  cli: fn('status'),
  sti: fn('status'),
  /** (1 or 0): STAC and CLAC. */
  writeAc: fn('status', 'i32'),
  invlpg: fn('status', 'i64'),
  /** WBINVD, INVD: checks CPL. */
  checkCpl0: fn('status'),
  hlt: fn('status'),
  swapgs: fn('status'),
  cpuid: fn('status'),
  rdmsr: fn('status'),
  wrmsr: fn('status'),
  rdtsc: fn('status'),
  rdtscp: fn('status'),
  rdpmc: fn('status'),
  xgetbv: fn('status'),
  xsetbv: fn('status'),
  /** (selector): LAR and LSL; ZF says whether there is a result. */
  lar: fn('checked', 'i32'),
  lsl: fn('checked', 'i32'),
  /** (selector, 0 = VERR, 1 = VERW): sets ZF. */
  verify: fn('status', 'i32', 'i32'),
  /** 0 if FPU (0), MMX (1) or SSE (2) instructions may run, else raises #NM or #UD. */
  checkFpu: fn('status', 'i32'),

  // --- ports: checks IOPL and the I/O bitmap. (port, bytes)
  portIn: fn('checked', 'i32', 'i32'),
  portOut: fn('status', 'i32', 'i32', 'i64'),

  // --- repeated string instructions. (bytes per element, address size code, segment of the source)
  movs: fn('status', 'i32', 'i32', 'i32'),
  lods: fn('status', 'i32', 'i32', 'i32'),
  /** (bytes per element, address size code) */
  stos: fn('status', 'i32', 'i32'),
  /** (bytes per element, 1 = REPE 2 = REPNE, address size code, segment) */
  cmps: fn('status', 'i32', 'i32', 'i32', 'i32'),
  scas: fn('status', 'i32', 'i32', 'i32'),
  /** (bytes per element, 0 = no prefix 1 = REP, address size code, segment) */
  ins: fn('status', 'i32', 'i32', 'i32', 'i32'),
  outs: fn('status', 'i32', 'i32', 'i32', 'i32'),

  // --- flags
  /** All six arithmetic flags at their EFLAGS positions, from the lazy ones. */
  materializeFlags: fn('value'),
  /** ENTER (bytes, frame size, nesting level). */
  enter: fn('status', 'i32', 'i32', 'i32'),

  // --- instructions that go on in the next page
  /** (block): whether the bytes behind the page of rip are still those of the block; if not, the block is dropped. */
  holdsTail: fn('host', 'i32'),
  /** (gpa of the instruction, bytes, their first 8, the rest): STATUS_REPEAT and no translation of its page any more if they are not. */
  checkTail: fn('status', 'i32', 'i32', 'i64', 'i64'),

  // --- arithmetic. (a, b): high 64 bits of the product.
  mulHighUnsigned: fn('value', 'i64', 'i64'),
  mulHighSigned: fn('value', 'i64', 'i64'),
  /** (a, mask): PDEP and PEXT. */
  depositBits: fn('value', 'i64', 'i64'),
  extractBits: fn('value', 'i64', 'i64'),
  /** 64 random bits. */
  random: fn('value'),
  /** (divisor): RDX:RAX / divisor into RAX and RDX, or #DE. */
  divide64: fn('status', 'i64'),
  divideSigned64: fn('status', 'i64'),

  // --- floating point state and x87
  /** (linear, segment, bytes 4 or 8 of REX.W) */
  fxsave: fn('status', 'i64', 'i32', 'i32'),
  fxrstor: fn('status', 'i64', 'i32', 'i32'),
  xsave: fn('status', 'i64', 'i32', 'i32'),
  xrstor: fn('status', 'i64', 'i32', 'i32'),
  /** (instruction length << 16 | opcode byte D8h-DFh << 8 | ModRM byte): x87 with register operands. */
  x87Register: fn('status', 'i32'),
  /** (the same code, linear address, segment, operand size in bytes): x87 with a memory operand. */
  x87Memory: fn('status', 'i32', 'i64', 'i32', 'i32'),
  /** (the same code): what x87Register does with the codes that isa/semantics/x87.ts gives to each. */
  x87Add: fn('status', 'i32'),
  x87Multiply: fn('status', 'i32'),
  x87Divide: fn('status', 'i32'),
  x87SquareRoot: fn('status', 'i32'),
  x87Compare: fn('status', 'i32'),
  x87CompareFlags: fn('status', 'i32'),
  x87LoadRegister: fn('status', 'i32'),
  x87LoadConstant: fn('status', 'i32'),
  x87Exchange: fn('status', 'i32'),
  x87StoreRegister: fn('status', 'i32'),
  x87Sign: fn('status', 'i32'),
  x87StatusWord: fn('status', 'i32'),
  x87ConditionalMove: fn('status', 'i32'),
  x87Other: fn('status', 'i32'),
  /** (the same code, linear address, segment): what x87Memory does. */
  x87LoadExtended: fn('status', 'i32', 'i64', 'i32'),
  x87LoadFloat: fn('status', 'i32', 'i64', 'i32'),
  x87LoadInteger: fn('status', 'i32', 'i64', 'i32'),
  x87StoreExtended: fn('status', 'i32', 'i64', 'i32'),
  x87StoreFloat: fn('status', 'i32', 'i64', 'i32'),
  x87StoreInteger: fn('status', 'i32', 'i64', 'i32'),
  x87Operate: fn('status', 'i32', 'i64', 'i32'),
  x87LoadControl: fn('status', 'i32', 'i64', 'i32'),
  x87StoreWord: fn('status', 'i32', 'i64', 'i32'),
  /** (linear, segment) */
  loadMxcsr: fn('status', 'i64', 'i32'),

  // --- SSE
  /** (code of layout/sse.ts, a low, a high, b low, b high): low half of the result; the high one is in `VCPU.scratch`. */
  sseCompute: fn('checked', 'i32', 'i64', 'i64', 'i64', 'i64'),
  /**
   * (immediate, | 100h where zeros end the strings; a low, a high, b low, b high, length of a, of b): PCMPxSTRx. Bits
   * 0-15 the mask, 16-23 the index, 32-63 the flags at their EFLAGS positions.
   */
  compareStrings: fn('value', 'i32', 'i64', 'i64', 'i64', 'i64', 'i64', 'i64'),
  /** (linear, segment, bytes 8 or 16, data low, high, mask low, high): stores the bytes whose mask byte is negative. */
  maskedStore: fn('status', 'i64', 'i32', 'i32', 'i64', 'i64', 'i64', 'i64'),
} as const satisfies Record<string, CoreFunction>;

export type CoreName = keyof typeof CORE_FUNCTIONS;

/**
 * What the core itself imports from the vCPU's thread, module `host`. Values of up to 8 bytes travel
 * in `VCPU.scratch`, so that no BigInt crosses.
 * - mmioRead(cpu, gpa, size), mmioWrite(cpu, gpa, size): data in `VCPU.scratch`
 * - portRead(cpu, port, size) -> i32, portWrite(cpu, port, size, value)
 * - cpuid(cpu): reads and writes the registers in memory
 * - readMsr(cpu), writeMsr(cpu) -> i32: ECX and EDX:EAX in memory; 0 = done, 1 = #GP
 * - tsc(cpu) -> f64: guest TSC, an integer
 * - random(cpu): 8 random bytes
 * - taskPriority(cpu) -> i32, setTaskPriority(cpu, value): CR8
 */
export const HOST_IMPORTS = [
  'mmioRead',
  'mmioWrite',
  'portRead',
  'portWrite',
  'cpuid',
  'readMsr',
  'writeMsr',
  'tsc',
  'random',
  'taskPriority',
  'setTaskPriority',
] as const;

/**
 * Exports of the core for the run loop (TypeScript), each with `cpu` first.
 * - reset(): power-on state of the CPU (registers, TLBs, blocks); memory of RAM is not touched
 * - updateMode(): recomputes everything that derives from CR0, CR4, EFER, EFLAGS and the segments
 *   (mode, cpl, masks, segEffective, tlb) after TypeScript has changed those
 * - flushTlb(keepGlobal)
 * - flushBlocks(): forgets all decoded blocks (the arena is full)
 * - dropLinks(): no address leads to a translation any more without a look at TLB and region cache
 * - markCode(gpa, bytes): the bytes are about to be decoded: sets code bits, drops write tags
 * - insertBlock(block): links a block that TypeScript has written at `arenaNext` into the hashes, and
 *   moves `arenaNext` behind its `count` + 1 records, unless it is there already
 * - invalidateCode(gpa, bytes): someone wrote there without the core (DMA, loader)
 * - interruptVector(vector): delivers an external interrupt: STATUS_BRANCH or STATUS_EXIT (shutdown)
 * - nonMaskableInterrupt(): the same for NMI
 * - swapBack(from, to), swapForward(from, to): exchanges the entries of that part of the journal with memory
 * - kick(space, gpa, bytes, value) -> i32: 1 if that write is an ioeventfd's kick, which is done then
 * - translateDebug(linear) -> i32: gpa or -1, without side effects (for tools)
 */
export const CORE_CONTROL = [
  'reset',
  'updateMode',
  'flushTlb',
  'flushBlocks',
  'dropLinks',
  'markCode',
  'insertBlock',
  'invalidateCode',
  'interruptVector',
  'nonMaskableInterrupt',
  'swapBack',
  'swapForward',
  'kick',
  'translateDebug',
] as const;
