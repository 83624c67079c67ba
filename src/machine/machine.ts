/**
 * The life of one machine, seen from the page: it loads the guest, starts the vCPU's thread, watches it, and turns
 * what happens into a status. Nothing here blocks.
 *
 *     off -> loading -> running <-> paused
 *                          |          |
 *                          v          v
 *                 shutdown, crashed  (start begins anew)
 */
import { featuresOf } from '../base/cpu-features.ts';
import type { Result } from '../base/result.ts';
import { takesModules } from '../boot/boot.ts';
import type { VmConfig } from '../config/vm-config.ts';
import { isLegal } from '../control/commands.ts';
import type { Command } from '../control/commands.ts';
import type { MachineEvent, MachineListener } from '../control/events.ts';
import type { MachineStats } from '../control/stats.ts';
import type { LoadStep, MachineStatus, Problem, ShutdownReason } from '../control/status.ts';
import type { VcpuFigures } from '../control/vcpu-control.ts';
import type { Views } from '../base/views.ts';
import type { BootFile } from './boot-file.ts';
import { CounterReader } from './counters.ts';
import type { MachineHost } from './host.ts';
import { loadGuest } from './load-guest.ts';
import type { GuestImage, GuestImages } from './load-guest.ts';
import { describeVcpu, readRip } from './report.ts';
import { SerialConsole } from './console.ts';
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
  readonly serial: SerialConsole;
  readonly counters: CounterReader;
}

type Request = 'pause' | 'reset' | 'powerOff' | 'stop';

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
        this.#enter();
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
    }
    return { ok: true, value: undefined };
  }

  /** Figures since power-on; after the end, the last ones. */
  readStats(): MachineStats | undefined {
    if (this.#powered !== undefined) this.#lastStats = this.#powered.counters.read();
    return this.#lastStats;
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
    const entry = loadGuest(views, config, images.value);
    if (!entry.ok) return entry;

    step('processor')(0);
    const thread = host.startVcpu();
    const vcpu = new VcpuSupervisor(thread, views);
    const serial = new SerialConsole(views, (bytes) => this.#emit({ kind: 'serialOutput', bytes }));
    const counters = new CounterReader(views, () => performance.now());
    this.#powered = { views, vcpu, serial, counters };
    const [coreModule, interpreterModule] = compiled.value;
    const prepared =
      (await vcpu.prepare({
        index: 0,
        memory,
        ramBytes: config.memoryBytes,
        vcpus: config.cpus,
        timeOrigin: performance.timeOrigin,
        jit: config.jit === 'on',
        cpuFeatures: featuresOf(config.cpuFeatures),
        coreModule,
        interpreterModule,
        serialPorts: config.serial.filter((backend) => backend !== 'none').length,
        ...(config.debugExit === undefined ? {} : { debugExit: config.debugExit }),
      })) ?? (await vcpu.reset(entry.value));
    if (signal.aborted) throw new Aborted();
    if (prepared !== undefined) return { ok: false, error: threadFailed(prepared) };
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

  #enter(): void {
    this.#request = undefined;
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
    const end = await powered.vcpu.stop(request === 'powerOff' || request === 'stop');
    if (end?.kind === 'lost') this.#crash(powered, end.message);
    // After a reset the stay goes on, unless the machine could not come back.
    else await (request === 'reset' ? Promise.race([reset, stay]) : stay);
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
            this.#lastFigures = await powered.vcpu.figures();
            this.#setStatus({ state: 'paused' });
            return;
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
        case 'defect':
        case 'lost':
          return this.#crash(powered, end.message);
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
    const entry = loadGuest(powered.views, this.config, this.#images);
    if (!entry.ok) {
      this.#tearDown();
      this.#setStatus({ state: 'off', problem: entry.error });
      return false;
    }
    const failed = await powered.vcpu.reset(entry.value);
    if (failed !== undefined) {
      this.#crash(powered, threadFailed(failed).report ?? '');
      return false;
    }
    this.#times = { ...this.#times, reset: performance.now() };
    this.#emit({ kind: 'reset' });
    return true;
  }

  async #finish(reason: ShutdownReason, report?: string): Promise<void> {
    const powered = this.#powered;
    if (powered === undefined) return;
    this.#lastFigures = await powered.vcpu.figures();
    this.readStats();
    this.#tearDown();
    this.#setStatus({ state: 'shutdown', reason, ...(report === undefined ? {} : { report }) });
  }

  #crash(powered: Powered, message: string): void {
    if (this.#powered !== powered) return;
    const report = `${message}\n\n${describeVcpu(powered.views)}`;
    this.readStats();
    this.#tearDown();
    this.#setStatus({
      state: 'crashed',
      problem: {
        kind: 'worker-lost',
        message:
          'The processor of the machine stopped working. This is a fault of Virtab, not of your guest.',
        advice:
          'Start the machine again; what it had not written to a disk is lost. Please attach the report to an issue.',
      },
      report,
    });
  }

  #tearDown(): void {
    const powered = this.#powered;
    this.#powered = undefined;
    if (powered === undefined) return;
    powered.serial.close();
    powered.vcpu.terminate();
  }

  #setStatus(status: MachineStatus): void {
    this.#status = status;
    this.#emit({ kind: 'status', status });
  }

  #emit(event: MachineEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

function coreMissing(error: unknown): Problem {
  return {
    kind: 'core-missing',
    message: `The emulator's own code could not be loaded: ${error instanceof Error ? error.message : String(error)}`,
    advice: 'Reload the page. If that does not help, the site that serves it is incomplete.',
  };
}

function threadFailed(end: ThreadEnd): Problem {
  const report = end.kind === 'defect' || end.kind === 'lost' ? end.message : end.kind;
  return {
    kind: 'worker-lost',
    message: `The processor's thread could not be started: ${report.split('\n', 1)[0] ?? ''}`,
    advice: 'Start again; if it happens again, please attach the report to an issue.',
    report,
  };
}
