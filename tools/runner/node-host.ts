/** The machine's surroundings under Node: the same machine and the same vCPU thread, without a browser. */
import { readFile } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { wrap } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import type { StartState } from '../../src/boot/start-state.ts';
import type { IoControl, IoEvent } from '../../src/control/io-control.ts';
import type { VcpuControl } from '../../src/control/vcpu-control.ts';
import type { IoThreadHandle, MachineHost, ModuleName, VcpuThread } from '../../src/machine/host.ts';

/** Node 20 cannot load TypeScript in a worker by itself. */
function workerSource(entry: URL): string {
  return `import('tsx/esm/api').then(({ register }) => { register(); return import(${JSON.stringify(entry.href)}); });`;
}

async function loadModule(name: ModuleName): Promise<WebAssembly.Module> {
  const bytes = await readFile(new URL(`../../build/${name}.wasm`, import.meta.url));
  return await WebAssembly.compile(bytes);
}

function startThread(
  file: string,
  name: string,
): { readonly worker: Worker; readonly lost: Promise<string> } {
  const worker = new Worker(workerSource(new URL(file, import.meta.url)), { eval: true, name });
  const lost = new Promise<string>((resolve) => {
    worker.on('error', (error) =>
      resolve(error instanceof Error ? (error.stack ?? error.message) : String(error)),
    );
    worker.on('exit', (code) => resolve(`the thread ended with code ${code}`));
  });
  return { worker, lost };
}

function startVcpu(entry: string): VcpuThread {
  const { worker, lost } = startThread(entry, 'vcpu0');
  return {
    control: wrap<VcpuControl<StartState>>(nodeEndpoint(worker)),
    lost,
    terminate: () => void worker.terminate(),
  };
}

function startIo(name: string, onEvent: (event: IoEvent) => void): IoThreadHandle {
  const { worker, lost } = startThread('./node-io.ts', name);
  worker.on('message', (message: unknown) => {
    if (typeof message === 'object' && message !== null && 'ioEvent' in message)
      onEvent(message.ioEvent as IoEvent);
  });
  return { control: wrap<IoControl>(nodeEndpoint(worker)), lost, terminate: () => void worker.terminate() };
}

/** `vcpu`: the script of the vCPU's thread. */
export function nodeHost(vcpu = './node-vcpu.ts'): MachineHost {
  return {
    loadModule,
    startVcpu: () => startVcpu(vcpu),
    // The runner's --node is for tests: what is translated when does not depend on another thread's speed.
    startCompiler: () => undefined,
    startIo,
  };
}
