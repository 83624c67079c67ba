/**
 * The guest clock: nanoseconds since power-on. It is host time minus an offset, raised to an atomic maximum
 * that all threads share (`MACHINE.clockLatest`), because host clocks of different workers differ by some
 * microseconds and no vCPU may ever see time step back.
 */
import { TWO_32 } from '../base/bits.ts';
import type { Views } from '../base/views.ts';
import { CLOCK, CLOCK_ADDRESS } from '../layout/devices.ts';
import { MACHINE } from '../layout/machine.ts';
import { MACHINE_BASE } from '../layout/map.ts';

/** Milliseconds, with a fraction, from an origin that is the same on all threads of the machine. */
export type HostTime = () => number;

const LATEST_LOW = (MACHINE_BASE + MACHINE.at.clockLatest) >>> 2;
const LATEST_HIGH = LATEST_LOW + 1;
const DIVISOR = (MACHINE_BASE + MACHINE.at.clockDivisor) >>> 2;
const SEQUENCE = (CLOCK_ADDRESS + CLOCK.at.sequence) >>> 2;
const PAUSED = (CLOCK_ADDRESS + CLOCK.at.paused) >>> 2;
const OFFSET_HIGH = (CLOCK_ADDRESS + CLOCK.at.offsetHigh) >>> 2;
const OFFSET_LOW = (CLOCK_ADDRESS + CLOCK.at.offsetLow) >>> 2;

/** Low word of the maximum while a thread carries into the high word; no time has it (see #split). */
const CARRYING = 0xffffffff;
/** The low word counts to here, so that it can never be CARRYING: 2^31 ns. */
const LOW_RANGE = 0x8000_0000;

/** What a resumed machine's clock does about the time that it was paused. */
export type ResumeMode = 'continue' | 'follow-host';

export class GuestClock {
  readonly #words: Uint32Array;
  readonly #signed: Int32Array;
  readonly #hostTime: HostTime;
  readonly #divisor: number;
  #sequence = -1;
  #offset = 0;
  #paused = false;

  constructor(views: Views, hostTime: HostTime) {
    this.#words = views.u32;
    this.#signed = views.i32;
    this.#hostTime = hostTime;
    this.#divisor = Math.max(1, views.u32[DIVISOR]!);
  }

  /** Power-on: the clock reads 0 now. Only while no other thread of the machine runs. */
  reset(): void {
    this.#words[LATEST_LOW] = 0;
    this.#words[LATEST_HIGH] = 0;
    this.#set(this.#hostNs(), false);
  }

  /** Nanoseconds since power-on, an integer; never less than any thread has seen. */
  now(): number {
    // Acquire: the parameters that belong to this sequence number are visible once it is.
    if (Atomics.load(this.#signed, SEQUENCE) !== this.#sequence) this.#refresh();
    if (this.#paused) return this.#latest();
    return this.#raise(this.#hostNs() - this.#offset);
  }

  /** The clock stands still from here on. Pausing twice is pausing once. */
  pause(): void {
    this.#refresh();
    if (this.#paused) return;
    this.now();
    this.#set(this.#offset, true);
  }

  /** The clock goes on: from where it stood, or from where it would be had it not been paused. */
  resume(mode: ResumeMode = 'continue'): void {
    this.#refresh();
    if (!this.#paused) return;
    this.#set(mode === 'continue' ? this.#hostNs() - this.#latest() : this.#offset, false);
  }

  get paused(): boolean {
    // As in now().
    if (Atomics.load(this.#signed, SEQUENCE) !== this.#sequence) this.#refresh();
    return this.#paused;
  }

  /** Puts the clock at `ns` (a restored snapshot). Only while no other thread of the machine runs. */
  set(ns: number): void {
    const [high, low] = split(ns);
    this.#words[LATEST_LOW] = low;
    this.#words[LATEST_HIGH] = high;
    this.#refresh();
    this.#set(this.#hostNs() - ns, this.#paused);
  }

  /** How many host milliseconds from now a guest time lies; 0 if it is past, Infinity for Infinity. */
  millisecondsUntil(ns: number): number {
    return Math.max(0, ((ns - this.now()) * this.#divisor) / 1e6);
  }

  #hostNs(): number {
    return Math.floor((this.#hostTime() * 1e6) / this.#divisor);
  }

  #refresh(): void {
    for (;;) {
      // Odd: a thread is changing the parameters.
      const before = Atomics.load(this.#signed, SEQUENCE);
      const paused = Atomics.load(this.#signed, PAUSED) !== 0;
      const offset = Atomics.load(this.#signed, OFFSET_HIGH) * TWO_32 + Atomics.load(this.#words, OFFSET_LOW);
      // The loads are in program order (all are sequentially consistent): an unchanged even number
      // after them means that no change fell between.
      if ((before & 1) === 0 && Atomics.load(this.#signed, SEQUENCE) === before) {
        this.#sequence = before;
        this.#paused = paused;
        this.#offset = offset;
        return;
      }
    }
  }

  #set(offset: number, paused: boolean): void {
    for (;;) {
      const before = Atomics.load(this.#signed, SEQUENCE);
      // Taking the sequence number from even to odd makes us the only writer; readers retry from here on.
      if (
        (before & 1) !== 0 ||
        Atomics.compareExchange(this.#signed, SEQUENCE, before, before + 1) !== before
      )
        continue;
      Atomics.store(this.#signed, PAUSED, paused ? 1 : 0);
      Atomics.store(this.#signed, OFFSET_HIGH, Math.floor(offset / TWO_32));
      Atomics.store(this.#words, OFFSET_LOW, offset - Math.floor(offset / TWO_32) * TWO_32);
      // Release: the three words above are visible before the new even number.
      Atomics.store(this.#signed, SEQUENCE, before + 2);
      this.#refresh();
      return;
    }
  }

  /** The maximum, read consistently. */
  #latest(): number {
    for (;;) {
      const high = Atomics.load(this.#words, LATEST_HIGH);
      const low = Atomics.load(this.#words, LATEST_LOW);
      // The high word only changes while the low word is CARRYING: the same high word on both sides of a low word
      // that is not CARRYING means that the two belong together.
      if (low !== CARRYING && Atomics.load(this.#words, LATEST_HIGH) === high) return high * LOW_RANGE + low;
    }
  }

  /** Raises the maximum to `ns` and returns it. */
  #raise(ns: number): number {
    const [high, low] = split(ns);
    for (;;) {
      const latestHigh = Atomics.load(this.#words, LATEST_HIGH);
      const latestLow = Atomics.load(this.#words, LATEST_LOW);
      // Consistency as in #latest.
      if (latestLow === CARRYING || Atomics.load(this.#words, LATEST_HIGH) !== latestHigh) continue;
      if (latestHigh > high || (latestHigh === high && latestLow >= low))
        return latestHigh * LOW_RANGE + latestLow;
      if (latestHigh === high) {
        // Fails if another thread raised it or carried since; then look again.
        if (Atomics.compareExchange(this.#words, LATEST_LOW, latestLow, low) === latestLow) return ns;
      } else if (Atomics.compareExchange(this.#words, LATEST_LOW, latestLow, CARRYING) === latestLow) {
        // CARRYING makes us the only one to touch the high word (it comes round every 2.1 s).
        Atomics.store(this.#words, LATEST_HIGH, high);
        // Last: readers that see this low word also see the high word that belongs to it.
        Atomics.store(this.#words, LATEST_LOW, low);
        return ns;
      }
    }
  }
}

/** The two words of a time: units of 2^31 ns, and the rest. */
function split(ns: number): readonly [high: number, low: number] {
  const high = Math.floor(ns / LOW_RANGE);
  return [high, ns - high * LOW_RANGE];
}
