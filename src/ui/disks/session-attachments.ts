/** The disks of the session's machine: its description says which, the running machine says how they are doing. */
import { failure, success } from '../../base/result.ts';
import type { Result } from '../../base/result.ts';
import type { DriveConfig } from '../../config/devices.ts';
import type { MediumInfo } from '../../control/info.ts';
import type { MachineSession } from '../machine-session.ts';
import type { AttachedDisk, DiskAttachments } from './attachments.ts';
import { freeDriveId, withDrive, withoutDrive } from './drive-edits.ts';

export class SessionAttachments implements DiskAttachments {
  readonly #session: MachineSession;
  readonly #listeners = new Set<() => void>();
  /** By drive, as the running machine tells. */
  #media = new Map<string, MediumInfo>();

  constructor(session: MachineSession) {
    this.#session = session;
    session.onChange(() => this.#tell());
  }

  /** The guest has written something that is not on a medium yet. */
  get isDirty(): boolean {
    return [...this.#media.values()].some(({ dirty }) => dirty);
  }

  /** What the machine says about its disks now; none where it does not run. */
  setMedia(media: ReadonlyMap<string, MediumInfo>): void {
    const before = JSON.stringify([...this.#media].map(stateOf));
    this.#media = new Map(media);
    if (JSON.stringify([...media].map(stateOf)) !== before) this.#tell();
  }

  list(): readonly AttachedDisk[] {
    const { config } = this.#session;
    return config.drives.flatMap((drive) => (drive.file === undefined ? [] : [this.#describe(drive)]));
  }

  async attachImage(name: string, readOnly = false): Promise<Result<undefined>> {
    const { config } = this.#session;
    if (config.drives.some(({ file }) => file === name))
      return failure(`The machine has the disk “${name}” already.`);
    return this.#attach({ id: freeDriveId(config), file: name, readOnly });
  }

  async attachFile(file: File): Promise<Result<undefined>> {
    const session = this.#session;
    const known = session.config.drives.find((drive) => drive.file === file.name);
    session.setFile(file);
    // The file that a machine had before a reload was dropped again.
    if (known !== undefined) {
      const attached = await session.attachLive(known.id);
      this.#tell();
      return attached;
    }
    return this.#attach({ id: freeDriveId(session.config), file: file.name, readOnly: true });
  }

  async detach(id: string): Promise<Result<undefined>> {
    const session = this.#session;
    const drive = session.config.drives.find((candidate) => candidate.id === id);
    if (session.isInMachine(id)) {
      const ejected = await session.detachLive(id);
      if (!ejected.ok) return ejected;
    }
    if (drive?.file !== undefined) session.removeFile(drive.file);
    await session.edit((config) => withoutDrive(config, id));
    return success(undefined);
  }

  grow(id: string, bytes: number): Promise<Result<undefined>> {
    return this.#session.growLive(id, bytes);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Puts it into the running machine where that has an empty drive, and into the description. */
  async #attach(
    drive: Pick<DriveConfig, 'id' | 'readOnly'> & { readonly file: string },
  ): Promise<Result<undefined>> {
    const session = this.#session;
    await session.edit((config) => withDrive(config, drive));
    const attached = await session.attachLive(drive.id);
    if (!attached.ok) await session.edit((config) => withoutDrive(config, drive.id));
    this.#tell();
    return attached;
  }

  #describe(drive: DriveConfig): AttachedDisk {
    const session = this.#session;
    const { config } = session;
    const name = drive.file ?? drive.id;
    const inPlace = session.isInPlace(name);
    const medium = this.#media.get(session.liveDrive(drive.id));
    const index = config.devices.findIndex(
      (device) => device.kind === 'virtio-blk' && device.drive === drive.id,
    );
    const isUsed = session.isInMachine(drive.id);
    return {
      id: drive.id,
      name,
      image: inPlace ? undefined : name,
      format: medium?.format ?? 'raw',
      readOnly: drive.readOnly,
      isInMachine: isUsed,
      sizeBytes: medium?.sizeBytes ?? session.fileOf(name)?.size,
      device: session.machineDevice(index),
      guestName: session.guestDisk(drive.id),
      driver: medium?.aio,
      driverReason: medium?.aioReason,
      warning: medium?.warning,
      dirty: medium?.dirty === true,
      state: stateText(isUsed, medium, session.isPowered),
      missing:
        inPlace && session.fileOf(name) === undefined
          ? 'This file was used where it is on your computer: drop it again, or detach the disk.'
          : undefined,
    };
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

function stateText(isUsed: boolean, medium: MediumInfo | undefined, isPowered: boolean): string {
  if (medium?.paused === true) return `Stopped: ${medium.lastProblem}`;
  if (medium?.dirty === true) return 'In use; the guest has data that is not flushed yet.';
  if (isUsed) return 'In use; everything that the guest has flushed is stored.';
  return isPowered ? 'Attached when the machine is started again.' : 'Ready.';
}

/** What is shown of it. */
function stateOf([drive, medium]: readonly [string, MediumInfo]): unknown {
  const { name, sizeBytes, aio, dirty, paused, lastProblem, warning } = medium;
  return [drive, name, sizeBytes, aio, dirty, paused, lastProblem, warning];
}
