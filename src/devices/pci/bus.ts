/**
 * PCI bus 0 and its configuration mechanism #1 (PCI 3.0, 3.2.2.3.2): address at CF8h, data at CFCh. BARs decode
 * from shared configuration space, so that a write on one vCPU moves them for all.
 */
import type { Views } from '../../base/views.ts';
import {
  PCI_ADDRESS_PORT,
  PCI_DATA_PORT,
  PCI_GSIS,
  PCI_HOLE_END,
  PCI_HOLE_START,
} from '../../base/platform.ts';
import type { InterruptLine } from '../../irqchip/line.ts';
import { MAX_PCI_FUNCTIONS, PCI, PCI_ADDRESS } from '../../layout/devices.ts';
import { SharedLock } from '../../sync/lock.ts';
import type { IoBus, IoRange, MovableRanges } from '../io-bus.ts';
import {
  COMMAND_BUS_MASTER,
  COMMAND_IO,
  COMMAND_MEMORY,
  PCI_BAR0,
  PCI_COMMAND,
  PCI_INTERRUPT_LINE,
} from './config-space.ts';
import { PciFunction } from './function.ts';
import type { PciIdentity } from './function.ts';

const ADDRESS = (PCI_ADDRESS + PCI.at.address) >>> 2;
const GENERATION = (PCI_ADDRESS + PCI.at.generation) >>> 2;

const ADDRESS_ENABLE = 0x80000000;
/**
 * Enable, bus, device, function, register. Bits 27-24 are AMD's extended register number: without them kept, a guest
 * that probes for extended space would find the ordinary one again.
 */
const ADDRESS_WRITABLE = 0x8ffffffc;
const ADDRESS_EXTENDED = 0x0f000000;

/** Ports for BARs, above what boards have used for themselves. */
const IO_WINDOW_START = 0xc000;
const IO_WINDOW_END = 0x10000;

export interface PciBusOptions {
  readonly views: Views;
  /** Interrupt line `gsi` for one of the devices that share it. */
  readonly line: (gsi: number, input: number) => InterruptLine;
}

export class PciBus implements MovableRanges {
  readonly #views: Views;
  readonly #lock: SharedLock;
  readonly #line: PciBusOptions['line'];
  readonly #functions = new Map<number, PciFunction>();
  readonly #onMoved: (() => void)[] = [];
  #generation = -1;
  #ports: readonly IoRange[] = [];
  #memory: readonly IoRange[] = [];

  constructor(options: PciBusOptions) {
    this.#views = options.views;
    this.#lock = new SharedLock(options.views, PCI_ADDRESS + PCI.at.lock);
    this.#line = options.line;
  }

  /** Adds a function at device.function. All threads add the same ones in the same order. */
  add(device: number, fn: number, name: string, identity: PciIdentity): PciFunction {
    const slot = this.#functions.size;
    const key = (device << 3) | fn;
    if (slot === MAX_PCI_FUNCTIONS || this.#functions.has(key))
      throw new Error(`PCI ${device}.${fn} is taken`);
    const added = new PciFunction(this.#views, slot, name, identity);
    // Input 0 of a line is for what is soldered to it.
    if (added.interruptPin !== 0)
      added.connect(this.#line(gsiOf(device, added.interruptPin), 1 + (slot % 31)));
    this.#functions.set(key, added);
    return added;
  }

  reset(): void {
    this.#locked(() => {
      this.#views.u32[ADDRESS] = 0;
      for (const fn of this.#functions.values()) fn.reset();
      this.#moved();
    });
  }

  /**
   * What firmware does: gives every BAR an address, switches decoding on and fills in the interrupt lines.
   * For boots without firmware, after reset.
   */
  assignResources(): void {
    this.#locked(() => {
      let port = IO_WINDOW_START;
      let memory = PCI_HOLE_START;
      for (const [key, fn] of this.#functions) {
        if (fn.interruptPin !== 0) fn.set(PCI_INTERRUPT_LINE, gsiOf(key >>> 3, fn.interruptPin), 1);
        let command = 0;
        for (const bar of fn.bars) {
          const register = PCI_BAR0 + 4 * bar.index;
          const next = bar.kind === 'port' ? port : memory;
          const address = Math.ceil(next / bar.size) * bar.size;
          const end = bar.kind === 'port' ? IO_WINDOW_END : PCI_HOLE_END;
          if (address + bar.size > end) throw new Error(`${fn.name}: no room for BAR ${bar.index}`);
          fn.set(register, (fn.get(register, 4) | address) >>> 0, 4);
          if (bar.kind === 'port') port = address + bar.size;
          else memory = address + bar.size;
          command |= bar.kind === 'port' ? COMMAND_IO : COMMAND_MEMORY;
        }
        if (command !== 0) fn.set(PCI_COMMAND, command | COMMAND_BUS_MASTER, 2);
      }
      this.#moved();
    });
  }

  attach(bus: IoBus): void {
    // Only a doubleword write reaches the address register; bytes pass by (CF9h is the reset port).
    bus.addPorts('pci-config', PCI_ADDRESS_PORT, 4, [4], {
      read: () => this.#views.u32[ADDRESS]!,
      write: (_, value) => {
        this.#views.u32[ADDRESS] = value & ADDRESS_WRITABLE;
      },
    });
    bus.addPorts('pci-config', PCI_DATA_PORT, 4, [1, 2, 4], {
      read: (offset, bytes) => {
        const register = this.#register(offset);
        const window = this.#selected()?.windowAt(register, bytes);
        if (window !== undefined) return window.handler.read(register - window.offset, bytes);
        return this.#locked(() => {
          const fn = this.#selected();
          if (fn === undefined) return 0xffffffff >>> (32 - bytes * 8);
          return fn.get(register, bytes);
        });
      },
      write: (offset, value, bytes) => {
        const register = this.#register(offset);
        const window = this.#selected()?.windowAt(register, bytes);
        if (window !== undefined) return window.handler.write(register - window.offset, value, bytes);
        const hasMoved = this.#locked(() => {
          if (this.#selected()?.write(register, value, bytes) !== true) return false;
          this.#moved();
          return true;
        });
        if (hasMoved) for (const listener of this.#onMoved) listener();
      },
    });
    bus.addMovable(this);
  }

  /** Told, without the lock, after this thread's vCPU may have moved a BAR or switched its decoding. */
  onMoved(listener: () => void): void {
    this.#onMoved.push(listener);
  }

  findPort(port: number, bytes: number): IoRange | undefined {
    this.#refresh();
    return this.#ports.find((range) => port >= range.start && port + bytes <= range.start + range.size);
  }

  findMmio(gpa: number, bytes: number): IoRange | undefined {
    this.#refresh();
    return this.#memory.find((range) => gpa >= range.start && gpa + bytes <= range.start + range.size);
  }

  get ranges(): { readonly ports: readonly IoRange[]; readonly mmio: readonly IoRange[] } {
    this.#refresh();
    return { ports: this.#ports, mmio: this.#memory };
  }

  /** A device changes its own configuration space or interrupt from outside a configuration access. */
  locked<T>(action: () => T): T {
    return this.#locked(action);
  }

  #locked<T>(action: () => T): T {
    this.#lock.acquire();
    try {
      return action();
    } finally {
      this.#lock.release();
    }
  }

  #selected(): PciFunction | undefined {
    const address = this.#views.u32[ADDRESS]!;
    // Only bus 0 exists, and only 256 bytes of each function.
    if ((address & ADDRESS_ENABLE) === 0 || ((address >>> 16) & 0xff) !== 0) return undefined;
    if ((address & ADDRESS_EXTENDED) !== 0) return undefined;
    return this.#functions.get((address >>> 8) & 0xff);
  }

  #register(offset: number): number {
    return (this.#views.u32[ADDRESS]! & 0xfc) | offset;
  }

  #moved(): void {
    // After the configuration bytes: a thread that sees the new number reads the new BARs.
    Atomics.add(this.#views.i32, GENERATION, 1);
  }

  #refresh(): void {
    // Acquire, see #moved.
    if (Atomics.load(this.#views.i32, GENERATION) === this.#generation) return;
    this.#locked(() => {
      // Under the lock nobody bumps it, so the lists belong to this number.
      this.#generation = Atomics.load(this.#views.i32, GENERATION);
      const functions = [...this.#functions.values()];
      this.#ports = functions.flatMap((fn) => fn.mappedRanges('port'));
      this.#memory = functions.flatMap((fn) => fn.mappedRanges('memory'));
    });
  }
}

/** The line that INTA-INTD (pin 1-4) of a device reaches: PIIX3's swizzle, see platform.ts. */
export function gsiOf(device: number, pin: number): number {
  return PCI_GSIS[(device + pin - 1) & 3]!;
}
