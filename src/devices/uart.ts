/**
 * A 16550A UART (National Semiconductor PC16550D data sheet). Its bytes go to one ring of the shared memory and come
 * from another; characters take no time and the divisor is only remembered.
 *
 * Nothing is lost in either direction. Output that finds the ring full stays in the 16-byte transmitter FIFO with
 * THRE clear until the page has made room. Input stays in the ring while the FIFO is full, comes in bursts that the
 * guest can keep up with, and obeys RTS once the guest has used it.
 */
import type { Views } from '../base/views.ts';
import { NS_PER_MS, NS_PER_US } from '../base/units.ts';
import type { InterruptLine } from '../irqchip/line.ts';
import { UART, uartAddress } from '../layout/devices.ts';
import { SharedLock } from '../sync/lock.ts';
import type { ByteRing } from '../sync/ring.ts';
import type { GuestClock } from '../time/clock.ts';
import type { TimerSource } from '../time/deadline.ts';
import type { IoHandler } from './io-bus.ts';

const IER = UART.at.interruptEnable >>> 2;
const FCR = UART.at.fifoControl >>> 2;
const LCR = UART.at.lineControl >>> 2;
const MCR = UART.at.modemControl >>> 2;
const LINE_ERRORS = UART.at.lineErrors >>> 2;
const MSR = UART.at.modemStatus >>> 2;
const SCR = UART.at.scratch >>> 2;
const DIVISOR = UART.at.divisor >>> 2;
const THR_INTERRUPT = UART.at.transmitterInterrupt >>> 2;
const HANDSHAKE = UART.at.handshake >>> 2;
const RX_COUNT = UART.at.receiveCount >>> 2;
const RX_HEAD = UART.at.receiveHead >>> 2;
const TX_COUNT = UART.at.transmitCount >>> 2;
const TX_HEAD = UART.at.transmitHead >>> 2;
const LINE = UART.at.line >>> 2;
const NEXT_RECEIVE = UART.at.nextReceive >>> 3;
const NEXT_TRANSMIT = UART.at.nextTransmit >>> 3;

const FIFO_BYTES = 16;

// Interrupt enable register; also the order of importance of what it enables, see #identify.
const IER_RECEIVED = 1;
const IER_TRANSMITTER = 2;
const IER_LINE = 4;
const IER_MODEM = 8;

// Interrupt identification register.
const IIR_NONE = 0x01;
const IIR_MODEM = 0x00;
const IIR_TRANSMITTER = 0x02;
const IIR_RECEIVED = 0x04;
const IIR_LINE = 0x06;
const IIR_TIMEOUT = 0x0c;
const IIR_FIFOS = 0xc0;

const FCR_ENABLE = 0x01;
const FCR_CLEAR_RECEIVER = 0x02;
const FCR_CLEAR_TRANSMITTER = 0x04;
/** Bits that stay: enable, DMA mode, trigger level. */
const FCR_KEPT = 0xc9;
const TRIGGER_LEVELS = [1, 4, 8, 14] as const;

const LCR_BREAK = 0x40;
const LCR_DLAB = 0x80;

const MCR_DTR = 0x01;
const MCR_RTS = 0x02;
const MCR_OUT1 = 0x04;
/** On a PC this gates the interrupt line. */
const MCR_OUT2 = 0x08;
const MCR_LOOPBACK = 0x10;

const LSR_DATA = 0x01;
const LSR_OVERRUN = 0x02;
const LSR_BREAK = 0x10;
const LSR_ERRORS = 0x1e;
const LSR_THR_EMPTY = 0x20;
const LSR_IDLE = 0x40;

const MSR_CTS = 0x10;
const MSR_DSR = 0x20;
const MSR_RING = 0x40;
const MSR_CARRIER = 0x80;
/** The far end is always there. */
const MSR_PEER = MSR_CTS | MSR_DSR | MSR_CARRIER;

/**
 * A full FIFO of input at most this often (64 KB/s): a guest that takes a character in a few thousand instructions
 * keeps up and still runs its programs, which is what empties its own buffers.
 */
const RECEIVE_INTERVAL_NS = 250 * NS_PER_US;
/** How often to look whether a full output ring has room again. */
const TRANSMIT_INTERVAL_NS = NS_PER_MS;
/** How long a guest that ignores THRE is held before its character is dropped, and counted. */
const OVERRUN_WAIT_MS = 100;

export interface UartOptions {
  readonly views: Views;
  readonly clock: GuestClock;
  /** Which of the machine's UARTs (COM1 is 0): where its state is. */
  readonly index: number;
  readonly line: InterruptLine;
  readonly output: ByteRing;
  readonly input: ByteRing;
  /** Output is in the ring: wakes its reader. */
  readonly onOutput: () => void;
}

export class Uart implements IoHandler, TimerSource {
  readonly #u32: Uint32Array;
  readonly #f64: Float64Array;
  readonly #u8: Uint8Array;
  readonly #at: number;
  readonly #at64: number;
  readonly #receive: number;
  readonly #transmit: number;
  readonly #lock: SharedLock;
  readonly #clock: GuestClock;
  readonly #line: InterruptLine;
  readonly #output: ByteRing;
  readonly #input: ByteRing;
  readonly #onOutput: () => void;

  constructor(options: UartOptions) {
    const address = uartAddress(options.index);
    this.#u32 = options.views.u32;
    this.#f64 = options.views.f64;
    this.#u8 = options.views.u8;
    this.#at = address >>> 2;
    this.#at64 = address >>> 3;
    this.#receive = address + UART.at.receive;
    this.#transmit = address + UART.at.transmit;
    this.#lock = new SharedLock(options.views, address + UART.at.lock);
    this.#clock = options.clock;
    this.#line = options.line;
    this.#output = options.output;
    this.#input = options.input;
    this.#onOutput = options.onOutput;
  }

  /** Master reset (data sheet table I). */
  reset(): void {
    this.#locked(() => {
      const at = this.#at;
      this.#u32.fill(0, at + 1, at + (UART.size >>> 2));
      this.#u32[at + MSR] = MSR_PEER;
      this.#u32[at + DIVISOR] = 12;
      this.#f64[this.#at64 + NEXT_RECEIVE] = 0;
      this.#f64[this.#at64 + NEXT_TRANSMIT] = 0;
      this.#line.set(false);
    });
  }

  // --- registers

  read(offset: number): number {
    return this.#locked(() => {
      const value = this.#readRegister(offset & 7);
      this.#update();
      return value;
    });
  }

  write(offset: number, value: number): void {
    if ((offset & 7) === 0) this.#awaitRoom();
    this.#locked(() => {
      this.#writeRegister(offset & 7, value);
      this.#update();
    });
  }

  #readRegister(register: number): number {
    const u32 = this.#u32;
    const at = this.#at;
    const dlab = (u32[at + LCR]! & LCR_DLAB) !== 0;
    switch (register) {
      case 0:
        return dlab ? u32[at + DIVISOR]! & 0xff : this.#takeReceived();
      case 1:
        return dlab ? u32[at + DIVISOR]! >>> 8 : u32[at + IER]!;
      case 2: {
        this.#pump();
        const cause = this.#identify();
        // Reading IIR resets the transmitter interrupt if that is what it reports.
        if (cause === IIR_TRANSMITTER) u32[at + THR_INTERRUPT] = 0;
        return cause | (this.#fifos ? IIR_FIFOS : 0);
      }
      case 3:
        return u32[at + LCR]!;
      case 4:
        return u32[at + MCR]!;
      case 5: {
        this.#pump();
        const status = this.#lineStatus();
        u32[at + LINE_ERRORS] = 0;
        return status;
      }
      case 6: {
        const status = this.#modemStatus();
        // Reading clears the delta bits.
        u32[at + MSR]! &= 0xf0;
        return status;
      }
      default:
        return u32[at + SCR]!;
    }
  }

  #writeRegister(register: number, value: number): void {
    const u32 = this.#u32;
    const at = this.#at;
    const dlab = (u32[at + LCR]! & LCR_DLAB) !== 0;
    switch (register) {
      case 0:
        if (dlab) u32[at + DIVISOR] = (u32[at + DIVISOR]! & 0xff00) | value;
        else this.#send(value);
        return;
      case 1:
        if (dlab) {
          u32[at + DIVISOR] = (u32[at + DIVISOR]! & 0xff) | (value << 8);
          return;
        }
        // Enabling the transmitter interrupt while THR is empty raises it.
        if ((value & ~u32[at + IER]! & IER_TRANSMITTER) !== 0 && u32[at + TX_COUNT] === 0)
          u32[at + THR_INTERRUPT] = 1;
        u32[at + IER] = value & 0x0f;
        return;
      case 2:
        this.#writeFifoControl(value);
        return;
      case 3:
        u32[at + LCR] = value;
        // In loopback the break comes straight back.
        if ((value & LCR_BREAK) !== 0 && this.#loopback) this.#receiveBreak();
        return;
      case 4:
        this.#writeModemControl(value);
        return;
      case 7:
        u32[at + SCR] = value;
        return;
      // 5 and 6 are read-only; LSR writes are for factory testing.
    }
  }

  get #fifos(): boolean {
    return (this.#u32[this.#at + FCR]! & FCR_ENABLE) !== 0;
  }

  get #loopback(): boolean {
    return (this.#u32[this.#at + MCR]! & MCR_LOOPBACK) !== 0;
  }

  #lineStatus(): number {
    const u32 = this.#u32;
    const at = this.#at;
    const empty = u32[at + TX_COUNT] === 0 ? LSR_THR_EMPTY | LSR_IDLE : 0;
    return u32[at + LINE_ERRORS]! | empty | (u32[at + RX_COUNT] !== 0 ? LSR_DATA : 0);
  }

  /** In loopback the modem control outputs come back as inputs (data sheet 8.6.6). */
  #modemStatus(): number {
    const u32 = this.#u32;
    const at = this.#at;
    if (!this.#loopback) return u32[at + MSR]!;
    return (u32[at + MSR]! & 0x0f) | loopedModemLines(u32[at + MCR]!);
  }

  #writeFifoControl(value: number): void {
    const u32 = this.#u32;
    const at = this.#at;
    // Changing bit 0 clears both FIFOs; the other bits count only with it.
    const toggled = ((value ^ u32[at + FCR]!) & FCR_ENABLE) !== 0;
    if (toggled || (value & FCR_CLEAR_RECEIVER) !== 0) {
      u32[at + RX_COUNT] = 0;
      u32[at + RX_HEAD] = 0;
    }
    if (toggled || (value & FCR_CLEAR_TRANSMITTER) !== 0) {
      // Bytes that wait only because our ring is full have left the chip as far as the guest can tell: they stay.
      this.#drain();
      if (u32[at + TX_COUNT] === 0) u32[at + THR_INTERRUPT] = 1;
    }
    u32[at + FCR] = (value & FCR_ENABLE) !== 0 ? value & FCR_KEPT : 0;
  }

  #writeModemControl(value: number): void {
    const u32 = this.#u32;
    const at = this.#at;
    const before = this.#modemStatus() & 0xf0;
    u32[at + MCR] = value & 0x1f;
    if ((value & MCR_RTS) !== 0) u32[at + HANDSHAKE] = 1;
    const after = this.#modemStatus() & 0xf0;
    const changed = before ^ after;
    // Delta CTS, DSR, DCD; the ring indicator's bit marks its trailing edge only.
    let delta = ((changed & (MSR_CTS | MSR_DSR)) >>> 4) | ((changed & MSR_CARRIER) >>> 4);
    if ((changed & before & MSR_RING) !== 0) delta |= MSR_RING >>> 4;
    u32[at + MSR]! |= delta;
  }

  // --- receiver

  #capacity(): number {
    return this.#fifos ? FIFO_BYTES : 1;
  }

  /** True if the far end may send: always, until the guest has shown that it uses RTS. */
  #mayReceive(): boolean {
    const u32 = this.#u32;
    return !this.#loopback && (u32[this.#at + HANDSHAKE] === 0 || (u32[this.#at + MCR]! & MCR_RTS) !== 0);
  }

  #putReceived(byte: number): void {
    const u32 = this.#u32;
    const at = this.#at;
    const capacity = this.#capacity();
    if (u32[at + RX_COUNT]! >= capacity) {
      u32[at + LINE_ERRORS]! |= LSR_OVERRUN;
      // Without FIFOs the new character replaces the old one; with them it is lost.
      if (capacity === 1) this.#u8[this.#receive + u32[at + RX_HEAD]!] = byte;
      return;
    }
    this.#u8[this.#receive + ((u32[at + RX_HEAD]! + u32[at + RX_COUNT]!) & (FIFO_BYTES - 1))] = byte;
    u32[at + RX_COUNT]!++;
  }

  #receiveBreak(): void {
    this.#putReceived(0);
    this.#u32[this.#at + LINE_ERRORS]! |= LSR_BREAK;
  }

  #takeReceived(): number {
    const u32 = this.#u32;
    const at = this.#at;
    this.#pump();
    const byte = this.#u8[this.#receive + u32[at + RX_HEAD]!]!;
    if (u32[at + RX_COUNT] === 0) return byte;
    u32[at + RX_HEAD] = (u32[at + RX_HEAD]! + 1) & (FIFO_BYTES - 1);
    u32[at + RX_COUNT]!--;
    return byte;
  }

  // --- transmitter

  #send(byte: number): void {
    const u32 = this.#u32;
    const at = this.#at;
    u32[at + THR_INTERRUPT] = 0;
    if (this.#loopback) {
      this.#putReceived(byte);
      u32[at + THR_INTERRUPT] = 1;
      return;
    }
    this.#drain();
    if (u32[at + TX_COUNT] === 0 && this.#output.pushByte(byte)) {
      this.#onOutput();
      u32[at + THR_INTERRUPT] = 1;
      return;
    }
    if (u32[at + TX_COUNT]! < FIFO_BYTES) {
      this.#u8[this.#transmit + ((u32[at + TX_HEAD]! + u32[at + TX_COUNT]!) & (FIFO_BYTES - 1))] = byte;
      u32[at + TX_COUNT]!++;
      this.#f64[this.#at64 + NEXT_TRANSMIT] = this.#clock.now() + TRANSMIT_INTERVAL_NS;
      return;
    }
    // Still no room after #awaitRoom: the page is gone.
    this.#output.countDropped(1);
  }

  /**
   * A guest that writes without looking at THRE fills FIFO and ring: it is held here, without the lock,
   * as long as the page needs to take something, within reason.
   */
  #awaitRoom(): void {
    const u32 = this.#u32;
    for (let ms = 0; ms < OVERRUN_WAIT_MS; ms++) {
      const full = u32[this.#at + TX_COUNT] === FIFO_BYTES && this.#output.free === 0;
      if (!full || this.#loopback || (u32[this.#at + LCR]! & LCR_DLAB) !== 0) return;
      this.#output.waitForRoom(1);
    }
  }

  /** Moves what waited for room into the ring; the transmitter interrupt comes when all of it has gone. */
  #drain(): void {
    const u32 = this.#u32;
    const at = this.#at;
    if (u32[at + TX_COUNT] === 0) return;
    let moved = false;
    while (
      u32[at + TX_COUNT] !== 0 &&
      this.#output.pushByte(this.#u8[this.#transmit + u32[at + TX_HEAD]!]!)
    ) {
      u32[at + TX_HEAD] = (u32[at + TX_HEAD]! + 1) & (FIFO_BYTES - 1);
      u32[at + TX_COUNT]!--;
      moved = true;
    }
    if (moved) this.#onOutput();
    if (u32[at + TX_COUNT] === 0) u32[at + THR_INTERRUPT] = 1;
  }

  // --- time

  /** Takes input from the ring if it is time, and gets rid of output that waited. */
  #pump(): void {
    this.#drain();
    const { length } = this.#input;
    if (length === 0 || !this.#mayReceive()) return;
    const u32 = this.#u32;
    const room = this.#capacity() - u32[this.#at + RX_COUNT]!;
    if (room <= 0) return;
    const now = this.#clock.now();
    if (now < this.#f64[this.#at64 + NEXT_RECEIVE]!) return;
    const count = Math.min(room, length);
    for (let n = 0; n < count; n++) this.#putReceived(this.#input.popByte());
    this.#f64[this.#at64 + NEXT_RECEIVE] = now + (RECEIVE_INTERVAL_NS * count) / FIFO_BYTES;
  }

  /** Input may have arrived, or output room: for a thread that was woken because of it. */
  poll(): void {
    this.#locked(() => {
      this.#pump();
      this.#update();
    });
  }

  nextDeadline(): number {
    const u32 = this.#u32;
    let next = u32[this.#at + TX_COUNT] === 0 ? Infinity : this.#f64[this.#at64 + NEXT_TRANSMIT]!;
    if (u32[this.#at + RX_COUNT]! < this.#capacity() && this.#mayReceive() && this.#input.length !== 0) {
      next = Math.min(next, this.#f64[this.#at64 + NEXT_RECEIVE]!);
    }
    return next;
  }

  expire(now: number): void {
    this.#locked(() => {
      this.#pump();
      if (this.#u32[this.#at + TX_COUNT] !== 0)
        this.#f64[this.#at64 + NEXT_TRANSMIT] = now + TRANSMIT_INTERVAL_NS;
      this.#update();
    });
  }

  // --- interrupts

  /** The most important enabled condition (data sheet table IV). */
  #identify(): number {
    const u32 = this.#u32;
    const at = this.#at;
    const enabled = u32[at + IER]!;
    if ((enabled & IER_LINE) !== 0 && (u32[at + LINE_ERRORS]! & LSR_ERRORS) !== 0) return IIR_LINE;
    if ((enabled & IER_RECEIVED) !== 0 && u32[at + RX_COUNT] !== 0) {
      if (!this.#fifos) return IIR_RECEIVED;
      if (u32[at + RX_COUNT]! >= TRIGGER_LEVELS[(u32[at + FCR]! >>> 6) & 3]!) return IIR_RECEIVED;
      // The sender has nothing more, so the character timeout is over the moment it starts.
      if (this.#input.length === 0 || !this.#mayReceive()) return IIR_TIMEOUT;
    }
    if ((enabled & IER_TRANSMITTER) !== 0 && u32[at + THR_INTERRUPT] !== 0) return IIR_TRANSMITTER;
    if ((enabled & IER_MODEM) !== 0 && (u32[at + MSR]! & 0x0f) !== 0) return IIR_MODEM;
    return IIR_NONE;
  }

  #update(): void {
    const asserted =
      (this.#u32[this.#at + MCR]! & MCR_OUT2) !== 0 && !this.#loopback && this.#identify() !== IIR_NONE;
    if (asserted === (this.#u32[this.#at + LINE] !== 0)) return;
    this.#u32[this.#at + LINE] = asserted ? 1 : 0;
    this.#line.set(asserted);
  }

  #locked<T>(action: () => T): T {
    this.#lock.acquire();
    try {
      return action();
    } finally {
      this.#lock.release();
    }
  }
}

/** DTR to DSR, RTS to CTS, OUT1 to RI, OUT2 to DCD. */
function loopedModemLines(control: number): number {
  return (
    ((control & MCR_RTS) !== 0 ? MSR_CTS : 0) |
    ((control & MCR_DTR) !== 0 ? MSR_DSR : 0) |
    ((control & MCR_OUT1) !== 0 ? MSR_RING : 0) |
    ((control & MCR_OUT2) !== 0 ? MSR_CARRIER : 0)
  );
}
