/** A machine that runs the guest of guest.ts: one of three, behind the same few calls. */

export type Ioeventfd = 'on' | 'off';

export interface KickCounts {
  /** Kicks of the driver that reached the device, and those for which a sleeping thread was woken. */
  readonly kicks: number;
  readonly notifies: number;
}

export interface IoMachine {
  send(text: string): void;
  /** What the threads are called of which one runs the guest's CPU; absent where it may be any. */
  readonly vcpuThread?: string;
  /** It takes CPU time while its guest has nothing to do. */
  readonly isRestless?: boolean;
  /** Absent where nobody counts them. */
  countKicks?(): Promise<KickCounts>;
  /** Absent where there is no such thing. */
  setIoeventfd?(setting: Ioeventfd): Promise<void>;
  /** Makes the host forget what it has of the images, which are `processes`'; absent where they are no files. */
  dropCache?(processes: readonly number[]): void;
  /** Waits for a guest that powers off, then frees everything; the image is complete after it. */
  end(): Promise<void>;
  /** Frees everything at once, whatever the guest is doing. */
  discard(): Promise<void>;
}

export interface IoMachineOptions {
  readonly kernel: string;
  readonly initrd: string;
  readonly commandLine: string;
  readonly memoryMib: number;
  /** Raw images, in the order of the guest's disks. */
  readonly disks: readonly string[];
  /** Gets what the guest writes to its console, and undefined when the machine has ended. */
  readonly onOutput: (text: string | undefined) => void;
}

export type StartMachine<Machine extends IoMachine = IoMachine> = (
  options: IoMachineOptions,
) => Promise<Machine>;
