/**
 * Uncompressed kernels by PVH: Xen's "x86/HVM direct boot ABI" (docs/misc/pvh.pandoc) and
 * public/arch-x86/hvm/start_info.h, whose field names are used here.
 */
import type { Result } from '../base/result.ts';
import { success } from '../base/result.ts';
import { encodeUtf8 } from '../base/utf8.ts';
import { CR0_ET, CR0_PE, RFLAGS_FIXED } from '../layout/registers.ts';
import { bootError } from './boot-error.ts';
import type { BootError } from './boot-error.ts';
import type { BootRequest } from './boot-request.ts';
import { ByteWriter } from './byte-writer.ts';
import { memoryMap } from './e820.ts';
import type { ElfFile } from './elf.ts';
import { placeInitrd } from './initrd.ts';
import { checkLoads, load } from './load.ts';
import type { Load } from './load.ts';
import { ACPI_RSDP, BOOT_GDT, COMMAND_LINE, COMMAND_LINE_BYTES, PVH_START_INFO } from './low-memory.ts';
import {
  EMPTY_LDT,
  RBX,
  codeSegment32,
  dataSegment,
  descriptorOf,
  generalRegisters,
  taskSegment,
} from './start-state.ts';
import type { StartState } from './start-state.ts';

const XEN_NOTE_NAME = 'Xen';
const XEN_ELFNOTE_PHYS32_ENTRY = 18;
const XEN_HVM_START_MAGIC_VALUE = 0x336ec578;
const START_INFO_VERSION = 1;

const MEMORY_MAP_ENTRY_BYTES = 24;
const MODULE_LIST = PVH_START_INFO + 0x40;
const MEMORY_MAP = PVH_START_INFO + 0x80;

/** Where Linux for i386 can still reach an initrd in its low memory; others take it anywhere below 2 GiB. */
const INITRD_MAX_32 = 0x37ff_ffff;
const INITRD_MAX_64 = 0x7fff_ffff;

/** The 32-bit entry point that XEN_ELFNOTE_PHYS32_ENTRY names, if the kernel has one. */
export function pvhEntry(elf: ElfFile): number | undefined {
  const note = elf.notes.find(
    (entry) => entry.name === XEN_NOTE_NAME && entry.type === XEN_ELFNOTE_PHYS32_ENTRY,
  );
  // 4 bytes by the ABI; Linux for x86-64 stores 8, of which the high ones are 0.
  if (note === undefined || note.description.length < 4) return undefined;
  const { buffer, byteOffset, byteLength } = note.description;
  return new DataView(buffer, byteOffset, byteLength).getUint32(0, true);
}

export interface PvhBoot {
  readonly loads: readonly Load[];
  readonly start: StartState;
}

export function planPvh(elf: ElfFile, entry: number, request: BootRequest): Result<PvhBoot, BootError> {
  const commandLine = encodeUtf8(`${request.commandLine}\0`);
  if (commandLine.length > COMMAND_LINE_BYTES) {
    return bootError(
      'unsupported',
      `The kernel command line has ${commandLine.length - 1} bytes; ${COMMAND_LINE_BYTES - 1} is the limit.`,
      'Shorten the text given with -append.',
    );
  }
  const loads: Load[] = elf.segments.map((segment) =>
    load('The kernel', segment.physicalAddress, segment.bytes, segment.memoryBytes),
  );
  const inRam = checkLoads(loads, request.ramBytes);
  if (!inRam.ok) return inRam;
  if (!loads.some(({ gpa, memoryBytes }) => entry >= gpa && entry < gpa + memoryBytes)) {
    return bootError(
      'bad-kernel',
      `The kernel's PVH entry point 0x${entry.toString(16)} lies outside of what it loads.`,
      'Copy or build the kernel again; the file seems to be damaged.',
    );
  }
  const { initrd } = request;
  let initrdAddress: number | undefined;
  if (initrd !== undefined && initrd.length > 0) {
    const placed = placeInitrd(initrd.length, {
      ramBytes: request.ramBytes,
      kernelEnd: Math.max(...loads.map(({ gpa, memoryBytes }) => gpa + memoryBytes)),
      addressMax: elf.is64Bit ? INITRD_MAX_64 : INITRD_MAX_32,
    });
    if (!placed.ok) return placed;
    initrdAddress = placed.value;
    loads.push(load('The initrd', initrdAddress, initrd));
  }
  loads.push(
    load('The command line', COMMAND_LINE, commandLine),
    load(
      'The PVH start info',
      PVH_START_INFO,
      startInfo(request.ramBytes, initrdAddress, initrd?.length ?? 0),
    ),
    load('The first GDT', BOOT_GDT, pvhGdt()),
  );
  return success({ loads, start: entryState(entry) });
}

/** hvm_start_info, hvm_modlist_entry and hvm_memmap_table_entry, one after the other. */
function startInfo(ramBytes: number, initrdAddress: number | undefined, initrdBytes: number): Uint8Array {
  const map = memoryMap(ramBytes);
  const listOffset = MODULE_LIST - PVH_START_INFO;
  const mapOffset = MEMORY_MAP - PVH_START_INFO;
  const info = new ByteWriter(mapOffset + map.length * MEMORY_MAP_ENTRY_BYTES);
  const moduleCount = initrdAddress === undefined ? 0 : 1;
  info
    .u32(0, XEN_HVM_START_MAGIC_VALUE)
    .u32(4, START_INFO_VERSION)
    .u32(8, 0) // flags
    .u32(12, moduleCount)
    .u64(16, moduleCount === 0 ? 0 : MODULE_LIST)
    .u64(24, COMMAND_LINE)
    .u64(32, ACPI_RSDP)
    .u64(40, MEMORY_MAP)
    .u32(48, map.length);
  if (initrdAddress !== undefined) info.u64(listOffset, initrdAddress).u64(listOffset + 8, initrdBytes);
  map.forEach((entry, index) => {
    const at = mapOffset + index * MEMORY_MAP_ENTRY_BYTES;
    info
      .u64(at, entry.start)
      .u64(at + 8, entry.bytes)
      .u32(at + 16, entry.type);
  });
  return info.bytes;
}

const PVH_CS = codeSegment32(0x8);
const PVH_DS = dataSegment(0x10);
const PVH_TSS = taskSegment(0x18);

/** The ABI leaves the GDT to the kernel; this one agrees with the hidden parts, for kernels that reload a segment early. */
function pvhGdt(): Uint8Array {
  const gdt = new ByteWriter(4 * 8);
  for (const segment of [PVH_CS, PVH_DS, PVH_TSS]) {
    const [low, high] = descriptorOf(segment);
    gdt.u32(segment.selector, low).u32(segment.selector + 4, high);
  }
  return gdt.bytes;
}

/** pvh.pandoc: 32-bit protected mode, paging off, flat segments, a TSS with limit 67h, EBX = start info. */
function entryState(entry: number): StartState {
  return {
    general: generalRegisters({ [RBX]: PVH_START_INFO }),
    rip: entry,
    rflags: RFLAGS_FIXED,
    segments: {
      es: PVH_DS,
      cs: PVH_CS,
      ss: PVH_DS,
      ds: PVH_DS,
      fs: PVH_DS,
      gs: PVH_DS,
      ldtr: EMPTY_LDT,
      tr: PVH_TSS,
    },
    gdt: { base: BOOT_GDT, limit: 4 * 8 - 1 },
    idt: { base: 0, limit: 0 },
    cr0: CR0_PE + CR0_ET,
    cr3: 0,
    cr4: 0,
    efer: 0,
  };
}
