/** The machine that the page shows: its saved form, the files that belong to it, and the running one. */
import { createMachine } from '../api/create-machine.ts';
import type { VirtualMachine } from '../api/create-machine.ts';
import type { BootSource } from '../api/boot-source.ts';
import type { VmConfig } from '../config/vm-config.ts';
import { MAX_VIRTIO_DEVICES } from '../layout/virtio.ts';
import { withConsoleSize } from '../machine/default-guest.ts';
import type { ConsoleSize, DefaultGuest } from '../machine/default-guest.ts';
import { failure, success } from '../base/result.ts';
import type { Result } from '../base/result.ts';
import { BLK_DEFAULTS } from '../config/devices.ts';
import type { DriveConfig, Switch } from '../config/devices.ts';
import { DRIVE_DEFAULTS } from '../config/device-options.ts';
import {
  blkDeviceOf,
  deviceName,
  editDevice,
  withDevices,
  withDrive,
  withoutDrive,
} from './disks/drive-edits.ts';
import type { MachineStore } from '../store/machine-store.ts';
import { cleanName } from '../store/saved-machine.ts';
import type { SavedMachine } from '../store/saved-machine.ts';

/** A file of the user's, or `default`: what the address or the site has. */
export type FileChoice = File | 'default' | undefined;

/**
 * - `saved`: every change is kept.
 * - `new`: kept from the first change on.
 * - `link`: the address describes it; nothing is kept until the user says so.
 */
export type SessionKind = 'saved' | 'new' | 'link';

export interface SessionOptions {
  readonly store: MachineStore;
  readonly defaultGuest: DefaultGuest | undefined;
  readonly machine: SavedMachine;
  readonly kind: SessionKind;
  readonly kernelFile?: File;
  readonly initrdFile?: File;
}

export interface BootChoice {
  readonly kernel: FileChoice;
  readonly initrd: FileChoice;
}

export class MachineSession {
  readonly #options: SessionOptions;
  #machine: SavedMachine;
  #kind: SessionKind;
  #kernelFile: File | undefined;
  #initrdFile: File | undefined;
  #vm: VirtualMachine | undefined;
  /** What the running machine was made of, with what was changed in it since. */
  #startedWith: VmConfig | undefined;
  /** The disks that it had then. */
  #startedDrives: readonly string[] = [];
  /** Files that are disks, by name. */
  readonly #files = new Map<string, File>();
  /** Drives that got their medium while the guest runs: in which of the spare ones it is. */
  readonly #live = new Map<string, string>();
  readonly #listeners = new Set<() => void>();

  constructor(options: SessionOptions) {
    this.#options = options;
    // Each disk with a device of its own, which has settings.
    this.#machine = { ...options.machine, config: withDevices(options.machine.config) };
    this.#kind = options.kind;
    this.#kernelFile = options.kernelFile;
    this.#initrdFile = options.initrdFile;
  }

  /** A machine that was saved, with its files. */
  static async open(options: Omit<SessionOptions, 'kernelFile' | 'initrdFile'>): Promise<MachineSession> {
    const { store, machine } = options;
    const kernelFile =
      machine.kernelFile === undefined ? undefined : await store.readFile(machine.id, 'kernel');
    const initrdFile =
      machine.initrdFile === undefined ? undefined : await store.readFile(machine.id, 'initrd');
    return new MachineSession({
      ...options,
      ...(kernelFile === undefined ? {} : { kernelFile }),
      ...(initrdFile === undefined ? {} : { initrdFile }),
    });
  }

  get machine(): SavedMachine {
    return this.#machine;
  }

  get config(): VmConfig {
    return this.#machine.config;
  }

  get kind(): SessionKind {
    return this.#kind;
  }

  get vm(): VirtualMachine | undefined {
    return this.#vm;
  }

  get startedWith(): VmConfig | undefined {
    return this.#startedWith;
  }

  get isPowered(): boolean {
    const state = this.#vm?.status.state;
    return state === 'loading' || state === 'running' || state === 'paused';
  }

  /** Calls `listener` after every change of the machine's description. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  edit(change: (config: VmConfig) => VmConfig): Promise<void> {
    return this.#save({ ...this.#machine, config: change(this.#machine.config) });
  }

  rename(name: string): Promise<void> {
    return this.#save({ ...this.#machine, name: cleanName(name) });
  }

  async setBoot({ kernel, initrd }: BootChoice): Promise<void> {
    this.#kernelFile = kernel instanceof File ? kernel : undefined;
    this.#initrdFile = initrd instanceof File ? initrd : undefined;
    const { kernelFile: _kernel, initrdFile: _initrd, noInitrd: _none, ...rest } = this.#machine;
    await this.#save({
      ...rest,
      ...(kernel instanceof File ? { kernelFile: kernel.name } : {}),
      ...(initrd instanceof File ? { initrdFile: initrd.name } : {}),
      ...(initrd === undefined ? { noInitrd: true } : {}),
    });
    await this.#saveFiles();
  }

  /** Keeps a machine that a link described, or a new one that nothing has changed yet. */
  async keep(name: string): Promise<void> {
    this.#kind = 'saved';
    await this.#save({ ...this.#machine, name: cleanName(name) });
    await this.#saveFiles();
  }

  get boot(): BootChoice {
    const { machine } = this;
    const { defaultGuest } = this.#options;
    const kernel =
      machine.kernelFile !== undefined
        ? this.#kernelFile
        : machine.config.kernel !== undefined || defaultGuest !== undefined
          ? ('default' as const)
          : undefined;
    if (machine.initrdFile !== undefined) return { kernel, initrd: this.#initrdFile };
    const hasDefault =
      kernel === 'default' &&
      (machine.config.kernel === undefined
        ? defaultGuest !== undefined
        : machine.config.initrd !== undefined);
    return { kernel, initrd: hasDefault && machine.noInitrd !== true ? 'default' : undefined };
  }

  /** What `default` stands for, in words. */
  get defaultLabels(): { readonly kernel?: string; readonly initrd?: string } {
    const { kernel, initrd } = this.config;
    const { defaultGuest } = this.#options;
    if (kernel !== undefined) {
      return { kernel: lastPart(kernel), ...(initrd === undefined ? {} : { initrd: lastPart(initrd) }) };
    }
    if (defaultGuest === undefined) return {};
    return {
      kernel: `Debian ${defaultGuest.release}`,
      initrd: `busybox (${defaultGuest.initrd.name})`,
    };
  }

  /** The guest is the one whose RAM disk reads the size of the console from the command line. */
  get takesConsoleSize(): boolean {
    return this.boot.initrd === 'default' && this.config.kernel === undefined;
  }

  /** The command line that takes effect. */
  get commandLine(): string {
    const { commandLine, kernel } = this.config;
    if (commandLine !== undefined) return commandLine;
    if (kernel !== undefined) return '';
    return this.#options.defaultGuest?.commandLine ?? 'console=ttyS0';
  }

  // --- disks

  /** A file of the user's that is used in place, by its name. */
  fileOf(name: string): File | undefined {
    return this.#files.get(name);
  }

  setFile(file: File): void {
    this.#files.set(file.name, file);
    if (this.#machine.inPlace?.includes(file.name) === true) return;
    this.#machine = { ...this.#machine, inPlace: [...(this.#machine.inPlace ?? []), file.name] };
  }

  removeFile(name: string): void {
    this.#files.delete(name);
    const { inPlace, ...rest } = this.#machine;
    const left = inPlace?.filter((other) => other !== name) ?? [];
    this.#machine = left.length === 0 ? rest : { ...rest, inPlace: left };
  }

  isInPlace(name: string): boolean {
    return this.#machine.inPlace?.includes(name) === true;
  }

  /** What the running machine calls the device at `index` of the description; undefined where it does not have it. */
  machineDevice(index: number): string | undefined {
    const device = this.config.devices[index];
    const running = this.#vm?.config;
    if (device === undefined || running === undefined || !this.isPowered) return undefined;
    const number = this.config.devices.slice(0, index).filter(({ kind }) => kind === device.kind).length;
    const same = running.devices.filter(({ kind }) => kind === device.kind);
    const found =
      device.kind === 'virtio-blk' ? blkDeviceOf(running, this.liveDrive(device.drive)) : same[number];
    return found === undefined ? undefined : deviceName(running, running.devices.indexOf(found));
  }

  /** `/dev/vda` and so on: Linux names virtio disks in the order of their devices. */
  guestDisk(id: string): string | undefined {
    const running = this.#vm?.config;
    if (running === undefined || !this.isInMachine(id)) return undefined;
    const disks = running.devices.filter(({ kind }) => kind === 'virtio-blk');
    const at = disks.findIndex(
      (device) => device.kind === 'virtio-blk' && device.drive === this.liveDrive(id),
    );
    return at < 0 ? undefined : `vd${String.fromCharCode(0x61 + at)}`;
  }

  /** Flips it in the description and, where that has the device, in the running machine. */
  async setIoeventfd(index: number, setting: Switch): Promise<Result<undefined>> {
    const name = this.machineDevice(index);
    const flipped = name === undefined ? undefined : await this.#vm?.setIoeventfd(setting, name);
    if (flipped?.ok === false) return failure(flipped.error);
    const flip = (config: VmConfig): VmConfig => editDevice(config, index, { ioeventfd: setting });
    if (flipped !== undefined) this.#changeRunning(flip);
    await this.edit(flip);
    return success(undefined);
  }

  /** The drive of the running machine that has the disk `id`. */
  liveDrive(id: string): string {
    return this.#live.get(id) ?? id;
  }

  /** Whether the running machine has the disk. */
  isInMachine(id: string): boolean {
    if (!this.isPowered) return false;
    return this.#live.has(id) || this.#startedDrives.includes(id);
  }

  /** Puts a disk of the description into the running machine, if that has an empty drive of the kind left; else it waits for the next start. */
  async attachLive(id: string): Promise<Result<undefined>> {
    const drive = this.config.drives.find((candidate) => candidate.id === id);
    const spare = SPARE_DRIVES.find(
      (candidate) =>
        candidate.readOnly === drive?.readOnly &&
        this.#vm?.config.drives.some(({ id: present }) => present === candidate.id) === true &&
        ![...this.#live.values()].includes(candidate.id),
    );
    const state = this.#vm?.status.state;
    if (drive?.file === undefined || spare === undefined || (state !== 'running' && state !== 'paused'))
      return success(undefined);
    const { file: name, readOnly } = drive;
    const file = this.#files.get(name);
    this.#live.set(id, spare.id);
    const attached = await this.#vm?.attach(spare.id, file ?? { kind: 'image', name }, { readOnly });
    if (attached?.ok === true) {
      this.#changeRunning((config) =>
        config.drives.some((known) => known.id === id) ? config : withDrive(config, { ...drive, file: name }),
      );
      return success(undefined);
    }
    this.#live.delete(id);
    return failure(attached?.error ?? 'The machine is off.');
  }

  async detachLive(id: string): Promise<Result<undefined>> {
    const ejected = await this.#vm?.detach(this.liveDrive(id));
    if (ejected?.ok === false) return failure(ejected.error);
    this.#live.delete(id);
    this.#changeRunning((config) => withoutDrive(config, id));
    return success(undefined);
  }

  /** The running machine has changed as its description has: a restart would change nothing more. */
  #changeRunning(change: (config: VmConfig) => VmConfig): void {
    if (this.#startedWith !== undefined) this.#startedWith = change(this.#startedWith);
    for (const listener of this.#listeners) listener();
  }

  /** Makes a disk of the running machine larger. */
  async growLive(id: string, bytes: number): Promise<Result<undefined>> {
    const grown = await this.#vm?.resize(this.liveDrive(id), bytes);
    return grown?.ok === true ? success(undefined) : failure(grown?.error ?? 'The machine is off.');
  }

  /** The description without disks whose files the user has not dropped again. */
  #present(): VmConfig {
    return this.config.drives.reduce(
      (config, { id, file }) =>
        file !== undefined && this.isInPlace(file) && !this.#files.has(file)
          ? withoutDrive(config, id)
          : config,
      withDevices(this.config),
    );
  }

  /** Undefined where there is no kernel. The default guest is told how large its console is. */
  createVm(consoleSize: ConsoleSize): VirtualMachine | undefined {
    const { kernel, initrd } = this.boot;
    const kernelSource = this.#source(kernel, 'kernel');
    const initrdSource = this.#source(initrd, 'initrd');
    if (kernelSource === undefined) return undefined;
    const present = this.#present();
    this.#startedDrives = present.drives.map(({ id }) => id);
    const { kernel: _kernel, initrd: _initrd, ...config } = withSpareDrives(present);
    this.#startedWith = this.config;
    this.#live.clear();
    this.#vm = createMachine({
      ...config,
      commandLine: this.takesConsoleSize ? withConsoleSize(this.commandLine, consoleSize) : this.commandLine,
      kernel: kernelSource,
      ...(initrdSource === undefined ? {} : { initrd: initrdSource }),
      files: Object.fromEntries(this.#files),
      // A person wants to see why; QEMU's default, to reboot, would only loop.
      tripleFault: 'stop',
    });
    void this.#touch();
    return this.#vm;
  }

  #source(choice: FileChoice, role: 'kernel' | 'initrd'): BootSource | undefined {
    if (choice !== 'default') return choice;
    return this.config.kernel === undefined ? this.#options.defaultGuest?.[role] : this.config[role];
  }

  async #touch(): Promise<void> {
    this.#machine = { ...this.#machine, usedAt: Date.now() };
    if (this.#kind === 'saved') await this.#options.store.save(this.#machine);
  }

  async #save(machine: SavedMachine): Promise<void> {
    this.#machine = machine;
    for (const listener of this.#listeners) listener();
    if (this.#kind === 'link') return;
    this.#kind = 'saved';
    await this.#options.store.save(machine);
  }

  async #saveFiles(): Promise<void> {
    if (this.#kind === 'link') return;
    const { store } = this.#options;
    await store.saveFile(this.#machine.id, 'kernel', this.#kernelFile);
    await store.saveFile(this.#machine.id, 'initrd', this.#initrdFile);
  }
}

/** Empty drives for disks that come while the guest runs. Linux shows them only to `lsblk -a`. */
const SPARE_DRIVES: readonly DriveConfig[] = [
  { ...DRIVE_DEFAULTS, id: 'spare0', interface: 'none' },
  { ...DRIVE_DEFAULTS, id: 'spare1', interface: 'none' },
  // What a disk is to the guest is settled when that starts: a file that is read in place must not look writable.
  { ...DRIVE_DEFAULTS, id: 'spare2', interface: 'none', readOnly: true },
];

/** As many as there is room for beside the machine's own devices. */
function withSpareDrives(config: VmConfig): VmConfig {
  const spare = SPARE_DRIVES.slice(0, Math.max(0, MAX_VIRTIO_DEVICES - config.devices.length));
  return {
    ...config,
    drives: [...config.drives, ...spare],
    devices: [...config.devices, ...spare.map(({ id }) => ({ ...BLK_DEFAULTS, drive: id }))],
  };
}

function lastPart(url: string): string {
  return url.split(/[?#]/, 1)[0]!.split('/').at(-1) || url;
}
