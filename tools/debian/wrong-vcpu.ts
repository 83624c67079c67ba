/** A vCPU's thread under Node whose translator gets SBB wrong: Linux compares strings with it, first in its tables of options. */
import { parentPort } from 'node:worker_threads';
import { expose } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import { mistranslate } from '../../src/vcpu/testing/mistranslate.ts';
import { createVcpuControl } from '../../src/workers/vcpu-control.ts';

if (parentPort === null) throw new Error('wrong-vcpu.ts runs in a worker thread');
expose(createVcpuControl(mistranslate(({ row }) => row.semantics === 'sbb')), nodeEndpoint(parentPort));
