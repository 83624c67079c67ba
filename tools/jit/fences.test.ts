/** Barriers of the guest order its accesses for the I/O threads too, so they are real ones also with one vCPU. */
import { expect, it } from 'vitest';
import { regionText } from './region-text.ts';
import { staticRegion } from './static-region.ts';

it.each([
  ['MFENCE', [0x0f, 0xae, 0xf0], 'atomic.fence'],
  ['LOCK ADD, as in Linux’s smp_mb', [0xf0, 0x83, 0x44, 0x24, 0xfc, 0x00], 'i64.atomic.rmw32.cmpxchg_u'],
  ['LOCK ADD of a register', [0xf0, 0x01, 0x08], 'i64.atomic.rmw32.cmpxchg_u'],
  ['XCHG with memory', [0x87, 0x08], 'i64.atomic.rmw32.cmpxchg_u'],
])('%s is translated to a sequentially consistent operation', (_name, bytes, operation) => {
  const region = staticRegion(Uint8Array.of(...bytes, 0xc3), 0x10, 64);
  expect(regionText(region, { ir: 'none', wasm: true }).join('\n')).toContain(operation);
});
