/** The machine's surroundings in a browser: modules by URL, threads as workers. */
import { wrap } from 'comlink';
import coreUrl from '../../build/core.wasm?url';
import interpreterUrl from '../../build/interpreter.wasm?url';
import type { StartState } from '../boot/start-state.ts';
import type { IoControl, IoEvent } from '../control/io-control.ts';
import type { VcpuControl } from '../control/vcpu-control.ts';
import type { CompilerThread, IoThreadHandle, MachineHost, ModuleName, VcpuThread } from './host.ts';

const MODULE_URLS: { readonly [K in ModuleName]: string } = { core: coreUrl, interpreter: interpreterUrl };

function startVcpu(): VcpuThread {
  const worker = new Worker(new URL('../workers/vcpu.ts', import.meta.url), {
    type: 'module',
    name: 'vcpu 0',
  });
  return {
    control: wrap<VcpuControl<StartState>>(worker),
    lost: lostOf(worker),
    terminate: () => worker.terminate(),
  };
}

function startCompiler(): CompilerThread | undefined {
  if (navigator.hardwareConcurrency < 2) return undefined;
  const worker = new Worker(new URL('../workers/compile.ts', import.meta.url), {
    type: 'module',
    name: 'compile',
  });
  const { port1, port2 } = new MessageChannel();
  worker.postMessage(port2, [port2]);
  return { port: port1, lost: lostOf(worker), terminate: () => worker.terminate() };
}

function startIo(name: string, onEvent: (event: IoEvent) => void): IoThreadHandle {
  const worker = new Worker(new URL('../workers/io.ts', import.meta.url), { type: 'module', name });
  worker.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
    if (typeof data === 'object' && data !== null && 'ioEvent' in data) onEvent(data.ioEvent as IoEvent);
  });
  return { control: wrap<IoControl>(worker), lost: lostOf(worker), terminate: () => worker.terminate() };
}

function lostOf(worker: Worker): Promise<string> {
  return new Promise<string>((resolve) => {
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      resolve(
        event.message === '' || event.message === undefined
          ? 'its script could not be loaded'
          : event.message,
      );
    });
    worker.addEventListener('messageerror', () => resolve('a message to it could not be read'));
  });
}

async function loadModule(name: ModuleName): Promise<WebAssembly.Module> {
  const response = await fetch(MODULE_URLS[name]);
  if (!response.ok) throw new Error(`${name}.wasm: the server answered ${response.status}`);
  // Some static hosts do not know the type application/wasm, which streaming compilation insists on.
  if (response.headers.get('Content-Type') !== 'application/wasm') {
    return await WebAssembly.compile(await response.arrayBuffer());
  }
  return await WebAssembly.compileStreaming(response);
}

export const browserHost: MachineHost = { loadModule, startVcpu, startCompiler, startIo };
