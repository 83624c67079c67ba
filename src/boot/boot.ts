/**
 * From files to a machine that is ready for its first instruction: picks the boot protocol by the kernel's contents,
 * lays everything out, and writes it. Nothing is written unless all of it fits.
 */
import type { Result } from '../base/result.ts';
import { success } from '../base/result.ts';
import { acpiTables } from './acpi/tables.ts';
import { biosDataArea } from './bios-data.ts';
import { bootError } from './boot-error.ts';
import type { BootError } from './boot-error.ts';
import type { BootRequest } from './boot-request.ts';
import { isBzImage, parseBzImage, planLinux } from './bzimage.ts';
import { isElf, parseElf } from './elf.ts';
import { applyLoads, checkLoads, load } from './load.ts';
import type { BootMemory, Load } from './load.ts';
import { ACPI_RSDP, ACPI_TABLES } from './low-memory.ts';
import { findMultibootHeader, planMultiboot } from './multiboot.ts';
import { planPvh, pvhEntry } from './pvh.ts';
import type { StartState } from './start-state.ts';

export type BootProtocol = 'linux-64' | 'linux-32' | 'multiboot' | 'pvh';

export interface BootPlan {
  readonly protocol: BootProtocol;
  readonly loads: readonly Load[];
  readonly start: StartState;
}

interface ProtocolPlan {
  readonly loads: readonly Load[];
  readonly start: StartState;
}

/** Loads the guest into `memory`; the result is the state that the boot CPU starts in. */
export function bootGuest(
  memory: BootMemory,
  request: Omit<BootRequest, 'ramBytes'>,
): Result<BootPlan, BootError> {
  const plan = planBoot({ ...request, ramBytes: memory.ramBytes });
  if (plan.ok) applyLoads(memory, plan.value.loads);
  return plan;
}

/** The same without the writing. */
export function planBoot(request: BootRequest): Result<BootPlan, BootError> {
  if (isBzImage(request.kernel)) {
    const image = parseBzImage(request.kernel);
    if (!image.ok) return image;
    const protocol = image.value.has64BitEntry ? 'linux-64' : 'linux-32';
    return withPlatform(protocol, planLinux(image.value, request), request);
  }
  // Before PVH, as QEMU does: a kernel that has both entries was most often tried by this one.
  const multiboot = findMultibootHeader(request.kernel);
  if (multiboot !== undefined) {
    return withPlatform('multiboot', planMultiboot(multiboot, request), request);
  }
  if (isElf(request.kernel)) {
    const elf = parseElf(request.kernel);
    if (!elf.ok) {
      return bootError(
        'bad-kernel',
        `The kernel ${elf.error}.`,
        'Copy or build the kernel again, or choose a bzImage for x86-64.',
      );
    }
    const entry = pvhEntry(elf.value);
    if (entry === undefined) {
      return bootError(
        'unsupported',
        'The kernel is an ELF file without a multiboot header and without a PVH entry point (the note XEN_ELFNOTE_PHYS32_ENTRY).',
        'For Linux, build it with CONFIG_PVH=y, or use the bzImage (vmlinuz) of the same kernel.',
      );
    }
    return withPlatform('pvh', planPvh(elf.value, entry, request), request);
  }
  return unknownKernel(request.kernel);
}

/** True if what -initrd names are this kernel's modules: several files, each with a command line. */
export function takesModules(kernel: Uint8Array): boolean {
  return !isBzImage(kernel) && findMultibootHeader(kernel) !== undefined;
}

/** Adds what is there under every protocol: ACPI and the BIOS data area. */
function withPlatform(
  protocol: BootProtocol,
  plan: Result<ProtocolPlan, BootError>,
  request: BootRequest,
): Result<BootPlan, BootError> {
  if (!plan.ok) return plan;
  const serialPorts = request.serialPorts ?? 1;
  const acpi = acpiTables({ cpus: request.cpus, serialPorts }, ACPI_TABLES);
  const loads = [
    ...plan.value.loads,
    ...biosDataArea(serialPorts),
    load('The ACPI tables', ACPI_TABLES, acpi.tables),
    load('The ACPI root pointer', ACPI_RSDP, acpi.rsdp),
  ];
  const inRam = checkLoads(loads, request.ramBytes);
  return inRam.ok ? success({ protocol, loads, start: plan.value.start }) : inRam;
}

/** Files that people take for a kernel, by their first bytes. */
const MISTAKES: readonly {
  readonly at: number;
  readonly magic: readonly number[];
  readonly message: string;
  readonly advice: string;
}[] = [
  {
    at: 0,
    magic: [0x1f, 0x8b],
    message: 'The kernel file is gzip-compressed as a whole.',
    advice: 'Unpack it first (gunzip), or use the bzImage (vmlinuz).',
  },
  {
    at: 0,
    magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a],
    message: 'The kernel file is xz-compressed as a whole.',
    advice: 'Unpack it first (unxz), or use the bzImage (vmlinuz).',
  },
  {
    at: 0,
    magic: [0x28, 0xb5, 0x2f, 0xfd],
    message: 'The kernel file is zstd-compressed as a whole.',
    advice: 'Unpack it first (unzstd), or use the bzImage (vmlinuz).',
  },
  {
    at: 0,
    magic: [0x21, 0x3c, 0x61, 0x72, 0x63, 0x68, 0x3e],
    message: 'The kernel file is a package (ar archive, .deb).',
    advice: 'Take boot/vmlinuz-* out of it: dpkg-deb -x package.deb folder.',
  },
  {
    at: 0,
    magic: [0x30, 0x37, 0x30, 0x37, 0x30],
    message: 'The kernel file is a cpio archive: an initramfs.',
    advice: 'Give it as the initrd, and a bzImage (vmlinuz) as the kernel.',
  },
  {
    at: 0x38,
    magic: [0x41, 0x52, 0x4d, 0x64],
    message: 'The kernel is for 64-bit ARM.',
    advice: 'Use a kernel for x86-64 (Debian: amd64).',
  },
  {
    at: 0x8001,
    magic: [0x43, 0x44, 0x30, 0x30, 0x31],
    message: 'The kernel file is a CD image.',
    advice: 'Choose the kernel inside of it (often casper/vmlinuz or install.amd/vmlinuz).',
  },
  {
    at: 0x1fe,
    magic: [0x55, 0xaa],
    message: 'The kernel file is a disk image or boot sector, not a kernel.',
    advice: 'Choose a bzImage for x86-64 (often named vmlinuz or bzImage).',
  },
];

function unknownKernel(file: Uint8Array): Result<never, BootError> {
  if (file.length === 0) return bootError('bad-kernel', 'The kernel file is empty.', 'Choose another file.');
  const mistake = MISTAKES.find(({ at, magic }) => magic.every((byte, index) => file[at + index] === byte));
  return bootError(
    'bad-kernel',
    mistake?.message ??
      'The file is not a kernel: it has neither a Linux nor a multiboot header, and is no ELF file.',
    mistake?.advice ??
      'Choose a bzImage for x86-64 (often named vmlinuz or bzImage), or an uncompressed vmlinux.',
  );
}
