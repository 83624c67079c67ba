/**
 * Where the machine's fixed hardware answers. The device models decode these addresses and the ACPI
 * tables announce them, so both take them from here. They are QEMU's `pc` machine's (PIIX4 power management at 600h).
 */

/** PM1a event block (PM1_STS, PM1_EN), 4 bytes. ACPI 6.5, 4.8.3.1. */
export const PM1A_EVENT_PORT = 0x600;
/** PM1a control block (PM1_CNT), 2 bytes. ACPI 6.5, 4.8.3.2. */
export const PM1A_CONTROL_PORT = 0x604;
/** PM timer, 4 bytes, 3.579545 MHz, 32 bits wide (TMR_VAL_EXT). ACPI 6.5, 4.8.3.3. */
export const PM_TIMER_PORT = 0x608;
/** General-purpose event block 0: 2 bytes of status, 2 of enable. */
export const GPE0_PORT = 0xafe0;
export const GPE0_BYTES = 4;
/** The SCI's interrupt line: level-triggered, active high in the MADT as on QEMU's `pc`. */
export const SCI_GSI = 9;
/** SLP_TYP of PM1_CNT for S5 (soft off), as on PIIX4. */
export const SLEEP_TYPE_S5 = 0;
/** Reset control register and the value that resets the machine (SYS_RST and RST_CPU). */
export const RESET_PORT = 0xcf9;
export const RESET_VALUE = 0x06;

/** Local APIC of every CPU, and the I/O APIC with its first (and only) 24 lines. */
export const LOCAL_APIC_BASE = 0xfee00000;
export const IO_APIC_BASE = 0xfec00000;
export const IO_APIC_ID = 0;
export const IO_APIC_LINES = 24;
/** The PIT's IRQ 0 is wired to this line of the I/O APIC. */
export const PIT_GSI = 2;

/** Of the time-stamp counter: what CPUID announces and the clock gives. */
export const TSC_KHZ = 1_000_000;

export const COM_PORTS = [0x3f8, 0x2f8, 0x3e8, 0x2e8] as const;
export const COM_GSIS = [4, 3, 4, 3] as const;

export const RTC_PORT = 0x70;
export const RTC_GSI = 8;

export const KEYBOARD_DATA_PORT = 0x60;
export const KEYBOARD_COMMAND_PORT = 0x64;
export const KEYBOARD_GSI = 1;
export const MOUSE_GSI = 12;

/** PCI configuration mechanism #1. */
export const PCI_ADDRESS_PORT = 0xcf8;
export const PCI_DATA_PORT = 0xcfc;
/** 32-bit window for BARs: above what RAM may use, below the I/O APIC. */
export const PCI_HOLE_START = 0xc0000000;
export const PCI_HOLE_END = 0xfec00000;
/** Lines of INTA-INTD of PCI slot n: `PCI_GSIS[(n + pin) & 3]`, level-triggered, active high as on PIIX3. */
export const PCI_GSIS = [10, 10, 11, 11] as const;
