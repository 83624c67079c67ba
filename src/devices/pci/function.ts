/**
 * One PCI function: its configuration space, BARs, capability list and INTx (PCI 3.0, chapter 6). The bytes are in
 * shared memory; what is behind the BARs is each thread's handlers. The bus holds the lock for everything here.
 */
import type { Views } from '../../base/views.ts';
import type { InterruptLine } from '../../irqchip/line.ts';
import { PCI_FUNCTION, pciFunctionAddress } from '../../layout/devices.ts';
import { ioRange } from '../io-bus.ts';
import type { AccessBytes, IoHandler, IoRange } from '../io-bus.ts';
import {
  BARS,
  BAR_IO,
  BAR_PREFETCHABLE,
  COMMAND_INTERRUPT_DISABLE,
  COMMAND_IO,
  COMMAND_MEMORY,
  COMMAND_WRITABLE,
  HEADER_MULTIFUNCTION,
  PCI_BAR0,
  PCI_CACHE_LINE_SIZE,
  PCI_CAPABILITY_POINTER,
  PCI_CLASS_CODE,
  PCI_COMMAND,
  PCI_DEVICE_ID,
  PCI_DEVICE_SPECIFIC,
  PCI_HEADER_TYPE,
  PCI_INTERRUPT_LINE,
  PCI_INTERRUPT_PIN,
  PCI_LATENCY_TIMER,
  PCI_REVISION_ID,
  PCI_STATUS,
  PCI_SUBSYSTEM_ID,
  PCI_SUBSYSTEM_VENDOR_ID,
  PCI_VENDOR_ID,
  STATUS_CAPABILITIES,
  STATUS_CLEARED,
  STATUS_INTERRUPT,
} from './config-space.ts';

export interface PciIdentity {
  readonly vendor: number;
  readonly device: number;
  readonly revision: number;
  /** Base class, sub-class, programming interface: 24 bits. */
  readonly classCode: number;
  readonly subsystemVendor?: number;
  readonly subsystem?: number;
  /** 1-4: INTA-INTD, 0: none. */
  readonly interruptPin?: number;
  readonly multifunction?: boolean;
}

export interface PciBar {
  readonly index: number;
  readonly kind: 'memory' | 'port';
  /** A power of two: at least 16 for memory and 4 for ports. */
  readonly size: number;
  readonly prefetchable?: boolean;
  readonly handler: IoHandler;
}

export interface PciCapability {
  readonly id: number;
  /** What follows the ID and the link. */
  readonly body: Uint8Array;
  /** Bits of the body that the guest may write; none if left out. */
  readonly writable?: Uint8Array;
}

/**
 * Bytes of configuration space behind which other registers are (VIRTIO_PCI_CAP_PCI_CFG). Served without the lock of
 * the bus, as those registers may need it.
 */
export interface ConfigWindow {
  readonly offset: number;
  readonly bytes: number;
  readonly handler: IoHandler;
}

interface MappedBar extends PciBar {
  /** Where the handler is mapped now, as far as this thread has looked. */
  range: IoRange | undefined;
}

export class PciFunction {
  readonly name: string;
  readonly #u8: Uint8Array;
  readonly #u32: Uint32Array;
  readonly #config: number;
  readonly #writable: number;
  readonly #clearOnOne: number;
  readonly #interrupt: number;
  readonly #identity: PciIdentity;
  readonly #bars: MappedBar[] = [];
  readonly #capabilities: PciCapability[] = [];
  #line: InterruptLine | undefined;
  #onWrite: ((offset: number, bytes: number) => void) | undefined;
  #window: ConfigWindow | undefined;

  /** `slot` says where in shared memory: the same on all threads. */
  constructor(views: Views, slot: number, name: string, identity: PciIdentity) {
    const address = pciFunctionAddress(slot);
    this.name = name;
    this.#u8 = views.u8;
    this.#u32 = views.u32;
    this.#config = address + PCI_FUNCTION.at.config;
    this.#writable = address + PCI_FUNCTION.at.writable;
    this.#clearOnOne = address + PCI_FUNCTION.at.clearOnOne;
    this.#interrupt = (address + PCI_FUNCTION.at.interrupt) >>> 2;
    this.#identity = identity;
  }

  // --- assembly, before the first reset

  addBar(bar: PciBar): this {
    const smallest = bar.kind === 'memory' ? 16 : 4;
    if (bar.index >= BARS || bar.size < smallest || (bar.size & (bar.size - 1)) !== 0) {
      throw new Error(`${this.name}: BAR ${bar.index} of ${bar.size} bytes`);
    }
    this.#bars.push({ ...bar, range: undefined });
    return this;
  }

  addCapability(capability: PciCapability): this {
    this.#capabilities.push(capability);
    return this;
  }

  /** `onWrite` is told of writes behind the header, for capabilities that act. */
  onConfigWrite(onWrite: (offset: number, bytes: number) => void): this {
    this.#onWrite = onWrite;
    return this;
  }

  setWindow(window: ConfigWindow): this {
    this.#window = window;
    return this;
  }

  /** The window that an access falls into, wholly. */
  windowAt(offset: number, bytes: number): ConfigWindow | undefined {
    const window = this.#window;
    return window !== undefined && offset >= window.offset && offset + bytes <= window.offset + window.bytes
      ? window
      : undefined;
  }

  connect(line: InterruptLine): void {
    this.#line = line;
  }

  get interruptPin(): number {
    return this.#identity.interruptPin ?? 0;
  }

  get bars(): readonly PciBar[] {
    return this.#bars;
  }

  /** Power-on state: the identity, no address assigned, nothing enabled. */
  reset(): void {
    const u8 = this.#u8;
    u8.fill(0, this.#config, this.#config + 256);
    u8.fill(0, this.#writable, this.#writable + 256);
    u8.fill(0, this.#clearOnOne, this.#clearOnOne + 256);
    this.#u32[this.#interrupt] = 0;
    this.#line?.set(false);
    const id = this.#identity;
    this.set(PCI_VENDOR_ID, id.vendor, 2);
    this.set(PCI_DEVICE_ID, id.device, 2);
    this.set(PCI_REVISION_ID, id.revision, 1);
    this.set(PCI_CLASS_CODE, id.classCode & 0xff, 1);
    this.set(PCI_CLASS_CODE + 1, id.classCode >>> 8, 2);
    this.set(PCI_HEADER_TYPE, id.multifunction === true ? HEADER_MULTIFUNCTION : 0, 1);
    this.set(PCI_SUBSYSTEM_VENDOR_ID, id.subsystemVendor ?? 0, 2);
    this.set(PCI_SUBSYSTEM_ID, id.subsystem ?? 0, 2);
    this.set(PCI_INTERRUPT_PIN, this.interruptPin, 1);
    this.allowWrites(PCI_COMMAND, COMMAND_WRITABLE, 2);
    this.allowWrites(PCI_CACHE_LINE_SIZE, 0xff, 1);
    this.allowWrites(PCI_LATENCY_TIMER, 0xff, 1);
    this.allowWrites(PCI_INTERRUPT_LINE, 0xff, 1);
    this.#setBytes(this.#clearOnOne, PCI_STATUS, STATUS_CLEARED, 2);
    for (const bar of this.#bars) {
      const flags = bar.kind === 'port' ? BAR_IO : bar.prefetchable === true ? BAR_PREFETCHABLE : 0;
      this.set(PCI_BAR0 + 4 * bar.index, flags, 4);
      // Address bits above the size are writable: that is how software measures it.
      this.allowWrites(PCI_BAR0 + 4 * bar.index, -bar.size >>> 0, 4);
    }
    this.#layOutCapabilities();
  }

  #layOutCapabilities(): void {
    let link = PCI_CAPABILITY_POINTER;
    let offset = PCI_DEVICE_SPECIFIC;
    for (const { id, body, writable } of this.#capabilities) {
      if (offset + 2 + body.length > 256) throw new Error(`${this.name}: capabilities do not fit`);
      this.set(link, offset, 1);
      this.set(offset, id, 1);
      this.#u8.set(body, this.#config + offset + 2);
      if (writable !== undefined) this.#u8.set(writable, this.#writable + offset + 2);
      link = offset + 1;
      offset = (offset + 2 + body.length + 3) & ~3;
    }
    if (this.#capabilities.length > 0) this.set(PCI_STATUS, STATUS_CAPABILITIES, 2);
  }

  /** Where the nth capability is in configuration space. */
  capabilityOffset(index: number): number {
    let offset = PCI_DEVICE_SPECIFIC;
    for (const { body } of this.#capabilities.slice(0, index)) offset = (offset + 2 + body.length + 3) & ~3;
    return offset;
  }

  // --- configuration space, for the device itself

  get(offset: number, bytes: AccessBytes): number {
    let value = 0;
    for (let n = 0; n < bytes; n++) value |= this.#u8[this.#config + offset + n]! << (n * 8);
    return value >>> 0;
  }

  set(offset: number, value: number, bytes: AccessBytes): void {
    this.#setBytes(this.#config, offset, value, bytes);
  }

  allowWrites(offset: number, mask: number, bytes: AccessBytes): void {
    this.#setBytes(this.#writable, offset, mask, bytes);
  }

  #setBytes(base: number, offset: number, value: number, bytes: number): void {
    for (let n = 0; n < bytes; n++) this.#u8[base + offset + n] = (value >>> (n * 8)) & 0xff;
  }

  /** Drives INTx; the command register can hold it off, the status register shows it either way. */
  setInterrupt(asserted: boolean): void {
    this.#u32[this.#interrupt] = asserted ? 1 : 0;
    this.#driveInterrupt();
  }

  #driveInterrupt(): void {
    const asserted = this.#u32[this.#interrupt] !== 0;
    const status = this.get(PCI_STATUS, 2) & ~STATUS_INTERRUPT;
    this.set(PCI_STATUS, status | (asserted ? STATUS_INTERRUPT : 0), 2);
    this.#line?.set(asserted && (this.get(PCI_COMMAND, 2) & COMMAND_INTERRUPT_DISABLE) === 0);
  }

  // --- configuration space, for the guest

  /** True if the write may have moved a BAR. */
  write(offset: number, value: number, bytes: AccessBytes): boolean {
    const u8 = this.#u8;
    for (let n = 0; n < bytes; n++) {
      const at = offset + n;
      const byte = (value >>> (n * 8)) & 0xff;
      const writable = u8[this.#writable + at]!;
      const cleared = u8[this.#clearOnOne + at]! & byte;
      const old = u8[this.#config + at]!;
      u8[this.#config + at] = ((old & ~writable) | (byte & writable)) & ~cleared;
    }
    if (offset < PCI_STATUS && offset + bytes > PCI_COMMAND) {
      this.#driveInterrupt();
      return true;
    }
    if (offset >= PCI_DEVICE_SPECIFIC) this.#onWrite?.(offset, bytes);
    return offset < PCI_BAR0 + 4 * BARS && offset + bytes > PCI_BAR0;
  }

  /** Where BAR `index` decodes now, undefined if it does not. Without the lock this is a hint, as a vCPU may move it. */
  mappedAt(index: number): number | undefined {
    const bar = this.#bars.find((other) => other.index === index);
    if (bar === undefined) return undefined;
    const enable = bar.kind === 'memory' ? COMMAND_MEMORY : COMMAND_IO;
    return (this.get(PCI_COMMAND, 2) & enable) === 0 ? undefined : this.#start(bar);
  }

  /** An address of zero, or one that ends behind the space, is no assignment. */
  #start({ index, size, kind }: PciBar): number | undefined {
    const start = (this.get(PCI_BAR0 + 4 * index, 4) & -size) >>> 0;
    return start === 0 || (kind === 'port' && start + size > 0x10000) ? undefined : start;
  }

  /** The BARs that decode now, at the addresses that the guest has given them. */
  mappedRanges(kind: 'memory' | 'port'): IoRange[] {
    const enable = kind === 'memory' ? COMMAND_MEMORY : COMMAND_IO;
    if ((this.get(PCI_COMMAND, 2) & enable) === 0) return [];
    const ranges: IoRange[] = [];
    for (const bar of this.#bars) {
      if (bar.kind !== kind) continue;
      const start = this.#start(bar);
      if (start === undefined) continue;
      if (bar.range?.start !== start) {
        bar.range = ioRange(`${this.name} BAR ${bar.index}`, start, bar.size, bar.handler);
      }
      ranges.push(bar.range);
    }
    return ranges;
  }
}
