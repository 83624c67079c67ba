/** What a machine needs from the place where it runs: the browser, or Node for the runner's --node. */
import type { Remote } from 'comlink';
import type { IoControl, IoEvent } from '../control/io-control.ts';
import type { VcpuControl } from '../control/vcpu-control.ts';
import type { StartState } from '../boot/start-state.ts';

export type ModuleName = 'core' | 'interpreter';

/** A started thread that will run a vCPU. */
export interface VcpuThread {
  readonly control: Remote<VcpuControl<StartState>>;
  /** Resolves, with the reason, if the thread ends without being asked; else never. */
  readonly lost: Promise<string>;
  /** The last resort for a thread that does not obey STOP; its memory must not be used again. */
  terminate(): void;
}

/** A started thread that translates for a vCPU. */
export interface CompilerThread {
  /** The vCPU's end. */
  readonly port: MessagePort;
  readonly lost: Promise<string>;
  terminate(): void;
}

/** A started thread that will own devices. */
export interface IoThreadHandle {
  readonly control: Remote<IoControl>;
  readonly lost: Promise<string>;
  terminate(): void;
}

export interface MachineHost {
  /** Compiles a wasm module of ours; rejects if it cannot be had. */
  loadModule(name: ModuleName): Promise<WebAssembly.Module>;
  startVcpu(): VcpuThread;
  /** Undefined where a vCPU had better translate by itself, as there is no other core. */
  startCompiler(): CompilerThread | undefined;
  /** `name` is for debuggers. */
  startIo(name: string, onEvent: (event: IoEvent) => void): IoThreadHandle;
}
