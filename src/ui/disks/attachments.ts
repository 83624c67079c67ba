/** The disks of the machine that is shown: in its description, and in the running machine. */
import type { Result } from '../../base/result.ts';

export interface AttachedDisk {
  /** Of the drive. */
  readonly id: string;
  readonly name: string;
  /** Its image in the browser's storage; undefined for a file that is read in place. */
  readonly image: string | undefined;
  readonly format: string;
  readonly readOnly: boolean;
  /** The running machine has it. */
  readonly isInMachine: boolean;
  readonly sizeBytes: number | undefined;
  /** Name of the device that the guest sees it through. */
  readonly device: string | undefined;
  /** What a Linux guest calls it. */
  readonly guestName: string | undefined;
  /** The AIO driver and why it is that one, while the machine runs. */
  readonly driver: string | undefined;
  readonly driverReason: string | undefined;
  readonly warning: string | undefined;
  /** The guest has written what is not on the medium yet. */
  readonly dirty: boolean;
  /** In a few words: in use, written, attached at the next start. */
  readonly state: string;
  /** Why it cannot be used, and what to do. */
  readonly missing: string | undefined;
}

export interface DiskAttachments {
  list(): readonly AttachedDisk[];
  attachImage(name: string, readOnly?: boolean): Promise<Result<undefined>>;
  /** Read-only, in place. */
  attachFile(file: File): Promise<Result<undefined>>;
  detach(id: string): Promise<Result<undefined>>;
  /** Makes a disk that the running machine has larger. */
  grow(id: string, bytes: number): Promise<Result<undefined>>;
  /** Calls `listener` when the list may have changed; the result ends that. */
  onChange(listener: () => void): () => void;
}
