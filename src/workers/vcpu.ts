/** The vCPU's worker. */
import { expose } from 'comlink';
import { createVcpuControl } from './vcpu-control.ts';

expose(createVcpuControl());
