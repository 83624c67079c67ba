/** Offsets and bits of a type 0 configuration header (PCI Local Bus Specification 3.0, chapter 6). */
export const PCI_VENDOR_ID = 0x00;
export const PCI_DEVICE_ID = 0x02;
export const PCI_COMMAND = 0x04;
export const PCI_STATUS = 0x06;
export const PCI_REVISION_ID = 0x08;
export const PCI_CLASS_CODE = 0x09;
export const PCI_CACHE_LINE_SIZE = 0x0c;
export const PCI_LATENCY_TIMER = 0x0d;
export const PCI_HEADER_TYPE = 0x0e;
export const PCI_BAR0 = 0x10;
export const PCI_SUBSYSTEM_VENDOR_ID = 0x2c;
export const PCI_SUBSYSTEM_ID = 0x2e;
export const PCI_CAPABILITY_POINTER = 0x34;
export const PCI_INTERRUPT_LINE = 0x3c;
export const PCI_INTERRUPT_PIN = 0x3d;
/** First byte that a function may use as it likes. */
export const PCI_DEVICE_SPECIFIC = 0x40;

export const COMMAND_IO = 1 << 0;
export const COMMAND_MEMORY = 1 << 1;
export const COMMAND_BUS_MASTER = 1 << 2;
export const COMMAND_INTERRUPT_DISABLE = 1 << 10;
/** I/O, memory, bus master, parity and SERR enable, interrupt disable. */
export const COMMAND_WRITABLE = 0x0547;

export const STATUS_INTERRUPT = 1 << 3;
export const STATUS_CAPABILITIES = 1 << 4;
/** Error bits, cleared by writing one. */
export const STATUS_CLEARED = 0xf900;

export const HEADER_MULTIFUNCTION = 0x80;
export const BARS = 6;
export const BAR_IO = 1;
export const BAR_PREFETCHABLE = 8;
