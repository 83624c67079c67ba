/** The machine's surroundings under Node: the same machine and the same vCPU thread, without a browser. */
import { readFile } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { wrap } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import type { StartState } from '../../src/boot/start-state.ts';
import type { VcpuControl } from '../../src/control/vcpu-control.ts';
import type { MachineHost, ModuleName, VcpuThread } from '../../src/machine/host.ts';

/** Node 20 cannot load TypeScript in a worker by itself. */
function workerSource(entry: URL): string {
  return `import('tsx/esm/api').then(({ register }) => { register(); return import(${JSON.stringify(entry.href)}); });`;
}

async function loadModule(name: ModuleName): Promise<WebAssembly.Module> {
  const bytes = await readFile(new URL(`../../build/${name}.wasm`, import.meta.url));
  return await WebAssembly.compile(bytes);
}

function startVcpu(): VcpuThread {
  const worker = new Worker(workerSource(new URL('./node-vcpu.ts', import.meta.url)), {
    eval: true,
    name: 'vcpu0',
  });
  const lost = new Promise<string>((resolve) => {
    worker.on('error', (error) =>
      resolve(error instanceof Error ? (error.stack ?? error.message) : String(error)),
    );
    worker.on('exit', (code) => resolve(`the vCPU's thread ended with code ${code}`));
  });
  const endpoint = nodeEndpoint(worker);
  return {
    control: wrap<VcpuControl<StartState>>(endpoint),
    lost,
    terminate: () => void worker.terminate(),
  };
}

export const nodeHost: MachineHost = { loadModule, startVcpu };
