/** In the place of the page's vCPU worker: its translator writes one less into RAX. */
import { expose } from 'comlink';
import { mistranslate } from '../../src/vcpu/testing/mistranslate.ts';
import { createVcpuControl } from '../../src/workers/vcpu-control.ts';

expose(createVcpuControl(mistranslate()));
