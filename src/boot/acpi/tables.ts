/** ACPI's static tables (ACPI 6.5, 5.2), laid out for given addresses. */
import {
  GPE0_BYTES,
  GPE0_PORT,
  IO_APIC_BASE,
  IO_APIC_ID,
  LOCAL_APIC_BASE,
  PCI_GSIS,
  PIT_GSI,
  PM1A_CONTROL_PORT,
  PM1A_EVENT_PORT,
  PM_TIMER_PORT,
  RESET_PORT,
  RESET_VALUE,
  SCI_GSI,
} from '../../base/platform.ts';
import { ByteWriter } from '../byte-writer.ts';
import { littleEndian } from './aml.ts';
import { dsdtBody } from './dsdt.ts';

export interface AcpiMachine {
  readonly cpus: number;
  readonly serialPorts: number;
}

export interface AcpiTables {
  /** For an address on a 16-byte boundary. */
  readonly rsdp: Uint8Array;
  /** For the address `tablesAddress`, everything but the RSDP. */
  readonly tables: Uint8Array;
  /** Where each table starts in `tables`, by signature. */
  readonly offsets: Readonly<Record<string, number>>;
}

const HEADER_BYTES = 36;
const OEM_ID = 'VIRTAB';
const OEM_TABLE_ID = 'VIRTABPC';
const CREATOR_ID = 'VTAB';

export function acpiTables(machine: AcpiMachine, tablesAddress: number): AcpiTables {
  const parts: Uint8Array[] = [];
  const offsets: Record<string, number> = {};
  let end = 0;
  const place = (signature: string, bytes: Uint8Array): number => {
    // FACS must be on a 64-byte boundary (5.2.10); the others do not mind.
    const padding = -end & 63;
    parts.push(new Uint8Array(padding), bytes);
    offsets[signature] = end + padding;
    end += padding + bytes.length;
    return tablesAddress + offsets[signature];
  };
  const facs = place('FACS', facsTable());
  const dsdt = place('DSDT', table('DSDT', 2, dsdtBody(machine.serialPorts)));
  const fadt = place('FACP', fadtTable(facs, dsdt));
  const madt = place('APIC', madtTable(machine.cpus));
  const waet = place('WAET', waetTable());
  const listed = [fadt, madt, waet];
  const rsdt = place(
    'RSDT',
    table(
      'RSDT',
      1,
      listed.flatMap((address) => littleEndian(address, 4)),
    ),
  );
  const xsdt = place(
    'XSDT',
    table(
      'XSDT',
      1,
      listed.flatMap((address) => [...littleEndian(address, 4), 0, 0, 0, 0]),
    ),
  );
  const tables = new Uint8Array(end);
  let at = 0;
  for (const part of parts) {
    tables.set(part, at);
    at += part.length;
  }
  return { rsdp: rsdpStructure(rsdt, xsdt), tables, offsets };
}

/** System description table header (5.2.6), body, checksum. */
function table(signature: string, revision: number, body: ArrayLike<number>): Uint8Array {
  const writer = new ByteWriter(HEADER_BYTES + body.length)
    .ascii(0, signature)
    .u32(4, HEADER_BYTES + body.length)
    .u8(8, revision)
    .ascii(10, OEM_ID)
    .ascii(16, OEM_TABLE_ID)
    .u32(24, 1)
    .ascii(28, CREATOR_ID)
    .u32(32, 1)
    .put(HEADER_BYTES, body);
  return withChecksum(writer, 9, 0, HEADER_BYTES + body.length);
}

/** The bytes from `from` to `to` add up to 0 mod 256. */
function withChecksum(writer: ByteWriter, at: number, from: number, to: number): Uint8Array {
  writer.u8(at, 0);
  const sum = writer.bytes.subarray(from, to).reduce((total, byte) => total + byte, 0);
  writer.u8(at, -sum & 0xff);
  return writer.bytes;
}

/** Root system description pointer, revision 2 (5.2.5.3). */
function rsdpStructure(rsdt: number, xsdt: number): Uint8Array {
  const writer = new ByteWriter(36)
    .ascii(0, 'RSD PTR ')
    .ascii(9, OEM_ID)
    .u8(15, 2)
    .u32(16, rsdt)
    .u32(20, 36)
    .u64(24, xsdt);
  withChecksum(writer, 8, 0, 20);
  return withChecksum(writer, 32, 0, 36);
}

/** Firmware ACPI control structure (5.2.10): no checksum; nothing in it is used without sleep states. */
function facsTable(): Uint8Array {
  return new ByteWriter(64).ascii(0, 'FACS').u32(4, 64).u8(32, 1).bytes;
}

/** FADT flags (5.2.9, "Fixed ACPI Description Table Fixed Feature Flags"). */
const FADT_WBINVD = 1 << 0;
const FADT_PROC_C1 = 1 << 2;
/** No sleep button; the power button is a fixed one (bit 4 clear). */
const FADT_SLP_BUTTON = 1 << 5;
const FADT_TMR_VAL_EXT = 1 << 8;
const FADT_RESET_REG_SUP = 1 << 10;

/** IAPC_BOOT_ARCH (5.2.9.3): there are ISA devices; there is no 8042, VGA, or ASPM to probe for. */
const BOOT_LEGACY_DEVICES = 1 << 0;
const BOOT_VGA_NOT_PRESENT = 1 << 2;
const BOOT_NO_ASPM = 1 << 4;

/** FADT of ACPI 3.0: the newest revision that old guests take and new ones have no objection to. */
const FADT_REVISION = 3;
const FADT_BYTES = 244;
/** Latencies above these mean that C2 and C3 are not there. */
const NO_C2 = 101;
const NO_C3 = 1001;
/** Index of the century in CMOS, as on every PC. */
const RTC_CENTURY = 0x32;

function fadtTable(facs: number, dsdt: number): Uint8Array {
  const at = (offset: number): number => offset - HEADER_BYTES;
  const body = new ByteWriter(FADT_BYTES - HEADER_BYTES)
    .u32(at(36), facs)
    .u32(at(40), dsdt)
    .u16(at(46), SCI_GSI)
    // SMI_CMD, ACPI_ENABLE and ACPI_DISABLE stay 0: the machine is in ACPI mode from the start.
    .u32(at(56), PM1A_EVENT_PORT)
    .u32(at(64), PM1A_CONTROL_PORT)
    .u32(at(76), PM_TIMER_PORT)
    .u32(at(80), GPE0_PORT)
    .u8(at(88), 4) // PM1_EVT_LEN
    .u8(at(89), 2) // PM1_CNT_LEN
    .u8(at(91), 4) // PM_TMR_LEN
    .u8(at(92), GPE0_BYTES)
    .u16(at(96), NO_C2)
    .u16(at(98), NO_C3)
    .u8(at(108), RTC_CENTURY)
    .u16(at(109), BOOT_LEGACY_DEVICES | BOOT_VGA_NOT_PRESENT | BOOT_NO_ASPM)
    .u32(at(112), FADT_WBINVD | FADT_PROC_C1 | FADT_SLP_BUTTON | FADT_TMR_VAL_EXT | FADT_RESET_REG_SUP)
    .put(at(116), ioAddress(RESET_PORT, 1))
    .u8(at(128), RESET_VALUE)
    .u64(at(132), facs)
    .u64(at(140), dsdt)
    .put(at(148), ioAddress(PM1A_EVENT_PORT, 4))
    .put(at(172), ioAddress(PM1A_CONTROL_PORT, 2))
    .put(at(208), ioAddress(PM_TIMER_PORT, 4))
    .put(at(220), ioAddress(GPE0_PORT, GPE0_BYTES));
  return table('FACP', FADT_REVISION, body.bytes);
}

/** Generic address structure (5.2.3.2) of an I/O port block. */
function ioAddress(port: number, bytes: number): number[] {
  const SYSTEM_IO = 1;
  const accessSize = Math.min(bytes, 4) === 4 ? 3 : bytes;
  return [SYSTEM_IO, bytes * 8, 0, accessSize, ...littleEndian(port, 4), 0, 0, 0, 0];
}

const MADT_LOCAL_APIC = 0;
const MADT_IO_APIC = 1;
const MADT_INTERRUPT_OVERRIDE = 2;
const MADT_LOCAL_APIC_NMI = 4;
/** There are 8259s too (5.2.12, PCAT_COMPAT). */
const MADT_PCAT_COMPAT = 1;
const CPU_ENABLED = 1;
/** MPS INTI flags (5.2.12.5): polarity in bits 0-1, trigger mode in bits 2-3. */
const CONFORMS_TO_BUS = 0;
const ACTIVE_HIGH_LEVEL = 0x0d;
const ALL_PROCESSORS = 0xff;

function madtTable(cpus: number): Uint8Array {
  const levelLines = [SCI_GSI, ...new Set(PCI_GSIS)].toSorted((a, b) => a - b);
  const body = [
    ...littleEndian(LOCAL_APIC_BASE, 4),
    ...littleEndian(MADT_PCAT_COMPAT, 4),
    ...Array.from({ length: cpus }, (_, cpu) => [
      MADT_LOCAL_APIC,
      8,
      cpu,
      cpu,
      ...littleEndian(CPU_ENABLED, 4),
    ]).flat(),
    ...ioApic(),
    ...interruptOverride(0, PIT_GSI, CONFORMS_TO_BUS),
    ...levelLines.flatMap((line) => interruptOverride(line, line, ACTIVE_HIGH_LEVEL)),
    // NMI comes in on LINT1 of every processor.
    MADT_LOCAL_APIC_NMI,
    6,
    ALL_PROCESSORS,
    ...littleEndian(CONFORMS_TO_BUS, 2),
    1,
  ];
  return table('APIC', 3, body);
}

function ioApic(): number[] {
  const FIRST_GSI = 0;
  return [MADT_IO_APIC, 12, IO_APIC_ID, 0, ...littleEndian(IO_APIC_BASE, 4), ...littleEndian(FIRST_GSI, 4)];
}

function interruptOverride(irq: number, gsi: number, flags: number): number[] {
  const ISA_BUS = 0;
  return [MADT_INTERRUPT_OVERRIDE, 10, ISA_BUS, irq, ...littleEndian(gsi, 4), ...littleEndian(flags, 2)];
}

/** Windows ACPI emulated devices table: one read of the PM timer is enough. */
function waetTable(): Uint8Array {
  const PM_TIMER_GOOD = 1 << 1;
  return table('WAET', 1, littleEndian(PM_TIMER_GOOD, 4));
}
