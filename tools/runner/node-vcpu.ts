/** The vCPU's thread under Node: what src/workers/vcpu.ts is in the browser. */
import { parentPort } from 'node:worker_threads';
import { expose } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import { createVcpuControl } from '../../src/workers/vcpu-control.ts';
import { printDirectly } from './node-print.ts';
import { profiled } from './profiled.ts';

if (parentPort === null) throw new Error('node-vcpu.ts runs in a worker thread');

printDirectly();
const profile = process.env['VIRTAB_PROFILE'];
const control = createVcpuControl();
expose(profile === undefined ? control : profiled(control, profile), nodeEndpoint(parentPort));
