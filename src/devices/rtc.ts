/**
 * The MC146818A real-time clock and its CMOS RAM (Motorola MC146818A data sheet; the century byte and the
 * memory-size bytes are where IBM and QEMU have them). The time is the host's plus an offset that the guest's
 * writes make; nothing ticks, flags are worked out when somebody looks or when an enabled interrupt is due.
 */
import type { Views } from '../base/views.ts';
import { KIB, MIB, NS_PER_MS, NS_PER_S } from '../base/units.ts';
import { RTC_PORT } from '../base/platform.ts';
import type { InterruptLine } from '../irqchip/line.ts';
import { RTC, RTC_ADDRESS } from '../layout/devices.ts';
import { SharedLock } from '../sync/lock.ts';
import type { GuestClock } from '../time/clock.ts';
import type { TimerSource } from '../time/deadline.ts';
import type { IoBus } from './io-bus.ts';

const INDEX = (RTC_ADDRESS + RTC.at.index) >>> 2;
const NMI_MASK = (RTC_ADDRESS + RTC.at.nmiMask) >>> 2;
const LINE = (RTC_ADDRESS + RTC.at.line) >>> 2;
const OFFSET = (RTC_ADDRESS + RTC.at.offset) >>> 3;
const LAST_SECOND = (RTC_ADDRESS + RTC.at.lastSecond) >>> 3;
const LAST_PERIOD = (RTC_ADDRESS + RTC.at.lastPeriod) >>> 3;
const DEADLINE = (RTC_ADDRESS + RTC.at.deadline) >>> 3;
const RAM = RTC_ADDRESS + RTC.at.ram;

const SECONDS = 0x00;
const SECONDS_ALARM = 0x01;
const MINUTES = 0x02;
const MINUTES_ALARM = 0x03;
const HOURS = 0x04;
const HOURS_ALARM = 0x05;
const DAY_OF_WEEK = 0x06;
const DAY = 0x07;
const MONTH = 0x08;
const YEAR = 0x09;
const REGISTER_A = 0x0a;
const REGISTER_B = 0x0b;
const REGISTER_C = 0x0c;
const REGISTER_D = 0x0d;
const CENTURY = 0x32;

const A_UPDATE_IN_PROGRESS = 0x80;
/** Divider bits 6 and 5 set: the chain is held in reset. */
const A_DIVIDER_RESET = 0x60;
const A_RATE = 0x0f;

const B_SET = 0x80;
const B_PERIODIC = 0x40;
const B_ALARM = 0x20;
const B_UPDATE = 0x10;
const B_BINARY = 0x04;
const B_24_HOURS = 0x02;

const C_INTERRUPT = 0x80;
const C_PERIODIC = 0x40;
const C_ALARM = 0x20;
const C_UPDATE = 0x10;

/** RAM and time are valid: the battery never runs out. */
const D_VALID = 0x80;

/** UIP is set from 244 us before the update to its end 1984 us later, which is the second's boundary here. */
const UPDATE_MS = 2.228;
/** The first update after the divider is released comes half a second later (data sheet, "Divider stages"). */
const DIVIDER_RELEASE_MS = 500;
const DAY_SECONDS = 86_400;
/** An alarm byte of C0h or more matches always. */
const ALARM_ANY = 0xc0;

export interface RtcOptions {
  readonly views: Views;
  readonly clock: GuestClock;
  /** Milliseconds since 1970-01-01 UTC; a fraction is welcome. */
  readonly wallClock: () => number;
  readonly line: InterruptLine;
  readonly ramBytes: number;
  readonly vcpus: number;
}

export class RealTimeClock implements TimerSource {
  readonly #u8: Uint8Array;
  readonly #u32: Uint32Array;
  readonly #f64: Float64Array;
  readonly #lock: SharedLock;
  readonly #clock: GuestClock;
  readonly #wallClock: () => number;
  readonly #line: InterruptLine;
  readonly #ramBytes: number;
  readonly #vcpus: number;

  constructor(options: RtcOptions) {
    this.#u8 = options.views.u8;
    this.#u32 = options.views.u32;
    this.#f64 = options.views.f64;
    this.#lock = new SharedLock(options.views, RTC_ADDRESS + RTC.at.lock);
    this.#clock = options.clock;
    this.#wallClock = options.wallClock;
    this.#line = options.line;
    this.#ramBytes = options.ramBytes;
    this.#vcpus = options.vcpus;
  }

  /** Power-on: the host's time in BCD and 24 hours, and the CMOS bytes that firmware has filled in. */
  powerOn(): void {
    this.#locked(() => {
      this.#u8.fill(0, RAM, RAM + 128);
      this.#f64[OFFSET] = 0;
      this.#put(REGISTER_A, 0x26);
      this.#put(REGISTER_B, B_24_HOURS);
      this.#fillMemorySize();
      // One VGA-less PC with a coprocessor and a mouse port.
      this.#put(0x14, 0x06);
      this.#put(0x5f, this.#vcpus - 1);
      this.#resetInterrupts();
    });
  }

  /** RESET pin: time and RAM stay, interrupt enables and flags go. */
  reset(): void {
    this.#locked(() => {
      this.#put(REGISTER_B, this.#get(REGISTER_B) & ~(B_PERIODIC | B_ALARM | B_UPDATE));
      this.#resetInterrupts();
    });
  }

  #resetInterrupts(): void {
    this.#u32[INDEX] = 0;
    this.#u32[NMI_MASK] = 0;
    this.#put(REGISTER_C, 0);
    this.#f64[LAST_SECOND] = Math.floor(this.#time() / 1000);
    this.#f64[LAST_PERIOD] = this.#period();
    this.#update();
  }

  /** Sizes as in QEMU's pc_cmos_init: base and extended memory in KiB, memory above 16 MiB in 64 KiB. */
  #fillMemorySize(): void {
    const word = (index: number, value: number): void => {
      this.#put(index, value & 0xff);
      this.#put(index + 1, value >>> 8);
    };
    word(0x15, 640);
    const extended = Math.min(Math.max(0, this.#ramBytes - MIB) / KIB, 0xffff);
    word(0x17, extended);
    word(0x30, extended);
    word(0x34, Math.min(Math.max(0, this.#ramBytes - 16 * MIB) / (64 * KIB), 0xffff));
  }

  attach(bus: IoBus): void {
    bus.addPorts('rtc', RTC_PORT, 2, [1], {
      // The index register cannot be read.
      read: (offset) => (offset === 0 ? 0xff : this.#locked(() => this.#read(this.#u32[INDEX]!))),
      write: (offset, value) => {
        this.#locked(() => {
          if (offset === 0) {
            this.#u32[INDEX] = value & 0x7f;
            this.#u32[NMI_MASK] = value & 0x80;
          } else {
            this.#write(this.#u32[INDEX]!, value);
          }
        });
      },
    });
  }

  /** Bit 7 of port 70h holds NMIs off. */
  get nmiMasked(): boolean {
    return this.#u32[NMI_MASK] !== 0;
  }

  nextDeadline(): number {
    return this.#f64[DEADLINE]!;
  }

  expire(now: number): void {
    if (this.#f64[DEADLINE]! > now) return;
    this.#locked(() => this.#update());
  }

  #locked<T>(action: () => T): T {
    this.#lock.acquire();
    try {
      return action();
    } finally {
      this.#lock.release();
    }
  }

  #get(index: number): number {
    return this.#u8[RAM + index]!;
  }

  #put(index: number, value: number): void {
    this.#u8[RAM + index] = value;
  }

  // --- time

  /** The guest's idea of the time, in ms since the epoch. */
  #time(): number {
    return this.#wallClock() + this.#f64[OFFSET]!;
  }

  /** While SET is on or the divider is in reset, the time bytes stand still in RAM. */
  get #held(): boolean {
    const dividerReset = (this.#get(REGISTER_A) & A_DIVIDER_RESET) === A_DIVIDER_RESET;
    return dividerReset || (this.#get(REGISTER_B) & B_SET) !== 0;
  }

  #encode(value: number): number {
    if ((this.#get(REGISTER_B) & B_BINARY) !== 0) return value;
    return (Math.floor(value / 10) << 4) | (value % 10);
  }

  #decode(value: number): number {
    return (this.#get(REGISTER_B) & B_BINARY) !== 0 ? value : (value >>> 4) * 10 + (value & 15);
  }

  #encodeHours(hours: number): number {
    if ((this.#get(REGISTER_B) & B_24_HOURS) !== 0) return this.#encode(hours);
    const twelve = hours % 12 === 0 ? 12 : hours % 12;
    return this.#encode(twelve) | (hours >= 12 ? 0x80 : 0);
  }

  #decodeHours(value: number): number {
    if ((this.#get(REGISTER_B) & B_24_HOURS) !== 0) return this.#decode(value);
    return (this.#decode(value & 0x7f) % 12) + ((value & 0x80) !== 0 ? 12 : 0);
  }

  /** Writes the present time into the time bytes. */
  #store(): void {
    const date = new Date(this.#time());
    this.#put(SECONDS, this.#encode(date.getUTCSeconds()));
    this.#put(MINUTES, this.#encode(date.getUTCMinutes()));
    this.#put(HOURS, this.#encodeHours(date.getUTCHours()));
    this.#put(DAY_OF_WEEK, this.#encode(date.getUTCDay() + 1));
    this.#put(DAY, this.#encode(date.getUTCDate()));
    this.#put(MONTH, this.#encode(date.getUTCMonth() + 1));
    this.#put(YEAR, this.#encode(date.getUTCFullYear() % 100));
    this.#put(CENTURY, this.#encode(Math.floor(date.getUTCFullYear() / 100)));
  }

  /** Makes the time bytes the time, `fraction` ms into the second. */
  #load(fraction: number): void {
    const year = this.#decode(this.#get(CENTURY)) * 100 + this.#decode(this.#get(YEAR));
    const time = Date.UTC(
      year,
      this.#decode(this.#get(MONTH)) - 1,
      this.#decode(this.#get(DAY)),
      this.#decodeHours(this.#get(HOURS)),
      this.#decode(this.#get(MINUTES)),
      this.#decode(this.#get(SECONDS)),
    );
    this.#f64[OFFSET] = time + fraction - this.#wallClock();
    this.#f64[LAST_SECOND] = Math.floor(time / 1000);
  }

  // --- registers

  #read(index: number): number {
    if (index <= YEAR || index === CENTURY) {
      const isAlarm = index === SECONDS_ALARM || index === MINUTES_ALARM || index === HOURS_ALARM;
      if (!isAlarm && !this.#held) this.#store();
      return this.#get(index);
    }
    switch (index) {
      case REGISTER_A: {
        const time = this.#time();
        const updating = !this.#held && time - Math.floor(time / 1000) * 1000 >= 1000 - UPDATE_MS;
        return this.#get(REGISTER_A) | (updating ? A_UPDATE_IN_PROGRESS : 0);
      }
      case REGISTER_C: {
        this.#account();
        const flags = this.#get(REGISTER_C);
        this.#put(REGISTER_C, 0);
        this.#update();
        return flags;
      }
      case REGISTER_D:
        return D_VALID;
      default:
        return this.#get(index);
    }
  }

  #write(index: number, value: number): void {
    switch (index) {
      case SECONDS_ALARM:
      case MINUTES_ALARM:
      case HOURS_ALARM:
        this.#account();
        this.#put(index, value);
        this.#update();
        return;
      case REGISTER_A:
      case REGISTER_B:
        this.#writeControl(index, value);
        return;
      case REGISTER_C:
      case REGISTER_D:
        return;
    }
    if (index > YEAR && index !== CENTURY) {
      this.#put(index, value);
      return;
    }
    if (this.#held) {
      this.#put(index, value);
      return;
    }
    const time = this.#time();
    this.#store();
    this.#put(index, value);
    this.#load(time - Math.floor(time / 1000) * 1000);
    this.#update();
  }

  #writeControl(index: number, value: number): void {
    this.#account();
    const wasHeld = this.#held;
    const dividerWasReset = (this.#get(REGISTER_A) & A_DIVIDER_RESET) === A_DIVIDER_RESET;
    const time = this.#time();
    if (index === REGISTER_A) {
      this.#put(REGISTER_A, value & ~A_UPDATE_IN_PROGRESS);
      // Flags of periods at the old rate are forgotten.
      this.#f64[LAST_PERIOD] = this.#period();
    } else {
      // The time bytes are in the old format: bring them along, also while they are held.
      if (!wasHeld) this.#store();
      const formatChanged = ((value ^ this.#get(REGISTER_B)) & (B_BINARY | B_24_HOURS)) !== 0;
      // SET clears UIE (data sheet, register B).
      this.#put(REGISTER_B, (value & B_SET) !== 0 ? value & ~B_UPDATE : value);
      if (!wasHeld && formatChanged) this.#store();
    }
    if (!wasHeld && this.#held) {
      this.#store();
    } else if (wasHeld && !this.#held) {
      this.#load(dividerWasReset ? DIVIDER_RELEASE_MS : time - Math.floor(time / 1000) * 1000);
    }
    this.#update();
  }

  // --- interrupts

  /** Length of the periodic interrupt's period in ns; Infinity if it is off (data sheet table 5, 32.768 kHz). */
  #periodNs(): number {
    const a = this.#get(REGISTER_A);
    let rate = a & A_RATE;
    if (rate === 0 || (a & A_DIVIDER_RESET) === A_DIVIDER_RESET) return Infinity;
    if (rate <= 2) rate += 7;
    return (2 ** (rate - 1) * NS_PER_S) / 32_768;
  }

  /** Number of the present period since power-on. */
  #period(): number {
    const length = this.#periodNs();
    return length === Infinity ? 0 : Math.floor(this.#clock.now() / length);
  }

  /** Sets the flags of everything that has happened since the last time. */
  #account(): void {
    let flags = this.#get(REGISTER_C);
    const period = this.#period();
    if (period > this.#f64[LAST_PERIOD]!) flags |= C_PERIODIC;
    this.#f64[LAST_PERIOD] = period;
    if (!this.#held) {
      const second = Math.floor(this.#time() / 1000);
      const last = this.#f64[LAST_SECOND]!;
      if (second > last) {
        flags |= C_UPDATE;
        if (this.#secondsUntilAlarm(last) <= second - last) flags |= C_ALARM;
      }
      this.#f64[LAST_SECOND] = second;
    }
    flags &= C_PERIODIC | C_ALARM | C_UPDATE;
    const requested = (flags & this.#get(REGISTER_B)) !== 0;
    this.#put(REGISTER_C, flags | (requested ? C_INTERRUPT : 0));
  }

  /** Seconds from `second` to the next one that matches the alarm bytes; Infinity if none does. */
  #secondsUntilAlarm(second: number): number {
    const seconds = this.#get(SECONDS_ALARM);
    const minutes = this.#get(MINUTES_ALARM);
    const hours = this.#get(HOURS_ALARM);
    const start = ((second % DAY_SECONDS) + DAY_SECONDS) % DAY_SECONDS;
    let at = start + 1;
    while (at <= start + DAY_SECONDS) {
      const inDay = at % DAY_SECONDS;
      if (hours < ALARM_ANY && this.#decodeHours(hours) !== Math.floor(inDay / 3600)) {
        at += 3600 - (inDay % 3600);
      } else if (minutes < ALARM_ANY && this.#decode(minutes) !== Math.floor(inDay / 60) % 60) {
        at += 60 - (inDay % 60);
      } else if (seconds < ALARM_ANY && this.#decode(seconds) !== inDay % 60) {
        at++;
      } else {
        return at - start;
      }
    }
    return Infinity;
  }

  /** Flags, then the line, then when to look next. */
  #update(): void {
    this.#account();
    const enabled = this.#get(REGISTER_B) & (C_PERIODIC | C_ALARM | C_UPDATE);
    const flags = this.#get(REGISTER_C);
    const asserted = (flags & C_INTERRUPT) !== 0;
    if (asserted !== (this.#u32[LINE] !== 0)) {
      this.#u32[LINE] = asserted ? 1 : 0;
      this.#line.set(asserted);
    }
    this.#f64[DEADLINE] = this.#due(enabled & ~flags);
  }

  /** When one of `flags` (enabled, not yet set) will be set. */
  #due(flags: number): number {
    let due = Infinity;
    if ((flags & C_PERIODIC) !== 0) due = (this.#period() + 1) * this.#periodNs();
    if ((flags & (C_ALARM | C_UPDATE)) !== 0 && !this.#held) {
      const time = this.#time();
      const second = Math.floor(time / 1000);
      const seconds = (flags & C_UPDATE) !== 0 ? 1 : this.#secondsUntilAlarm(second);
      due = Math.min(due, this.#clock.now() + ((second + seconds) * 1000 - time) * NS_PER_MS);
    }
    return due;
  }
}
