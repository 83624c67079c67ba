/**
 * Multiboot Specification version 0.6.96 ("Multiboot 1"): kernels in 32-bit ELF, or in any format whose header has the address
 * fields (the "a.out kludge"). Names are those of the specification; the choices that it leaves open are QEMU's.
 */
import type { Result } from '../base/result.ts';
import { success } from '../base/result.ts';
import { encodeUtf8 } from '../base/utf8.ts';
import { CR0_ET, CR0_PE, RFLAGS_FIXED } from '../layout/registers.ts';
import { bootError } from './boot-error.ts';
import type { BootError } from './boot-error.ts';
import type { BootModule, BootRequest } from './boot-request.ts';
import { ByteWriter } from './byte-writer.ts';
import { memoryMap } from './e820.ts';
import { isElf, parseElf, physicalEntry } from './elf.ts';
import { checkLoads, load } from './load.ts';
import type { Load } from './load.ts';
import { EXTENDED_BIOS_DATA_AREA } from './low-memory.ts';
import { isFree, placeModules } from './multiboot-place.ts';
import {
  EMPTY_LDT,
  RAX,
  RBX,
  RSP,
  codeSegment32,
  dataSegment,
  descriptorOf,
  generalRegisters,
  taskSegment,
} from './start-state.ts';
import type { StartState } from './start-state.ts';

/** 3.1: the header lies in the first 8,192 bytes, on a 4-byte boundary. */
const SEARCH_BYTES = 8192;
const HEADER_MAGIC = 0x1bad_b002;
const BOOTLOADER_MAGIC = 0x2bad_b002;

/** 3.1.2: bits 0 to 15 are demands that the loader must know and meet, bits 16 to 31 may be ignored. */
const PAGE_ALIGN = 1 << 0;
const MEMORY_INFO = 1 << 1;
const VIDEO_MODE = 1 << 2;
const AOUT_KLUDGE = 1 << 16;
const DEMANDS = 0xffff;

/** Offsets in the header. */
const FLAGS = 4;
const CHECKSUM = 8;
const HEADER_ADDR = 12;
const LOAD_ADDR = 16;
const LOAD_END_ADDR = 20;
const BSS_END_ADDR = 24;
const ENTRY_ADDR = 28;

/** 3.3: bits of `flags` in the boot information. */
const INFO_MEMORY = 1 << 0;
const INFO_CMDLINE = 1 << 2;
const INFO_MODS = 1 << 3;
const INFO_MEM_MAP = 1 << 6;
const INFO_BOOT_LOADER_NAME = 1 << 9;

const INFO_BYTES = 116;
const MODULE_BYTES = 16;
/** `size` does not count itself. */
const MAP_ENTRY_BYTES = 24;
const MAP_ENTRY_SIZE = 20;
const LOADER_NAME = 'Virtab';

/** A stack that the specification does not promise, for kernels that push before they have their own. */
const STACK_BYTES = 0x1000;
/** Where the boot information goes, unless the kernel is there. */
const INFO_HOME = 0x1000;

const ADVICE_DAMAGED = 'Copy or build the kernel again; the file seems to be damaged.';

export interface MultibootHeader {
  /** In the file. */
  readonly offset: number;
  readonly flags: number;
}

/** The header with a right checksum; undefined for other files, and for one that is cut off in the header. */
export function findMultibootHeader(file: Uint8Array): MultibootHeader | undefined {
  const view = viewOf(file);
  const end = Math.min(file.length, SEARCH_BYTES);
  for (let offset = 0; offset + HEADER_ADDR <= end; offset += 4) {
    if (view.getUint32(offset, true) !== HEADER_MAGIC) continue;
    const flags = view.getUint32(offset + FLAGS, true);
    if (((HEADER_MAGIC + flags + view.getUint32(offset + CHECKSUM, true)) & 0xffff_ffff) === 0)
      return { offset, flags };
  }
  return undefined;
}

export interface MultibootBoot {
  readonly loads: readonly Load[];
  readonly start: StartState;
}

interface KernelImage {
  readonly loads: readonly Load[];
  readonly entry: number;
}

export function planMultiboot(
  header: MultibootHeader,
  request: BootRequest,
): Result<MultibootBoot, BootError> {
  const unknown = header.flags & DEMANDS & ~(PAGE_ALIGN | MEMORY_INFO | VIDEO_MODE);
  if (unknown !== 0) {
    return bootError(
      'unsupported',
      `The kernel's multiboot header demands something that the specification does not know (flags 0x${hex(unknown)}).`,
      'Build it for Multiboot 1, version 0.6.96 or older.',
    );
  }
  const image =
    (header.flags & AOUT_KLUDGE) === 0
      ? elfImage(request.kernel)
      : addressedImage(request.kernel, header.offset);
  if (!image.ok) return image;
  const { loads: kernel, entry } = image.value;
  const inRam = checkLoads(kernel, request.ramBytes);
  if (!inRam.ok) return inRam;
  if (!kernel.some(({ gpa, memoryBytes }) => entry >= gpa && entry < gpa + memoryBytes)) {
    return bootError(
      'bad-kernel',
      `The kernel's entry point 0x${hex(entry)} lies outside of what it loads.`,
      ADVICE_DAMAGED,
    );
  }
  const modules = modulesOf(request);
  const placed = placeModules(
    kernel,
    modules.map(({ bytes }) => bytes.length),
    request.ramBytes,
  );
  if (!placed.ok) return placed;
  const { addresses, end } = placed.value;

  const information: Information = {
    commandLine: [request.kernelName ?? 'kernel', request.commandLine].filter(Boolean).join(' '),
    modules: modules.map((module, index) => ({ ...module, address: addresses[index]! })),
    ramBytes: request.ramBytes,
  };
  const size = bootInformation(information, 0).length;
  // Its addresses are absolute: it is laid out again when its place is known. A kernel may be in low memory itself, and a
  // command line may be long: then the information goes behind everything, where QEMU always has it.
  const isHomeFree =
    INFO_HOME + size + STACK_BYTES <= EXTENDED_BIOS_DATA_AREA &&
    isFree(kernel, INFO_HOME, size + STACK_BYTES);
  const at = isHomeFree ? INFO_HOME : end;
  const stackTop = (at + size + STACK_BYTES) & ~15;
  return success({
    loads: [
      ...kernel,
      ...modules.map((module, index) =>
        load(`The module "${module.commandLine}"`, addresses[index]!, module.bytes),
      ),
      load('The multiboot information', at, bootInformation(information, at), stackTop - at),
    ],
    start: entryState(entry, at, stackTop),
  });
}

/** The modules by the words of the user, or the one initrd as the only module. */
function modulesOf({ modules, initrd }: BootRequest): readonly BootModule[] {
  if (modules !== undefined) return modules;
  return initrd === undefined ? [] : [{ commandLine: 'initrd', bytes: initrd }];
}

function elfImage(file: Uint8Array): Result<KernelImage, BootError> {
  if (!isElf(file)) {
    return bootError(
      'bad-kernel',
      "The kernel's multiboot header has no address fields (flag 16), and the file is not ELF: where to load it is unknown.",
      'Link the kernel as a 32-bit ELF executable, or set flag 16 and fill in the address fields.',
    );
  }
  const elf = parseElf(file);
  if (!elf.ok) return bootError('bad-kernel', `The kernel ${elf.error}.`, ADVICE_DAMAGED);
  if (elf.value.is64Bit) {
    return bootError(
      'unsupported',
      'The kernel is a 64-bit ELF file; Multiboot 1 enters 32-bit code and takes 32-bit ELF files.',
      'Convert it: objcopy -O elf32-i386 kernel kernel32 keeps its code as it is.',
    );
  }
  return success({
    loads: elf.value.segments.map((segment) =>
      load('The kernel', segment.physicalAddress, segment.bytes, segment.memoryBytes),
    ),
    entry: physicalEntry(elf.value),
  });
}

/** 3.1.3, the address fields of the header: one piece of the file, and zeros behind it. */
function addressedImage(file: Uint8Array, offset: number): Result<KernelImage, BootError> {
  const bad = (message: string): Result<never, BootError> =>
    bootError('bad-kernel', `The kernel's multiboot header ${message}.`, ADVICE_DAMAGED);
  if (offset + ENTRY_ADDR + 4 > file.length) return bad('is cut off');
  const view = viewOf(file);
  const field = (at: number): number => view.getUint32(offset + at, true);
  const headerAddress = field(HEADER_ADDR);
  const address = field(LOAD_ADDR);
  const behindStart = headerAddress - address;
  if (behindStart < 0) {
    return bad(`says that loading begins at 0x${hex(address)}, behind the header (0x${hex(headerAddress)})`);
  }
  const fileStart = offset - behindStart;
  if (fileStart < 0) {
    return bad(
      `is at byte ${offset} of the file but claims to be ${behindStart} bytes behind the start of what is loaded`,
    );
  }
  // 0: text and data go to the end of the file; and there is no bss.
  const loadEnd = field(LOAD_END_ADDR) || address + file.length - fileStart;
  const bssEnd = field(BSS_END_ADDR) || loadEnd;
  if (loadEnd < headerAddress + HEADER_ADDR) {
    return bad(`says that loading ends at 0x${hex(loadEnd)}, before the end of the header`);
  }
  if (bssEnd < loadEnd) {
    return bad(`says that the bss ends at 0x${hex(bssEnd)}, before the data does (0x${hex(loadEnd)})`);
  }
  const fileEnd = fileStart + loadEnd - address;
  if (fileEnd > file.length) {
    return bootError(
      'bad-kernel',
      `The kernel is truncated: its header announces ${fileEnd} bytes, the file has ${file.length}.`,
      ADVICE_DAMAGED,
    );
  }
  return success({
    loads: [load('The kernel', address, file.subarray(fileStart, fileEnd), bssEnd - address)],
    entry: field(ENTRY_ADDR),
  });
}

interface Information {
  readonly commandLine: string;
  readonly modules: readonly (BootModule & { readonly address: number })[];
  readonly ramBytes: number;
}

const CODE = codeSegment32(0x8);
const DATA = dataSegment(0x10);
const TSS = taskSegment(0x18);
/** The GDT is in front of the information. */
const GDT_BYTES = 4 * 8;

/** 3.3, with a GDT that the entry state agrees with: for a place at `at`. */
function bootInformation({ commandLine, modules, ramBytes }: Information, at: number): Uint8Array {
  const map = memoryMap(ramBytes);
  const modulesOffset = GDT_BYTES + INFO_BYTES;
  const mapOffset = modulesOffset + modules.length * MODULE_BYTES;
  const textOffset = mapOffset + map.length * MAP_ENTRY_BYTES;
  const texts = [LOADER_NAME, commandLine, ...modules.map((module) => module.commandLine)].map((text) =>
    encodeUtf8(`${text}\0`),
  );
  const textAt: number[] = [];
  let end = textOffset;
  for (const text of texts) {
    textAt.push(end);
    end += text.length;
  }
  const out = new ByteWriter(end);
  for (const segment of [CODE, DATA, TSS]) {
    const [low, high] = descriptorOf(segment);
    out.u32(segment.selector, low).u32(segment.selector + 4, high);
  }
  out
    .u32(GDT_BYTES, INFO_MEMORY | INFO_CMDLINE | INFO_MODS | INFO_MEM_MAP | INFO_BOOT_LOADER_NAME)
    .u32(GDT_BYTES + 4, EXTENDED_BIOS_DATA_AREA / 1024) // mem_lower
    .u32(GDT_BYTES + 8, (ramBytes - 0x10_0000) / 1024) // mem_upper
    .u32(GDT_BYTES + 16, at + textAt[1]!) // cmdline
    .u32(GDT_BYTES + 20, modules.length)
    .u32(GDT_BYTES + 24, at + modulesOffset)
    .u32(GDT_BYTES + 44, map.length * MAP_ENTRY_BYTES)
    .u32(GDT_BYTES + 48, at + mapOffset)
    .u32(GDT_BYTES + 64, at + textAt[0]!); // boot_loader_name
  modules.forEach((module, index) => {
    out
      .u32(modulesOffset + index * MODULE_BYTES, module.address)
      .u32(modulesOffset + index * MODULE_BYTES + 4, module.address + module.bytes.length)
      .u32(modulesOffset + index * MODULE_BYTES + 8, at + textAt[2 + index]!);
  });
  map.forEach((entry, index) => {
    const entryAt = mapOffset + index * MAP_ENTRY_BYTES;
    out
      .u32(entryAt, MAP_ENTRY_SIZE)
      .u64(entryAt + 4, entry.start)
      .u64(entryAt + 12, entry.bytes)
      .u32(entryAt + 20, entry.type);
  });
  texts.forEach((text, index) => out.put(textAt[index]!, text));
  return out.bytes;
}

/** 3.2: 32-bit protected mode, paging off, interrupts off, flat segments, EAX = magic, EBX = information. */
function entryState(entry: number, at: number, stackTop: number): StartState {
  return {
    general: generalRegisters({ [RAX]: BOOTLOADER_MAGIC, [RBX]: at + GDT_BYTES, [RSP]: stackTop }),
    rip: entry,
    rflags: RFLAGS_FIXED,
    segments: {
      es: DATA,
      cs: CODE,
      ss: DATA,
      ds: DATA,
      fs: DATA,
      gs: DATA,
      ldtr: EMPTY_LDT,
      tr: TSS,
    },
    gdt: { base: at, limit: GDT_BYTES - 1 },
    idt: { base: 0, limit: 0 },
    cr0: CR0_PE + CR0_ET,
    cr3: 0,
    cr4: 0,
    efer: 0,
  };
}

function hex(value: number): string {
  return value.toString(16);
}

function viewOf(file: Uint8Array): DataView {
  return new DataView(file.buffer, file.byteOffset, file.byteLength);
}
