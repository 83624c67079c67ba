/**
 * Virtio over PCI (virtio 1.2, 4.1): one function with the modern registers in BAR 4, MSI-X in BAR 1 and, if the device is
 * transitional, the legacy ports in BAR 0. Each vCPU's thread makes its own over the shared state; the thread that owns
 * the device makes one too, for its interrupts.
 */
import type { Views } from '../base/views.ts';
import type { AccessBytes, IoHandler } from '../devices/io-bus.ts';
import type { PciBus } from '../devices/pci/bus.ts';
import type { PciCapability, PciFunction, PciIdentity } from '../devices/pci/function.ts';
import { doorbellOf } from '../layout/ioeventfd.ts';
import type { ConfigRange } from './device.ts';
import { NOWHERE } from './ioeventfd.ts';
import type { DoorbellMatch, IoeventfdTable } from './ioeventfd.ts';
import { VirtioInterrupts } from './interrupts.ts';
import { MSIX_CONTROL_ENABLE, MSIX_CONTROL_MASK, MsixTable } from './msix.ts';
import type { SendMsi } from './msix.ts';
import type { DeviceOwner } from './owner.ts';
import { CommonConfig } from './pci-common.ts';
import {
  CAP_BAR,
  CAP_ID_MSIX,
  CAP_ID_VENDOR,
  CAP_LENGTH,
  CAP_OFFSET,
  CAP_PCI_CFG_DATA,
  COMMON_BYTES,
  COMMON_OFFSET,
  DEVICE_OFFSET,
  ISR_OFFSET,
  LEGACY_BAR,
  LEGACY_BAR_BYTES,
  LEGACY_QUEUE_NOTIFY,
  MODERN_BAR,
  MODERN_BAR_BYTES,
  MSIX_BAR,
  MSIX_BAR_BYTES,
  MSIX_PBA_OFFSET,
  NOTIFY_MULTIPLIER,
  NOTIFY_OFFSET,
  REGION_BYTES,
  TRANSITIONAL_IDS,
  VIRTIO_PCI_CAP_COMMON_CFG,
  VIRTIO_PCI_CAP_DEVICE_CFG,
  VIRTIO_PCI_CAP_ISR_CFG,
  VIRTIO_PCI_CAP_NOTIFY_CFG,
  VIRTIO_PCI_CAP_PCI_CFG,
  VIRTIO_PCI_MODERN_ID,
  VIRTIO_PCI_VENDOR,
} from './pci-layout.ts';
import { LegacyPorts } from './pci-legacy.ts';
import { DriverRegisters } from './registers.ts';
import { VirtioState } from './state.ts';

export interface VirtioPciOptions {
  readonly views: Views;
  readonly pci: PciBus;
  /** Device number on bus 0. */
  readonly device: number;
  /** Which of the shared blocks of layout/virtio.ts: the same on all threads. */
  readonly slot: number;
  readonly name: string;
  /** Device ID (virtio 1.2, chapter 5) and number of queues: the vector table and the class depend on them. */
  readonly type: number;
  readonly queues: number;
  readonly writableConfig?: readonly ConfigRange[];
  /** `disable-modern=on`, `disable-legacy=on`. Both interfaces unless given. */
  readonly disableModern?: boolean;
  readonly disableLegacy?: boolean;
  readonly sendMsi: SendMsi;
  /** On vCPUs' threads: a BAR that moves takes its doorbells along. */
  readonly ioeventfds?: IoeventfdTable;
}

/** PCI 3.0, appendix D, as QEMU has them. */
const CLASS_CODES: Readonly<Record<number, number>> = {
  1: 0x020000,
  2: 0x010000,
  3: 0x078000,
  4: 0x00ff00,
};

export class VirtioPci {
  readonly state: VirtioState;
  readonly interrupts: VirtioInterrupts;
  readonly function: PciFunction;
  readonly #options: VirtioPciOptions;
  readonly #msix: MsixTable;
  readonly #msixControl: number;
  readonly #handlers = new Map<number, IoHandler>();
  #registers: DriverRegisters | undefined;
  #owner: DeviceOwner | undefined;

  constructor(options: VirtioPciOptions) {
    const { views, pci, slot } = options;
    this.#options = options;
    this.state = new VirtioState(views, slot);
    this.#msix = new MsixTable(views, slot, options.queues + 1, options.sendMsi);
    this.function = pci.add(options.device, 0, options.name, identityOf(options));
    this.interrupts = new VirtioInterrupts(this.state, this.#msix, (action) =>
      pci.locked(() => this.function.setInterrupt(action())),
    );
    if (options.disableLegacy !== true) this.#addBar(LEGACY_BAR, 'port', LEGACY_BAR_BYTES);
    this.#addBar(MSIX_BAR, 'memory', MSIX_BAR_BYTES);
    if (options.disableModern !== true) this.#addBar(MODERN_BAR, 'memory', MODERN_BAR_BYTES);
    this.#msixControl = this.#addCapabilities();
    const table = options.ioeventfds;
    if (table !== undefined) {
      pci.onMoved(() => {
        for (let queue = 0; queue < options.queues; queue++)
          table.move(doorbellOf(slot, queue), this.notifyMatch(queue));
      });
    }
    this.function.onConfigWrite((offset, bytes) => this.#configWritten(offset, bytes));
  }

  /** Power-on state of the transport, after the reset of the bus; the device is reset through its owner. */
  reset(): void {
    this.state.locked(() => this.#msix.reset());
    this.#registers?.reset();
  }

  /** On a vCPU's thread: serves the registers, with `owner` for what they do not decide alone. */
  serve(owner: DeviceOwner): this {
    const { state, interrupts } = this;
    const registers = new DriverRegisters({
      state,
      msix: this.#msix,
      interrupts,
      owner,
      writableConfig: this.#options.writableConfig ?? [],
    });
    this.#owner = owner;
    this.#registers = registers;
    this.#handlers.set(LEGACY_BAR, new LegacyPorts(registers));
    this.#handlers.set(MSIX_BAR, msixBar(state, this.#msix));
    this.#handlers.set(MODERN_BAR, modernBar(registers));
    return this;
  }

  /** The guest write that kicks `queue` now, through the interface that the driver uses. */
  notifyMatch(queue: number): DoorbellMatch {
    const fn = this.function;
    if (this.state.get('legacy') !== 0) {
      const base = fn.mappedAt(LEGACY_BAR);
      if (base === undefined) return NOWHERE;
      // All queues share the port: the value tells them apart.
      return { space: 'port', address: base + LEGACY_QUEUE_NOTIFY, bytes: 2, value: queue };
    }
    const base = fn.mappedAt(MODERN_BAR);
    if (base === undefined) return NOWHERE;
    return { space: 'memory', address: base + NOTIFY_OFFSET + NOTIFY_MULTIPLIER * queue, bytes: 0 };
  }

  get owner(): DeviceOwner | undefined {
    return this.#owner;
  }

  #addBar(index: number, kind: 'memory' | 'port', size: number): void {
    this.function.addBar({
      index,
      kind,
      size,
      handler: {
        read: (offset, bytes) => this.#handlers.get(index)?.read(offset, bytes) ?? 0,
        write: (offset, value, bytes) => this.#handlers.get(index)?.write(offset, value, bytes),
      },
    });
  }

  /** Returns where Message Control of MSI-X is in configuration space. */
  #addCapabilities(): number {
    const fn = this.function;
    const capabilities: PciCapability[] = [msixCapability(this.#options.queues + 1)];
    if (this.#options.disableModern !== true) {
      capabilities.push(
        vendorCapability(VIRTIO_PCI_CAP_COMMON_CFG, COMMON_OFFSET, COMMON_BYTES),
        vendorCapability(VIRTIO_PCI_CAP_ISR_CFG, ISR_OFFSET, REGION_BYTES),
        vendorCapability(VIRTIO_PCI_CAP_DEVICE_CFG, DEVICE_OFFSET, REGION_BYTES),
        vendorCapability(VIRTIO_PCI_CAP_NOTIFY_CFG, NOTIFY_OFFSET, REGION_BYTES, NOTIFY_MULTIPLIER),
        pciConfigCapability(),
      );
    }
    for (const capability of capabilities) fn.addCapability(capability);
    if (this.#options.disableModern !== true) {
      const window = fn.capabilityOffset(capabilities.length - 1);
      fn.setWindow({ offset: window + CAP_PCI_CFG_DATA, bytes: 4, handler: this.#configWindow(window) });
    }
    return fn.capabilityOffset(0) + 2;
  }

  /** Under the bus's lock. The pin follows the mode; pending vectors may be free to go. */
  #configWritten(offset: number, bytes: number): void {
    if (offset >= this.#msixControl + 2 || offset + bytes <= this.#msixControl) return;
    this.#msix.setControl(this.function.get(this.#msixControl, 2));
    this.function.setInterrupt(this.interrupts.level);
  }

  /** 4.1.4.9: an access to pci_cfg_data is one of `length` bytes at `offset` of BAR `bar`. */
  #configWindow(capability: number): IoHandler {
    const fn = this.function;
    const target = (): { handler: IoHandler; offset: number; bytes: AccessBytes } | undefined => {
      const bar = fn.get(capability + CAP_BAR, 1);
      const offset = fn.get(capability + CAP_OFFSET, 4);
      const bytes = fn.get(capability + CAP_LENGTH, 4);
      const size = fn.bars.find(({ index }) => index === bar)?.size;
      const handler = this.#handlers.get(bar);
      // 4.1.4.9.2: what the driver must not ask for does nothing.
      if (handler === undefined || size === undefined || offset + bytes > size) return undefined;
      if ((bytes !== 1 && bytes !== 2 && bytes !== 4) || offset % bytes !== 0) return undefined;
      return { handler, offset, bytes };
    };
    const data = capability + CAP_PCI_CFG_DATA;
    return {
      read: (offset, bytes) => {
        const at = target();
        if (at !== undefined) fn.set(data, at.handler.read(at.offset, at.bytes), 4);
        return (fn.get(data, 4) >>> (8 * offset)) & (0xffffffff >>> (32 - 8 * bytes));
      },
      write: (offset, value, bytes) => {
        fn.set(data + offset, value, bytes);
        const at = target();
        if (at !== undefined) at.handler.write(at.offset, fn.get(data, at.bytes), at.bytes);
      },
    };
  }
}

function identityOf(options: VirtioPciOptions): PciIdentity {
  const { type } = options;
  const transitional = options.disableLegacy === true ? undefined : TRANSITIONAL_IDS[type];
  return {
    vendor: VIRTIO_PCI_VENDOR,
    device: transitional ?? VIRTIO_PCI_MODERN_ID + type,
    // 4.1.2.1: 0 where the legacy interface is.
    revision: transitional === undefined ? 1 : 0,
    classCode: CLASS_CODES[type] ?? 0x00ff00,
    subsystemVendor: VIRTIO_PCI_VENDOR,
    // A legacy driver tells the type by it.
    subsystem: transitional === undefined ? 0x1100 : type,
    interruptPin: 1,
  };
}

/** PCI 3.0, 6.8.2.3: Message Control, table and PBA. */
function msixCapability(vectors: number): PciCapability {
  const body = new Uint8Array(10);
  const data = new DataView(body.buffer);
  data.setUint16(0, vectors - 1, true);
  data.setUint32(2, MSIX_BAR, true);
  data.setUint32(6, MSIX_PBA_OFFSET | MSIX_BAR, true);
  const writable = new Uint8Array(10);
  new DataView(writable.buffer).setUint16(0, MSIX_CONTROL_ENABLE | MSIX_CONTROL_MASK, true);
  return { id: CAP_ID_MSIX, body, writable };
}

/** struct virtio_pci_cap, of which the first two bytes are the capability's ID and link. */
function vendorCapability(type: number, offset: number, length: number, extra?: number): PciCapability {
  const bytes = extra === undefined ? 16 : 20;
  const data = new DataView(new ArrayBuffer(bytes));
  data.setUint8(2, bytes);
  data.setUint8(3, type);
  data.setUint8(CAP_BAR, MODERN_BAR);
  data.setUint32(CAP_OFFSET, offset, true);
  data.setUint32(CAP_LENGTH, length, true);
  if (extra !== undefined) data.setUint32(16, extra, true);
  return { id: CAP_ID_VENDOR, body: new Uint8Array(data.buffer, 2) };
}

function pciConfigCapability(): PciCapability {
  const { id, body } = vendorCapability(VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 0);
  const writable = new Uint8Array(body.length);
  writable[CAP_BAR - 2] = 0xff;
  writable.fill(0xff, CAP_OFFSET - 2, CAP_LENGTH + 4 - 2);
  const empty = body.slice();
  empty[CAP_BAR - 2] = 0;
  return { id, body: empty, writable };
}

/** Table and PBA: words. A narrower read gets its part, a narrower write is none (PCI 3.0, 6.8.2). */
function msixBar(state: VirtioState, msix: MsixTable): IoHandler {
  return {
    read: (offset, bytes) => {
      const at = offset & ~3;
      const word = at >= MSIX_PBA_OFFSET ? msix.readPending(at - MSIX_PBA_OFFSET) : msix.readTable(at);
      return ((word >>> (8 * (offset & 3))) & (0xffffffff >>> (32 - 8 * bytes))) >>> 0;
    },
    write: (offset, value, bytes) => {
      if (bytes === 4 && offset < MSIX_PBA_OFFSET) state.locked(() => msix.writeTable(offset, value));
    },
  };
}

function modernBar(registers: DriverRegisters): IoHandler {
  const common = new CommonConfig(registers);
  return {
    read: (offset, bytes) => {
      if (offset < ISR_OFFSET) return common.read(offset, bytes);
      // 4.1.4.5: the ISR status is one byte; the rest of the region is nothing.
      if (offset < DEVICE_OFFSET) return offset === ISR_OFFSET ? registers.takeIsr() : 0;
      if (offset < NOTIFY_OFFSET) return registers.readConfig(offset - DEVICE_OFFSET, bytes);
      return 0;
    },
    write: (offset, value, bytes) => {
      if (offset < ISR_OFFSET) common.write(offset, value, bytes);
      else if (offset >= NOTIFY_OFFSET)
        registers.kick(Math.floor((offset - NOTIFY_OFFSET) / NOTIFY_MULTIPLIER));
      else if (offset >= DEVICE_OFFSET) registers.writeConfig(offset - DEVICE_OFFSET, value, bytes);
    },
  };
}
