/**
 * The life of one machine, seen from the page: it loads the guest, starts the vCPU's thread, watches it, and turns
 * what happens into a status. Nothing here blocks.
 *
 *     off -> loading -> running <-> paused
 *                          |          |
 *                          v          v
 *                 shutdown, crashed  (start begins anew)
 */
import type { DeviceKind } from '../config/devices.ts';
import { featuresOf } from '../base/cpu-features.ts';
import type { Result } from '../base/result.ts';
import { takesModules } from '../boot/boot.ts';
import type { VmConfig } from '../config/vm-config.ts';
import { isLegal } from '../control/commands.ts';
import type { Command } from '../control/commands.ts';
import type { MachineEvent, MachineListener } from '../control/events.ts';
import type { DeviceInfo, ExitInfo, MachineInfo } from '../control/info.ts';
import type { IoCommand, IoEvent } from '../control/io-control.ts';
import type { HaltState, MachineStats } from '../control/stats.ts';
import type { LoadStep, MachineStatus, Problem, ShutdownReason } from '../control/status.ts';
import type { VcpuFigures } from '../control/figures.ts';
import type { InstalledRegion } from '../control/regions.ts';
import type { Views } from '../base/views.ts';
import type { BootFile } from './boot-file.ts';
import { CounterReader } from './counters.ts';
import { planHardware } from './hardware-plan.ts';
import type { CompilerThread, MachineHost } from './host.ts';
import { IoSupervisor } from './io-supervisor.ts';
import type { LostIoThread } from './io-supervisor.ts';
import { loadGuest } from './load-guest.ts';
import type { GuestImage, GuestImages } from './load-guest.ts';
import { Profiler } from './profiler.ts';
import { describeVcpu, readRip } from './report.ts';
import { SerialConsole } from './console.ts';
import { MACHINE } from '../layout/machine.ts';
import { MACHINE_BASE } from '../layout/map.ts';
import { allocateSharedMemory } from './shared-memory.ts';
import { VcpuSupervisor } from './vcpu-supervisor.ts';
import type { ThreadEnd } from './vcpu-supervisor.ts';

export interface MachineParts {
  readonly config: VmConfig;
  readonly kernel: BootFile;
  readonly initrd?: BootFile;
  /** What a multiboot kernel gets in place of the initrd; their names are their command lines. */
  readonly modules?: readonly BootFile[];
  readonly host: MachineHost;
  /** Files of the user that are disks, by the name that a drive's `file` gives them; read in place. */
  readonly files?: Readonly<Record<string, File>>;
  /** What a triple fault does: a reset, as on a PC, or an end with a report. `-no-reboot` ends in any case. */
  readonly tripleFault?: 'reset' | 'stop';
}

/** When things happened, in ms on the clock of `performance.now()`; for measurements. */
export interface MachineTimes {
  /** start was asked for. */
  readonly start: number;
  /** The first instruction since power-on, and since the last reset. */
  readonly powerOn?: number;
  readonly reset?: number;
}

/** What exists while the machine is powered. */
interface Powered {
  readonly views: Views;
  readonly vcpu: VcpuSupervisor;
  readonly compiler: CompilerThread | undefined;
  readonly io: IoSupervisor;
  readonly serial: SerialConsole;
  readonly counters: CounterReader;
}

/** `look`: nothing changes, but what the vCPU's thread has counted can be read. */
type Request = 'pause' | 'reset' | 'powerOff' | 'stop' | 'look';

/** What disks in memory and caches may take: a tab is not given much more than this beside a guest. */
const DISK_MEMORY_BYTES = 512 * 1024 * 1024;

class Aborted extends Error {}

export class Machine {
  readonly config: VmConfig;
  readonly #parts: MachineParts;
  readonly #listeners = new Set<MachineListener>();
  #status: MachineStatus = { state: 'off' };
  #images: GuestImages | undefined;
  #powered: Powered | undefined;
  #lastStats: MachineStats | undefined;
  #lastFigures: VcpuFigures | undefined;
  #lastRegions: readonly InstalledRegion[] = [];
  #profiled = false;
  #profiler: Profiler | undefined;
  #lastExits: readonly ExitInfo[] = [];
  #lastInfo: MachineInfo | undefined;
  /** Why the machine is paused, if it was not the user. */
  #pauseProblem: Problem | undefined;
  #times: MachineTimes = { start: 0 };
  #abort = new AbortController();
  /** Why the vCPU was asked to stop. */
  #request: Request | undefined;
  /** The stay that runs now; resolves when the machine does not run any more. */
  #stay: Promise<void> = Promise.resolve();
  /** Resolves when the reset that was asked for is over. */
  #resetDone: (() => void) | undefined;
  /** The command that is being carried out. */
  #command: Promise<void> = Promise.resolve();
  #isBusy = false;
  #disposed = false;

  constructor(parts: MachineParts) {
    this.#parts = parts;
    this.config = parts.config;
  }

  get status(): MachineStatus {
    return this.#status;
  }

  get times(): MachineTimes {
    return this.#times;
  }

  /** Calls `listener` with every event from now on; the result ends that. */
  subscribe(listener: MachineListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Carries a command out, after those before it; fails, and changes nothing, where the command means nothing. Resolves
   * when the machine has reached the state that it leads to.
   */
  execute(command: Command): Promise<Result<void>> {
    // Typing waits for nothing, and a machine that is loading can always be told to stop that.
    const isUrgent =
      command.kind === 'serialInput' ||
      (this.#status.state === 'loading' && (command.kind === 'powerOff' || command.kind === 'stop'));
    if (isUrgent) return this.#execute(command);
    const done = this.#isBusy ? this.#command.then(() => this.#execute(command)) : this.#execute(command);
    this.#isBusy = true;
    const settled = done.then(
      () => undefined,
      () => undefined,
    );
    this.#command = settled;
    void settled.then(() => {
      if (this.#command === settled) this.#isBusy = false;
    });
    return done;
  }

  async #execute(command: Command): Promise<Result<void>> {
    const { state } = this.#status;
    if (this.#disposed || !isLegal(command.kind, state)) {
      const now = this.#disposed ? 'gone' : state;
      return { ok: false, error: `${command.kind} is not possible while the machine is ${now}.` };
    }
    switch (command.kind) {
      case 'start':
        await this.#start();
        break;
      case 'pause':
        await this.#ask('pause');
        break;
      case 'resume':
        await this.#resume();
        break;
      case 'reset':
        if (state === 'paused') await this.#resetAndEnter();
        else await this.#ask('reset');
        break;
      case 'powerOff':
        await this.#powerOff('powerOff');
        break;
      case 'stop':
        await this.#powerOff('stop');
        this.#disposed = true;
        break;
      case 'serialInput':
        this.#powered?.serial.send(command.bytes);
        break;
      case 'attachDisk':
        return await this.#io({ ...command, kind: 'attach' });
      case 'ejectDisk':
        return await this.#io({ ...command, kind: 'eject' });
      case 'resizeDisk':
        return await this.#io({ ...command, kind: 'resize' });
      case 'setIoeventfd':
        return await this.#io({ ...command, kind: 'ioeventfd' });
    }
    return { ok: true, value: undefined };
  }

  async #io(command: IoCommand): Promise<Result<void>> {
    const powered = this.#powered;
    if (powered === undefined) return { ok: false, error: 'The machine is off.' };
    try {
      const done = await powered.io.command(command);
      return done.ok ? { ok: true, value: undefined } : done;
    } catch (error) {
      return { ok: false, error: error instanceof Error ? error.message : String(error) };
    }
  }

  /**
   * What `info block`, `info aio`, `info ioeventfd`, `info exits`, `info network`, `info stats` and `info jit` tell; after the end, the last. A running
   * guest stands still for a moment, as its thread answers no message otherwise.
   */
  async info(): Promise<MachineInfo | undefined> {
    const powered = this.#powered;
    if (powered === undefined || !['running', 'paused'].includes(this.#status.state)) return this.#lastInfo;
    if (this.#status.state === 'running' && this.#request === undefined) await this.#ask('look');
    return await this.#readInfo(powered);
  }

  /** The part of it for which the guest need not stand still: what the threads that own devices tell. */
  async deviceInfo(): Promise<DeviceInfo | undefined> {
    const powered = this.#powered;
    if (powered === undefined || !['running', 'paused'].includes(this.#status.state)) return undefined;
    return await readDevices(powered);
  }

  /** `info` has a profile from now on, and from each start on. */
  startProfile(): void {
    this.#profiled = true;
    this.#profiler?.stop();
    this.#profiler = this.#powered && new Profiler(this.#powered.views, () => performance.now());
    this.#profiler?.start(() => this.#status.state === 'running');
  }

  stopProfile(): void {
    this.#profiled = false;
    this.#profiler?.stop();
    this.#profiler = undefined;
  }

  async #readInfo(powered: Powered): Promise<MachineInfo> {
    this.#lastInfo = {
      ...(await readDevices(powered)),
      exits: this.#lastExits,
      jit: this.#lastFigures?.jit,
      verify: this.#lastFigures?.verify,
      ...(this.#profiler === undefined ? {} : { profile: this.#profiler.profile(this.#lastRegions) }),
    };
    return this.#lastInfo;
  }

  /** The page is left: the threads are told to end, as one that waits holds the next page back for seconds. */
  release(): void {
    const powered = this.#powered;
    if (powered === undefined) return;
    powered.vcpu.release();
    powered.io.release();
  }

  /** Figures since power-on; after the end, the last ones. */
  readStats(): MachineStats | undefined {
    if (this.#powered !== undefined) this.#lastStats = this.#powered.counters.read();
    return this.#lastStats;
  }

  /** Whether the CPU executes at this moment; undefined while there is no power. */
  get halted(): HaltState | undefined {
    return this.#powered?.counters.halted;
  }

  /** Times and exits as the vCPU's thread counted them, once it has stopped or paused. */
  get figures(): VcpuFigures | undefined {
    return this.#lastFigures;
  }

  /** Registers as text, for a report; only meaningful while the machine is powered or just was. */
  describe(): string | undefined {
    return this.#powered === undefined ? undefined : describeVcpu(this.#powered.views);
  }

  async #start(): Promise<void> {
    this.#times = { start: performance.now() };
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    try {
      const outcome = await this.#powerUp(signal);
      if (!outcome.ok) {
        this.#tearDown();
        this.#setStatus({ state: 'off', problem: outcome.error });
        return;
      }
    } catch (error) {
      this.#tearDown();
      if (!(error instanceof Aborted) && !signal.aborted) throw error;
      this.#setStatus({ state: 'off' });
      return;
    }
    this.#times = { ...this.#times, powerOn: performance.now(), reset: performance.now() };
    this.#enter();
  }

  async #powerUp(signal: AbortSignal): Promise<Result<void, Problem>> {
    const { config, host } = this.#parts;
    const step = (name: LoadStep) => (receivedBytes: number, totalBytes?: number) => {
      if (signal.aborted) return;
      const progress = { step: name, receivedBytes, ...(totalBytes === undefined ? {} : { totalBytes }) };
      this.#setStatus({ state: 'loading', progress });
    };

    const hardware = planHardware(config, randomMac);
    if (!hardware.ok) return hardware;

    step('core')(0);
    // The modules and the files load side by side; progress is told in the order of LoadStep.
    const modules = Promise.all([host.loadModule('core'), host.loadModule('interpreter')]).then(
      (value) => ({ ok: true as const, value }),
      (error: unknown) => ({ ok: false as const, error: coreMissing(error) }),
    );
    const images = await this.#readImages(step('kernel'), step('initrd'), signal);
    if (!images.ok) return images;
    const compiled = await modules;
    if (!compiled.ok) return compiled;
    if (signal.aborted) throw new Aborted();

    step('memory')(0, config.memoryBytes);
    const shared = allocateSharedMemory(config.memoryBytes, config.cpus);
    if (!shared.ok) return shared;
    const { memory, views } = shared.value;
    if (config.jit === 'verify') {
      views.u32[(MACHINE_BASE + MACHINE.at.clockDivisor) >>> 2] = VERIFY_CLOCK_DIVISOR;
    }
    const entry = loadGuest(views, config, images.value);
    if (!entry.ok) return entry;

    step('processor')(0);
    const thread = host.startVcpu();
    const vcpu = new VcpuSupervisor(thread, views);
    const compiler = config.jit === 'on' ? host.startCompiler() : undefined;
    const io = new IoSupervisor(host, views, hardware.value, (event) => this.#onIoEvent(event));
    const ends = {
      hasSerial: config.serial.some((backend) => backend !== 'none'),
      virtioThread: hardware.value.functions.find(({ device }) => device.kind === 'virtio-console')?.thread,
    };
    const serial = new SerialConsole(views, ends, (bytes) => this.#emit({ kind: 'serialOutput', bytes }));
    const counters = new CounterReader(views, () => performance.now());
    const powered: Powered = { views, vcpu, compiler, io, serial, counters };
    this.#powered = powered;
    if (this.#profiled) this.startProfile();
    void io.lost.then((lost) => this.#crash(powered, devicesLost(lost), lost.reason));
    void compiler?.lost.then((reason) => this.#crash(powered, PROCESSOR_LOST, reason));
    const [coreModule, interpreterModule] = compiled.value;
    const prepared = await vcpu.prepare({
      index: 0,
      memory,
      ramBytes: config.memoryBytes,
      vcpus: config.cpus,
      timeOrigin: performance.timeOrigin,
      jit: config.jit,
      ...(compiler === undefined ? {} : { compiler: compiler.port }),
      cpuFeatures: featuresOf(config.cpuFeatures),
      coreModule,
      interpreterModule,
      serialPorts: config.serial.filter((backend) => backend !== 'none').length,
      hardware: hardware.value,
      ...(config.debugExit === undefined ? {} : { debugExit: config.debugExit }),
    });
    if (signal.aborted) throw new Aborted();
    if (prepared !== undefined) return { ok: false, error: threadFailed(prepared) };
    // The vCPU's reset asks the devices, so their threads come first.
    const devices = await io.prepare({
      memory,
      ramBytes: config.memoryBytes,
      vcpus: config.cpus,
      timeOrigin: performance.timeOrigin,
      files: this.#parts.files ?? {},
      memoryLimitBytes: DISK_MEMORY_BYTES,
    });
    if (signal.aborted) throw new Aborted();
    if (!devices.ok) return { ok: false, error: diskFailed(devices.error) };
    const reset = await vcpu.reset(entry.value);
    if (signal.aborted) throw new Aborted();
    if (reset !== undefined) return { ok: false, error: threadFailed(reset) };
    void serial.pump();
    return { ok: true, value: undefined };
  }

  async #readImages(
    kernelProgress: (received: number, total?: number) => void,
    initrdProgress: (received: number, total?: number) => void,
    signal: AbortSignal,
  ): Promise<Result<GuestImages, Problem>> {
    if (this.#images !== undefined) return { ok: true, value: this.#images };
    const kernel = await this.#parts.kernel.read(kernelProgress, signal);
    if (!kernel.ok) return kernel;
    const { initrd, modules } = this.#parts;
    const hasModules = takesModules(kernel.value);
    const more: GuestImage[] = [];
    for (const file of (hasModules ? modules : undefined) ?? (initrd === undefined ? [] : [initrd])) {
      const bytes = await file.read(initrdProgress, signal);
      if (!bytes.ok) return bytes;
      more.push({ name: file.name, bytes: bytes.value });
    }
    if (signal.aborted) throw new Aborted();
    this.#images = {
      kernel: { name: this.#parts.kernel.name, bytes: kernel.value },
      ...(hasModules ? { modules: more } : more[0] === undefined ? {} : { initrd: more[0] }),
    };
    return { ok: true, value: this.#images };
  }

  /** What stopped the disks may be mended: they try again, and the guest goes on. */
  async #resume(): Promise<void> {
    this.#pauseProblem = undefined;
    this.#powered?.io.resume();
    await this.#io({ kind: 'resume-disks' });
    this.#enter();
  }

  #onIoEvent(event: IoEvent): void {
    switch (event.kind) {
      case 'disk-warning':
        this.#emit({ kind: 'warning', subject: event.drive, message: event.message });
        break;
      case 'device-problem':
        this.#emit({ kind: 'warning', subject: 'device', message: event.message });
        break;
      case 'disk-paused':
        this.#pauseProblem = diskPaused(event.message);
        if (this.#status.state === 'running') void this.execute({ kind: 'pause' });
        break;
    }
  }

  #enter(): void {
    this.#request = undefined;
    this.#powered?.io.resume();
    this.#setStatus({ state: 'running' });
    this.#stay = this.#runUntilStopped();
  }

  async #resetAndEnter(): Promise<void> {
    if (await this.#reset()) this.#enter();
  }

  async #ask(request: Request): Promise<void> {
    const powered = this.#powered;
    if (powered === undefined) return;
    this.#request = request;
    const stay = this.#stay;
    const reset = new Promise<void>((resolve) => {
      this.#resetDone = resolve;
    });
    const isOver = request === 'powerOff' || request === 'stop';
    const stopping = powered.vcpu.stop(isOver);
    // At once: a page that is being left gets no further than this.
    if (isOver) powered.io.release();
    const end = await stopping;
    if (end?.kind === 'lost') this.#crash(powered, PROCESSOR_LOST, end.message);
    // After a reset or a look the stay goes on, unless the machine could not come back.
    else await (request === 'reset' || request === 'look' ? Promise.race([reset, stay]) : stay);
  }

  async #powerOff(request: 'powerOff' | 'stop'): Promise<void> {
    switch (this.#status.state) {
      case 'loading':
        this.#abort.abort(new Aborted());
        break;
      case 'running':
        await this.#ask(request);
        break;
      case 'paused':
        await this.#finish({ kind: 'unplugged' });
        break;
      default:
        break;
    }
  }

  async #runUntilStopped(): Promise<void> {
    for (;;) {
      const powered = this.#powered;
      if (powered === undefined) return;
      const end = await powered.vcpu.run();
      // Crashed meanwhile (it did not obey), or already torn down.
      if (this.#powered !== powered) return;
      switch (end.kind) {
        case 'stopped':
          if (this.#request === 'pause') {
            powered.serial.drain();
            await powered.io.pause();
            await this.#readFigures(powered);
            const problem = this.#pauseProblem;
            this.#setStatus({ state: 'paused', ...(problem === undefined ? {} : { problem }) });
            return;
          }
          if (this.#request === 'look') {
            await this.#readFigures(powered);
            this.#request = undefined;
            this.#resetDone?.();
            continue;
          }
          if (this.#request !== 'reset') return await this.#finish({ kind: 'unplugged' });
          break;
        case 'reset':
          if (this.config.noReboot) return await this.#finish({ kind: 'reset-refused' });
          break;
        case 'triple-fault':
          if (this.config.noReboot || this.#parts.tripleFault === 'stop') {
            return await this.#finish(
              { kind: 'triple-fault', rip: readRip(powered.views) },
              describeVcpu(powered.views),
            );
          }
          break;
        case 'power-off':
          return await this.#finish({ kind: 'power-off' });
        case 'debug-exit':
          return await this.#finish({ kind: 'debug-exit', status: end.status });
        case 'disagreement':
          await this.#readFigures(powered);
          return this.#crash(powered, TRANSLATION_WRONG, end.report);
        case 'defect':
        case 'lost':
          return this.#crash(powered, PROCESSOR_LOST, end.message);
      }
      this.#request = undefined;
      if (!(await this.#reset())) return;
      this.#resetDone?.();
    }
  }

  /** Takes the machine through reset; false if it could not come back. */
  async #reset(): Promise<boolean> {
    const powered = this.#powered;
    if (powered === undefined || this.#images === undefined) return false;
    powered.serial.drain();
    // What disks have under way must not land in the memory that is loaded now.
    powered.io.resume();
    await this.#io({ kind: 'reset-devices' });
    const entry = loadGuest(powered.views, this.config, this.#images);
    if (!entry.ok) {
      this.#tearDown();
      this.#setStatus({ state: 'off', problem: entry.error });
      return false;
    }
    const failed = await powered.vcpu.reset(entry.value);
    if (failed !== undefined) {
      this.#crash(powered, PROCESSOR_LOST, threadFailed(failed).report ?? '');
      return false;
    }
    this.#times = { ...this.#times, reset: performance.now() };
    this.#emit({ kind: 'reset' });
    return true;
  }

  async #readFigures(powered: Powered): Promise<void> {
    this.#lastFigures = await powered.vcpu.figures();
    this.#lastExits = (await powered.vcpu.exits()) ?? [];
    if (this.#profiled) this.#lastRegions = (await powered.vcpu.regions()) ?? [];
  }

  async #finish(reason: ShutdownReason, report?: string): Promise<void> {
    const powered = this.#powered;
    if (powered === undefined) return;
    await this.#readFigures(powered);
    this.readStats();
    await this.#readInfo(powered).catch(() => undefined);
    // Before the power is gone for whoever watches: the disks are flushed and closed.
    await powered.io.quit();
    if (this.#powered !== powered) return;
    this.#tearDown();
    this.#setStatus({ state: 'shutdown', reason, ...(report === undefined ? {} : { report }) });
  }

  #crash(powered: Powered, problem: Problem, message: string): void {
    if (this.#powered !== powered) return;
    const report = `${message}\n\n${describeVcpu(powered.views)}`;
    this.readStats();
    this.#tearDown();
    this.#setStatus({ state: 'crashed', problem, report });
  }

  #tearDown(): void {
    const powered = this.#powered;
    this.#powered = undefined;
    if (powered === undefined) return;
    powered.serial.close();
    // A vCPU that waits for a device's thread sees this.
    this.#profiler?.stop();
    powered.vcpu.release();
    powered.vcpu.terminate();
    powered.compiler?.terminate();
    void powered.io.quit();
  }

  #setStatus(status: MachineStatus): void {
    this.#status = status;
    this.#emit({ kind: 'status', status });
  }

  #emit(event: MachineEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

/** Locally administered, in the range that QEMU's cards have. */
function randomMac(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(3));
  return ['52', '54', '00', ...Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0'))].join(':');
}

function diskFailed(message: string): Problem {
  return {
    kind: 'bad-disk',
    message,
    advice: 'Mend that, or start the machine without the disk.',
  };
}

const PROCESSOR_LOST: Problem = {
  kind: 'worker-lost',
  message: 'The processor of the machine stopped working. This is a fault of Virtab, not of your guest.',
  advice:
    'Start the machine again; what it had not written to a disk is lost. Please attach the report to an issue.',
};

const DEVICES: Readonly<Record<DeviceKind, string>> = {
  'virtio-blk': 'disks',
  'virtio-net': 'network cards',
  'virtio-rng': 'random numbers',
  'virtio-console': 'terminal',
};

function devicesLost({ name, kinds }: LostIoThread): Problem {
  return {
    kind: 'worker-lost',
    message: `The thread “${name}” stopped working, and with it the machine’s ${kinds.map((kind) => DEVICES[kind]).join(' and ')}. This is a fault of Virtab or of the browser, not of your guest.`,
    advice:
      'Start the machine again: what the guest had flushed is on its disks. Please attach the report to an issue.',
  };
}

function diskPaused(message: string): Problem {
  return { kind: 'disk-paused', message, advice: 'Delete disks or other data of this site, then continue.' };
}

async function readDevices({ io }: Powered): Promise<DeviceInfo> {
  const threads = await io.info();
  return {
    disks: threads.flatMap(({ disks }) => disks),
    net: threads.flatMap(({ net }) => net),
    ioeventfd: threads.flatMap(({ ioeventfd }) => ioeventfd),
    iothreads: threads.map(({ thread }) => thread),
  };
}

function coreMissing(error: unknown): Problem {
  return {
    kind: 'core-missing',
    message: `The emulator's own code could not be loaded: ${error instanceof Error ? error.message : String(error)}`,
    advice: 'Reload the page. If that does not help, the site that serves it is incomplete.',
  };
}

/** Under verify code takes so much longer that a guest would come to nothing but its timer ticks. */
const VERIFY_CLOCK_DIVISOR = 16;

const TRANSLATION_WRONG: Problem = {
  kind: 'translation-wrong',
  message:
    'Translated code and the interpreter came to different results. This is a fault of Virtab, not of your guest.',
  advice:
    'The machine stands in front of that code; the report has both results and the code. Please attach it to an issue.',
};

function threadFailed(end: ThreadEnd): Problem {
  const report = end.kind === 'defect' || end.kind === 'lost' ? end.message : end.kind;
  return {
    kind: 'worker-lost',
    message: `The processor's thread could not be started: ${report.split('\n', 1)[0] ?? ''}`,
    advice: 'Start again; if it happens again, please attach the report to an issue.',
    report,
  };
}
