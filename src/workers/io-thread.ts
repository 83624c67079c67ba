/** The parts list of a thread that owns devices: drives, hubs, the devices on them, and the loop that serves them. */
import { failure, success } from '../base/result.ts';
import type { Result } from '../base/result.ts';
import { viewsOf } from '../base/views.ts';
import type { Views } from '../base/views.ts';
import type { HelperRequest } from '../block/aio.ts';
import type { LockService } from '../block/disk-lock.ts';
import { Drive } from '../block/drive.ts';
import type { OpfsDirectory } from '../block/drivers/opfs-directory.ts';
import type { ReadableFile } from '../block/drivers/file-source.ts';
import { openDisk } from '../block/open-disk.ts';
import type { DiskEnvironment, DiskRequest } from '../block/open-disk.ts';
import { probeStorage } from '../block/storage-facts.ts';
import type { DriveConfig, Switch } from '../config/devices.ts';
import type { VirtioFunction } from '../control/hardware.ts';
import type { DiskInfo, IoeventfdInfo, NetInfo } from '../control/info.ts';
import type { IoCommand, IoEvent, IoInfo, IoSetup, Medium } from '../control/io-control.ts';
import { PciBus } from '../devices/pci/bus.ts';
import { addI440fx } from '../devices/pci/i440fx.ts';
import { EventLoop } from '../iothread/event-loop.ts';
import { IrqChip } from '../irqchip/irqchip.ts';
import {
  CAUSE_COMPLETION,
  CAUSE_DOORBELL,
  CONSOLE_IN_BASE,
  CONSOLE_OUT_BASE,
  THREAD_PAGE,
} from '../layout/machine.ts';
import { GuestMemory } from '../memory/guest-memory.ts';
import { HubLink } from '../net/hub-link.ts';
import { Hub } from '../net/hub.ts';
import { postCodeWrite } from '../sync/code-mail.ts';
import { doorbellCounts } from '../sync/doorbell.ts';
import { ByteRing } from '../sync/ring.ts';
import { wakeThread } from '../sync/wake.ts';
import { createMessageRing, MessageRing } from '../sync/message-ring.ts';
import { doorbellOf } from '../layout/ioeventfd.ts';
import { GuestClock } from '../time/clock.ts';
import { VirtioBlk } from '../virtio/blk/virtio-blk.ts';
import { DeviceHost } from '../virtio/device-host.ts';
import type { VirtioDevice } from '../virtio/device.ts';
import { IoeventfdTable } from '../virtio/ioeventfd.ts';
import { VirtioNet } from '../virtio/net/virtio-net.ts';
import type { VirtioPci } from '../virtio/pci-transport.ts';
import { decideIoeventfd, QueueDoorbells } from '../virtio/queue-doorbells.ts';
import type { IoeventfdDecision } from '../virtio/queue-doorbells.ts';
import { VirtioConsole } from '../virtio/virtio-console.ts';
import { VirtioRng } from '../virtio/virtio-rng.ts';
import type { HubLinkSetup } from './hub-link.ts';
import { addTransport } from './virtio-functions.ts';

/** What differs between a browser's worker and one of Node. */
export interface IoPlatform {
  /** Where images are; undefined without storage. */
  openDirectory(): Promise<OpfsDirectory | undefined>;
  readonly locks: LockService;
  /** Hardware threads. */
  readonly cores: number;
  /** The host keeps plain stores in order, as x86 does; false where that is not known. */
  hasStoreOrder(): Promise<boolean>;
  /** `thread` is the one that the helpers wake. */
  startHelpers(request: HelperRequest, thread: number): Promise<Result<undefined>>;
  readableFile(file: File): ReadableFile;
  fillRandom(bytes: Uint8Array<ArrayBuffer>): void;
  /** Starts a helper that carries a hub's frames to other tabs and theirs to it; none where there are no other tabs. */
  linkHub?(setup: HubLinkSetup): Promise<void>;
  /** Sends it to the page, also while the thread waits. */
  report(event: IoEvent): void;
}

/** Four of the largest messages, each way. */
const LINK_BYTES = 1 << 20;

/** From here on, a poll before a sleep takes no core from the guest. */
const POLL_CORES = 4;
const MAX_POLL_MS = 0.05;

interface Owned {
  readonly fn: VirtioFunction;
  readonly transport: VirtioPci;
  readonly host: DeviceHost;
  readonly doorbells: QueueDoorbells;
  readonly net: VirtioNet | undefined;
  setting: Switch;
  decision: IoeventfdDecision;
}

interface Slot {
  readonly config: DriveConfig;
  readonly drive: Drive;
  mediumName: string;
  warning: string | undefined;
}

export class IoThread {
  readonly loop: EventLoop;
  readonly #setup: IoSetup;
  readonly #platform: IoPlatform;
  readonly #storeOrder: boolean;
  readonly #views: Views;
  readonly #disks: DiskEnvironment;
  readonly #slots = new Map<string, Slot>();
  readonly #hubs = new Map<number, Hub>();
  readonly #links: Promise<void>[] = [];
  readonly #owned: Owned[] = [];
  readonly #born = performance.now();
  #quiesced: (() => void) | undefined;

  static async open(setup: IoSetup, platform: IoPlatform): Promise<Result<IoThread>> {
    const directory = await platform.openDirectory();
    const facts = await probeStorage({
      directory,
      cores: platform.cores,
      now: () => performance.now(),
      unique: `${setup.thread}-${performance.timeOrigin}`,
    });
    const storeOrder = await platform.hasStoreOrder();
    const thread: IoThread = new IoThread(setup, platform, storeOrder, {
      facts,
      directory,
      memory: setup.memory.buffer as unknown as SharedArrayBuffer,
      startHelpers: (request) => platform.startHelpers(request, setup.thread),
      memoryLimitBytes: setup.memoryLimitBytes,
      locks: platform.locks,
      now: () => performance.now(),
      defer: () => thread.#deferDisks(),
    });
    for (const fn of setup.hardware.functions) {
      const { device } = fn;
      if (fn.thread !== setup.thread || device.kind !== 'virtio-blk') continue;
      const opened = await thread.#openDrive(device.drive);
      if (!opened.ok) {
        await thread.closeDisks();
        return opened;
      }
    }
    thread.#addFunctions();
    // A worker that another one starts needs its event loop for that, which is not there any more once it serves devices.
    await Promise.all(thread.#links);
    return success(thread);
  }

  private constructor(setup: IoSetup, platform: IoPlatform, storeOrder: boolean, disks: DiskEnvironment) {
    const { thread, vcpus } = setup;
    this.#setup = setup;
    this.#platform = platform;
    this.#storeOrder = storeOrder;
    this.#views = viewsOf(setup.memory.buffer);
    this.#disks = disks;
    this.loop = new EventLoop({
      views: this.#views,
      thread,
      vcpus,
      maxPollMs: platform.cores >= POLL_CORES ? MAX_POLL_MS : 0,
      quiesce: (then) => this.#quiesce(then),
      resumed: () => this.#kickAll(),
    });
    this.loop.onCause(CAUSE_COMPLETION, () => {
      for (const { drive } of this.#slots.values()) drive.poll();
    });
  }

  // --- drives

  async #openDrive(id: string): Promise<Result<undefined>> {
    const config = this.#setup.hardware.drives.find((drive) => drive.id === id);
    if (config === undefined) return failure(`There is no drive “${id}”.`);
    const slot: Slot = { config, drive: new Drive(id), mediumName: '', warning: undefined };
    this.#slots.set(id, slot);
    slot.drive.onPause((pause) => {
      this.#platform.report({ kind: 'disk-paused', drive: id, message: pause.message });
      this.#quiesced?.();
    });
    const { file, sizeBytes, aio } = config;
    if (file === undefined && sizeBytes === undefined) return success(undefined);
    const given = file === undefined ? undefined : this.#setup.files[file];
    const medium: Medium =
      file === undefined || aio === 'memory'
        ? { kind: 'memory', bytes: sizeBytes ?? 0 }
        : given !== undefined
          ? { kind: 'file', file: given }
          : { kind: 'image', name: file, ...(sizeBytes === undefined ? {} : { createBytes: sizeBytes }) };
    return this.#insert(slot, medium, config.readOnly);
  }

  async #insert(slot: Slot, medium: Medium, readOnly: boolean): Promise<Result<undefined>> {
    const { config, drive } = slot;
    if (drive.medium !== undefined)
      return failure(`There is a medium in the drive “${drive.id}” already. Eject it first.`);
    const { source, name, createBytes } = this.#place(medium);
    // What was chosen for an image is nothing that a file or memory could do.
    const aio = source.kind === 'opfs' ? config.aio : 'auto';
    const request: DiskRequest = {
      id: drive.id,
      source,
      aio,
      cache: config.cache,
      readOnly,
      errorPolicy: {
        write: config.writeErrors,
        read: config.readErrors === 'stop' ? 'stop' : 'report',
      },
      ...(createBytes === undefined ? {} : { createBytes }),
    };
    const opened = await openDisk(request, this.#disks);
    if (!opened.ok) return opened;
    slot.mediumName = name;
    slot.warning = opened.value.warning;
    drive.insert(opened.value);
    if (slot.warning !== undefined) {
      this.#platform.report({ kind: 'disk-warning', drive: drive.id, message: slot.warning });
    }
    return success(undefined);
  }

  #place(medium: Medium): {
    readonly source: DiskRequest['source'];
    readonly name: string;
    readonly createBytes?: number;
  } {
    switch (medium.kind) {
      case 'image': {
        const { name, createBytes } = medium;
        return {
          source: { kind: 'opfs', name },
          name,
          ...(createBytes === undefined ? {} : { createBytes }),
        };
      }
      case 'file':
        return {
          source: { kind: 'file', file: this.#platform.readableFile(medium.file) },
          name: medium.file.name,
        };
      case 'memory':
        return { source: { kind: 'memory' }, name: 'memory', createBytes: medium.bytes };
    }
  }

  #deferDisks(): void {
    this.loop.defer(() => {
      for (const { drive } of this.#slots.values()) drive.service();
    });
  }

  /** Flushes and closes all media, and gives their locks back. Tells what went wrong. */
  async closeDisks(): Promise<Result<undefined>> {
    const problems: string[] = [];
    await Promise.all(
      [...this.#slots.values()].map(async ({ drive }) => {
        const status = await this.#settled<string>((then) => drive.eject(then));
        if (status !== 'ok') problems.push(`The disk “${drive.id}” was not closed properly: ${status}.`);
      }),
    );
    return problems.length === 0 ? success(undefined) : failure(problems.join(' '));
  }

  /** Waits for a callback while the loop does not run: helpers' answers are looked for here. */
  #settled<T>(start: (then: (value: T) => void) => void): Promise<T> {
    return new Promise((resolve) => {
      let isOver = false;
      const media = [...this.#slots.values()].flatMap(({ drive }) => drive.medium ?? []);
      start((value) => {
        isOver = true;
        resolve(value);
      });
      const look = (): void => {
        if (isOver) return;
        for (const medium of media) {
          medium.poll();
          medium.backend.service();
        }
        setTimeout(look, 1);
      };
      look();
    });
  }

  // --- devices

  #addFunctions(): void {
    const { thread, vcpus, ramBytes, timeOrigin, hardware } = this.#setup;
    const views = this.#views;
    const origin = performance.timeOrigin - timeOrigin;
    const clock = new GuestClock(views, () => origin + performance.now());
    const irqchip = new IrqChip({ views, clock, vcpus });
    // The same functions in the same order as on the vCPU's thread.
    const pci = new PciBus({ views, line: (gsi, input) => irqchip.line(gsi, input) });
    addI440fx(pci);
    const memory = new GuestMemory(views, ramBytes, (gpa, bytes) => postCodeWrite(views, vcpus, gpa, bytes));
    const table = new IoeventfdTable(views);
    for (const fn of hardware.functions) {
      const transport = addTransport(fn, {
        views,
        pci,
        sendMsi: (address, data) => void irqchip.sendMsi(address, data),
      });
      if (fn.thread === thread) this.#own(fn, transport, memory, table);
    }
  }

  #own(fn: VirtioFunction, transport: VirtioPci, memory: GuestMemory, table: IoeventfdTable): void {
    const { device: config } = fn;
    const { device, net } = this.#createDevice(fn);
    const host: DeviceHost = new DeviceHost({
      state: transport.state,
      memory,
      device,
      interrupts: transport.interrupts,
      eventIdx: config.eventIdx,
      keepNotifications: !this.#storeOrder,
      modern: !config.disableModern,
      defer: (task) => this.loop.defer(task),
      onProblem: (message) => this.#platform.report({ kind: 'device-problem', message }),
      onDriver: (isReady) => {
        doorbells.driver(isReady);
        // A slot that one device gave back may be what another one lacks.
        if (!isReady) for (const other of this.#owned) other.doorbells.slotFree();
      },
    });
    const decision = this.#decide(config.ioeventfd);
    const doorbells = new QueueDoorbells({
      views: this.#views,
      table,
      state: transport.state,
      queues: fn.queues,
      listener: this.loop.doorbells,
      notifyMatch: (queue) => transport.notifyMatch(queue),
      kick: (queue) => host.kick(queue),
      enabled: decision.enabled,
    });
    this.loop.addHost(fn.slot, host);
    this.#owned.push({ fn, transport, host, doorbells, net, setting: config.ioeventfd, decision });
  }

  #decide(setting: Switch): IoeventfdDecision {
    return decideIoeventfd(setting, { hasIothread: true, cores: this.#platform.cores });
  }

  #createDevice(fn: VirtioFunction): { readonly device: VirtioDevice; readonly net: VirtioNet | undefined } {
    const { name, device: config } = fn;
    switch (config.kind) {
      case 'virtio-blk': {
        const backend = this.#slots.get(config.drive)?.drive;
        if (backend === undefined) throw new Error(`drive ${config.drive} was not opened`);
        const { queues, queueSize, serial } = config;
        const device = new VirtioBlk({
          name,
          backend,
          queues,
          queueSize,
          ...(serial === undefined ? {} : { serial }),
        });
        return { device, net: undefined };
      }
      case 'virtio-net': {
        const { pairs, mtu } = config;
        const net = new VirtioNet({
          name,
          backend: this.#hub(this.#hubOf(config.netdev)),
          mac: parseMac(config.mac ?? ''),
          pairs,
          ...(mtu === undefined ? {} : { mtu }),
        });
        return { device: net, net };
      }
      case 'virtio-rng':
        return {
          device: new VirtioRng({ name, fill: (bytes) => this.#platform.fillRandom(bytes) }),
          net: undefined,
        };
      case 'virtio-console':
        return { device: this.#createConsole(name), net: undefined };
    }
  }

  #createConsole(name: string): VirtioConsole {
    const views = this.#views;
    const output = new ByteRing(views, CONSOLE_OUT_BASE);
    const input = new ByteRing(views, CONSOLE_IN_BASE);
    const console = new VirtioConsole({
      name,
      backend: {
        write: (bytes) => {
          const taken = output.push(bytes);
          if (taken > 0) wakeThread(views, THREAD_PAGE, CAUSE_DOORBELL);
          return taken;
        },
        read: (limit) => input.pop(limit),
      },
    });
    // The page has typed something, or made room.
    this.loop.onCause(CAUSE_COMPLETION, () => {
      console.inputReady();
      console.outputReady();
    });
    return console;
  }

  #hubOf(netdev: string): number {
    return this.#setup.hardware.netdevs.find(({ id }) => id === netdev)?.hub ?? 0;
  }

  #hub(number: number): Hub {
    const present = this.#hubs.get(number);
    if (present !== undefined) return present;
    const hub = new Hub();
    this.#hubs.set(number, hub);
    this.#link(number, hub);
    return hub;
  }

  #link(number: number, hub: Hub): void {
    const { memory, thread } = this.#setup;
    if (this.#platform.linkHub === undefined) return;
    const outgoing = createMessageRing(LINK_BYTES);
    const incoming = createMessageRing(LINK_BYTES);
    const sent = new MessageRing(outgoing);
    const received = new MessageRing(incoming);
    // A burst without room is lost, as on a wire: TCP sends it again.
    const link = new HubLink(hub, 'other tabs', (burst) => void sent.send(burst));
    this.loop.onCause(CAUSE_COMPLETION, () => {
      for (let burst = received.receive(); burst !== undefined; burst = received.receive())
        link.arrived(burst);
    });
    this.#links.push(
      this.#platform.linkHub({
        hub: number,
        outgoing,
        incoming,
        memory: memory.buffer as unknown as SharedArrayBuffer,
        thread,
      }),
    );
  }

  // --- pause, resume, reset

  /** Lets what the disks have under way complete and flushes it. A disk that stopped on an error rests already. */
  #quiesce(then: () => void): void {
    let left = 1;
    let isOver = false;
    const rested = (): void => {
      if (isOver || --left > 0) return;
      isOver = true;
      this.#quiesced = undefined;
      then();
    };
    // A disk that runs out of space now would keep the others waiting for its resume.
    this.#quiesced = () => {
      left = 1;
      rested();
    };
    for (const { drive } of this.#slots.values()) {
      if (drive.paused !== undefined) continue;
      left++;
      drive.drain(rested);
    }
    rested();
  }

  #kickAll(): void {
    for (const { fn, host } of this.#owned) for (let queue = 0; queue < fn.queues; queue++) host.kick(queue);
  }

  #resetDevices(): Promise<void> {
    return this.#settled<void>((then) => {
      let left = this.#owned.length + 1;
      const one = (): void => {
        if (--left === 0) then();
      };
      for (const { host } of this.#owned) host.reset(one);
      one();
    });
  }

  // --- the control plane

  async command(command: IoCommand): Promise<Result<undefined>> {
    switch (command.kind) {
      case 'ioeventfd':
        return this.#setIoeventfd(command.device, command.setting);
      case 'resume-disks':
        for (const { drive } of this.#slots.values()) drive.resume();
        return success(undefined);
      case 'reset-devices':
        await this.#resetDevices();
        return success(undefined);
      default:
        break;
    }
    const slot = this.#slots.get(command.drive);
    if (slot === undefined) return failure(`There is no drive “${command.drive}”.`);
    const { drive } = slot;
    switch (command.kind) {
      case 'attach':
        return this.#insert(slot, command.medium, command.readOnly);
      case 'eject':
        slot.warning = undefined;
        return statusResult(drive, 'eject', await this.#settled<string>((then) => drive.eject(then)));
      case 'resize':
        return statusResult(
          drive,
          'resize',
          await this.#settled<string>((then) => drive.resize(command.bytes, then)),
        );
      case 'write-cache':
        drive.setWriteCache(command.enabled);
        return success(undefined);
    }
  }

  #setIoeventfd(name: string | undefined, setting: Switch): Result<undefined> {
    const chosen = this.#owned.filter(({ fn }) => name === undefined || fn.name === name);
    if (chosen.length === 0 && name !== undefined) return failure(`There is no device “${name}”.`);
    for (const owned of chosen) {
      owned.setting = setting;
      owned.decision = this.#decide(setting);
      owned.doorbells.switchTo(owned.decision.enabled);
    }
    for (const { doorbells } of this.#owned) doorbells.slotFree();
    return success(undefined);
  }

  info(): IoInfo {
    const { counters } = this.loop;
    return {
      disks: [...this.#slots.values()].map(diskInfo),
      net: this.#owned.flatMap((owned) => this.#netInfo(owned) ?? []),
      ioeventfd: this.#owned.map((owned) => this.#ioeventfdInfo(owned)),
      thread: {
        name: this.#setup.hardware.threads.find(({ thread }) => thread === this.#setup.thread)?.name ?? '',
        ...counters,
        aliveMs: performance.now() - this.#born,
      },
    };
  }

  #netInfo({ fn, net }: Owned): NetInfo | undefined {
    const { device } = fn;
    if (net === undefined || device.kind !== 'virtio-net') return undefined;
    const { malformed, ...counters } = net.connection.counters;
    return {
      device: fn.name,
      hub: this.#hubOf(device.netdev),
      mac: device.mac ?? '',
      linkUp: net.isLinkUp,
      ...counters,
      malformed: malformed + net.counters.malformed,
      tooLarge: net.counters.tooLarge,
      filtered: net.counters.filtered,
    };
  }

  #ioeventfdInfo({ fn, transport, host, doorbells, setting, decision }: Owned): IoeventfdInfo {
    const { state } = transport;
    return {
      device: fn.name,
      setting,
      enabled: decision.enabled,
      reason: decision.reason,
      synchronousKicks: state.get('synchronousKicks'),
      synchronousExits: state.get('synchronousExits'),
      queues: doorbells.report().map(({ queue, state: now, lacksSlot }) => {
        const { chains, interrupts, suppressedInterrupts } = host.counters(queue);
        return {
          queue,
          state: now,
          lacksSlot,
          ...doorbellCounts(this.#views, doorbellOf(fn.slot, queue)),
          chains,
          interrupts,
          suppressed: suppressedInterrupts,
        };
      }),
    };
  }
}

function statusResult(drive: Drive, what: string, status: string): Result<undefined> {
  return status === 'ok'
    ? success(undefined)
    : failure(`The ${what} of the disk “${drive.id}” failed: ${status}.`);
}

function parseMac(text: string): Uint8Array {
  return Uint8Array.from(text.split(':'), (byte) => Number.parseInt(byte, 16));
}

function diskInfo({ drive, mediumName, warning }: Slot): DiskInfo {
  if (drive.medium === undefined) return { drive: drive.id };
  const { properties, paused, dirty, driver, operationLatency, flushLatency, queues, lastProblem } =
    drive.stats();
  return {
    drive: drive.id,
    medium: {
      name: mediumName,
      format: properties.format,
      sizeBytes: properties.sizeBytes,
      readOnly: properties.readOnly,
      aio: properties.driver,
      aioReason: properties.driverReason,
      cache: properties.cache,
      writeCache: drive.writeCache,
      discardGranularity: properties.discardGranularity,
      paused,
      dirty,
      lastProblem,
      ...(warning === undefined ? {} : { warning }),
      driver: { ...driver, latency: operationLatency, flushLatency },
      queues: queues.map(({ name, priority, inFlight, counters, latency }) => ({
        name,
        priority,
        inFlight,
        ...counters,
        latency,
      })),
    },
  };
}
