/**
 * The 8254 interval timer (Intel 8254 data sheet, 231164) and port 61h, which gates its channel 2. Nothing counts:
 * every value is computed from the guest time at which the channel started. The caller holds the irqchip lock.
 *
 * Channel 0's output is an edge-triggered interrupt, so only its rising edges are scheduled. A count written to a
 * running channel in mode 3 is used from the next full period on (the chip: next half period).
 */
import type { Views } from '../base/views.ts';
import { NS_PER_S } from '../base/units.ts';
import { PIT, PIT_ADDRESS, PIT_CHANNEL, PIT_CHANNELS } from '../layout/irqchip.ts';
import type { GuestClock } from '../time/clock.ts';

export const PIT_HZ = 1_193_182;

const COUNT = PIT_CHANNEL.at.count >>> 2;
const MODE = PIT_CHANNEL.at.mode >>> 2;
const BCD = PIT_CHANNEL.at.bcd >>> 2;
const ACCESS = PIT_CHANNEL.at.access >>> 2;
const GATE = PIT_CHANNEL.at.gate >>> 2;
const READ_HIGH = PIT_CHANNEL.at.readHigh >>> 2;
const WRITE_HIGH = PIT_CHANNEL.at.writeHigh >>> 2;
const WRITE_LATCH = PIT_CHANNEL.at.writeLatch >>> 2;
const LATCHED_COUNT = PIT_CHANNEL.at.latchedCount >>> 2;
const COUNT_LATCHED = PIT_CHANNEL.at.countLatched >>> 2;
const LATCHED_STATUS = PIT_CHANNEL.at.latchedStatus >>> 2;
const STATUS_LATCHED = PIT_CHANNEL.at.statusLatched >>> 2;
const LOADED = PIT_CHANNEL.at.loaded >>> 2;
const NEXT_COUNT = PIT_CHANNEL.at.nextCount >>> 2;
const TRIGGERED = PIT_CHANNEL.at.triggered >>> 2;
const HELD_TICKS = PIT_CHANNEL.at.heldTicks >>> 3;
const START = PIT_CHANNEL.at.start >>> 3;

const SPEAKER = (PIT_ADDRESS + PIT.at.speaker) >>> 2;
const DEADLINE = (PIT_ADDRESS + PIT.at.deadline) >>> 3;

/** Access field of the control word. */
const ACCESS_LATCH = 0;
const ACCESS_LOW = 1;
const ACCESS_HIGH = 2;
const ACCESS_BOTH = 3;

/** DRAM refresh requests toggle bit 4 of port 61h every 15.085 us; old software times short delays with it. */
const REFRESH_NS = 15_085;

/** Guards floor() against the rounding of ns to ticks and back. */
const TICK_EPSILON = 1e-6;

function toTicks(ns: number): number {
  return Math.floor((ns * PIT_HZ) / NS_PER_S + TICK_EPSILON);
}

function toNs(ticks: number): number {
  return (ticks * NS_PER_S) / PIT_HZ;
}

export class Pit {
  readonly #u32: Uint32Array;
  readonly #f64: Float64Array;
  readonly #clock: GuestClock;
  readonly #setOutput: (level: boolean) => void;

  /** `setOutput` drives the line of channel 0. */
  constructor(views: Views, clock: GuestClock, setOutput: (level: boolean) => void) {
    this.#u32 = views.u32;
    this.#f64 = views.f64;
    this.#clock = clock;
    this.#setOutput = setOutput;
  }

  /** No channel counts until it is programmed: an idle guest has no ticks that it did not ask for. */
  reset(): void {
    for (let channel = 0; channel < 3; channel++) {
      const at = this.#at(channel);
      this.#u32.fill(0, at, at + (PIT_CHANNEL.size >>> 2));
      this.#u32[at + MODE] = 3;
      this.#u32[at + ACCESS] = ACCESS_BOTH;
      this.#u32[at + COUNT] = 0x10000;
      this.#u32[at + GATE] = channel === 2 ? 0 : 1;
    }
    this.#u32[SPEAKER] = 0;
    this.#f64[DEADLINE] = Infinity;
  }

  get deadline(): number {
    return this.#f64[DEADLINE]!;
  }

  expire(now: number): void {
    if (this.#f64[DEADLINE]! > now) return;
    // Low for a moment, so that the edge is one even if the output has been high all along.
    this.#setOutput(false);
    this.#setOutput(true);
    const at = this.#at(0);
    const mode = this.#u32[at + MODE]!;
    this.#f64[DEADLINE] = mode === 2 || mode === 3 ? this.#nextPeriod(0, now) : Infinity;
  }

  /** Ports 40h-43h. */
  read(port: number): number {
    const channel = port & 3;
    if (channel === 3) return 0xff;
    const u32 = this.#u32;
    const at = this.#at(channel);
    if (u32[at + STATUS_LATCHED] !== 0) {
      u32[at + STATUS_LATCHED] = 0;
      return u32[at + LATCHED_STATUS]!;
    }
    const access = u32[at + ACCESS]!;
    const latched = u32[at + COUNT_LATCHED] !== 0;
    const value = latched ? u32[at + LATCHED_COUNT]! : this.#counter(channel, this.#clock.now());
    const high = access === ACCESS_HIGH || (access === ACCESS_BOTH && u32[at + READ_HIGH] !== 0);
    if (access === ACCESS_BOTH) u32[at + READ_HIGH]! ^= 1;
    if (latched) u32[at + COUNT_LATCHED]!--;
    return high ? value >>> 8 : value & 0xff;
  }

  write(port: number, value: number): void {
    const channel = port & 3;
    if (channel === 3) this.#writeControl(value);
    else this.#writeCount(channel, value);
  }

  /** Port 61h: gate of channel 2, speaker enable, refresh toggle, output of channel 2. */
  readSpeaker(): number {
    const now = this.#clock.now();
    const refresh = Math.floor(now / REFRESH_NS) & 1;
    return this.#u32[SPEAKER]! | (refresh << 4) | (this.#output(2, now) ? 0x20 : 0);
  }

  writeSpeaker(value: number): void {
    this.#u32[SPEAKER] = value & 3;
    this.#setGate(2, (value & 1) !== 0);
  }

  #at(channel: number): number {
    return (PIT_CHANNELS + channel * PIT_CHANNEL.size) >>> 2;
  }

  #start(channel: number): number {
    return ((PIT_CHANNELS + channel * PIT_CHANNEL.size) >>> 3) + START;
  }

  #held(channel: number): number {
    return ((PIT_CHANNELS + channel * PIT_CHANNEL.size) >>> 3) + HELD_TICKS;
  }

  /** Ticks counted since the count was loaded or triggered. */
  #elapsed(channel: number, now: number): number {
    const at = this.#at(channel);
    const held = this.#f64[this.#held(channel)]!;
    const mode = this.#u32[at + MODE]!;
    if (this.#u32[at + LOADED] === 0) return 0;
    if (mode !== 1 && mode !== 5 && this.#u32[at + GATE] === 0) return held;
    return held + Math.max(0, toTicks(now - this.#f64[this.#start(channel)]!));
  }

  /** Modes 2 and 3: moves the start to that of the present period and takes up a count written meanwhile. */
  #roll(channel: number, now: number): void {
    const u32 = this.#u32;
    const at = this.#at(channel);
    let elapsed = this.#elapsed(channel, now);
    const start = this.#start(channel);
    if (u32[at + NEXT_COUNT] !== 0 && elapsed >= u32[at + COUNT]!) {
      this.#f64[start]! += toNs(u32[at + COUNT]!);
      u32[at + COUNT] = u32[at + NEXT_COUNT]!;
      u32[at + NEXT_COUNT] = 0;
      elapsed = this.#elapsed(channel, now);
    }
    this.#f64[start]! += toNs(Math.floor(elapsed / u32[at + COUNT]!) * u32[at + COUNT]!);
  }

  #nextPeriod(channel: number, now: number): number {
    this.#roll(channel, now);
    return this.#f64[this.#start(channel)]! + toNs(this.#u32[this.#at(channel) + COUNT]!);
  }

  #output(channel: number, now: number): boolean {
    const u32 = this.#u32;
    const at = this.#at(channel);
    const mode = u32[at + MODE]!;
    if (u32[at + LOADED] === 0) return mode !== 0;
    if (mode === 2 || mode === 3) {
      if (u32[at + GATE] === 0) return true;
      this.#roll(channel, now);
    }
    const elapsed = this.#elapsed(channel, now);
    const count = u32[at + COUNT]!;
    switch (mode) {
      case 0:
        return elapsed >= count;
      case 1:
        return u32[at + TRIGGERED] === 0 || elapsed >= count;
      case 2:
        return elapsed !== count - 1;
      case 3:
        return elapsed < (count + 1) >>> 1;
      case 4:
        return elapsed !== count;
      default:
        return u32[at + TRIGGERED] === 0 || elapsed !== count;
    }
  }

  /** The counting element's value, in BCD if the channel counts so. */
  #counter(channel: number, now: number): number {
    const u32 = this.#u32;
    const at = this.#at(channel);
    const mode = u32[at + MODE]!;
    const range = u32[at + BCD] !== 0 ? 10_000 : 0x10000;
    let value: number;
    if (mode === 2 || mode === 3) {
      if (u32[at + LOADED] !== 0 && u32[at + GATE] !== 0) this.#roll(channel, now);
      const elapsed = this.#elapsed(channel, now);
      const count = u32[at + COUNT]!;
      // Mode 3 counts down by two, through the count twice per period.
      value = mode === 2 ? count - elapsed : count - ((2 * elapsed) % count);
    } else {
      value = u32[at + COUNT]! - (this.#elapsed(channel, now) % range);
    }
    value = (value + range) % range;
    return u32[at + BCD] !== 0 ? toBcd(value) : value;
  }

  #writeControl(value: number): void {
    const channel = value >>> 6;
    if (channel === 3) {
      this.#readBack(value);
      return;
    }
    const access = (value >>> 4) & 3;
    if (access === ACCESS_LATCH) {
      this.#latchCount(channel);
      return;
    }
    const u32 = this.#u32;
    const at = this.#at(channel);
    const mode = (value >>> 1) & 7;
    u32[at + ACCESS] = access;
    // Modes 6 and 7 are 2 and 3.
    u32[at + MODE] = mode >= 6 ? mode - 4 : mode;
    u32[at + BCD] = value & 1;
    for (const field of [
      READ_HIGH,
      WRITE_HIGH,
      COUNT_LATCHED,
      STATUS_LATCHED,
      LOADED,
      NEXT_COUNT,
      TRIGGERED,
    ]) {
      u32[at + field] = 0;
    }
    this.#f64[this.#held(channel)] = 0;
    if (channel === 0) {
      this.#f64[DEADLINE] = Infinity;
      this.#setOutput(u32[at + MODE] !== 0);
    }
  }

  /** Bits 5 and 4 clear latch count and status of the channels named in bits 3-1. */
  #readBack(value: number): void {
    for (let channel = 0; channel < 3; channel++) {
      if ((value & (2 << channel)) === 0) continue;
      if ((value & 0x20) === 0) this.#latchCount(channel);
      if ((value & 0x10) === 0) this.#latchStatus(channel);
    }
  }

  /** A second latch before the first is read is ignored. */
  #latchCount(channel: number): void {
    const u32 = this.#u32;
    const at = this.#at(channel);
    if (u32[at + COUNT_LATCHED] !== 0) return;
    u32[at + LATCHED_COUNT] = this.#counter(channel, this.#clock.now());
    u32[at + COUNT_LATCHED] = u32[at + ACCESS] === ACCESS_BOTH ? 2 : 1;
    u32[at + READ_HIGH] = 0;
  }

  #latchStatus(channel: number): void {
    const u32 = this.#u32;
    const at = this.#at(channel);
    if (u32[at + STATUS_LATCHED] !== 0) return;
    const output = this.#output(channel, this.#clock.now()) ? 0x80 : 0;
    // Null count: what was written is not in the counting element yet.
    const nullCount = u32[at + LOADED] === 0 || u32[at + NEXT_COUNT] !== 0 ? 0x40 : 0;
    u32[at + LATCHED_STATUS] =
      output | nullCount | (u32[at + ACCESS]! << 4) | (u32[at + MODE]! << 1) | u32[at + BCD]!;
    u32[at + STATUS_LATCHED] = 1;
  }

  #writeCount(channel: number, value: number): void {
    const u32 = this.#u32;
    const at = this.#at(channel);
    switch (u32[at + ACCESS]) {
      case ACCESS_LOW:
        this.#load(channel, value);
        break;
      case ACCESS_HIGH:
        this.#load(channel, value << 8);
        break;
      default:
        if (u32[at + WRITE_HIGH] === 0) {
          u32[at + WRITE_LATCH] = value;
          // Mode 0: the first byte stops the count and puts the output low.
          if (u32[at + MODE] === 0) this.#stop(channel);
        } else {
          this.#load(channel, (value << 8) | u32[at + WRITE_LATCH]!);
        }
        u32[at + WRITE_HIGH]! ^= 1;
    }
  }

  #stop(channel: number): void {
    this.#u32[this.#at(channel) + LOADED] = 0;
    if (channel !== 0) return;
    this.#f64[DEADLINE] = Infinity;
    this.#setOutput(false);
  }

  #load(channel: number, written: number): void {
    const u32 = this.#u32;
    const at = this.#at(channel);
    const mode = u32[at + MODE]!;
    const binary = u32[at + BCD] !== 0 ? fromBcd(written) : written;
    const count = binary !== 0 ? binary : u32[at + BCD] !== 0 ? 10_000 : 0x10000;
    const now = this.#clock.now();
    if ((mode === 2 || mode === 3) && u32[at + LOADED] !== 0 && u32[at + GATE] !== 0) {
      this.#roll(channel, now);
      u32[at + NEXT_COUNT] = count;
      return;
    }
    u32[at + COUNT] = count;
    u32[at + LOADED] = 1;
    // Modes 1 and 5: a running one-shot goes on with the old count; here the new one applies to it at once.
    if (mode !== 1 && mode !== 5) {
      this.#f64[this.#start(channel)] = now;
      this.#f64[this.#held(channel)] = 0;
    }
    if (channel === 0) this.#schedule(now);
  }

  /** Channel 0, whose gate is always high: when its output rises next. */
  #schedule(now: number): void {
    const at = this.#at(0);
    const mode = this.#u32[at + MODE]!;
    const count = this.#u32[at + COUNT]!;
    if (mode === 0) {
      this.#setOutput(false);
      this.#f64[DEADLINE] = now + toNs(count);
    } else if (mode === 4) {
      this.#f64[DEADLINE] = now + toNs(count + 1);
    } else {
      this.#f64[DEADLINE] = mode === 2 || mode === 3 ? now + toNs(count) : Infinity;
    }
  }

  #setGate(channel: number, gate: boolean): void {
    const u32 = this.#u32;
    const at = this.#at(channel);
    if ((u32[at + GATE] !== 0) === gate) return;
    const now = this.#clock.now();
    const mode = u32[at + MODE]!;
    // Modes 0 and 4 keep what they have counted; the others start over at the rising edge.
    const keeps = mode === 0 || mode === 4;
    if (!gate) {
      this.#f64[this.#held(channel)] = keeps ? this.#elapsed(channel, now) : 0;
    } else {
      this.#f64[this.#start(channel)] = now;
      if (!keeps) this.#f64[this.#held(channel)] = 0;
      u32[at + TRIGGERED] = 1;
      if (u32[at + NEXT_COUNT] !== 0) {
        u32[at + COUNT] = u32[at + NEXT_COUNT]!;
        u32[at + NEXT_COUNT] = 0;
      }
    }
    u32[at + GATE] = gate ? 1 : 0;
  }
}

function fromBcd(value: number): number {
  return (value >>> 12) * 1000 + ((value >>> 8) & 15) * 100 + ((value >>> 4) & 15) * 10 + (value & 15);
}

function toBcd(value: number): number {
  return (
    (Math.floor(value / 1000) << 12) |
    ((Math.floor(value / 100) % 10) << 8) |
    ((Math.floor(value / 10) % 10) << 4) |
    (value % 10)
  );
}
