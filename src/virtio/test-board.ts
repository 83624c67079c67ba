/** A machine for transport tests: a PCI bus with one virtio function, and a guest that drives it as Linux's virtio_pci does. */
import { IoBus } from '../devices/io-bus.ts';
import type { AccessBytes } from '../devices/io-bus.ts';
import { PciBus } from '../devices/pci/bus.ts';
import { TestLine } from '../devices/test-devices.ts';
import type { VirtioDevice } from './device.ts';
import { DeviceHost } from './device-host.ts';
import type { DeviceHostOptions } from './device-host.ts';
import { IoeventfdTable } from './ioeventfd.ts';
import { VirtioPci } from './pci-transport.ts';
import type { VirtioPciOptions } from './pci-transport.ts';
import { TestDriver, testRam } from './test-driver.ts';
import type { TestRam } from './test-driver.ts';

export const SLOT = 4;
export const BOARD_RAM = 0x200000;

/** What a guest needs to see of its machine. */
export interface GuestSide extends TestRam {
  readonly bus: IoBus;
}

export interface VirtioBoard extends GuestSide {
  readonly line: TestLine;
  readonly msis: string[];
  readonly problems: string[];
  readonly transport: VirtioPci;
  readonly host: DeviceHost;
}

export type BoardOptions = { readonly withIoeventfds?: boolean } & Partial<
  Pick<VirtioPciOptions, 'disableLegacy' | 'disableModern'>
> &
  Partial<Pick<DeviceHostOptions, 'defer' | 'eventIdx' | 'exchange' | 'modern' | 'onDriver'>>;

export function virtioBoard(device: VirtioDevice, options: BoardOptions = {}): VirtioBoard {
  const ram = testRam(BOARD_RAM);
  const line = new TestLine();
  const pci = new PciBus({ views: ram.views, line: () => line });
  const msis: string[] = [];
  const problems: string[] = [];
  const { name, type, queueSizes, writableConfig } = device.identity;
  const ioeventfds = options.withIoeventfds === true ? new IoeventfdTable(ram.views) : undefined;
  const transport = new VirtioPci({
    views: ram.views,
    pci,
    device: SLOT,
    slot: 0,
    name,
    type,
    queues: queueSizes.length,
    ...(writableConfig === undefined ? {} : { writableConfig }),
    sendMsi: (address, data) => msis.push(`${address.toString(16)}=${data.toString(16)}`),
    ...(ioeventfds === undefined ? {} : { ioeventfds }),
    ...options,
  });
  const host = new DeviceHost({
    state: transport.state,
    memory: ram.memory,
    device,
    interrupts: transport.interrupts,
    onProblem: (message) => problems.push(message),
    ...options,
  });
  transport.serve(host);
  pci.reset();
  transport.reset();
  pci.assignResources();
  const bus = new IoBus();
  if (ioeventfds !== undefined) bus.setWriteMatch(ioeventfds);
  pci.attach(bus);
  return { ...ram, bus, line, msis, problems, transport, host };
}

/** A capability as found in configuration space. */
interface Capability {
  readonly at: number;
  readonly id: number;
}

/** Configuration space, BARs and capabilities by register access only. */
export class PciGuest {
  readonly #bus: IoBus;

  constructor(bus: IoBus) {
    this.#bus = bus;
  }

  #select(register: number): void {
    this.#bus.writePort(0xcf8, (0x80000000 | (SLOT << 11) | (register & 0xfc)) >>> 0, 4);
  }

  readConfig(register: number, bytes: AccessBytes): number {
    this.#select(register);
    return this.#bus.readPort(0xcfc + (register & 3), bytes);
  }

  writeConfig(register: number, value: number, bytes: AccessBytes): void {
    this.#select(register);
    this.#bus.writePort(0xcfc + (register & 3), value, bytes);
  }

  bar(index: number): number {
    return (this.readConfig(0x10 + 4 * index, 4) & ~15) >>> 0;
  }

  capabilities(): Capability[] {
    const list: Capability[] = [];
    for (let at = this.readConfig(0x34, 1); at !== 0; at = this.readConfig(at + 1, 1))
      list.push({ at, id: this.readConfig(at, 1) });
    return list;
  }

  capability(id: number): number {
    return this.capabilities().find((capability) => capability.id === id)?.at ?? 0;
  }

  /** Address of the structure with this cfg_type (virtio 1.2, 4.1.4). */
  structure(type: number): number {
    for (const { at, id } of this.capabilities()) {
      if (id === 9 && this.readConfig(at + 3, 1) === type)
        return this.bar(this.readConfig(at + 4, 1)) + this.readConfig(at + 8, 4);
    }
    return 0;
  }

  /** The nth entry of the MSI-X table. */
  setMsixEntry(vector: number, address: number, data: number, control: number): void {
    const at = this.bar(1) + 16 * vector;
    this.#bus.writeMmio(at, address, 4);
    this.#bus.writeMmio(at + 4, 0, 4);
    this.#bus.writeMmio(at + 8, data, 4);
    this.#bus.writeMmio(at + 12, control, 4);
  }

  setMsixControl(control: number): void {
    this.writeConfig(this.capability(0x11) + 2, control, 2);
  }
}

export interface QueueSetup {
  readonly start: number;
  readonly size: number;
  readonly indirectTables?: number;
}

/** virtio_pci_modern: everything through the structures that the capabilities name. */
export class ModernGuest extends PciGuest {
  readonly #bus: IoBus;
  readonly #board: GuestSide;
  readonly common: number;
  readonly notify: number;
  readonly isr: number;
  readonly device: number;
  #eventIdx = false;

  constructor(board: GuestSide) {
    super(board.bus);
    this.#bus = board.bus;
    this.#board = board;
    this.common = this.structure(1);
    this.notify = this.structure(2);
    this.isr = this.structure(3);
    this.device = this.structure(4);
  }

  read(offset: number, bytes: AccessBytes): number {
    return this.#bus.readMmio(this.common + offset, bytes);
  }

  write(offset: number, value: number, bytes: AccessBytes): void {
    this.#bus.writeMmio(this.common + offset, value, bytes);
  }

  get status(): number {
    return this.read(20, 1);
  }

  set status(value: number) {
    this.write(20, value, 1);
  }

  offered(): [number, number] {
    this.write(0, 0, 4);
    const low = this.read(4, 4);
    this.write(0, 1, 4);
    return [low, this.read(4, 4)];
  }

  accept(low: number, high: number): void {
    this.write(8, 0, 4);
    this.write(12, low, 4);
    this.write(8, 1, 4);
    this.write(12, high, 4);
    this.#eventIdx = (low & (1 << 29)) !== 0;
  }

  /** 3.1.1, steps 1 to 6. */
  negotiate(low: number, high = 1): void {
    this.status = 0;
    this.status = 1;
    this.status = 3;
    this.accept(low, high);
    this.status = 11;
  }

  setQueue(queue: number, setup: QueueSetup, vector = 0xffff): TestDriver {
    const driver = new TestDriver({ data: this.#board.data, eventIdx: this.#eventIdx, ...setup });
    this.write(22, queue, 2);
    this.write(24, setup.size, 2);
    for (const [offset, address] of [
      [32, driver.ring.descriptors],
      [40, driver.ring.avail],
      [48, driver.ring.used],
    ] as const) {
      this.write(offset, address, 4);
      this.write(offset + 4, 0, 4);
    }
    this.write(26, vector, 2);
    this.write(28, 1, 2);
    return driver;
  }

  ready(): void {
    this.status = 15;
  }

  kick(queue: number): void {
    this.#bus.writeMmio(this.notify + 4 * queue, queue, 2);
  }

  readIsr(): number {
    return this.#bus.readMmio(this.isr, 1);
  }

  readDevice(offset: number, bytes: AccessBytes): number {
    return this.#bus.readMmio(this.device + offset, bytes);
  }

  writeDevice(offset: number, value: number, bytes: AccessBytes): void {
    this.#bus.writeMmio(this.device + offset, value, bytes);
  }
}

/** virtio_pci_legacy: ports in BAR 0. */
export class LegacyGuest extends PciGuest {
  readonly #bus: IoBus;
  readonly #board: GuestSide;
  readonly base: number;

  constructor(board: GuestSide) {
    super(board.bus);
    this.#bus = board.bus;
    this.#board = board;
    this.base = this.bar(0);
  }

  read(offset: number, bytes: AccessBytes): number {
    return this.#bus.readPort(this.base + offset, bytes);
  }

  write(offset: number, value: number, bytes: AccessBytes): void {
    this.#bus.writePort(this.base + offset, value, bytes);
  }

  get status(): number {
    return this.read(18, 1);
  }

  set status(value: number) {
    this.write(18, value, 1);
  }

  negotiate(features: number): void {
    this.status = 0;
    this.status = 1;
    this.status = 3;
    this.write(4, features, 4);
  }

  /** `start` is a multiple of 4096; the size is the device's. */
  setQueue(queue: number, start: number, vector?: number): TestDriver {
    this.write(14, queue, 2);
    const driver = new TestDriver({ data: this.#board.data, start, size: this.read(12, 2) });
    if (vector !== undefined) this.write(22, vector, 2);
    this.write(8, start / 4096, 4);
    return driver;
  }

  ready(): void {
    this.status = 7;
  }

  kick(queue: number): void {
    this.write(16, queue, 2);
  }

  readIsr(): number {
    return this.read(19, 1);
  }
}
