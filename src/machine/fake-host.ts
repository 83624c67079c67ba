/** A vCPU's thread for tests: it does what the test says instead of running a guest. */
import type { Remote } from 'comlink';
import type { StartState } from '../boot/start-state.ts';
import type { JitFigures } from '../control/figures.ts';
import type { IothreadInfo } from '../control/info.ts';
import type { IoControl, IoSetup } from '../control/io-control.ts';
import type { VcpuControl, VcpuSetup, VcpuStop } from '../control/vcpu-control.ts';
import { viewsOf } from '../base/views.ts';
import { SERIAL_OUT_BASE, STOP_QUIT, STOP_RUN, THREAD_VCPU0 } from '../layout/machine.ts';
import { ByteRing } from '../sync/ring.ts';
import { acknowledgeStop, stopRequest } from '../sync/stop.ts';
import { WakeWord } from '../sync/wake.ts';
import type { CompilerThread, IoThreadHandle, MachineHost, VcpuThread } from './host.ts';

const NO_JIT: JitFigures = {
  regions: 0,
  modules: 0,
  bytes: 0,
  instructions: 0,
  liveRegions: 0,
  liveModules: 0,
  liveBytes: 0,
  evicted: 0,
  dropped: 0,
  retranslated: 0,
  merged: 0,
  postponed: 0,
  queue: 0,
  longestQueue: 0,
  turns: 0,
  translateMs: 0,
  compileMs: 0,
  requestMs: 0,
  installMs: 0,
};

const NO_FIGURES: IothreadInfo = {
  name: '',
  wakeups: 0,
  pollHits: 0,
  doorbells: 0,
  exits: 0,
  waitedMs: 0,
  aliveMs: 0,
};

/** A thread that owns devices, and does nothing but start and end. */
export class FakeIo implements IoThreadHandle {
  readonly control: Remote<IoControl>;
  readonly lost: Promise<string>;
  /** What became of it, in order. */
  readonly ends: string[] = [];
  /** Taken away without a word. */
  isGone = false;
  #lose: ((reason: string) => void) | undefined;
  #setup: IoSetup | undefined;

  constructor() {
    this.lost = new Promise((resolve) => {
      this.#lose = resolve;
    });
    const control = {
      prepare: async (setup: IoSetup) => {
        this.#setup = setup;
        return { ok: true as const, value: undefined };
      },
      run: () => this.#run(),
      command: async () => ({ ok: true as const, value: undefined }),
      info: async () => ({ disks: [], net: [], ioeventfd: [], thread: NO_FIGURES }),
      close: async () => ({ ok: true as const, value: undefined }),
    };
    this.control = control as unknown as Remote<IoControl>;
  }

  lose(reason: string): void {
    this.#lose?.(reason);
  }

  terminate(): void {
    this.ends.push('terminated');
  }

  async #run(): Promise<void> {
    const { memory, thread } = this.#setup!;
    const views = viewsOf(memory.buffer);
    const wake = new WakeWord(views, thread);
    while (stopRequest(views, thread) !== STOP_QUIT) {
      if (this.isGone) return await new Promise(() => {});
      wake.take();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    this.ends.push('quit');
  }
}

export class FakeHost implements MachineHost {
  readonly resets: StartState[] = [];
  started = 0;
  terminated = 0;
  setup: VcpuSetup | undefined;
  #end: ((stop: VcpuStop) => void) | undefined;
  #lose: ((reason: string) => void) | undefined;
  /** The threads of the devices, by name. */
  readonly io = new Map<string, FakeIo>();
  /** Whether STOP requests are obeyed. */
  obeys = true;

  loadModule(): Promise<WebAssembly.Module> {
    // The empty module.
    return WebAssembly.compile(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
  }

  startVcpu(): VcpuThread {
    this.started++;
    const control: VcpuControl<StartState> = {
      prepare: (setup) => {
        this.setup = setup;
      },
      reset: (entry) => {
        this.resets.push(entry);
      },
      run: () => this.#run(),
      figures: () => ({ decodeMs: 1, interpretMs: 2, haltedMs: 3, jit: NO_JIT, exits: { hlt: 4 } }),
      exits: () => [],
      regions: () => [],
    };
    // comlink makes every call a promise; awaiting a plain value does the same.
    const asynchronous = {
      prepare: async (setup: VcpuSetup) => control.prepare(setup),
      reset: async (entry: StartState) => control.reset(entry),
      run: () => control.run(),
      figures: async () => control.figures(),
      exits: async () => control.exits(),
      regions: async () => control.regions(),
    };
    return {
      control: asynchronous as unknown as Remote<VcpuControl<StartState>>,
      lost: new Promise((resolve) => {
        this.#lose = resolve;
      }),
      terminate: () => {
        this.terminated++;
      },
    };
  }

  startCompiler(): CompilerThread | undefined {
    return undefined;
  }

  startIo(name: string): IoThreadHandle {
    const io = new FakeIo();
    this.io.set(name, io);
    return io;
  }

  /** The guest stops by itself. */
  end(stop: VcpuStop): void {
    this.#end?.(stop);
  }

  lose(reason: string): void {
    this.#lose?.(reason);
  }

  /** The guest writes to COM1. */
  print(text: string): void {
    if (this.setup === undefined) throw new Error('not prepared');
    new ByteRing(viewsOf(this.setup.memory.buffer), SERIAL_OUT_BASE).push(new TextEncoder().encode(text));
  }

  async #run(): Promise<VcpuStop> {
    const { setup } = this;
    if (setup === undefined) throw new Error('not prepared');
    const views = viewsOf(setup.memory.buffer);
    const ended = new Promise<VcpuStop>((resolve) => {
      this.#end = resolve;
    });
    const wake = new WakeWord(views, THREAD_VCPU0);
    const stopped = new Promise<VcpuStop>((resolve) => {
      const look = (): void => {
        wake.take();
        const request = stopRequest(views, THREAD_VCPU0);
        if (this.obeys && request !== STOP_RUN) {
          acknowledgeStop(views, THREAD_VCPU0, request);
          resolve({ kind: 'stopped' });
        } else if (this.terminated < this.started) setTimeout(look, 1);
      };
      look();
    });
    return await Promise.race([ended, stopped]);
  }
}
