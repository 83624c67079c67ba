/** A machine that runs the guest of guest.ts: one of three, behind the same few calls. */
import { READY, RESULT } from './guest.ts';

export type Ioeventfd = 'on' | 'off';

/** CPU time and counters up to now. */
export interface Sample {
  readonly timeMs: number;
  /** Of the thread that runs the guest's CPU. */
  readonly vcpuMs: number;
  /** Of all processes of the machine. */
  readonly hostMs: number;
  /** Cores that everything else on the host kept busy, as ms of core time. */
  readonly otherMs: number;
  /** Kicks of the driver that reached the device, and those for which a sleeping thread was woken. */
  readonly kicks?: number;
  readonly notifies?: number;
}

export interface IoMachine {
  send(text: string): void;
  sample(): Promise<Sample>;
  /** Absent where there is no such thing. */
  setIoeventfd?(setting: Ioeventfd): Promise<void>;
  /** Makes the host forget what it has of the images; absent where they are no files. */
  dropCache?(): void;
  /** Waits for a guest that powers off, then frees everything; the image is complete after it. */
  end(): Promise<void>;
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

export type StartMachine = (options: IoMachineOptions) => Promise<IoMachine>;

/** Types commands into the guest's console and reads the answers. */
export class IoDialogue {
  #output = '';
  #hasEnded = false;
  #wake: () => void = () => undefined;
  readonly #limitMs: number;

  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  readonly onOutput = (text: string | undefined): void => {
    if (text === undefined) this.#hasEnded = true;
    else this.#output += text.replaceAll('\r', '');
    this.#wake();
  };

  /** What the guest wrote before it said that it waits for a command. */
  async ready(): Promise<string> {
    const end = `${READY}\n`;
    const limit = performance.now() + this.#limitMs;
    for (;;) {
      const at = this.#output.indexOf(end);
      if (at >= 0) {
        const before = this.#output.slice(0, at);
        this.#output = this.#output.slice(at + end.length);
        return before;
      }
      if (this.#hasEnded) throw new Error(`the machine has ended: ${this.#output.slice(-500)}`);
      if (performance.now() > limit) throw new Error(`no answer of the guest: ${this.#output.slice(-500)}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, 1000);
      });
    }
  }
}

/** The lines with results among what a command wrote. Throws if the guest says that it failed. */
export function resultsOf(output: string): string[] {
  const failed = /^io failed: .*$/m.exec(output);
  if (failed !== null) throw new Error(`${failed[0]}\n${output.slice(-1500)}`);
  return output
    .split('\n')
    .filter((line) => line.startsWith(RESULT))
    .map((line) => line.slice(RESULT.length));
}
