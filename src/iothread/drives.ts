/**
 * The drives of a thread that owns disks: what is in them at the start, what the user puts in and takes out while the
 * guest runs, and how they come to rest.
 */
import { failure, success } from '../base/result.ts';
import type { Result } from '../base/result.ts';
import { Drive } from '../block/drive.ts';
import type { ReadableFile } from '../block/drivers/file-source.ts';
import { openDisk } from '../block/open-disk.ts';
import type { DiskEnvironment, DiskRequest } from '../block/open-disk.ts';
import type { DriveConfig } from '../config/devices.ts';
import type { DiskInfo } from '../control/info.ts';
import type { DriveCommand, IoEvent, Medium } from '../control/io-control.ts';

export interface DrivesOptions {
  readonly disks: DiskEnvironment;
  /** Files that the user gave to the machine, by the name in `DriveConfig.file`. */
  readonly files: Readonly<Record<string, File>>;
  readonly readableFile: (file: File) => ReadableFile;
  readonly report: (event: IoEvent) => void;
}

interface Slot {
  readonly config: DriveConfig;
  readonly drive: Drive;
  mediumName: string;
  warning: string | undefined;
}

/** Where a medium is, what the user calls it, and how large it is to be made. */
type Place = Pick<DiskRequest, 'source' | 'createBytes'> & { readonly name: string };

export class Drives {
  readonly #options: DrivesOptions;
  readonly #slots = new Map<string, Slot>();
  /** Of the pause that waits for the disks. */
  #rested: ((drive: Drive) => void) | undefined;

  constructor(options: DrivesOptions) {
    this.#options = options;
  }

  /** Makes the drive, with the medium that its description names. */
  async add(config: DriveConfig): Promise<Result<undefined>> {
    const { id } = config;
    const medium = this.#mediumOf(config);
    // The guest is told once, when it starts.
    const isReadOnly = config.readOnly || medium?.kind === 'file';
    const slot: Slot = { config, drive: new Drive(id, isReadOnly), mediumName: '', warning: undefined };
    this.#slots.set(id, slot);
    slot.drive.onPause(({ message }) => {
      this.#options.report({ kind: 'disk-paused', drive: id, message });
      // Its requests wait for a resume, which comes after the pause.
      this.#rested?.(slot.drive);
    });
    return medium === undefined ? success(undefined) : this.#insert(slot, medium);
  }

  get(id: string): Drive | undefined {
    return this.#slots.get(id)?.drive;
  }

  /** To be called when the thread was woken: helpers may have answered. */
  poll(): void {
    for (const { drive } of this.#slots.values()) drive.poll();
  }

  /** Continues what `DiskEnvironment.defer` put off. */
  service(): void {
    for (const { drive } of this.#slots.values()) drive.service();
  }

  /** Disks that stopped on an error try again. */
  resume(): void {
    for (const { drive } of this.#slots.values()) drive.resume();
  }

  async command(command: DriveCommand): Promise<Result<undefined>> {
    const slot = this.#slots.get(command.drive);
    if (slot === undefined) return failure(`There is no drive “${command.drive}”.`);
    const { drive } = slot;
    switch (command.kind) {
      case 'attach':
        return this.#attach(slot, command.medium, command.readOnly);
      case 'eject':
        slot.warning = undefined;
        return statusResult(drive, 'eject', await this.settled((then) => drive.eject(then)));
      case 'resize':
        return statusResult(drive, 'resize', await this.settled((then) => drive.resize(command.bytes, then)));
    }
  }

  /** Lets what is under way complete, and flushes it. A disk that stopped on an error rests already, or from then on. */
  rest(then: () => void): void {
    const restless = new Set([...this.#slots.values()].map(({ drive }) => drive));
    this.#rested = (drive) => {
      if (!restless.delete(drive) || restless.size > 0) return;
      this.#rested = undefined;
      then();
    };
    if (restless.size === 0) then();
    for (const drive of restless) {
      if (drive.paused !== undefined) this.#rested?.(drive);
      else drive.drain(() => this.#rested?.(drive));
    }
  }

  /** Flushes and closes all media, and gives their locks back. Tells what went wrong. */
  async close(): Promise<Result<undefined>> {
    const results = await Promise.all(
      [...this.#slots.values()].map(async ({ drive }) =>
        statusResult(drive, 'close', await this.settled((then) => drive.eject(then))),
      ),
    );
    const problems = results.flatMap((result) => (result.ok ? [] : [result.error]));
    return problems.length === 0 ? success(undefined) : failure(problems.join(' '));
  }

  /** Waits for a callback while the thread's loop may not run: helpers' answers are looked for here. */
  settled<T>(start: (then: (value: T) => void) => void): Promise<T> {
    return new Promise((resolve) => {
      let isOver = false;
      // Those that are ejected now are not in their drives any more.
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

  info(): readonly DiskInfo[] {
    return [...this.#slots.values()].map(diskInfo);
  }

  #mediumOf({ file, sizeBytes, aio }: DriveConfig): Medium | undefined {
    if (file === undefined || aio === 'memory')
      return sizeBytes === undefined && file === undefined
        ? undefined
        : { kind: 'memory', bytes: sizeBytes ?? 0 };
    const given = this.#options.files[file];
    if (given !== undefined) return { kind: 'file', file: given };
    return { kind: 'image', name: file, ...(sizeBytes === undefined ? {} : { createBytes: sizeBytes }) };
  }

  async #attach(slot: Slot, medium: Medium, readOnly: boolean): Promise<Result<undefined>> {
    const { drive } = slot;
    if (drive.medium !== undefined)
      return failure(`There is a medium in the drive “${drive.id}” already. Eject it first.`);
    if ((readOnly || medium.kind === 'file') && !drive.isReadOnly) {
      return failure(
        `The guest takes the drive “${drive.id}” for a disk that can be written; a read-only medium needs one with readonly=on.`,
      );
    }
    return this.#insert(slot, medium);
  }

  async #insert(slot: Slot, medium: Medium): Promise<Result<undefined>> {
    const { config, drive } = slot;
    const { name, ...place } = this.#place(medium);
    const opened = await openDisk(
      {
        id: drive.id,
        ...place,
        // What was chosen for an image is nothing that a file or memory could do.
        aio: medium.kind === 'image' ? config.aio : 'auto',
        cache: config.cache,
        readOnly: drive.isReadOnly,
        errorPolicy: {
          write: config.writeErrors,
          read: config.readErrors === 'stop' ? 'stop' : 'report',
        },
      },
      this.#options.disks,
    );
    if (!opened.ok) return opened;
    const { warning } = opened.value;
    slot.mediumName = name;
    slot.warning = warning;
    drive.insert(opened.value);
    if (warning !== undefined)
      this.#options.report({ kind: 'disk-warning', drive: drive.id, message: warning });
    return success(undefined);
  }

  #place(medium: Medium): Place {
    switch (medium.kind) {
      case 'image': {
        const { name, createBytes } = medium;
        const source = { kind: 'opfs', name } as const;
        return { source, name, ...(createBytes === undefined ? {} : { createBytes }) };
      }
      case 'file': {
        const { file } = medium;
        return { source: { kind: 'file', file: this.#options.readableFile(file) }, name: file.name };
      }
      case 'memory':
        return { source: { kind: 'memory' }, name: 'memory', createBytes: medium.bytes };
    }
  }
}

function statusResult(drive: Drive, what: string, status: string): Result<undefined> {
  return status === 'ok'
    ? success(undefined)
    : failure(`The ${what} of the disk “${drive.id}” failed: ${status}.`);
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
