/** Keeps watch over a vCPU's thread: run, stop with acknowledgement, and the case that it is lost. */
import { transfer } from 'comlink';
import type { Views } from '../base/views.ts';
import type { ExitInfo } from '../control/info.ts';
import type { VcpuFigures } from '../control/figures.ts';
import type { InstalledRegion } from '../control/regions.ts';
import type { VcpuSetup, VcpuStop } from '../control/vcpu-control.ts';
import type { StartState } from '../boot/start-state.ts';
import { STOP_PAUSE, STOP_QUIT, STOP_RUN, THREAD_VCPU0 } from '../layout/machine.ts';
import { vcpuAddress } from '../layout/map.ts';
import { VCPU } from '../layout/vcpu.ts';
import { isInExit } from '../sync/exit-call.ts';
import { requestStop } from '../sync/stop.ts';
import { readCounter } from './counters.ts';
import type { VcpuThread } from './host.ts';
import { ThreadWatch } from './thread-watch.ts';

/** The interpreter looks at its STOP word at least every 100 us; a thread that needs this long does not run any more. */
const STOP_TIMEOUT_MS = 3000;
/** Seconds without an instruction or a look at the wake word. */
const PATIENCE = 15;

export type ThreadEnd = VcpuStop | { readonly kind: 'lost'; readonly message: string };

function errorText(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

export class VcpuSupervisor {
  readonly #thread: VcpuThread;
  readonly #views: Views;
  readonly #lost: Promise<ThreadEnd>;
  readonly #watch: ThreadWatch;
  #stay: Promise<ThreadEnd> | undefined;

  constructor(thread: VcpuThread, views: Views) {
    this.#thread = thread;
    this.#views = views;
    this.#watch = new ThreadWatch({
      views,
      thread: THREAD_VCPU0,
      patience: PATIENCE,
      progress: () => readCounter(views, vcpuAddress(0) + VCPU.at.countInstructions),
    });
    this.#lost = thread.lost.then((message) => ({ kind: 'lost', message }));
  }

  prepare(setup: VcpuSetup): Promise<ThreadEnd | undefined> {
    return this.#guard(
      this.#thread.control.prepare(transfer(setup, setup.compiler === undefined ? [] : [setup.compiler])),
    );
  }

  reset(entry: StartState): Promise<ThreadEnd | undefined> {
    return this.#guard(this.#thread.control.reset(entry));
  }

  /** Lets the guest run; resolves when it stops, for whatever reason. */
  run(): Promise<ThreadEnd> {
    requestStop(this.#views, THREAD_VCPU0, STOP_RUN);
    const stay = this.#thread.control
      .run()
      .catch((error: unknown): ThreadEnd => ({ kind: 'defect', message: errorText(error) }));
    const silent = new Promise<ThreadEnd>((resolve) => {
      this.#watch.start(() => resolve({ kind: 'lost', message: "the vCPU's thread shows no sign of life" }));
    });
    this.#stay = Promise.race([stay, this.#lost, silent]).finally(() => this.#watch.stop());
    return this.#stay;
  }

  /** Asks for a stop; the promise of run() resolves with it. */
  async stop(forGood: boolean): Promise<ThreadEnd | undefined> {
    if (this.#stay === undefined) return undefined;
    requestStop(this.#views, THREAD_VCPU0, forGood ? STOP_QUIT : STOP_PAUSE);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const timeout = new Promise<ThreadEnd>((resolve) => {
      const wait = (): void => {
        timer = setTimeout(() => {
          // Behind a flush that takes long: whether the device's thread is alive, its own watch knows.
          if (isInExit(this.#views, 0)) wait();
          else
            resolve({ kind: 'lost', message: `the vCPU's thread did not stop within ${STOP_TIMEOUT_MS} ms` });
        }, STOP_TIMEOUT_MS);
      };
      wait();
    });
    const end = await Promise.race([this.#stay, timeout]);
    clearTimeout(timer);
    return end;
  }

  /** Only between stays: a thread that runs the guest answers no message. */
  async figures(): Promise<VcpuFigures | undefined> {
    return await Promise.race([this.#thread.control.figures(), this.#lost.then(() => undefined)]);
  }

  async exits(): Promise<readonly ExitInfo[] | undefined> {
    return await Promise.race([this.#thread.control.exits(), this.#lost.then(() => undefined)]);
  }

  async regions(): Promise<readonly InstalledRegion[] | undefined> {
    return await Promise.race([this.#thread.control.regions(), this.#lost.then(() => undefined)]);
  }

  /** Tells the thread to end, without waiting for it. */
  release(): void {
    requestStop(this.#views, THREAD_VCPU0, STOP_QUIT);
  }

  terminate(): void {
    this.#watch.stop();
    this.#thread.terminate();
  }

  async #guard(call: Promise<void>): Promise<ThreadEnd | undefined> {
    const done = call.then(
      () => undefined,
      (error: unknown): ThreadEnd => ({ kind: 'defect', message: errorText(error) }),
    );
    return await Promise.race([done, this.#lost]);
  }
}
