/**
 * The I/O APIC (82093AA data sheet, 290566; the EOI register is that of version 20h). 24 pins. A pin's polarity is
 * the board's business: `setPin` says whether the line is asserted. The caller holds the irqchip lock.
 */
import type { Views } from '../base/views.ts';
import { IO_APIC_LINES } from '../base/platform.ts';
import { IOAPIC, IOAPIC_ADDRESS } from '../layout/irqchip.ts';
import { DELIVERY_FIXED, DELIVERY_LOWEST } from './line.ts';
import type { InterruptMessage } from './line.ts';

const BASE = IOAPIC_ADDRESS >>> 2;
const ID = BASE + (IOAPIC.at.id >>> 2);
const SELECT = BASE + (IOAPIC.at.select >>> 2);
const LINES = BASE + (IOAPIC.at.lines >>> 2);
const LOW = BASE + (IOAPIC.at.redirectionLow >>> 2);
const HIGH = BASE + (IOAPIC.at.redirectionHigh >>> 2);

/** 24 entries, version 20h: has an EOI register. */
const VERSION = ((IO_APIC_LINES - 1) << 16) | 0x20;

const LOGICAL = 1 << 11;
const REMOTE_IRR = 1 << 14;
const LEVEL = 1 << 15;
const MASKED = 1 << 16;
/** Vector, delivery mode, destination mode, polarity, trigger mode, mask; 12 and 14 are read-only. */
const WRITABLE = 0x1afff;

const IOREGSEL = 0x00;
const IOWIN = 0x10;
const IOEOI = 0x40;

export class IoApic {
  readonly #u32: Uint32Array;
  readonly #deliver: (message: InterruptMessage) => void;

  constructor(views: Views, deliver: (message: InterruptMessage) => void) {
    this.#u32 = views.u32;
    this.#deliver = deliver;
  }

  reset(): void {
    this.#u32.fill(0, BASE, BASE + (IOAPIC.size >>> 2));
    this.#u32.fill(MASKED, LOW, LOW + IO_APIC_LINES);
  }

  setPin(pin: number, asserted: boolean): void {
    const u32 = this.#u32;
    const bit = 1 << pin;
    const rising = asserted && (u32[LINES]! & bit) === 0;
    if (asserted) u32[LINES]! |= bit;
    else u32[LINES]! &= ~bit;
    const entry = u32[LOW + pin]!;
    if ((entry & LEVEL) !== 0) this.#serveLevel(pin);
    // An edge on a masked pin is lost (data sheet 3.2.4, bit 16).
    else if (rising && (entry & MASKED) === 0) this.#send(pin);
  }

  /** A local APIC's EOI of a level-triggered vector, or a write to our EOI register. */
  endOfInterrupt(vector: number): void {
    const u32 = this.#u32;
    for (let pin = 0; pin < IO_APIC_LINES; pin++) {
      const entry = u32[LOW + pin]!;
      if ((entry & 0xff) !== vector || (entry & LEVEL) === 0) continue;
      u32[LOW + pin] = entry & ~REMOTE_IRR;
      this.#serveLevel(pin);
    }
  }

  read(offset: number): number {
    if (offset === IOREGSEL) return this.#u32[SELECT]!;
    return offset === IOWIN ? this.#readRegister(this.#u32[SELECT]!) : 0;
  }

  write(offset: number, value: number): void {
    if (offset === IOREGSEL) this.#u32[SELECT] = value & 0xff;
    else if (offset === IOWIN) this.#writeRegister(this.#u32[SELECT]!, value);
    else if (offset === IOEOI) this.endOfInterrupt(value & 0xff);
  }

  #readRegister(index: number): number {
    const u32 = this.#u32;
    if (index === 0) return u32[ID]!;
    if (index === 1) return VERSION;
    // IOAPICARB holds the ID.
    if (index === 2) return u32[ID]!;
    const pin = (index - 0x10) >>> 1;
    if (index < 0x10 || pin >= IO_APIC_LINES) return 0xffffffff;
    return u32[((index & 1) !== 0 ? HIGH : LOW) + pin]!;
  }

  #writeRegister(index: number, value: number): void {
    const u32 = this.#u32;
    if (index === 0) u32[ID] = value & 0x0f000000;
    const pin = (index - 0x10) >>> 1;
    if (index < 0x10 || pin >= IO_APIC_LINES) return;
    if ((index & 1) !== 0) {
      u32[HIGH + pin] = value & 0xff000000;
      return;
    }
    // Remote IRR has a meaning for level pins only: guests clear a stuck one by a turn through edge mode.
    const remote = (value & LEVEL) !== 0 ? u32[LOW + pin]! & REMOTE_IRR : 0;
    u32[LOW + pin] = (value & WRITABLE) | remote;
    if ((value & LEVEL) !== 0) this.#serveLevel(pin);
  }

  /** Sends if the pin is asserted, unmasked and the last message has been answered by an EOI. */
  #serveLevel(pin: number): void {
    const u32 = this.#u32;
    const entry = u32[LOW + pin]!;
    if ((u32[LINES]! & (1 << pin)) === 0 || (entry & (MASKED | REMOTE_IRR)) !== 0) return;
    const mode = (entry >>> 8) & 7;
    // Only fixed and lowest-priority messages are accepted with an EOI to come.
    if (mode === DELIVERY_FIXED || mode === DELIVERY_LOWEST) u32[LOW + pin] = entry | REMOTE_IRR;
    this.#send(pin);
  }

  #send(pin: number): void {
    const entry = this.#u32[LOW + pin]!;
    const destination = this.#u32[HIGH + pin]! >>> 24;
    this.#deliver({
      vector: entry & 0xff,
      mode: (entry >>> 8) & 7,
      logical: (entry & LOGICAL) !== 0,
      destination,
      broadcast: destination === 0xff,
      level: (entry & LEVEL) !== 0,
    });
  }
}
