/** The parts list of a thread that owns devices: drives, hubs, the devices on them, and the loop that serves them. */
import { failure, success } from '../base/result.ts';
import type { Result } from '../base/result.ts';
import { viewsOf } from '../base/views.ts';
import type { Views } from '../base/views.ts';
import type { HelperRequest } from '../block/aio.ts';
import type { LockService } from '../block/disk-lock.ts';
import type { OpfsDirectory } from '../block/drivers/opfs-directory.ts';
import type { ReadableFile } from '../block/drivers/file-source.ts';
import { probeStorage } from '../block/storage-facts.ts';
import type { StorageFacts } from '../block/storage-facts.ts';
import type { VirtioFunction } from '../control/hardware.ts';
import type { NetInfo } from '../control/info.ts';
import type { IoCommand, IoEvent, IoInfo, IoSetup } from '../control/io-control.ts';
import { PciBus } from '../devices/pci/bus.ts';
import { addI440fx } from '../devices/pci/i440fx.ts';
import { Drives } from '../iothread/drives.ts';
import { EventLoop } from '../iothread/event-loop.ts';
import { HostedDevice } from '../iothread/hosted-device.ts';
import type { DeviceSurroundings } from '../iothread/hosted-device.ts';
import { Hubs } from '../iothread/hubs.ts';
import type { HubLinkSetup } from '../iothread/hubs.ts';
import { IrqChip } from '../irqchip/irqchip.ts';
import {
  CAUSE_COMPLETION,
  CAUSE_DOORBELL,
  CONSOLE_IN_BASE,
  CONSOLE_OUT_BASE,
  THREAD_PAGE,
} from '../layout/machine.ts';
import { GuestMemory } from '../memory/guest-memory.ts';
import { postCodeWrite } from '../sync/code-mail.ts';
import { ByteRing } from '../sync/ring.ts';
import { hasStoreOrder } from '../iothread/store-order.ts';
import { wakeThread } from '../sync/wake.ts';
import { GuestClock } from '../time/clock.ts';
import { VirtioBlk } from '../virtio/blk/virtio-blk.ts';
import type { VirtioDevice } from '../virtio/device.ts';
import { IoeventfdTable } from '../virtio/ioeventfd.ts';
import { VirtioNet } from '../virtio/net/virtio-net.ts';
import { VirtioConsole } from '../virtio/virtio-console.ts';
import { VirtioRng } from '../virtio/virtio-rng.ts';
import { addTransport } from './virtio-functions.ts';

/** What differs between a browser's worker and one of Node. */
export interface IoPlatform {
  /** Where images are; undefined without storage. */
  openDirectory(): Promise<OpfsDirectory | undefined>;
  readonly locks: LockService;
  /** Hardware threads. */
  readonly cores: number;
  /** `thread` is the one that the helpers wake. */
  startHelpers(request: HelperRequest, thread: number): Promise<Result<undefined>>;
  readableFile(file: File): ReadableFile;
  fillRandom(bytes: Uint8Array<ArrayBuffer>): void;
  /** Starts a helper that carries a hub's frames to other tabs and theirs to it; none where there are no other tabs. */
  readonly linkHub?: (setup: HubLinkSetup) => Promise<void>;
  /** Sends it to the page, also while the thread waits. */
  report(event: IoEvent): void;
}

/** From here on, a poll before a sleep takes no core from the guest. */
const POLL_CORES = 4;
const MAX_POLL_MS = 0.05;

/** What was found out about the browser before the thread was built. */
interface HostFacts {
  readonly directory: OpfsDirectory | undefined;
  readonly storage: StorageFacts;
}

export class IoThread {
  readonly loop: EventLoop;
  readonly #setup: IoSetup;
  readonly #platform: IoPlatform;
  readonly #views: Views;
  readonly #drives: Drives;
  readonly #hubs: Hubs;
  readonly #devices: HostedDevice[] = [];
  readonly #born = performance.now();

  static async open(setup: IoSetup, platform: IoPlatform): Promise<Result<IoThread>> {
    const directory = await platform.openDirectory();
    const storage = await probeStorage({
      directory,
      cores: platform.cores,
      now: () => performance.now(),
      unique: `${setup.thread}-${performance.timeOrigin}`,
    });
    const thread = new IoThread(setup, platform, { directory, storage });
    const opened = await thread.#addDrives();
    if (!opened.ok) {
      await thread.closeDisks();
      return opened;
    }
    thread.#addDevices();
    await thread.#hubs.linked();
    return success(thread);
  }

  private constructor(setup: IoSetup, platform: IoPlatform, facts: HostFacts) {
    const { thread, vcpus, memory, files, memoryLimitBytes } = setup;
    const shared = memory.buffer as unknown as SharedArrayBuffer;
    this.#setup = setup;
    this.#platform = platform;
    this.#views = viewsOf(memory.buffer);
    this.loop = new EventLoop({
      views: this.#views,
      thread,
      vcpus,
      maxPollMs: platform.cores >= POLL_CORES ? MAX_POLL_MS : 0,
      quiesce: (then) => this.#drives.rest(then),
      resumed: () => {
        for (const device of this.#devices) device.kickAll();
      },
    });
    this.#drives = new Drives({
      disks: {
        facts: facts.storage,
        directory: facts.directory,
        memory: shared,
        startHelpers: (request) => platform.startHelpers(request, thread),
        memoryLimitBytes,
        locks: platform.locks,
        now: () => performance.now(),
        defer: () => this.loop.defer(() => this.#drives.service()),
        isWanted: () => this.loop.isWanted,
        isGuestHalted: () => this.loop.isGuestHalted,
      },
      files,
      readableFile: (file) => platform.readableFile(file),
      report: (event) => platform.report(event),
    });
    this.#hubs = new Hubs({
      loop: this.loop,
      memory: shared,
      thread,
      link: platform.linkHub,
    });
    this.loop.onCause(CAUSE_COMPLETION, () => this.#drives.poll());
  }

  /** Flushes and closes all media, and gives their locks back. Tells what went wrong. */
  closeDisks(): Promise<Result<undefined>> {
    return this.#drives.close();
  }

  async command(command: IoCommand): Promise<Result<undefined>> {
    switch (command.kind) {
      case 'ioeventfd':
        return this.#setIoeventfd(command);
      case 'resume-disks':
        this.#drives.resume();
        return success(undefined);
      case 'reset-devices':
        await this.#drives.settled<void>((then) => this.#resetDevices(then));
        return success(undefined);
      default:
        return this.#drives.command(command);
    }
  }

  info(): IoInfo {
    const { thread, hardware } = this.#setup;
    return {
      disks: this.#drives.info(),
      net: this.#devices.flatMap(({ fn, device }) => this.#netInfo(fn, device) ?? []),
      ioeventfd: this.#devices.map((device) => device.ioeventfdInfo()),
      thread: {
        name: hardware.threads.find((candidate) => candidate.thread === thread)?.name ?? '',
        ...this.loop.counters,
        aliveMs: performance.now() - this.#born,
      },
    };
  }

  // --- what it is made of

  /** The functions that are this thread's. */
  get #functions(): readonly VirtioFunction[] {
    const { thread, hardware } = this.#setup;
    return hardware.functions.filter((fn) => fn.thread === thread);
  }

  async #addDrives(): Promise<Result<undefined>> {
    const { drives } = this.#setup.hardware;
    for (const { device } of this.#functions) {
      if (device.kind !== 'virtio-blk') continue;
      const config = drives.find(({ id }) => id === device.drive);
      if (config === undefined) return failure(`There is no drive “${device.drive}”.`);
      const added = await this.#drives.add(config);
      if (!added.ok) return added;
    }
    return success(undefined);
  }

  #addDevices(): void {
    const { vcpus, ramBytes, timeOrigin, hardware } = this.#setup;
    const views = this.#views;
    const origin = performance.timeOrigin - timeOrigin;
    const clock = new GuestClock(views, () => origin + performance.now());
    const irqchip = new IrqChip({ views, clock, vcpus });
    // The same functions in the same order as on the vCPU's thread.
    const pci = new PciBus({ views, line: (gsi, input) => irqchip.line(gsi, input) });
    addI440fx(pci);
    const surroundings: DeviceSurroundings = {
      views,
      memory: new GuestMemory(views, ramBytes, (gpa, bytes) => postCodeWrite(views, vcpus, gpa, bytes)),
      table: new IoeventfdTable(views),
      loop: this.loop,
      cores: this.#platform.cores,
      hasStoreOrder: hasStoreOrder(),
      onProblem: (message) => this.#platform.report({ kind: 'device-problem', message }),
      onReset: () => this.#slotFree(),
    };
    for (const fn of hardware.functions) {
      const transport = addTransport(fn, {
        views,
        pci,
        sendMsi: (address, data) => void irqchip.sendMsi(address, data),
      });
      if (!this.#functions.includes(fn)) continue;
      this.#devices.push(new HostedDevice(fn, this.#createDevice(fn), transport, surroundings));
    }
  }

  #createDevice({ name, device: config }: VirtioFunction): VirtioDevice {
    switch (config.kind) {
      case 'virtio-blk': {
        const { drive, queues, queueSize, serial } = config;
        const backend = this.#drives.get(drive);
        if (backend === undefined) throw new Error(`drive ${drive} was not opened`);
        return new VirtioBlk({
          name,
          backend,
          queues,
          queueSize,
          ...(serial === undefined ? {} : { serial }),
        });
      }
      case 'virtio-net': {
        const { netdev, mac = '', pairs, mtu } = config;
        const backend = this.#hubs.get(this.#hubOf(netdev));
        return new VirtioNet({
          name,
          backend,
          mac: parseMac(mac),
          pairs,
          ...(mtu === undefined ? {} : { mtu }),
        });
      }
      case 'virtio-rng':
        return new VirtioRng({ name, fill: (bytes) => this.#platform.fillRandom(bytes) });
      case 'virtio-console':
        return this.#createConsole(name);
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

  // --- what it does to all devices

  #slotFree(): void {
    for (const device of this.#devices) device.slotFree();
  }

  /** `then` is called when nothing of any device touches guest memory any more. */
  #resetDevices(then: () => void): void {
    let left = this.#devices.length + 1;
    const one = (): void => {
      if (--left === 0) then();
    };
    for (const device of this.#devices) device.reset(one);
    one();
  }

  #setIoeventfd({ device: name, setting }: Extract<IoCommand, { kind: 'ioeventfd' }>): Result<undefined> {
    const chosen = this.#devices.filter(({ fn }) => name === undefined || fn.name === name);
    if (chosen.length === 0 && name !== undefined) return failure(`There is no device “${name}”.`);
    for (const device of chosen) device.setIoeventfd(setting);
    this.#slotFree();
    return success(undefined);
  }

  #netInfo({ name, device: config }: VirtioFunction, device: VirtioDevice): NetInfo | undefined {
    if (!(device instanceof VirtioNet) || config.kind !== 'virtio-net') return undefined;
    const { malformed, ...counters } = device.connection.counters;
    return {
      device: name,
      hub: this.#hubOf(config.netdev),
      mac: config.mac ?? '',
      linkUp: device.isLinkUp,
      ...counters,
      malformed: malformed + device.counters.malformed,
      tooLarge: device.counters.tooLarge,
      filtered: device.counters.filtered,
    };
  }
}

function parseMac(text: string): Uint8Array {
  return Uint8Array.from(text.split(':'), (byte) => Number.parseInt(byte, 16));
}
