/** What a thread that owns devices does for the page: opens its disks, serves its devices, answers the control plane. */
import type { Result } from '../base/result.ts';
import type { IoCommand, IoControl, IoInfo, IoSetup } from '../control/io-control.ts';
import { IoThread } from './io-thread.ts';
import type { IoPlatform } from './io-thread.ts';

/** How long a thread that was called stays at its event loop for the message to arrive, in ms. */
const MAIL_MS = 50;
const TURN_MS = 10;

class Control implements IoControl {
  readonly #platform: IoPlatform;
  #thread: IoThread | undefined;
  /** Calls that have come and are not answered. */
  #pending = 0;
  #calls = 0;

  constructor(platform: IoPlatform) {
    this.#platform = platform;
  }

  async prepare(setup: IoSetup): Promise<Result<undefined>> {
    const opened = await IoThread.open(setup, this.#platform);
    if (!opened.ok) return opened;
    this.#thread = opened.value;
    return { ok: true, value: undefined };
  }

  /** While no call is pending the thread waits in `Atomics.wait`, where no promise resolves. */
  async run(): Promise<void> {
    const thread = this.#thread;
    if (thread === undefined) throw new Error('the thread was not prepared');
    while (thread.loop.run() === 'mail') {
      const callsBefore = this.#calls;
      const patience = performance.now() + MAIL_MS;
      while (this.#pending > 0 || (this.#calls === callsBefore && performance.now() < patience)) {
        if ((await thread.loop.turn(TURN_MS)) === 'quit') break;
        await macrotask();
      }
    }
    await thread.closeDisks();
    this.#thread = undefined;
  }

  command(command: IoCommand): Promise<Result<undefined>> {
    return this.#called(async (thread) => thread.command(command));
  }

  async info(): Promise<IoInfo> {
    return this.#called(async (thread) => thread.info());
  }

  close(): Promise<Result<undefined>> {
    return this.#called(async (thread) => thread.closeDisks());
  }

  async #called<T>(action: (thread: IoThread) => Promise<T>): Promise<T> {
    this.#calls++;
    this.#pending++;
    try {
      if (this.#thread === undefined) throw new Error('the thread does not serve devices');
      return await action(this.#thread);
    } finally {
      this.#pending--;
    }
  }
}

/** Lets messages in. */
function macrotask(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

export function createIoControl(platform: IoPlatform): IoControl {
  return new Control(platform);
}
