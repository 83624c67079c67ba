/** The state of the board's devices in shared memory, at DEVICES_BASE. Each is under its own lock, the first word. */
import { DEVICES_BASE } from './map.ts';
import { struct } from './struct.ts';

/** The guest clock's shared parameters: see time/clock.ts. */
export const CLOCK = struct({
  /** Odd while a thread changes the rest. */
  sequence: 'i32',
  paused: 'i32',
  /** Guest time = host time - offset, in ns: offsetHigh * 2^32 + offsetLow. */
  offsetHigh: 'i32',
  offsetLow: 'u32',
});
export const CLOCK_ADDRESS = DEVICES_BASE;

/** A 16550A. */
export const UART = struct({
  lock: 'i32',
  interruptEnable: 'u32',
  fifoControl: 'u32',
  lineControl: 'u32',
  modemControl: 'u32',
  /** Sticky error bits of the line status register. */
  lineErrors: 'u32',
  modemStatus: 'u32',
  scratch: 'u32',
  divisor: 'u32',
  /** The transmitter-empty interrupt is pending. */
  transmitterInterrupt: 'u32',
  /** RTS was raised once: from then on the sender obeys it. */
  handshake: 'u32',
  receiveCount: 'u32',
  receiveHead: 'u32',
  transmitCount: 'u32',
  transmitHead: 'u32',
  line: 'u32',
  receive: ['u8', 16],
  transmit: ['u8', 16],
  /** Before this guest time no more input is taken from the ring. */
  nextReceive: 'f64',
  /** When to look again whether the output ring has room. */
  nextTransmit: 'f64',
});
const UARTS_ADDRESS = DEVICES_BASE + 0x1000;
export const MAX_UARTS = 4;

export function uartAddress(index: number): number {
  return UARTS_ADDRESS + index * 0x100;
}

/** The MC146818 and its 128 bytes. */
export const RTC = struct({
  lock: 'i32',
  index: 'u32',
  /** Bit 7 of port 70h: NMI masked. */
  nmiMask: 'u32',
  line: 'u32',
  /** Milliseconds added to the host's wall clock: what the guest's writes amount to. */
  offset: 'f64',
  /** Second since the epoch up to which update and alarm flags are accounted for. */
  lastSecond: 'f64',
  /** Period of the periodic interrupt, counted from power-on, that PF is accounted for. */
  lastPeriod: 'f64',
  /** When an enabled interrupt is due, in guest ns. */
  deadline: 'f64',
  ram: ['u8', 128],
});
export const RTC_ADDRESS = DEVICES_BASE + 0x1800;

export const ACPI = struct({
  lock: 'i32',
  pm1Status: 'u32',
  pm1Enable: 'u32',
  pm1Control: 'u32',
  gpeStatus: 'u32',
  gpeEnable: 'u32',
  /** Level of the SCI line. */
  line: 'u32',
  pad: 'u32',
  /** Times that bit 31 of the PM timer has changed, as far as TMR_STS accounts for. */
  timerHalves: 'f64',
});
export const ACPI_ADDRESS = DEVICES_BASE + 0x1a00;

export const I8042 = struct({
  lock: 'i32',
  /** Command that the next write to port 60h belongs to, 0 = none. */
  pendingCommand: 'u32',
  /** Controller command byte. */
  config: 'u32',
  status: 'u32',
  /** What port 60h reads. */
  output: 'u32',
});
export const I8042_ADDRESS = DEVICES_BASE + 0x1b00;

/** The board's control ports: 92h, CF9h, 80h. */
export const BOARD = struct({
  /** 1: address line 20 passes. Port 92h and the keyboard controller both switch it; the last one wins. */
  a20: 'u32',
  port92: 'u32',
  /** Port CF9h. */
  resetControl: 'u32',
  /** Last code written to port 80h. */
  post: 'u32',
});
export const BOARD_ADDRESS = DEVICES_BASE + 0x1b80;

/** PCI bus 0: the address latch and each function's configuration space and BAR state. */
export const PCI = struct({
  lock: 'i32',
  /** Port CF8h. */
  address: 'u32',
  /** Bumped when a BAR or a decode-enable bit changes: threads then look at the BARs anew. */
  generation: 'i32',
});
export const PCI_ADDRESS = DEVICES_BASE + 0x2000;
export const PCI_FUNCTION = struct({
  config: ['u8', 256],
  /** Which bits the guest may change, and which it clears by writing 1. */
  writable: ['u8', 256],
  clearOnOne: ['u8', 256],
  /** 1 while the function asserts its INTx. */
  interrupt: 'u32',
});
export const MAX_PCI_FUNCTIONS = 64;
const PCI_FUNCTIONS_ADDRESS = DEVICES_BASE + 0x4000;

export function pciFunctionAddress(slot: number): number {
  return PCI_FUNCTIONS_ADDRESS + slot * 0x400;
}

/** Model-specific registers of a vCPU that the core does not need: vcpu/msr.ts. */
export const MSR_STATE = struct({
  mtrrDefault: 'u64',
  /** 250h, 258h, 259h, 268h-26Fh. */
  mtrrFixed: ['u64', 11],
  /** 200h-20Fh: base and mask in turn. */
  mtrrVariable: ['u64', 16],
  hardwareConfiguration: 'u64',
  systemConfiguration: 'u64',
  decodeConfiguration: 'u64',
  northbridgeConfiguration: 'u64',
  debugControl: 'u64',
  /** KVM's paravirtual clock: the addresses as written. */
  kvmWallClock: 'u64',
  kvmSystemTime: 'u64',
  kvmStealTime: 'u64',
  /** What the guest was told of, in ns. */
  stolenTime: 'u64',
});
const MSR_STATES_ADDRESS = DEVICES_BASE + 0x18000;

export function msrStateAddress(cpu: number): number {
  return MSR_STATES_ADDRESS + cpu * 0x400;
}
