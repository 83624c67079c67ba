/** The threads that own the machine's devices, seen from the page: start, stop, calls, and the case that one is lost. */
import type { Result } from '../base/result.ts';
import type { Views } from '../base/views.ts';
import type { DeviceKind } from '../config/devices.ts';
import type { Hardware } from '../control/hardware.ts';
import type { IoCommand, IoEvent, IoInfo, IoSetup } from '../control/io-control.ts';
import { CAUSE_MAIL, STOP_PAUSE, STOP_QUIT, STOP_RUN } from '../layout/machine.ts';
import { requestStop, stopObeyed } from '../sync/stop.ts';
import { wakeThread } from '../sync/wake.ts';
import type { IoThreadHandle, MachineHost } from './host.ts';
import { ThreadWatch } from './thread-watch.ts';

/** A thread that rests after this long: the slowest flush of a busy medium, with room. */
const PAUSE_MS = 10_000;
const QUIT_MS = 10_000;
/** Seconds that a flush may occupy the thread of a disk: longer than any medium takes that still works. */
const PATIENCE = 60;

interface Thread {
  readonly number: number;
  readonly name: string;
  readonly handle: IoThreadHandle;
  readonly watch: ThreadWatch;
  /** Resolves, with the reason, if it ends without being asked. */
  readonly lost: Promise<string>;
  readonly lose: (reason: string) => void;
  /** Resolves when it has quit. */
  run: Promise<void>;
}

/** A thread that ended without being asked, and the kinds of devices that went with it. */
export interface LostIoThread {
  readonly name: string;
  readonly kinds: readonly DeviceKind[];
  readonly reason: string;
}

export class IoSupervisor {
  readonly #views: Views;
  readonly #hardware: Hardware;
  readonly #threads: readonly Thread[];
  readonly #lost: Promise<LostIoThread>;

  /** `onEvent` gets what the threads report. */
  constructor(host: MachineHost, views: Views, hardware: Hardware, onEvent: (event: IoEvent) => void) {
    this.#views = views;
    this.#hardware = hardware;
    this.#threads = hardware.threads.map(({ thread, name }) => {
      const handle = host.startIo(name, onEvent);
      let lose: (reason: string) => void = () => {};
      const lost = new Promise<string>((resolve) => {
        lose = resolve;
        void handle.lost.then(resolve);
      });
      const watch = new ThreadWatch({ views, thread, patience: PATIENCE });
      return { number: thread, name, handle, watch, lost, lose, run: Promise.resolve() };
    });
    this.#lost = new Promise((resolve) => {
      for (const { number, name, lost } of this.#threads) {
        const kinds = new Set(
          hardware.functions.filter((fn) => fn.thread === number).map(({ device }) => device.kind),
        );
        void lost.then((reason) => resolve({ name, kinds: [...kinds], reason }));
      }
    });
  }

  /** Resolves if a thread ends without being asked; else never. */
  get lost(): Promise<LostIoThread> {
    return this.#lost;
  }

  /** Opens the disks. The error is a sentence for people. */
  async prepare(setup: Omit<IoSetup, 'thread' | 'hardware'>): Promise<Result<undefined>> {
    const results = await Promise.all(
      this.#threads.map(({ number, handle, lost }) =>
        Promise.race([
          handle.control
            .prepare({ ...setup, thread: number, hardware: this.#hardware })
            .catch((error: unknown) => ({ ok: false as const, error: errorText(error) })),
          lost.then((error) => ({ ok: false as const, error })),
        ]),
      ),
    );
    const failed = results.find((result) => !result.ok);
    if (failed !== undefined) return failed;
    for (const thread of this.#threads) {
      requestStop(this.#views, thread.number, STOP_RUN);
      thread.run = thread.handle.control.run().catch(() => undefined);
      thread.watch.start(() => thread.lose('it shows no sign of life'));
    }
    return { ok: true, value: undefined };
  }

  /** Nothing new is taken from the guest, and what was under way is done. False: a thread did not get there in time. */
  async pause(): Promise<boolean> {
    for (const { number } of this.#threads) requestStop(this.#views, number, STOP_PAUSE);
    const obeyed = await Promise.all(
      this.#threads.map(({ number }) => stopObeyed(this.#views, number, STOP_PAUSE, PAUSE_MS)),
    );
    return obeyed.every(Boolean);
  }

  resume(): void {
    for (const { number } of this.#threads) requestStop(this.#views, number, STOP_RUN);
  }

  /** Flushes and closes the disks. Resolves when the threads have quit, or did not in time. */
  async quit(): Promise<void> {
    for (const { number, watch } of this.#threads) {
      watch.stop();
      requestStop(this.#views, number, STOP_QUIT);
    }
    // The disks of the others are closed also where one is lost.
    const ends = this.#threads.map(({ run, lost }) => Promise.race([run, lost]));
    await Promise.race([Promise.all(ends), delay(QUIT_MS)]);
    this.terminate();
  }

  /** Lets the threads go without waiting: for a page that is left. They close their disks themselves. */
  release(): void {
    for (const { number } of this.#threads) requestStop(this.#views, number, STOP_QUIT);
  }

  terminate(): void {
    for (const { handle, watch } of this.#threads) {
      watch.stop();
      handle.terminate();
    }
  }

  /** To the thread that owns the drive or device that the command names, or to all. */
  async command(command: IoCommand): Promise<Result<undefined>> {
    const numbers = this.#ownersOf(command);
    if (typeof numbers === 'string') return { ok: false, error: numbers };
    const results = await Promise.all(
      this.#threads
        .filter(({ number }) => numbers.includes(number))
        .map((thread) => this.#call<Result<undefined>>(thread, thread.handle.control.command(command))),
    );
    return results.find((result) => !result.ok) ?? { ok: true, value: undefined };
  }

  async info(): Promise<readonly IoInfo[]> {
    return await Promise.all(this.#threads.map((thread) => this.#call(thread, thread.handle.control.info())));
  }

  #ownersOf(command: IoCommand): readonly number[] | string {
    const { functions } = this.#hardware;
    if ('drive' in command) {
      const owner = functions.find(
        ({ device }) => device.kind === 'virtio-blk' && device.drive === command.drive,
      );
      return owner === undefined
        ? `There is no disk device with the drive “${command.drive}”.`
        : [owner.thread];
    }
    if (command.kind === 'ioeventfd' && command.device !== undefined) {
      const owner = functions.find(({ name }) => name === command.device);
      return owner === undefined ? `There is no device “${command.device}”.` : [owner.thread];
    }
    return this.#threads.map(({ number }) => number);
  }

  /** The message is on its way; the thread is called out of its wait to read it. */
  #call<T>({ number, lost }: Thread, answer: Promise<T>): Promise<T> {
    wakeThread(this.#views, number, CAUSE_MAIL);
    return Promise.race([
      answer,
      lost.then((reason) => {
        throw new Error(reason);
      }),
    ]);
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function errorText(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
