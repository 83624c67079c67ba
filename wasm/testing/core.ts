/** A core on a memory of its own, with recording host imports and builders for what a guest sets up. */
import { readFileSync } from 'node:fs';
import type { CORE_CONTROL, CoreName } from '../../src/layout/core-abi.ts';
import {
  ARENA_BASE,
  ARENA_BYTES,
  CODE_BITMAP_BASE,
  DIRTY_BITMAP_BASE,
  RAM_BASE,
  vcpuAddress,
} from '../../src/layout/map.ts';
import { SEG_CS, SEG_DS, SEG_ES, SEG_FS, SEG_GS, SEG_SS, SEG_TR, VCPU } from '../../src/layout/vcpu.ts';

export const RAM_BYTES = 0x1000000;
const WASM_PAGE = 65536;

// Bits of page-table entries.
export const P = 1n;
export const W = 2n;
export const U = 4n;
export const A = 0x20n;
export const D = 0x40n;
export const PS = 0x80n;
export const G = 0x100n;
export const NX = 1n << 63n;

// CR0, CR4, EFER.
export const CR0_PE = 1n;
export const CR0_WP = 0x10000n;
export const CR0_PG = 0x80000000n;
export const CR4_PSE = 0x10n;
export const CR4_PAE = 0x20n;
export const CR4_PGE = 0x80n;
export const CR4_SMEP = 0x100000n;
export const CR4_SMAP = 0x200000n;
export const EFER_LONG = 0xd01n;

// Where the test machine has its tables, in guest-physical memory.
export const PAGE_TABLES = 0x200000;
export const GDT = 0x10000;
export const IDT = 0x12000;
export const TSS = 0x14000;
export const KERNEL_STACK = 0x20000;
export const IST_STACK = 0x24000;

// Selectors of the GDT that `longMode` and `protectedMode` make.
export const KERNEL_CODE = 0x08;
export const KERNEL_DATA = 0x10;
export const USER_CODE32 = 0x1b;
export const USER_DATA = 0x23;
export const USER_CODE64 = 0x2b;
export const TSS_SELECTOR = 0x30;

export const ATTR_CODE64 = 0xa09b;
export const ATTR_CODE32 = 0xc09b;
export const ATTR_DATA32 = 0xc093;

// Error code bits of #PF.
export const PF_P = 1;
export const PF_W = 2;
export const PF_U = 4;
export const PF_RSVD = 8;
export const PF_I = 16;

type Value = number | bigint;
type CoreExports = Record<CoreName | (typeof CORE_CONTROL)[number], (cpu: number, ...rest: Value[]) => never>;

let compiled: WebAssembly.Module | undefined;

function coreModule(): WebAssembly.Module {
  compiled ??= new WebAssembly.Module(readFileSync(new URL('../../build/core.wasm', import.meta.url)));
  return compiled;
}

export interface Fault {
  readonly vector: number;
  readonly error: number;
}

export class TestCore {
  readonly cpu = vcpuAddress(0);
  readonly memory = new WebAssembly.Memory({
    initial: (RAM_BASE + RAM_BYTES) / WASM_PAGE,
    maximum: 65536,
    shared: true,
  });
  readonly view = new DataView(this.memory.buffer);
  readonly bytes = new Uint8Array(this.memory.buffer);
  /** What the host imports were asked, in order. */
  readonly log: string[] = [];
  /** What `mmioRead` answers, by gpa. */
  readonly device = new Map<number, bigint>();
  tsc = 0x1_2345_6789;
  random = 0x0123_4567_89ab_cdefn;
  msrResult = 0;
  taskPriority = 0;
  private readonly core: CoreExports;
  private nextTable = PAGE_TABLES + 0x1000;

  constructor() {
    const scratch = this.cpu + VCPU.at.scratch;
    const hex = (value: Value): string => value.toString(16);
    const instance = new WebAssembly.Instance(coreModule(), {
      env: { memory: this.memory },
      host: {
        mmioRead: (_cpu: number, gpa: number, size: number) => {
          this.log.push(`read ${hex(gpa >>> 0)} ${size}`);
          this.view.setBigUint64(scratch, this.device.get(gpa >>> 0) ?? 0n, true);
        },
        mmioWrite: (_cpu: number, gpa: number, size: number) => {
          const value = BigInt.asUintN(size * 8, this.view.getBigUint64(scratch, true));
          this.log.push(`write ${hex(gpa >>> 0)} ${size} ${hex(value)}`);
        },
        portRead: (_cpu: number, port: number, size: number) => {
          this.log.push(`in ${hex(port)} ${size}`);
          return 0x81828380 + this.log.length;
        },
        portWrite: (_cpu: number, port: number, size: number, value: number) => {
          this.log.push(`out ${hex(port)} ${size} ${hex(value >>> 0)}`);
        },
        cpuid: () => this.log.push('cpuid'),
        readMsr: () => this.msrResult,
        writeMsr: () => this.msrResult,
        tsc: () => this.tsc,
        random: () => this.view.setBigUint64(scratch, this.random, true),
        taskPriority: () => this.taskPriority,
        setTaskPriority: (_cpu: number, value: number) => {
          this.taskPriority = value;
        },
      },
    });
    this.core = instance.exports as unknown as CoreExports;
    this.set('ramBytes', RAM_BYTES);
    this.set('cr4Allowed', 0x350fff);
    this.set('eferAllowed', 0x200d01);
    this.set('arenaStart', ARENA_BASE);
    this.set('arenaEnd', ARENA_BASE + ARENA_BYTES);
    this.call('reset');
  }

  /** Calls an export; i64 results are unsigned. */
  call(name: keyof CoreExports, ...rest: Value[]): number {
    return this.core[name](this.cpu, ...rest);
  }

  call64(name: keyof CoreExports, ...rest: Value[]): bigint {
    return BigInt.asUintN(64, this.core[name](this.cpu, ...rest) as unknown as bigint);
  }

  // --- the vCPU block

  get(field: keyof typeof VCPU.at, index = 0): bigint {
    const type = VCPU.fields[field];
    const element = typeof type === 'string' ? type : type[0];
    if (element === 'u64') return this.view.getBigUint64(this.cpu + VCPU.at[field] + index * 8, true);
    return BigInt(this.view.getUint32(this.cpu + VCPU.at[field] + index * 4, true));
  }

  set(field: keyof typeof VCPU.at, value: Value, index = 0): void {
    const type = VCPU.fields[field];
    const element = typeof type === 'string' ? type : type[0];
    const at = this.cpu + VCPU.at[field];
    if (element === 'u64') this.view.setBigUint64(at + index * 8, BigInt.asUintN(64, BigInt(value)), true);
    else this.view.setUint32(at + index * 4, Number(BigInt.asUintN(32, BigInt(value))), true);
  }

  reg(index: number): bigint {
    return this.get('regs', index);
  }

  setReg(index: number, value: Value): void {
    this.set('regs', value, index);
  }

  selector(segment: number): number {
    return Number(this.get('segSelector', segment));
  }

  /** Whether the interpreter returns to its run loop at the next block. */
  get budgetUsedUp(): boolean {
    return this.view.getInt32(this.cpu + VCPU.at.budget, true) <= 0;
  }

  /** The fault that was raised, which is taken off. */
  fault(): Fault | undefined {
    const exception = Number(this.get('exception'));
    this.set('exception', 0);
    return exception === 0 ? undefined : { vector: exception - 1, error: Number(this.get('exceptionError')) };
  }

  setSegment(segment: number, selector: number, base: Value, limit: number, attr: number): void {
    this.set('segSelector', selector, segment);
    this.set('segBase', base, segment);
    this.set('segLimit', limit, segment);
    this.set('segAttr', attr, segment);
  }

  // --- guest-physical memory

  read(gpa: number, bytes: number): bigint {
    let value = 0n;
    for (let i = bytes - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.bytes[RAM_BASE + gpa + i]!);
    return value;
  }

  write(gpa: number, bytes: number, value: Value): void {
    for (let i = 0; i < bytes; i++)
      this.bytes[RAM_BASE + gpa + i] = Number((BigInt(value) >> BigInt(i * 8)) & 255n);
  }

  /** Bytes as a string of hexadecimal digits, lowest address first. */
  dump(gpa: number, bytes: number): string {
    return Buffer.from(this.bytes.slice(RAM_BASE + gpa, RAM_BASE + gpa + bytes)).toString('hex');
  }

  fill(gpa: number, hex: string): void {
    this.bytes.set(Buffer.from(hex, 'hex'), RAM_BASE + gpa);
  }

  codeBits(gpa: number): bigint {
    return this.view.getBigUint64(CODE_BITMAP_BASE + (gpa >>> 12) * 8, true);
  }

  isDirty(gpa: number): boolean {
    return (this.bytes[DIRTY_BITMAP_BASE + (gpa >>> 15)]! & (1 << ((gpa >>> 12) & 7))) !== 0;
  }

  // --- page tables of long mode

  private table(entryGpa: number, flags: bigint): number {
    const present = this.read(entryGpa, 8);
    if (present & P) {
      this.write(entryGpa, 8, present | flags);
      return Number(present & 0xffffff000n);
    }
    const gpa = this.nextTable;
    this.nextTable += 0x1000;
    this.write(entryGpa, 8, BigInt(gpa) | flags | P);
    return gpa;
  }

  /** Maps a page and gives the gpa of its leaf entry; upper levels get W and U. `level` 1 is 4 KiB. */
  map(linear: bigint, entry: bigint, level = 1): number {
    let table = PAGE_TABLES;
    for (let shift = 39; ; shift -= 9) {
      const at = table + Number((linear >> BigInt(shift)) & 511n) * 8;
      if (shift === 12 + (level - 1) * 9) {
        this.write(at, 8, entry);
        return at;
      }
      table = this.table(at, W | U);
    }
  }

  /** 64-bit mode at CPL 0: the first 16 MiB mapped one to one for the kernel, and a GDT, IDT and TSS. */
  longMode(): this {
    for (let gpa = 0n; gpa < BigInt(RAM_BYTES); gpa += 0x200000n) this.map(gpa, gpa | P | W | PS, 3 - 1);
    this.set('cr3', PAGE_TABLES);
    this.set('cr4', CR4_PAE | CR4_PGE);
    this.set('efer', EFER_LONG);
    this.set('cr0', CR0_PE | CR0_PG | CR0_WP | 0x10n);
    this.makeGdt();
    this.set('idtBase', IDT);
    this.set('idtLimit', 0xfff);
    this.setSegment(SEG_CS, KERNEL_CODE, 0, 0xffffffff, ATTR_CODE64);
    for (const segment of [SEG_SS, SEG_DS, SEG_ES]) {
      this.setSegment(segment, KERNEL_DATA, 0, 0xffffffff, ATTR_DATA32);
    }
    for (const segment of [SEG_FS, SEG_GS]) this.setSegment(segment, 0, 0, 0, 0);
    this.setSegment(SEG_TR, TSS_SELECTOR, TSS, 0x67, 0x8b);
    this.write(TSS + 4, 8, KERNEL_STACK);
    this.write(TSS + 0x66, 2, 0x68);
    this.write(TSS + 0x24, 8, IST_STACK);
    this.call('updateMode');
    return this;
  }

  private makeGdt(): void {
    this.set('gdtBase', GDT);
    this.set('gdtLimit', 0xfff);
    const long = (this.get('efer') & 0x400n) !== 0n;
    this.write(GDT + KERNEL_CODE, 8, long ? 0x00af9b000000ffffn : 0x00cf9b000000ffffn);
    this.write(GDT + KERNEL_DATA, 8, 0x00cf93000000ffffn);
    this.write(GDT + 0x18, 8, 0x00cffb000000ffffn);
    this.write(GDT + 0x20, 8, 0x00cff3000000ffffn);
    this.write(GDT + 0x28, 8, 0x00affb000000ffffn);
    this.write(GDT + TSS_SELECTOR, 8, 0x00008b0000000067n | (BigInt(TSS) << 16n));
    this.write(GDT + TSS_SELECTOR + 8, 8, 0);
  }

  /** 32-bit protected mode at CPL 0 without paging, flat segments. */
  protectedMode(): this {
    this.set('cr0', CR0_PE | 0x10n);
    this.makeGdt();
    this.set('idtBase', IDT);
    this.set('idtLimit', 0x7ff);
    this.setSegment(SEG_CS, KERNEL_CODE, 0, 0xffffffff, ATTR_CODE32);
    for (const segment of [SEG_SS, SEG_DS, SEG_ES, SEG_FS, SEG_GS]) {
      this.setSegment(segment, KERNEL_DATA, 0, 0xffffffff, ATTR_DATA32);
    }
    this.setSegment(SEG_TR, TSS_SELECTOR, TSS, 0x67, 0x8b);
    this.write(TSS + 4, 4, KERNEL_STACK);
    this.write(TSS + 0x66, 2, 0x68);
    this.write(TSS + 8, 4, KERNEL_DATA);
    this.call('updateMode');
    return this;
  }

  /** Back from `userMode` to the kernel of `longMode`. */
  kernelMode(): this {
    this.setSegment(SEG_CS, KERNEL_CODE, 0, 0xffffffff, ATTR_CODE64);
    this.setSegment(SEG_SS, KERNEL_DATA, 0, 0xffffffff, ATTR_DATA32);
    this.call('updateMode');
    return this;
  }

  /** CPL 3, in 64-bit or 32-bit code. */
  userMode(codeSelector = USER_CODE64): this {
    const attr = (codeSelector === USER_CODE64 ? ATTR_CODE64 : ATTR_CODE32) | 0x60;
    this.setSegment(SEG_CS, codeSelector, 0, 0xffffffff, attr);
    this.setSegment(SEG_SS, USER_DATA, 0, 0xffffffff, ATTR_DATA32 | 0x60);
    this.setSegment(SEG_DS, USER_DATA, 0, 0xffffffff, ATTR_DATA32 | 0x60);
    this.setSegment(SEG_ES, USER_DATA, 0, 0xffffffff, ATTR_DATA32 | 0x60);
    this.call('updateMode');
    return this;
  }

  /** A 16-byte gate of long mode. */
  gate64(vector: number, offset: bigint, attr = 0x8e, ist = 0, selector = KERNEL_CODE): void {
    const low =
      (offset & 0xffffn) |
      (BigInt(selector) << 16n) |
      (BigInt(ist) << 32n) |
      (BigInt(attr) << 40n) |
      (((offset >> 16n) & 0xffffn) << 48n);
    this.write(IDT + vector * 16, 8, low);
    this.write(IDT + vector * 16 + 8, 8, (offset >> 32n) & 0xffffffffn);
  }

  /** An 8-byte gate of legacy protected mode. */
  gate32(vector: number, offset: number, attr = 0x8e, selector = KERNEL_CODE): void {
    const low = BigInt(offset & 0xffff) | (BigInt(selector) << 16n);
    this.write(IDT + vector * 8, 8, low | (BigInt(attr) << 40n) | (BigInt(offset >>> 16) << 48n));
  }

  /** Raises an exception as generated code does, and delivers it. */
  deliver(vector: number, error = 0): number {
    this.set('exception', vector + 1);
    this.set('exceptionError', error);
    return this.call('deliverException');
  }

  /** `count` values of `bytes` from the stack pointer upwards (flat or based stack, no paging tricks). */
  stack(count: number, bytes: number, base = 0): bigint[] {
    return Array.from({ length: count }, (_, i) =>
      this.read(base + Number(this.reg(4) & 0xffffffn) + i * bytes, bytes),
    );
  }
}
