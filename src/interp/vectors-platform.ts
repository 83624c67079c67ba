/**
 * The operating system of the replay: page tables over the test pages, descriptor tables with the selectors that the
 * recording machine had, and an interrupt table whose gates lead to one HLT each. There are two: long mode, as
 * recorded, and legacy protected mode with PAE, in which 16- and 32-bit code has to behave alike.
 */
import { RAM_BASE } from '../layout/map.ts';
import { fillPage, TEST_LDT, TEST_PAGES, USER_CS32, USER_CS64, USER_DS } from './vectors-state.ts';
import type { TestDescriptor } from './vectors-state.ts';

/** RAM that the replay uses, from guest-physical 0. */
export const REPLAY_RAM_BYTES = 0x100000;

export type PlatformKind = 'long' | 'legacy';

// Guest-physical layout.
const PML4 = 0x1000;
const PDPT_LOW = 0x2000;
const PDPT_SYSTEM = 0x3000;
const PD_SYSTEM = 0x4000;
const PT_SYSTEM = 0x5000;
const PDPT_LEGACY = 0x6000;
/** GDT, LDT, TSS, IDT, gates' targets and the stack of the exception handlers: 8 pages. */
const SYSTEM = 0x8000;
const TABLES = 0x20000;
const PAGES = 0x40000;

const GDT = 0;
const LDT = 0x100;
const TSS = 0x200;
const IDT = 0x1000;
const GATES = 0x2000;
const GATE_BYTES = 16;
const STACK_TOP = 0x5000;
const SYSTEM_PAGES = 8;
const VECTORS = 256;

const PRESENT = 1n;
const WRITABLE = 2n;
const USER = 4n;
const ACCESSED_DIRTY = 0x60n;
const NO_EXECUTE = 1n << 63n;

/** PE MP ET NE WP AM PG. */
const CR0 = 0x80050033n;
/** PAE PGE OSFXSR OSXMMEXCPT FSGSBASE OSXSAVE. */
const CR4 = 0x506a0n;
/** SCE LME LMA NXE; NXE alone. */
const EFER_LONG = 0xd01n;
const EFER_LEGACY = 0x800n;

const SELECTOR_KERNEL_CS32 = 0x08;
const SELECTOR_KERNEL_CS64 = 0x10;
const SELECTOR_KERNEL_DS = 0x18;
const SELECTOR_TSS = 0x40;
const SELECTOR_LDT = 0x50;

const ATTRIBUTES_TSS_BUSY = 0x8b;
const ATTRIBUTES_LDT = 0x82;
const TSS_BYTES = 0x68;
/** INT n that user code may execute, on Linux. */
const USER_VECTORS = new Set([3, 4, 0x80]);

export const ERROR_CODE_VECTORS: ReadonlySet<number> = new Set([8, 10, 11, 12, 13, 14, 17, 21]);

/** The hidden part of a segment register. */
export interface Hidden {
  readonly selector: number;
  readonly base: number;
  readonly limit: number;
  /** As in `VCPU.segAttr`. */
  readonly attributes: number;
}

/** What a vCPU's system registers have to be. */
export interface SystemState {
  readonly cr0: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
  readonly gdtBase: bigint;
  readonly gdtLimit: number;
  readonly idtBase: bigint;
  readonly idtLimit: number;
  readonly ldt: Hidden;
  readonly ldtBase: bigint;
  readonly tss: Hidden;
  readonly tssBase: bigint;
}

/** Fields of the frame on the handlers' stack. */
export const FRAME_ERROR = 0;
export const FRAME_RIP = 1;
export const FRAME_CS = 2;
export const FRAME_FLAGS = 3;
export const FRAME_RSP = 4;
export const FRAME_SS = 5;

/** Bits 40-55 of a descriptor without the limit. */
function descriptorAttributes(d: TestDescriptor): number {
  const type = (d.contents << 2) | (d.readExecOnly ? 0 : 2) | 1;
  return type | 0x70 | (d.notPresent ? 0 : 0x80) | 0x1000 | (d.is32 ? 0x4000 : 0) | (d.pages ? 0x8000 : 0);
}

function rawDescriptor(base: number, limit: number, attributes: number): bigint {
  const b = BigInt(base);
  const l = BigInt(limit);
  return (
    (l & 0xffffn) |
    ((b & 0xffffffn) << 16n) |
    (BigInt(attributes & 0xff) << 40n) |
    ((l >> 16n) << 48n) |
    (BigInt((attributes >> 12) & 15) << 52n) |
    ((b >> 24n) << 56n)
  );
}

const USER_SEGMENTS: Readonly<Record<number, Hidden>> = {
  [USER_CS32]: { selector: USER_CS32, base: 0, limit: 0xffffffff, attributes: 0xc0fb },
  [USER_DS]: { selector: USER_DS, base: 0, limit: 0xffffffff, attributes: 0xc0f3 },
  [USER_CS64]: { selector: USER_CS64, base: 0, limit: 0xffffffff, attributes: 0xa0fb },
};

/** The hidden part that loading this selector gives. */
export function hiddenPart(selector: number): Hidden {
  const user = USER_SEGMENTS[selector];
  if (user) return user;
  const d = selector & 4 ? TEST_LDT[selector >> 3] : undefined;
  if (!d) return { selector, base: 0, limit: 0, attributes: 0 };
  const limit = d.pages ? (d.limit * 4096 + 4095) >>> 0 : d.limit;
  return { selector, base: d.base, limit, attributes: descriptorAttributes(d) };
}

export class ReplayPlatform {
  readonly kind: PlatformKind;
  readonly state: SystemState;
  /** Guest-physical address of each test page. */
  readonly pages: readonly number[];
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #base: bigint;
  #nextTable = TABLES;

  /** Writes everything into the machine's RAM. */
  constructor(kind: PlatformKind, memory: ArrayBufferLike) {
    this.kind = kind;
    this.#view = new DataView(memory);
    this.#bytes = new Uint8Array(memory);
    this.#bytes.fill(0, RAM_BASE, RAM_BASE + REPLAY_RAM_BYTES);
    const long = kind === 'long';
    this.#base = long ? 0xffffff8000000000n : 0xffc00000n;
    this.pages = this.#buildPages();
    this.#buildDescriptors();
    this.#buildGates();
    this.state = {
      cr0: CR0,
      cr3: BigInt(long ? PML4 : PDPT_LEGACY),
      cr4: CR4,
      efer: long ? EFER_LONG : EFER_LEGACY,
      gdtBase: this.#base + BigInt(GDT),
      gdtLimit: 0x7f,
      idtBase: this.#base + BigInt(IDT),
      idtLimit: VECTORS * (long ? 16 : 8) - 1,
      ldt: { selector: SELECTOR_LDT, base: 0, limit: TEST_LDT.length * 8 - 1, attributes: ATTRIBUTES_LDT },
      ldtBase: this.#base + BigInt(LDT),
      tss: { selector: SELECTOR_TSS, base: 0, limit: TSS_BYTES - 1, attributes: ATTRIBUTES_TSS_BUSY },
      tssBase: this.#base + BigInt(TSS),
    };
  }

  /** The vector whose gate leads to this RIP, or -1. */
  vectorAt(rip: bigint): number {
    const offset = rip - this.#base - BigInt(GATES);
    return offset >= 0n && offset < BigInt(VECTORS * GATE_BYTES) ? Number(offset) >> 4 : -1;
  }

  /** A field (FRAME_*) of the frame that `vector` pushed, if the stack pointer is still on it; else -1. */
  frame(vector: number, rsp: bigint, field: number): bigint {
    const offset = Number(rsp - this.#base);
    if (offset < 0 || offset > STACK_TOP) return -1n;
    const slot = field - (ERROR_CODE_VECTORS.has(vector) ? 0 : 1);
    const at = RAM_BASE + SYSTEM + offset;
    return this.kind === 'long'
      ? this.#view.getBigUint64(at + slot * 8, true)
      : BigInt(this.#view.getUint32(at + slot * 4, true));
  }

  #write(gpa: number, value: bigint): void {
    this.#view.setBigUint64(RAM_BASE + gpa, value, true);
  }

  #table(entryGpa: number, rights: bigint): number {
    const entry = this.#view.getBigUint64(RAM_BASE + entryGpa, true);
    if (entry & PRESENT) return Number(entry & 0xffffff000n);
    const gpa = this.#nextTable;
    this.#nextTable += 4096;
    this.#write(entryGpa, BigInt(gpa) | rights);
    return gpa;
  }

  #buildPages(): number[] {
    const upper = PRESENT | WRITABLE | USER | ACCESSED_DIRTY;
    const long = this.kind === 'long';
    if (long) {
      this.#write(PML4, BigInt(PDPT_LOW) | upper);
      this.#write(PML4 + 511 * 8, BigInt(PDPT_SYSTEM) | upper);
      this.#write(PDPT_SYSTEM, BigInt(PD_SYSTEM) | upper);
      this.#write(PD_SYSTEM, BigInt(PT_SYSTEM) | upper);
    } else {
      // PDPTEs of PAE have no rights (APM vol. 2, 5.2.3).
      this.#write(PDPT_LEGACY + 3 * 8, BigInt(PD_SYSTEM) | PRESENT);
      this.#write(PD_SYSTEM + 510 * 8, BigInt(PT_SYSTEM) | upper);
    }
    for (let i = 0; i < SYSTEM_PAGES; i++) {
      this.#write(PT_SYSTEM + i * 8, BigInt(SYSTEM + i * 4096) | PRESENT | WRITABLE | ACCESSED_DIRTY);
    }
    return TEST_PAGES.map((page, i) => {
      const gpa = PAGES + i * 4096;
      const pd = this.#table(
        (long ? PDPT_LOW : PDPT_LEGACY) + (page.address >>> 30) * 8,
        long ? upper : PRESENT,
      );
      const pt = this.#table(pd + ((page.address >>> 21) & 511) * 8, upper);
      const rights = USER | ACCESSED_DIRTY | (page.write ? WRITABLE : 0n) | (page.execute ? 0n : NO_EXECUTE);
      this.#write(pt + ((page.address >>> 12) & 511) * 8, BigInt(gpa) | PRESENT | rights);
      const contents = new Uint8Array(4096);
      fillPage(page, contents);
      this.#bytes.set(contents, RAM_BASE + gpa);
      return gpa;
    });
  }

  #buildDescriptors(): void {
    const flat: Record<number, number> = {
      [SELECTOR_KERNEL_CS32]: 0xc09b,
      [SELECTOR_KERNEL_CS64]: 0xa09b,
      [SELECTOR_KERNEL_DS]: 0xc093,
      [USER_CS32 & ~3]: 0xc0fb,
      [USER_DS & ~3]: 0xc0f3,
      [USER_CS64 & ~3]: 0xa0fb,
    };
    for (const [selector, attributes] of Object.entries(flat)) {
      this.#write(SYSTEM + GDT + Number(selector), rawDescriptor(0, 0xfffff, attributes));
    }
    this.#systemDescriptor(SELECTOR_TSS, TSS, TSS_BYTES - 1, ATTRIBUTES_TSS_BUSY);
    this.#systemDescriptor(SELECTOR_LDT, LDT, TEST_LDT.length * 8 - 1, ATTRIBUTES_LDT);
    TEST_LDT.forEach((d, i) => {
      this.#write(SYSTEM + LDT + i * 8, rawDescriptor(d.base, d.limit, descriptorAttributes(d)));
    });
    this.#write(SYSTEM + TSS + 4, this.#base + BigInt(STACK_TOP));
    if (this.kind === 'legacy') this.#view.setUint16(RAM_BASE + SYSTEM + TSS + 8, SELECTOR_KERNEL_DS, true);
    // No I/O permission bitmap: its base is beyond the limit.
    this.#view.setUint16(RAM_BASE + SYSTEM + TSS + 0x66, TSS_BYTES, true);
  }

  #systemDescriptor(selector: number, offset: number, limit: number, attributes: number): void {
    const base = this.#base + BigInt(offset);
    this.#write(SYSTEM + GDT + selector, rawDescriptor(Number(base & 0xffffffffn), limit, attributes));
    if (this.kind === 'long') this.#write(SYSTEM + GDT + selector + 8, base >> 32n);
  }

  #buildGates(): void {
    const long = this.kind === 'long';
    const code = BigInt(long ? SELECTOR_KERNEL_CS64 : SELECTOR_KERNEL_CS32);
    for (let vector = 0; vector < VECTORS; vector++) {
      const target = this.#base + BigInt(GATES + vector * GATE_BYTES);
      const type = 0x8en | (USER_VECTORS.has(vector) ? 0x60n : 0n);
      const low = (target & 0xffffn) | (code << 16n) | (type << 40n) | (((target >> 16n) & 0xffffn) << 48n);
      this.#write(SYSTEM + IDT + vector * (long ? 16 : 8), low);
      if (long) this.#write(SYSTEM + IDT + vector * 16 + 8, target >> 32n);
    }
    this.#bytes.fill(0xf4, RAM_BASE + SYSTEM + GATES, RAM_BASE + SYSTEM + GATES + VECTORS * GATE_BYTES);
  }
}
