/**
 * ACPI fixed hardware (ACPI 6.5, 4.8.3): PM1 event and control, the 32-bit PM timer, and GPE block 0.
 * The machine is in ACPI mode from power-on: SCI_EN is always set and there is no SMI command port.
 */
import type { Views } from '../base/views.ts';
import { GPE0_BYTES, GPE0_PORT, PM1A_EVENT_PORT, SLEEP_TYPE_S5 } from '../base/platform.ts';
import { NS_PER_S } from '../base/units.ts';
import type { InterruptLine } from '../irqchip/line.ts';
import { ACPI, ACPI_ADDRESS } from '../layout/devices.ts';
import { SharedLock } from '../sync/lock.ts';
import type { GuestClock } from '../time/clock.ts';
import type { TimerSource } from '../time/deadline.ts';
import type { IoBus } from './io-bus.ts';

const PM1_STATUS = (ACPI_ADDRESS + ACPI.at.pm1Status) >>> 2;
const PM1_ENABLE = (ACPI_ADDRESS + ACPI.at.pm1Enable) >>> 2;
const PM1_CONTROL = (ACPI_ADDRESS + ACPI.at.pm1Control) >>> 2;
const GPE_STATUS = (ACPI_ADDRESS + ACPI.at.gpeStatus) >>> 2;
const GPE_ENABLE = (ACPI_ADDRESS + ACPI.at.gpeEnable) >>> 2;
const LINE = (ACPI_ADDRESS + ACPI.at.line) >>> 2;
const TIMER_HALVES = (ACPI_ADDRESS + ACPI.at.timerHalves) >>> 3;

export const PM_TIMER_HZ = 3_579_545;
/** TMR_STS is set whenever the most significant bit changes. */
const HALF_TICKS = 2 ** 31;

const STATUS_TIMER = 1 << 0;
const STATUS_POWER_BUTTON = 1 << 8;
/** Timer, bus master, global, power button, sleep button, RTC, wake. */
const STATUS_BITS = 0x8731;
const ENABLE_BITS = 0x0721;
const CONTROL_SCI_ENABLE = 1 << 0;
const CONTROL_SLEEP_TYPE_SHIFT = 10;
const CONTROL_SLEEP_ENABLE = 1 << 13;
/** Bus master reload, global release (reads as zero), sleep type. */
const CONTROL_KEPT = 0x1c02;

/** The PIIX4's block is 64 bytes; what is not PM1 or the timer reads as zero. */
const BLOCK_BYTES = 64;
const TIMER_OFFSET = 8;

export interface AcpiPmOptions {
  readonly views: Views;
  readonly clock: GuestClock;
  /** The SCI. */
  readonly line: InterruptLine;
  readonly powerOff: () => void;
}

export class AcpiPm implements TimerSource {
  readonly #u32: Uint32Array;
  readonly #f64: Float64Array;
  readonly #lock: SharedLock;
  readonly #clock: GuestClock;
  readonly #line: InterruptLine;
  readonly #powerOff: () => void;

  constructor(options: AcpiPmOptions) {
    this.#u32 = options.views.u32;
    this.#f64 = options.views.f64;
    this.#lock = new SharedLock(options.views, ACPI_ADDRESS + ACPI.at.lock);
    this.#clock = options.clock;
    this.#line = options.line;
    this.#powerOff = options.powerOff;
  }

  reset(): void {
    this.#locked(() => {
      const u32 = this.#u32;
      for (const register of [PM1_STATUS, PM1_ENABLE, GPE_STATUS, GPE_ENABLE]) u32[register] = 0;
      u32[PM1_CONTROL] = CONTROL_SCI_ENABLE;
      this.#f64[TIMER_HALVES] = this.#halves();
    });
  }

  attach(bus: IoBus): void {
    bus.addPorts('acpi-pm', PM1A_EVENT_PORT, BLOCK_BYTES, [1, 2, 4], {
      read: (offset, bytes) => this.#locked(() => this.#read(offset, bytes)),
      write: (offset, value, bytes) => this.#locked(() => this.#write(offset, value, bytes)),
    });
    bus.addPorts('acpi-gpe0', GPE0_PORT, GPE0_BYTES, [1], {
      read: (offset) => (this.#u32[offset < 2 ? GPE_STATUS : GPE_ENABLE]! >>> ((offset & 1) * 8)) & 0xff,
      write: (offset, value) => this.#locked(() => this.#writeGpe(offset, value)),
    });
  }

  /** The user presses the power button: the guest is asked to shut down. From any thread but the page's. */
  pressPowerButton(): void {
    this.#locked(() => {
      this.#u32[PM1_STATUS]! |= STATUS_POWER_BUTTON;
    });
  }

  /** A general-purpose event (hot plug). */
  raiseGpe(bit: number): void {
    this.#locked(() => {
      this.#u32[GPE_STATUS]! |= 1 << bit;
    });
  }

  /** Only an enabled overflow interrupt needs looking at in time. */
  nextDeadline(): number {
    if ((this.#u32[PM1_ENABLE]! & STATUS_TIMER) === 0 || (this.#u32[PM1_STATUS]! & STATUS_TIMER) !== 0)
      return Infinity;
    return Math.ceil(((this.#f64[TIMER_HALVES]! + 1) * HALF_TICKS * NS_PER_S) / PM_TIMER_HZ);
  }

  expire(now: number): void {
    if (this.nextDeadline() <= now) this.#locked(() => {});
  }

  #locked<T>(action: () => T): T {
    this.#lock.acquire();
    try {
      this.#account();
      const result = action();
      this.#update();
      return result;
    } finally {
      this.#lock.release();
    }
  }

  #ticks(): number {
    return Math.floor((this.#clock.now() * PM_TIMER_HZ) / NS_PER_S);
  }

  #halves(): number {
    return Math.floor(this.#ticks() / HALF_TICKS);
  }

  #account(): void {
    const halves = this.#halves();
    if (halves > this.#f64[TIMER_HALVES]!) this.#u32[PM1_STATUS]! |= STATUS_TIMER;
    this.#f64[TIMER_HALVES] = halves;
  }

  /** The SCI is a level: any status bit whose enable bit is set. */
  #update(): void {
    const u32 = this.#u32;
    const events = (u32[PM1_STATUS]! & u32[PM1_ENABLE]!) | (u32[GPE_STATUS]! & u32[GPE_ENABLE]!);
    const asserted = events !== 0;
    if (asserted === (u32[LINE] !== 0)) return;
    u32[LINE] = asserted ? 1 : 0;
    this.#line.set(asserted);
  }

  #read(offset: number, bytes: number): number {
    if (offset >= TIMER_OFFSET && offset < TIMER_OFFSET + 4) {
      return (((this.#ticks() % 2 ** 32) >>> ((offset & 3) * 8)) & (0xffffffff >>> (32 - bytes * 8))) >>> 0;
    }
    let value = 0;
    for (let n = 0; n < bytes; n++) value |= this.#readByte(offset + n) << (n * 8);
    return value >>> 0;
  }

  #readByte(offset: number): number {
    const shift = (offset & 1) * 8;
    switch (offset & ~1) {
      case 0:
        return (this.#u32[PM1_STATUS]! >>> shift) & 0xff;
      case 2:
        return (this.#u32[PM1_ENABLE]! >>> shift) & 0xff;
      case 4:
        return (this.#u32[PM1_CONTROL]! >>> shift) & 0xff;
      default:
        return 0;
    }
  }

  #write(offset: number, value: number, bytes: number): void {
    for (let n = 0; n < bytes; n++) this.#writeByte(offset + n, (value >>> (n * 8)) & 0xff);
  }

  #writeByte(offset: number, value: number): void {
    const u32 = this.#u32;
    const shift = (offset & 1) * 8;
    const lane = 0xff << shift;
    const placed = value << shift;
    switch (offset & ~1) {
      case 0:
        // Write one to clear.
        u32[PM1_STATUS]! &= ~(placed & STATUS_BITS);
        return;
      case 2:
        u32[PM1_ENABLE] = (u32[PM1_ENABLE]! & ~lane) | (placed & ENABLE_BITS);
        return;
      case 4: {
        const kept = (u32[PM1_CONTROL]! & ~lane) | (placed & CONTROL_KEPT);
        u32[PM1_CONTROL] = kept | CONTROL_SCI_ENABLE;
        const sleepType = (kept >>> CONTROL_SLEEP_TYPE_SHIFT) & 7;
        // There is no sleeping state but soft-off.
        if ((placed & CONTROL_SLEEP_ENABLE) !== 0 && sleepType === SLEEP_TYPE_S5) this.#powerOff();
      }
    }
  }

  #writeGpe(offset: number, value: number): void {
    const u32 = this.#u32;
    const shift = (offset & 1) * 8;
    if (offset < 2) u32[GPE_STATUS]! &= ~(value << shift);
    else u32[GPE_ENABLE] = (u32[GPE_ENABLE]! & ~(0xff << shift)) | (value << shift);
  }
}
