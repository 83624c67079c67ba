/** Where things are below 1 MiB when a kernel is started without firmware. */

/** BIOS data area: a few words that kernels still read. */
export const BIOS_DATA_AREA = 0x400;
export const BOOT_GDT = 0x1000;
/** PVH's hvm_start_info, module list and memory map. */
export const PVH_START_INFO = 0x2000;
/** Linux's boot_params ("zero page"). */
export const ZERO_PAGE = 0x7000;
/** Identity map: PML4, PDPT, four page directories. */
export const PAGE_TABLES = 0x9000;
/** Top of a small stack, for kernels that use one before they have their own. */
export const BOOT_STACK_TOP = 0x1_0000;
export const COMMAND_LINE = 0x2_0000;
export const COMMAND_LINE_BYTES = 0x1_0000;

/** Extended BIOS data area; conventional memory ends here. */
export const EXTENDED_BIOS_DATA_AREA = 0x9_fc00;
export const EXTENDED_BIOS_DATA_AREA_END = 0xa_0000;

/** Reserved for firmware, where the specifications have kernels look for its tables. */
export const FIRMWARE_START = 0xe_0000;
export const FIRMWARE_END = 0x10_0000;
export const ACPI_TABLES = 0xe_0000;
/** The RSDP is searched for between E0000h and FFFFFh on 16-byte boundaries (ACPI 6.5, 5.2.5.1). */
export const ACPI_RSDP = 0xf_0000;
