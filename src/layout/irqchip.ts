/**
 * The interrupt controllers' state: what any thread may touch, under the one lock `IRQCHIP.lock`.
 * Times are guest clock nanoseconds in f64; Infinity in a deadline means that nothing is due.
 */
import { IO_APIC_LINES } from '../base/platform.ts';
import { IRQCHIP_BASE } from './map.ts';
import { struct } from './struct.ts';

export const IRQCHIP = struct({
  /** See sync/lock.ts. */
  lock: 'i32',
  /** Level of each line (gsi), bit by bit. */
  lines: 'u32',
  /** Per line: which of the up to 32 devices that share it assert it. */
  inputs: ['u32', IO_APIC_LINES],
});
export const IRQCHIP_ADDRESS = IRQCHIP_BASE;

/** One 8259A. The first is the master. */
export const PIC = struct({
  irr: 'u32',
  imr: 'u32',
  isr: 'u32',
  /** Edge detector: the last level of each input. */
  lastLevel: 'u32',
  /** Input with the lowest priority is this + 7 mod 8. */
  priorityAdd: 'u32',
  /** ICW2: bits 7-3 of the vector. */
  vectorBase: 'u32',
  /** 1: OCW3 selected ISR for reads, else IRR. */
  readIsr: 'u32',
  poll: 'u32',
  specialMask: 'u32',
  /** 0: ready; 1-3: waiting for ICW2, ICW3, ICW4. */
  initState: 'u32',
  autoEoi: 'u32',
  rotateOnAutoEoi: 'u32',
  specialFullyNested: 'u32',
  /** ICW1 bit 0: an ICW4 follows. */
  icw4Needed: 'u32',
  single: 'u32',
  /** ICW1 bit 3: all inputs level triggered. */
  levelMode: 'u32',
  /** Edge/level control register (4D0h, 4D1h). */
  elcr: 'u32',
  /** Level of the INT output. */
  output: 'u32',
});
export const PIC_MASTER = IRQCHIP_BASE + 0x100;
export const PIC_SLAVE = IRQCHIP_BASE + 0x180;

export const IOAPIC = struct({
  id: 'u32',
  select: 'u32',
  /** Level of each pin. */
  lines: 'u32',
  redirectionLow: ['u32', IO_APIC_LINES],
  redirectionHigh: ['u32', IO_APIC_LINES],
});
export const IOAPIC_ADDRESS = IRQCHIP_BASE + 0x200;

export const PIT_CHANNEL = struct({
  /** Reload value: 1-65536. */
  count: 'u32',
  mode: 'u32',
  bcd: 'u32',
  /** 1 low byte, 2 high byte, 3 low then high. */
  access: 'u32',
  gate: 'u32',
  /** For access 3: the next byte is the high one. */
  readHigh: 'u32',
  writeHigh: 'u32',
  writeLatch: 'u32',
  /** Latched count; `countLatched` is how many bytes of it are left to read. */
  latchedCount: 'u32',
  countLatched: 'u32',
  latchedStatus: 'u32',
  statusLatched: 'u32',
  /** A count was loaded since the control word. */
  loaded: 'u32',
  /** Ticks counted before the gate closed (modes 0 and 4). */
  heldTicks: 'f64',
  /** Guest time at which counting started. */
  start: 'f64',
  /** A count written while the channel ran (modes 2 and 3): used from the next period on, 0 = none. */
  nextCount: 'u32',
  /** Modes 1 and 5: the gate has triggered a count. */
  triggered: 'u32',
});
export const PIT = struct({
  /** Port 61h bits 0-1 as written. */
  speaker: 'u32',
  pad: 'u32',
  /** When channel 0's output changes next. */
  deadline: 'f64',
});
export const PIT_ADDRESS = IRQCHIP_BASE + 0x400;
export const PIT_CHANNELS = IRQCHIP_BASE + 0x420;

export const LAPIC = struct({
  /** IA32_APIC_BASE, both halves. */
  baseLow: 'u32',
  baseHigh: 'u32',
  /** xAPIC ID (bits 31-24 of register 20h as written) or x2APIC ID. */
  id: 'u32',
  taskPriority: 'u32',
  logicalDestination: 'u32',
  destinationFormat: 'u32',
  spurious: 'u32',
  errorStatus: 'u32',
  /** Errors collected since the last write to the error status register. */
  errorPending: 'u32',
  commandLow: 'u32',
  commandHigh: 'u32',
  /** LVT_*: timer, thermal, performance, LINT0, LINT1, error. */
  lvt: ['u32', 6],
  divide: 'u32',
  initialCount: 'u32',
  irr: ['u32', 8],
  isr: ['u32', 8],
  tmr: ['u32', 8],
  /** Levels of LINT0 and LINT1, to see edges. */
  lint0: 'u32',
  /** An INIT arrived; a start-up IPI arrived with this vector (plus 100h). For the run loop. */
  init: 'u32',
  startup: 'u32',
  /** Guest time at which the count reaches zero. */
  timerDeadline: 'f64',
  /** IA32_TSC_DEADLINE as written, both halves. */
  tscDeadlineLow: 'u32',
  tscDeadlineHigh: 'u32',
});
export const LVT_TIMER = 0;
export const LVT_THERMAL = 1;
export const LVT_PERFORMANCE = 2;
export const LVT_LINT0 = 3;
export const LVT_LINT1 = 4;
export const LVT_ERROR = 5;

const LAPIC_FIRST = IRQCHIP_BASE + 0x1000;
const LAPIC_STRIDE = 0x400;

export function lapicAddress(index: number): number {
  return LAPIC_FIRST + index * LAPIC_STRIDE;
}
