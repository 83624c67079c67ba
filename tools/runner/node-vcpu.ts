/** The vCPU's thread under Node: what src/workers/vcpu.ts is in the browser. */
import { writeSync } from 'node:fs';
import { format } from 'node:util';
import { parentPort } from 'node:worker_threads';
import { expose } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import { createVcpuControl } from '../../src/workers/vcpu-control.ts';

if (parentPort === null) throw new Error('node-vcpu.ts runs in a worker thread');

// The console of a worker goes through its parent's event loop and needs ours: a busy vCPU would print nothing.
console.log =
  console.info =
  console.warn =
  console.error =
    (...values: unknown[]): void => {
      writeSync(2, `${format(...values)}\n`);
    };

expose(createVcpuControl(), nodeEndpoint(parentPort));
