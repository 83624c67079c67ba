/**
 * The keyboard controller (Intel 8042 as in the IBM PS/2 Technical Reference, "Keyboard and Auxiliary Device
 * Controller"): two PS/2 ports, A20 and the CPU reset. It answers every command at once; a port without a device
 * answers FEh with the timeout bit, so that a driver's probe ends without waiting.
 */
import type { Views } from '../base/views.ts';
import { KEYBOARD_COMMAND_PORT, KEYBOARD_DATA_PORT } from '../base/platform.ts';
import type { InterruptLine } from '../irqchip/line.ts';
import { I8042, I8042_ADDRESS } from '../layout/devices.ts';
import { SharedLock } from '../sync/lock.ts';
import type { A20Gate } from './board-ports.ts';
import type { IoBus } from './io-bus.ts';

const PENDING = (I8042_ADDRESS + I8042.at.pendingCommand) >>> 2;
const CONFIG = (I8042_ADDRESS + I8042.at.config) >>> 2;
const STATUS = (I8042_ADDRESS + I8042.at.status) >>> 2;
const OUTPUT = (I8042_ADDRESS + I8042.at.output) >>> 2;

const STATUS_OUTPUT_FULL = 0x01;
const STATUS_SYSTEM = 0x04;
const STATUS_COMMAND = 0x08;
const STATUS_UNLOCKED = 0x10;
const STATUS_AUX = 0x20;
const STATUS_TIMEOUT = 0x40;

const CONFIG_KEYBOARD_INTERRUPT = 0x01;
const CONFIG_AUX_INTERRUPT = 0x02;
const CONFIG_SYSTEM = 0x04;
const CONFIG_KEYBOARD_OFF = 0x10;
const CONFIG_AUX_OFF = 0x20;
const CONFIG_TRANSLATE = 0x40;

/** What the controller says for a device that does not answer. */
const NO_ANSWER = 0xfe;

/** A keyboard or mouse. It calls the controller's `poll` when it has bytes. */
export interface Ps2Device {
  /** A byte from the host. */
  receive(byte: number): void;
  /** The next byte for the host, -1 if there is none. */
  next(): number;
}

export interface I8042Options {
  readonly views: Views;
  readonly keyboardLine: InterruptLine;
  readonly mouseLine: InterruptLine;
  readonly a20: A20Gate;
  readonly reset: () => void;
  readonly keyboard?: Ps2Device;
  readonly mouse?: Ps2Device;
  /** Scan code set 2 to set 1, for a keyboard behind a translating controller. */
  readonly translate?: (byte: number) => number;
}

export class I8042Controller {
  readonly #u32: Uint32Array;
  readonly #lock: SharedLock;
  readonly #options: I8042Options;

  constructor(options: I8042Options) {
    this.#u32 = options.views.u32;
    this.#lock = new SharedLock(options.views, I8042_ADDRESS + I8042.at.lock);
    this.#options = options;
  }

  /** As firmware leaves it: self-test passed, both ports on, translation on, no interrupts. */
  reset(): void {
    this.#locked(() => {
      this.#u32[PENDING] = 0;
      this.#u32[CONFIG] = CONFIG_SYSTEM | CONFIG_TRANSLATE;
      this.#u32[STATUS] = STATUS_SYSTEM | STATUS_UNLOCKED;
      this.#u32[OUTPUT] = 0;
    });
  }

  attach(bus: IoBus): void {
    bus.addPorts('i8042', KEYBOARD_DATA_PORT, 1, [1], {
      read: () => this.#locked(() => this.#readData()),
      write: (_, value) => this.#locked(() => this.#writeData(value)),
    });
    bus.addPorts('i8042', KEYBOARD_COMMAND_PORT, 1, [1], {
      read: () => this.#u32[STATUS]!,
      write: (_, value) => this.#locked(() => this.#command(value)),
    });
  }

  /** A device has something to say. */
  poll(): void {
    this.#locked(() => {});
  }

  #locked<T>(action: () => T): T {
    this.#lock.acquire();
    try {
      const result = action();
      this.#fill();
      this.#update();
      return result;
    } finally {
      this.#lock.release();
    }
  }

  #readData(): number {
    const value = this.#u32[OUTPUT]!;
    this.#u32[STATUS]! &= ~(STATUS_OUTPUT_FULL | STATUS_AUX | STATUS_TIMEOUT);
    // The line falls with every byte, so that the next one makes an edge.
    this.#update();
    return value;
  }

  #put(value: number, flags: number): void {
    const u32 = this.#u32;
    u32[OUTPUT] = value;
    u32[STATUS] = (u32[STATUS]! & ~(STATUS_AUX | STATUS_TIMEOUT)) | STATUS_OUTPUT_FULL | flags;
  }

  /** Takes the next byte of an enabled device into the empty output buffer; the keyboard comes first. */
  #fill(): void {
    const u32 = this.#u32;
    if ((u32[STATUS]! & STATUS_OUTPUT_FULL) !== 0) return;
    const config = u32[CONFIG]!;
    const { keyboard, mouse, translate } = this.#options;
    if (keyboard !== undefined && (config & CONFIG_KEYBOARD_OFF) === 0) {
      const byte = keyboard.next();
      if (byte >= 0) {
        const translated =
          (config & CONFIG_TRANSLATE) !== 0 && translate !== undefined ? translate(byte) : byte;
        this.#put(translated, 0);
        return;
      }
    }
    if (mouse !== undefined && (config & CONFIG_AUX_OFF) === 0) {
      const byte = mouse.next();
      if (byte >= 0) this.#put(byte, STATUS_AUX);
    }
  }

  #update(): void {
    const status = this.#u32[STATUS]!;
    const config = this.#u32[CONFIG]!;
    const full = (status & STATUS_OUTPUT_FULL) !== 0;
    const aux = (status & STATUS_AUX) !== 0;
    this.#options.keyboardLine.set(full && !aux && (config & CONFIG_KEYBOARD_INTERRUPT) !== 0);
    this.#options.mouseLine.set(full && aux && (config & CONFIG_AUX_INTERRUPT) !== 0);
  }

  #toDevice(device: Ps2Device | undefined, value: number, flags: number): void {
    if (device === undefined) this.#put(NO_ANSWER, flags | STATUS_TIMEOUT);
    else device.receive(value);
  }

  #writeData(value: number): void {
    const u32 = this.#u32;
    const command = u32[PENDING]!;
    u32[PENDING] = 0;
    u32[STATUS]! &= ~STATUS_COMMAND;
    switch (command) {
      case 0x60:
        u32[CONFIG] = value;
        u32[STATUS] = (u32[STATUS]! & ~STATUS_SYSTEM) | (value & CONFIG_SYSTEM);
        return;
      case 0xd1:
        this.#options.a20.set((value & 2) !== 0);
        if ((value & 1) === 0) this.#options.reset();
        return;
      case 0xd2:
        this.#put(value, 0);
        return;
      case 0xd3:
        this.#put(value, STATUS_AUX);
        return;
      case 0xd4:
        u32[CONFIG]! &= ~CONFIG_AUX_OFF;
        this.#toDevice(this.#options.mouse, value, STATUS_AUX);
        return;
      case 0:
        // Data for the keyboard also switches its port on.
        u32[CONFIG]! &= ~CONFIG_KEYBOARD_OFF;
        this.#toDevice(this.#options.keyboard, value, 0);
        return;
      // Others of 61h-7Fh write controller RAM that nothing uses.
    }
  }

  #command(value: number): void {
    const u32 = this.#u32;
    u32[STATUS]! |= STATUS_COMMAND;
    u32[PENDING] = 0;
    if (value >= 0xf0) {
      // Pulses the output port's low bits: bit 0 is the CPU's reset.
      if ((value & 1) === 0) this.#options.reset();
      return;
    }
    if (value >= 0x20 && value < 0x40) {
      this.#put(value === 0x20 ? u32[CONFIG]! : 0, 0);
      return;
    }
    if (value >= 0x60 && value < 0x80) {
      u32[PENDING] = value;
      return;
    }
    switch (value) {
      case 0xa4:
        // No password is installed.
        this.#put(0xf1, 0);
        return;
      case 0xa7:
        u32[CONFIG]! |= CONFIG_AUX_OFF;
        return;
      case 0xa8:
        u32[CONFIG]! &= ~CONFIG_AUX_OFF;
        return;
      case 0xa9:
      case 0xab:
        // Interface tests: no fault on either port.
        this.#put(0, 0);
        return;
      case 0xaa:
        u32[STATUS]! |= STATUS_SYSTEM;
        this.#put(0x55, 0);
        return;
      case 0xad:
        u32[CONFIG]! |= CONFIG_KEYBOARD_OFF;
        return;
      case 0xae:
        u32[CONFIG]! &= ~CONFIG_KEYBOARD_OFF;
        return;
      case 0xc0:
        // Input port: keyboard not locked, color display.
        this.#put(0x80, 0);
        return;
      case 0xd0:
        this.#put(0x01 | (this.#options.a20.enabled ? 2 : 0), 0);
        return;
      case 0xd1:
      case 0xd2:
      case 0xd3:
      case 0xd4:
        u32[PENDING] = value;
        return;
      case 0xdd:
        this.#options.a20.set(false);
        return;
      case 0xdf:
        this.#options.a20.set(true);
        return;
      case 0xe0:
        // Test inputs: both clocks low.
        this.#put(0, 0);
        return;
    }
  }
}
