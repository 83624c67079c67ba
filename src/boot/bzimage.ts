/**
 * bzImage by the Linux/x86 boot protocol: Documentation/arch/x86/boot.rst ("boot.rst" below) and zero-page.rst of the
 * kernel's sources. Field names are theirs.
 */
import type { Result } from '../base/result.ts';
import { success } from '../base/result.ts';
import { encodeUtf8 } from '../base/utf8.ts';
import { CR0_ET, CR0_PE, CR0_PG, CR4_PAE, EFER_LMA, EFER_LME, RFLAGS_FIXED } from '../layout/registers.ts';
import { bootError, mebibytes } from './boot-error.ts';
import type { BootError } from './boot-error.ts';
import type { BootRequest } from './boot-request.ts';
import { ByteWriter } from './byte-writer.ts';
import { memoryMap } from './e820.ts';
import { placeInitrd } from './initrd.ts';
import { load } from './load.ts';
import type { Load } from './load.ts';
import {
  ACPI_RSDP,
  BOOT_GDT,
  BOOT_STACK_TOP,
  COMMAND_LINE,
  COMMAND_LINE_BYTES,
  PAGE_TABLES,
  ZERO_PAGE,
} from './low-memory.ts';
import {
  EMPTY_LDT,
  RSI,
  RSP,
  codeSegment32,
  codeSegment64,
  dataSegment,
  descriptorOf,
  generalRegisters,
  taskSegment,
} from './start-state.ts';
import type { SegmentState, StartState } from './start-state.ts';

/** Offsets of the setup header's fields in the file, and in the zero page. */
const SETUP_SECTS = 0x1f1;
const SYSSIZE = 0x1f4;
const VID_MODE = 0x1fa;
const BOOT_FLAG = 0x1fe;
const JUMP_LENGTH = 0x201;
const HEADER = 0x202;
const VERSION = 0x206;
const TYPE_OF_LOADER = 0x210;
const LOADFLAGS = 0x211;
const CODE32_START = 0x214;
const RAMDISK_IMAGE = 0x218;
const RAMDISK_SIZE = 0x21c;
const CMD_LINE_PTR = 0x228;
const INITRD_ADDR_MAX = 0x22c;
const KERNEL_ALIGNMENT = 0x230;
const RELOCATABLE_KERNEL = 0x234;
const XLOADFLAGS = 0x236;
const CMDLINE_SIZE = 0x238;
const PREF_ADDRESS = 0x258;
const INIT_SIZE = 0x260;
/** The setup header ends here at the latest: the size of the largest known one. */
const HEADER_END_MAX = 0x290;

/** Offsets in the zero page that are not in the setup header (zero-page.rst). */
const ZERO_PAGE_BYTES = 0x1000;
const EXT_MEM_K = 0x002;
const ACPI_RSDP_ADDR = 0x070;
const ALT_MEM_K = 0x1e0;
const E820_ENTRIES = 0x1e8;
const E820_TABLE = 0x2d0;

const BOOT_FLAG_VALUE = 0xaa55;
const LOADED_HIGH = 0x01;
const XLF_KERNEL_64 = 0x01;
/** 2.12 brought xloadflags and with it the 64-bit entry. */
const VERSION_64BIT_ENTRY = 0x020c;
/** 2.10 brought pref_address and init_size. */
const VERSION_INIT_SIZE = 0x020a;
const VERSION_OLDEST = 0x0200;
const LOADER_UNDEFINED = 0xff;
const VID_MODE_NORMAL = 0xffff;
/** The 64-bit entry point is this far behind the start of the protected-mode kernel. */
const ENTRY_64_OFFSET = 0x200;

const SECTOR = 512;
const ADVICE_KERNEL =
  'Choose a bzImage for x86-64 (often named vmlinuz or bzImage), or an uncompressed vmlinux.';
const ADVICE_AGAIN = 'Copy or download the kernel again; the file seems to be damaged.';

export interface BzImage {
  /** Boot protocol, e.g. 0x020f for 2.15. */
  readonly version: number;
  /** The setup header as it is in the file, from offset 1F1h. */
  readonly setupHeader: Uint8Array;
  /** What is loaded: the protected-mode kernel. */
  readonly kernel: Uint8Array;
  readonly has64BitEntry: boolean;
  readonly initrdAddressMax: number;
  /** Longest command line, without its NUL. */
  readonly commandLineMax: number;
  readonly prefAddress: number;
  readonly initSize: number;
  readonly kernelAlignment: number;
  readonly isRelocatable: boolean;
}

export function isBzImage(file: Uint8Array): boolean {
  return file.length >= HEADER + 4 && viewOf(file).getUint32(HEADER, false) === 0x48647253; // "HdrS"
}

export function parseBzImage(file: Uint8Array): Result<BzImage, BootError> {
  if (file.length < HEADER_END_MAX) {
    return bootError(
      'bad-kernel',
      `The kernel has only ${file.length} bytes and ends inside its header.`,
      ADVICE_AGAIN,
    );
  }
  if (!isBzImage(file)) {
    return bootError(
      'bad-kernel',
      'The kernel file has no Linux boot header ("HdrS" at offset 0x202).',
      ADVICE_KERNEL,
    );
  }
  const view = viewOf(file);
  if (view.getUint16(BOOT_FLAG, true) !== BOOT_FLAG_VALUE) {
    return bootError(
      'bad-kernel',
      'The kernel has a wrong boot flag (0xAA55 at offset 0x1FE).',
      ADVICE_AGAIN,
    );
  }
  const version = view.getUint16(VERSION, true);
  const versionText = `${version >>> 8}.${(version & 0xff).toString().padStart(2, '0')}`;
  if (version < VERSION_OLDEST || version >>> 8 > 2) {
    return bootError(
      'bad-kernel',
      `The kernel says that it has boot protocol ${versionText}, which does not exist.`,
      ADVICE_AGAIN,
    );
  }
  if ((view.getUint8(LOADFLAGS) & LOADED_HIGH) === 0) {
    return bootError(
      'unsupported',
      'The kernel is a zImage, which loads below 1 MiB.',
      'Build it with "make bzImage".',
    );
  }
  if (version < VERSION_INIT_SIZE) {
    return bootError(
      'unsupported',
      `The kernel has boot protocol ${versionText}; 2.10 (Linux 2.6.31) is the oldest that can be started.`,
      'Use a newer kernel.',
    );
  }
  const headerEnd = HEADER + view.getUint8(JUMP_LENGTH);
  if (headerEnd < INIT_SIZE + 4 || headerEnd > HEADER_END_MAX) {
    return bootError(
      'bad-kernel',
      `The kernel's boot header claims to end at 0x${headerEnd.toString(16)}.`,
      ADVICE_AGAIN,
    );
  }
  // boot.rst: 0 means 4, for old kernels.
  const setupSectors = view.getUint8(SETUP_SECTS) || 4;
  const kernelOffset = (setupSectors + 1) * SECTOR;
  const kernelBytes = view.getUint32(SYSSIZE, true) * 16;
  if (kernelBytes === 0 || kernelOffset + kernelBytes > file.length) {
    return bootError(
      'bad-kernel',
      `The kernel is truncated: its header announces ${kernelOffset + kernelBytes} bytes, the file has ${file.length}.`,
      ADVICE_AGAIN,
    );
  }
  return success({
    version,
    setupHeader: file.subarray(SETUP_SECTS, headerEnd),
    kernel: file.subarray(kernelOffset, kernelOffset + kernelBytes),
    has64BitEntry: version >= VERSION_64BIT_ENTRY && (view.getUint16(XLOADFLAGS, true) & XLF_KERNEL_64) !== 0,
    initrdAddressMax: view.getUint32(INITRD_ADDR_MAX, true),
    commandLineMax: view.getUint32(CMDLINE_SIZE, true),
    prefAddress: view.getUint32(PREF_ADDRESS, true) + view.getUint32(PREF_ADDRESS + 4, true) * 0x1_0000_0000,
    initSize: view.getUint32(INIT_SIZE, true),
    kernelAlignment: view.getUint32(KERNEL_ALIGNMENT, true),
    isRelocatable: view.getUint8(RELOCATABLE_KERNEL) !== 0,
  });
}

export interface LinuxBoot {
  readonly loads: readonly Load[];
  readonly start: StartState;
}

/** Lays everything out for the 64-bit entry if the kernel has one, else for the 32-bit one (boot.rst). */
export function planLinux(image: BzImage, request: BootRequest): Result<LinuxBoot, BootError> {
  const commandLine = encodeUtf8(`${request.commandLine}\0`);
  const longest = Math.min(image.commandLineMax, COMMAND_LINE_BYTES - 1);
  if (commandLine.length - 1 > longest) {
    return bootError(
      'unsupported',
      `The kernel command line has ${commandLine.length - 1} bytes; this kernel takes ${longest}.`,
      'Shorten the text given with -append.',
    );
  }
  // A relocatable kernel may be loaded elsewhere, but moves itself to pref_address if that is higher, and lower is
  // below 16 MiB: there is nothing to be gained from another place.
  const address = image.prefAddress;
  const kernelEnd = address + Math.max(image.initSize, image.kernel.length);
  if (
    address < 0x10_0000 ||
    address % Math.max(image.kernelAlignment, 1) !== 0 ||
    kernelEnd > 0x1_0000_0000
  ) {
    return bootError(
      'bad-kernel',
      `The kernel asks to be loaded at 0x${address.toString(16)}.`,
      ADVICE_AGAIN,
    );
  }
  if (kernelEnd > request.ramBytes) {
    return bootError(
      'memory-too-small',
      `The kernel needs ${mebibytes(kernelEnd)} of memory to start, but the machine has ${mebibytes(request.ramBytes)}.`,
      `Give the machine more memory: -m ${Math.ceil(kernelEnd / 0x400_0000) * 64 + 64} or more.`,
    );
  }
  const loads: Load[] = [load('The kernel', address, image.kernel)];
  const { initrd } = request;
  let initrdAddress = 0;
  if (initrd !== undefined && initrd.length > 0) {
    const placed = placeInitrd(initrd.length, {
      ramBytes: request.ramBytes,
      kernelEnd,
      addressMax: image.initrdAddressMax,
    });
    if (!placed.ok) return placed;
    initrdAddress = placed.value;
    loads.push(load('The initrd', initrdAddress, initrd));
  }
  loads.push(
    load('The command line', COMMAND_LINE, commandLine),
    load(
      'The zero page',
      ZERO_PAGE,
      zeroPage(image, request.ramBytes, address, initrdAddress, initrd?.length ?? 0),
    ),
  );
  if (!image.has64BitEntry) {
    loads.push(load('The first GDT', BOOT_GDT, bootGdt(BOOT_CS_32)));
    return success({ loads, start: entryState32(address) });
  }
  loads.push(
    load('The first GDT', BOOT_GDT, bootGdt(BOOT_CS_64)),
    load('The first page tables', PAGE_TABLES, identityPageTables()),
  );
  return success({ loads, start: entryState64(address) });
}

/** boot.rst: __BOOT_CS and __BOOT_DS, flat and at these selectors. */
const BOOT_CS_64 = codeSegment64(0x10);
const BOOT_CS_32 = codeSegment32(0x10);
const BOOT_DS = dataSegment(0x18);
const BOOT_TSS = taskSegment(0x20);
const GDT_ENTRIES = 6;

function bootGdt(code: SegmentState): Uint8Array {
  const gdt = new ByteWriter(GDT_ENTRIES * 8);
  for (const segment of [code, BOOT_DS, BOOT_TSS]) {
    const [low, high] = descriptorOf(segment);
    gdt.u32(segment.selector, low).u32(segment.selector + 4, high);
  }
  return gdt.bytes;
}

const PRESENT_WRITABLE = 0x3;
const PAGE_SIZE_2M = 0x80;
const TABLE_BYTES = 0x1000;

/** Maps the first 4 GiB one to one with 2 MiB pages: PML4, PDPT, four page directories. */
function identityPageTables(): Uint8Array {
  const tables = new ByteWriter(6 * TABLE_BYTES);
  tables.u64(0, (PAGE_TABLES + TABLE_BYTES) | PRESENT_WRITABLE);
  for (let gigabyte = 0; gigabyte < 4; gigabyte++) {
    tables.u64(TABLE_BYTES + gigabyte * 8, (PAGE_TABLES + (2 + gigabyte) * TABLE_BYTES) | PRESENT_WRITABLE);
  }
  for (let page = 0; page < 2048; page++) {
    tables.u64(2 * TABLE_BYTES + page * 8, page * 0x20_0000 + (PRESENT_WRITABLE | PAGE_SIZE_2M));
  }
  return tables.bytes;
}

function zeroPage(
  image: BzImage,
  ramBytes: number,
  address: number,
  initrdAddress: number,
  initrdBytes: number,
): Uint8Array {
  const page = new ByteWriter(ZERO_PAGE_BYTES);
  page.put(SETUP_SECTS, image.setupHeader);
  page.u16(VID_MODE, VID_MODE_NORMAL);
  page.u8(TYPE_OF_LOADER, LOADER_UNDEFINED);
  page.u32(CODE32_START, address);
  page.u32(RAMDISK_IMAGE, initrdAddress);
  page.u32(RAMDISK_SIZE, initrdBytes);
  page.u32(CMD_LINE_PTR, COMMAND_LINE);
  page.u64(ACPI_RSDP_ADDR, ACPI_RSDP);
  const extendedKib = (ramBytes - 0x10_0000) / 1024;
  page.u16(EXT_MEM_K, Math.min(extendedKib, 0xffff));
  page.u32(ALT_MEM_K, extendedKib);
  const map = memoryMap(ramBytes);
  page.u8(E820_ENTRIES, map.length);
  map.forEach((entry, index) => {
    const at = E820_TABLE + index * 20;
    page
      .u64(at, entry.start)
      .u64(at + 8, entry.bytes)
      .u32(at + 16, entry.type);
  });
  return page.bytes;
}

/** boot.rst, "64-bit Boot Protocol": paging on, the first 4 GiB mapped one to one. */
function entryState64(address: number): StartState {
  return {
    ...entryState(BOOT_CS_64),
    rip: address + ENTRY_64_OFFSET,
    cr0: CR0_PG + CR0_PE + CR0_ET,
    cr3: PAGE_TABLES,
    cr4: CR4_PAE,
    efer: EFER_LME | EFER_LMA,
  };
}

/** boot.rst, "32-bit Boot Protocol": protected mode without paging, entered at the kernel's first byte. */
function entryState32(address: number): StartState {
  return { ...entryState(BOOT_CS_32), rip: address, cr0: CR0_PE + CR0_ET, cr3: 0, cr4: 0, efer: 0 };
}

/** What both entries have in common: flat segments, the zero page in RSI, interrupts off. */
function entryState(code: SegmentState): Omit<StartState, 'rip' | 'cr0' | 'cr3' | 'cr4' | 'efer'> {
  return {
    general: generalRegisters({ [RSI]: ZERO_PAGE, [RSP]: BOOT_STACK_TOP }),
    rflags: RFLAGS_FIXED,
    segments: {
      es: BOOT_DS,
      cs: code,
      ss: BOOT_DS,
      ds: BOOT_DS,
      fs: BOOT_DS,
      gs: BOOT_DS,
      ldtr: EMPTY_LDT,
      tr: BOOT_TSS,
    },
    gdt: { base: BOOT_GDT, limit: GDT_ENTRIES * 8 - 1 },
    idt: { base: 0, limit: 0 },
  };
}

function viewOf(file: Uint8Array): DataView {
  return new DataView(file.buffer, file.byteOffset, file.byteLength);
}
