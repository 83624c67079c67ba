/**
 * The module that pages embed: one machine, asked and watched through plain calls. Virtab's own page is a client of it. See
 * docs/api.md.
 */
import type { Result } from '../base/result.ts';
import { DEFAULT_CONFIG } from '../config/vm-config.ts';
import type { Switch } from '../config/devices.ts';
import type { VmConfig } from '../config/vm-config.ts';
import type { MachineEvent } from '../control/events.ts';
import type { DeviceInfo, MachineInfo } from '../control/info.ts';
import type { Profile } from '../control/regions.ts';
import type { Medium } from '../control/io-control.ts';
import type { HaltState, MachineStats } from '../control/stats.ts';
import type { MachineStatus, Problem } from '../control/status.ts';
import { browserHost } from '../machine/browser-host.ts';
import type { MachineHost } from '../machine/host.ts';
import { Machine } from '../machine/machine.ts';
import { OutputWatch } from '../machine/output-watch.ts';
import { bootFile } from './boot-source.ts';
import type { BootSource } from './boot-source.ts';
import { ConsoleText } from './console-text.ts';

/** What is left out is as in DEFAULT_CONFIG. */
export interface MachineOptions extends Partial<Omit<VmConfig, 'kernel' | 'initrd'>> {
  readonly kernel: BootSource;
  readonly initrd?: BootSource;
  /** Files of the user that are disks, by the name that a drive's `file` gives them; read in place. */
  readonly files?: Readonly<Record<string, File>>;
  /** What a triple fault does: a reset, as on a PC (default), or an end with a report. */
  readonly tripleFault?: 'reset' | 'stop';
  /** Where modules and threads come from; tests replace it. */
  readonly host?: MachineHost;
}

export type EventKind = MachineEvent['kind'];
export type EventOf<K extends EventKind> = Extract<MachineEvent, { readonly kind: K }>;

/** COM1. */
export interface SerialPort {
  /** As if typed at the terminal; text is sent as UTF-8. Lost while the machine is not powered. */
  write(data: string | Uint8Array): void;
  /** Resolves when the guest prints `text` from now on; rejects with the signal's reason. */
  waitFor(text: string, signal?: AbortSignal): Promise<void>;
}

export interface VirtualMachine {
  readonly config: VmConfig;
  readonly status: MachineStatus;
  readonly serial: SerialPort;
  /** Powers on: loads kernel and initrd, then runs from reset. A problem also shows as `status`. */
  start(): Promise<Result<void, string | Problem>>;
  pause(): Promise<Result<void>>;
  resume(): Promise<Result<void>>;
  /** The reset button: RAM keeps its contents, the boot files are loaded anew. */
  reset(): Promise<Result<void>>;
  /** Pulls the plug; `start` begins anew. */
  powerOff(): Promise<Result<void>>;
  /** Ends the machine for good and frees its memory and threads. */
  stop(): Promise<Result<void>>;
  /**
   * Puts a medium into a drive that has none (`-drive if=none,id=NAME` without a file, and a virtio-blk-pci in front of it): the guest
   * sees a disk of that size. A file is read in place.
   */
  attach(
    drive: string,
    medium: Medium | File,
    options?: { readonly readOnly?: boolean },
  ): Promise<Result<void>>;
  /** Takes the medium out; what the guest has under way on it fails. */
  detach(drive: string): Promise<Result<void>>;
  /** Makes the disk larger; the guest sees it at once. */
  resize(drive: string, bytes: number): Promise<Result<void>>;
  /** Of one device by its name, or of all of them, while the guest runs. */
  setIoeventfd(setting: Switch, device?: string): Promise<Result<void>>;
  /** Disks, network cards, doorbells and their threads; undefined while the machine has no power. */
  deviceInfo(): Promise<DeviceInfo | undefined>;
  /**
   * All that `info block`, `info aio`, `info ioeventfd`, `info exits`, `info network`, `info stats` and `info jit` tell (texts: `describeInfo`);
   * after the end, the last. A running guest stands still for about a millisecond.
   */
  info(): Promise<MachineInfo | undefined>;
  /**
   * Looks for so long where the CPU's time goes, by translated region; then the guest stands still for a moment. Undefined if the
   * machine does not run.
   */
  profile(milliseconds: number): Promise<Profile | undefined>;
  /** Gives all threads up without waiting: for a page that is being left. */
  release(): void;
  /** What COM1 has shown since power-on: the last 10,000 lines. */
  consoleText(): string;
  /** Figures since power-on; after the end, the last ones. */
  stats(): MachineStats | undefined;
  /** Whether the CPU executes at this moment, or waits in HLT; undefined while there is no power. */
  readonly halted: HaltState | undefined;
  /** Registers as text, while the machine is powered. */
  registers(): string | undefined;
  /** Calls `listener` with every event of this kind from now on; the result ends that. */
  on<K extends EventKind>(kind: K, listener: (event: EventOf<K>) => void): () => void;
}

export function createMachine(options: MachineOptions): VirtualMachine {
  const { kernel, initrd, files, tripleFault, host, ...config } = options;
  const machine = new Machine({
    config: { ...DEFAULT_CONFIG, ...config },
    kernel: bootFile(kernel),
    ...(initrd === undefined ? {} : { initrd: bootFile(initrd) }),
    ...(files === undefined ? {} : { files }),
    ...(tripleFault === undefined ? {} : { tripleFault }),
    host: host ?? browserHost,
  });
  return new EmbeddedMachine(machine);
}

class EmbeddedMachine implements VirtualMachine {
  readonly serial: SerialPort;
  readonly #machine: Machine;
  readonly #text = new ConsoleText();
  readonly #encoder = new TextEncoder();

  constructor(machine: Machine) {
    this.#machine = machine;
    machine.subscribe((event) => {
      if (event.kind === 'serialOutput') this.#text.push(event.bytes);
      else if (event.kind === 'status' && event.status.state === 'loading') this.#text.clear();
    });
    this.serial = {
      write: (data) => {
        const bytes = typeof data === 'string' ? this.#encoder.encode(data) : data;
        void machine.execute({ kind: 'serialInput', bytes });
      },
      waitFor: (text, signal) => this.#waitFor(text, signal),
    };
  }

  get config(): VmConfig {
    return this.#machine.config;
  }

  get status(): MachineStatus {
    return this.#machine.status;
  }

  async start(): Promise<Result<void, string | Problem>> {
    const legal = await this.#machine.execute({ kind: 'start' });
    const { status } = this.#machine;
    return legal.ok && status.state === 'off' && status.problem !== undefined
      ? { ok: false, error: status.problem }
      : legal;
  }

  pause(): Promise<Result<void>> {
    return this.#execute('pause');
  }

  resume(): Promise<Result<void>> {
    return this.#execute('resume');
  }

  reset(): Promise<Result<void>> {
    return this.#execute('reset');
  }

  powerOff(): Promise<Result<void>> {
    return this.#execute('powerOff');
  }

  stop(): Promise<Result<void>> {
    return this.#execute('stop');
  }

  attach(
    drive: string,
    medium: Medium | File,
    { readOnly = medium instanceof File }: { readonly readOnly?: boolean } = {},
  ): Promise<Result<void>> {
    return this.#machine.execute({
      kind: 'attachDisk',
      drive,
      medium: medium instanceof File ? { kind: 'file', file: medium } : medium,
      readOnly,
    });
  }

  detach(drive: string): Promise<Result<void>> {
    return this.#machine.execute({ kind: 'ejectDisk', drive });
  }

  resize(drive: string, bytes: number): Promise<Result<void>> {
    return this.#machine.execute({ kind: 'resizeDisk', drive, bytes });
  }

  setIoeventfd(setting: Switch, device?: string): Promise<Result<void>> {
    return this.#machine.execute({
      kind: 'setIoeventfd',
      setting,
      ...(device === undefined ? {} : { device }),
    });
  }

  deviceInfo(): Promise<DeviceInfo | undefined> {
    return this.#machine.deviceInfo();
  }

  info(): Promise<MachineInfo | undefined> {
    return this.#machine.info();
  }

  release(): void {
    this.#machine.release();
  }

  consoleText(): string {
    return this.#text.text();
  }

  stats(): MachineStats | undefined {
    return this.#machine.readStats();
  }

  async profile(milliseconds: number): Promise<Profile | undefined> {
    if (this.status.state !== 'running') return undefined;
    this.#machine.startProfile();
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    const info = await this.#machine.info();
    this.#machine.stopProfile();
    return info?.profile;
  }

  get halted(): HaltState | undefined {
    return this.#machine.halted;
  }

  registers(): string | undefined {
    return this.#machine.describe();
  }

  on<K extends EventKind>(kind: K, listener: (event: EventOf<K>) => void): () => void {
    return this.#machine.subscribe((event) => {
      if (event.kind === kind) listener(event as EventOf<K>);
    });
  }

  #execute(kind: 'pause' | 'resume' | 'reset' | 'powerOff' | 'stop'): Promise<Result<void>> {
    return this.#machine.execute({ kind });
  }

  #waitFor(text: string, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const watch = new OutputWatch(text);
      const abort = (): void => {
        end();
        reject(signal?.reason as Error);
      };
      const end = this.on('serialOutput', ({ bytes }) => {
        if (!watch.push(bytes)) return;
        end();
        signal?.removeEventListener('abort', abort);
        resolve();
      });
      if (signal?.aborted === true) abort();
      else signal?.addEventListener('abort', abort, { once: true });
    });
  }
}
