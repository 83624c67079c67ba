import { expect, it } from 'vitest';
import { viewsOf } from '../base/views.ts';
import { vcpuAddress, VCPU_BASE, VCPU_STRIDE } from '../layout/map.ts';
import { VCPU } from '../layout/vcpu.ts';
import type { HostCalls } from '../vcpu/link.ts';
import { createHostCalls, type HostCallsOptions } from './host-calls.ts';

const CPU = vcpuAddress(0);
const GUESSES = (CPU + VCPU.at.tscGuesses) >>> 2;
const views = viewsOf(new SharedArrayBuffer(VCPU_BASE + VCPU_STRIDE));
const bus = { loadMmio: () => {}, storeMmio: () => {}, readPort: () => 0, writePort: () => {} };
const msrs = { read: () => 0, write: () => 0 };
const options = { views, index: 0, parts: { bus, clock: {}, irqchip: {} }, model: {}, msrs };
const calls: HostCalls = createHostCalls(options as unknown as HostCallsOptions);

it.each([
  ['a read of a device', () => calls.mmioRead(CPU, 0xfee0_0000, 4)],
  ['a write to a device', () => calls.mmioWrite(CPU, 0xfee0_0000, 4)],
  ['a read of a port', () => calls.portRead(CPU, 0x60, 1)],
  ['a write to a port', () => calls.portWrite(CPU, 0x80, 1, 0)],
  ['RDMSR', () => calls.readMsr(CPU)],
  // KVM's clock stamps guest memory with the TSC: what RDTSC read behind that was less, the guest's clock jumped by centuries.
  ['WRMSR', () => calls.writeMsr(CPU)],
])('behind %s RDTSC looks at the clock', (_name, call) => {
  views.u32[GUESSES] = 7;
  call();
  expect(views.u32[GUESSES]).toBe(0);
});
